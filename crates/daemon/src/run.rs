//! The service: watch, take in, work, until told to stop.
//!
//! It stops in phases, in this order and nowhere else: stop watching and claiming → let running
//! jobs finish within the grace → put the rest back → flush and close.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use testsmith_control::Event;
use testsmith_domain::{CacheStats, Job, LanguageDriver, RelPath};
use testsmith_secrets::Scanner;
use testsmith_watch::{Cause, ChangeBatch, Claims, RootSpec, WatchHandle, Watcher};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::attend::{answer, feed_watchdog, status_line, tell_status};
use crate::control::Door;
use crate::error::DaemonError;
use crate::files::chain;
use crate::host::Host;
use crate::intake::take_in;
use crate::notice::show_notices;
use crate::notify::{Heartbeats, Notifier};
use crate::recheck::{replace_scaffolds, verify_the_unverified};
use crate::reload::{mind_suspend, reload_on_change};
use crate::service::{Service, ServiceOptions, UNWATCHED_REASON, root_name};
use crate::settings;
use crate::signals::{Ask, SignalWatch};
use crate::spending::{tend_usage, wake_for_budget};
use crate::supervisor::{Ended, Supervisor};
use crate::told::Topic;
use crate::workers::{Stop, mind_refusals, wake_for_provider, work};

/// Batches on their way from the watcher to the queue. Small: while the queue cannot take them,
/// the watcher merges what comes, which needs less room than a list of batches.
const BATCHES: usize = 4;

/// How long tasks that were told to leave may take, before they are left.
const LAST_GRACE: Duration = Duration::from_secs(5);

/// How often a stopping service says what it still waits for.
const PROGRESS_EVERY: Duration = Duration::from_secs(5);

/// The wait before the state is tried again that could not be read at the start. The store itself
/// waits longer and longer between two openings.
const STATE_AGAIN: Duration = Duration::from_secs(1);

/// What signals ask for and is not done yet. More of it would be the same again.
const ASKS: usize = 4;

/// What a service leaves when it stops.
#[derive(Debug, Clone, Copy)]
pub struct Watched {
    /// The cache's figures of this run; `None` without a model.
    pub cache: Option<CacheStats>,
    /// Jobs that failed and are kept: they wait, or are parked. Files that wait for their next
    /// save because of a syntax error are none.
    pub unfinished: usize,
}

/// Watches the roots and works until a signal comes, or with `until_idle` until all is done.
pub async fn watch(
    options: ServiceOptions,
    host: Arc<dyn Host>,
    until_idle: bool,
) -> Result<Watched, DaemonError> {
    let stop = CancellationToken::new();
    let (asked, asks) = mpsc::channel(ASKS);
    let _signals = SignalWatch::start(stop.clone(), Some(asked)).map_err(DaemonError::Signals)?;
    let env = |name: &str| std::env::var(name).ok();
    let notifier = Notifier::new(&env);
    let service = Service::open(options).await?;
    host.opened(&service.state_dir);
    service.told.assume(Topic::Warnings, host.warned());
    service
        .reloads
        .begin(Arc::clone(&host), Arc::clone(&notifier));
    let around = Around {
        host: Arc::clone(&host),
        heartbeats: Heartbeats::new(&env),
        notifier,
        asks,
    };
    let result = run(&service, &stop, until_idle, around).await;
    let unfinished = service.unfinished();
    host.closing();
    let closed = service.close().await;
    if result.is_ok() && closed.is_ok() {
        tracing::info!(unfinished, "stopped");
    }
    let cache = service.cache_stats();
    result.and(closed).map(|()| Watched { cache, unfinished })
}

/// What is around the service: the program, the service manager, and signals.
struct Around {
    host: Arc<dyn Host>,
    notifier: Arc<Notifier>,
    heartbeats: Arc<Heartbeats>,
    asks: mpsc::Receiver<Ask>,
}

