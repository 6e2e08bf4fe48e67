//! Answers and what is known of them, on their way to the store.

use testsmith_domain::{CacheKey, CachedBody};
use testsmith_store::{Batch, Store, StoreError};

use crate::index::{Entry, body_key, entry_key, size_of};

/// Answers that are to be made durable together.
#[derive(Debug, Default)]
pub(crate) struct Added {
    batch: Batch,
    entries: Vec<(CacheKey, Entry)>,
}

impl Added {
    /// Adds one, given at `created` and last used at the tick `used`.
    pub(crate) fn put(
        &mut self,
        store: &Store,
        key: CacheKey,
        body: &CachedBody,
        created: u64,
        used: u64,
    ) -> Result<(), StoreError> {
        let body = serde_json::to_vec(body).map_err(|error| StoreError::Failed {
            dir: store.dir().to_owned(),
            source: error.into(),
        })?;
        let entry = Entry {
            created,
            used,
            size: size_of(body.len()),
        };
        self.batch.put(body_key(key), body);
        self.batch.put(entry_key(key), entry.encode());
        self.entries.push((key, entry));
        Ok(())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The records, and what the index is to know of them.
    pub(crate) fn into_parts(self) -> (Batch, Vec<(CacheKey, Entry)>) {
        let Self { batch, entries } = self;
        (batch, entries)
    }
}
