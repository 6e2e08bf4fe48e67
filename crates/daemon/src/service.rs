//! The parts of the daemon, put together.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use testsmith_cache::Cache;
use testsmith_config::Settings;
use testsmith_crash::point;
use testsmith_domain::{CacheStats, CacheStatsReporter as _, GenerateError};
use testsmith_domain::{
    Framework, Job, Language, LanguageDriver, LedgerEntry, Project, ProviderErrorKind, RelPath,
    Retryability,
};
use testsmith_llm::{Recovery, Shared};
use testsmith_permits::Permits;
use testsmith_queue::{Queue, QueueError};
use testsmith_store::{OpenReport, Repair, StateLock, StoreError};
use testsmith_usage::UsageMeter;
use testsmith_verify::Verifier;
use tokio::sync::{Notify, watch};

use crate::control::hub::Hub;
use crate::error::DaemonError;
use crate::files::chain;
use crate::folders::Folders;
use crate::homes::Homes;
use crate::model::Model;
use crate::reload::{Reloads, Swap};
use crate::report::{Outcome, WaitsOn};
use crate::settings;
use crate::spending::{BUDGET_REASON, open_usage, usage_settings};
use crate::state_version;
use crate::told::SaidOfSettings;
use crate::tree::{Unsettled, WriteLog};
use crate::verification;

/// What a call that failed waits for before its job is tried again; after the last, it is parked.
pub(crate) const DEFERRALS: [Duration; 3] = [
    Duration::from_secs(30),
    Duration::from_mins(2),
    Duration::from_mins(10),
];

/// The two databases: losing one never costs the other.
pub(crate) const CACHE_DIR: &str = "cache.sled";
pub(crate) const JOBS_DIR: &str = "jobs.sled";

/// Project guidance for tests, in the project's root.
const GUIDANCE_FILE: &str = "TESTSMITH.md";

/// Guidance beyond this is cut: it goes into every prompt.
const GUIDANCE_LIMIT: usize = 8 * 1024;

/// Files that may be on trial, or wait for that, while others ask the model.
const VERIFYING: usize = 16;

/// Where a service works and keeps its state.
#[derive(Debug, Clone)]
pub struct ServiceOptions {
    /// The projects' roots, absolute and free of links. At least one.
    pub roots: Vec<PathBuf>,
    /// Where queue, cache and ledger are kept.
    pub state_dir: PathBuf,
    /// Where build caches of verification are kept: not below the state directory, which tests
    /// that run cannot see.
    pub cache_dir: PathBuf,
    /// The settings in force.
    pub settings: Settings,
    /// Whether a test file that is gone as a whole is to be written again.
    pub restores: bool,
    /// Whether the preferred model is asked where a fallback model has answered.
    pub prefers: bool,
}

/// Everything a job needs. One for each process and state directory.
#[derive(Debug)]
pub struct Service {
    settings: Swap<Settings>,
    pub(crate) reloads: Reloads,
    pub(crate) state_dir: PathBuf,
    cache_dir: PathBuf,
    pub(crate) projects: Vec<Project>,
    pub(crate) homes: Arc<Homes>,
    pub(crate) drivers: Vec<Arc<dyn LanguageDriver>>,
    pub(crate) queue: Arc<Queue>,
    pub(crate) cache: Arc<Cache>,
    model: Swap<Model>,
    /// What the models share that a reload puts in each other's place.
    shared: Shared,
    /// Told when another model is put in force.
    model_changed: Notify,
    pub(crate) usage: UsageMeter,
    /// Runs bodies before they are written, if that is on.
    verifier: Swap<Option<Verifier>>,
    /// Held while a candidate is run, whichever verifier runs it.
    trials: Permits,
    /// Held by those that claim a job or ask the model, and given up to verify: so calls go on while
    /// candidates wait for their turn.
    pub(crate) slots: Permits,
    /// Changes when other settings are in force.
    resized: watch::Sender<()>,
    /// What is being written into the tree.
    pub(crate) writes: Arc<WriteLog>,
    /// What is told to whoever looks on.
    pub(crate) hub: Hub,
    /// What the log says of the settings already.
    pub(crate) told: SaidOfSettings,
    /// Whether a test file that is gone as a whole is written again: `generate` is asked for it by
    /// name, while the service takes it for deleted.
    pub(crate) restores: bool,
    /// Whether all jobs want the preferred model's answers.
    pub(crate) prefers: bool,
    /// How often anything of the projects has changed.
    pub(crate) changes: AtomicU64,
    /// Languages whose toolchain was missing when it was needed last.
    missing: Mutex<BTreeSet<Language>>,
    /// Calls that failed in a row, over all files; see [`Service::has_recovered`].
    failed_calls: AtomicU32,
    /// One lock for each folder of test files that is written to.
    pub(crate) folders: Arc<Folders>,
    _lock: StateLock,
}

