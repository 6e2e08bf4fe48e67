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

    /// Whether what could be fetched again should not be written any more: below 256 MiB or 5 %,
    /// whichever is more.
    pub const fn is_low(&self) -> bool {
        let share = self.total / 20;
        let floor = 256 << 20;
        self.available < if share > floor { share } else { floor }
    }
}
