//! The cache as others see it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use testsmith_domain::{
    BodyCache, BoxFuture, CacheEntry, CacheError, CacheKey, CacheStats, CacheStatsReporter,
    CachedBody, Claim, ContentHash, Imported, Lookup, MissReason,
};
use testsmith_store::{Health, OpenReport, Store, StoreError, StoreOptions};

use crate::flight::Flights;
use crate::keep::Keeper;
use crate::notes;
use crate::{CacheSettings, KeepError};

/// The longest a lookup may take; after that it is a miss. Far above a usual one (under a
/// millisecond), far below the call it saves.
pub const LOOKUP_LIMIT: Duration = Duration::from_secs(2);

const FORMAT: u32 = 1;

/// What was found when a cache was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheReport {
    /// Answers in it.
    pub entries: u64,
    /// Their bytes, before compression.
    pub size_bytes: u64,
    /// What opening the database took.
    pub store: OpenReport,
}

/// Answers kept across restarts. All methods must be called within a tokio runtime.
#[derive(Debug)]
pub struct Cache {
    store: Store,
    keeper: Arc<Keeper>,
    flights: Flights,
}

impl Cache {
    /// Opens or creates the cache in `dir`. Blocks; the caller holds the lock of the state
    /// directory.
    ///
    /// Fails only if it is open elsewhere or written by a later version; a damaged cache is
    /// repaired or put aside, and with a full disk it starts out of order and recovers.
    pub fn open(
        dir: &Path,
        settings: CacheSettings,
    ) -> Result<(Arc<Self>, CacheReport), StoreError> {
        let (store, report) = Store::open(dir, StoreOptions::new(FORMAT))?;
        let keeper = Keeper::new(settings);
        if report.degraded.is_none()
            && let Err(error) = keeper.start(&store)
        {
            tracing::warn!(%error, "the cache cannot be read yet");
        }
        let (entries, size_bytes) = keeper.extent();
        let cache = Self {
            store,
            keeper: Arc::new(keeper),
            flights: Flights::default(),
        };
        let report = CacheReport {
            entries,
            size_bytes,
            store: report,
        };
        Ok((Arc::new(cache), report))
    }

    /// Hits and misses of all runs, this one included, and the answers kept now. A killed process
    /// may have taken its last counts along.
    pub fn lifetime_stats(&self) -> CacheStats {
        let (hits, misses) = self.keeper.totals.lifetime();
        CacheStats {
            hits,
            misses,
            entries: self.keeper.extent().0,
        }
    }

    /// Bytes of all answers, before compression.
    pub fn size_bytes(&self) -> u64 {
        self.keeper.extent().1
    }

    /// Puts other bounds in force. What is too old by them is not found any more; what is too much
    /// goes when answers are added, or with [`Cache::collect_garbage`].
    pub fn set(&self, settings: CacheSettings) {
        self.keeper.set(settings);
    }

    /// How the store below does.
    pub fn health(&self) -> Health {
        self.store.health()
    }

    /// Forgets every answer; returns how many. Statistics stay.
    pub async fn clear(&self) -> Result<u64, StoreError> {
        let keeper = Arc::clone(&self.keeper);
        self.store.run(move |store| keeper.clear(store)).await
    }

    /// The next answers behind `after` in the order of keys, for another cache: at most `limit`, fewer
    /// if they are long, and none at the end only. This is no use of them, and counts nowhere.
    pub async fn page(
        &self,
        after: Option<CacheKey>,
        limit: usize,
    ) -> Result<Vec<CacheEntry>, StoreError> {
        let keeper = Arc::clone(&self.keeper);
        let reading = move |store: &Store| keeper.page(store, after, limit);
        self.store.run(reading).await
    }

    /// Takes in answers of another cache, but for those that are there and those that are too old.
    /// They are durable when this returns, and the first to go where there are too many.
    pub async fn import(&self, entries: Vec<CacheEntry>) -> Result<Imported, KeepError> {
        let keeper = Arc::clone(&self.keeper);
        let writing = move |store: &Store| Ok(keeper.import(store, entries));
        self.store.run(writing).await?
    }

    /// What was noted under this name, unless it is damaged or out of reach. Notes are no answers:
    /// they count in no statistics.
    pub async fn note(&self, name: ContentHash) -> Option<Vec<u8>> {
        let read = self.store.run(move |store| notes::get(store, name)).await;
        read.unwrap_or_else(|error| {
            tracing::debug!(%error, "a note cannot be read");
            None
        })
    }

