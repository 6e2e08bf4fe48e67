//! What the daemon can be told to do.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use testsmith_domain::{Job, RelPath};

use super::{LiftedBudget, Pattern};

/// `POST /v1/enqueue`: bring files up to date, as `generate` does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnqueueRequest {
    /// The project's root, one of those the daemon watches.
    pub root: PathBuf,
    /// Which of its files.
    pub selection: Selection,
    /// Whether the preferred model is asked where a fallback model has answered.
    #[serde(default)]
    pub prefer: bool,
}

/// Which files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Selection {
    /// These files, and all sources in these folders; absolute.
    Paths(Vec<PathBuf>),
    /// All sources of the project.
    All,
    /// Sources that differ from a git revision, and those git does not know yet.
    Since(String),
}

/// The jobs that were made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enqueued {
    /// One for each file, in the order of their paths.
    pub jobs: Vec<EnqueuedJob>,
}

/// A job that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnqueuedJob {
    /// The job.
    pub job_id: u64,
    /// The file.
    pub path: RelPath,
}

/// `POST /v1/retry` and `/v1/cancel`: which jobs. A misspelt field must not stand for all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileRequest {
    /// Those of files that match one of these; all if empty.
    #[serde(default)]
    pub paths: Vec<Pattern>,
    /// Only the job of this number.
    #[serde(default)]
    pub job_id: Option<u64>,
}

impl FileRequest {
    /// Whether the job `id` of `path` is meant.
    pub fn wants(&self, id: u64, path: &RelPath) -> bool {
        let by_path = self.paths.is_empty() || self.paths.iter().any(|want| want.matches(path));
        by_path && self.job_id.is_none_or(|wanted| wanted == id)
    }

    /// What is asked for by name and is none of these jobs: a path as it was given, or `#17`.
    pub fn unknown(&self, jobs: &[Job]) -> Vec<String> {
        let is_job = |pattern: &&Pattern| jobs.iter().any(|job| pattern.matches(&job.path));
        let paths = self.paths.iter().filter(|pattern| !is_job(pattern));
        let number = self
            .job_id
            .filter(|id| jobs.iter().all(|job| job.id.0 != *id));
        paths
            .map(|pattern| pattern.0.clone())
            .chain(number.map(|id| format!("#{id}")))
            .collect()
    }
}

/// What `retry` did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retried {
    /// Waiting and parked jobs that are ready now.
    pub woken: u64,
    /// What was asked for by name and has no job: paths as they were given, numbers as `#17`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<String>,
}

/// What `cancel` did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cancelled {
    /// Jobs that are no more, those that ran included.
    pub cancelled: u64,
    /// What was asked for by name and has no job: paths as they were given, numbers as `#17`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<String>,
}

/// What `pause` and `resume` did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paused {
    /// Whether workers take up nothing now.
    pub paused: bool,
    /// Whether that is new.
    pub changed: bool,
}

/// What `resume --over-budget` did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverBudget {
    /// The limits that held jobs back, each lifted until its window's end; none if none did.
    pub lifted: Vec<LiftedBudget>,
    /// Jobs that waited for a budget and go on.
    pub woken: u64,
}

/// What `reload` did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reloaded {
    /// Settings whose new values are in force.
    pub applied: Vec<String>,
    /// Settings whose new values need a restart.
    pub needs_restart: Vec<String>,
}

/// What `gc` did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gc {
    /// Answers removed: too old, or too many.
    pub removed: u64,
    /// Answers kept.
    pub entries: u64,
    /// Bytes of these.
    pub bytes: u64,
}

/// What `cache clear` did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cleared {
    /// Answers that are no more.
    pub forgotten: u64,
}

/// What `stop` did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stopping {
    /// The process that ends.
    pub pid: u32,
    /// The longest that running calls may still take, in milliseconds.
    pub grace_ms: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_field_does_not_stand_for_all_jobs() {
        let read = |text| serde_json::from_str::<FileRequest>(text);
        assert!(read("{}").is_ok());
        assert!(read(r#"{"path":["a.go"]}"#).is_err());
        assert!(read(r#"{"job":7}"#).is_err());
    }
}
