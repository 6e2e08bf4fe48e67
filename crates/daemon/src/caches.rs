//! The cache alone, for `cache …` without a daemon.

use std::path::Path;
use std::sync::Arc;

use testsmith_cache::Cache;
use testsmith_config::Settings;
use testsmith_control::{CacheInfo, Gc};
use testsmith_domain::CacheStats;
use testsmith_store::StateLock;

use crate::control::cache_info;
use crate::error::DaemonError;
use crate::service::{CACHE_DIR, open_cache, take_lock};

/// Looks at the cache in `state_dir`.
pub async fn cache_report(state_dir: &Path, settings: &Settings) -> Result<CacheInfo, DaemonError> {
    let max_bytes = settings.cache.max_size.get();
    if !state_dir.join(CACHE_DIR).exists() {
        // A question must not leave a folder behind.
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
    }
    let (_lock, cache) = open(state_dir, settings).await?;
    let info = cache_info(&cache, cache.lifetime_stats(), max_bytes);
    close(state_dir, &cache).await?;
    Ok(info)
}

/// Removes what is too old or too much from the cache in `state_dir`.
pub async fn collect_garbage(state_dir: &Path, settings: &Settings) -> Result<Gc, DaemonError> {
    if !state_dir.join(CACHE_DIR).exists() {
        return Ok(Gc {
            removed: 0,
            entries: 0,
            bytes: 0,
        });
    }
    let (_lock, cache) = open(state_dir, settings).await?;
    let removed = cache.collect_garbage().await;
    let done = Gc {
        removed: removed.map_err(|error| DaemonError::state(state_dir, error))?,
        entries: cache.lifetime_stats().entries,
        bytes: cache.size_bytes(),
    };
    close(state_dir, &cache).await?;
    Ok(done)
}

/// Empties the cache in `state_dir`. Gives how many answers it held.
pub async fn clear_cache(state_dir: &Path, settings: &Settings) -> Result<u64, DaemonError> {
    let (_lock, cache) = open(state_dir, settings).await?;
    let entries = cache
        .clear()
        .await
        .map_err(|error| DaemonError::state(state_dir, error))?;
    close(state_dir, &cache).await?;
    Ok(entries)
}

async fn open(
    state_dir: &Path,
    settings: &Settings,
) -> Result<(StateLock, Arc<Cache>), DaemonError> {
    let lock = take_lock(state_dir)?;
    Ok((lock, open_cache(state_dir, settings).await?))
}

async fn close(state_dir: &Path, cache: &Cache) -> Result<(), DaemonError> {
    cache
        .close()
        .await
        .map_err(|error| DaemonError::state(state_dir, error))
}
