//! What goes into the queue, and what comes of it.

use std::time::SystemTime;

use testsmith_domain::{ContentHash, FileStamp, JobCause, Lane, LedgerEntry, RelPath};
use testsmith_store::OpenReport;

/// What a look at a tree found: new stamps, and the jobs they cause. Committed together.
#[derive(Debug, Clone, Default)]
pub struct Intake {
    /// The project's root.
    pub root: String,
    /// Files whose stamps are new or changed.
    pub seen: Vec<(RelPath, FileStamp)>,
    /// Files that are no more.
    pub gone: Vec<RelPath>,
    /// Files under a new name, the old name first: what was written for them and their stories go
    /// along.
    pub renamed: Vec<(RelPath, RelPath)>,
    /// Jobs to enqueue, oldest first.
    pub jobs: Vec<NewJob>,
    /// Whether the first look at the root is complete with this: only from then on has it a
    /// snapshot. A first look that was broken off is begun anew.
    pub complete: bool,
}

/// A file to bring up to date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewJob {
    /// The file, below the intake's root.
    pub path: RelPath,
    /// Digest of its content; `None` if it was removed, or was not looked at.
    pub content: Option<ContentHash>,
    /// The lane to wait in.
    pub lane: Lane,
    /// Why there is a job.
    pub cause: JobCause,
}

/// How a run of a job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The file is up to date.
    Done,
    /// To be tried again, not before a moment.
    Wait {
        /// That moment.
        until: SystemTime,
        /// Why, for people.
        reason: String,
        /// Whether this run counts as a failure.
        count_failure: bool,
    },
    /// Not to be tried again until somebody wakes it or the file changes.
    Park {
        /// Why, for people.
        reason: String,
    },
    /// Not done, through no fault of its own: back into its lane.
    Requeue,
    /// The run panicked: tried once more, then parked.
    Panicked,
}

/// What a run wrote, for the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LedgerUpdate {
    /// The source file's entry is now this.
    Put(LedgerEntry),
    /// The source file has no entry any more.
    Remove,
}

/// How many jobs there are. A file whose job runs while a newer one is pending counts in both.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Counts {
    /// Ready to be claimed, or as soon as an older job for the file has ended.
    pub pending: u64,
    /// Claimed.
    pub running: u64,
    /// Not to be claimed yet.
    pub waiting: u64,
    /// Not to be claimed until woken.
    pub parked: u64,
}

/// What was found when the queue was opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovered {
    /// The jobs kept.
    pub jobs: Counts,
    /// Of the pending, those that a process was running when it died.
    pub requeued: u64,
    /// Whether records may have been lost. Snapshots have been emptied, so that every file looks
    /// new to the next comparison and gets a job.
    pub rescan: bool,
    /// What opening the database took.
    pub store: OpenReport,
}