async fn run(
    service: &Arc<Service>,
    stop: &CancellationToken,
    until_idle: bool,
    around: Around,
) -> Result<(), DaemonError> {
    let mut tasks = Supervisor::new();
    let workers = Stop {
        claiming: stop.clone(),
        running: CancellationToken::new(),
    };
    take_up_again(service).await;
    tasks.spawn("usage", tend_usage(Arc::clone(service), stop.clone()));
    let watcher = start_watching(service, stop, until_idle, &around, &mut tasks)?;
    let door = Door::open(service, watcher.clone(), stop.clone());
    let notifier = Arc::clone(&around.notifier);
    let heartbeats = Arc::clone(&around.heartbeats);
    attend(service, watcher, around, stop, &mut tasks);
    let start = |name, tasks: &mut _| start_worker(service, &workers, &heartbeats, name, tasks);
    let failure = supervise(service, &mut tasks, stop, start).await;
    service.hub.events.say(Event::Stopping);
    notifier.stopping();
    drain(service, &mut tasks, &workers, &notifier).await;
    door.close().await;
    failure.map_or(Ok(()), Err)
}

fn start_worker(
    service: &Arc<Service>,
    workers: &Stop,
    heartbeats: &Arc<Heartbeats>,
    name: String,
    tasks: &mut Supervisor<DaemonError>,
) {
    let worker = work(Arc::clone(service), workers.clone());
    let worker = Arc::clone(heartbeats).with(name.clone(), worker);
    tasks.spawn(name, worker);
}

/// Starts what goes on beside the work.
fn attend(
    service: &Arc<Service>,
    watcher: WatchHandle,
    around: Around,
    stop: &CancellationToken,
    tasks: &mut Supervisor<DaemonError>,
) {
    let Around {
        host,
        notifier,
        heartbeats,
        asks,
    } = around;
    let service = || Arc::clone(service);
    let stop = || stop.clone();
    tasks.spawn("asks", answer(service(), watcher.clone(), asks, stop()));
    tasks.spawn("configuration", reload_on_change(service(), host, stop()));
    tasks.spawn("notices", show_notices(service(), stop()));
    tasks.spawn("suspend", mind_suspend(service(), watcher.clone(), stop()));
    tasks.spawn("refusals", mind_refusals(service(), stop()));
    let telling = tell_status(service(), watcher, Arc::clone(&notifier), stop());
    tasks.spawn("status", telling);
    let feeding = feed_watchdog(service(), notifier, heartbeats, stop());
    tasks.spawn("watchdog", feeding);
}

/// A start may have brought what was waited for: another key, another server, a model at all. Jobs
/// that waited for the model are ready again, scaffolds are to be replaced, and what could not be
/// verified perhaps can be.
pub(crate) async fn take_up_again(service: &Service) {
    wake_for_provider(service, true).await;
    wake_for_budget(service).await;
    wake_unwatched(service).await;
    replace_scaffolds(service).await;
    verify_the_unverified(service).await;
}

/// Jobs of a root that an earlier run did not watch, and this one does.
async fn wake_unwatched(service: &Service) {
    let roots: Vec<String> = service
        .projects
        .iter()
        .map(|p| root_name(&p.root))
        .collect();
    let wanted = move |job: &Job| {
        let reason = job.state.reason();
        roots.contains(&job.root) && reason.is_some_and(|r| r.starts_with(UNWATCHED_REASON))
    };
    if let Err(error) = service
        .queue
        .wake(wanted, true, "its project is watched again")
        .await
    {
        tracing::warn!(
            error = chain(&error),
            "jobs that an earlier run left stay parked"
        );
    }
}

