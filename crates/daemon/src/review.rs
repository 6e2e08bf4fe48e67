//! The user's word on what was found out: findings, proposals, and blocks that are theirs.
//!
//! A [`ReviewRequest`] is answered by the service or, where none runs, on the state itself; both by
//! the same [`Review`]. What changes a file's ledger holds the file's job while it does, so that
//! no run of the file comes in between.

mod blocks;
mod edit;
mod findings;
mod offline;
mod proposals;
mod tally;

pub use offline::review_offline;
pub(crate) use tally::tally;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use testsmith_config::Settings;
pub(crate) use testsmith_control::{
    BlockChange, FindingReport, ProposalReport, QuarantineReport, ReviewReply, ReviewRequest,
    Settled,
};
use testsmith_domain::{
    Analysis, JobState, LanguageDriver, LedgerEntry, Project, RelPath, SourceFile,
};
use testsmith_queue::{Claimed, LedgerUpdate, Outcome as JobOutcome, Queue};
use testsmith_store::StateLock;

use crate::error::DaemonError;
use crate::files::blocking;
use crate::folders::Folders;
use crate::report::Outcome;
use crate::service::{
    JOBS_DIR, Service, frameworks, open_writes, root_name, settle_writes, take_lock,
};
use crate::tree::WriteLog;

/// Answers for one state directory.
#[derive(Debug)]
pub struct Review {
    queue: Arc<Queue>,
    projects: Vec<Project>,
    drivers: Vec<Arc<dyn LanguageDriver>>,
    /// The service's own, where one runs: jobs of other files write to the same folders.
    folders: Arc<Folders>,
    writes: Arc<WriteLog>,
    /// Held where no service runs.
    lock: Option<StateLock>,
}

/// How often a file's job is tried to be had, and the wait between.
const ATTEMPTS: u32 = 600;
const PAUSE: Duration = Duration::from_millis(100);

impl Review {
    /// On the state itself. Fails if a service holds it.
    pub(crate) async fn open(
        state_dir: &Path,
        root: PathBuf,
        settings: &Settings,
    ) -> Result<Self, DaemonError> {
        let lock = take_lock(state_dir)?;
        let opened = Queue::open(&state_dir.join(JOBS_DIR)).await;
        let (queue, _) = opened.map_err(|error| DaemonError::state(state_dir, error))?;
        let (writes, unsettled) = open_writes(state_dir).await;
        settle_writes(&writes, &queue, unsettled).await;
        let project = Project {
            root,
            frameworks: frameworks(settings),
        };
        Ok(Self {
            queue,
            projects: vec![project],
            drivers: testsmith_lang::drivers(),
            folders: Arc::default(),
            writes,
            lock: Some(lock),
        })
    }

    /// Closes what [`Review::open`] opened.
    pub(crate) async fn close(self) -> Result<(), DaemonError> {
        if self.lock.is_none() {
            return Ok(());
        }
        let closed = self.queue.close().await;
        closed.map_err(|error| DaemonError::Review(crate::files::chain(&error)))
    }

    /// Answers one request.
    pub async fn answer(&self, request: ReviewRequest) -> Result<ReviewReply, DaemonError> {
        use ReviewRequest as Ask;
        Ok(match request {
            Ask::Findings { all } => ReviewReply::Findings(self.findings(all).await?),
            Ask::Quarantine => ReviewReply::Quarantine(self.quarantine().await?),
            Ask::Release { paths } => ReviewReply::Settled(self.release_quarantine(&paths).await?),
            Ask::AcceptFinding { id } => {
                ReviewReply::Settled(vec![self.accept_finding(&id).await?])
            }
            Ask::DismissFinding { id } => {
                ReviewReply::Settled(vec![self.dismiss_finding(&id).await?])
            }
            Ask::Proposals { paths } => ReviewReply::Proposals(self.proposals(&paths).await?),
            Ask::Accept { paths } => ReviewReply::Settled(self.accept(&paths).await?),
            Ask::Reject { paths } => ReviewReply::Settled(self.reject(&paths).await?),
            Ask::Adopt { path } => ReviewReply::Settled(vec![self.adopt(&path).await?]),
            Ask::Diff { path } => ReviewReply::Changes(self.changes(&path).await?),
        })
    }

    /// All that is known of files, in their order.
    async fn ledgers(&self) -> Result<Vec<(Project, RelPath, LedgerEntry)>, DaemonError> {
        let mut all = Vec::new();
        for project in &self.projects {
            let root = root_name(&project.root);
            let found = self.queue.find_ledger(&root, |_| true).await;
            let mut found = found.map_err(|error| refused(&error))?;
            found.sort_by(|(one, _), (other, _)| one.cmp(other));
            let entries = found.into_iter();
            all.extend(entries.map(|(path, entry)| (project.clone(), path, entry)));
        }
        Ok(all)
    }

