//! Small things beside the answers that can be found out again at some cost, such as verdicts.

use std::time::{Duration, SystemTime};

use testsmith_domain::ContentHash;
use testsmith_store::{Batch, Store, StoreError};

const NOTE: u8 = b'n';

/// The most notes kept from one run to the next; a note is about as large as an answer.
const MOST: usize = 50_000;

fn key(name: ContentHash) -> Vec<u8> {
    [&[NOTE], name.as_bytes().as_slice()].concat()
}

pub(crate) fn get(store: &Store, name: ContentHash) -> Result<Option<Vec<u8>>, StoreError> {
    Ok(store.get(&key(name))?.map(|record| record.data))
}

pub(crate) fn put(store: &Store, name: ContentHash, note: Vec<u8>) -> Result<(), StoreError> {
    let mut batch = Batch::new();
    batch.put(key(name), note);
    store.write(&batch)
}

/// Removes what is too old, damaged or too much: the oldest first.
pub(crate) fn evict(store: &Store, max_age: Duration, now: SystemTime) -> Result<(), StoreError> {
    let mut gone = Vec::new();
    let mut kept = Vec::new();
    store.scan(&[NOTE], |key, record| match record {
        Ok(record) => {
            let age = now.duration_since(record.created).unwrap_or_default();
            if age > max_age {
                gone.push(key.to_vec());
            } else {
                kept.push((record.created, key.to_vec()));
            }
        }
        Err(_) => gone.push(key.to_vec()),
    })?;
    if kept.len() > MOST {
        kept.sort_unstable();
        gone.extend(kept.drain(..kept.len() - MOST).map(|(_, key)| key));
    }
    remove(store, gone)
}

/// Removes all.
pub(crate) fn clear(store: &Store) -> Result<(), StoreError> {
    let mut all = Vec::new();
    store.scan(&[NOTE], |key, _| all.push(key.to_vec()))?;
    remove(store, all)
}

fn remove(store: &Store, keys: Vec<Vec<u8>>) -> Result<(), StoreError> {
    if keys.is_empty() {
        return Ok(());
    }
    let mut batch = Batch::new();
    for key in keys {
        batch.remove(key);
    }
    store.write(&batch)
}
