//! What the event thread leaves for the loop: a bounded set of paths worth a look.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use notify::event::{AccessKind, AccessMode, CreateKind, ModifyKind, RenameMode};
use notify::{Event, EventHandler, EventKind};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::change::RescanReason;

/// Paths kept between two visits of the loop. Four times the kernel's own default queue
/// (`fs.inotify.max_queued_events`, 16,384); more come only when the loop has no processor to run
/// on, and then comparing the tree is cheaper.
const CAPACITY: usize = 65_536;

/// Shared by the event thread, which must never wait, and the loop.
#[derive(Debug, Default)]
pub(crate) struct Hints {
    inner: Mutex<Taken>,
    wake: Notify,
}

/// What has come since the last visit.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    pub(crate) paths: HashMap<PathBuf, Hint>,
    /// Events may be missing: the tree must be compared.
    pub(crate) lost: Option<RescanReason>,
    /// Events since the start.
    pub(crate) events: u64,
    pub(crate) last_event: Option<Instant>,
}

/// What the events of a path had in common with what matters to the loop.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Hint {
    /// It came, went or was renamed.
    pub(crate) structure: bool,
    /// It was moved here: a file or a folder.
    pub(crate) arrived: bool,
    /// It was made as a folder.
    pub(crate) folder: bool,
}

impl Hints {
    /// Resolves when there is something to take.
    pub(crate) async fn wait(&self) {
        self.wake.notified().await;
    }

    /// Takes all there is.
    pub(crate) fn take(&self) -> Taken {
        let mut inner = self.lock();
        let (events, last_event) = (inner.events, inner.last_event);
        std::mem::replace(
            &mut *inner,
            Taken {
                events,
                last_event,
                ..Taken::default()
            },
        )
    }

    fn add(&self, paths: Vec<PathBuf>, hint: Hint) {
        let mut inner = self.lock();
        let was_empty = inner.paths.is_empty() && inner.lost.is_none();
        inner.events += 1;
        inner.last_event = Some(Instant::now());
        for path in paths {
            let old = inner.paths.entry(path).or_default();
            old.structure |= hint.structure;
            old.arrived |= hint.arrived;
            old.folder |= hint.folder;
        }
        if inner.paths.len() > CAPACITY {
            inner.paths = HashMap::new();
            inner.lost = Some(RescanReason::Overflow);
        }
        drop(inner);
        if was_empty {
            self.wake.notify_one();
        }
    }

    fn lose(&self, reason: RescanReason) {
        self.lock().lost = Some(reason);
        self.wake.notify_one();
    }

    /// A panic while the lock is held leaves at worst a hint too few, and ends the watcher anyway.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Taken> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// notify's end: runs on its thread.
pub(crate) struct Handler {
    pub(crate) hints: std::sync::Arc<Hints>,
    /// Closed when notify's thread has ended and given its watches back.
    pub(crate) _alive: std::sync::mpsc::Sender<()>,
}

impl EventHandler for Handler {
    fn handle_event(&mut self, event: notify::Result<Event>) {
        match event {
            Ok(event) if event.need_rescan() => self.hints.lose(RescanReason::Overflow),
            Ok(event) => {
                if let Some(hint) = hint_of(event.kind) {
                    self.hints.add(event.paths, hint);
                }
            }
            Err(error) => {
                tracing::warn!(%error, "the watcher failed; the tree is compared");
                self.hints.lose(RescanReason::Error);
            }
        }
    }
}

/// What an event says; `None` for those that change nothing, of which notify 8's fixed mask lets
/// through every opening of a file, our own included.
fn hint_of(kind: EventKind) -> Option<Hint> {
    let structure = Hint {
        structure: true,
        ..Hint::default()
    };
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write))
        | EventKind::Modify(ModifyKind::Data(_) | ModifyKind::Metadata(_)) => Some(Hint::default()),
        // Says once more what the two events for the names said.
        EventKind::Access(_) | EventKind::Modify(ModifyKind::Name(RenameMode::Both)) => None,
        EventKind::Create(CreateKind::Folder) => Some(Hint {
            folder: true,
            ..structure
        }),
        EventKind::Modify(ModifyKind::Name(RenameMode::From))
        | EventKind::Create(_)
        | EventKind::Remove(_) => Some(structure),
        EventKind::Modify(_) | EventKind::Any | EventKind::Other => Some(Hint {
            arrived: true,
            ..structure
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_set_asks_for_a_comparison_instead_of_dropping() {
        let hints = Hints::default();
        for number in 0..=CAPACITY {
            hints.add(vec![format!("/r/{number}").into()], Hint::default());
        }
        let taken = hints.take();
        assert_eq!(taken.lost, Some(RescanReason::Overflow));
        assert!(taken.paths.is_empty());
        assert_eq!(taken.events, CAPACITY as u64 + 1);
        assert_eq!(hints.take().lost, None);
    }

    #[test]
    fn reading_is_no_hint_and_writing_is() {
        use notify::event::{DataChange, RemoveKind};
        let open = EventKind::Access(AccessKind::Open(AccessMode::Any));
        let read = EventKind::Access(AccessKind::Close(AccessMode::Read));
        assert_eq!((hint_of(open), hint_of(read)), (None, None));
        let written = EventKind::Access(AccessKind::Close(AccessMode::Write));
        let data = EventKind::Modify(ModifyKind::Data(DataChange::Any));
        for kind in [written, data] {
            assert_eq!(hint_of(kind), Some(Hint::default()));
        }
        let removed = hint_of(EventKind::Remove(RemoveKind::File)).unwrap();
        assert!(removed.structure && !removed.arrived && !removed.folder);
        assert!(
            hint_of(EventKind::Create(CreateKind::Folder))
                .unwrap()
                .folder
        );
    }
}
