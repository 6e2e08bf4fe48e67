//! Walking the tree for a comparison, on a thread that may block.

use std::fs;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::ScanMessage;
use crate::check;
use crate::git;
use crate::outbox::BATCH;
use crate::rules::Rules;
use crate::walk::{Start, Visit, Walk};
use crate::watcher::Context;
use crate::watches::Watches;

/// Findings passed on at once: enough to make the channel cheap, few enough to keep it small.
const FOLDERS_AT_ONCE: usize = 256;

/// What of a comparison blocks on the disk.
pub(super) struct Job {
    pub(super) root: PathBuf,
    pub(super) context: Context,
    pub(super) watches: Arc<Watches>,
    /// `None` for the whole tree.
    pub(super) starts: Option<Vec<Start>>,
    pub(super) unwatch: Vec<PathBuf>,
    /// What the root was when it was last walked.
    pub(super) identity: Option<(u64, u64)>,
    /// Whether there were files in it.
    pub(super) had_files: bool,
    pub(super) reset: bool,
    pub(super) messages: mpsc::Sender<ScanMessage>,
}

impl Job {
    pub(super) fn run(mut self) {
        for folder in std::mem::take(&mut self.unwatch) {
            self.watches.remove(&folder);
        }
        let Some(identity) = check::identity(&self.root).filter(|now| self.is_credible(*now))
        else {
            self.watches.clear();
            let _ = self.messages.blocking_send(ScanMessage::RootGone);
            return;
        };
        let starts = match self.starts.take() {
            Some(starts) => starts,
            None => match self.begin(identity) {
                Some(starts) => starts,
                None => return,
            },
        };
        // A failed send means that the loop has ended, and nobody wants to know.
        let _ = self.walk(starts);
    }

    /// An empty folder in place of one with sources is where a disk was mounted, not a project of
    /// which all was removed.
    fn is_credible(&self, identity: (u64, u64)) -> bool {
        let is_same = self.identity == Some(identity);
        let is_empty =
            || fs::read_dir(&self.root).is_ok_and(|mut entries| entries.next().is_none());
        is_same || !self.had_files || !is_empty()
    }

    fn begin(&self, identity: (u64, u64)) -> Option<Vec<Start>> {
        // Another file system may have been mounted there, of which no event tells.
        let is_another = self.identity.is_some_and(|before| before != identity);
        if self.reset || is_another {
            self.watches.reset();
        } else {
            self.watches.renew();
        }
        let repository = git::repository_of(&self.root);
        if let Some(repository) = &repository {
            self.watches.add(&repository.git_dir);
        }
        // Cannot fail: the globs were read before.
        let rules = Rules::above(&self.root, &self.context.settings.exclude).ok()?;
        let began = ScanMessage::Began {
            identity,
            repository,
            rules: Arc::clone(&rules),
        };
        self.messages.blocking_send(began).ok()?;
        Some(vec![Start {
            dir: "".into(),
            above: rules,
        }])
    }

    fn walk(&self, starts: Vec<Start>) -> ControlFlow<()> {
        let mut found = Vec::new();
        let mut files = 0;
        let mut visit = |visit| {
            if let Visit::Folder(listing) = &visit {
                files += listing.files.len();
            }
            found.push(visit);
            if files < BATCH && found.len() < FOLDERS_AT_ONCE {
                return ControlFlow::Continue(());
            }
            files = 0;
            self.send(std::mem::take(&mut found))
        };
        Walk {
            root: &self.root,
            claims: &self.context.claims,
            state_dir: self.context.state_dir.as_deref(),
            watch: &|folder| self.watches.add(folder),
        }
        .run(starts, &mut visit)?;
        self.send(found)
    }

    fn send(&self, found: Vec<Visit>) -> ControlFlow<()> {
        match self.messages.blocking_send(ScanMessage::Found(found)) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    }
}
