//! The bounds of a cache.

use std::time::Duration;

/// How much a cache keeps, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheSettings {
    /// Bytes of all answers together, before compression.
    pub max_size: u64,
    /// How long after it was given an answer is used.
    pub max_age: Duration,
    /// Answers.
    pub max_entries: u64,
}

impl Default for CacheSettings {
    fn default() -> Self {
        Self {
            max_size: 128 << 20,
            max_age: Duration::from_hours(30 * 24),
            max_entries: 50_000,
        }
    }
}
