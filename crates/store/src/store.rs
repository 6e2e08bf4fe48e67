//! The store: a database that is opened again when it has to be.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use testsmith_crash::point;
use tokio::time::Instant;

use crate::error::with_causes;
use crate::handle::{Handle, Trouble, guarded, lock};
use crate::ladder::{self, drop_quietly};
use crate::{Batch, FreeSpace, OpenReport, Record, StoreError, salvage};

/// The wait before the first try to open a failed database again, and the longest.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// How a store is opened.
#[derive(Debug, Clone, Copy)]
pub struct StoreOptions {
    /// The format of the caller's records.
    pub format: u32,
    /// Bytes of pages that sled aims to keep in memory; it keeps to it loosely.
    pub cache_capacity: u64,
}

impl StoreOptions {
    /// The usual options for this format. Few pages are kept: the system has the files in its own
    /// cache, and a record is read now and then.
    pub const fn new(format: u32) -> Self {
        Self {
            format,
            cache_capacity: 1 << 20,
        }
    }
}

/// How a store does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// Open.
    Well,
    /// Closed after an error; calls fail until it is opened again, by the first call after
    /// `retry_in`.
    Degraded {
        /// What it failed with.
        cause: String,
        /// Until the next try.
        retry_in: Duration,
    },
    /// Closed for good.
    Closed,
}

/// A sled database used well. Cheap to clone; all clones are the same store.
///
/// Every call but [`Store::run`], [`Store::health`] and [`Store::generation`] blocks on the disk:
/// use [`Store::run`] from async code.
#[derive(Debug, Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    dir: PathBuf,
    options: StoreOptions,
    state: Mutex<State>,
    /// Held while a handle is opened or replaced; taken before `state`.
    opening: Mutex<()>,
    /// Grows with every opening.
    generation: AtomicU64,
    /// Failed tries and openings since the last successful commit: an opening that is not
    /// followed by a commit does not shorten the wait.
    tries: AtomicU32,
    report: Mutex<OpenReport>,
}

#[derive(Debug)]
enum State {
    Open(Arc<Handle>),
    Down(Down),
    Closed,
}

#[derive(Debug, Clone)]
struct Down {
    cause: String,
    next: Instant,
    /// Whether pages turned out unreadable.
    damaged: bool,
}

impl Store {
    /// Opens or creates the database in `dir`.
    ///
    /// Fails only if the database is open elsewhere or newer than this program. Where the disk is
    /// unwilling (full, read-only, no rights) the store starts degraded, as the report tells, and
    /// opens later. The caller holds the [`StateLock`](crate::StateLock) of the directory above.
    pub fn open(dir: &Path, options: StoreOptions) -> Result<(Self, OpenReport), StoreError> {
        let (state, report) = match ladder::open(dir, options, false) {
            Ok((handle, report)) => (State::Open(Arc::new(handle)), report),
            Err(error @ (StoreError::Busy { .. } | StoreError::NewerFormat { .. })) => {
                return Err(error);
            }
            Err(error) => {
                let cause = with_causes(&error);
                let down = Down {
                    cause: cause.clone(),
                    next: Instant::now() + FIRST_WAIT,
                    damaged: false,
                };
                let report = OpenReport {
                    degraded: Some(cause),
                    ..OpenReport::default()
                };
                (State::Down(down), report)
            }
        };
        let is_open = matches!(state, State::Open(_));
        let store = Self {
            inner: Arc::new(Inner {
                dir: dir.to_owned(),
                options,
                generation: AtomicU64::new(u64::from(is_open)),
                tries: AtomicU32::new(u32::from(!is_open)),
                state: Mutex::new(state),
                opening: Mutex::new(()),
                report: Mutex::new(report.clone()),
            }),
        };
        Ok((store, report))
    }