impl Service {
    /// Takes the state, opens queue and cache and sets up the provider.
    ///
    /// A bad configuration and a held state are told before anything is changed.
    pub async fn open(options: ServiceOptions) -> Result<Arc<Self>, DaemonError> {
        let ServiceOptions {
            roots,
            state_dir,
            cache_dir,
            settings,
            restores,
            prefers,
        } = options;
        let usage = UsageMeter::new(usage_settings(&settings));
        let shared = Shared::new(&settings::stack(&settings));
        let stack = Model::build(&settings, &usage, &shared).await?;
        let lock = take_lock_patiently(&state_dir).await?;
        point("start.locked");
        open_usage(&usage, &state_dir).await?;
        point("start.usage");
        let (writes, unsettled) = open_writes(&state_dir).await;
        point("start.writes");
        let cache = open_cache(&state_dir, &settings).await?;
        point("start.cache");
        let (queue, recovered) = Queue::open(&state_dir.join(JOBS_DIR))
            .await
            .map_err(|error| DaemonError::state(&state_dir, error))?;
        point("start.queue");
        settle_writes(&writes, &queue, unsettled).await;
        tell_repairs("queue", &recovered.store);
        let model = Model::new(stack, &settings, &cache);
        let told = SaidOfSettings::default();
        told.models(&model);
        told.prices(&usage, &model);
        let trials = Permits::new(1);
        let verifier =
            verification::verifier(&settings, &state_dir, &cache_dir, cache.clone(), &trials);
        if verifier.is_some() && model.exists {
            verification::tell_walls(&settings, &cache_dir, &told).await;
        }
        let hub = Hub::new();
        hub.tell_of_jobs(&queue);
        let frameworks = frameworks(&settings);
        let project = |root| Project {
            root,
            frameworks: frameworks.clone(),
        };
        Ok(Arc::new(Self {
            homes: Arc::new(Homes::new(roots.iter())),
            projects: roots.into_iter().map(project).collect(),
            drivers: testsmith_lang::drivers(),
            restores,
            prefers,
            hub,
            told,
            writes,
            model: Swap::new(model),
            shared,
            model_changed: Notify::new(),
            verifier: Swap::new(verifier),
            trials,
            slots: Permits::new(settings.workers()),
            resized: watch::Sender::new(()),
            usage,
            failed_calls: AtomicU32::new(0),
            folders: Arc::default(),
            changes: AtomicU64::new(0),
            missing: Mutex::default(),
            _lock: lock,
            reloads: Reloads::new(settings.clone()),
            settings: Swap::new(settings),
            state_dir,
            cache_dir,
            queue,
            cache,
        }))
    }

    /// Flushes and closes queue and cache. The state is free for others once the service is
    /// dropped.
    pub async fn close(&self) -> Result<(), DaemonError> {
        let queue = self.queue.close().await;
        let cache = self.cache.close().await;
        let usage = self.usage.clone();
        if let Err(error) = crate::files::blocking(move || usage.close()).await {
            tracing::warn!(%error, "usage of the last moments may not be on disk");
        }
        queue.map_err(|error| DaemonError::state(&self.state_dir, error))?;
        cache.map_err(|error| DaemonError::state(&self.state_dir, error))
    }

    /// The settings in force now.
    pub(crate) fn settings(&self) -> Arc<Settings> {
        self.settings.get()
    }

    /// Puts other settings in force, with another model and another verifier if there are such.
    pub(crate) fn put_in_force(&self, settings: Settings, model: Option<Model>, verifies: bool) {
        self.usage.set(usage_settings(&settings));
        self.cache.set(settings::cache(&settings));
        if verifies {
            self.verifier.set(verification::verifier(
                &settings,
                &self.state_dir,
                &self.cache_dir,
                self.cache.clone(),
                &self.trials,
            ));
        }
        if let Some(model) = model {
            self.ask_another(model, &settings);
        }
        self.told.prices(&self.usage, &self.model());
        self.settings.set(settings);
        self.slots.set(self.settings().workers());
        self.resized.send_replace(());
    }

