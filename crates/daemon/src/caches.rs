//! The cache alone, for `cache …` without a daemon.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use testsmith_cache::Cache;
use testsmith_config::Settings;
use testsmith_control::{CacheInfo, Gc};
use testsmith_domain::{CacheEntry, CacheKey, CacheStats, Imported};
use testsmith_store::{StateLock, StoreError};

use crate::control::cache_info;
use crate::error::DaemonError;
use crate::service::{CACHE_DIR, open_cache, take_lock};

/// Looks at the cache in `state_dir`.
pub async fn cache_report(state_dir: &Path, settings: &Settings) -> Result<CacheInfo, DaemonError> {
    let max_bytes = settings.cache.max_size.get();
    let Some(stored) = StoredCache::find(state_dir, settings).await? else {
        let nothing = CacheStats::default();
        return Ok(CacheInfo {
            hits: 0,
            misses: 0,
            entries: 0,
            lifetime_hits: 0,
            lifetime_misses: 0,
            bytes: 0,
            max_bytes,
            line: nothing.to_string(),
        });
    };
    let cache = &stored.cache;
    let info = cache_info(cache, cache.lifetime_stats(), max_bytes);
    stored.close().await?;
    Ok(info)
}

/// Removes what is too old or too much from the cache in `state_dir`.
pub async fn collect_garbage(state_dir: &Path, settings: &Settings) -> Result<Gc, DaemonError> {
    let Some(stored) = StoredCache::find(state_dir, settings).await? else {
        return Ok(Gc {
            removed: 0,
            entries: 0,
            bytes: 0,
        });
    };
    let done = gc(&stored.cache).await;
    let done = done.map_err(|error| DaemonError::state(state_dir, error))?;
    stored.close().await?;
    Ok(done)
}

/// Empties the cache in `state_dir`. Gives how many answers it held.
pub async fn clear_cache(state_dir: &Path, settings: &Settings) -> Result<u64, DaemonError> {
    let stored = StoredCache::open(state_dir, settings).await?;
    let cleared = stored.cache.clear().await;
    let entries = cleared.map_err(|error| DaemonError::state(state_dir, error))?;
    stored.close().await?;
    Ok(entries)
}

/// Removes what is too old or too much, and tells what is left.
pub(crate) async fn gc(cache: &Cache) -> Result<Gc, StoreError> {
    Ok(Gc {
        removed: cache.collect_garbage().await?,
        entries: cache.lifetime_stats().entries,
        bytes: cache.size_bytes(),
    })
}

/// The cache in a state directory that no daemon holds, kept from all others while this lives.
#[derive(Debug)]
pub struct StoredCache {
    state_dir: PathBuf,
    cache: Arc<Cache>,
    _lock: StateLock,
}

impl StoredCache {
    /// Opens it; one that is not there yet is made.
    pub async fn open(state_dir: &Path, settings: &Settings) -> Result<Self, DaemonError> {
        let lock = take_lock(state_dir)?;
        Ok(Self {
            state_dir: state_dir.to_owned(),
            cache: open_cache(state_dir, settings).await?,
            _lock: lock,
        })
    }

    /// Opens it, if there is one: a question must not leave a folder behind.
    pub async fn find(state_dir: &Path, settings: &Settings) -> Result<Option<Self>, DaemonError> {
        if !state_dir.join(CACHE_DIR).exists() {
            return Ok(None);
        }
        Self::open(state_dir, settings).await.map(Some)
    }

    /// The next answers behind `after` in the order of keys; none at the end only.
    pub async fn page(&self, after: Option<CacheKey>) -> Result<Vec<CacheEntry>, DaemonError> {
        let page = self.cache.page(after, usize::MAX).await;
        page.map_err(|error| DaemonError::state(&self.state_dir, error))
    }

    /// Takes in answers of another cache; they are durable when this returns.
    pub async fn import(&self, entries: Vec<CacheEntry>) -> Result<Imported, DaemonError> {
        let done = self.cache.import(entries).await;
        done.map_err(|error| DaemonError::state(&self.state_dir, error))
    }

    /// Writes down what is only in memory, and lets go of the state.
    pub async fn close(self) -> Result<(), DaemonError> {
        let closed = self.cache.close().await;
        closed.map_err(|error| DaemonError::state(&self.state_dir, error))
    }
}
