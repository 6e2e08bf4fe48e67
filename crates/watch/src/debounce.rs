//! When a thing that changes again and again is to be looked at.

#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::hash::Hash;
use std::time::Duration;

use tokio::time::Instant;

/// Releases each key after `quiet` without an insert, `max_wait` after its first at the latest.
///
/// A pure state machine: it is told the time and never asks for it. A repeated insert costs one
/// hash lookup. The heap holds, for each key, a moment not after its deadline; it is put right
/// only when that moment comes.
#[derive(Debug)]
pub(crate) struct Debouncer<K> {
    quiet: Duration,
    max_wait: Duration,
    entries: HashMap<K, Entry>,
    queue: BinaryHeap<Reverse<(Instant, K)>>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    first: Instant,
    last: Instant,
}

impl<K: Clone + Eq + Hash + Ord> Debouncer<K> {
    pub(crate) fn new(quiet: Duration, max_wait: Duration) -> Self {
        Self {
            quiet,
            max_wait: max_wait.max(quiet),
            entries: HashMap::new(),
            queue: BinaryHeap::new(),
        }
    }

    /// Notes that `key` changed at `now`.
    pub(crate) fn insert(&mut self, key: K, now: Instant) {
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.last = entry.last.max(now);
            return;
        }
        let entry = Entry {
            first: now,
            last: now,
        };
        self.queue
            .push(Reverse((self.deadline(entry), key.clone())));
        self.entries.insert(key, entry);
    }

    /// Takes out the keys that are due at `now`.
    pub(crate) fn due(&mut self, now: Instant) -> Vec<K> {
        let mut due = Vec::new();
        while self.next_deadline().is_some_and(|deadline| deadline <= now) {
            let Some(Reverse((_, key))) = self.queue.pop() else {
                break;
            };
            self.entries.remove(&key);
            due.push(key);
        }
        if self.entries.is_empty() {
            // After a storm, give its memory back.
            self.queue = BinaryHeap::new();
            self.entries.shrink_to_fit();
        }
        due
    }

    /// When the next key is due, if there are no more inserts until then.
    pub(crate) fn next_deadline(&mut self) -> Option<Instant> {
        while let Some(Reverse((queued, key))) = self.queue.peek() {
            let queued = *queued;
            match self.entries.get(key).map(|entry| self.deadline(*entry)) {
                Some(deadline) if deadline <= queued => return Some(deadline),
                Some(deadline) => {
                    if let Some(Reverse((_, key))) = self.queue.pop() {
                        self.queue.push(Reverse((deadline, key)));
                    }
                }
                None => {
                    self.queue.pop();
                }
            }
        }
        None
    }

    pub(crate) fn contains(&self, key: &K) -> bool {
        self.entries.contains_key(key)
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &K> {
        self.entries.keys()
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    fn deadline(&self, entry: Entry) -> Instant {
        (entry.last + self.quiet).min(entry.first + self.max_wait)
    }
}
