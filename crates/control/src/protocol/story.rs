//! `GET /v1/file`: everything that is known of one file.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use testsmith_domain::{MemberName, RelPath, Story};

use super::{JobInfo, OpenCall, RunningJob, Timestamp};

/// Which file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileQuery {
    /// The project's root; may be left out if the daemon has only one.
    #[serde(default)]
    pub root: Option<PathBuf>,
    /// The file.
    pub path: RelPath,
}

/// What is known of one file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FileStory {
    /// The project's root.
    pub root: PathBuf,
    /// The file.
    pub path: RelPath,
    /// Whether this comes from a running daemon, or was read from its state.
    pub live: bool,
    /// Whether it is there.
    pub exists: bool,
    /// Its language; `None` if testsmith knows none for it.
    pub language: Option<String>,
    /// Whether it is a test file of testsmith's own.
    pub is_own_test: bool,
    /// What ignores it.
    pub ignored: Option<Ignored>,
    /// Whether the watcher has seen it as it is now; `None` if it was never seen.
    pub seen_as_it_is: Option<bool>,
    /// Its job, if it has one.
    pub job: Option<JobInfo>,
    /// What is being done for it now, by a daemon that runs.
    #[serde(default)]
    pub running: Option<RunningJob>,
    /// Requests to the model that are open for it.
    #[serde(default)]
    pub open_calls: Vec<OpenCall>,
    /// Its public members, as it is now.
    #[serde(default)]
    pub public: Vec<MemberName>,
    /// Why there is nothing to test in it as it is now.
    #[serde(default)]
    pub nothing_to_test: Option<String>,
    /// The sources that it holds testsmith's tests of.
    #[serde(default)]
    pub tests_of: Vec<RelPath>,
    /// The test file.
    pub test_path: Option<RelPath>,
    /// What was written for its members.
    pub members: Vec<LedgerMember>,
    /// What was decided so far, the oldest run first.
    pub history: Vec<Story>,
}

/// What keeps a file from being a source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ignored {
    /// The file, or the folder above it that is ignored.
    pub path: RelPath,
    /// The rule as it is written.
    pub rule: String,
    /// The file that the rule is in; `None` for the `exclude` setting and built-in rules.
    pub file: Option<PathBuf>,
    /// The rule's line, counted from 1.
    pub line: Option<u64>,
}

/// What the ledger knows of one member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerMember {
    /// The member.
    pub member: MemberName,
    /// The key of the block as it was last written; `None` if there is none now.
    pub key: Option<String>,
    /// Keys for which the user deleted the block.
    pub deleted: Vec<String>,
    /// Whether the block is the user's: edited or deleted.
    pub yours: bool,
    /// Since when, if that is known.
    pub yours_since: Option<Timestamp>,
    /// Whether its block is the user's and tests older code than there is now.
    #[serde(default)]
    pub outdated: bool,
    /// Why the block is not verified, if it is not.
    #[serde(default)]
    pub unverified: Option<String>,
    /// What became of a body that is in quarantine.
    #[serde(default)]
    pub quarantined: Option<String>,
    /// Identities of its findings.
    #[serde(default)]
    pub findings: Vec<String>,
    /// Whether a body waits for the user to accept it.
    #[serde(default)]
    pub proposed: bool,
}
