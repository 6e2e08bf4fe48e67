//! What was written where.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{BlockKey, ContentHash, MemberName, RelPath, Verdict};

/// What testsmith has written for one source file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerEntry {
    /// The test file.
    pub test_path: RelPath,
    /// What is known of each member's block.
    pub blocks: BTreeMap<MemberName, LedgerBlock>,
    /// What is to be written once the user accepts it (`mode = "propose"`).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub proposals: BTreeMap<MemberName, Proposal>,
}

impl LedgerEntry {
    /// What of it is worth a look.
    pub fn review_tally(&self) -> ReviewTally {
        let mut tally = ReviewTally {
            proposed: count(self.proposals.len()),
            ..ReviewTally::default()
        };
        for (member, block) in &self.blocks {
            let findings = block.findings.iter();
            let open = findings.filter(|finding| finding.state == FindingState::Open);
            tally.findings += count(open.count());
            tally.quarantined += u64::from(block.quarantine.is_some());
            tally.unverified += u64::from(block.unverified.is_some());
            if block.outdated.is_some() {
                let outdated = (self.test_path.clone(), member.clone());
                tally.outdated.push(outdated);
            }
        }
        tally
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// What of the tests is worth a look, counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReviewTally {
    /// Changes that wait for the user to accept them.
    pub proposed: u64,
    /// Open findings.
    pub findings: u64,
    /// Bodies in quarantine.
    pub quarantined: u64,
    /// Blocks that could not be verified so far.
    pub unverified: u64,
    /// Blocks of the user's own that test older code than there is now: test file and member.
    pub outdated: Vec<(RelPath, MemberName)>,
}

impl ReviewTally {
    /// Adds another one.
    pub fn add(&mut self, other: &Self) {
        self.proposed += other.proposed;
        self.findings += other.findings;
        self.quarantined += other.quarantined;
        self.unverified += other.unverified;
        self.outdated.extend_from_slice(&other.outdated);
    }
}

/// What testsmith knows of one member's block.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerBlock {
    /// Key and text of the block as it was last written; `None` if there is none now.
    pub written: Option<WrittenBlock>,
    /// Keys for which the user deleted the block: it is not written again for these.
    pub deleted: BTreeSet<BlockKey>,
    /// Whether the user was told that the block is theirs, so that it is said once only.
    pub told: bool,
    /// Since when the block has been theirs, in Unix seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub theirs_since: Option<u64>,
    /// Why the block could not be verified, if it was written without: it is verified as soon as it
    /// can be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unverified: Option<String>,
    /// A body that did not hold. For its key the member is not asked for again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quarantine: Option<Quarantined>,
    /// Tests of the member that fail in each run, in an assertion.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    /// The key that the member has now, if the user's own block of it is older: its tests may be out
    /// of date.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outdated: Option<BlockKey>,
}

impl LedgerBlock {
    /// Whether there is nothing to be known of it.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether all that is to be found out for `key` has been: its body did not hold, or its tests
    /// are findings.
    pub fn is_settled(&self, key: &BlockKey) -> bool {
        let quarantined = self.quarantine.as_ref().is_some_and(|q| q.key == *key);
        quarantined || self.findings.iter().any(|finding| finding.key == *key)
    }
}

/// A body that did not hold, kept out of the tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantined {
    /// The key of its answer.
    pub key: BlockKey,
    /// The body, as it was run last.
    pub body: String,
    /// What became of it.
    pub verdict: Verdict,
    /// What the runner said.
    pub output: String,
    /// When, in Unix seconds.
    pub since: u64,
}

/// A test that compiles, runs and fails the same way each time: it is wrong, or the code is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Names it on the command line: 8 hex digits.
    pub id: String,
    /// The key of its answer.
    pub key: BlockKey,
    /// The test's name.
    pub test: String,
    /// The tests of the same body that hold.
    #[serde(default)]
    pub beside: Vec<String>,
    /// The whole body that it is part of.
    pub body: String,
    /// The assertion, in the runner's words.
    pub output: String,
    /// Who is wrong, as the model sees it; `None` if it could not be asked.
    pub judgement: Option<Judgement>,
    /// First and last line of the member, counted from 1, as of the time it was found.
    pub lines: (u32, u32),
    /// What the user made of it.
    pub state: FindingState,
    /// When, in Unix seconds.
    pub since: u64,
}

impl Finding {
    /// The identity of a test of `member` in `path`, for the answer of `key`.
    pub fn id_of(path: &RelPath, member: &MemberName, key: &BlockKey, test: &str) -> String {
        crate::FieldHasher::new()
            .field(path.as_str())
            .field(member.as_str())
            .field(&key.0)
            .field(test)
            .finish()
            .short()
    }
}

/// What the user made of a finding.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FindingState {
    /// Nothing yet.
    #[default]
    Open,
    /// The test is in the tree.
    Accepted,
    /// It is no matter.
    Dismissed,
}

/// Who is wrong: the test, or the code it tests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judgement {
    /// What is wrong.
    pub wrong: Wrong,
    /// Why, in the model's words.
    pub reason: String,
    /// The model that was asked.
    pub model: String,
}

/// What is wrong where a test fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Wrong {
    /// The test: it expects what the code does not promise.
    Test,
    /// The code: it does not do what it promises.
    Code,
    /// It cannot be told.
    Unclear,
}

impl Wrong {
    /// The name in logs and output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Test => "test",
            Self::Code => "code",
            Self::Unclear => "unclear",
        }
    }
}

/// A change to one member's block that waits for the user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// The key of the answer, or of the block that would go.
    pub key: BlockKey,
    /// The body; `None` if the block would go.
    pub body: Option<String>,
    /// Why it is not verified, if it is not.
    pub unverified: Option<String>,
    /// The member's digest that it was made for.
    #[serde(default)]
    pub source: Option<ContentHash>,
}

/// A block as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrittenBlock {
    /// The key in its mark.
    pub key: BlockKey,
    /// The digest of its tokens.
    pub sum: ContentHash,
    /// The text between the marks.
    pub body: String,
}