    fn ask_another(&self, model: Model, settings: &Settings) {
        let old = self.model();
        if old.gauge.gate().endpoint() != model.gauge.gate().endpoint() {
            self.shared.forget_server();
        }
        // A server that wants to be left alone wants that of the new one too.
        for old in &old.links {
            let gate = old.gauge.gate();
            let Some(rest) = gate.rest() else { continue };
            let new = model.links.iter().map(|link| link.gauge.gate());
            new.filter(|new| new.endpoint() == gate.endpoint())
                .for_each(|new| new.hold(rest));
        }
        self.shared.set(&settings::stack(settings));
        self.told.models(&model);
        self.model.set(model);
        self.model_changed.notify_waiters();
    }

    /// Resolves when another model is put in force.
    pub(crate) async fn model_changed(&self) {
        self.model_changed.notified().await;
    }

    /// What a model takes over that is put in this one's place.
    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Brings the cache within its bounds, which may be narrower than before.
    pub(crate) async fn fit_cache(&self) {
        match self.cache.collect_garbage().await {
            Ok(removed) => tracing::info!(removed, "the cache keeps to its new bounds"),
            Err(error) => tracing::warn!(error = chain(&error), "the cache could not be tidied"),
        }
    }

    /// The verifier in force now, if bodies are verified. A job keeps the one it began with.
    pub(crate) fn verifier(&self) -> Arc<Option<Verifier>> {
        self.verifier.get()
    }

    /// Says which walls of the sandbox do not stand, if they are needed.
    pub(crate) async fn tell_walls(&self) {
        if self.verifier().is_some() && self.model().exists {
            verification::tell_walls(&self.settings(), &self.cache_dir, &self.told).await;
        }
    }

    /// Changes when other settings are in force: there may be more slots or lanes than before.
    pub(crate) fn resized(&self) -> watch::Receiver<()> {
        self.resized.subscribe()
    }

    /// The model in force now. A job keeps the one it began with.
    pub(crate) fn model(&self) -> Arc<Model> {
        self.model.get()
    }

    /// Requests to the model so far, and those open now.
    pub fn gauge(&self) -> Arc<testsmith_llm::Gauge> {
        Arc::clone(&self.model().gauge)
    }

    /// The cache's figures in this run; `None` without a model.
    pub fn cache_stats(&self) -> Option<CacheStats> {
        self.model().pipeline.cache_stats()
    }

    /// How many files may be in work at once: those that wait for the toolchain beside those that
    /// wait for the model.
    pub(crate) fn lanes(&self) -> usize {
        let verifying = if self.verifier().is_some() {
            VERIFYING
        } else {
            0
        };
        self.settings().workers() + verifying
    }

    pub(crate) fn driver_for(&self, path: &RelPath) -> Option<Arc<dyn LanguageDriver>> {
        self.drivers
            .iter()
            .find(|driver| driver.claims(path))
            .cloned()
    }

    pub(crate) fn project(&self, root: &str) -> Option<&Project> {
        self.projects
            .iter()
            .find(|project| root_name(&project.root) == root)
    }

    /// The project's own guidance for tests, cut to what fits a prompt.
    pub(crate) async fn guidance(&self, project: &Project) -> Option<Arc<str>> {
        let path = project.root.join(GUIDANCE_FILE);
        let text = crate::files::blocking(move || read_guidance(&path)).await?;
        let end = text.floor_char_boundary(GUIDANCE_LIMIT);
        let text = text[..end].trim();
        (!text.is_empty()).then(|| text.into())
    }

    pub(crate) async fn ledger(&self, job: &Job) -> Result<Option<LedgerEntry>, Outcome> {
        let ledger = self.queue.ledger(&job.root, &job.path).await;
        ledger.map_err(|error| Self::store_trouble(&error))
    }

    /// How a job ends that cannot read or write the state.
    pub(crate) fn store_trouble(error: &QueueError) -> Outcome {
        Outcome::Waiting {
            until: SystemTime::now() + DEFERRALS[0],
            reason: chain(error),
            on: WaitsOn::Disk,
        }
    }

    /// Notes that there is no toolchain for these languages.
    pub(crate) fn note_missing(&self, languages: &[Language]) {
        let mut missing = self.missing.lock().unwrap_or_else(PoisonError::into_inner);
        missing.extend(languages);
    }

