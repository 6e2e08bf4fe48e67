//! Answers on their way to another cache, and from one.

use std::collections::HashSet;
use std::time::SystemTime;

use testsmith_domain::{CacheEntry, CacheKey, Imported};
use testsmith_store::{Store, StoreError};

use crate::KeepError;
use crate::added::Added;
use crate::index::{Entry, is_expired, seconds};
use crate::keep::Keeper;

/// The most answers of a page and, but for a single one that is longer, the most bytes of their bodies.
const PAGE_ENTRIES: usize = 1000;
const PAGE_BYTES: u64 = 1 << 20;

/// The last use of an answer that came from elsewhere: before every other.
const NEVER_USED: u64 = 0;

impl Keeper {
    /// The next answers behind `after` in the order of keys; none at the end only. This is no use of
    /// them.
    pub(crate) fn page(
        &self,
        store: &Store,
        mut after: Option<CacheKey>,
        limit: usize,
    ) -> Result<Vec<CacheEntry>, StoreError> {
        let limit = limit.clamp(1, PAGE_ENTRIES);
        loop {
            let max_age = self.settings().max_age;
            let index = self.index(store)?;
            let next = index.page(after, limit, max_age, SystemTime::now());
            drop(index);
            let Some((last, _)) = next.last() else {
                return Ok(Vec::new());
            };
            after = Some(*last);
            let page = self.read_page(store, &next)?;
            // Where none of them can be read, the end is not reached yet.
            if !page.is_empty() {
                return Ok(page);
            }
        }
    }

    /// Reads as many as fit into a page, without those that are gone or damaged.
    fn read_page(
        &self,
        store: &Store,
        next: &[(CacheKey, Entry)],
    ) -> Result<Vec<CacheEntry>, StoreError> {
        let mut page = Vec::new();
        let mut left = PAGE_BYTES;
        for &(key, Entry { created, size, .. }) in next {
            if u64::from(size) > left && !page.is_empty() {
                break;
            }
            match self.body(store, key) {
                Ok(Some(body)) => {
                    left = left.saturating_sub(u64::from(size));
                    page.push(CacheEntry { key, created, body });
                }
                Ok(None) => {}
                Err(StoreError::Corrupt(what)) => {
                    tracing::warn!(key = %key.short(), what, "a cached answer is damaged");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(page)
    }

    /// Takes in answers of another cache; they are durable when this returns.
    pub(crate) fn import(
        &self,
        store: &Store,
        entries: Vec<CacheEntry>,
    ) -> Result<Imported, KeepError> {
        self.refuse_if_low(store)?;
        let (max_age, now) = (self.settings().max_age, SystemTime::now());
        let mut done = Imported::default();
        let mut added = Added::default();
        let mut new = HashSet::new();
        {
            let index = self.index(store)?;
            let is_there = |key| {
                let entry = index.get(key);
                entry.is_some_and(|entry| !entry.is_expired(max_age, now))
            };
            for CacheEntry { key, created, body } in entries {
                // One that claims to be of the future would never grow too old.
                let created = created.min(seconds(now));
                if new.contains(&key) || is_there(key) {
                    done.present += 1;
                } else if is_expired(created, max_age, now) {
                    done.expired += 1;
                } else {
                    added.put(store, key, &body, created, NEVER_USED)?;
                    new.insert(key);
                    done.added += 1;
                }
            }
        }
        if !added.is_empty() {
            self.commit(store, added)?;
        }
        Ok(done)
    }
}
