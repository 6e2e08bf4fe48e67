//! Why the daemon cannot go on.

use std::path::PathBuf;

use testsmith_config::ConfigError;

/// Why a command failed as a whole. Trouble with one file is a [`crate::Outcome`] instead.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The provider cannot be set up as configured.
    #[error(transparent)]
    Provider(#[from] testsmith_llm::BuildError),
    /// Another process holds the state.
    #[error("another testsmith{} holds `{}`; stop it, or name another --state-dir", holder(*.pid), .dir.display())]
    Held {
        /// The state directory.
        dir: PathBuf,
        /// The process, if it could be told.
        pid: Option<u32>,
    },
    /// The state was written by a later version.
    #[error(
        "the state in `{}` is of version {found}, by a later testsmith; this one knows {known}: use the \
         later program, or name another --state-dir", .path.display()
    )]
    NewerState {
        /// The directory; nothing in it was changed.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The version that this program writes.
        known: u32,
    },
    /// The state directory cannot be used.
    #[error("cannot use the state directory `{path}`")]
    State {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A folder that was named cannot be used.
    #[error("cannot use `{path}`")]
    Root {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file that was named is none to write tests for.
    #[error("no tests can be written for `{path}`: {reason}")]
    NotASource {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Watching failed for good.
    #[error("cannot watch the tree")]
    Watch(#[from] testsmith_watch::WatchError),
    /// Signals cannot be handled.
    #[error("cannot set up signal handling")]
    Signals(#[source] std::io::Error),
    /// A task of the daemon panicked and could not be started again.
    #[error("the task `{name}` panicked: {message}")]
    Panicked {
        /// The task.
        name: String,
        /// What the panic said.
        message: String,
    },
    /// What the user asked for makes no sense for the state as it is.
    #[error("{0}")]
    Review(String),
    /// Git was asked for changed files and failed.
    #[error("cannot ask git what changed since `{revision}`: {message}")]
    Git {
        /// The revision.
        revision: String,
        /// What git said.
        message: String,
    },
}

fn holder(pid: Option<u32>) -> String {
    pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default()
}

impl DaemonError {
    pub(crate) fn state(
        path: &std::path::Path,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::State {
            path: path.to_owned(),
            source: source.into(),
        }
    }
}
