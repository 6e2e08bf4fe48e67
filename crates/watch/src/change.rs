//! What a watcher tells.

use std::path::PathBuf;

use testsmith_domain::{FileStamp, RelPath};

/// Changes that belong together, of one project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeBatch {
    /// The project.
    pub root: PathBuf,
    /// What made the watcher look.
    pub cause: Cause,
    /// Whether they are part of a change of more files at once than a person edits.
    pub bulk: bool,
    /// The changes: at most 1,000, each path once.
    pub changes: Vec<Change>,
}

/// One file's change since the receiver was last told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// New, or with new content.
    Modified {
        /// The file.
        path: RelPath,
        /// What it is now.
        stamp: FileStamp,
    },
    /// No longer there.
    Removed {
        /// The file.
        path: RelPath,
    },
    /// The same content under another name.
    Renamed {
        /// Its old name.
        from: RelPath,
        /// Its new name.
        path: RelPath,
        /// What it is now.
        stamp: FileStamp,
    },
    /// Nothing to do but to remember the stamp: touched, or there when the project was first seen.
    Seen {
        /// The file.
        path: RelPath,
        /// What it is now.
        stamp: FileStamp,
    },
    /// Nothing to do but to forget the stamp: still there, but ignored now. Its tests stay.
    Forgotten {
        /// The file.
        path: RelPath,
    },
}

impl Change {
    /// The file's name now, or its last one.
    pub const fn path(&self) -> &RelPath {
        match self {
            Self::Modified { path, .. }
            | Self::Removed { path }
            | Self::Renamed { path, .. }
            | Self::Seen { path, .. }
            | Self::Forgotten { path } => path,
        }
    }

    /// Whether there is work to be done for it.
    pub const fn is_work(&self) -> bool {
        match self {
            Self::Modified { .. } | Self::Removed { .. } | Self::Renamed { .. } => true,
            Self::Seen { .. } | Self::Forgotten { .. } => false,
        }
    }
}

/// What made the watcher look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// An event: somebody saved, moved or removed a file.
    Saved,
    /// The comparison at start with what was known.
    Startup,
    /// The first look at a project never seen before.
    Baseline,
    /// A later comparison of the tree.
    Rescan(RescanReason),
}

/// Why a tree is compared again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RescanReason {
    /// The kernel's event queue, or ours, was full.
    Overflow,
    /// The watcher reported an error.
    Error,
    /// The root was gone or replaced, and is back.
    RootReturned,
    /// Another branch was checked out.
    Branch,
    /// A repository was made here, moved or removed.
    Repository,
    /// Somebody asked for it.
    Requested,
    /// The slow timer.
    Timer,
    /// Folders whose watches do not tell of all, or that have none, are looked at from time to time.
    Uncovered,
}

impl RescanReason {
    /// The reason's name in logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Overflow => "overflow",
            Self::Error => "error",
            Self::RootReturned => "root_returned",
            Self::Branch => "branch",
            Self::Repository => "repository",
            Self::Requested => "requested",
            Self::Timer => "timer",
            Self::Uncovered => "uncovered",
        }
    }
}
