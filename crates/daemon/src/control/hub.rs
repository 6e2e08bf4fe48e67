//! What the daemon knows of itself, for whoever asks.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use testsmith_control::{Event, Events, JobEnded, JobPhase, LastError, RunningJob, Timestamp};
use testsmith_domain::{Job, RelPath};
use testsmith_queue::Queue;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::calls::Calls;
use crate::notice::News;

/// Ended jobs that are remembered for `status`.
const LAST: usize = 10;

/// Kept up to date by the workers, read by the control socket.
#[derive(Debug)]
pub(crate) struct Hub {
    /// What happens, as it happens.
    pub(crate) events: Arc<Events>,
    /// Requests to the model that are open.
    pub(crate) calls: Calls,
    /// What is worth a notice on the desktop.
    pub(crate) news: News,
    pub(crate) started: Timestamp,
    started_at: Instant,
    paused: watch::Sender<bool>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    running: BTreeMap<u64, RunningJob>,
    last: VecDeque<JobEnded>,
    last_error: Option<LastError>,
    /// Files whose test file is to be written again if it is gone as a whole.
    restored: HashSet<(String, RelPath)>,
    /// Files for which the preferred model is asked where another has answered.
    preferred: HashSet<(String, RelPath)>,
    /// The models that answered last.
    answered_by: Vec<String>,
}

/// How it goes with the model.
pub(crate) struct ProviderHealth {
    pub(crate) last_error: Option<LastError>,
    pub(crate) last_answer: Option<Timestamp>,
    pub(crate) answered_by: Vec<String>,
}

impl Hub {
    pub(crate) fn new() -> Self {
        Self {
            events: Arc::new(Events::new()),
            calls: Calls::default(),
            news: News::default(),
            started: Timestamp::now(),
            started_at: Instant::now(),
            paused: watch::Sender::new(false),
            state: Mutex::default(),
        }
    }

    /// The state. It is right at any moment another thread may have panicked.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn uptime_ms(&self) -> u64 {
        u64::try_from(self.started_at.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    pub(crate) fn is_paused(&self) -> bool {
        *self.paused.borrow()
    }

    /// Pauses or resumes; whether that is new.
    pub(crate) fn set_paused(&self, paused: bool) -> bool {
        let changed = self.paused.send_replace(paused) != paused;
        if changed {
            tracing::info!(paused, "workers told on request");
            self.events.say(if paused {
                Event::Paused
            } else {
                Event::Resumed
            });
        }
        changed
    }

    /// Resolves as soon as the pause is as wanted.
    pub(crate) async fn until_paused(&self, wanted: bool) {
        let mut paused = self.paused.subscribe();
        // Fails only when the sender is gone, which this has.
        let _ = paused.wait_for(|paused| *paused == wanted).await;
    }

    /// Tells of the jobs that `queue` makes.
    pub(crate) fn tell_of_jobs(&self, queue: &Queue) {
        let events = Arc::clone(&self.events);
        queue.observe(move |job| {
            events.say(Event::Queued {
                job_id: job.id.0,
                root: job.root.clone(),
                path: job.path.clone(),
                lane: job.lane,
            });
        });
    }

    pub(crate) fn job_started(&self, job: &Job) {
        let now = Timestamp::now();
        let running = RunningJob {
            job_id: job.id.0,
            root: job.root.clone(),
            path: job.path.clone(),
            since: now,
            phase: JobPhase::default(),
            phase_since: now,
        };
        self.state().running.insert(job.id.0, running);
        self.events.say(Event::Started {
            job_id: job.id.0,
            root: job.root.clone(),
            path: job.path.clone(),
        });
    }

    /// To be called after the end is in the queue, so that who hears of it finds it so.
    pub(crate) fn job_ended(&self, ended: JobEnded) {
        {
            let mut state = self.state();
            state.running.remove(&ended.job_id);
            if !matches!(&*ended.outcome, "waiting" | "superseded" | "put_back") {
                let file = (ended.root.clone(), ended.path.clone());
                state.restored.remove(&file);
                state.preferred.remove(&file);
            }
            state.last.push_front(ended.clone());
            state.last.truncate(LAST);
        }
        self.news.note(&ended);
        self.events.say(Event::Ended(Box::new(ended)));
    }

    pub(crate) fn call_failed(&self, message: String) {
        self.state().last_error = Some(LastError {
            at: Timestamp::now(),
            message,
        });
    }

    pub(crate) fn call_answered(&self, by: Vec<String>) {
        let mut state = self.state();
        if !by.is_empty() {
            state.answered_by = by;
        }
        state.last_error = None;
    }

    pub(crate) fn provider_health(&self) -> ProviderHealth {
        let state = self.state();
        ProviderHealth {
            last_error: state.last_error.clone(),
            last_answer: self.calls.last_answer(),
            answered_by: state.answered_by.clone(),
        }
    }

    /// The jobs that run, the oldest first.
    pub(crate) fn running(&self) -> Vec<RunningJob> {
        let mut running: Vec<RunningJob> = self.state().running.values().cloned().collect();
        for job in &mut running {
            if let Some((phase, since)) = self.calls.phase(job.job_id) {
                job.phase = phase;
                job.phase_since = since;
            }
        }
        running
    }

    /// The jobs that ended last, the newest first.
    pub(crate) fn last(&self) -> Vec<JobEnded> {
        self.state().last.iter().cloned().collect()
    }

    /// These files were asked for by name: see [`Hub::restores`].
    pub(crate) fn restore(&self, root: &str, paths: &[RelPath]) {
        let files = paths.iter().map(|path| (root.to_owned(), path.clone()));
        self.state().restored.extend(files);
    }

    /// For these files the preferred model is wanted: see [`Hub::prefers`].
    pub(crate) fn prefer(&self, root: &str, paths: &[RelPath]) {
        let files = paths.iter().map(|path| (root.to_owned(), path.clone()));
        self.state().preferred.extend(files);
    }

    /// Whether the preferred model is asked for what another has answered. Known in memory only: after
    /// a restart, any model's answer will do again.
    pub(crate) fn prefers(&self, job: &Job) -> bool {
        let preferred = &self.state().preferred;
        !preferred.is_empty() && preferred.contains(&(job.root.clone(), job.path.clone()))
    }

    /// Whether this file's tests are written again although their whole file is gone. Known in
    /// memory only: after a restart, a file that is gone counts as deleted again.
    pub(crate) fn restores(&self, job: &Job) -> bool {
        let restored = &self.state().restored;
        !restored.is_empty() && restored.contains(&(job.root.clone(), job.path.clone()))
    }
}
