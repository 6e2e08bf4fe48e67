//! Reading and writing answers, on the blocking pool.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use testsmith_crash::point;
use testsmith_domain::{CacheKey, CachedBody, Lookup, MissReason};
use testsmith_store::{Batch, Store, StoreError};

use crate::CacheSettings;
use crate::added::Added;
use crate::index::{Index, body_key, entry_key, seconds};
use crate::notes;

/// Entries removed in one batch: long batches would keep readers waiting.
const REMOVED_AT_ONCE: usize = 256;
/// Uses that may be unwritten before they are written by themselves.
const UNWRITTEN_USES: usize = 256;
/// Stores between two looks at the size on disk.
const STORES_BETWEEN_CHECKS: u64 = 256;
/// The files may be this much longer than their content, and at least this long, before they are
/// rebuilt.
const SPREAD: u64 = 4;
const REBUILD_FROM: u64 = 256 << 20;

const TOTALS: &[u8] = b"s";

/// Why an answer was not kept.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// The disk is nearly full; what is left is for what cannot be asked for again.
    #[error("only {available} bytes are left on the disk; answers pass through without being kept")]
    LowSpace {
        /// Bytes left.
        available: u64,
    },
    /// The store could not write.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The cache as the blocking pool sees it.
#[derive(Debug)]
pub(crate) struct Keeper {
    settings: Mutex<CacheSettings>,
    index: Mutex<Index>,
    /// Held while entries are evicted.
    evicting: Mutex<()>,
    stores: AtomicU64,
    low: AtomicBool,
    pub(crate) totals: Totals,
}

/// Hits and misses.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    /// Of earlier runs.
    earlier: Mutex<(u64, u64)>,
    pub(crate) hits: AtomicU64,
    pub(crate) misses: AtomicU64,
}

impl Totals {
    /// Of all runs.
    pub(crate) fn lifetime(&self) -> (u64, u64) {
        let (hits, misses) = *lock(&self.earlier);
        (
            hits + self.hits.load(Ordering::Relaxed),
            misses + self.misses.load(Ordering::Relaxed),
        )
    }

    fn encode(&self) -> Vec<u8> {
        let (hits, misses) = self.lifetime();
        [hits.to_be_bytes(), misses.to_be_bytes()].concat()
    }

    fn decode(bytes: &[u8]) -> Option<(u64, u64)> {
        let (hits, misses) = bytes.split_first_chunk()?;
        Some((
            u64::from_be_bytes(*hits),
            u64::from_be_bytes(misses.try_into().ok()?),
        ))
    }
}

impl Keeper {
    pub(crate) fn new(settings: CacheSettings) -> Self {
        Self {
            settings: Mutex::new(settings),
            index: Mutex::default(),
            evicting: Mutex::default(),
            stores: AtomicU64::new(0),
            low: AtomicBool::new(false),
            totals: Totals::default(),
        }
    }

    pub(crate) fn settings(&self) -> CacheSettings {
        *lock(&self.settings)
    }

    /// Puts other bounds in force.
    pub(crate) fn set(&self, settings: CacheSettings) {
        *lock(&self.settings) = settings;
    }

    /// Entries and their bytes.
    pub(crate) fn extent(&self) -> (u64, u64) {
        let index = lock(&self.index);
        (index.len(), index.bytes())
    }

