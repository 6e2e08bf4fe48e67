//! The tree as it was last seen.

use serde::{Deserialize, Serialize};

use crate::ContentHash;

/// What is remembered of one source file, to tell whether it changed.
///
/// Size, times and inode are only there to save reading it again: two files with equal `hash` are
/// the same to testsmith, whatever the rest says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileStamp {
    /// Bytes.
    pub size: u64,
    /// Modification time in nanoseconds since 1970.
    pub mtime_ns: i64,
    /// Change time in nanoseconds since 1970: unlike `mtime_ns`, no program can set it back.
    pub ctime_ns: i64,
    /// Inode number.
    pub inode: u64,
    /// Digest of the content.
    pub hash: ContentHash,
}
