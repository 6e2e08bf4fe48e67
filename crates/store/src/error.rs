//! What can go wrong with a store.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A failed call to the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process uses the state directory.
    #[error("another testsmith{} holds `{}`", holder(*pid), dir.display())]
    Held {
        /// The state directory.
        dir: PathBuf,
        /// The process that holds it, if it could be read.
        pid: Option<u32>,
    },
    /// The database is open already, in this process or another.
    #[error("`{}` is open elsewhere", dir.display())]
    Busy {
        /// The database.
        dir: PathBuf,
    },
    /// The database was written by a later version.
    #[error(
        "`{}` has format {found} and this version reads up to {supported}; \
         use the newer testsmith, or move that directory away",
        dir.display()
    )]
    NewerFormat {
        /// The database.
        dir: PathBuf,
        /// The format found.
        found: u32,
        /// The format of this version.
        supported: u32,
    },
    /// The database had to be closed after an error, and it is not yet time to try again.
    #[error("`{}` is out of order, next try in {retry_in:?}: {cause}", dir.display())]
    Degraded {
        /// The database.
        dir: PathBuf,
        /// What it failed with.
        cause: String,
        /// How long until a call will try to open it again.
        retry_in: Duration,
    },
    /// The database failed; it is closed, and opened again after a wait.
    #[error("`{}` failed", dir.display())]
    Failed {
        /// The database.
        dir: PathBuf,
        /// What it failed with.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// A record did not pass its checks. The store itself is well.
    #[error("a damaged record: {0}")]
    Corrupt(&'static str),
    /// A value is longer than a record may be.
    #[error("a value of {length} bytes is too long for the store (at most {limit})")]
    TooLong {
        /// Its bytes.
        length: usize,
        /// The most bytes a value may have.
        limit: usize,
    },
    /// The state directory could not be prepared.
    #[error("could not {action} `{}`", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What happened.
        #[source]
        source: io::Error,
    },
    /// The store was closed, or the runtime is shutting down.
    #[error("the store is closed")]
    Closed,
}

impl StoreError {
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }

    /// Whether the same call may succeed later, when the disk has recovered.
    pub const fn is_temporary(&self) -> bool {
        match self {
            Self::Busy { .. } | Self::Degraded { .. } | Self::Failed { .. } => true,
            Self::Held { .. }
            | Self::NewerFormat { .. }
            | Self::Corrupt(_)
            | Self::TooLong { .. }
            | Self::Io { .. }
            | Self::Closed => false,
        }
    }
}

fn holder(pid: Option<u32>) -> String {
    pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default()
}

/// An error and what lies behind it, in one line.
pub(crate) fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
