//! How full the disk is.

use std::path::Path;

use crate::StoreError;

/// Space on the file system that holds a store, as an ordinary user may use it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FreeSpace {
    /// Bytes left.
    pub available: u64,
    /// Bytes in all.
    pub total: u64,
}

impl FreeSpace {
    /// Space on the file system of `path`.
    pub fn of(path: &Path) -> Result<Self, StoreError> {
        let stat = rustix::fs::statvfs(path)
            .map_err(|error| StoreError::io("measure the free space at", path, error.into()))?;
        Ok(Self {
            available: stat.f_bavail.saturating_mul(stat.f_frsize),
            total: stat.f_blocks.saturating_mul(stat.f_frsize),
        })
    }

    /// Whether what could be fetched again should not be written any more: below 5 %, but not less
    /// than 256 MiB, nor more than 2 GiB: a large disk has room for a cache long before it has 5 %.
    pub fn is_low(&self) -> bool {
        self.available < (self.total / 20).clamp(256 << 20, 2 << 30)
    }
}
