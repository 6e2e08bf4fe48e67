//! Dropping jobs on request.

use std::time::SystemTime;

use testsmith_domain::{CANCELLED, Job, Story, Timestamp};
use testsmith_store::Store;

use crate::state::key_of;
use crate::work::{Work, lock};
use crate::{QueueError, history};

impl Work {
    /// Drops the jobs that are `wanted`, and notes that in their files' histories.
    pub(crate) fn cancel(
        &self,
        store: &Store,
        wanted: &dyn Fn(&Job) -> bool,
    ) -> Result<Vec<Job>, QueueError> {
        let _writing = lock(&self.writing);
        self.load_locked(store)?;
        let dropped = self.state().cancel(wanted);
        for job in &dropped {
            let file = key_of(job);
            // What cannot be read or written is not worth failing for, and nothing is written over it.
            let Ok(before) = self.history(store, &file) else {
                continue;
            };
            if let Ok(history) = history::encode(before, cancelled(job), job.is_removal()) {
                let mut state = self.state();
                state.history.insert((*file).clone(), Some(history));
            }
        }
        self.changed.notify_waiters();
        self.write_or_keep(store)?;
        Ok(dropped)
    }
}

/// What is kept of a job that was dropped on request.
fn cancelled(job: &Job) -> Story {
    Story {
        job: job.id,
        enqueued: Timestamp(job.enqueued),
        ended: Timestamp(SystemTime::now()),
        outcome: CANCELLED.to_owned(),
        reason: None,
        elapsed_ms: 0,
        cost: None,
        steps: Vec::new(),
    }
}
