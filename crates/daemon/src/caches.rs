//! The cache alone, for `cache stats` and `cache clear`.

use std::path::Path;
use std::sync::Arc;

use testsmith_cache::Cache;
use testsmith_config::Settings;
use testsmith_domain::CacheStats;
use testsmith_store::StateLock;

use crate::error::DaemonError;
use crate::service::{CACHE_DIR, open_cache, take_lock};

/// What a cache holds, and how it did so far.
#[derive(Debug, Clone, Copy)]
pub struct CacheReport {
    /// Hits and misses over its life, and its entries now.
    pub lifetime: CacheStats,
    /// The size of its answers.
    pub bytes: u64,
}

/// Looks at the cache in `state_dir`.
pub async fn cache_report(
    state_dir: &Path,
    settings: &Settings,
) -> Result<CacheReport, DaemonError> {
    if !state_dir.join(CACHE_DIR).exists() {
        // A question must not leave a folder behind.
        return Ok(CacheReport {
            lifetime: CacheStats::default(),
            bytes: 0,
        });
    }
    let (_lock, cache) = open(state_dir, settings).await?;
    let report = CacheReport {
        lifetime: cache.lifetime_stats(),
        bytes: cache.size_bytes(),
    };
    close(state_dir, &cache).await?;
    Ok(report)
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
