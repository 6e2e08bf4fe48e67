//! `generate`: some files, once.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use testsmith_control::{Preview, Selection};
use testsmith_domain::{CacheStats, ContentHash, JobCause, JobId, Lane, RelPath};
use testsmith_queue::{Intake, NewJob};
use testsmith_watch::list_sources;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::error::DaemonError;
use crate::files::{blocking, chain};
use crate::preview::preview;
use crate::report::{JobReport, Outcome, WaitsOn};
use crate::run::claims;
use crate::service::{Service, ServiceOptions, root_name};
use crate::signals::SignalWatch;
use crate::supervisor::{Ended, Supervisor};
use crate::workers::run_job;

/// What to do with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Write their tests.
    Write,
    /// Show what would be written from answers that are cached.
    Preview,
    /// Show what would be written, and ask the model for what is not cached.
    PreviewAsking,
}

/// How a run goes on.
#[derive(Debug, Clone)]
pub enum Progress {
    /// The files are known.
    Begun {
        /// How many there are.
        files: usize,
    },
    /// A file's job ended.
    Ended(Box<JobReport>),
    /// A file's preview is there.
    Previewed(Box<Preview>),
}

/// What a run came to.
#[derive(Debug, Clone, Copy, Default)]
pub struct Totals {
    /// Files worked on.
    pub files: usize,
    /// Files that failed, see [`Outcome::is_failure`], but for those that wait for a budget.
    pub failed: usize,
    /// Files that wait since a budget is used up.
    pub waiting: usize,
    /// Requests sent to the model.
    pub requests: u64,
    /// The cache's figures; `None` without a model.
    pub cache: Option<CacheStats>,
    /// Whether a signal ended the run early.
    pub interrupted: bool,
}

/// Brings the selected files up to date, or shows how, and tells `observe` as it goes.
///
/// Jobs that fail stay in the queue, for the service or the next run to take up.
pub async fn generate(
    options: ServiceOptions,
    selection: Selection,
    mode: Mode,
    observe: impl FnMut(Progress) + Send,
) -> Result<Totals, DaemonError> {
    let stop = CancellationToken::new();
    let _signals = SignalWatch::start(stop.clone(), None).map_err(DaemonError::Signals)?;
    let service = Service::open(options).await?;
    let mut tasks = Supervisor::<DaemonError>::new();
    let totals = go(&service, &stop, &mut tasks, selection, mode, observe).await;
    stop.cancel();
    while let Some((task, ended)) = tasks.next().await {
        if !matches!(ended, Ended::Clean) {
            tracing::error!(task, ?ended, "a worker failed; its file stays in the queue");
        }
    }
    let closed = service.close().await;
    let totals = totals?;
    closed.map(|()| totals)
}

async fn go(
    service: &Arc<Service>,
    stop: &CancellationToken,
    tasks: &mut Supervisor<DaemonError>,
    selection: Selection,
    mode: Mode,
    mut observe: impl FnMut(Progress) + Send,
) -> Result<Totals, DaemonError> {
    let everything = matches!(selection, Selection::All);
    let mut paths = {
        let service = Arc::clone(service);
        blocking(move || {
            let root = service.projects[0].root.clone();
            select(&service, &root, &selection)
        })
        .await?
    };
    if everything && mode == Mode::Write {
        paths.extend(gone(service).await?);
    }
    let mut totals = Totals {
        files: paths.len(),
        ..Totals::default()
    };
    observe(Progress::Begun { files: paths.len() });
    let (sender, mut results) = mpsc::channel(RESULTS);
    if mode == Mode::Write {
        let root = root_name(&service.projects[0].root);
        new_jobs(service, &root, &paths).await?;
    }
    let todo = Arc::new(Mutex::new(paths.into_iter()));
    for number in 1..=service.lanes() {
        let worker = Worker {
            service: Arc::clone(service),
            todo: Arc::clone(&todo),
            results: sender.clone(),
            stop: stop.clone(),
            mode,
        };
        tasks.spawn(format!("worker {number}"), worker.work());
    }
    drop(sender);
    let mut seen = 0;
    while let Some(progress) = results.recv().await {
        seen += 1;
        if waits_for_budget(&progress) {
            totals.waiting += 1;
        } else if has_failed(&progress) {
            totals.failed += 1;
        }
        observe(progress);
    }
    totals.interrupted = stop.is_cancelled();
    // A file that gave no result was left by a signal or a panic: it is in the queue still.
    if !totals.interrupted {
        totals.failed += totals.files - seen;
    }
    totals.requests = service.gauge().read().attempts;
    totals.cache = service.cache_stats();
    Ok(totals)
}

