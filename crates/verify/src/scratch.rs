//! A run's own folder.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// A folder that is gone a while after this is dropped.
#[derive(Debug)]
pub(crate) struct Scratch(Option<Folder>);

#[derive(Debug)]
struct Folder(PathBuf);

impl Scratch {
    /// A new one below `parent`. Blocks.
    pub(crate) fn new(parent: &Path) -> Result<Self, (PathBuf, io::Error)> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = parent.join(format!("run-{}-{number}", std::process::id()));
        // What a process of this number left behind when it was killed.
        drop(fs::remove_dir_all(&path));
        match fs::create_dir_all(&path) {
            Ok(()) => Ok(Self(Some(Folder(path)))),
            Err(error) => Err((path, error)),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        // There until it is dropped.
        self.0.as_ref().map_or(Path::new(""), |folder| &folder.0)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let folder = self.0.take();
        // A runtime that shuts down drops the work instead, and the folder is removed here.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            drop(runtime.spawn_blocking(move || drop(folder)));
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed now is removed before the name is used again, or at the next start.
        drop(fs::remove_dir_all(&self.0));
    }
}