    /// Whether that was noted of any of these; forgets it.
    pub(crate) fn was_missing(&self, languages: &[Language]) -> bool {
        let mut missing = self.missing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = missing.len();
        missing.retain(|language| !languages.contains(language));
        missing.len() < before
    }

    /// Jobs that failed and are kept.
    pub(crate) fn unfinished(&self) -> usize {
        let failed = |job: &&Job| {
            job.state
                .reason()
                .is_some_and(|reason| !reason.starts_with(SAVE_REASON))
        };
        self.queue.list().iter().filter(failed).count()
    }

    /// To be asked after a call that was answered: whether that ends an outage. One file whose
    /// calls fail among others that succeed is none.
    pub(crate) fn has_recovered(&self) -> Option<Recovery> {
        let many = self.failed_calls.swap(0, Ordering::AcqRel) >= OUTAGE;
        self.circuit_has_closed()
            .or_else(|| many.then_some(Recovery::Outage))
    }

    /// To be asked after any call: whether it has closed the circuit. A refusal of one question does
    /// that as well.
    pub(crate) fn circuit_has_closed(&self) -> Option<Recovery> {
        let model = self.model();
        let closed = model.links.iter();
        let closed = closed.filter_map(|link| link.gauge.breaker().take_recovery());
        // A refusal wakes more than an outage does.
        closed.max_by_key(|recovery| *recovery == Recovery::Refusal)
    }

    /// How a job ends whose call failed.
    pub(crate) fn failed_call(&self, job: &Job, error: &GenerateError) -> Outcome {
        let GenerateError::Provider(cause) = error;
        let asked = cause.retry_after.unwrap_or_default();
        if cause.kind == ProviderErrorKind::Budget {
            return Outcome::Waiting {
                until: SystemTime::now() + asked,
                reason: format!("{BUDGET_REASON}{cause}"),
                on: WaitsOn::Budget,
            };
        }
        if cause.kind == ProviderErrorKind::Unavailable {
            return Outcome::Waiting {
                until: SystemTime::now() + asked,
                reason: format!("{PROVIDER_REASON}{cause}"),
                on: WaitsOn::Recovery,
            };
        }
        self.hub.call_failed(chain(cause));
        if cause.retryability() == Retryability::Permanent {
            let reason = format!("{REFUSED_REASON}{}", chain(cause));
            return Outcome::Parked { reason };
        }
        self.failed_calls.fetch_add(1, Ordering::AcqRel);
        let reason = format!("{PROVIDER_REASON}{}", chain(cause));
        let wait = match DEFERRALS.get(job.failures as usize) {
            Some(wait) => asked.max(*wait),
            None if !asked.is_zero() => asked,
            None => return Outcome::Parked { reason },
        };
        Outcome::Waiting {
            until: SystemTime::now() + wait,
            reason,
            on: WaitsOn::Model,
        }
    }
}

/// Calls that fail in a row before it is the provider that is taken to be ill.
const OUTAGE: u32 = 2;

/// What the reason of a job begins with that waits for its file's next save.
pub(crate) const SAVE_REASON: &str = "waits for the next save: ";

/// What the reason of a job begins with that waits for the provider: its recovery wakes these.
pub(crate) const PROVIDER_REASON: &str = "model: ";

/// What the reason of a job begins with whose question the provider refuses: asking again as it
/// is would not help.
pub(crate) const REFUSED_REASON: &str = "model refused: ";

/// What the reason of a job begins with whose tests cannot be run for want of a toolchain.
pub(crate) const TOOLCHAIN_REASON: &str = "cannot be verified: ";

/// What the reason of a job begins with whose project does not build: the next change of the project
/// wakes these.
pub(crate) const BUILD_REASON: &str = "waits for the project to build: ";

/// What the reason of a job begins with whose tests could not be run though there is a toolchain.
pub(crate) const RUN_REASON: &str = "cannot run tests just now: ";

/// What the reason of a job begins with whose project is not watched by this run.
pub(crate) const UNWATCHED_REASON: &str = "not watched: ";

/// The root as jobs name it.
pub(crate) fn root_name(root: &Path) -> String {
    root.to_string_lossy().into_owned()
}

/// How long a command that reads the state directly may hold it up.
const READERS: Duration = Duration::from_secs(1);

/// Takes the lock; waits a little if it is held, perhaps by a `status` that found no service: a
/// service must not fail to start because somebody looks whether it runs.
async fn take_lock_patiently(state_dir: &Path) -> Result<StateLock, DaemonError> {
    let deadline = tokio::time::Instant::now() + READERS;
    loop {
        match take_lock(state_dir) {
            Err(DaemonError::Held { .. }) if tokio::time::Instant::now() < deadline => {
                tokio::time::sleep(READERS / 20).await;
            }
            taken => return taken,
        }
    }
}

