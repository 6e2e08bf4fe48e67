//! `GET /v1/status`: is it working, is it stuck, what does it cost.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use testsmith_domain::{MemberName, RelPath};

use super::{JobEnded, JobInfo, Timestamp, UsageInfo};

/// The whole picture at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The program's version.
    pub version: String,
    /// Where queue, cache and ledger are kept.
    pub state_dir: PathBuf,
    /// The running daemon; `None` if there is none and the state was read directly.
    pub daemon: Option<DaemonInfo>,
    /// Whether all is well.
    pub health: Health,
    /// The queue.
    pub queue: QueueInfo,
    /// The cache of answers; `None` without a model.
    pub cache: Option<CacheInfo>,
    /// What today's calls cost, against the budgets; `None` without a daemon: see `testsmith usage`.
    pub usage: Option<UsageInfo>,
    /// Calls and tokens since the daemon's start; `None` without one.
    pub spent: Option<Spent>,
    /// What of the tests is worth a look.
    #[serde(default)]
    pub tests: TestsInfo,
    /// The jobs that ended last, the newest first.
    pub last: Vec<JobEnded>,
    /// What is wrong or will be, with what helps.
    pub warnings: Vec<Warning>,
}

/// What of the tests is worth a look.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestsInfo {
    /// Open findings: tests that fail in each run.
    pub findings: u64,
    /// Bodies in quarantine.
    pub quarantined: u64,
    /// Blocks that could not be verified so far.
    pub unverified: u64,
    /// Changes that wait for the user to accept them.
    pub proposed: u64,
    /// Blocks of the user's own that test older code than there is now.
    pub outdated: Vec<OutdatedTest>,
}

/// A block of the user's own that tests older code than there is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutdatedTest {
    /// The test file.
    pub test_path: RelPath,
    /// The member.
    pub member: MemberName,
}

/// Whether all is well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// Nothing to warn of.
    Healthy,
    /// It works, not as well as it should: see the warnings.
    Degraded,
    /// No daemon runs.
    NotRunning,
}

/// The running process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DaemonInfo {
    /// Its process.
    pub pid: u32,
    /// When it was started.
    pub started: Timestamp,
    /// How long it has been running, in milliseconds.
    pub uptime_ms: u64,
    /// Whether workers take up nothing until `resume`. A restart ends a pause.
    pub paused: bool,
    /// Whether it is on its way out.
    pub stopping: bool,
    /// The trees it watches.
    pub roots: Vec<RootInfo>,
    /// Requests to the model.
    pub calls: CallsInfo,
    /// How it goes with the model.
    pub provider: ProviderInfo,
    /// The jobs that run now, the oldest first.
    pub running: Vec<RunningJob>,
    /// Requests to the model that are open or about to be, the oldest first.
    #[serde(default)]
    pub open_calls: Vec<OpenCall>,
}

/// One watched tree.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RootInfo {
    /// The folder.
    pub root: PathBuf,
    /// What the watcher is doing: `fresh`, `settling`, `rescanning`, …
    pub state: String,
    /// How changes are learned of: `inotify`, `fsevents`, …
    pub watcher: String,
    /// Folders that have a watch.
    pub watched: u64,
    /// Folders that are polled.
    pub polled: u64,
    /// Those among them that have a watch as well: others write to their file system too, which
    /// does not tell of it.
    #[serde(default)]
    pub shared: u64,
    /// Sources known.
    pub files: u64,
    /// Files that wait for their quiet time.
    pub settling: u64,
    /// Comparisons of the whole tree so far.
    pub rescans: u64,
    /// How often events were lost.
    pub overflows: u64,
}

/// Requests to the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallsInfo {
    /// Open now.
    pub open: u64,
    /// The most that may be open.
    pub permits: u64,
    /// The most that ever were since the start.
    pub max_open: u64,
}

/// How it goes with the model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderInfo {
    /// Which provider and model, and why; `offline: …` without one.
    pub description: String,
    /// Until when its server wants to be left alone.
    pub held_until: Option<Timestamp>,
    /// The last call that failed; `None` if none did since one was answered.
    pub last_error: Option<LastError>,
    /// When a call was last answered.
    pub last_answer: Option<Timestamp>,
    /// The models that answered then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answered_by: Vec<String>,
    /// The models that are asked while this one cannot answer, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fallback: Vec<FallbackInfo>,
}