    /// The file that `path` names, as source or as test file.
    async fn named(&self, path: &Path) -> Result<(Project, RelPath, LedgerEntry), DaemonError> {
        let is_it = |project: &Project, file: &RelPath| {
            let file = file.under(&project.root);
            file == path || path.canonicalize().is_ok_and(|path| path == file)
        };
        let ledgers = self.ledgers().await?;
        let mut found = ledgers.into_iter().filter(|(project, source, entry)| {
            is_it(project, source) || is_it(project, &entry.test_path)
        });
        found.next().ok_or_else(|| unknown_file(path))
    }

    fn driver_for(&self, path: &RelPath) -> Result<Arc<dyn LanguageDriver>, DaemonError> {
        let driver = self.drivers.iter().find(|driver| driver.claims(path));
        let unknown = || DaemonError::Review(format!("`{path}` is of no language we know"));
        driver.cloned().ok_or_else(unknown)
    }

    /// The source as it is now.
    async fn source(&self, project: &Project, path: &RelPath) -> Result<SourceFile, DaemonError> {
        let driver = self.driver_for(path)?;
        let (project, path) = (project.clone(), path.clone());
        let read = move || {
            let text = std::fs::read_to_string(path.under(&project.root));
            let text = text.map_err(|source| DaemonError::Root {
                path: path.under(&project.root),
                source,
            })?;
            match driver.analyze(&project, &path, &text) {
                Analysis::Source(file) => Ok(file),
                Analysis::NotSource(why) => Err(DaemonError::NotASource {
                    path: path.under(&project.root),
                    reason: why.to_string(),
                }),
            }
        };
        blocking(read).await
    }

    /// Takes the file's job, so that nobody else works on the file.
    async fn hold(&self, project: &Project, path: &RelPath) -> Result<Held, DaemonError> {
        let root = root_name(&project.root);
        for _ in 0..ATTEMPTS {
            let claimed = self.queue.hold(&root, path).await;
            if let Some((claimed, before)) = claimed.map_err(|error| refused(&error))? {
                let ledger = self.queue.ledger(&root, path).await;
                let ledger = ledger.map_err(|error| refused(&error))?;
                return Ok(Held {
                    claimed,
                    ledger,
                    before,
                });
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(DaemonError::Review(format!(
            "`{path}` is in work; try again when its job has ended"
        )))
    }

    /// Gives the file's job back as it was, after an error.
    async fn give_back(&self, held: Held, error: DaemonError) -> DaemonError {
        let ledger = held.ledger.clone();
        let given_back = self.release(held, ledger).await;
        given_back.err().unwrap_or(error)
    }

    /// Gives the file's job back. A job that there was before is what it was.
    async fn release(&self, held: Held, ledger: Option<LedgerEntry>) -> Result<(), DaemonError> {
        let outcome = match held.before {
            None => JobOutcome::Done,
            Some(JobState::Pending | JobState::Running) => JobOutcome::Requeue,
            Some(JobState::Waiting { until, reason }) => JobOutcome::Wait {
                until,
                reason,
                count_failure: false,
            },
            Some(JobState::Parked { reason }) => JobOutcome::Park { reason },
        };
        let update = ledger.map_or(LedgerUpdate::Remove, LedgerUpdate::Put);
        let finished = self.queue.finish(&held.claimed.job, outcome, Some(update));
        finished.await.map(|_| ()).map_err(|error| refused(&error))
    }
}

/// A file's job, held by the user's own verb.
struct Held {
    claimed: Claimed,
    ledger: Option<LedgerEntry>,
    /// How it stood with the file's job before.
    before: Option<JobState>,
}

impl Held {
    /// Has the job run once the verb is done.
    fn run_again(&mut self) {
        self.before = Some(JobState::Pending);
    }
}

impl Service {
    /// The user's desk, on this service's state.
    pub fn review(&self) -> Review {
        Review {
            queue: Arc::clone(&self.queue),
            projects: self.projects.clone(),
            drivers: self.drivers.clone(),
            folders: Arc::clone(&self.folders),
            writes: Arc::clone(&self.writes),
            lock: None,
        }
    }
}

fn unknown_file(path: &Path) -> DaemonError {
    DaemonError::Review(format!(
        "nothing of testsmith's is known for `{}`; name a source file or its test file",
        path.display()
    ))
}

fn refused(error: &testsmith_queue::QueueError) -> DaemonError {
    DaemonError::Review(crate::files::chain(error))
}

/// How a step of a job would have ended.
fn ended(outcome: &Outcome) -> DaemonError {
    DaemonError::Review(outcome.reason().unwrap_or_default())
}

/// A unified diff from the lines of one text to those of another.
pub(crate) fn unified(old: &str, new: &str, header: (&str, &str)) -> String {
    similar::TextDiff::from_lines(old, new)
        .unified_diff()
        .context_radius(3)
        .header(header.0, header.1)
        .to_string()
}
