//! The walk over a tree: folders that are not ignored, and the sources in them.

use std::fs::{self, Metadata};
use std::io;
use std::ops::ControlFlow;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::index::join;
use crate::rules::{self, Rules};
use crate::settings::Claims;
use crate::watches::Cover;

/// Walkers of one tree: most of a walk is waiting, for the disk and for notify's thread.
const WALKERS: usize = 3;

/// Folders that wait before there is more than one walker.
const MANY: usize = 16;

/// What a file's entry says without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) size: u64,
    pub(crate) mtime_ns: i64,
    pub(crate) ctime_ns: i64,
    pub(crate) inode: u64,
}

impl Stat {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        let nanoseconds =
            |seconds: i64, rest: i64| seconds.saturating_mul(1_000_000_000).saturating_add(rest);
        Self {
            size: metadata.len(),
            mtime_ns: nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
            ctime_ns: nanoseconds(metadata.ctime(), metadata.ctime_nsec()),
            inode: metadata.ino(),
        }
    }
}

/// Where a walk begins, and the rules of the folder above.
#[derive(Debug)]
pub(crate) struct Start {
    pub(crate) dir: Box<str>,
    pub(crate) above: Arc<Rules>,
}

/// What a walk tells of.
#[derive(Debug)]
pub(crate) enum Visit {
    /// A folder that is kept, before the folders in it.
    Folder(Listing),
    /// A start that is gone, or ignored, or no folder.
    Gone(Box<str>),
}

/// Sources with what their entries say, sorted by name.
pub(crate) type Found = Vec<(Box<str>, Stat)>;

/// The sources directly in one folder.
#[derive(Debug)]
pub(crate) struct Listing {
    pub(crate) dir: Box<str>,
    pub(crate) rules: Arc<Rules>,
    pub(crate) cover: Cover,
    /// Whether the folder could be read. If not, nothing is said of what is in it.
    pub(crate) complete: bool,
    pub(crate) files: Found,
}

/// Walks one tree. Blocks on the disk.
pub(crate) struct Walk<'a> {
    pub(crate) root: &'a Path,
    pub(crate) claims: &'a Claims,
    /// Our own state, never entered.
    pub(crate) state_dir: Option<&'a Path>,
    /// Called before a folder is listed, to watch it from now on.
    pub(crate) watch: &'a (dyn Fn(&Path) -> Cover + Sync),
}

/// Called with each finding; a break ends the walk.
pub(crate) type OnVisit<'a> = dyn FnMut(Visit) -> ControlFlow<()> + Send + 'a;

/// What the walkers of a tree share.
struct Progress<'a> {
    /// Folders to be looked at.
    stack: Vec<Start>,
    /// Walkers that look at one.
    busy: usize,
    on_visit: &'a mut OnVisit<'a>,
    flow: ControlFlow<()>,
}

struct Walkers<'a> {
    walk: &'a Walk<'a>,
    progress: Mutex<Progress<'a>>,
    changed: Condvar,
}

/// A walker that looks at a folder, until this is dropped.
struct Busy<'s, 'a>(&'s Walkers<'a>);

impl Drop for Busy<'_, '_> {
    fn drop(&mut self) {
        self.0.progress().busy -= 1;
        self.0.changed.notify_all();
    }
}

