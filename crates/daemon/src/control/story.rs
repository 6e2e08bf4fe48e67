//! A run's story, and its end for those who look on.

use std::time::{Duration, SystemTime};

use testsmith_control::{HeldBack, JobEnded, Timestamp};
use testsmith_domain::{Job, JobCause, Step, Story, Told, note, shortened};

use crate::files::blocking;
use crate::report::{JobReport, Outcome};
use crate::service::Service;

/// Notes why a file is looked at in a run that begins: since it was saved, or for another reason.
pub(crate) async fn note_cause(service: &Service, job: &Job) {
    let remark = |text: &str| {
        note(|| Step::Remark {
            text: text.to_owned(),
        });
    };
    match job.cause {
        JobCause::Changed => note_saved(service, job).await,
        JobCause::AskedFor => remark("asked for by `testsmith generate`, or the like"),
        JobCause::LookedAtAgain => {
            remark("looked at again: another model, toolchain or way to run tests is there");
        }
    }
    if let Some(why) = &job.woken {
        remark(&format!("before its time: {why}"));
    }
}

async fn note_saved(service: &Service, job: &Job) {
    let Some(project) = service.project(&job.root) else {
        return;
    };
    let path = job.path.under(&project.root);
    let saved = blocking(move || path.metadata().and_then(|meta| meta.modified())).await;
    if let Ok(saved) = saved {
        note(|| Step::Seen {
            saved: Timestamp(saved),
        });
    }
}

/// What is kept of a run.
pub(crate) fn story_of(job: &Job, report: &JobReport, mut steps: Vec<Told>) -> Story {
    if let Outcome::Written {
        test_path, members, ..
    } = &report.outcome
    {
        steps.push(Told {
            at: Timestamp::now(),
            step: Step::Written {
                test_path: test_path.clone(),
                members: members.clone(),
            },
        });
    }
    Story {
        job: job.id,
        enqueued: Timestamp(job.enqueued),
        ended: Timestamp::now(),
        outcome: report.outcome.as_str().to_owned(),
        reason: report.outcome.reason().map(|reason| shortened(&reason)),
        elapsed_ms: millis(report.elapsed),
        cost: report.cost.clone(),
        steps,
    }
}

/// What is kept of a run that panicked.
pub(crate) fn story_of_panic(
    job: &Job,
    message: &str,
    elapsed: Duration,
    steps: Vec<Told>,
) -> Story {
    Story {
        job: job.id,
        enqueued: Timestamp(job.enqueued),
        ended: Timestamp::now(),
        outcome: "panicked".to_owned(),
        reason: Some(shortened(message)),
        elapsed_ms: millis(elapsed),
        cost: None,
        steps,
    }
}

impl JobReport {
    /// The report as it goes over the control socket.
    pub fn ended(&self) -> JobEnded {
        let Self {
            id,
            root,
            path,
            outcome,
            members,
            hits,
            misses,
            effort,
            cost,
            models,
            trial,
            held_back,
            elapsed,
        } = self;
        let (test_path, written) = match outcome {
            Outcome::Written {
                test_path, members, ..
            }
            | Outcome::Proposed { test_path, members } => {
                (Some(test_path.clone()), members.clone())
            }
            _ => (None, Vec::new()),
        };
        let until = match outcome {
            Outcome::Waiting { until, .. } => Some(Timestamp(*until)),
            _ => None,
        };
        JobEnded {
            job_id: id.0,
            root: root.clone(),
            path: path.clone(),
            ended: Timestamp(SystemTime::now()),
            outcome: outcome.as_str().to_owned(),
            reason: outcome.reason(),
            failed: outcome.is_failure(),
            until,
            test_path,
            written,
            members: *members as u64,
            cache_hits: u64::from(*hits),
            cache_misses: u64::from(*misses),
            calls: u64::from(effort.calls),
            attempts: u64::from(effort.attempts),
            tokens_in: effort.usage.input_tokens,
            tokens_out: effort.usage.output_tokens,
            cost: cost.clone(),
            models: models.clone(),
            verified: u64::from(trial.passed),
            held_back: held_back
                .iter()
                .map(|held| HeldBack {
                    member: held.member.clone(),
                    why: held.why.clone(),
                    is_finding: held.is_finding,
                })
                .collect(),
            unverified: trial.is_unverified,
            elapsed_ms: millis(*elapsed),
        }
    }
}

/// The end of a run that came to nothing: it was left, or panicked.
pub(crate) fn broken_off_job(job: &Job, outcome: &str, elapsed: Duration) -> JobEnded {
    JobEnded {
        job_id: job.id.0,
        root: job.root.clone(),
        path: job.path.clone(),
        ended: Timestamp::now(),
        outcome: outcome.to_owned(),
        reason: None,
        failed: outcome == "panicked",
        until: None,
        test_path: None,
        written: Vec::new(),
        members: 0,
        cache_hits: 0,
        cache_misses: 0,
        calls: 0,
        attempts: 0,
        tokens_in: None,
        tokens_out: None,
        cost: None,
        models: Vec::new(),
        verified: 0,
        held_back: Vec::new(),
        unverified: false,
        elapsed_ms: millis(elapsed),
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
