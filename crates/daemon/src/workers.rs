//! Workers: each claims a job, works on it, and says what became of it.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::FutureExt as _;
use testsmith_domain::{Effort, Job, Story, Told, tell};
use testsmith_llm::Recovery;
use testsmith_permits::Permit;
use testsmith_queue::{Claimed, LedgerUpdate, Outcome as JobOutcome};
use testsmith_usage::{Cost, Figures, attribute};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::control::{broken_off_job, note_cause, story_of, story_of_panic};
use crate::error::DaemonError;
use crate::files::chain;
use crate::process::{LedgerChange, Processed, process};
use crate::recheck::{folder_builds, toolchain_is_there};
use crate::report::{HeldBackList, JobReport, Outcome, WaitsOn};
use crate::service::{PROVIDER_REASON, REFUSED_REASON, Service};
use crate::spending::origin;
use crate::supervisor::panic_message;

/// How running work is told to end.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stop {
    /// Take up nothing new.
    pub(crate) claiming: CancellationToken,
    /// Leave what is running: its jobs are put back.
    pub(crate) running: CancellationToken,
}

/// Works off jobs until told to stop.
pub(crate) async fn work(service: Arc<Service>, stop: Stop) -> Result<(), DaemonError> {
    loop {
        let (claimed, slot) = tokio::select! {
            biased;
            () = stop.claiming.cancelled() => return Ok(()),
            claimed = next_job(&service) => claimed,
        };
        let _ = run_job(&service, claimed, slot, &stop.running).await;
    }
}

/// Claims a job, not while the user wants a pause.
async fn next_job(service: &Service) -> (Claimed, Permit) {
    let mut resized = service.resized();
    loop {
        service.hub.until_paused(false).await;
        let claim = async {
            let slot = service.slots.acquire().await;
            (service.queue.claim().await, slot)
        };
        tokio::select! {
            biased;
            () = service.hub.until_paused(true) => {}
            // Who waits for a job with a slot in hand may have one too many now.
            _ = resized.changed() => {}
            claimed = claim => return claimed,
        }
    }
}

/// Works on one claimed job and settles it, whatever happens on the way. No report if it was left
/// or panicked. The slot is given up when the job has no more to ask.
pub(crate) async fn run_job(
    service: &Service,
    claimed: Claimed,
    slot: Permit,
    leave: &CancellationToken,
) -> Option<JobReport> {
    // Held to the end: dropping it would give the job back.
    let Claimed {
        job, superseded, ..
    } = &claimed;
    let span = tracing::error_span!("job", job_id = %job.id, path = %job.path);
    async {
        let started = Instant::now();
        service.hub.job_started(job);
        service.usage.forget_blocked(&origin(job));
        let mut steps = Vec::new();
        let work = attribute(origin(job), async {
            note_cause(service, job).await;
            process(service, job, Some(slot), superseded).await
        });
        let work = service.hub.calls.of_job(job, tell(&mut steps, work));
        let ended = tokio::select! {
            biased;
            () = leave.cancelled() => None,
            ended = AssertUnwindSafe(work).catch_unwind() => Some(ended),
        };
        let broken_off = match ended {
            Some(Ok((processed, spent))) => {
                return Some(settle(service, job, processed, steps, &spent).await);
            }
            Some(Err(panic)) => {
                let message = panic_message(&*panic);
                let story = story_of_panic(job, &message, started.elapsed(), steps);
                settle_panic(service, job, &message, story).await;
                "panicked"
            }
            None => {
                finish(service, job, JobOutcome::Requeue, None, None).await;
                "put_back"
            }
        };
        let ended = broken_off_job(job, broken_off, started.elapsed());
        service.hub.job_ended(ended);
        None
    }
    .instrument(span)
    .await
}

