//! A job in a worker's hands.

use std::fmt;
use std::sync::Arc;

use testsmith_domain::Job;
use tokio_util::sync::CancellationToken;

use crate::keys::FileKey;
use crate::work::Work;

/// A job to run. Keep it for as long as the job runs, then call
/// [`Queue::finish`](crate::Queue::finish).
///
/// If it is dropped before that, the job goes back into its lane; if it is dropped by a panic,
/// that counts as [`Outcome::Panicked`](crate::Outcome::Panicked).
#[derive(Debug)]
#[must_use = "dropping it gives the job back"]
pub struct Claimed {
    /// The job as it was claimed.
    pub job: Job,
    /// Cancelled when the file has a newer job, or this one was cancelled: what it does now is
    /// for nothing.
    pub superseded: CancellationToken,
    _ticket: Ticket,
}

impl Claimed {
    pub(crate) const fn new(job: Job, superseded: CancellationToken, ticket: Ticket) -> Self {
        Self {
            job,
            superseded,
            _ticket: ticket,
        }
    }
}

/// Gives the job back when dropped, unless it was finished.
pub(crate) struct Ticket {
    pub(crate) work: Arc<Work>,
    pub(crate) file: Arc<FileKey>,
    pub(crate) id: testsmith_domain::JobId,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.work
            .abandon(&self.file, self.id, std::thread::panicking());
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ticket({})", self.id)
    }
}
