//! Edits to a test file at the user's word.

use std::sync::Arc;

use testsmith_domain::{
    Block, BlockEdit, BlockState, LanguageDriver, LedgerEntry, MemberName, Project, SourceFile,
    WrittenBlock,
};

use super::{Review, ended};
use crate::error::DaemonError;
use crate::files::{Composing, compose, keeps_changing, read_text, unusable, unwritable, write};
use crate::merge::{MERGE_ATTEMPTS, taken_out};
use crate::service::root_name;
use crate::tree::WriteError;

/// What came of edits.
pub(super) struct Edited {
    /// The test file's blocks afterwards.
    pub(super) blocks: Vec<Block>,
    pub(super) refused: Vec<(MemberName, String)>,
    /// Members whose blocks the user had taken out.
    gone: Vec<MemberName>,
}

impl Review {
    /// Carries out edits, on a file of which `entry` is known; one that is saved meanwhile is read and
    /// composed anew.
    pub(super) async fn edit(
        &self,
        project: &Project,
        file: &Arc<SourceFile>,
        entry: &LedgerEntry,
        edits: &[BlockEdit],
    ) -> Result<Edited, DaemonError> {
        let driver = self.driver_for(&file.path)?;
        let folder = self
            .folders
            .lock_of(&root_name(&project.root), &file.test_path);
        let _alone = folder.lock().await;
        for _ in 0..MERGE_ATTEMPTS {
            let existing = read_text(project, &file.test_path).await;
            let existing = existing.map_err(|outcome| ended(&outcome))?;
            let gone = gone(&driver, file, entry, existing.as_deref())?;
            let members = gone.iter().map(|edit| edit.member().clone()).collect();
            let edits = edits.iter().cloned().chain(gone).collect();
            let work = Composing {
                project,
                driver: &driver,
                file,
                existing: existing.as_deref(),
            };
            let composed = compose(work, edits).await;
            let composed = composed.map_err(|outcome| ended(&outcome))?;
            let new = composed.text.as_deref();
            match write(
                &self.writes,
                project,
                &file.test_path,
                existing.as_deref(),
                new,
            )
            .await
            {
                Ok(()) => {
                    let blocks = match new {
                        Some(text) => driver
                            .blocks(&file.test_path, text)
                            .map_err(|error| DaemonError::Review(error.to_string()))?,
                        None => Vec::new(),
                    };
                    let refused = composed.rejected.into_iter();
                    return Ok(Edited {
                        blocks,
                        refused: refused.map(|(m, why)| (m, why.to_string())).collect(),
                        gone: members,
                    });
                }
                Err(WriteError::Changed(_)) => {}
                Err(error) => return Err(ended(&unwritable(&error))),
            }
        }
        Err(ended(&keeps_changing(&file.test_path)))
    }
}

/// Blocks that the user has taken out since they were written, as edits.
pub(super) fn gone(
    driver: &Arc<dyn LanguageDriver>,
    file: &SourceFile,
    entry: &LedgerEntry,
    existing: Option<&str>,
) -> Result<Vec<BlockEdit>, DaemonError> {
    let Some(text) = existing else {
        return Ok(Vec::new());
    };
    let blocks = driver.blocks(&file.test_path, text);
    let blocks = blocks.map_err(|error| ended(&unusable(&file.test_path, &error)))?;
    Ok(taken_out(Some(entry), &file.test_path, &blocks).collect())
}

/// Notes the blocks as they were written. What the user had taken out stays out.
pub(super) fn note_written(
    entry: &mut LedgerEntry,
    driver: &Arc<dyn LanguageDriver>,
    file: &SourceFile,
    edited: &Edited,
) {
    let blocks = &edited.blocks;
    entry.test_path = file.test_path.clone();
    for block in blocks {
        if block.state == BlockState::Pristine {
            let known = entry.blocks.entry(block.member.clone()).or_default();
            known.written = Some(WrittenBlock {
                key: block.key.clone(),
                sum: driver.body_sum(&file.test_path, &block.body),
                body: block.body.clone(),
            });
        }
    }
    for (member, known) in &mut entry.blocks {
        if blocks.iter().all(|block| block.member != *member) {
            let written = known.written.take();
            let deleted = written.filter(|_| edited.gone.contains(member));
            known.deleted.extend(deleted.map(|written| written.key));
        }
    }
    entry.blocks.retain(|_, block| !block.is_empty());
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;

    use testsmith_domain::{Analysis, BlockKey, RelPath};
    use testsmith_queue::Queue;

    use super::*;
    use crate::tree::WriteLog;

    const SOURCE: &str = "package shop\n\nfunc Add() {}\n\nfunc Half() {}\n";

    fn put(member: &str, key: &str, imports: &str, code: &str) -> BlockEdit {
        BlockEdit::Put {
            member: member.into(),
            key: BlockKey(key.to_owned()),
            body: format!("{imports}\nfunc Test{member}(t *testing.T) {{\n\t{code}\n}}\n"),
            verified: true,
        }
    }

    async fn review(state: &std::path::Path, project: &Project) -> Review {
        let (queue, _) = Queue::open(&state.join("jobs")).await.unwrap();
        Review {
            queue,
            projects: vec![project.clone()],
            drivers: testsmith_lang::drivers(),
            folders: Arc::default(),
            writes: Arc::new(WriteLog::new(state)),
            lock: None,
        }
    }

    /// At the user's word too, before a job has seen what they took out.
    #[tokio::test]
    async fn what_only_a_block_used_that_was_taken_out_goes_and_the_block_stays_out() {
        let (dir, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let root = dir.path().canonicalize().unwrap();
        fs::write(root.join("go.mod"), "module example.com/shop\n\ngo 1.19\n").unwrap();
        let project = Project::at(root.clone());
        let review = review(state.path(), &project).await;
        let path = RelPath::new("cart.go").unwrap();
        let driver = review.driver_for(&path).unwrap();
        let Analysis::Source(file) = driver.analyze(&project, &path, SOURCE) else {
            panic!("no source");
        };
        let file = Arc::new(file);
        let mut entry = LedgerEntry {
            test_path: file.test_path.clone(),
            blocks: BTreeMap::new(),
            proposals: BTreeMap::new(),
        };
        let first = [
            put("Add", "00000001", "import \"fmt\"\n", "fmt.Print()"),
            put("Half", "00000002", "", "Half()"),
        ];
        let edited = review.edit(&project, &file, &entry, &first).await.unwrap();
        note_written(&mut entry, &driver, &file, &edited);

        let test_file = root.join(file.test_path.as_str());
        let text = fs::read_to_string(&test_file).unwrap();
        let (before, rest) = text.split_once("// testsmith:begin Add").unwrap();
        let (_, behind) = rest.split_once("// testsmith:end Add\n").unwrap();
        fs::write(&test_file, format!("{before}{}", behind.trim_start())).unwrap();
        let second = [put("Half", "00000003", "", "Half()\n\tHalf()")];
        let edited = review.edit(&project, &file, &entry, &second).await.unwrap();
        note_written(&mut entry, &driver, &file, &edited);

        let text = fs::read_to_string(&test_file).unwrap();
        assert!(text.contains("key=00000003"), "{text}");
        assert!(!text.contains("\"fmt\""), "{text}");
        let taken_out = &entry.blocks[&"Add".into()];
        assert_eq!(taken_out.written, None);
        assert!(taken_out.deleted.contains(&BlockKey("00000001".to_owned())));
        assert!(entry.blocks[&"Half".into()].deleted.is_empty());
    }
}