    /// Notes something small that can be found out again: it need not survive a power cut.
    pub async fn put_note(&self, name: ContentHash, note: Vec<u8>) {
        let written = self.store.run(move |store| notes::put(store, name, note));
        if let Err(error) = written.await {
            tracing::debug!(%error, "a note cannot be kept");
        }
    }

    /// Removes what is too old or too much, and gives space back if much is wasted; returns how
    /// many answers went. This happens by itself as answers are added, and at the end of a run.
    pub async fn collect_garbage(&self) -> Result<u64, StoreError> {
        let keeper = Arc::clone(&self.keeper);
        self.store
            .run(move |store| keeper.collect_garbage(store))
            .await
    }

    /// Writes down what is only in memory, and closes. Later calls miss.
    pub async fn close(&self) -> Result<(), StoreError> {
        let keeper = Arc::clone(&self.keeper);
        self.store.run(move |store| keeper.close(store)).await
    }

    fn count(&self, found: &[(usize, Lookup)]) {
        let hits = found
            .iter()
            .filter(|(_, lookup)| matches!(lookup, Lookup::Hit(_)))
            .count();
        let totals = &self.keeper.totals;
        let add = |counter: &std::sync::atomic::AtomicU64, number: usize| {
            counter.fetch_add(number.try_into().unwrap_or(u64::MAX), Ordering::Relaxed);
        };
        add(&totals.hits, hits);
        add(&totals.misses, found.len() - hits);
    }
}

/// What was found for one answer under its keys: the first hit, or how the first key missed. All are
/// read to the end.
fn first_hit(found: impl Iterator<Item = Lookup>) -> (usize, Lookup) {
    let mut first = (0, Lookup::Miss(MissReason::Absent));
    for (at, lookup) in found.enumerate() {
        let is_better = matches!((&first.1, &lookup), (Lookup::Miss(_), Lookup::Hit(_)));
        if at == 0 || is_better {
            first = (at, lookup);
        }
    }
    first
}

impl BodyCache for Cache {
    fn lookup_first<'a>(
        &'a self,
        wanted: &'a [Vec<CacheKey>],
    ) -> BoxFuture<'a, Vec<(usize, Lookup)>> {
        Box::pin(async move {
            let keeper = Arc::clone(&self.keeper);
            let keys: Vec<CacheKey> = wanted.iter().flatten().copied().collect();
            let count = keys.len();
            let reading = self.store.run(move |store| Ok(keeper.lookup(store, &keys)));
            let found = match tokio::time::timeout(LOOKUP_LIMIT, reading).await {
                Ok(Ok(found)) => found,
                Ok(Err(error)) => {
                    tracing::warn!(%error, "a cache lookup failed");
                    vec![Lookup::Miss(MissReason::Unavailable); count]
                }
                Err(_) => {
                    tracing::warn!(limit = ?LOOKUP_LIMIT, "a cache lookup took too long");
                    vec![Lookup::Miss(MissReason::Unavailable); count]
                }
            };
            let mut found = found.into_iter();
            let first = |keys: &Vec<CacheKey>| first_hit(found.by_ref().take(keys.len()));
            let found: Vec<(usize, Lookup)> = wanted.iter().map(first).collect();
            self.count(&found);
            found
        })
    }

    fn store(&self, entries: Vec<(CacheKey, CachedBody)>) -> BoxFuture<'_, Result<(), CacheError>> {
        if entries.is_empty() {
            return Box::pin(std::future::ready(Ok(())));
        }
        let keeper = Arc::clone(&self.keeper);
        // Begun here, not when first polled: an answer that was paid for is kept even if nobody
        // waits for that.
        let writing = self.store.run(move |store| Ok(keeper.keep(store, entries)));
        Box::pin(async move {
            match writing.await {
                Ok(Ok(())) => Ok(()),
                Ok(Err(error)) => Err(CacheError(error.into())),
                Err(error) => Err(CacheError(KeepError::from(error).into())),
            }
        })
    }

    fn claim(&self, key: CacheKey) -> Claim {
        self.flights.claim(key)
    }
}

impl CacheStatsReporter for Cache {
    fn cache_stats(&self) -> Option<CacheStats> {
        let totals = &self.keeper.totals;
        Some(CacheStats {
            hits: totals.hits.load(Ordering::Relaxed),
            misses: totals.misses.load(Ordering::Relaxed),
            entries: self.keeper.extent().0,
        })
    }
}