/// Sources that tests were written for and that are no more: their tests go.
async fn gone(service: &Service) -> Result<Vec<RelPath>, DaemonError> {
    let root = &service.projects[0].root;
    let known = service.queue.find_ledger(&root_name(root), |_| true).await;
    let known = known.map_err(|error| DaemonError::state(&service.state_dir, error))?;
    let paths = known.into_iter().map(|(path, _)| path);
    Ok(paths.filter(|path| !path.under(root).exists()).collect())
}

/// Results on their way to the observer; workers wait when it is behind.
const RESULTS: usize = 64;

/// Takes files off the list until there is none left.
struct Worker {
    service: Arc<Service>,
    todo: Arc<Mutex<std::vec::IntoIter<RelPath>>>,
    results: mpsc::Sender<Progress>,
    stop: CancellationToken,
    mode: Mode,
}

impl Worker {
    async fn work(self) -> Result<(), DaemonError> {
        let root = root_name(&self.service.projects[0].root);
        // A signal lets running calls finish within the grace, as it does for the service.
        let leave = leave_after_grace(
            &self.stop,
            self.service.settings().service.shutdown_grace.get(),
        );
        tokio::pin!(leave);
        while !self.stop.is_cancelled()
            && let Some(path) = self.next()
        {
            let work = self.one(&root, &path);
            tokio::select! {
                () = &mut leave => return Ok(()),
                () = work => {}
            }
        }
        Ok(())
    }

    fn next(&self) -> Option<RelPath> {
        self.todo
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .next()
    }

    async fn one(&self, root: &str, path: &RelPath) {
        let asking = self.mode == Mode::PreviewAsking;
        let progress = if self.mode == Mode::Write {
            match self.write(root, path).await {
                Some(report) => Progress::Ended(Box::new(report)),
                None => return,
            }
        } else {
            Progress::Previewed(Box::new(preview(&self.service, root, path, asking).await))
        };
        let _ = self.results.send(progress).await;
    }

    /// Runs the file's job; once more, a little later, while another file of ours holds a name.
    async fn write(&self, root: &str, path: &RelPath) -> Option<JobReport> {
        let never = CancellationToken::new();
        loop {
            let slot = self.service.slots.acquire().await;
            let claimed = match self.service.queue.claim_path(root, path).await {
                Ok(claimed) => claimed?,
                Err(error) => {
                    tracing::error!(%path, error = chain(&error), "the queue cannot give the job out");
                    return None;
                }
            };
            let report = run_job(&self.service, claimed, slot, &never).await?;
            match &report.outcome {
                Outcome::Waiting {
                    until,
                    on: WaitsOn::OtherFile,
                    ..
                } => {
                    let wait = until.duration_since(SystemTime::now()).unwrap_or_default();
                    tokio::time::sleep(wait + Duration::from_millis(10)).await;
                }
                _ => return Some(report),
            }
        }
    }
}

async fn leave_after_grace(stop: &CancellationToken, grace: Duration) {
    stop.cancelled().await;
    tokio::time::sleep(grace).await;
}

fn waits_for_budget(progress: &Progress) -> bool {
    match progress {
        Progress::Begun { .. } | Progress::Previewed(_) => false,
        Progress::Ended(report) => matches!(
            report.outcome,
            Outcome::Waiting {
                on: WaitsOn::Budget,
                ..
            }
        ),
    }
}

fn has_failed(progress: &Progress) -> bool {
    match progress {
        Progress::Begun { .. } => false,
        Progress::Ended(report) => report.outcome.is_failure(),
        Progress::Previewed(preview) => preview.failed,
    }
}