async fn settle(
    service: &Service,
    job: &Job,
    processed: Processed,
    steps: Vec<Told>,
    spent: &Figures,
) -> JobReport {
    let Processed {
        mut report,
        ledger,
        answered,
    } = processed;
    let outcome = match &report.outcome {
        Outcome::Written { .. }
        | Outcome::UpToDate
        | Outcome::Proposed { .. }
        | Outcome::Removed
        | Outcome::Skipped { .. }
        | Outcome::Superseded => JobOutcome::Done,
        Outcome::WaitsForSave { reason } | Outcome::Parked { reason } => JobOutcome::Park {
            reason: reason.clone(),
        },
        Outcome::Waiting { until, reason, on } => JobOutcome::Wait {
            until: *until,
            reason: reason.clone(),
            count_failure: *on == WaitsOn::Model,
        },
    };
    let ledger = match ledger {
        LedgerChange::Keep => None,
        LedgerChange::Put(entry) => Some(LedgerUpdate::Put(entry)),
        LedgerChange::Remove => Some(LedgerUpdate::Remove),
    };
    if report.outcome == Outcome::Superseded {
        count_dropped(&mut report.effort, spent);
    }
    report.cost = (spent.requests > 0).then(|| spent.cost().to_string());
    let story = story_of(job, &report, steps);
    finish(service, job, outcome, ledger, Some(story)).await;
    service.hub.job_ended(report.ended());
    let recovery = if answered {
        service.hub.call_answered(report.models.clone());
        service.has_recovered()
    } else {
        service.circuit_has_closed()
    };
    if let Some(recovery) = recovery {
        wake_for_provider(service, recovery == Recovery::Refusal).await;
    }
    log(&report, spent);
    tell_of_toolchain(service, job, &report).await;
    report
}

/// Calls that were under way when a run was broken off count, as what they may have cost does.
fn count_dropped(effort: &mut Effort, spent: &Figures) {
    let capped = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
    effort.calls = effort.calls.max(capped(spent.calls));
    effort.attempts = effort.attempts.max(capped(spent.requests));
}

/// Once something could be run, what waited for its toolchain or its package is verified too.
async fn tell_of_toolchain(service: &Service, job: &Job, report: &JobReport) {
    let Some(driver) = service.driver_for(&job.path) else {
        return;
    };
    let languages = driver.languages();
    if report.trial.runs > 0 && !report.trial.is_broken {
        folder_builds(service, job).await;
    }
    if report.trial.is_unverified {
        service.note_missing(languages);
    } else if report.trial.runs > 0 && service.was_missing(languages) {
        toolchain_is_there(service, &driver).await;
    }
}

async fn settle_panic(service: &Service, job: &Job, message: &str, story: Story) {
    tracing::error!(
        panic = message,
        "this job made testsmith panic; it is tried once more, then parked: please report this"
    );
    finish(service, job, JobOutcome::Panicked, None, Some(story)).await;
}

/// Writes the outcome down. While the disk is out of order it holds in memory, and is written when
/// the disk is back; if the process dies before that, the job runs once more.
async fn finish(
    service: &Service,
    job: &Job,
    outcome: JobOutcome,
    ledger: Option<LedgerUpdate>,
    story: Option<Story>,
) {
    let finished = service.queue.finish_told(job, outcome, ledger, story).await;
    if let Err(error) = finished {
        tracing::error!(error = chain(&error), "cannot write down how the job ended");
    }
}

/// Why a job that waited for the provider is made ready before its time.
const WOKEN_FOR_MODEL: &str = "the model may answer again";

/// The provider may answer again: jobs that waited for it need not wait any longer. With `afresh`,
/// those it refused as well, for something may have been mended since.
pub(crate) async fn wake_for_provider(service: &Service, afresh: bool) {
    let wanted = move |job: &Job| {
        job.state.reason().is_some_and(|reason| {
            reason.starts_with(PROVIDER_REASON) || afresh && reason.starts_with(REFUSED_REASON)
        })
    };
    match service.queue.wake(wanted, afresh, WOKEN_FOR_MODEL).await {
        Ok(0) => {}
        Ok(woken) => tracing::info!(jobs = woken, "jobs that waited for the model go on"),
        Err(error) => {
            tracing::warn!(
                error = chain(&error),
                "jobs that wait for the model wait on"
            );
        }
    }
}

