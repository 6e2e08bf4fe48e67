//! A look at a running watcher from outside, and a word to it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::Instant;

/// A cheap handle to a watcher; works before, during and after its run.
#[derive(Debug, Clone)]
pub struct WatchHandle {
    pub(crate) shared: Arc<Shared>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    /// `None` until the run begins.
    roots: watch::Sender<Option<BTreeMap<PathBuf, RootStats>>>,
    /// Counts the requests.
    rescans: watch::Sender<u64>,
}

/// How it goes with one root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RootStats {
    /// What the watcher is doing.
    pub state: RootState,
    /// Whether the first comparison is done and all it found was sent.
    pub ready: bool,
    /// Folders that have a watch.
    pub watched: usize,
    /// Folders that should have one and have none; they are polled.
    pub unwatched: usize,
    /// Folders that are polled though they have a watch, since others write to their file system
    /// too: another machine, or a program below it (NFS, SMB, 9p, FUSE and the like).
    pub shared: usize,
    /// Sources known to the receiver.
    pub files: usize,
    /// Files that wait for their quiet time, a look, or the receiver.
    pub pending: usize,
    /// Events since the start that might have meant a change.
    pub events: u64,
    /// Comparisons of the whole tree since the start, the first one included.
    pub rescans: u64,
    /// How often events were lost.
    pub overflows: u64,
    /// When the last event came.
    pub last_event: Option<Instant>,
}

/// What a watcher is doing with one root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RootState {
    /// The first comparison is under way.
    Starting,
    /// All is as the receiver knows it.
    Fresh,
    /// Files wait for their quiet time or for the receiver.
    Settling,
    /// Git is at work; changes wait for it.
    HeldForGit,
    /// The tree is compared.
    Rescanning,
    /// Some folders have no watch and are polled.
    Degraded,
    /// All is as the receiver knows it, as of the last time that folders were polled which others
    /// write to as well.
    Polling,
    /// The root is not there; it is looked for.
    Missing,
}

impl RootState {
    /// The state's name in logs and `status`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Fresh => "fresh",
            Self::Settling => "settling",
            Self::HeldForGit => "held: git",
            Self::Rescanning => "rescanning",
            Self::Degraded => "degraded: polling",
            Self::Polling => "fresh, polling",
            Self::Missing => "missing",
        }
    }
}

impl RootStats {
    /// Whether nothing is left to tell, as far as is known. A missing root counts as idle.
    pub const fn is_idle(&self) -> bool {
        match self.state {
            RootState::Fresh | RootState::Polling | RootState::Missing => true,
            RootState::Degraded => self.ready && self.pending == 0,
            RootState::Starting
            | RootState::Settling
            | RootState::HeldForGit
            | RootState::Rescanning => false,
        }
    }
}

impl WatchHandle {
    pub(crate) fn new() -> Self {
        Self {
            shared: Arc::new(Shared {
                roots: watch::Sender::new(None),
                rescans: watch::Sender::new(0),
            }),
        }
    }

    /// The figures of all roots; empty before the run begins.
    pub fn stats(&self) -> BTreeMap<PathBuf, RootStats> {
        self.shared.roots.borrow().clone().unwrap_or_default()
    }

    /// How changes are learned of on this system; folders without a watch are polled.
    pub const fn backend() -> &'static str {
        if cfg!(target_os = "linux") {
            "inotify"
        } else if cfg!(target_os = "macos") {
            "fsevents"
        } else {
            "polling"
        }
    }

    /// Compares all trees now.
    pub fn request_rescan(&self) {
        self.shared.rescans.send_modify(|count| *count += 1);
    }

    /// Resolves when each root's first comparison is done and what it found was sent. A root that
    /// is missing is not waited for.
    pub async fn ready(&self) {
        self.all(|stats| stats.ready || stats.state == RootState::Missing)
            .await;
    }

    /// Resolves when there is nothing left to tell of any root.
    pub async fn idle(&self) {
        self.all(RootStats::is_idle).await;
    }

    async fn all(&self, holds: impl Fn(&RootStats) -> bool) {
        let mut roots = self.shared.roots.subscribe();
        // Fails only when the sender is gone, which this handle keeps.
        let _ = roots
            .wait_for(|roots| roots.as_ref().is_some_and(|map| map.values().all(&holds)))
            .await;
    }
}

impl Shared {
    pub(crate) fn begin(&self, roots: impl Iterator<Item = PathBuf>) {
        let map = roots.map(|root| (root, RootStats::new())).collect();
        self.roots.send_replace(Some(map));
    }

    pub(crate) fn publish(&self, root: &Path, stats: RootStats) {
        self.roots.send_if_modified(|roots| {
            let Some(old) = roots.as_mut().and_then(|map| map.get_mut(root)) else {
                return false;
            };
            let changed = *old != stats;
            *old = stats;
            changed
        });
    }

    pub(crate) fn rescans(&self) -> watch::Receiver<u64> {
        self.rescans.subscribe()
    }
}

impl RootStats {
    pub(crate) const fn new() -> Self {
        Self {
            state: RootState::Starting,
            ready: false,
            watched: 0,
            unwatched: 0,
            shared: 0,
            files: 0,
            pending: 0,
            events: 0,
            rescans: 0,
            overflows: 0,
            last_event: None,
        }
    }
}
