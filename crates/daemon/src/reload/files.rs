//! Seeing that a file of the configuration has changed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use testsmith_domain::ContentHash;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::error::DaemonError;
use crate::files::blocking;
use crate::host::Host;
use crate::service::Service;

/// How long files must be left alone before they are read: editors write in several steps.
const QUIET: Duration = Duration::from_millis(300);

/// How often the files are looked at where no events can be had.
const LOOK_EVERY: Duration = Duration::from_mins(1);

/// Reloads whenever the content of one of the files is another, until told to stop.
pub(crate) async fn reload_on_change(
    service: Arc<Service>,
    host: Arc<dyn Host>,
    stop: CancellationToken,
) -> Result<(), DaemonError> {
    tokio::select! {
        () = stop.cancelled() => {}
        () = look(&service, &host) => {}
    }
    Ok(())
}

async fn look(service: &Service, host: &Arc<dyn Host>) {
    let changed = Arc::new(Notify::new());
    let mut folders = Folders::new(&changed);
    let mut seen = contents(host).await;
    loop {
        if let Some(folders) = &mut folders {
            folders.follow(&host.config_files());
        }
        // What changed between the last look and the watch of a folder just made.
        if contents(host).await == seen {
            let every = if folders.is_some() {
                Duration::MAX
            } else {
                LOOK_EVERY
            };
            let _ = tokio::time::timeout(every, changed.notified()).await;
            while tokio::time::timeout(QUIET, changed.notified())
                .await
                .is_ok()
            {}
        }
        let now = contents(host).await;
        if now != seen {
            seen = now;
            // A bad file is told of in the log; it is read again when it is mended.
            let _ = service.reload().await;
        }
    }
}

async fn contents(host: &Arc<dyn Host>) -> Vec<Option<ContentHash>> {
    let host = Arc::clone(host);
    blocking(move || {
        let files = host.config_files().into_iter();
        files
            .map(|path| {
                std::fs::read(path)
                    .ok()
                    .map(|bytes| ContentHash::of(&bytes))
            })
            .collect()
    })
    .await
}

/// The folders in which something may become of the files.
struct Folders {
    watcher: RecommendedWatcher,
    watched: BTreeSet<PathBuf>,
}

impl Folders {
    fn new(changed: &Arc<Notify>) -> Option<Self> {
        let changed = Arc::clone(changed);
        let on_event = move |event: notify::Result<notify::Event>| {
            // What was only read is no change, and reading is what a reload does.
            if !event.is_ok_and(|event| event.kind.is_access()) {
                changed.notify_one();
            }
        };
        match notify::recommended_watcher(on_event) {
            Ok(watcher) => Some(Self {
                watcher,
                watched: BTreeSet::new(),
            }),
            Err(error) => {
                tracing::debug!(%error, "changes of the configuration are looked for from time to time");
                None
            }
        }
    }

    /// Watches where the files are, or where the folder would be made that they would be in; where a
    /// link leads, too.
    fn follow(&mut self, files: &[PathBuf]) {
        let real = files.iter().filter_map(|path| path.canonicalize().ok());
        let wanted: BTreeSet<PathBuf> = files
            .iter()
            .cloned()
            .chain(real)
            .filter_map(|path| nearest_folder(&path))
            .collect();
        for gone in self.watched.difference(&wanted) {
            // It may not be there any more.
            let _ = self.watcher.unwatch(gone);
        }
        let mut watched: BTreeSet<PathBuf> = self.watched.intersection(&wanted).cloned().collect();
        for folder in wanted.difference(&self.watched) {
            match self.watcher.watch(folder, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    watched.insert(folder.clone());
                }
                Err(error) => {
                    tracing::debug!(folder = %folder.display(), %error, "a folder has no watch");
                }
            }
        }
        self.watched = watched;
    }
}

fn nearest_folder(path: &Path) -> Option<PathBuf> {
    path.ancestors()
        .skip(1)
        .find(|folder| folder.is_dir())
        .map(Path::to_owned)
}
