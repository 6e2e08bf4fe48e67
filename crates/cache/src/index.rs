//! What is in the cache, in memory.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use testsmith_domain::{CacheKey, ContentHash};
use testsmith_store::{Batch, Store, StoreError};

use crate::CacheSettings;

const BODY: u8 = b'e';
const ENTRY: u8 = b'i';

/// What is known of one answer without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Unix seconds.
    pub(crate) created: u64,
    /// The tick of its last use.
    pub(crate) used: u64,
    /// Bytes before compression.
    pub(crate) size: u32,
}

/// All entries, and which of them were used since that was last written down.
#[derive(Debug, Default)]
pub(crate) struct Index {
    /// The store's opening that this was read from; 0 if none.
    pub(crate) generation: u64,
    entries: HashMap<CacheKey, Entry>,
    bytes: u64,
    tick: u64,
    touched: HashSet<CacheKey>,
}

impl Index {
    /// Reads the index from the store. With `distrust`, bodies are read too, and those without an
    /// index record get one.
    pub(crate) fn load(store: &Store, distrust: bool) -> Result<Self, StoreError> {
        let mut index = Self {
            generation: store.generation(),
            ..Self::default()
        };
        store.scan(&[ENTRY], |raw, record| {
            let entry = record.ok().and_then(|record| Entry::decode(&record.data));
            if let (Some(key), Some(entry)) = (key_of(raw), entry) {
                index.insert(key, entry);
                index.tick = index.tick.max(entry.used);
            }
        })?;
        if distrust {
            index.adopt_orphans(store)?;
        }
        Ok(index)
    }

    fn adopt_orphans(&mut self, store: &Store) -> Result<(), StoreError> {
        let mut orphans = Batch::new();
        store.scan(&[BODY], |raw, record| {
            if let (Some(key), Ok(record)) = (key_of(raw), record)
                && !self.entries.contains_key(&key)
            {
                let entry = Entry {
                    created: seconds(record.created),
                    used: 0,
                    size: size_of(record.data.len()),
                };
                orphans.put(entry_key(key), entry.encode());
                self.insert(key, entry);
            }
        })?;
        store.write(&orphans)
    }

    pub(crate) fn get(&self, key: CacheKey) -> Option<Entry> {
        self.entries.get(&key).copied()
    }

    pub(crate) fn insert(&mut self, key: CacheKey, entry: Entry) {
        if let Some(old) = self.entries.insert(key, entry) {
            self.bytes -= u64::from(old.size);
        }
        self.bytes += u64::from(entry.size);
    }

    pub(crate) fn remove(&mut self, key: CacheKey) {
        if let Some(old) = self.entries.remove(&key) {
            self.bytes -= u64::from(old.size);
        }
        self.touched.remove(&key);
    }