    /// Runs `call` on tokio's blocking pool. It runs to its end even if the returned future is
    /// dropped.
    pub fn run<T: Send + 'static>(
        &self,
        call: impl FnOnce(&Self) -> Result<T, StoreError> + Send + 'static,
    ) -> impl Future<Output = Result<T, StoreError>> + Send + 'static {
        let store = self.clone();
        let dir = self.inner.dir.clone();
        let task = tokio::task::spawn_blocking(move || call(&store));
        async move {
            task.await.unwrap_or_else(|error| {
                Err(if error.is_panic() {
                    StoreError::Failed {
                        dir,
                        source: Box::new(error),
                    }
                } else {
                    StoreError::Closed
                })
            })
        }
    }

    /// The record under `key`.
    pub fn get(&self, key: &[u8]) -> Result<Option<Record>, StoreError> {
        self.with(|handle| handle.get(key))
    }

    /// Visits the records whose keys begin with `prefix`, in order of their keys. A damaged
    /// record is visited as an error. `visit` must not call the store.
    pub fn scan(
        &self,
        prefix: &[u8],
        mut visit: impl FnMut(&[u8], Result<Record, StoreError>),
    ) -> Result<(), StoreError> {
        self.with(|handle| handle.scan(prefix, &mut visit))
    }

    /// Writes a batch: wholly or not at all. It reaches the disk within some seconds, or with the
    /// next [`commit`](Self::commit).
    pub fn write(&self, batch: &Batch) -> Result<(), StoreError> {
        if batch.is_empty() {
            return Ok(());
        }
        self.with(|handle| handle.write(batch, SystemTime::now()))
    }

    /// Writes a batch; it is on disk, and survives a loss of power, when this returns.
    ///
    /// After an error the batch may or may not have been kept: look again.
    pub fn commit(&self, batch: &Batch) -> Result<(), StoreError> {
        self.with(|handle| {
            if !batch.is_empty() {
                handle.write(batch, SystemTime::now())?;
            }
            point("store.applied");
            handle.sync()
        })?;
        self.inner.tries.store(0, Ordering::Relaxed);
        Ok(())
    }

    /// Bytes that the database takes on disk.
    pub fn size_on_disk(&self) -> Result<u64, StoreError> {
        self.with(|handle| Ok(handle.db().size_on_disk()?))
    }

    /// Space on the disk that the database is on.
    pub fn free_space(&self) -> Result<FreeSpace, StoreError> {
        FreeSpace::of(&self.inner.dir)
    }

    /// How the store does. Does not block.
    pub fn health(&self) -> Health {
        match &*lock(&self.inner.state) {
            State::Open(_) => Health::Well,
            State::Down(down) => Health::Degraded {
                cause: down.cause.clone(),
                retry_in: down.next.saturating_duration_since(Instant::now()),
            },
            State::Closed => Health::Closed,
        }
    }

    /// Grows each time the database is opened, from 1; 0 if it never was. After a change, what a
    /// caller keeps in memory may differ from what is on disk.
    pub fn generation(&self) -> u64 {
        self.inner.generation.load(Ordering::Acquire)
    }

    /// What the latest opening took.
    pub fn report(&self) -> OpenReport {
        lock(&self.inner.report).clone()
    }

    /// Where the database is.
    pub fn dir(&self) -> &Path {
        &self.inner.dir
    }

    /// Copies all records into a fresh directory that takes the old one's place: sled gives freed
    /// space back only that way. Reading goes on meanwhile; writers wait.
    pub fn rebuild(&self) -> Result<(), StoreError> {
        let inner = &*self.inner;
        let _opening = lock(&inner.opening);
        let handle = match &*lock(&inner.state) {
            State::Open(handle) => Arc::clone(handle),
            State::Down(down) => return Err(inner.degraded(down)),
            State::Closed => return Err(StoreError::Closed),
        };
        let result = guarded(|| inner.replace(&handle));
        let result = result.map_err(|trouble| ladder::to_error(&inner.dir, trouble));
        if handle.writer().retired
            && let Err(error) = &result
        {
            inner.fail(&handle, error, false);
        }
        drop_quietly(handle);
        result
    }

    /// Has the next call open a database that is closed after an error, without a wait: for a last try
    /// before the end.
    pub fn retry_now(&self) {
        if let State::Down(down) = &mut *lock(&self.inner.state) {
            down.next = Instant::now();
        }
    }

    /// Flushes and closes the database for good.
    pub fn close(&self) -> Result<(), StoreError> {
        let result = match self.with(Handle::sync) {
            Err(StoreError::Closed) => Ok(()),
            other => other,
        };
        let old = std::mem::replace(&mut *lock(&self.inner.state), State::Closed);
        drop_quietly(old);
        result
    }

    fn with<T>(
        &self,
        mut call: impl FnMut(&Handle) -> Result<T, Trouble>,
    ) -> Result<T, StoreError> {
        loop {
            let handle = self.inner.handle()?;
            let result = guarded(|| call(&handle));
            let result = match result {
                Ok(value) => Ok(value),
                Err(Trouble::Retired) => {
                    drop_quietly(handle);
                    continue;
                }
                Err(Trouble::Record(error)) => Err(error),
                Err(Trouble::Handle { source, damaged }) => {
                    self.inner.fail(&handle, &*source, damaged);
                    Err(StoreError::Failed {
                        dir: self.inner.dir.clone(),
                        source,
                    })
                }
            };
            drop_quietly(handle);
            return result;
        }
    }
}

