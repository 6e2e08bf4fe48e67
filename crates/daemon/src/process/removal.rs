//! Taking our tests away: of a source that is gone, or from a place they have left.

use std::sync::Arc;

use testsmith_domain::{
    BlockEdit, BlockState, Framework, LanguageDriver, LedgerEntry, Project, RelPath, SourceFile,
};
use testsmith_generate::FileRequest;

use super::{LedgerChange, Run, Step, skipped};
use crate::files::{Composing, compose, keeps_changing, unwritable, write};
use crate::merge::{MERGE_ATTEMPTS, Merge};
use crate::report::Outcome;
use crate::service::Service;
use crate::tree::WriteError;

impl Run<'_> {
    /// The source is gone: so are our tests of it, but for what was edited.
    pub(super) async fn remove_tests(
        &mut self,
        project: &Project,
        driver: &Arc<dyn LanguageDriver>,
    ) -> Step<Outcome> {
        let ledger = self.service.ledger(self.job).await?;
        let Some(entry) = ledger else {
            return Ok(skipped("gone, and nothing was written for it"));
        };
        self.remove_blocks(project, driver, &entry).await?;
        self.ledger = LedgerChange::Remove;
        Ok(Outcome::Removed)
    }

    /// Whether the tests were written to another place before: the file was renamed, or its
    /// framework is another one.
    pub(super) fn moves(request: &FileRequest) -> bool {
        let entry = request.ledger.as_ref();
        entry.is_some_and(|entry| entry.test_path != request.file.test_path)
    }

    /// What is ours at the old place goes before it is written at the new one, or a package would
    /// have the same names twice.
    pub(super) async fn leave_old_place(&self, request: &FileRequest) -> Step<()> {
        match &request.ledger {
            Some(entry) => {
                self.remove_blocks(&request.project, &request.driver, entry)
                    .await
            }
            None => Ok(()),
        }
    }

    /// Names that our tests need may be held by our tests of a file that is gone: renamed while
    /// nobody watched. Removes these; whether there were any.
    pub(super) async fn remove_orphans(&self, merge: &Merge) -> Step<bool> {
        let mut removed = false;
        let contended = merge.contended();
        let holds = move |entry: &LedgerEntry| contended.contains(&entry.test_path);
        let owners = self.service.queue.find_ledger(&self.job.root, holds).await;
        for (source, entry) in owners.map_err(|error| Service::store_trouble(&error))? {
            if source.under(&merge.project.root).exists() {
                continue;
            }
            self.remove_blocks(&merge.project, &merge.driver, &entry)
                .await?;
            let forgotten = self
                .service
                .queue
                .forget_ledger(&self.job.root, &source)
                .await;
            forgotten.map_err(|error| Service::store_trouble(&error))?;
            removed = true;
        }
        Ok(removed)
    }

    /// Removes our unedited blocks from the test file that the ledger names.
    async fn remove_blocks(
        &self,
        project: &Project,
        driver: &Arc<dyn LanguageDriver>,
        entry: &LedgerEntry,
    ) -> Step<()> {
        let file = Arc::new(gone_file(&self.job.path, &**driver, entry));
        let folder = self
            .service
            .folders
            .lock_of(&self.job.root, &file.test_path);
        let _alone = folder.lock().await;
        for _ in 0..MERGE_ATTEMPTS {
            let (text, blocks) = self.read_tests(project, &**driver, &file).await?;
            let Some(text) = text else { return Ok(()) };
            let edits: Vec<BlockEdit> = blocks
                .iter()
                .filter(|block| block.state == BlockState::Pristine)
                .map(|block| BlockEdit::Remove {
                    member: block.member.clone(),
                })
                .collect();
            let work = Composing {
                project,
                driver,
                file: &file,
                existing: Some(&text),
            };
            let composed = compose(work, edits).await?;
            match write(
                project,
                &file.test_path,
                Some(&text),
                composed.text.as_deref(),
            )
            .await
            {
                Ok(()) => return Ok(()),
                Err(WriteError::Changed(_)) => {}
                Err(error) => return Err(unwritable(&error)),
            }
        }
        Err(keeps_changing(&file.test_path))
    }
}

/// A source file that is no more, as far as composing its test file needs it.
fn gone_file(path: &RelPath, driver: &dyn LanguageDriver, entry: &LedgerEntry) -> SourceFile {
    SourceFile {
        path: path.clone(),
        language: driver.languages()[0],
        framework: Framework(String::new()),
        module: String::new(),
        test_path: entry.test_path.clone(),
        members: Vec::new(),
        problems: Vec::new(),
    }
}
