//! Taking our tests away: of a source that is gone, or from a place they have left.

use std::collections::BTreeMap;
use std::sync::Arc;

use testsmith_domain::{
    Analysis, BlockEdit, BlockState, Framework, LanguageDriver, LedgerEntry, Project, RelPath,
    SourceFile,
};
use testsmith_generate::FileRequest;

use super::{LedgerChange, Run, Step, skipped};
use crate::files::{Composing, blocking, compose, keeps_changing, unwritable, write};
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
        let entry = match self.service.ledger(self.job).await? {
            Some(entry) => Some(entry),
            None => self.unknown_tests(project, driver).await?,
        };
        let Some(entry) = entry else {
            return Ok(skipped("gone, and nothing was written for it"));
        };
        // A file that was moved, and moved back, may have left an entry under the name in between.
        let place = self.own_place(project, driver).await;
        let is_usual = place.is_some_and(|file| file.test_path == entry.test_path);
        if !is_usual
            && (self.is_another_s(project, &entry.test_path).await?
                || self
                    .is_the_place_of_another(project, driver, &entry)
                    .await?)
        {
            self.ledger = LedgerChange::Remove;
            return Ok(skipped("gone, and its tests are another file's now"));
        }
        self.remove_blocks(project, driver, &entry).await?;
        self.ledger = LedgerChange::Remove;
        Ok(Outcome::Removed)
    }

    /// The job's file as if it were empty: where its tests would be does not depend on its text.
    async fn own_place(
        &self,
        project: &Project,
        driver: &Arc<dyn LanguageDriver>,
    ) -> Option<SourceFile> {
        let (place, path, reader) = (project.clone(), self.job.path.clone(), Arc::clone(driver));
        match blocking(move || reader.analyze(&place, &path, "")).await {
            Analysis::Source(file) => Some(file),
            Analysis::NotSource(_) => None,
        }
    }

    /// Whether a test file belongs to another source that is there.
    async fn is_another_s(&self, project: &Project, test_path: &RelPath) -> Step<bool> {
        let owners = self.owners(test_path).await?;
        let is_there =
            |source: &RelPath| *source != self.job.path && source.under(&project.root).exists();
        Ok(owners.iter().any(is_there))
    }

    /// The sources whose tests are in this file, by the ledger.
    async fn owners(&self, test_path: &RelPath) -> Step<Vec<RelPath>> {
        let wanted = test_path.clone();
        let is_here = move |entry: &LedgerEntry| entry.test_path == wanted;
        let found = self
            .service
            .queue
            .find_ledger(&self.job.root, is_here)
            .await;
        let found = found.map_err(|error| Service::store_trouble(&error))?;
        Ok(found.into_iter().map(|(source, _)| source).collect())
    }

    /// Whether tests of another source that is there go by the entry's path, though the ledger does not
    /// say so. Looks at all that is known: for what is rare.
    async fn is_the_place_of_another(
        &self,
        project: &Project,
        driver: &Arc<dyn LanguageDriver>,
        entry: &LedgerEntry,
    ) -> Step<bool> {
        let known = self.service.queue.snapshot(&self.job.root).await;
        let known = known.map_err(|error| Service::store_trouble(&error))?;
        let (project, driver) = (project.clone(), Arc::clone(driver));
        let (own, test_path) = (self.job.path.clone(), entry.test_path.clone());
        let is_it = move |path: &RelPath| {
            *path != own
                && driver.claims(path)
                && path.under(&project.root).exists()
                && matches!(
                    driver.analyze(&project, path, ""),
                    Analysis::Source(file) if file.test_path == test_path
                )
        };
        let look = move || known.iter().flatten().any(|(path, _)| is_it(path));
        Ok(blocking(look).await)
    }

    /// Tests of ours that the ledger does not know of: the process died, or the ledger was damaged,
    /// after they were written. Left there, they would hold their names for good.
    async fn unknown_tests(
        &self,
        project: &Project,
        driver: &Arc<dyn LanguageDriver>,
    ) -> Step<Option<LedgerEntry>> {
        let Some(file) = self.own_place(project, driver).await else {
            return Ok(None);
        };
        if !driver.owns(&file.test_path) {
            return Ok(None);
        }
        let (_, blocks) = self.read_tests(project, &**driver, &file).await?;
        if !blocks
            .iter()
            .any(|block| block.state == BlockState::Pristine)
        {
            return Ok(None);
        }
        let owners = self.owners(&file.test_path).await?;
        Ok(owners.is_empty().then(|| LedgerEntry {
            test_path: file.test_path.clone(),
            blocks: BTreeMap::new(),
            proposals: BTreeMap::new(),
        }))
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
        let (project, driver) = (&request.project, &request.driver);
        match &request.ledger {
            // A new file may have taken the old name.
            Some(entry) if self.is_another_s(project, &entry.test_path).await? => Ok(()),
            Some(entry) => self.remove_blocks(project, driver, entry).await,
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
        let owners = owners.map_err(|error| Service::store_trouble(&error))?;
        let (there, gone): (Vec<_>, Vec<_>) = owners
            .into_iter()
            .partition(|(source, _)| source.under(&merge.project.root).exists());
        for (source, entry) in gone {
            if there
                .iter()
                .any(|(_, other)| other.test_path == entry.test_path)
            {
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
                &self.service.writes,
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
