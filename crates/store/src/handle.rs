//! One open database.

use std::error::Error;
use std::fs::File;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime};

use testsmith_crash::point;

use crate::batch::Change;
use crate::envelope::{self, Record};
use crate::{Batch, StoreError};

const META: u8 = 0;
const RECORD: u8 = 1;
const PIECES: u8 = 2;

/// How often a flush is looked after that takes long.
const NUDGE_EVERY: Duration = Duration::from_millis(500);

/// How often a page that was written counts as used, in small batches. sled cuts its list of pages
/// into 256 parts, and lets go of what is too much in one after 64 uses there (`lru.rs` of 0.34.7).
/// Records that are written once and seldom read fall on all parts alike, so without this their pages
/// stay by the thousand. A use takes about a microsecond.
const USES_OF_WRITTEN: usize = 8;

/// A larger batch has uses enough, and is in a hurry.
const SMALL_BATCH: usize = 32;

/// It does next to nothing.
const NUDGER_STACK: usize = 256 << 10;

/// What is called with each record of a scan.
pub(crate) type Visit<'a> = dyn FnMut(&[u8], Result<Record, StoreError>) + 'a;

/// Why a call of a handle failed.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// Only this record is bad, or the request was.
    Record(StoreError),
    /// The handle cannot be used any more.
    Handle {
        source: Box<dyn Error + Send + Sync>,
        /// Whether data on disk is damaged, rather than the disk unwilling.
        damaged: bool,
    },
    /// The database was rebuilt elsewhere: ask the new handle.
    Retired,
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Record(error)
    }
}

impl From<sled::Error> for Trouble {
    fn from(error: sled::Error) -> Self {
        Self::Handle {
            damaged: is_damage(&error),
            source: Box::new(error),
        }
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        sled::Error::Io(error).into()
    }
}

/// Whether an error tells of damaged data. A full or unwilling disk is no reason to put a database
/// aside.
pub(crate) fn is_damage(error: &sled::Error) -> bool {
    match error {
        sled::Error::Io(error) => matches!(
            error.kind(),
            io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput
        ),
        sled::Error::CollectionNotFound(_)
        | sled::Error::Unsupported(_)
        | sled::Error::ReportableBug(_)
        | sled::Error::Corruption { .. } => true,
    }
}

/// Runs `call`; a panic of sled, which it answers some damage with, becomes an error.
pub(crate) fn guarded<T>(call: impl FnOnce() -> Result<T, Trouble>) -> Result<T, Trouble> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|payload| {
        let text = payload
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| payload.downcast_ref::<&str>().copied())
            .unwrap_or("unknown");
        Err(Trouble::Handle {
            source: format!("sled panicked: {text}").into(),
            damaged: true,
        })
    })
}

/// Locks without minding that another thread panicked: what these locks guard is whole at any
/// moment.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An open database with our own descriptor of its file.
#[derive(Debug)]
pub(crate) struct Handle {
    db: sled::Db,
    /// Tells of errors that sled's own threads met.
    config: sled::Config,
    file: File,
    writer: Mutex<Writer>,
    commits: Mutex<Commits>,
    flushed: Condvar,
}

/// Held while writing, so that a value's pieces fit its head.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    pub(crate) retired: bool,
}

/// Commits are numbered; one flush serves all that had been written when it began.
#[derive(Debug, Default)]
struct Commits {
    asked: u64,
    flushed: u64,
    flushing: bool,
    failed: Option<String>,
}

impl Handle {
    pub(crate) fn new(db: sled::Db, config: sled::Config, dir: &Path) -> Result<Self, Trouble> {
        let file = File::options()
            .read(true)
            .write(true)
            .open(dir.join("db"))?;
        Ok(Self {
            db,
            config,
            file,
            writer: Mutex::default(),
            commits: Mutex::default(),
            flushed: Condvar::new(),
        })
    }

    pub(crate) const fn db(&self) -> &sled::Db {
        &self.db
    }

