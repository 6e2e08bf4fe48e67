//! What was written where.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{BlockKey, ContentHash, MemberName, RelPath};

/// What testsmith has written for one source file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerEntry {
    /// The test file.
    pub test_path: RelPath,
    /// What is known of each member's block.
    pub blocks: BTreeMap<MemberName, LedgerBlock>,
}

/// What testsmith knows of one member's block.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerBlock {
    /// Key and text of the block as it was last written; `None` if there is none now.
    pub written: Option<WrittenBlock>,
    /// Keys for which the user deleted the block: it is not written again for these.
    pub deleted: BTreeSet<BlockKey>,
    /// Whether the user was told that the block is theirs, so that it is said once only.
    pub told: bool,
}

/// A block as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrittenBlock {
    /// The key in its mark.
    pub key: BlockKey,
    /// The digest of its tokens.
    pub sum: ContentHash,
    /// The text between the marks.
    pub body: String,
}
