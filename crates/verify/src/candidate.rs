//! What is verified, and what came of it.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use testsmith_domain::{
    BlockEdit, BlockKey, ComposeError, ComposeRequest, Composed, ContentHash, LanguageDriver,
    MemberName, Project, RelPath, SourceFile, Verdict,
};

/// Bodies for members of one file, to be run before they are written.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// The project.
    pub project: Arc<Project>,
    /// The file's language.
    pub driver: Arc<dyn LanguageDriver>,
    /// The source file.
    pub file: Arc<SourceFile>,
    /// Its text. It is run as it is here, whatever is in the tree meanwhile, so that the verdicts are
    /// those of this text.
    pub source: Arc<str>,
    /// The test file as it is now; `None` if there is none.
    pub existing: Option<String>,
    /// The new bodies; at most one for each member.
    pub blocks: Vec<CandidateBlock>,
    /// Edits that are made in any case, such as the removal of blocks whose member is gone.
    pub edits: Vec<BlockEdit>,
}

/// One member's new body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CandidateBlock {
    /// The member.
    pub member: MemberName,
    /// The key of the answer, for the block's mark.
    pub key: BlockKey,
    /// The prepared body.
    pub body: String,
    /// The member's digest.
    pub source: ContentHash,
}

/// What came of a candidate.
#[derive(Debug, Clone)]
pub struct Verification {
    /// What became of each block, in the candidate's order.
    pub members: Vec<MemberVerdict>,
    /// The edits that hold: the candidate's own, and a `Put` for each body, or what is left of it,
    /// that passed. In `mode = "if-possible"` the caller adds the unverified.
    pub accepted: Vec<BlockEdit>,
    /// The test file with these, as it was run last. `None` if nothing passed.
    pub text: Option<String>,
    /// The toolchain's identity; `None` if there is none.
    pub toolchain: Option<String>,
    /// What kept members from being run, if anything did.
    pub obstacle: Option<Obstacle>,
    /// How many times the runner was started.
    pub runs: u32,
    /// What the runs tried and were kept from.
    pub blocked: Vec<String>,
    /// From the first run's start to the last one's end.
    pub elapsed: Duration,
}

/// What keeps candidates from being run. It says nothing about them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Obstacle {
    /// There is no toolchain, or no sandbox of the kind that is required.
    #[error("{0}")]
    Toolchain(String),
    /// The project itself does not build, or its test file cannot be composed.
    #[error("{0}")]
    Project(String),
    /// The run itself could not be made: the disk is full, the sandbox's launcher died. It may go
    /// better a little later.
    #[error("{0}")]
    Run(String),
}

/// What became of one member's body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberVerdict {
    /// The member.
    pub member: MemberName,
    /// The worst of its tests' verdicts.
    pub verdict: Verdict,
    /// What of the body holds: all of it if it passed, the tests that hold if others do not, `None`
    /// if nothing does.
    pub holds: Option<String>,
    /// What became of each test, as far as they could be told apart.
    pub tests: Vec<TestVerdict>,
    /// What the runner said, for a prompt and for people: paths relative, at most 2 KiB. The reason if it is
    /// unverified.
    pub output: String,
    /// Whether one of its tests is a finding, see [`TestVerdict::is_finding`].
    pub is_finding: bool,
}

/// What became of one test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestVerdict {
    /// The test's name, as [`LanguageDriver::test_names`] gives it.
    pub name: String,
    /// What became of it.
    pub verdict: Verdict,
    /// What the runner said, trimmed.
    pub output: String,
    /// Whether it fails in each run, in an assertion: the test or the code is wrong.
    pub is_finding: bool,
}

impl Candidate {
    /// The test file.
    pub(crate) fn test_path(&self) -> &RelPath {
        &self.file.test_path
    }

    /// The test file with `bodies`; the blocks of members without one are taken out, so that what
    /// was written for another version of the source does not stand in the way.
    pub(crate) fn compose(&self, bodies: &[(usize, String)]) -> Result<Composed, ComposeError> {
        let edits = self.edits_with(bodies, true);
        self.driver.compose(&ComposeRequest {
            project: &self.project,
            file: &self.file,
            existing: self.existing.as_deref(),
            edits: &edits,
        })
    }

    /// The candidate's own edits, and one for each of `bodies`.
    pub(crate) fn edits_with(&self, bodies: &[(usize, String)], remove: bool) -> Vec<BlockEdit> {
        let mut edits = self.edits.clone();
        for (index, block) in self.blocks.iter().enumerate() {
            let body = bodies.iter().find(|(of, _)| *of == index);
            match body {
                Some((_, body)) => edits.push(BlockEdit::Put {
                    member: block.member.clone(),
                    key: block.key.clone(),
                    body: body.clone(),
                    verified: true,
                }),
                None if remove => edits.push(BlockEdit::Remove {
                    member: block.member.clone(),
                }),
                None => {}
            }
        }
        edits
    }

    /// The test file without any of the new bodies. Where nothing would be left of it, a test that
    /// is skipped stands in: a file of the tree cannot be taken away for a run, and some runners fail
    /// where there is none.
    pub(crate) fn without_bodies(&self) -> Result<Option<String>, ComposeError> {
        if let Some(text) = self.compose(&[])?.text {
            return Ok(Some(text));
        }
        let first = self.blocks.first().and_then(|block| {
            let member = self.file.members.iter().find(|m| m.name == block.member)?;
            Some((0, self.driver.scaffold(&self.file, member)))
        });
        Ok(self.compose(first.as_slice())?.text)
    }
}
