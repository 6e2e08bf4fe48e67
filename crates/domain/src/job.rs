//! Jobs: files to bring up to date.

use std::fmt;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::{ContentHash, RelPath};

/// Tells one version of a job from the next; grows with every change of a file that was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobId(pub u64);

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Which jobs go first: what was saved last, then bulk work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lane {
    /// A save by a person: the newest goes first.
    Interactive,
    /// Part of a change of many files at once, or of `generate --all`: oldest first.
    Bulk,
}

/// Why there is a job.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobCause {
    /// The watcher saw a change.
    #[default]
    Changed,
    /// The user asked for the file by name, or for all.
    AskedFor,
    /// Something around the file is other than it was: a model, a toolchain, how tests are run.
    LookedAtAgain,
}

/// Where a job stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "state")]
pub enum JobState {
    /// Ready to be claimed.
    Pending,
    /// Claimed by a worker of this process.
    Running,
    /// Not before this moment.
    Waiting {
        /// When it may be claimed again.
        until: SystemTime,
        /// Why it waits, for people.
        reason: String,
    },
    /// Not until the user, a new save or a recovered provider wakes it.
    Parked {
        /// Why it was parked, for people.
        reason: String,
    },
}

impl JobState {
    /// Why the job waits or is parked.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Waiting { reason, .. } | Self::Parked { reason } => Some(reason),
            Self::Pending | Self::Running => None,
        }
    }
}

/// One changed file to bring up to date.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Tells this job from an older one for the same file.
    pub id: JobId,
    /// Which of the daemon's projects the file belongs to: its root.
    pub root: String,
    /// The file.
    pub path: RelPath,
    /// Digest of the content that was seen; `None` if the file was removed, or was not looked at.
    pub content: Option<ContentHash>,
    /// Which lane it waits in.
    pub lane: Lane,
    /// Why there is one.
    #[serde(default)]
    pub cause: JobCause,
    /// Why it was made ready before its time, until its next run has ended.
    #[serde(default)]
    pub woken: Option<String>,
    /// How many runs have failed in a row.
    pub failures: u32,
    /// How many runs ended in a panic.
    pub panics: u32,
    /// When the change was seen.
    pub enqueued: SystemTime,
    /// Where it stands.
    pub state: JobState,
}

impl Job {
    /// Whether there is a job since the file was removed. Others may be without content too.
    pub fn is_removal(&self) -> bool {
        self.content.is_none() && self.cause == JobCause::Changed
    }
}