impl Walk<'_> {
    pub(crate) fn run(&self, starts: Vec<Start>, on_visit: &mut OnVisit<'_>) -> ControlFlow<()> {
        for start in starts {
            let path = self.root.join(&*start.dir);
            let is_root = start.dir.is_empty();
            let kept = fs::symlink_metadata(&path).is_ok_and(|entry| entry.is_dir())
                && (is_root || self.enters(&path, &start.above));
            if kept {
                self.tree(start, on_visit)?;
            } else {
                on_visit(Visit::Gone(start.dir))?;
            }
        }
        ControlFlow::Continue(())
    }

    fn tree(&self, start: Start, on_visit: &mut OnVisit<'_>) -> ControlFlow<()> {
        let walkers = Walkers {
            walk: self,
            progress: Mutex::new(Progress {
                stack: vec![start],
                busy: 0,
                on_visit,
                flow: ControlFlow::Continue(()),
            }),
            changed: Condvar::new(),
        };
        walkers.run();
        walkers.progress().flow
    }

    /// Looks at one folder; `None` if it is gone.
    fn look(&self, Start { dir, above }: Start) -> Option<(Listing, Vec<Box<str>>)> {
        let path = self.root.join(&*dir);
        let cover = (self.watch)(&path);
        let rules = Rules::load(&path, &above);
        let mut listing = Listing {
            dir,
            rules,
            cover,
            complete: true,
            files: Vec::new(),
        };
        let mut folders = Vec::new();
        if let Err(error) = self.list(&path, &mut listing, &mut folders) {
            if error.kind() == io::ErrorKind::NotFound {
                // Gone since; the folder above has an event that says so.
                return None;
            }
            tracing::debug!(dir = %path.display(), %error, "a folder cannot be read");
            listing.complete = false;
        }
        Some((listing, folders))
    }

    fn list(
        &self,
        path: &Path,
        listing: &mut Listing,
        folders: &mut Vec<Box<str>>,
    ) -> io::Result<()> {
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            let name = entry.file_name();
            let Some(name) = name.to_str() else {
                tracing::debug!(path = %entry.path().display(), "a name is not UTF-8");
                continue;
            };
            let Some(relative) = join(&listing.dir, name) else {
                continue;
            };
            let file_type = entry.file_type()?;
            if file_type.is_dir() {
                if self.enters(&entry.path(), &listing.rules) {
                    folders.push(relative.as_str().into());
                }
            } else if file_type.is_file()
                && (self.claims)(&relative)
                && !listing.rules.ignores(&entry.path(), false)
                && let Ok(metadata) = entry.metadata()
            {
                listing.files.push((name.into(), Stat::of(&metadata)));
            }
        }
        listing.files.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        // Reversed, since the stack is taken from its end.
        folders.sort_unstable_by(|a, b| b.cmp(a));
        Ok(())
    }

    fn enters(&self, path: &Path, rules: &Rules) -> bool {
        self.state_dir != Some(path)
            && !rules.ignores(path, true)
            && rules::foreign_mark(path).is_none()
    }
}

impl<'a> Walkers<'a> {
    /// A small tree is walked sooner than threads are started.
    fn run(&self) {
        while self.progress().stack.len() < MANY {
            if !self.step() {
                return;
            }
        }
        let work = || while self.step() {};
        thread::scope(|scope| {
            for _ in 1..WALKERS {
                // Where no thread can be had, it goes without.
                let walker = thread::Builder::new().name("walk".to_owned());
                let _ = walker.spawn_scoped(scope, work);
            }
            work();
        });
    }

    /// Looks at one more folder. A folder is told of before those in it are looked at.
    fn step(&self) -> bool {
        let Some((start, _busy)) = self.next() else {
            return false;
        };
        if let Some((listing, folders)) = self.walk.look(start) {
            let above = Arc::clone(&listing.rules);
            let mut progress = self.progress();
            if progress.flow.is_continue() {
                progress.flow = (progress.on_visit)(Visit::Folder(listing));
            }
            progress.stack.extend(folders.into_iter().map(|dir| Start {
                dir,
                above: Arc::clone(&above),
            }));
        }
        true
    }

    /// Waits while there is nothing to look at but may yet be.
    fn next(&self) -> Option<(Start, Busy<'_, 'a>)> {
        let mut progress = self.progress();
        loop {
            if progress.flow.is_break() {
                return None;
            }
            if let Some(start) = progress.stack.pop() {
                progress.busy += 1;
                return Some((start, Busy(self)));
            }
            if progress.busy == 0 {
                return None;
            }
            progress = self
                .changed
                .wait(progress)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn progress(&self) -> MutexGuard<'_, Progress<'a>> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
