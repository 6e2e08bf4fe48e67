//! One job, from the file on disk to its tests beside it.
//!
//! Left to right, no way back: read → members → (fresh? cached? missing?) → bodies, cached →
//! test file composed → written whole → ledger → done. Every step before the write can be left
//! at any moment without a trace in the tree.

mod removal;
mod trying;

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use testsmith_config::{Mode, Settings};
use testsmith_control::JobPhase;
use testsmith_domain::{
    Analysis, Block, Effort, Job, LanguageDriver, LedgerEntry, MemberName, Project, SourceFile,
};
use testsmith_generate::{Decision, FileRequest, FileResult, Pipeline};
use testsmith_permits::Permit;
use testsmith_verify::Verifier;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::calls::enter;
use crate::files::{blocking, read_source, read_text, unreadable, unusable};
use crate::merge::Merge;
use crate::model::Model;
use crate::report::{JobReport, Outcome, TrialFigures, WaitsOn, Without};
use crate::service::{SAVE_REASON, Service, UNWATCHED_REASON};
use crate::verification::HeldBack;

/// The wait before a job is tried again whose names another file of ours holds just now: the job
/// of the file that a function was moved from is about to remove them.
const CONTENTION_WAIT: Duration = Duration::from_secs(1);

/// The wait before a job is tried again whose project's folder is not there: as long as the watcher
/// waits at most before it looks for it again.
const HOME_WAIT: Duration = Duration::from_secs(10);

/// The wait before a job is tried again whose file is gone: the watcher's word, which takes about
/// twice the debounce, puts another job in its place.
const WORD_WAIT: Duration = Duration::from_secs(2);

/// How long after the save that is tried.
const CONTENTION_LIMIT: Duration = Duration::from_secs(10);

/// What a run leaves to be kept: its report, and the new ledger if anything was written.
pub(crate) struct Processed {
    pub(crate) report: JobReport,
    pub(crate) ledger: LedgerChange,
    /// Whether the model was asked and has answered.
    pub(crate) answered: bool,
}

/// What becomes of the file's ledger.
#[derive(Debug, Default)]
pub(crate) enum LedgerChange {
    /// It stays.
    #[default]
    Keep,
    /// It is replaced.
    Put(LedgerEntry),
    /// Nothing of ours is left.
    Remove,
}

/// Works on one job. `superseded` is cancelled when a newer change of the file is in the queue; the
/// slot is given up when there is no more to ask.
pub(crate) async fn process(
    service: &Service,
    job: &Job,
    slot: Option<Permit>,
    superseded: &CancellationToken,
) -> Processed {
    let started = Instant::now();
    let mut run = Run::new(service, job);
    run.slot = slot;
    let mut outcome = match run.go(superseded).await {
        Ok(outcome) | Err(outcome) => outcome,
    };
    if run.is_doubtful(&outcome).await {
        outcome = waits_for_home();
        run.ledger = LedgerChange::Keep;
    }
    let Figures {
        members,
        hits,
        misses,
        effort,
        models,
        trial,
        held_back,
    } = run.figures;
    let report = JobReport {
        id: job.id,
        root: job.root.clone(),
        path: job.path.clone(),
        outcome,
        members,
        hits,
        misses,
        effort,
        cost: None,
        models,
        trial,
        held_back,
        elapsed: started.elapsed(),
    };
    Processed {
        report,
        ledger: run.ledger,
        answered: run.answered,
    }
}

/// A job's run, as far as it has come.
pub(crate) struct Run<'a> {
    service: &'a Service,
    /// A reload puts others in force, for the jobs that follow.
    settings: Arc<Settings>,
    model: Arc<Model>,
    verifier: Arc<Option<Verifier>>,
    /// Whether only the preferred model's answers will do.
    prefers: bool,
    job: &'a Job,
    ledger: LedgerChange,
    figures: Figures,
    answered: bool,
    slot: Option<Permit>,
    /// The count of changes when the run began.
    changes: u64,
}

