//! A source tree to changed paths: notify, ignore rules, debounce, rescan.
//!
//! [`Watcher::run`] watches the folders of one or more projects that hold sources, and tells of
//! every file whose *content* changed, once it has come to rest:
//!
//! ```no_run
//! # async fn example() -> Result<(), testsmith_watch::WatchError> {
//! use std::sync::Arc;
//! use testsmith_watch::{Change, RootSpec, WatchSettings, Watcher};
//!
//! let claims = Arc::new(|path: &testsmith_domain::RelPath| path.extension() == "go");
//! let watcher = Watcher::new(WatchSettings::default(), claims, None)?;
//! let (sender, mut batches) = tokio::sync::mpsc::channel(4);
//! let cancel = tokio_util::sync::CancellationToken::new();
//! let roots = vec![RootSpec::new("/home/me/shop", None)];
//! let running = watcher.run(roots, sender, cancel.clone());
//! let reading = async {
//!     while let Some(batch) = batches.recv().await {
//!         for change in batch.changes {
//!             if let Change::Modified { path, .. } = change {
//!                 println!("{path} changed");
//!             }
//!         }
//!     }
//! };
//! let (ended, ()) = tokio::join!(running, reading);
//! ended
//! # }
//! ```
//!
//! # Theory of operation
//!
//! *Events are hints, the disk is the truth.* An event only names a path worth a look. After its
//! quiet time the file is read and hashed, and compared with an index of what the receiver was
//! last told; only a difference is a change. So a `touch`, a save without an edit, an editor's
//! temporary files and our own writes come to nothing, and a lost event costs a comparison of the
//! tree instead of a missed save. Start, a full event queue, a watcher's error, a returned root and
//! a slow timer all run that same comparison.
//!
//! *One watch for each folder that is not ignored.* notify's own recursion watches ignored trees
//! and misses files in folders just made, so the walk here adds each folder's watch itself, and
//! only then lists it: a file is found by the listing or told of by the watch, or both. notify 8's
//! inotify backend has a fixed mask, wider than is needed; events of opened and read files are
//! dropped at once, on its thread, which puts the rest into a bounded set. When the set is full,
//! the tree is compared instead.
//!
//! *Folders whose watches cannot be trusted are polled:* those for which the kernel gives no watch,
//! and those on file systems that others write to as well (NFS, SMB, 9p, FUSE …). Polling takes at
//! most 2 % of the time, and so comes every 2 to 30 s.
//!
//! *A file is told of when it rests:* after `debounce` without an event, or `max_wait` at the
//! latest. A file found missing or emptied is looked at once more a quiet time later, since some
//! editors save by moving the old file away or by truncating it. While git moves files about
//! nothing is looked at. More than `bulk_threshold` files at once wait for each other.
//!
//! *Nothing is lost when the receiver is slow:* what was not sent stays in the outbox, where a
//! newer change of a file replaces the older, and the index moves on only with what was sent.
//!
//! # What is no source
//!
//! In this order: what `exclude` names; what the nearest rule in `.testsmithignore`, `.ignore`,
//! `.gitignore`, `.git/info/exclude` or git's global excludes says, in that order of precedence;
//! then hidden files and folders, `node_modules` and `__pycache__`, unless a rule lets them in.
//! Folders that carry a `CACHEDIR.TAG` or `pyvenv.cfg`, other worktrees of a repository, and
//! version control's own folders are never entered. Symbolic links are never followed, neither to
//! folders nor to files: what they point to inside the root is seen there.

mod change;
mod check;
mod debounce;
mod git;
mod handle;
mod hints;
mod index;
mod mount;
mod outbox;
mod root;
mod rules;
mod settings;
mod sources;
mod walk;
mod watcher;
mod watches;

pub use change::{Cause, Change, ChangeBatch, RescanReason};
pub use handle::{RootState, RootStats, WatchHandle};
pub use settings::{Claims, RootSpec, WatchError, WatchSettings};
pub use sources::{IgnoredBy, explain_ignored, list_sources};
pub use watcher::Watcher;