impl Inner {
    /// The open handle; opens the database again if it is time for that.
    fn handle(&self) -> Result<Arc<Handle>, StoreError> {
        if let Some(result) = self.current() {
            return result;
        }
        let _opening = lock(&self.opening);
        // Another thread may have been quicker.
        if let Some(result) = self.current() {
            return result;
        }
        let damaged = match &*lock(&self.state) {
            State::Down(down) => down.damaged,
            State::Open(_) | State::Closed => false,
        };
        match ladder::open(&self.dir, self.options, damaged) {
            Ok((handle, report)) => {
                tracing::warn!(
                    store = %self.dir.display(),
                    repairs = ?report.repairs,
                    "store is open again"
                );
                let handle = Arc::new(handle);
                *lock(&self.report) = report;
                self.install(Arc::clone(&handle))?;
                Ok(handle)
            }
            Err(error) => {
                let cause = with_causes(&error);
                tracing::debug!(store = %self.dir.display(), %cause, "store cannot be opened yet");
                self.set_down(cause, damaged);
                Err(error)
            }
        }
    }

    /// The open handle, or why there is none; `None` if it is time to open it.
    fn current(&self) -> Option<Result<Arc<Handle>, StoreError>> {
        match &*lock(&self.state) {
            State::Open(handle) => Some(Ok(Arc::clone(handle))),
            State::Closed => Some(Err(StoreError::Closed)),
            State::Down(down) if Instant::now() < down.next => Some(Err(self.degraded(down))),
            State::Down(_) => None,
        }
    }

    fn install(&self, handle: Arc<Handle>) -> Result<(), StoreError> {
        let mut state = lock(&self.state);
        if matches!(*state, State::Closed) {
            return Err(StoreError::Closed);
        }
        self.generation.fetch_add(1, Ordering::AcqRel);
        let old = std::mem::replace(&mut *state, State::Open(handle));
        drop(state);
        drop_quietly(old);
        Ok(())
    }

    /// Closes a handle that failed, unless that has been done.
    fn fail(&self, handle: &Arc<Handle>, cause: &(dyn std::error::Error + 'static), damaged: bool) {
        let is_current =
            matches!(&*lock(&self.state), State::Open(open) if Arc::ptr_eq(open, handle));
        if is_current {
            let cause = with_causes(cause);
            tracing::warn!(
                store = %self.dir.display(),
                %cause,
                damaged,
                "store failed; it is closed and will be opened again"
            );
            self.set_down(cause, damaged);
        }
    }

    fn set_down(&self, cause: String, damaged: bool) {
        let tries = self.tries.fetch_add(1, Ordering::Relaxed);
        let wait = FIRST_WAIT.saturating_mul(2u32.saturating_pow(tries));
        let mut state = lock(&self.state);
        if matches!(*state, State::Closed) {
            return;
        }
        let down = State::Down(Down {
            cause,
            next: Instant::now() + wait.min(LONGEST_WAIT),
            damaged,
        });
        let old = std::mem::replace(&mut *state, down);
        drop(state);
        drop_quietly(old);
    }

    /// Rebuilds; `opening` is held.
    fn replace(&self, old: &Arc<Handle>) -> Result<(), Trouble> {
        let fresh = ladder::beside(&self.dir, "rebuild");
        let worn = ladder::beside(&self.dir, "worn");
        let mut writer = old.writer();
        salvage::copy_into_fresh(old, &fresh, self.options)?;
        std::fs::rename(&self.dir, &worn)?;
        // From here on what is written to the old database would be lost.
        writer.retired = true;
        drop(writer);
        ladder::put_in_place(&fresh, &self.dir)?;
        let handle = ladder::attempt(&self.dir, self.options)?;
        self.install(Arc::new(handle))?;
        std::fs::remove_dir_all(&worn)?;
        Ok(())
    }

    fn degraded(&self, down: &Down) -> StoreError {
        StoreError::Degraded {
            dir: self.dir.clone(),
            cause: down.cause.clone(),
            retry_in: down.next.saturating_duration_since(Instant::now()),
        }
    }
}
