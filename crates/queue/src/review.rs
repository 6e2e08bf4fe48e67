//! What of all tests is worth a look, kept up with the ledger.

use std::collections::BTreeMap;

use testsmith_domain::{LedgerEntry, ReviewTally};
use testsmith_store::Store;

use crate::QueueError;
use crate::keys::FileKey;
use crate::state::State;
use crate::work::{Work, lock, scan_ledger};

/// The tallies of those files that have something in theirs, by the keys of their entries.
#[derive(Debug, Default)]
pub(crate) struct ToReview(BTreeMap<Vec<u8>, ReviewTally>);

impl ToReview {
    fn set(&mut self, key: Vec<u8>, entry: Option<&LedgerEntry>) {
        let tally = entry.map(LedgerEntry::review_tally).unwrap_or_default();
        if tally == ReviewTally::default() {
            self.0.remove(&key);
        } else {
            self.0.insert(key, tally);
        }
    }

    fn sum(&self) -> ReviewTally {
        let mut sum = ReviewTally::default();
        self.0.values().for_each(|tally| sum.add(tally));
        sum
    }
}

impl State {
    /// What becomes of a file's entry in the ledger: in memory until it is written.
    pub(crate) fn set_ledger(&mut self, file: FileKey, entry: Option<LedgerEntry>) {
        self.review(&file, entry.as_ref());
        self.ledger.insert(file, entry);
    }

    /// Keeps the tally up with an entry that is in force.
    pub(crate) fn review(&mut self, file: &FileKey, entry: Option<&LedgerEntry>) {
        if let Some(to_review) = &mut self.to_review {
            to_review.set(file.ledger(), entry);
        }
    }

    /// The tally, if it has been counted.
    pub(crate) fn review_tally(&self) -> Option<ReviewTally> {
        self.to_review.as_ref().map(ToReview::sum)
    }
}

impl Work {
    /// Counts the whole ledger once. To read all of it each time would leave its pages in memory.
    pub(crate) fn count_review(&self, store: &Store) -> Result<ReviewTally, QueueError> {
        // No entry changes meanwhile.
        let _writing = lock(&self.writing);
        self.load_locked(store)?;
        let mut found = ToReview::default();
        scan_ledger(store, |key, entry| found.set(key.to_vec(), Some(&entry)))?;
        let mut state = self.state();
        for (file, entry) in &state.ledger {
            found.set(file.ledger(), entry.as_ref());
        }
        Ok(state.to_review.insert(found).sum())
    }
}
