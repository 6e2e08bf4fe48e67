//! Where the cache is reached: through the daemon that holds it, or in the state directory.

use testsmith_control::{CacheEntries, Client, ClientError, EntriesQuery, Imported};
use testsmith_daemon::StoredCache;
use testsmith_domain::{CacheEntry, CacheKey};

use crate::context::Context;

pub(super) enum Place {
    Daemon(Client),
    State(StoredCache),
}

impl Place {
    /// To take answers in: what is not there yet is made.
    pub(super) async fn open(context: &Context) -> anyhow::Result<Self> {
        if let Some(client) = daemon(context).await? {
            return Ok(Self::Daemon(client));
        }
        let settings = &context.loaded.settings;
        let cache = StoredCache::open(&context.state_dir, settings).await?;
        Ok(Self::State(cache))
    }

    /// To look: `None` if nothing is there yet.
    pub(super) async fn find(context: &Context) -> anyhow::Result<Option<Self>> {
        if let Some(client) = daemon(context).await? {
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
                let query = EntriesQuery { after, limit: None };
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

/// The daemon that holds the state, if one does.
async fn daemon(context: &Context) -> Result<Option<Client>, ClientError> {
    let client = context.client();
    match client.cache().await {
        Ok(_) => Ok(Some(client)),
        Err(ClientError::NoDaemon(_)) => Ok(None),
        Err(error) => Err(error),
    }
}
