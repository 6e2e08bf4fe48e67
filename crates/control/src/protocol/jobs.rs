//! `GET /v1/jobs`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use testsmith_domain::{Job, JobState, Lane, RelPath};

use super::Timestamp;

/// Which jobs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobsQuery {
    /// Those in one of these states; all if empty.
    #[serde(default)]
    pub states: Vec<JobKind>,
    /// Those of files that match; all without.
    #[serde(default)]
    pub path: Option<Pattern>,
    /// Only so many of them.
    #[serde(default)]
    pub limit: Option<usize>,
}

/// Jobs, the oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jobs {
    /// Those asked for.
    pub jobs: Vec<JobInfo>,
    /// Whether they come from a running daemon, or were read from its state.
    pub live: bool,
}

/// Where a job stands, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobKind {
    /// Ready to be worked on.
    Pending,
    /// Worked on.
    Running,
    /// Not before some moment.
    Waiting,
    /// Not until something changes.
    Parked,
}

/// One job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobInfo {
    /// Tells it from an older one of the same file.
    pub job_id: u64,
    /// The project's root.
    pub root: String,
    /// The file.
    pub path: RelPath,
    /// Where it stands.
    pub state: JobKind,
    /// Whether it goes first, or is bulk work.
    pub lane: Lane,
    /// When the change was seen.
    pub enqueued: Timestamp,
    /// How many runs have failed in a row.
    pub failures: u32,
    /// When it is tried again.
    pub until: Option<Timestamp>,
    /// Why it waits or is parked.
    pub reason: Option<String>,
    /// Why it was made ready before its time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub woken: Option<String>,
    /// Whether the file was removed.
    pub removed: bool,
}

/// Which files: one by its path, all below a folder, or by a glob-like `*`.
///
/// `cart.go` is that file, `src` and `src/` everything below the folder, `*_gen.go` any path that
/// fits, where `*` is any number of any characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pattern(pub String);

impl Pattern {
    /// Whether `path` is meant.
    pub fn matches(&self, path: &RelPath) -> bool {
        let pattern = self.0.trim_start_matches("./").trim_end_matches('/');
        let path = path.as_str();
        if pattern.contains('*') {
            return fits(pattern, path);
        }
        let below = || {
            path.strip_prefix(pattern)
                .is_some_and(|rest| rest.starts_with('/'))
        };
        pattern.is_empty() || pattern == "." || path == pattern || below()
    }
}

/// Whether `text` fits a pattern with `*`: its parts occur in it, in order, the first at the
/// beginning and the last at the end.
fn fits(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let last = parts.next_back().unwrap_or_default();
    let Some(mut rest) = text
        .strip_prefix(first)
        .and_then(|rest| rest.strip_suffix(last))
    else {
        return false;
    };
    for part in parts {
        let Some((_, after)) = rest.split_once(part) else {
            return false;
        };
        rest = after;
    }
    true
}

impl JobKind {
    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Parked => "parked",
        }
    }

    /// The word for a state.
    pub const fn of(state: &JobState) -> Self {
        match state {
            JobState::Pending => Self::Pending,
            JobState::Running => Self::Running,
            JobState::Waiting { .. } => Self::Waiting,
            JobState::Parked { .. } => Self::Parked,
        }
    }
}

impl fmt::Display for JobKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for JobKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Pending, Self::Running, Self::Waiting, Self::Parked]
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| {
                format!("`{text}` is no state; write pending, running, waiting or parked")
            })
    }
}

impl JobsQuery {
    /// Whether `job` is asked for.
    pub fn wants(&self, job: &Job) -> bool {
        let Self { states, path, .. } = self;
        let state = states.is_empty() || states.contains(&JobKind::of(&job.state));
        state && path.as_ref().is_none_or(|path| path.matches(&job.path))
    }
}

impl From<&Job> for JobInfo {
    fn from(job: &Job) -> Self {
        let Job {
            id,
            root,
            path,
            lane,
            failures,
            enqueued,
            state,
            woken,
            ..
        } = job;
        let until = match state {
            JobState::Waiting { until, .. } => Some(Timestamp(*until)),
            _ => None,
        };
        Self {
            job_id: id.0,
            root: root.clone(),
            path: path.clone(),
            state: JobKind::of(state),
            lane: *lane,
            enqueued: Timestamp(*enqueued),
            failures: *failures,
            until,
            reason: state.reason().map(str::to_owned),
            woken: woken.clone(),
            removed: job.is_removal(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use testsmith_domain::{JobCause, JobId};

    use super::*;

    #[test]
    fn only_a_change_without_content_tells_of_a_removed_file() {
        let is_removed = |cause| {
            let job = Job {
                id: JobId(1),
                root: "/home/me/shop".to_owned(),
                path: RelPath::new("cart.go").unwrap(),
                content: None,
                lane: Lane::Bulk,
                cause,
                woken: None,
                failures: 0,
                panics: 0,
                enqueued: SystemTime::UNIX_EPOCH,
                state: JobState::Pending,
            };
            JobInfo::from(&job).removed
        };
        assert!(is_removed(JobCause::Changed));
        assert!(!is_removed(JobCause::LookedAtAgain));
        assert!(!is_removed(JobCause::AskedFor));
    }

    #[test]
    fn patterns_name_files_folders_and_globs() {
        let path = RelPath::new("src/shop/cart_gen.go").unwrap();
        let fits = |pattern: &str| Pattern(pattern.to_owned()).matches(&path);
        for pattern in [
            "src/shop/cart_gen.go",
            "src",
            "./src/",
            ".",
            "*_gen.go",
            "src/*/cart*.go",
            "*",
        ] {
            assert!(fits(pattern), "{pattern}");
        }
        for pattern in [
            "sr",
            "cart_gen.go",
            "*.py",
            "src/*x*.go",
            "shop/*",
            "*go*go",
        ] {
            assert!(!fits(pattern), "{pattern}");
        }
        assert!(Pattern("a*b*".into()).matches(&RelPath::new("ab").unwrap()));
        assert!(!Pattern("ab*ba".into()).matches(&RelPath::new("aba").unwrap()));
    }
}
