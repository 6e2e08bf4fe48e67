//! What a run would write, without writing it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use testsmith_domain::{MemberName, RelPath};

/// The files that a selection comes to, in the order of their paths.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selected {
    /// The files.
    pub paths: Vec<RelPath>,
}

/// `POST /v1/preview`: what bringing one file up to date would write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreviewRequest {
    /// The project's root, one of those the daemon watches.
    pub root: PathBuf,
    /// The source file.
    pub path: RelPath,
    /// Whether the model is asked for what is not cached; its answers are kept.
    #[serde(default)]
    pub ask: bool,
}

/// One file's preview.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preview {
    /// The source file.
    pub path: RelPath,
    /// The test file, if the source could be read.
    pub test_path: Option<RelPath>,
    /// The unified diff; empty if nothing would change.
    pub diff: String,
    /// Members whose tests would have to be asked for.
    pub to_ask: Vec<MemberName>,
    /// Members found in the cache.
    pub hits: u32,
    /// Requests sent for it.
    pub attempts: u32,
    /// Why there is nothing to show, or not all of it, in one word as in the event `ended`.
    pub outcome: Option<String>,
    /// The same for people.
    pub reason: Option<String>,
    /// Whether some wanted test could not be had.
    pub failed: bool,
}
