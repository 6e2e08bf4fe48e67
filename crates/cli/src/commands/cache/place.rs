//! Where the cache is reached: through the daemon that holds it, or in the state directory.

use testsmith_control::{CacheEntries, Client, EntriesQuery, Imported};
use testsmith_daemon::StoredCache;
use testsmith_domain::{CacheEntry, CacheKey};

use crate::context::Context;
use crate::remote;

pub(super) enum Place {
    Daemon(Client),
    State(StoredCache),
}

impl Place {
    /// To take answers in: what is not there yet is made.
    pub(super) async fn open(context: &Context) -> anyhow::Result<Self> {
        let client = context.client();
        if client.is_running().await? {
            return Ok(Self::Daemon(client));
        }
        let settings = &context.loaded.settings;
        let cache = StoredCache::open(&context.state_dir, settings).await?;
        Ok(Self::State(cache))
    }

    /// To look: `None` if nothing is there yet.
    pub(super) async fn find(context: &Context) -> anyhow::Result<Option<Self>> {
        let client = context.client();
        if remote::tell_if_none(&client).await? {
            return Ok(Some(Self::Daemon(client)));
        }
        let settings = &context.loaded.settings;
        let cache = StoredCache::find(&context.state_dir, settings).await?;
        Ok(cache.map(Self::State))
    }

    /// The next answers behind `after` in the order of keys; none at the end only.
    pub(super) async fn page(&self, after: Option<CacheKey>) -> anyhow::Result<Vec<CacheEntry>> {
        match self {
            Self::Daemon(client) => {
                let query = EntriesQuery { after };
                Ok(client.cache_entries(&query).await?.entries)
            }
            Self::State(cache) => Ok(cache.page(after).await?),
        }
    }

    pub(super) async fn import(&self, entries: Vec<CacheEntry>) -> anyhow::Result<Imported> {
        match self {
            Self::Daemon(client) => {
                let request = CacheEntries { entries };
                Ok(client.add_cache_entries(&request).await?)
            }
            Self::State(cache) => Ok(cache.import(entries).await?),
        }
    }

    pub(super) async fn close(self) -> anyhow::Result<()> {
        match self {
            Self::Daemon(_) => Ok(()),
            Self::State(cache) => Ok(cache.close().await?),
        }
    }
}
