//! From hints to paths to look at.

use std::path::Path;

use testsmith_domain::RelPath;
use tokio::time::Instant;

use super::RootTask;
use crate::change::{Cause, RescanReason};
use crate::hints::Hint;
use crate::index::{join, parents};
use crate::rules;

impl RootTask {
    pub(super) fn on_hints(&mut self, now: Instant) {
        let taken = self.hints.take();
        self.stats.events = taken.events;
        self.stats.last_event = taken.last_event;
        if let Some(reason) = taken.lost {
            self.stats.overflows += 1;
            tracing::warn!(
                reason = reason.as_str(),
                "events were lost; the tree is compared"
            );
            self.request_rescan(reason, now);
        }
        for (path, hint) in taken.paths {
            self.on_hint(&path, hint, now);
        }
    }

    fn on_hint(&mut self, path: &Path, hint: Hint, now: Instant) {
        if self.is_git_hint(path) {
            return self.on_git_hint(path, now);
        }
        if path == self.root {
            if hint.structure {
                self.request_rescan(RescanReason::RootReturned, now);
            }
            return;
        }
        if hint.structure && path == self.root.join(".git") {
            return self.request_rescan(RescanReason::Repository, now);
        }
        // Not UTF-8, and so no source; or a watch of a former git folder.
        let Ok(relative) = RelPath::below(&self.root, path) else {
            return;
        };
        if hint.folder || self.index.keeps(relative.as_str()) {
            self.scan_dirs.insert(relative.as_str().into());
        } else if rules::is_rule_file(relative.file_name())
            || (self.context.claims)(&relative)
            || self.index.contains(&relative)
        {
            self.debouncer.insert(relative, now);
        } else if hint.arrived {
            // Perhaps a folder; the walk will see.
            self.scan_dirs.insert(relative.as_str().into());
        }
    }

    /// A path has come to rest: where to now?
    pub(super) fn route(&mut self, path: RelPath, now: Instant) {
        if rules::is_rule_file(path.file_name()) {
            self.scan_dirs.insert(path.dir().into());
            self.rules_due.insert(path.dir().into());
            return;
        }
        match self.suspects.get(&path).map(|suspect| suspect.cause) {
            Some(cause) if cause != Cause::Saved => {
                self.ready_compared.insert(path, cause);
            }
            _ if self.rules_change_for(path.dir()) => {
                // They may say that nobody is to look at it.
                self.debouncer.insert(path, now);
            }
            _ if self.index.contains(&path) || self.keeps(&path) => {
                self.ready_saved.insert(path);
            }
            _ if !self.index.keeps(path.dir()) && self.is_scanning() => {
                // In a folder that is watched already, but of which the scan has still to tell.
                self.debouncer.insert(path, now);
            }
            _ => {}
        }
    }

    /// Whether rules that hold in a folder have been saved and not been read yet.
    fn rules_change_for(&self, dir: &str) -> bool {
        let mut folders = std::iter::once(dir).chain(parents(dir));
        folders.any(|folder| {
            let is_due = self.rules_due.contains(folder) && self.is_scanning();
            is_due || {
                let files = rules::RULE_FILES.iter();
                let mut files = files.filter_map(|name| join(folder, name));
                files.any(|file| self.debouncer.contains(&file))
            }
        })
    }

    fn is_scanning(&self) -> bool {
        self.scan.is_some() || !self.scan_dirs.is_empty() || self.rescan.is_some()
    }
}
