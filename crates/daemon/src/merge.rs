//! Bodies into the test file.

mod remember;

use std::collections::BTreeSet;
use std::sync::Arc;

use testsmith_domain::{
    Block, BlockEdit, BlockState, LanguageDriver, LedgerEntry, MemberName, Project, Rejection,
    RelPath, SourceFile, Step, note,
};
use testsmith_generate::{Decision, FileRequest, FileResult};

use crate::files::{Composing, compose, keeps_changing, read_text, unusable, unwritable, write};
use crate::report::Outcome;
use crate::tree::{WriteError, WriteLog};
use crate::verification::Trial;

/// How often a test file that keeps changing under us is read anew before the job waits.
pub(crate) const MERGE_ATTEMPTS: u32 = 5;

/// One file's bodies on their way into its test file.
pub(crate) struct Merge {
    pub(crate) project: Project,
    pub(crate) driver: Arc<dyn LanguageDriver>,
    pub(crate) file: Arc<SourceFile>,
    pub(crate) ledger: Option<LedgerEntry>,
    pub(crate) result: FileResult,
    /// What came of running the bodies.
    pub(crate) trial: Trial,
    /// Edits that were not carried out.
    pub(crate) rejected: Vec<(MemberName, Rejection)>,
    /// The test file's blocks as they are now.
    pub(crate) blocks: Vec<Block>,
    /// Whether the ledger knows of a test file here.
    existed_before: bool,
    /// Whether there is a test file now.
    exists: bool,
    /// What this has made of it.
    written: Written,
}

/// What has become of a test file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Written {
    /// It is as it was read, with what is to go still in it.
    NotYet,
    /// It is as composed.
    Composed,
    /// It went, since nothing was left in it.
    Emptied,
}

/// Blocks that were written and are not there any more, as edits: what only they used goes with them.
pub(crate) fn taken_out<'a>(
    ledger: Option<&'a LedgerEntry>,
    test_path: &'a RelPath,
    blocks: &'a [Block],
) -> impl Iterator<Item = BlockEdit> + 'a {
    let here = ledger.filter(|entry| entry.test_path == *test_path);
    let known = here.into_iter().flat_map(|entry| &entry.blocks);
    known.filter_map(move |(member, block)| {
        let written = block.written.as_ref()?;
        let is_there = blocks.iter().any(|block| block.member == *member);
        (!is_there).then(|| BlockEdit::Gone {
            member: member.clone(),
            body: written.body.clone(),
        })
    })
}

impl Merge {
    /// The bodies found for `request`.
    pub(crate) fn new(request: FileRequest, result: FileResult) -> Self {
        let FileRequest {
            project,
            file,
            driver,
            ledger,
            ..
        } = request;
        let written_here = |entry: &LedgerEntry| entry.test_path == file.test_path;
        let existed_before = ledger.as_ref().is_some_and(written_here);
        Self {
            project,
            driver,
            file,
            ledger,
            result,
            trial: Trial::default(),
            rejected: Vec::new(),
            blocks: Vec::new(),
            existed_before,
            exists: false,
            written: Written::NotYet,
        }
    }

    /// Writes what is new. Gives the members whose blocks were written or removed.
    ///
    /// The file is composed from `existing`; if somebody saves it in between, it is read and
    /// composed anew.
    pub(crate) async fn write(
        &mut self,
        log: &Arc<WriteLog>,
        mut existing: Option<String>,
    ) -> Result<Vec<MemberName>, Outcome> {
        let test_path = self.file.test_path.clone();
        for _ in 0..MERGE_ATTEMPTS {
            let (new, edits) = self.compose(existing.as_deref()).await?;
            if new == existing {
                if self.written == Written::NotYet {
                    self.written = Written::Composed;
                }
                return Ok(Vec::new());
            }
            match write(
                log,
                &self.project,
                &test_path,
                existing.as_deref(),
                new.as_deref(),
            )
            .await
            {
                Ok(()) => {
                    self.read_blocks(new.as_deref())?;
                    self.written = match new {
                        Some(_) => Written::Composed,
                        None => Written::Emptied,
                    };
                    return Ok(self.carried_out(&edits));
                }
                Err(WriteError::Changed(_)) => {
                    existing = read_text(&self.project, &test_path).await?;
                }
                Err(error) => return Err(unwritable(&error)),
            }
        }
        Err(keeps_changing(&test_path))
    }

    /// The test file's text with the new bodies in it, and the edits that make it so.
    pub(crate) async fn compose(
        &mut self,
        existing: Option<&str>,
    ) -> Result<(Option<String>, Vec<BlockEdit>), Outcome> {
        self.read_blocks(existing)?;
        let edits = self.edits();
        if edits.is_empty() {
            return Ok((existing.map(str::to_owned), edits));
        }
        let work = Composing {
            project: &self.project,
            driver: &self.driver,
            file: &self.file,
            existing,
        };
        let composed = compose(work, edits.clone()).await?;
        self.rejected = composed.rejected;
        Ok((composed.text, edits))
    }

    fn read_blocks(&mut self, text: Option<&str>) -> Result<(), Outcome> {
        let test_path = &self.file.test_path;
        self.exists = text.is_some();
        self.blocks = match text {
            Some(text) => self
                .driver
                .blocks(test_path, text)
                .map_err(|error| unusable(test_path, &error))?,
            None => Vec::new(),
        };
        Ok(())
    }

