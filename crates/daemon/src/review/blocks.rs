//! Blocks that are the user's, or are to be.

use std::path::Path;

use testsmith_domain::{Block, BlockState, LedgerBlock, RelPath};

use super::{BlockChange, Review, Settled, ended, unified};
use crate::error::DaemonError;
use crate::files::{read_text, unwritable, write};
use crate::service::root_name;

impl Review {
    /// Takes the marks out of a test file and gives it an ordinary name, if that is free.
    pub(super) async fn adopt(&self, path: &Path) -> Result<Settled, DaemonError> {
        let (project, source, _) = self.named(path).await?;
        let driver = self.driver_for(&source)?;
        let held = self.hold(&project, &source).await?;
        let Some(mut entry) = held.ledger.clone() else {
            self.release(held, None).await?;
            return Err(DaemonError::Review(format!(
                "nothing was written for `{source}`"
            )));
        };
        let folder = self
            .folders
            .lock_of(&root_name(&project.root), &entry.test_path);
        let adopted = async {
            let _alone = folder.lock().await;
            let text = read_text(&project, &entry.test_path).await;
            let text = text
                .map_err(|outcome| ended(&outcome))?
                .ok_or_else(|| DaemonError::Review(format!("there is no `{}`", entry.test_path)))?;
            let fail = |error: testsmith_domain::ComposeError| {
                DaemonError::Review(format!("`{}`: {error}", entry.test_path))
            };
            let blocks = driver.blocks(&entry.test_path, &text).map_err(fail)?;
            let bare = driver
                .without_marks(&entry.test_path, &text)
                .map_err(fail)?;
            let target = ordinary_name(&entry.test_path)
                .filter(|target| !target.under(&project.root).exists());
            let changed = |error| ended(&unwritable(&error));
            if let Some(target) = &target {
                // First the new file, then the old one goes: the tests are there at any moment.
                let written = write(&project, target, None, Some(&bare));
                written.await.map_err(changed)?;
            }
            // In place, if the ordinary name is taken.
            let left = target.is_none().then_some(bare.as_str());
            let written = write(&project, &entry.test_path, Some(&text), left).await;
            if let (Err(_), Some(target)) = (&written, &target) {
                // The user saved it just now: no test is to be there twice.
                let undone = write(&project, target, Some(&bare), None);
                undone.await.map_err(changed)?;
            }
            written.map_err(changed)?;
            Ok((blocks, target.unwrap_or_else(|| entry.test_path.clone())))
        };
        let (blocks, test_path) = match adopted.await {
            Ok(adopted) => adopted,
            Err(error) => {
                self.release(held, Some(entry)).await?;
                return Err(error);
            }
        };
        for block in &blocks {
            let known = entry.blocks.entry(block.member.clone()).or_default();
            let mut deleted = std::mem::take(&mut known.deleted);
            deleted.insert(block.key.clone());
            // Not written again for this code.
            *known = LedgerBlock {
                deleted,
                told: true,
                ..LedgerBlock::default()
            };
        }
        self.release(held, Some(entry)).await?;
        Ok(Settled {
            path: source,
            test_path,
            members: blocks.into_iter().map(|block| block.member).collect(),
            refused: Vec::new(),
        })
    }

    /// What the user changed in our blocks. A formatter's changes are none.
    pub(super) async fn changes(&self, path: &Path) -> Result<Vec<BlockChange>, DaemonError> {
        let (project, source, entry) = self.named(path).await?;
        let driver = self.driver_for(&source)?;
        let text = read_text(&project, &entry.test_path).await;
        let text = text.map_err(|outcome| ended(&outcome))?;
        let blocks: Vec<Block> = match &text {
            Some(text) => driver
                .blocks(&entry.test_path, text)
                .map_err(|error| DaemonError::Review(format!("`{}`: {error}", entry.test_path)))?,
            None => Vec::new(),
        };
        let mut changes = Vec::new();
        for (member, known) in &entry.blocks {
            let outdated = known.outdated.is_some();
            let block = blocks.iter().find(|block| block.member == *member);
            match (block, &known.written) {
                (Some(block), Some(written)) if block.state == BlockState::Edited => {
                    let header = (format!("written/{member}"), format!("yours/{member}"));
                    let diff = unified(&written.body, &block.body, (&header.0, &header.1));
                    changes.push(BlockChange {
                        member: member.clone(),
                        key: written.key.clone(),
                        diff: Some(diff),
                        outdated,
                    });
                }
                (None, _) => changes.extend(known.deleted.iter().map(|key| BlockChange {
                    member: member.clone(),
                    key: key.clone(),
                    diff: None,
                    outdated,
                })),
                _ => {}
            }
        }
        Ok(changes)
    }
}

/// What a test file of ours is called once it is the user's.
fn ordinary_name(path: &RelPath) -> Option<RelPath> {
    let text = path.as_str();
    let plain = text
        .replacen("_testsmith_test.", "_test.", 1)
        .replacen(".testsmith.test.", ".test.", 1)
        .replacen("/testsmith/test_", "/test_", 1);
    (plain != text).then(|| RelPath::new(&plain).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_adopted_file_has_an_ordinary_name() {
        let name = |path: &str| {
            ordinary_name(&RelPath::new(path).unwrap()).map(|path| path.as_str().to_owned())
        };
        assert_eq!(
            name("a/cart_testsmith_test.go").as_deref(),
            Some("a/cart_test.go")
        );
        assert_eq!(
            name("tests/testsmith/test_shop_cart.py").as_deref(),
            Some("tests/test_shop_cart.py")
        );
        assert_eq!(
            name("src/cart.testsmith.test.ts").as_deref(),
            Some("src/cart.test.ts")
        );
        assert_eq!(name("src/other.test.ts"), None);
    }
}