/// Writes the jobs down before anything is done: what a kill leaves undone is found again.
pub(crate) async fn new_jobs(
    service: &Service,
    name: &str,
    paths: &[RelPath],
) -> Result<Vec<JobId>, DaemonError> {
    let root = PathBuf::from(name);
    let paths = paths.to_vec();
    let job = move |path: RelPath| {
        let content = std::fs::read(path.under(&root)).ok();
        let content = content.map(|bytes| ContentHash::of(&bytes));
        NewJob {
            path,
            content,
            lane: Lane::Bulk,
            cause: JobCause::AskedFor,
        }
    };
    let jobs = blocking(move || paths.into_iter().map(job).collect()).await;
    let intake = Intake {
        root: name.to_owned(),
        jobs,
        ..Intake::default()
    };
    let committed = service.queue.commit(intake).await;
    committed.map_err(|error| DaemonError::state(&service.state_dir, error))
}

/// The selected sources, each once, in order.
pub(crate) fn select(
    service: &Service,
    root: &Path,
    selection: &Selection,
) -> Result<Vec<RelPath>, DaemonError> {
    let all = || {
        let exclude = &service.settings().watch.exclude;
        list_sources(root, exclude, &claims(service), Some(&service.state_dir))
            .map_err(DaemonError::Watch)
    };
    let chosen: BTreeSet<RelPath> = match selection {
        Selection::All => all()?.into_iter().collect(),
        Selection::Since(revision) => {
            let changed = changed_since(root, revision)?;
            all()?
                .into_iter()
                .filter(|path| changed.contains(path.as_str()))
                .collect()
        }
        Selection::Paths(paths) => {
            let mut chosen = BTreeSet::new();
            let mut sources = None;
            for path in paths {
                let real = path.canonicalize().map_err(|source| DaemonError::Root {
                    path: path.clone(),
                    source,
                })?;
                if real.is_file() {
                    chosen.insert(named_file(service, root, &real)?);
                    continue;
                }
                if sources.is_none() {
                    sources = Some(all()?);
                }
                let inside = |source: &&RelPath| source.under(root).starts_with(&real);
                chosen.extend(sources.iter().flatten().filter(inside).cloned());
            }
            chosen
        }
    };
    Ok(chosen.into_iter().collect())
}

/// A file that was named must be one we can work on; ignore rules do not count for it.
fn named_file(service: &Service, root: &Path, file: &Path) -> Result<RelPath, DaemonError> {
    let refuse = |reason: String| DaemonError::NotASource {
        path: file.to_owned(),
        reason,
    };
    let path = RelPath::below(root, file).map_err(|error| refuse(error.to_string()))?;
    if path.names_secret() {
        return Err(refuse(
            "it is named like a secret, and never read; rename it if it is none".to_owned(),
        ));
    }
    match service.driver_for(&path) {
        None => Err(refuse(
            "it is of no language that testsmith knows".to_owned(),
        )),
        Some(driver) if driver.owns(&path) => Err(refuse(
            "it holds testsmith's own tests; name the source file".to_owned(),
        )),
        Some(_) => Ok(path),
    }
}

/// Paths below `root` that differ from `revision`, and those git does not know.
fn changed_since(root: &Path, revision: &str) -> Result<BTreeSet<String>, DaemonError> {
    let fail = |message: String| DaemonError::Git {
        revision: revision.to_owned(),
        message,
    };
    let git = |args: &[&str]| {
        let output = std::process::Command::new("git")
            .args(["-C", &root.to_string_lossy()])
            .args(args)
            .env("GIT_OPTIONAL_LOCKS", "0")
            .output()
            .map_err(|error| fail(chain(&error)))?;
        if !output.status.success() {
            // Git goes on to explain all of its options.
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(fail(said.lines().next().unwrap_or_default().to_owned()));
        }
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        Ok(text
            .split('\0')
            .filter(|path| !path.is_empty())
            .map(str::to_owned)
            .collect::<Vec<_>>())
    };
    // A revision must not be taken for an option.
    if revision.starts_with('-') {
        return Err(fail("that is no revision".to_owned()));
    }
    let changed = git(&["diff", "--name-only", "--relative", "-z", revision, "--"])?;
    let unknown = git(&["ls-files", "--others", "--exclude-standard", "-z"])?;
    Ok(changed.into_iter().chain(unknown).collect())
}