    pub(crate) fn writer(&self) -> MutexGuard<'_, Writer> {
        lock(&self.writer)
    }

    pub(crate) fn format(&self) -> Result<Option<u32>, Trouble> {
        let found = self.db.get(meta_key(b"format"))?;
        Ok(found.and_then(|bytes| bytes.as_ref().try_into().ok().map(u32::from_be_bytes)))
    }

    pub(crate) fn set_format(&self, format: u32) -> Result<(), Trouble> {
        self.db
            .insert(meta_key(b"format"), format.to_be_bytes().as_slice())?;
        self.sync()
    }

    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Record>, Trouble> {
        match self.read(key) {
            // Perhaps a writer replaced the value between head and pieces: look again without one.
            Err(Trouble::Record(_)) => {
                let _writer = self.writer();
                self.read(key)
            }
            other => other,
        }
    }

    fn read(&self, key: &[u8]) -> Result<Option<Record>, Trouble> {
        let Some(head) = self.db.get(record_key(key))? else {
            return Ok(None);
        };
        self.unwrap_value(key, &head).map(Some)
    }

    fn unwrap_value(&self, key: &[u8], head: &[u8]) -> Result<Record, Trouble> {
        envelope::open(head, |number| {
            let piece = self.db.get(piece_key(key, number))?;
            Ok::<_, Trouble>(piece.map(|piece| piece.to_vec()))
        })
    }

    /// Visits the records whose keys begin with `prefix`, in order of their keys. A damaged
    /// record is visited as an error.
    pub(crate) fn scan(&self, prefix: &[u8], visit: &mut Visit<'_>) -> Result<(), Trouble> {
        for entry in self.db.scan_prefix(record_key(prefix)) {
            let (raw, head) = entry?;
            let key = raw.get(1..).unwrap_or_default();
            match self.unwrap_value(key, &head) {
                Ok(record) => visit(key, Ok(record)),
                Err(Trouble::Record(error)) => visit(key, Err(error)),
                Err(other) => return Err(other),
            }
        }
        Ok(())
    }

    /// Writes a batch: wholly or not at all, but not yet for good.
    pub(crate) fn write(&self, batch: &Batch, now: SystemTime) -> Result<(), Trouble> {
        let writer = self.writer();
        if writer.retired {
            return Err(Trouble::Retired);
        }
        let mut raw = sled::Batch::default();
        for Change { key, value } in &batch.changes {
            let before = self
                .db
                .get(record_key(key))?
                .map_or(0, |head| envelope::pieces_of(&head));
            let after = match value {
                None => {
                    raw.remove(record_key(key));
                    0
                }
                Some(value) => {
                    let sealed = envelope::seal(value, now)?;
                    let mut count = 0;
                    for piece in sealed.pieces {
                        raw.insert(piece_key(key, count), piece);
                        count += 1;
                    }
                    raw.insert(record_key(key), sealed.head);
                    count
                }
            };
            for number in after..before {
                raw.remove(piece_key(key, number));
            }
        }
        self.db.apply_batch(raw)?;
        if batch.changes.len() <= SMALL_BATCH {
            for Change { key, .. } in &batch.changes {
                for _ in 0..USES_OF_WRITTEN {
                    // Only for the list of pages: if it fails, so will the next call.
                    let _ = self.db.get(record_key(key));
                }
            }
        }
        Ok(())
    }

    /// Returns when all that was written before is on disk.
    ///
    /// The first caller flushes, at once; those that come while it does share the next flush.
    pub(crate) fn sync(&self) -> Result<(), Trouble> {
        let mut commits = lock(&self.commits);
        commits.asked += 1;
        let mine = commits.asked;
        loop {
            if let Some(cause) = &commits.failed {
                return Err(Trouble::Handle {
                    source: cause.clone().into(),
                    damaged: false,
                });
            }
            if commits.flushed >= mine {
                return Ok(());
            }
            if commits.flushing {
                commits = self
                    .flushed
                    .wait(commits)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            commits.flushing = true;
            let upto = commits.asked;
            drop(commits);
            let result = guarded(|| self.flush());
            commits = lock(&self.commits);
            commits.flushing = false;
            match &result {
                Ok(()) => commits.flushed = upto,
                Err(Trouble::Handle { source, .. }) => commits.failed = Some(source.to_string()),
                Err(Trouble::Record(_) | Trouble::Retired) => {}
            }
            self.flushed.notify_all();
            result?;
        }
    }

    fn flush(&self) -> Result<(), Trouble> {
        let (under_way, ended) = mpsc::channel::<()>();
        thread::scope(|scope| {
            let nudger = thread::Builder::new().stack_size(NUDGER_STACK);
            // Where no thread can be had, it goes without.
            let _nudger = nudger.spawn_scoped(scope, move || self.nudge(&ended));
            let flushed = self.db.flush();
            drop(under_way);
            flushed
        })?;
        point("store.flushed");
        self.file.sync_data()?;
        point("store.synced");
        Ok(())
    }
}

impl Handle {
    /// Wakes a flush that sled lets sleep for good: if the write it waits for fails in a thread of
    /// sled's that was handed the last reservation, the error is noted and nobody told
    /// (`Log::exit_reservation` in sled 0.34.7). Another flush finds the error, and tells all.
    fn nudge(&self, ended: &Receiver<()>) {
        while ended.recv_timeout(NUDGE_EVERY) == Err(RecvTimeoutError::Timeout) {
            if self.config.global_error().is_err() {
                let _ = self.db.flush();
            }
        }
    }
}

fn meta_key(name: &[u8]) -> Vec<u8> {
    prefixed(META, name)
}

fn record_key(key: &[u8]) -> Vec<u8> {
    prefixed(RECORD, key)
}

fn piece_key(key: &[u8], number: u16) -> Vec<u8> {
    let mut raw = prefixed(PIECES, key);
    raw.extend_from_slice(&number.to_be_bytes());
    raw
}

fn prefixed(kind: u8, key: &[u8]) -> Vec<u8> {
    let mut raw = Vec::with_capacity(key.len() + 3);
    raw.push(kind);
    raw.extend_from_slice(key);
    raw
}
