//! The walk over a tree: folders that are not ignored, and the sources in them.

use std::fs::{self, Metadata};
use std::io;
use std::ops::ControlFlow;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;

use crate::index::join;
use crate::rules::{self, Rules};
use crate::settings::Claims;
use crate::watches::Cover;

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
    pub(crate) watch: &'a mut dyn FnMut(&Path) -> Cover,
    /// Called with each finding; a break ends the walk.
    pub(crate) visit: &'a mut dyn FnMut(Visit) -> ControlFlow<()>,
}

impl Walk<'_> {
    pub(crate) fn run(&mut self, starts: Vec<Start>) -> ControlFlow<()> {
        for start in starts {
            let path = self.root.join(&*start.dir);
            let is_root = start.dir.is_empty();
            let kept = fs::symlink_metadata(&path).is_ok_and(|entry| entry.is_dir())
                && (is_root || self.enters(&path, &start.above));
            if kept {
                self.tree(start)?;
            } else {
                (self.visit)(Visit::Gone(start.dir))?;
            }
        }
        ControlFlow::Continue(())
    }

    fn tree(&mut self, start: Start) -> ControlFlow<()> {
        let mut stack = vec![start];
        while let Some(Start { dir, above }) = stack.pop() {
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
                    continue;
                }
                tracing::debug!(dir = %path.display(), %error, "a folder cannot be read");
                listing.complete = false;
            }
            let above = Arc::clone(&listing.rules);
            (self.visit)(Visit::Folder(listing))?;
            stack.extend(folders.into_iter().map(|dir| Start {
                dir,
                above: Arc::clone(&above),
            }));
        }
        ControlFlow::Continue(())
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
