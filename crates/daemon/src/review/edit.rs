//! Edits to a test file at the user's word.

use std::sync::Arc;

use testsmith_domain::{
    Block, BlockEdit, BlockState, LanguageDriver, LedgerEntry, MemberName, Project, SourceFile,
    WrittenBlock,
};

use super::{Review, ended};
use crate::error::DaemonError;
use crate::files::{Composing, compose, keeps_changing, read_text, unwritable, write};
use crate::merge::MERGE_ATTEMPTS;
use crate::service::root_name;
use crate::tree::WriteError;

/// What came of edits.
pub(super) struct Edited {
    /// The test file's blocks afterwards.
    pub(super) blocks: Vec<Block>,
    pub(super) refused: Vec<(MemberName, String)>,
}

impl Review {
    /// Carries out edits; a file that is saved meanwhile is read and composed anew.
    pub(super) async fn edit(
        &self,
        project: &Project,
        file: &Arc<SourceFile>,
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
            let work = Composing {
                project,
                driver: &driver,
                file,
                existing: existing.as_deref(),
            };
            let composed = compose(work, edits.to_vec()).await;
            let composed = composed.map_err(|outcome| ended(&outcome))?;
            let new = composed.text.as_deref();
            match write(project, &file.test_path, existing.as_deref(), new).await {
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
                    });
                }
                Err(WriteError::Changed(_)) => {}
                Err(error) => return Err(ended(&unwritable(&error))),
            }
        }
        Err(ended(&keeps_changing(&file.test_path)))
    }
}

/// Notes the blocks as they were written.
pub(super) fn note_written(
    entry: &mut LedgerEntry,
    driver: &Arc<dyn LanguageDriver>,
    file: &SourceFile,
    blocks: &[Block],
) {
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
            known.written = None;
        }
    }
    entry.blocks.retain(|_, block| !block.is_empty());
}