#[derive(Default)]
struct Figures {
    members: usize,
    hits: u32,
    misses: u32,
    effort: Effort,
    models: Vec<String>,
    trial: TrialFigures,
    held_back: Vec<HeldBack>,
}

/// A source file and its test file, read.
pub(crate) struct Prepared {
    pub(crate) request: FileRequest,
    pub(crate) existing: Option<String>,
}

/// A step's result; the error is how the job ends early.
type Step<T> = Result<T, Outcome>;

impl<'a> Run<'a> {
    pub(crate) fn new(service: &'a Service, job: &'a Job) -> Self {
        Self {
            service,
            settings: service.settings(),
            model: service.model(),
            verifier: service.verifier(),
            prefers: service.prefers || service.hub.prefers(job),
            job,
            ledger: LedgerChange::Keep,
            figures: Figures::default(),
            answered: false,
            slot: None,
            changes: service.changes.load(Ordering::Acquire),
        }
    }

    /// What brings the file up to date.
    pub(crate) fn pipeline(&self) -> &Pipeline {
        self.model.pipeline(self.prefers)
    }

    async fn go(&mut self, superseded: &CancellationToken) -> Step<Outcome> {
        let (project, driver) = self.place()?;
        let mut prepared = self.prepare(&project, &driver).await?;
        if prepared.is_none() {
            if !self.home_is_there(&project).await {
                return Err(waits_for_home());
            }
            // The folder may have been away for that moment.
            prepared = self.prepare(&project, &driver).await?;
        }
        if prepared.is_none() && self.is_news().await? {
            return Err(waits_for_word());
        }
        let Some(Prepared {
            request,
            mut existing,
        }) = prepared
        else {
            return self.remove_tests(&project, &driver).await;
        };
        let pipeline = self.model.pipeline(self.prefers);
        enter(JobPhase::Asking);
        let result = pipeline.run(&request, superseded.cancelled()).await;
        self.figures.hits = result.hits;
        self.figures.misses = result.misses;
        self.figures.effort = result.effort;
        self.figures.models = answering(pipeline, &request, &result);
        if result.cancelled {
            return Ok(Outcome::Superseded);
        }
        self.answered = result.error.is_none() && result.effort.calls > 0;
        let moves = Self::moves(&request);
        match &result.error {
            // What is written at the old place stays until all of it can be written at the new.
            Some(error) if moves => return Err(self.service.failed_call(self.job, error)),
            _ if moves => self.leave_old_place(&request).await?,
            _ => {}
        }
        let mut merge = Merge::new(request.clone(), result);
        // What the model is asked from now on are repairs, which are few.
        self.slot = None;
        existing = self
            .try_bodies(&request, &mut merge, existing, superseded)
            .await?;
        enter(JobPhase::Writing);
        if self.settings.mode == Mode::Propose {
            return self.propose(&request, &mut merge, existing).await;
        }
        let folder = self
            .service
            .folders
            .lock_of(&self.job.root, &merge.file.test_path);
        let mut written = {
            let _alone = folder.lock().await;
            merge.write(&self.service.writes, existing).await
        };
        if merge.is_contended() && self.remove_orphans(&merge).await? {
            let existing = read_text(&merge.project, &merge.file.test_path).await?;
            let _alone = folder.lock().await;
            written = merge.write(&self.service.writes, existing).await;
        }
        merge.tell_whose();
        let entry = merge.entry();
        if merge.ledger.as_ref() != Some(&entry) {
            self.ledger = LedgerChange::Put(entry);
        }
        if let Some(error) = &merge.result.error {
            return Err(self.service.failed_call(self.job, error));
        }
        self.conclude(&merge, written?)
    }

