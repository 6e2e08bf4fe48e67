//! The watcher of several roots: one task each.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::change::ChangeBatch;
use crate::handle::WatchHandle;
use crate::root::RootTask;
use crate::rules;
use crate::settings::{Claims, RootSpec, WatchError, WatchSettings};

/// Tells of the changes in the sources of some roots.
pub struct Watcher {
    context: Context,
    handle: WatchHandle,
}

/// What all roots have in common.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) settings: Arc<WatchSettings>,
    pub(crate) claims: Claims,
    pub(crate) state_dir: Option<PathBuf>,
}

impl std::fmt::Debug for Watcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watcher")
            .field("settings", &self.context.settings)
            .finish_non_exhaustive()
    }
}

impl Watcher {
    /// A watcher of what `claims` says is a source. `state_dir`, our own state, is never watched
    /// though it be in a root. Fails if a glob of `exclude` cannot be read.
    pub fn new(
        settings: WatchSettings,
        claims: Claims,
        state_dir: Option<PathBuf>,
    ) -> Result<Self, WatchError> {
        rules::compile_exclude(Path::new("/"), &settings.exclude)?;
        Ok(Self {
            context: Context {
                settings: Arc::new(settings),
                claims,
                state_dir,
            },
            handle: WatchHandle::new(),
        })
    }

    /// The same as before under other settings: its handle goes on. To be called when the earlier
    /// run has ended.
    pub fn anew(
        settings: WatchSettings,
        claims: Claims,
        state_dir: Option<PathBuf>,
        handle: WatchHandle,
    ) -> Result<Self, WatchError> {
        let watcher = Self::new(settings, claims, state_dir)?;
        Ok(Self { handle, ..watcher })
    }

    /// A handle to this watcher.
    pub fn handle(&self) -> WatchHandle {
        self.handle.clone()
    }

    /// Watches until cancelled. Never waits for the receiver to tell it of an event: changes that
    /// do not fit into `out` are kept, and the newest of each file is sent when they do.
    ///
    /// The receiver should make a batch durable before it takes the next one; after a restart it
    /// gives what it was told as [`RootSpec::known`], and is told of the difference.
    pub async fn run(
        self,
        roots: Vec<RootSpec>,
        out: mpsc::Sender<ChangeBatch>,
        cancel: CancellationToken,
    ) -> Result<(), WatchError> {
        if let Some(spec) = roots.iter().find(|spec| !spec.root.is_absolute()) {
            return Err(WatchError::NotAbsolute(spec.root.clone()));
        }
        let shared = &self.handle.shared;
        shared.begin(roots.iter().map(|spec| spec.root.clone()));
        let mut tasks = JoinSet::new();
        let mut names = std::collections::HashMap::new();
        for spec in roots {
            let name = spec.root.clone();
            let span = tracing::info_span!("watch", root = %name.display());
            let task = RootTask::new(spec, self.context.clone(), Arc::clone(shared));
            let task = task.run(out.clone(), cancel.clone()).instrument(span);
            names.insert(tasks.spawn(task).id(), name);
        }
        drop(out);
        while let Some(ended) = tasks.join_next().await {
            match ended {
                Ok(ended) => ended?,
                Err(source) => {
                    let root = names.remove(&source.id()).unwrap_or_default();
                    return Err(WatchError::Panicked { root, source });
                }
            }
        }
        Ok(())
    }
}
