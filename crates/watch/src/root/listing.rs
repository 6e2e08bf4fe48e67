//! What a comparison says of a folder, beside what is known of the files in it.

use testsmith_domain::{FileStamp, RelPath};
use tokio::time::Instant;

use super::RootTask;
use crate::change::Cause;
use crate::check;
use crate::index::{Folder, join};
use crate::outbox::in_folder;
use crate::walk::{Found, Listing, Stat};
use crate::watches::Cover;

impl RootTask {
    pub(super) fn on_listing(&mut self, listing: Listing, now: Instant) {
        let Some((cause, number)) = self.scan.as_ref().map(|scan| (scan.cause, scan.number)) else {
            return;
        };
        let Listing {
            dir,
            rules,
            cover,
            complete,
            files,
        } = listing;
        self.index.keep(&dir, rules, cover, number);
        if !complete {
            self.index.vouch_below(&dir, number);
            return;
        }
        let names = files.iter().map(|(name, _)| name.len()).sum();
        self.index.expect(&dir, files.len(), names);
        for path in self.differing(&dir, &files) {
            self.nominate(path, cause, now);
        }
        self.look_again(&dir, files, now);
    }

    /// A folder may have gone and another come in its place: what was seen in it, is not in the
    /// index yet, with which listings are compared, and is not as `found`, is looked at once more.
    fn look_again(&mut self, dir: &str, found: Found, now: Instant) {
        let waiting = self.outbox.in_folder(dir);
        let held = in_folder(&self.held, dir);
        let held = held.map(|(path, held)| (path.clone(), Some(held.stamp), held.cause));
        let again: Vec<_> = waiting
            .into_iter()
            .chain(held)
            .filter(|(path, stamp, _)| !self.is_as_listed(path, stamp.as_ref(), &found))
            .collect();
        for (path, _, cause) in again {
            self.nominate(path, cause, now);
        }
        if let Some(listed) = self.listed.get_mut(dir) {
            *listed = Some(found);
        }
    }

    /// Whether what was seen of a file, `None` if it was not there, is what a scan has found.
    pub(super) fn is_as_listed(
        &self,
        path: &RelPath,
        seen: Option<&FileStamp>,
        found: &[(Box<str>, Stat)],
    ) -> bool {
        let at = found.binary_search_by(|(name, _)| (**name).cmp(path.file_name()));
        match (seen, at) {
            (None, Err(_)) => true,
            (Some(stamp), Ok(at)) => self.is_as(path.dir(), stamp, found[at].1),
            (None, Ok(_)) | (Some(_), Err(_)) => false,
        }
    }

    fn is_as(&self, dir: &str, stamp: &FileStamp, stat: Stat) -> bool {
        // Network file systems may give a file another number each time.
        let is_shared = self
            .index
            .folder(dir)
            .is_some_and(|folder| folder.cover() == Cover::Shared);
        let inode = if is_shared { stamp.inode } else { stat.inode };
        check::matches(stamp, Stat { inode, ..stat })
    }

    /// The files of a folder that are not as the index has them.
    fn differing(&self, dir: &str, found: &[(Box<str>, Stat)]) -> Vec<RelPath> {
        let mut names = Vec::new();
        let folder = self.index.folder(dir);
        let mut known = folder.into_iter().flat_map(Folder::files).peekable();
        for (name, stat) in found {
            while let Some((gone, _)) = known.next_if(|(known, _)| *known < &**name) {
                names.push(gone);
            }
            match known.next_if(|(known, _)| *known == &**name) {
                Some((_, stamp)) if self.is_as(dir, stamp, *stat) => {}
                _ => names.push(name),
            }
        }
        names.extend(known.map(|(gone, _)| gone));
        names
            .into_iter()
            .filter_map(|name| join(dir, name))
            .collect()
    }

    pub(super) fn nominate(&mut self, path: RelPath, cause: Cause, now: Instant) {
        if cause == Cause::Saved {
            self.debouncer.insert(path, now);
        } else if !self.debouncer.contains(&path) && !self.ready_saved.contains(&path) {
            self.ready_compared.insert(path, cause);
        }
    }

    pub(super) fn on_gone(&mut self, dir: &str, now: Instant) {
        let cause = self.scan.as_ref().map_or(Cause::Saved, |scan| scan.cause);
        for dir in self.index.below(dir) {
            self.drop_folder(&dir, cause, now);
        }
    }

    pub(super) fn drop_folder(&mut self, dir: &str, cause: Cause, now: Instant) {
        let (watched, files) = self.index.drop_folder(dir);
        if watched {
            // If it is ignored rather than gone, its watch is still there.
            self.unwatch.push(dir.into());
        }
        for path in files {
            self.nominate(path, cause, now);
        }
        self.look_again(dir, Vec::new(), now);
    }
}