    /// Whether a job ended so for good only because its project's folder is away.
    async fn is_doubtful(&self, outcome: &Outcome) -> bool {
        let is_final = match outcome {
            Outcome::Removed
            | Outcome::Skipped { .. }
            | Outcome::WaitsForSave { .. }
            | Outcome::Parked { .. } => true,
            Outcome::Written { .. }
            | Outcome::Proposed { .. }
            | Outcome::UpToDate
            | Outcome::Superseded
            | Outcome::Waiting { .. } => false,
        };
        match self.service.project(&self.job.root) {
            Some(project) if is_final => !self.home_is_there(project).await,
            _ => false,
        }
    }

    /// Whether the watcher has still to tell that the file is gone. It may have been renamed: then
    /// what this job was for is to be done under the new name, and what was written moves along.
    async fn is_news(&self) -> Step<bool> {
        if self.job.is_removal() || self.service.restores {
            return Ok(false);
        }
        let stamp = self.service.queue.stamp(&self.job.root, &self.job.path);
        let stamp = stamp
            .await
            .map_err(|error| Service::store_trouble(&error))?;
        Ok(stamp.is_some())
    }

    async fn home_is_there(&self, project: &Project) -> bool {
        let (homes, root) = (Arc::clone(&self.service.homes), project.root.clone());
        blocking(move || homes.is_there(&root)).await
    }

    /// Whether anything of the projects has changed since the run began.
    fn project_has_changed(&self) -> bool {
        self.service.changes.load(Ordering::Acquire) != self.changes
    }

    /// The project and the language of the job's file.
    pub(crate) fn place(&self) -> Step<(Project, Arc<dyn LanguageDriver>)> {
        let project = self.project()?;
        let driver = self.service.driver_for(&self.job.path);
        Ok((
            project,
            driver.ok_or_else(|| skipped("no language that testsmith knows"))?,
        ))
    }

    /// Reads source and test file. `None` if there is no source any more.
    pub(crate) async fn prepare(
        &mut self,
        project: &Project,
        driver: &Arc<dyn LanguageDriver>,
    ) -> Step<Option<Prepared>> {
        let Some(source) = self.read_source(project).await? else {
            return Ok(None);
        };
        let file = self.analyze(project, driver, &source).await?;
        self.figures.members = file.members.len();
        let mut ledger = self.service.ledger(self.job).await?;
        let (existing, blocks) = self.read_tests(project, &**driver, &file).await?;
        if existing.is_none() && (self.service.restores || self.service.hub.restores(self.job)) {
            // What was deleted block by block stays deleted.
            let blocks = ledger
                .iter_mut()
                .flat_map(|entry| entry.blocks.values_mut());
            blocks.for_each(|block| block.written = None);
        }
        if self.settings.mode == Mode::Apply
            && let Some(entry) = &mut ledger
        {
            // Proposed under the other mode: found in the cache now, and written.
            entry.proposals.clear();
        }
        let request = FileRequest {
            project: project.clone(),
            file,
            source,
            driver: Arc::clone(driver),
            blocks,
            ledger,
            guidance: self.service.guidance(project).await,
        };
        Ok(Some(Prepared { request, existing }))
    }

    fn project(&self) -> Step<Project> {
        self.service
            .project(&self.job.root)
            .cloned()
            .ok_or_else(|| Outcome::Parked {
                reason: format!("{UNWATCHED_REASON}`{}`", self.job.root),
            })
    }

