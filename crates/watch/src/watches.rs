//! The kernel's watches, one for each kept folder.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use notify::{ErrorKind, RecommendedWatcher, RecursiveMode, Watcher as _};

use crate::check;
use crate::hints::{Handler, Hints};
use crate::mount;

/// How long to wait for notify's thread to give back its watches before new ones are asked for.
const HAND_BACK: Duration = Duration::from_secs(2);

/// How the changes in a folder are learned of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Cover {
    /// By its watch.
    Watch,
    /// It has no watch, and is polled.
    #[default]
    None,
    /// It has a watch, but others write to its file system too: it is polled as well.
    Shared,
}

/// Adds and removes watches. Blocks: for the blocking pool only.
#[derive(Debug)]
pub(crate) struct Watches {
    hints: Arc<Hints>,
    backend: Mutex<Option<Backend>>,
    /// The kernel gives no more watches.
    limited: AtomicBool,
    mounts: Mutex<Mounts>,
}

/// What is known of file systems.
#[derive(Debug, Default)]
struct Mounts {
    /// By device, whether others write to it too.
    shared: HashMap<u64, bool>,
    /// Watched folders on those, with device and inode: since they are polled, they come by often.
    watched: HashMap<PathBuf, (u64, u64)>,
}

#[derive(Debug)]
struct Backend {
    watcher: RecommendedWatcher,
    ended: mpsc::Receiver<()>,
}

impl Watches {
    pub(crate) fn new(hints: Arc<Hints>) -> Self {
        Self {
            hints,
            backend: Mutex::new(None),
            limited: AtomicBool::new(false),
            mounts: Mutex::default(),
        }
    }

    /// Gives all watches back and starts anew: after lost events notify's own map of paths may be
    /// wrong, and a folder moved meanwhile would be known by its old name.
    pub(crate) fn reset(&self) {
        let mut backend = self.lock();
        Self::close(&mut backend);
        self.renew();
        let (alive, ended) = mpsc::channel();
        let handler = Handler {
            hints: Arc::clone(&self.hints),
            _alive: alive,
        };
        match notify::recommended_watcher(handler) {
            Ok(watcher) => *backend = Some(Backend { watcher, ended }),
            Err(error) => {
                self.limited.store(true, Ordering::Relaxed);
                tracing::warn!(
                    %error,
                    "no file watcher can be had; all folders are polled; \
                     remedy: sudo sysctl fs.inotify.max_user_instances=512"
                );
            }
        }
    }

    /// Gives all watches back.
    pub(crate) fn clear(&self) {
        Self::close(&mut self.lock());
    }

    /// Whether there is a watcher at all.
    pub(crate) fn is_up(&self) -> bool {
        self.lock().is_some()
    }

    /// Lets the next [`add`](Self::add) try again although the limit was reached before.
    pub(crate) fn retry(&self) {
        self.limited.store(false, Ordering::Relaxed);
    }

    /// As [`retry`](Self::retry), and looks at all folders' file systems again.
    pub(crate) fn renew(&self) {
        self.retry();
        *lock(&self.mounts) = Mounts::default();
    }

    /// Watches a folder, not what is below it.
    pub(crate) fn add(&self, folder: &Path) -> Cover {
        let Some(identity) = check::identity(folder) else {
            return Cover::None;
        };
        let is_shared = {
            let mut mounts = lock(&self.mounts);
            if mounts.watched.get(folder) == Some(&identity) {
                return Cover::Shared;
            }
            let is_shared = || mount::is_shared(folder);
            *mounts.shared.entry(identity.0).or_insert_with(is_shared)
        };
        if !self.watch(folder) {
            return Cover::None;
        }
        if !is_shared {
            return Cover::Watch;
        }
        lock(&self.mounts)
            .watched
            .insert(folder.to_owned(), identity);
        Cover::Shared
    }

    fn watch(&self, folder: &Path) -> bool {
        if self.limited.load(Ordering::Relaxed) {
            return false;
        }
        let mut backend = self.lock();
        let Some(backend) = backend.as_mut() else {
            return false;
        };
        match backend.watcher.watch(folder, RecursiveMode::NonRecursive) {
            Ok(()) => true,
            Err(error) => {
                if matches!(error.kind, ErrorKind::MaxFilesWatch) {
                    self.limited.store(true, Ordering::Relaxed);
                } else {
                    tracing::debug!(folder = %folder.display(), %error, "a folder has no watch");
                }
                false
            }
        }
    }

    /// No longer watches a folder. One that is not watched is no error: notify itself drops those
    /// that are removed or moved away.
    pub(crate) fn remove(&self, folder: &Path) {
        lock(&self.mounts).watched.remove(folder);
        if let Some(backend) = self.lock().as_mut() {
            let _ = backend.watcher.unwatch(folder);
        }
    }

    fn close(backend: &mut Option<Backend>) {
        if let Some(Backend { watcher, ended }) = backend.take() {
            drop(watcher);
            // Ends by the disconnection; nothing is ever sent.
            let _ = ended.recv_timeout(HAND_BACK);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Backend>> {
        lock(&self.backend)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
