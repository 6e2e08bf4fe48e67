//! `GET /v1/events`: what happens, as it happens.

use serde::{Deserialize, Serialize};
use testsmith_domain::{Lane, MemberName, RelPath};

use super::Timestamp;

/// An event and its moment, as one line of JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stamped {
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A change became a job on disk.
    Queued {
        /// The job.
        job_id: u64,
        /// The project's root.
        root: String,
        /// The file.
        path: RelPath,
        /// Whether it goes first, or is bulk work.
        lane: Lane,
    },
    /// A worker took a job up.
    Started {
        /// The job.
        job_id: u64,
        /// The project's root.
        root: String,
        /// The file.
        path: RelPath,
    },
    /// A job's run ended.
    Ended(Box<JobEnded>),
    /// A job was dropped on request.
    Cancelled {
        /// The job.
        job_id: u64,
        /// The project's root.
        root: String,
        /// The file.
        path: RelPath,
    },
    /// Workers take up nothing more.
    Paused,
    /// Workers go on.
    Resumed,
    /// The daemon ends; nothing follows.
    Stopping,
    /// This reader was too slow, and events between the last one and the next are lost to it.
    Lagged {
        /// How many.
        missed: u64,
    },
    /// A newer daemon's event that this program does not know.
    #[serde(other)]
    Unknown,
}

impl Event {
    /// The event's name, as in `event:` of the stream.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Queued { .. } => "queued",
            Self::Started { .. } => "started",
            Self::Ended(_) => "ended",
            Self::Cancelled { .. } => "cancelled",
            Self::Paused => "paused",
            Self::Resumed => "resumed",
            Self::Stopping => "stopping",
            Self::Lagged { .. } => "lagged",
            Self::Unknown => "unknown",
        }
    }
}

/// A test that is kept out of the tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldBack {
    /// The member.
    pub member: MemberName,
    /// Why.
    pub why: String,
    /// Whether it is a finding: it fails the same way each time, so it is wrong, or the code is.
    #[serde(default)]
    pub is_finding: bool,
}

/// How a job's run ended, and its figures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobEnded {
    /// The job.
    pub job_id: u64,
    /// The project's root.
    pub root: String,
    /// The file.
    pub path: RelPath,
    /// When it ended.
    pub ended: Timestamp,
    /// How, in one word: `written`, `proposed`, `up_to_date`, `removed`, `skipped`, `waits_for_save`,
    /// `superseded`, `waiting`, `parked`, `put_back`, `panicked`.
    pub outcome: String,
    /// Why, where that needs saying.
    pub reason: Option<String>,
    /// Whether some wanted test is not there.
    pub failed: bool,
    /// When it is tried again.
    pub until: Option<Timestamp>,
    /// The test file that was written, or would be.
    pub test_path: Option<RelPath>,
    /// The members whose blocks were written, removed or proposed.
    pub written: Vec<MemberName>,
    /// The file's members.
    pub members: u64,
    /// Members found in the cache.
    pub cache_hits: u64,
    /// Members not found there.
    pub cache_misses: u64,
    /// Calls to the model.
    pub calls: u64,
    /// Requests sent.
    pub attempts: u64,
    /// Prompt tokens, as far as the server told.
    pub tokens_in: Option<u64>,
    /// Tokens of answers, as far as the server told.
    pub tokens_out: Option<u64>,
    /// What it cost, if the model was asked: `$0.0123`, `?` where a price is not known.
    #[serde(default)]
    pub cost: Option<String>,
    /// The models that wrote what is new.
    #[serde(default)]
    pub models: Vec<String>,
    /// Bodies that were run and held.
    pub verified: u64,
    /// Members whose tests are kept out of the tree, since they did not hold.
    pub held_back: Vec<HeldBack>,
    /// Whether bodies could not be run for want of a toolchain.
    #[serde(default)]
    pub unverified: bool,
    /// How long it took.
    pub elapsed_ms: u64,
}
