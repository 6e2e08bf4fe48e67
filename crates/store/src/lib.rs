//! Opening sled well: locks, envelopes, repair, durable flushes.
//!
//! `cache` and `queue` keep their data through this crate and nobody else uses it. All calls of
//! [`Store`] block; [`Store::run`] puts them on tokio's blocking pool.
//!
//! ```
//! use testsmith_store::{Batch, StateLock, Store, StoreOptions};
//!
//! let state = tempfile::tempdir()?;
//! let _lock = StateLock::acquire(state.path())?;
//! let (store, report) = Store::open(&state.path().join("jobs.sled"), StoreOptions::new(1))?;
//! assert!(!report.data_may_be_lost());
//!
//! let mut batch = Batch::new();
//! batch.put("colour", "green");
//! store.commit(&batch)?; // on disk when this returns
//! assert_eq!(store.get(b"colour")?.unwrap().data, b"green");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Theory of operation
//!
//! **Durable means durable.** sled's own flush ends in `sync_file_range`, which does not survive a
//! loss of power, so [`Store::commit`] adds an `fdatasync` on a descriptor of its own. Callers that
//! commit at the same moment share one flush.
//!
//! **Opening never fails for want of good data.** The ladder, from gentle to harsh: delete what an
//! interrupted start left behind, open, open without sled's snapshots, open without its `conf`, and
//! at last put the directory aside as `<dir>.corrupt-<unix time>` (two are kept) and start empty.
//! sled panics on some damaged files, so each step catches unwinding. What was done is told in
//! [`OpenReport`].
//!
//! **A sick disk is lived with.** sled cannot be used any more after one failed write, even when
//! there is space again. So after a failed write or flush every handle is dropped, calls fail at
//! once with [`StoreError::Degraded`], and the first call after a wait (1 s, doubling to 60 s)
//! opens the database anew. A page that turns out unreadable leads to the same, plus a copy of
//! all that can be read into a fresh directory.
//!
//! # Layout on disk, format 1
//!
//! One sled tree. Keys begin with a byte for their kind:
//!
//! | Key | Value |
//! |---|---|
//! | `00 "format"` | the caller's format number, four bytes, big-endian |
//! | `01` key | envelope: `"TS"`, version, codec, creation time, length, pieces, CRC-32C; then the data, if it fits into 64 KiB |
//! | `02` key, piece number in two bytes | one piece of 64 KiB of data that does not fit |
//!
//! Values stay below sled's threshold for blob files, which it never deletes. A reader that meets
//! a newer format refuses with [`StoreError::NewerFormat`]; an older one is told in
//! [`OpenReport::format`], for the caller to migrate.

mod batch;
mod envelope;
mod error;
mod handle;
mod ladder;
mod lock;
mod report;
mod salvage;
mod space;
mod store;

pub use batch::Batch;
pub use envelope::Record;
pub use error::StoreError;
pub use lock::StateLock;
pub use report::{OpenReport, Repair};
pub use space::FreeSpace;
pub use store::{Health, Store, StoreOptions};
