//! What the disk knows when the queue is opened.

use testsmith_domain::Job;
use testsmith_store::{Batch, Store};

use crate::state::{count, key_of};
use crate::{QueueError, keys};

/// Records removed in one batch.
const REMOVED_AT_ONCE: usize = 1000;

/// What is on disk.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) jobs: Vec<Job>,
    pub(crate) roots: Vec<String>,
    pub(crate) next_id: u64,
    pub(crate) highest: u64,
    /// The tally as written; `None` if it is missing.
    tally: Option<u64>,
    unreadable: u64,
}

impl Found {
    pub(crate) fn read(store: &Store) -> Result<Self, QueueError> {
        let mut found = Self::default();
        store.scan(keys::JOBS, |_, record| {
            let job = record
                .ok()
                .and_then(|r| serde_json::from_slice::<Job>(&r.data).ok());
            match job {
                Some(job) => {
                    found.highest = found.highest.max(job.id.0);
                    found.jobs.push(job);
                }
                None => found.unreadable += 1,
            }
        })?;
        store.scan(keys::ROOTS, |_, record| {
            match record.ok().and_then(|r| String::from_utf8(r.data).ok()) {
                Some(root) => found.roots.push(root),
                None => found.unreadable += 1,
            }
        })?;
        store.scan(keys::META, |_, record| {
            let meta = record.ok().and_then(|record| decode_meta(&record.data));
            if let Some((next_id, tally)) = meta {
                found.next_id = next_id;
                found.tally = Some(tally);
            }
        })?;
        Ok(found)
    }

    pub(crate) fn is_damaged(&self, store: &Store) -> bool {
        let tally = self
            .jobs
            .iter()
            .fold(0, |tally, job| tally ^ key_of(job).share(job.id));
        let is_new = self.jobs.is_empty() && self.roots.is_empty() && self.tally.is_none();
        let matches = self.tally == Some(tally) || is_new;
        if !matches || self.unreadable > 0 {
            tracing::warn!(
                unreadable = self.unreadable,
                jobs = count(self.jobs.len()),
                "jobs may have been lost; every file is looked at again"
            );
        }
        !matches || self.unreadable > 0 || store.report().data_may_be_lost()
    }
}

/// Empties all snapshots. The roots stay known, so that their files look new, not unknown.
pub(crate) fn drop_snapshots(store: &Store) -> Result<(), QueueError> {
    let mut keys = Vec::new();
    store.scan(keys::PIECES, |key, _| keys.push(key.to_vec()))?;
    for some in keys.chunks(REMOVED_AT_ONCE) {
        let mut batch = Batch::new();
        for key in some {
            batch.remove(key.clone());
        }
        store.write(&batch)?;
    }
    Ok(store.commit(&Batch::new())?)
}

pub(crate) fn encode_meta(next_id: u64, tally: u64) -> Vec<u8> {
    [next_id.to_be_bytes(), tally.to_be_bytes()].concat()
}

fn decode_meta(bytes: &[u8]) -> Option<(u64, u64)> {
    let (next_id, tally) = bytes.split_first_chunk()?;
    Some((
        u64::from_be_bytes(*next_id),
        u64::from_be_bytes(tally.try_into().ok()?),
    ))
}
