//! `/v1/cache/entries`: answers on their way to another cache, and from one.

use serde::{Deserialize, Serialize};
use testsmith_domain::{CacheEntry, CacheKey};

/// The longest answer that is taken in, as JSON. Others are of some thousand bytes.
pub const ENTRY_BYTES: usize = 4 << 20;

/// `GET`: which answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EntriesQuery {
    /// Those behind this key; all without.
    pub after: Option<CacheKey>,
}

/// Answers: what `GET` gives, in the order of their keys, and what `POST` takes. A page without any
/// is behind the last one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheEntries {
    /// The answers.
    pub entries: Vec<CacheEntry>,
}