/// Starts the watcher and the task that writes down what it sees.
fn start_watching(
    service: &Arc<Service>,
    stop: &CancellationToken,
    until_idle: bool,
    around: &Around,
    tasks: &mut Supervisor<DaemonError>,
) -> Result<WatchHandle, DaemonError> {
    let watcher = Watcher::new(
        settings::watch(&service.settings()),
        claims(service),
        Some(service.state_dir.clone()),
    )?;
    let handle = watcher.handle();
    let (sender, batches) = mpsc::channel(BATCHES);
    let looked_at = Arc::new(Semaphore::new(0));
    let ready = Ready {
        service: Arc::clone(service),
        notifier: Arc::clone(&around.notifier),
        handle: handle.clone(),
        batches: sender.clone(),
        looked_at: Arc::clone(&looked_at),
        stop: stop.clone(),
    };
    tasks.spawn("ready", ready.tell(until_idle));
    let intake = take_in(Arc::clone(service), batches, looked_at, stop.clone());
    let heartbeats = || Arc::clone(&around.heartbeats);
    tasks.spawn("intake", heartbeats().with("intake".to_owned(), intake));
    let watching = keep_watching(Arc::clone(service), watcher, sender, stop.clone());
    tasks.spawn("watcher", heartbeats().with("watcher".to_owned(), watching));
    Ok(handle)
}

/// Watches until told to stop; anew whenever a reload changes how.
async fn keep_watching(
    service: Arc<Service>,
    mut watcher: Watcher,
    batches: mpsc::Sender<ChangeBatch>,
    stop: CancellationToken,
) -> Result<(), DaemonError> {
    let mut other_settings = service.reloads.watcher();
    let handle = watcher.handle();
    let mut has_waited = false;
    loop {
        let roots = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            roots = known_roots(&service, &mut has_waited) => roots?,
        };
        if std::mem::take(&mut has_waited) {
            // At the start there was no reading the queue.
            take_up_again(&service).await;
        }
        let ending = stop.child_token();
        let running = watcher.run(roots, batches.clone(), ending.clone());
        tokio::pin!(running);
        tokio::select! {
            ended = &mut running => return Ok(ended?),
            // Fails only if the service is gone, which holds the other end.
            _ = other_settings.changed() => {
                ending.cancel();
                running.await?;
            }
        }
        // What was seen and not sent is found again, for it is not in the snapshot.
        watcher = Watcher::anew(
            settings::watch(&service.settings()),
            claims(&service),
            Some(service.state_dir.clone()),
            handle.clone(),
        )?;
    }
}

/// The roots, as far as they are known from earlier. Waits for a disk that is full, or does not
/// answer: to watch without knowing what was seen before would be a new beginning.
async fn known_roots(
    service: &Service,
    has_waited: &mut bool,
) -> Result<Vec<RootSpec>, DaemonError> {
    let mut roots = Vec::new();
    for project in &service.projects {
        let known = loop {
            match service.queue.snapshot(&root_name(&project.root)).await {
                Ok(known) => break known,
                Err(error) if error.is_temporary() => {
                    if !std::mem::replace(has_waited, true) {
                        tracing::warn!(
                            error = chain(&error),
                            "what was seen before cannot be read; watching begins when it can"
                        );
                    }
                    tokio::time::sleep(STATE_AGAIN).await;
                }
                Err(error) => return Err(DaemonError::state(&service.state_dir, error)),
            }
        };
        roots.push(RootSpec::new(&project.root, known));
    }
    Ok(roots)
}

/// Sources by name: of a language we know, and not one of our own test files.
pub(crate) fn claims(service: &Service) -> Claims {
    let drivers = service.drivers.clone();
    Arc::new(move |path: &RelPath| {
        let is_source =
            |driver: &Arc<dyn LanguageDriver>| driver.claims(path) && !driver.owns(path);
        !path.names_secret() && drivers.iter().any(is_source)
    })
}

/// What it takes to tell when the service has caught up with the tree.
struct Ready {
    service: Arc<Service>,
    notifier: Arc<Notifier>,
    handle: WatchHandle,
    batches: mpsc::Sender<ChangeBatch>,
    looked_at: Arc<Semaphore>,
    stop: CancellationToken,
}