    /// New bodies, and the blocks that go: of members that are gone, and those that do not hold any
    /// more. While the source has a syntax error somewhere, a member that is not seen may just be
    /// out of sight: nothing is removed then.
    fn edits(&self) -> Vec<BlockEdit> {
        let put = self.result.bodies.iter().map(|(body, key)| BlockEdit::Put {
            member: body.member.clone(),
            key: key.clone(),
            body: body.code.clone(),
            verified: !self.trial.unverified.contains_key(&body.member),
        });
        let is_gone = |member: &MemberName| {
            self.file.problems.is_empty() && self.file.members.iter().all(|m| m.name != *member)
        };
        let remove = self
            .blocks
            .iter()
            .filter(|block| block.state == BlockState::Pristine)
            .filter(|block| is_gone(&block.member) || self.trial.stale.contains(&block.member))
            .map(|block| BlockEdit::Remove {
                member: block.member.clone(),
            });
        let gone = taken_out(self.ledger.as_ref(), &self.file.test_path, &self.blocks);
        let gone = gone.filter(|_| self.exists);
        put.chain(remove).chain(gone).collect()
    }

    fn carried_out(&self, edits: &[BlockEdit]) -> Vec<MemberName> {
        edits
            .iter()
            .filter(|edit| !matches!(edit, BlockEdit::Gone { .. }))
            .map(|edit| edit.member().clone())
            .filter(|member| self.rejected.iter().all(|(rejected, _)| rejected != member))
            .collect()
    }

    /// Members that are without a test though one was wanted, with the reason.
    pub(crate) fn without(&self) -> Vec<(MemberName, String)> {
        let missing = self
            .result
            .decisions
            .iter()
            .filter_map(|(member, _, decision)| {
                if let Decision::Missing { reason } = decision {
                    Some((member.clone(), reason.clone()))
                } else {
                    None
                }
            });
        let rejected = self
            .rejected
            .iter()
            .filter(|(member, why)| !self.is_theirs(member, why))
            .map(|(member, why)| (member.clone(), why.to_string()));
        missing.chain(rejected).collect()
    }

    /// Whether an edit was refused because the user has something of their own there: an edited
    /// block, or a test of that name. Nothing is missing then.
    fn is_theirs(&self, member: &MemberName, why: &Rejection) -> bool {
        match why {
            Rejection::Edited => true,
            Rejection::DuplicateName { name, path } => {
                self.is_the_user_s(path) && self.is_test(member, name)
            }
        }
    }

    fn is_the_user_s(&self, path: &RelPath) -> bool {
        !self.driver.owns(path) && *path != self.file.test_path
    }

    /// Whether `name` is a test of the member's new body, rather than a helper.
    fn is_test(&self, member: &MemberName, name: &str) -> bool {
        let mut bodies = self.result.bodies.iter();
        let body = bodies.find(|(body, _)| body.member == *member);
        body.is_none_or(|(body, _)| {
            let tests = self.driver.test_names(&self.file, &body.code);
            tests.iter().any(|test| test == name)
        })
    }

    /// Gives helpers other names that the user's own tests have taken. Whether there were any.
    pub(crate) fn rename_helpers(&mut self) -> bool {
        let mut renamed = Vec::new();
        for (member, why) in &self.rejected {
            let Rejection::DuplicateName { name, path } = why else {
                continue;
            };
            if !self.is_the_user_s(path) || self.is_test(member, name) {
                continue;
            }
            let mut members = self.file.members.iter();
            let source = members.find(|source| source.name == *member);
            let mut bodies = self.result.bodies.iter();
            let body = bodies.position(|(body, _)| body.member == *member);
            let (Some(source), Some(at)) = (source, body) else {
                continue;
            };
            let code = &self.result.bodies[at].0.code;
            let better = self
                .driver
                .mend(&self.file, source, code, &why.to_string())
                .and_then(|code| self.driver.prepare_body(&self.file, source, &code).ok());
            renamed.extend(better.map(|code| (at, code)));
        }
        let any = !renamed.is_empty();
        for (at, code) in renamed {
            self.result.bodies[at].0.code = code;
        }
        any
    }

    /// Whether a name is held by another file of ours: it may be on its way out there.
    pub(crate) fn is_contended(&self) -> bool {
        !self.contended().is_empty()
    }

    /// Test files of ours that hold names the new bodies need.
    pub(crate) fn contended(&self) -> BTreeSet<RelPath> {
        let holder = |why: &Rejection| match why {
            Rejection::DuplicateName { path, .. } => Some(path.clone()),
            Rejection::Edited => None,
        };
        self.rejected
            .iter()
            .filter_map(|(_, why)| holder(why))
            .filter(|path| self.driver.owns(path) && *path != self.file.test_path)
            .collect()
    }

    /// Whether there is no test file at all though there was one: a checkout of another branch, or
    /// `git clean`, is no judgement on a single block.
    fn whole_file_is_gone(&self) -> bool {
        let is_gone = self.blocks.is_empty() && self.existed_before && !self.exists;
        is_gone && self.written != Written::Emptied
    }

    /// Says, once for each block, that it is the user's from now on.
    pub(crate) fn tell_whose(&self) {
        if self.whole_file_is_gone() {
            return;
        }
        for (member, key, decision) in &self.result.decisions {
            let known = self.known(member);
            if remember::is_outdated(known, key, decision)
                && known.and_then(|block| block.outdated.as_ref()) != Some(key)
            {
                tracing::info!(
                    path = %self.file.path, %member, test_path = %self.file.test_path,
                    "the code has changed, and its test is the user's: it may be out of date"
                );
            }
            let told = known.is_some_and(|block| block.told);
            let what = match decision {
                Decision::Edited => "edited",
                Decision::Deleted => "deleted",
                _ => continue,
            };
            if !told {
                note(|| Step::Yours {
                    member: member.clone(),
                    what: what.to_owned(),
                });
                tracing::info!(
                    path = %self.file.path, %member, test_path = %self.file.test_path, what,
                    "block is the user's from now on"
                );
            }
        }
    }
}

#[cfg(test)]
mod tests;
