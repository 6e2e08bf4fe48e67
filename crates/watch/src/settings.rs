//! What a watcher is told, and what can go wrong with it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use testsmith_domain::{FileStamp, RelPath};

/// How to watch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchSettings {
    /// How long a file must rest before it is looked at.
    pub debounce: Duration,
    /// The longest a file that is written all the time goes without a look.
    pub max_wait: Duration,
    /// A change of more files than this at once is bulk work.
    pub bulk_threshold: usize,
    /// Globs, in `.gitignore`'s syntax, of what is no source.
    pub exclude: Vec<String>,
    /// The longest that changes are held back because git is at work.
    pub git_hold: Duration,
    /// How often the whole tree is compared, whatever the events say; `None` for never.
    pub rescan_every: Option<Duration>,
}

impl Default for WatchSettings {
    fn default() -> Self {
        Self {
            debounce: Duration::from_millis(500),
            max_wait: Duration::from_secs(5),
            bulk_threshold: 50,
            exclude: Vec::new(),
            git_hold: Duration::from_secs(30),
            rescan_every: Some(Duration::from_mins(10)),
        }
    }
}

/// A project to watch.
#[derive(Debug, Clone)]
pub struct RootSpec {
    /// Its folder: absolute, and free of links.
    pub root: PathBuf,
    /// Its sources as the receiver was last told of them. `None` for a project never seen before:
    /// then all that is there already is only noted, and makes no job.
    pub known: Option<Vec<(RelPath, FileStamp)>>,
}

impl RootSpec {
    /// A project and what is known of it.
    pub fn new(root: impl Into<PathBuf>, known: Option<Vec<(RelPath, FileStamp)>>) -> Self {
        Self {
            root: root.into(),
            known,
        }
    }
}

/// Whether a path is a source by its name: of a known language, and not one of our own test files.
pub type Claims = Arc<dyn Fn(&RelPath) -> bool + Send + Sync>;

/// Why a watcher cannot start or go on. Trouble with a tree is no error: it is logged, shown in
/// [`RootStats`](crate::RootStats), and tried again.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// A glob of `exclude` cannot be read.
    #[error("the glob `{pattern}` in `exclude` cannot be read")]
    Exclude {
        /// The glob.
        pattern: String,
        /// What is wrong with it.
        #[source]
        source: ignore::Error,
    },
    /// A root is not an absolute path.
    #[error("the project's folder `{0}` is not an absolute path")]
    NotAbsolute(PathBuf),
    /// Nobody receives the changes any more.
    #[error("nobody receives the changes any more")]
    Closed,
    /// A part of the watcher panicked: a bug.
    #[error("the watcher of `{root}` panicked")]
    Panicked {
        /// The project.
        root: PathBuf,
        /// How it ended.
        #[source]
        source: tokio::task::JoinError,
    },
}