impl Ready {
    /// Says when all is watched and what had changed is in the queue; with `until_idle`, stops
    /// the service once everything is worked off.
    async fn tell(self, until_idle: bool) -> Result<(), DaemonError> {
        let Self {
            service,
            notifier,
            handle,
            batches,
            looked_at,
            stop,
        } = self;
        // Now, rather than when the first save waits for it.
        drop(tokio::task::spawn_blocking(Scanner::compile));
        let catch_up = async {
            handle.ready().await;
            // Behind everything the first look found: when it is written down, so is all before.
            // A root that is missing has not been looked at.
            let ready = handle.stats().into_iter().filter(|(_, stats)| stats.ready);
            let roots: Vec<PathBuf> = ready.map(|(root, _)| root).collect();
            for root in &roots {
                let marker = ChangeBatch {
                    root: root.clone(),
                    cause: Cause::Startup,
                    bulk: false,
                    changes: Vec::new(),
                };
                let _ = batches.send(marker).await;
            }
            drop(batches);
            let written = u32::try_from(roots.len()).unwrap_or(u32::MAX);
            let _ = looked_at.acquire_many(written).await;
            for (root, stats) in handle.stats() {
                tracing::info!(
                    root = %root.display(), files = stats.files, directories = stats.watched,
                    "watching"
                );
            }
            notifier.status(&status_line(&service, &handle));
            notifier.ready();
            if until_idle {
                service.queue.wait_idle().await;
                stop.cancel();
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = catch_up => {}
        }
        Ok(())
    }
}

/// Starts the workers and looks at every task that ends, until it is time to stop. Gives what made it
/// so, if it is bad. A worker that panics is replaced, by `start` too.
async fn supervise(
    service: &Service,
    tasks: &mut Supervisor<DaemonError>,
    stop: &CancellationToken,
    start: impl Fn(String, &mut Supervisor<DaemonError>),
) -> Option<DaemonError> {
    let mut resized = service.resized();
    let mut workers = 0;
    loop {
        // After a reload that wants fewer, those too many find no slot, and cost nothing.
        while workers < service.lanes() {
            workers += 1;
            start(format!("worker {workers}"), tasks);
        }
        let ended = tokio::select! {
            () = stop.cancelled() => return None,
            // Fails only if the service is gone, which holds the other end.
            _ = resized.changed() => continue,
            ended = tasks.next() => ended,
        };
        let (name, ended) = ended?;
        match ended {
            Ended::Clean => {}
            Ended::Failed(error) => {
                stop.cancel();
                return Some(error);
            }
            Ended::Panicked(message) if name.starts_with("worker") => {
                tracing::error!(
                    task = name,
                    panic = message,
                    "a worker panicked; starting another"
                );
                start(name, tasks);
            }
            Ended::Panicked(message) => {
                stop.cancel();
                return Some(DaemonError::Panicked { name, message });
            }
        }
    }
}

/// Waits for the tasks to end: running jobs have the grace, then they are put back.
async fn drain(
    service: &Service,
    tasks: &mut Supervisor<DaemonError>,
    workers: &Stop,
    notifier: &Notifier,
) {
    let grace = service.settings().service.shutdown_grace.get();
    let deadline = Instant::now() + grace;
    notifier.extend(PROGRESS_EVERY * 2);
    let mut progress = tokio::time::interval_at(Instant::now() + PROGRESS_EVERY, PROGRESS_EVERY);
    loop {
        tokio::select! {
            ended = tasks.next() => match ended {
                None => return,
                Some((_, Ended::Clean)) => {}
                Some((task, ended)) => tracing::error!(task, ?ended, "a task failed while stopping"),
            },
            _ = progress.tick() => {
                notifier.extend(PROGRESS_EVERY * 2);
                let left = deadline.saturating_duration_since(Instant::now());
                tracing::info!(calls = service.gauge().read().open, seconds_left = left.as_secs(), "waiting for running calls");
            }
            () = tokio::time::sleep_until(deadline), if !workers.running.is_cancelled() => {
                tracing::warn!("the grace is over; running jobs are put back for the next start");
                workers.running.cancel();
            }
            () = tokio::time::sleep_until(deadline + LAST_GRACE) => {
                tracing::error!("some tasks do not end; leaving them");
                return;
            }
        }
    }
}
