//! What is done with the cache of answers.

use testsmith_cache::Cache;
use testsmith_control::{CacheEntries, Cleared, EntriesQuery, Gc, Imported, Refusal};

use crate::caches;
use crate::files::chain;

pub(super) async fn entries(cache: &Cache, query: EntriesQuery) -> Result<CacheEntries, Refusal> {
    let page = cache.page(query.after, usize::MAX).await;
    let entries = page.map_err(|error| Refusal::failed(chain(&error)))?;
    Ok(CacheEntries { entries })
}

pub(super) async fn add_entries(cache: &Cache, request: CacheEntries) -> Result<Imported, Refusal> {
    let done = cache.import(request.entries).await;
    let done = done.map_err(|error| Refusal::failed(chain(&error)))?;
    if done.added > 0 {
        tracing::info!(answers = done.added, "answers imported on request");
    }
    Ok(done)
}

pub(super) async fn gc(cache: &Cache) -> Result<Gc, Refusal> {
    let done = caches::gc(cache).await;
    done.map_err(|error| Refusal::failed(chain(&error)))
}

pub(super) async fn clear(cache: &Cache) -> Result<Cleared, Refusal> {
    let cleared = cache.clear().await;
    let forgotten = cleared.map_err(|error| Refusal::failed(chain(&error)))?;
    tracing::info!(answers = forgotten, "cache emptied on request");
    Ok(Cleared { forgotten })
}