/// A model that is asked while those before it cannot answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FallbackInfo {
    /// Which provider and model, and why.
    pub description: String,
    /// Until when its server is left alone.
    pub held_until: Option<Timestamp>,
}

/// A failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastError {
    /// When.
    pub at: Timestamp,
    /// What happened.
    pub message: String,
}

/// A job in a worker's hands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunningJob {
    /// The job.
    pub job_id: u64,
    /// The project's root.
    pub root: String,
    /// The file.
    pub path: RelPath,
    /// Since when.
    pub since: Timestamp,
    /// What is being done.
    #[serde(default)]
    pub phase: JobPhase,
    /// Since when that is.
    #[serde(default = "Timestamp::now")]
    pub phase_since: Timestamp,
}

/// What is being done for a job that runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobPhase {
    /// Its file and tests are read.
    #[default]
    Reading,
    /// Answers are looked up, and the model is asked for those that are not there.
    Asking,
    /// What was answered waits for its turn to be run.
    WaitingToVerify,
    /// What was answered is run.
    Verifying,
    /// What holds is written.
    Writing,
    /// A newer daemon's phase that this program does not know.
    #[serde(other)]
    Unknown,
}

impl JobPhase {
    /// For people: `asking the model`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reading => "reading",
            Self::Asking => "asking the model",
            Self::WaitingToVerify => "waiting to be verified",
            Self::Verifying => "verifying",
            Self::Writing => "writing",
            Self::Unknown => "at work",
        }
    }
}

impl OpenCall {
    /// What becomes of it now, for people.
    pub const fn doing(&self) -> &'static str {
        match self.stage {
            CallStage::Queued => "waits for a permit, the limits per minute or the budget",
            CallStage::Sent => "is sent, and not answered yet",
            CallStage::BackingOff => "failed, and is sent again after a wait",
            CallStage::Unknown => "is under way",
        }
    }
}

/// A request to the model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenCall {
    /// The job that it is for, one of those that run.
    pub job_id: u64,
    /// How often it is asked with this, counted from 1.
    pub attempt: u32,
    /// Where it stands.
    pub stage: CallStage,
    /// Since when it stands there.
    pub since: Timestamp,
}

/// Where a request to the model stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallStage {
    /// It waits for a permit, for the limits per minute or for the budget.
    Queued,
    /// It is sent, and not answered.
    Sent,
    /// It failed: it is asked again after a wait, or its job ends.
    BackingOff,
    /// A newer daemon's stage that this program does not know.
    #[serde(other)]
    Unknown,
}

/// The queue by state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueInfo {
    /// Ready to be worked on.
    pub pending: u64,
    /// Worked on.
    pub running: u64,
    /// Not to be tried before some moment.
    pub waiting: u64,
    /// Not to be tried until something changes.
    pub parked: u64,
    /// The job that has been there longest, parked ones aside.
    pub oldest: Option<JobInfo>,
}

/// The cache of answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheInfo {
    /// Lookups that found an answer: in this run with a daemon, else over the cache's life.
    pub hits: u64,
    /// Lookups that found none.
    pub misses: u64,
    /// Answers kept now.
    pub entries: u64,
    /// Hits over the cache's life.
    pub lifetime_hits: u64,
    /// Misses over the cache's life.
    pub lifetime_misses: u64,
    /// The size of its answers.
    pub bytes: u64,
    /// The most it may have.
    pub max_bytes: u64,
    /// `LLM cache — hits: … misses: … entries: …`.
    pub line: String,
}

/// What the model was asked and what that cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spent {
    /// Since when it is counted.
    pub since: Timestamp,
    /// Calls: one may take several requests.
    pub calls: u64,
    /// Requests sent.
    pub requests: u64,
    /// Of these, sent again after a failure.
    pub retries: u64,
    /// Prompt tokens, as far as servers told.
    pub tokens_in: u64,
    /// Tokens of answers, as far as servers told.
    pub tokens_out: u64,
}

/// Something that is wrong or will be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// Its kind, for programs: `polled_folders`, `parked_jobs`, …
    pub code: String,
    /// What it is.
    pub message: String,
    /// What helps.
    pub remedy: String,
}