/// How long it may take until a job that was woken has asked the model.
const ASKED_BY_THEN: Duration = Duration::from_mins(1);

/// Wakes one job that the provider refused when it may be asked again, until told to stop: that job
/// finds out whether the account has money by now. If so, the others follow.
pub(crate) async fn mind_refusals(
    service: Arc<Service>,
    stop: CancellationToken,
) -> Result<(), DaemonError> {
    let minding = async {
        loop {
            let model = service.model();
            tokio::select! {
                () = model.refusal_over() => {}
                () = service.model_changed() => continue,
            }
            wake_one_refused(&service).await;
            // It may not have to ask, or there is none: then another does.
            let asked = tokio::time::timeout(ASKED_BY_THEN, model.circuit_changed());
            tokio::select! {
                _ = asked => {}
                () = service.model_changed() => {}
            }
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = minding => {}
    }
    Ok(())
}

async fn wake_one_refused(service: &Service) {
    let refused = |job: &Job| {
        let reason = job.state.reason();
        reason.is_some_and(|reason| reason.starts_with(REFUSED_REASON))
    };
    let Some(first) = service.queue.list().into_iter().find(refused) else {
        return;
    };
    let wanted = move |job: &Job| job.id == first.id;
    let woken = service.queue.wake(wanted, true, WOKEN_FOR_MODEL);
    if let Err(error) = woken.await {
        tracing::warn!(error = chain(&error), "a refused job stays parked");
    }
}

/// One line for each job, with its outcome and figures.
fn log(report: &JobReport, spent: &Figures) {
    let JobReport {
        id: _,
        root,
        path: _,
        outcome,
        members,
        hits,
        misses,
        effort,
        cost: _,
        models,
        trial,
        held_back,
        elapsed,
    } = report;
    let reason = outcome.reason();
    let cost = match spent.cost() {
        Cost::Known(cost) if spent.requests > 0 => Some(cost.dollars()),
        Cost::Known(_) | Cost::AtLeast(_) | Cost::Unknown => None,
    };
    let test_path = match outcome {
        Outcome::Written { test_path, .. } | Outcome::Proposed { test_path, .. } => {
            Some(test_path.as_str())
        }
        _ => None,
    };
    let until = match outcome {
        Outcome::Waiting { until, .. } => until.duration_since(SystemTime::now()).ok(),
        _ => None,
    };
    let verified = (trial.runs > 0).then_some(trial.passed);
    let verify_ms = (trial.runs > 0).then(|| millis(trial.elapsed));
    let model = (!models.is_empty()).then(|| models.join(", "));
    let held_back = (!held_back.is_empty()).then(|| HeldBackList(held_back).to_string());
    macro_rules! line {
        ($level:expr) => {
            tracing::event!(
                $level,
                root,
                outcome = outcome.as_str(),
                reason,
                test_path,
                retry_in_ms = until.map(millis),
                members,
                cache_hits = hits,
                cache_misses = misses,
                calls = effort.calls,
                attempts = effort.attempts,
                model,
                tokens_in = effort.usage.input_tokens,
                tokens_out = effort.usage.output_tokens,
                cost_usd = cost,
                verified,
                verify_ms,
                held_back,
                elapsed_ms = millis(*elapsed),
                "job ended"
            )
        };
    }
    let was_not_asked = matches!(
        outcome,
        Outcome::Waiting {
            on: WaitsOn::Recovery,
            ..
        }
    );
    if was_not_asked {
        // The provider's circuit has its own line; one for each job and probe would drown it.
        line!(tracing::Level::DEBUG);
    } else if outcome.is_failure() {
        line!(tracing::Level::WARN);
    } else {
        line!(tracing::Level::INFO);
    }
}

/// Milliseconds for a log field.
fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
pub(crate) mod tests;