    /// The source's text; `None` if the file is gone.
    async fn read_source(&self, project: &Project) -> Step<Option<Arc<str>>> {
        if self.job.path.names_secret() {
            return Err(skipped("it is named like a secret, and never read"));
        }
        let (path, root) = (self.job.path.clone(), project.root.clone());
        let limit = self.settings.watch.max_file_size;
        let read = blocking(move || read_source(&root, &path, limit.get()));
        match read.await {
            Ok(Ok(bytes)) => match String::from_utf8(bytes) {
                Ok(text) => Ok(Some(text.into())),
                Err(error) => Err(skipped(format!(
                    "not UTF-8: byte {} is invalid; save it as UTF-8",
                    error.utf8_error().valid_up_to()
                ))),
            },
            Ok(Err(size)) => Err(skipped(format!(
                "{size} bytes are more than watch.max_file_size ({limit}) allows"
            ))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(unreadable(&error)),
        }
    }

    async fn analyze(
        &self,
        project: &Project,
        driver: &Arc<dyn LanguageDriver>,
        source: &Arc<str>,
    ) -> Step<Arc<SourceFile>> {
        let (project, driver) = (project.clone(), Arc::clone(driver));
        let (path, source) = (self.job.path.clone(), Arc::clone(source));
        let file = match blocking(move || driver.analyze(&project, &path, &source)).await {
            Analysis::Source(file) => file,
            Analysis::NotSource(why) => return Err(skipped(why.to_string())),
        };
        match file.problems.first() {
            Some(problem) if file.members.is_empty() => Err(Outcome::WaitsForSave {
                reason: format!("{SAVE_REASON}{problem}"),
            }),
            Some(problem) => {
                tracing::info!(path = %file.path, %problem, "members near a syntax error wait for the next save");
                Ok(Arc::new(file))
            }
            None => Ok(Arc::new(file)),
        }
    }

    async fn read_tests(
        &self,
        project: &Project,
        driver: &dyn LanguageDriver,
        file: &SourceFile,
    ) -> Step<(Option<String>, Vec<Block>)> {
        let text = read_text(project, &file.test_path).await?;
        let blocks = match &text {
            Some(text) => driver
                .blocks(&file.test_path, text)
                .map_err(|error| unusable(&file.test_path, &error))?,
            None => Vec::new(),
        };
        Ok((text, blocks))
    }

    fn conclude(&self, merge: &Merge, written: Vec<MemberName>) -> Step<Outcome> {
        if let Some(outcome) = merge.trial.waits(self.project_has_changed()) {
            return Err(outcome);
        }
        let without = merge.without();
        let waited = self.job.enqueued.elapsed().unwrap_or_default();
        if merge.is_contended() && waited < CONTENTION_LIMIT {
            return Err(contended(&without));
        }
        if written.is_empty() {
            return if without.is_empty() {
                Ok(Outcome::UpToDate)
            } else {
                Err(Outcome::Parked {
                    reason: Without(&without).to_string(),
                })
            };
        }
        let test_path = merge.file.test_path.clone();
        Ok(Outcome::Written {
            test_path,
            members: written,
            without,
        })
    }
}

/// How a job ends whose project's folder is not there.
fn waits_for_home() -> Outcome {
    Outcome::Waiting {
        until: SystemTime::now() + HOME_WAIT,
        reason: "the project's folder is not there".to_owned(),
        on: WaitsOn::Tree,
    }
}

/// How a job ends whose file is gone, which the watcher has not told yet.
fn waits_for_word() -> Outcome {
    Outcome::Waiting {
        until: SystemTime::now() + WORD_WAIT,
        reason: "gone or renamed: the watcher has still to say which".to_owned(),
        on: WaitsOn::Tree,
    }
}

/// The models that wrote what is new.
fn answering(pipeline: &Pipeline, request: &FileRequest, result: &FileResult) -> Vec<String> {
    let asked = result.decisions.iter();
    let asked = asked.filter(|(.., decision)| *decision == Decision::Asked);
    let models = asked.map(|(member, key, _)| pipeline.model_of(request, member, key));
    let models: BTreeSet<&str> = models.collect();
    models.into_iter().map(str::to_owned).collect()
}

/// How a job ends whose names another file of ours holds still.
fn contended(without: &[(MemberName, String)]) -> Outcome {
    Outcome::Waiting {
        until: SystemTime::now() + CONTENTION_WAIT,
        reason: Without(without).to_string(),
        on: WaitsOn::OtherFile,
    }
}

fn skipped(reason: impl Into<String>) -> Outcome {
    Outcome::Skipped {
        reason: reason.into(),
    }
}