    /// The index as the store has it, read again if the store was opened anew.
    pub(crate) fn index(&self, store: &Store) -> Result<MutexGuard<'_, Index>, StoreError> {
        let mut index = lock(&self.index);
        if index.generation == 0 || index.generation != store.generation() {
            let first = index.generation == 0;
            *index = Index::load(store, store.report().data_may_be_lost())?;
            if first {
                self.load_totals(store)?;
            }
        }
        Ok(index)
    }

    fn load_totals(&self, store: &Store) -> Result<(), StoreError> {
        let record = match store.get(TOTALS) {
            Err(StoreError::Corrupt(_)) => None,
            other => other?,
        };
        if let Some(totals) = record.and_then(|record| Totals::decode(&record.data)) {
            *lock(&self.totals.earlier) = totals;
        }
        Ok(())
    }

    /// Reads the index, and mends the files if they are too long.
    pub(crate) fn start(&self, store: &Store) -> Result<(), StoreError> {
        drop(self.index(store)?);
        notes::evict(store, self.settings().max_age, SystemTime::now())?;
        self.rebuild_if_spread(store)
    }

    pub(crate) fn lookup(&self, store: &Store, keys: &[CacheKey]) -> Vec<Lookup> {
        let mut gone = Vec::new();
        let found = keys
            .iter()
            .map(|key| {
                let found = self.find(store, *key);
                if let Lookup::Miss(MissReason::Expired | MissReason::Corrupt) = found {
                    gone.push(*key);
                }
                found
            })
            .collect();
        // Not worth failing for: who asks next finds the same and tries again.
        if let Err(error) = self
            .remove(store, &gone)
            .and_then(|()| self.write_uses(store))
        {
            tracing::debug!(%error, "the cache could not tidy up");
        }
        found
    }

    fn find(&self, store: &Store, key: CacheKey) -> Lookup {
        match self.read(store, key) {
            Ok(Ok(body)) => Lookup::Hit(body),
            Ok(Err(reason)) => Lookup::Miss(reason),
            Err(StoreError::Corrupt(what)) => {
                tracing::warn!(key = %key.short(), what, "a cached answer is damaged");
                Lookup::Miss(MissReason::Corrupt)
            }
            Err(error) => {
                tracing::debug!(key = %key.short(), %error, "the cache cannot be read");
                Lookup::Miss(MissReason::Unavailable)
            }
        }
    }

    fn read(
        &self,
        store: &Store,
        key: CacheKey,
    ) -> Result<Result<CachedBody, MissReason>, StoreError> {
        let Some(entry) = self.index(store)?.get(key) else {
            return Ok(Err(MissReason::Absent));
        };
        if entry.is_expired(self.settings().max_age, SystemTime::now()) {
            return Ok(Err(MissReason::Expired));
        }
        let Some(body) = self.body(store, key)? else {
            return Ok(Err(MissReason::Absent));
        };
        lock(&self.index).touch(key);
        Ok(Ok(body))
    }

    /// The body of an entry of the index; `None` if it is gone, and so is the entry then.
    pub(crate) fn body(
        &self,
        store: &Store,
        key: CacheKey,
    ) -> Result<Option<CachedBody>, StoreError> {
        let Some(record) = store.get(&body_key(key))? else {
            lock(&self.index).remove(key);
            return Ok(None);
        };
        let body = serde_json::from_slice(&record.data)
            .map_err(|_| StoreError::Corrupt("a cached answer is no JSON of ours"))?;
        Ok(Some(body))
    }

    fn write_uses(&self, store: &Store) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        {
            let mut index = lock(&self.index);
            if index.touched() < UNWRITTEN_USES {
                return Ok(());
            }
            index.write_touched(&mut batch);
        }
        batch.put(TOTALS, self.totals.encode());
        store.write(&batch)
    }

    /// Keeps answers; they are durable when this returns.
    pub(crate) fn keep(
        &self,
        store: &Store,
        entries: Vec<(CacheKey, CachedBody)>,
    ) -> Result<(), KeepError> {
        self.refuse_if_low(store)?;
        let created = seconds(SystemTime::now());
        let mut added = Added::default();
        {
            let mut index = self.index(store)?;
            for (key, body) in entries {
                added.put(store, key, &body, created, index.next_tick())?;
            }
        }
        self.commit(store, added)?;
        Ok(())
    }

    /// Makes answers durable and known, and tidies up behind them.
    pub(crate) fn commit(&self, store: &Store, added: Added) -> Result<(), StoreError> {
        let (mut batch, entries) = added.into_parts();
        lock(&self.index).write_touched(&mut batch);
        batch.put(TOTALS, self.totals.encode());
        point("cache.keep.before");
        store.commit(&batch)?;
        point("cache.keep.after");
        let over = {
            let mut index = lock(&self.index);
            for (key, entry) in entries {
                index.insert(key, entry);
            }
            index.is_over(&self.settings())
        };
        let stores = self.stores.fetch_add(1, Ordering::Relaxed) + 1;
        // The answers are safe; what follows is housekeeping.
        if let Err(error) = self.tidy(store, over, stores) {
            tracing::warn!(%error, "the cache could not be tidied");
        }
        Ok(())
    }

    fn tidy(&self, store: &Store, over: bool, stores: u64) -> Result<(), StoreError> {
        if over {
            self.evict(store)?;
        }
        if over || stores.is_multiple_of(STORES_BETWEEN_CHECKS) {
            self.rebuild_if_spread(store)?;
        }
        Ok(())
    }

    pub(crate) fn refuse_if_low(&self, store: &Store) -> Result<(), KeepError> {
        let space = store.free_space()?;
        let low = space.is_low();
        if self.low.swap(low, Ordering::Relaxed) != low {
            let available = space.available;
            if low {
                tracing::warn!(
                    available,
                    "disk nearly full: the cache keeps no more answers"
                );
            } else {
                tracing::info!(available, "the cache keeps answers again");
            }
        }
        if low {
            return Err(KeepError::LowSpace {
                available: space.available,
            });
        }
        Ok(())
    }

    /// Removes what is too old, and what is too much.
    fn evict(&self, store: &Store) -> Result<(), StoreError> {
        let _evicting = lock(&self.evicting);
        let gone = lock(&self.index).surplus(&self.settings(), SystemTime::now());
        self.remove(store, &gone)?;
        if !gone.is_empty() {
            tracing::debug!(entries = gone.len(), "cache entries evicted");
        }
        Ok(())
    }

    fn remove(&self, store: &Store, keys: &[CacheKey]) -> Result<(), StoreError> {
        for some in keys.chunks(REMOVED_AT_ONCE) {
            let mut batch = Batch::new();
            for key in some {
                batch.remove(body_key(*key));
                batch.remove(entry_key(*key));
            }
            store.write(&batch)?;
            let mut index = lock(&self.index);
            for key in some {
                index.remove(*key);
            }
        }
        Ok(())
    }

    fn rebuild_if_spread(&self, store: &Store) -> Result<(), StoreError> {
        let on_disk = store.size_on_disk()?;
        let bytes = self.extent().1;
        if on_disk > REBUILD_FROM && on_disk > SPREAD.saturating_mul(bytes) {
            tracing::info!(on_disk, bytes, "the cache's files are rebuilt");
            store.rebuild()?;
            lock(&self.index).generation = store.generation();
        }
        Ok(())
    }

    /// Forgets every answer and note, and gives the space back.
    pub(crate) fn clear(&self, store: &Store) -> Result<u64, StoreError> {
        let keys = self.index(store)?.keys();
        self.remove(store, &keys)?;
        notes::clear(store)?;
        store.commit(&Batch::new())?;
        store.rebuild()?;
        lock(&self.index).generation = store.generation();
        Ok(keys.len().try_into().unwrap_or(u64::MAX))
    }

    pub(crate) fn collect_garbage(&self, store: &Store) -> Result<u64, StoreError> {
        let before = self.index(store)?.len();
        self.evict(store)?;
        notes::evict(store, self.settings().max_age, SystemTime::now())?;
        store.commit(&Batch::new())?;
        self.rebuild_if_spread(store)?;
        Ok(before.saturating_sub(self.extent().0))
    }

    pub(crate) fn close(&self, store: &Store) -> Result<(), StoreError> {
        store.retry_now();
        if let Err(error) = self.evict(store) {
            tracing::debug!(%error, "the cache could not be tidied");
        }
        let mut batch = Batch::new();
        self.index(store)?.write_touched(&mut batch);
        batch.put(TOTALS, self.totals.encode());
        store.commit(&batch)?;
        store.close()
    }
}

/// These locks guard plain figures that are right at any moment.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