pub(crate) fn take_lock(state_dir: &Path) -> Result<StateLock, DaemonError> {
    // Before anything is touched: even the lock leaves a note.
    state_version::check(state_dir)?;
    let lock = StateLock::acquire(state_dir).map_err(|error| match error {
        StoreError::Held { dir, pid } => DaemonError::Held { dir, pid },
        error => DaemonError::state(state_dir, error),
    })?;
    state_version::bring_forward(state_dir)?;
    Ok(lock)
}

/// Opens the log of writes, and ends those that an earlier process has broken off.
pub(crate) async fn open_writes(state_dir: &Path) -> (Arc<WriteLog>, Unsettled) {
    let log = Arc::new(WriteLog::new(state_dir));
    let writes = Arc::clone(&log);
    let recovered = crate::files::blocking(move || writes.recover()).await;
    let unsettled = recovered.unwrap_or_else(|error| {
        tracing::warn!(%error, "writes that were broken off cannot be looked up; the next start does");
        Unsettled::default()
    });
    (log, unsettled)
}

/// Has the ledger forget test files that an earlier process took away without living to note it: a
/// source that is back by now is to have its tests again. While the ledger cannot be read, the next
/// start does that.
pub(crate) async fn settle_writes(log: &Arc<WriteLog>, queue: &Queue, unsettled: Unsettled) {
    let forgotten = async {
        for (root, test_path) in unsettled.removed.clone() {
            let root = root_name(&root);
            // One in which nothing is said to be written knows of the end of that file: its blocks
            // were adopted, say.
            let is_it = move |entry: &LedgerEntry| {
                let mut blocks = entry.blocks.values();
                entry.test_path == test_path && blocks.any(|block| block.written.is_some())
            };
            for (source, _) in queue.find_ledger(&root, is_it).await? {
                queue.forget_ledger(&root, &source).await?;
            }
        }
        Ok::<_, QueueError>(())
    };
    if let Err(error) = forgotten.await {
        tracing::debug!(error = chain(&error), "the ledger keeps what is gone");
        return;
    }
    let log = Arc::clone(log);
    if let Err(error) = crate::files::blocking(move || log.settle(unsettled)).await {
        tracing::debug!(error = chain(&error), "the ledger keeps what is gone");
    }
}

/// Opens the cache and says what that took.
pub(crate) async fn open_cache(
    state_dir: &Path,
    settings: &Settings,
) -> Result<Arc<Cache>, DaemonError> {
    let (dir, settings) = (state_dir.join(CACHE_DIR), settings::cache(settings));
    let opened = crate::files::blocking(move || Cache::open(&dir, settings)).await;
    let (cache, report) = opened.map_err(|error| DaemonError::state(state_dir, error))?;
    tell_repairs("cache", &report.store);
    Ok(cache)
}

/// Says what had to be done to open a database, if anything.
fn tell_repairs(database: &str, report: &OpenReport) {
    for repair in &report.repairs {
        if *repair == Repair::LeftoverRemoved {
            tracing::debug!(database, ?repair, "database opened");
        } else {
            tracing::warn!(database, ?repair, "database was damaged and is repaired");
        }
    }
    if let Some(why) = &report.degraded {
        tracing::warn!(
            database,
            why,
            "database cannot be opened yet; it is tried again"
        );
    }
}

/// Only a file of the project itself: a link in a stranger's checkout could name any file of the
/// user's, and what is read here is sent to the model.
fn read_guidance(path: &Path) -> Option<String> {
    if !path.symlink_metadata().ok()?.is_file() {
        return None;
    }
    let mut bytes = Vec::new();
    let limit = GUIDANCE_LIMIT as u64;
    std::fs::File::open(path)
        .ok()?
        .take(limit)
        .read_to_end(&mut bytes)
        .ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

pub(crate) fn frameworks(settings: &Settings) -> Vec<(Language, Framework)> {
    let set = &settings.frameworks;
    [
        (Language::Go, &set.go),
        (Language::Python, &set.python),
        (Language::TypeScript, &set.typescript),
        (Language::JavaScript, &set.javascript),
    ]
    .into_iter()
    .filter_map(|(language, name)| Some((language, Framework(name.clone()?))))
    .collect()
}
