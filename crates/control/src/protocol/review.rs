//! `POST /v1/review`: findings, quarantine, proposals and blocks, and the user's word on them.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use testsmith_domain::{BlockKey, Finding, MemberName, RelPath, Verdict};

/// What is asked or told.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "verb")]
pub enum ReviewRequest {
    /// Lists findings: the open ones, or all.
    Findings {
        /// Those that were accepted or dismissed as well.
        all: bool,
    },
    /// Lists what is in quarantine.
    Quarantine,
    /// Lets go what is in quarantine, of these files or of all: it is asked for again.
    Release {
        /// Source or test files.
        paths: Vec<PathBuf>,
    },
    /// Writes a finding's test to the tree.
    AcceptFinding {
        /// Its identity.
        id: String,
    },
    /// Ends a finding.
    DismissFinding {
        /// Its identity.
        id: String,
    },
    /// Shows proposals, of these files or of all.
    Proposals {
        /// Source or test files, below a root or absolute.
        paths: Vec<PathBuf>,
    },
    /// Writes the proposals of these files, or of all if there are none.
    Accept {
        /// Source or test files.
        paths: Vec<PathBuf>,
    },
    /// Drops the proposals of these files, or of all if there are none.
    Reject {
        /// Source or test files.
        paths: Vec<PathBuf>,
    },
    /// Takes the marks out of a test file: its tests are the user's from then on.
    Adopt {
        /// The source or the test file.
        path: PathBuf,
    },
    /// Shows what the user changed in our blocks.
    Diff {
        /// The source or the test file.
        path: PathBuf,
    },
}

impl ReviewRequest {
    /// Whether it only asks, and changes nothing.
    pub const fn is_question(&self) -> bool {
        match self {
            Self::Findings { .. }
            | Self::Quarantine
            | Self::Proposals { .. }
            | Self::Diff { .. } => true,
            Self::Release { .. }
            | Self::AcceptFinding { .. }
            | Self::DismissFinding { .. }
            | Self::Accept { .. }
            | Self::Reject { .. }
            | Self::Adopt { .. } => false,
        }
    }
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReviewReply {
    /// Findings.
    Findings(Vec<FindingReport>),
    /// Bodies in quarantine.
    Quarantine(Vec<QuarantineReport>),
    /// Files with proposals.
    Proposals(Vec<ProposalReport>),
    /// Files that were dealt with.
    Settled(Vec<Settled>),
    /// What the user changed.
    Changes(Vec<BlockChange>),
}

/// A finding, and where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindingReport {
    /// The source file.
    pub path: RelPath,
    /// The member.
    pub member: MemberName,
    /// The test file that it would go to.
    pub test_path: RelPath,
    /// The finding itself.
    #[serde(flatten)]
    pub finding: Finding,
}

/// A body that did not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuarantineReport {
    /// The source file.
    pub path: RelPath,
    /// The member.
    pub member: MemberName,
    /// What became of it.
    pub verdict: Verdict,
    /// What the runner said.
    pub output: String,
    /// The body.
    pub body: String,
    /// When, in Unix seconds.
    pub since: u64,
}

/// What would be written to one test file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProposalReport {
    /// The source file.
    pub path: RelPath,
    /// The test file.
    pub test_path: RelPath,
    /// The members.
    pub members: Vec<MemberName>,
    /// A unified diff.
    pub diff: String,
}

/// What was done with one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settled {
    /// The source file.
    pub path: RelPath,
    /// The test file.
    pub test_path: RelPath,
    /// The members.
    pub members: Vec<MemberName>,
    /// Members that could not be dealt with, and why.
    pub refused: Vec<(MemberName, String)>,
}

/// One block that the user changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockChange {
    /// The member.
    pub member: MemberName,
    /// The key that the block was written for.
    pub key: BlockKey,
    /// A unified diff from the text as it was written; `None` if the block was deleted.
    pub diff: Option<String>,
    /// Whether the member's code has changed since.
    pub outdated: bool,
}
