//! What was found when a database was opened.

use std::path::PathBuf;

/// What opening a database took.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OpenReport {
    /// The format its data has; older than asked for if the caller has to migrate.
    pub format: u32,
    /// What had to be done to open it, in order. Empty after a clean stop, and after most kills.
    pub repairs: Vec<Repair>,
    /// Why the database is not open yet, if the disk would not have it. It opens by itself later.
    pub degraded: Option<String>,
}

/// One step of the ladder that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Repair {
    /// A half-written snapshot of an interrupted start was deleted. Costs nothing.
    LeftoverRemoved,
    /// sled's snapshots were put aside and its log read from the start.
    SnapshotsPutAside,
    /// sled's `conf` was put aside and written anew.
    ConfigPutAside,
    /// Some pages could not be read; the others were copied into a fresh database.
    Salvaged {
        /// Records that were saved.
        records: u64,
        /// Where the damaged database is now.
        quarantine: PathBuf,
    },
    /// The database could not be opened at all; a new one was started.
    Quarantined {
        /// Where the damaged database is now.
        quarantine: PathBuf,
    },
}

impl OpenReport {
    /// Whether records that were acknowledged once may be missing now.
    pub fn data_may_be_lost(&self) -> bool {
        self.repairs
            .iter()
            .any(|repair| !matches!(repair, Repair::LeftoverRemoved))
    }

    /// Where a damaged database was put, if one was.
    pub fn quarantine(&self) -> Option<&PathBuf> {
        self.repairs.iter().find_map(|repair| match repair {
            Repair::Salvaged { quarantine, .. } | Repair::Quarantined { quarantine } => {
                Some(quarantine)
            }
            Repair::LeftoverRemoved | Repair::SnapshotsPutAside | Repair::ConfigPutAside => None,
        })
    }
}