    /// Notes a use.
    pub(crate) fn touch(&mut self, key: CacheKey) {
        let tick = self.next_tick();
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.used = tick;
            self.touched.insert(key);
        }
    }

    /// How many uses are not written down yet.
    pub(crate) fn touched(&self) -> usize {
        self.touched.len()
    }

    pub(crate) const fn next_tick(&mut self) -> u64 {
        self.tick += 1;
        self.tick
    }

    /// Adds the uses that are not written down yet to a batch.
    pub(crate) fn write_touched(&mut self, batch: &mut Batch) {
        for key in self.touched.drain() {
            if let Some(entry) = self.entries.get(&key) {
                batch.put(entry_key(key), entry.encode());
            }
        }
    }

    pub(crate) fn len(&self) -> u64 {
        self.entries.len().try_into().unwrap_or(u64::MAX)
    }

    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn keys(&self) -> Vec<CacheKey> {
        self.entries.keys().copied().collect()
    }

    /// The first entries behind `after` in the order of keys, at most `limit`, without those that are
    /// too old.
    pub(crate) fn page(
        &self,
        after: Option<CacheKey>,
        limit: usize,
        max_age: Duration,
        now: SystemTime,
    ) -> Vec<(CacheKey, Entry)> {
        let is_wanted = |key: &CacheKey, entry: &Entry| {
            after.is_none_or(|after| *key > after) && !entry.is_expired(max_age, now)
        };
        let all = self.entries.iter();
        let wanted = all.filter(|(key, entry)| is_wanted(key, entry));
        let mut page: Vec<_> = wanted.map(|(key, entry)| (*key, *entry)).collect();
        if page.len() > limit {
            // Only the page is put in order, not all that comes behind it.
            page.select_nth_unstable_by_key(limit, |(key, _)| *key);
            page.truncate(limit);
        }
        page.sort_unstable_by_key(|(key, _)| *key);
        page
    }

    /// What has to go: all that is too old, and if there is still too much, the least recently
    /// used until 90 % of the bounds are kept.
    pub(crate) fn surplus(&self, settings: &CacheSettings, now: SystemTime) -> Vec<CacheKey> {
        let over = self.len() > settings.max_entries || self.bytes > settings.max_size;
        let (entries, bytes) = (settings.max_entries / 10 * 9, settings.max_size / 10 * 9);
        let mut left = (self.len(), self.bytes);
        let mut gone = Vec::new();
        let mut fresh: Vec<(u64, CacheKey, u32)> = Vec::new();
        for (key, entry) in &self.entries {
            if entry.is_expired(settings.max_age, now) {
                left = (left.0 - 1, left.1 - u64::from(entry.size));
                gone.push(*key);
            } else if over {
                fresh.push((entry.used, *key, entry.size));
            }
        }
        fresh.sort_unstable();
        for (_, key, size) in fresh {
            if left.0 <= entries && left.1 <= bytes {
                break;
            }
            left = (left.0 - 1, left.1 - u64::from(size));
            gone.push(key);
        }
        gone
    }

    pub(crate) fn is_over(&self, settings: &CacheSettings) -> bool {
        self.len() > settings.max_entries || self.bytes > settings.max_size
    }
}

impl Entry {
    /// Whether it is too old.
    pub(crate) fn is_expired(&self, max_age: Duration, now: SystemTime) -> bool {
        is_expired(self.created, max_age, now)
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let Self {
            created,
            used,
            size,
        } = self;
        let mut bytes = Vec::with_capacity(20);
        bytes.extend_from_slice(&created.to_be_bytes());
        bytes.extend_from_slice(&used.to_be_bytes());
        bytes.extend_from_slice(&size.to_be_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (created, rest) = bytes.split_first_chunk()?;
        let (used, rest) = rest.split_first_chunk()?;
        Some(Self {
            created: u64::from_be_bytes(*created),
            used: u64::from_be_bytes(*used),
            size: u32::from_be_bytes(rest.try_into().ok()?),
        })
    }
}

/// Whether what was given at `created`, in Unix seconds, is too old. What is from the future, as after
/// a clock that was wrong, is not.
pub(crate) fn is_expired(created: u64, max_age: Duration, now: SystemTime) -> bool {
    seconds(now)
        .checked_sub(created)
        .is_some_and(|age| age >= max_age.as_secs())
}

pub(crate) fn body_key(key: CacheKey) -> Vec<u8> {
    prefixed(BODY, key)
}

pub(crate) fn entry_key(key: CacheKey) -> Vec<u8> {
    prefixed(ENTRY, key)
}

fn prefixed(kind: u8, key: CacheKey) -> Vec<u8> {
    let mut raw = vec![kind];
    raw.extend_from_slice(key.hash().as_bytes());
    raw
}

fn key_of(raw: &[u8]) -> Option<CacheKey> {
    let bytes: [u8; 32] = raw.get(1..)?.try_into().ok()?;
    Some(CacheKey::from(ContentHash::from_bytes(bytes)))
}

pub(crate) fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

pub(crate) fn size_of(length: usize) -> u32 {
    length.try_into().unwrap_or(u32::MAX)
}
