//! What came of a job, for the log and for whoever looks on.

use std::fmt;
use std::time::{Duration, SystemTime};

use testsmith_domain::{Effort, JobId, MemberName, RelPath};

use crate::verification::HeldBack;

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The test file was written.
    Written {
        /// The test file.
        test_path: RelPath,
        /// The members whose blocks are new.
        members: Vec<MemberName>,
        /// Members that are still without a test, with the reason.
        without: Vec<(MemberName, String)>,
    },
    /// What would be written waits for the user to accept it.
    Proposed {
        /// The test file.
        test_path: RelPath,
        /// The members whose blocks would be new.
        members: Vec<MemberName>,
    },
    /// Nothing had to be written.
    UpToDate,
    /// The tests of a removed source file were removed as well, as far as they were ours.
    Removed,
    /// The file is no source, or holds nothing to test.
    Skipped {
        /// Why.
        reason: String,
    },
    /// It waits for the next save.
    WaitsForSave {
        /// Why.
        reason: String,
    },
    /// A newer save came in between; its own job follows.
    Superseded,
    /// It is tried again later.
    Waiting {
        /// When.
        until: SystemTime,
        /// Why.
        reason: String,
        /// What it waits for.
        on: WaitsOn,
    },
    /// It is not tried again until something changes.
    Parked {
        /// Why.
        reason: String,
    },
}

/// What a waiting job waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitsOn {
    /// The model: each such wait counts, and after the last one the job is parked.
    Model,
    /// The provider, which is down: it was not asked for this job.
    Recovery,
    /// A budget of the user's own: its window has to end.
    Budget,
    /// The disk.
    Disk,
    /// Another file of ours, which still holds a name that is needed.
    OtherFile,
    /// The project, which does not build.
    Project,
    /// The sandbox, which cannot run anything just now.
    Sandbox,
}

impl Outcome {
    /// The outcome's name in the log.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Written { .. } => "written",
            Self::Proposed { .. } => "proposed",
            Self::UpToDate => "up_to_date",
            Self::Removed => "removed",
            Self::Skipped { .. } => "skipped",
            Self::WaitsForSave { .. } => "waits_for_save",
            Self::Superseded => "superseded",
            Self::Waiting { .. } => "waiting",
            Self::Parked { .. } => "parked",
        }
    }

    /// Why it ended so, where that needs saying.
    pub fn reason(&self) -> Option<String> {
        match self {
            Self::Written { without, .. } if without.is_empty() => None,
            Self::Written { without, .. } => Some(Without(without).to_string()),
            Self::Skipped { reason }
            | Self::WaitsForSave { reason }
            | Self::Waiting { reason, .. }
            | Self::Parked { reason } => Some(reason.clone()),
            Self::Proposed { .. } | Self::UpToDate | Self::Removed | Self::Superseded => None,
        }
    }

    /// Whether a one-shot run counts the file as failed.
    pub fn is_failure(&self) -> bool {
        match self {
            Self::Written { without, .. } => !without.is_empty(),
            Self::Waiting { .. } | Self::Parked { .. } => true,
            Self::Proposed { .. }
            | Self::UpToDate
            | Self::Removed
            | Self::Skipped { .. }
            | Self::WaitsForSave { .. }
            | Self::Superseded => false,
        }
    }
}

/// Members that are without a test, for people.
pub(crate) struct Without<'a>(pub(crate) &'a [(MemberName, String)]);

impl fmt::Display for Without<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no usable test for ")?;
        for (index, (member, reason)) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}`{member}` ({reason})")?;
        }
        Ok(())
    }
}

/// What was kept out of the tree, in one line.
pub(crate) struct HeldBackList<'a>(pub(crate) &'a [HeldBack]);

impl fmt::Display for HeldBackList<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, HeldBack { member, why, .. }) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}`{member}` ({why})")?;
        }
        Ok(())
    }
}

/// What running a file's bodies took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TrialFigures {
    /// Bodies that held.
    pub passed: u32,
    /// How many times the toolchain was started.
    pub runs: u32,
    /// The time that took.
    pub elapsed: Duration,
    /// Whether there was no toolchain to run some of them.
    pub is_unverified: bool,
    /// Whether the project did not build.
    pub is_broken: bool,
}

/// One job's run.
#[derive(Debug, Clone)]
pub struct JobReport {
    /// The job.
    pub id: JobId,
    /// The project's root.
    pub root: String,
    /// The source file.
    pub path: RelPath,
    /// How it ended.
    pub outcome: Outcome,
    /// The file's members.
    pub members: usize,
    /// Members found in the cache.
    pub hits: u32,
    /// Members not found there.
    pub misses: u32,
    /// What it cost.
    pub effort: Effort,
    /// What that is in money, if the model was asked: `$0.0123`, `?` where a price is not known.
    pub cost: Option<String>,
    /// The models that answered.
    pub models: Vec<String>,
    /// What running the bodies took.
    pub trial: TrialFigures,
    /// Members whose tests are kept out of the tree since they did not hold.
    pub held_back: Vec<HeldBack>,
    /// How long it took.
    pub elapsed: Duration,
}
