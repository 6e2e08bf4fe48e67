//! The daemon as the control socket knows it.

mod cache;
mod file;
pub(crate) mod hub;
mod offline;
mod status;
mod story;
mod usage;

use std::path::Path;
use std::sync::Arc;

use testsmith_control::{
    Answer, CacheEntries, CacheInfo, Cancelled, Cleared, Control, EnqueueRequest, Enqueued,
    EnqueuedJob, EntriesQuery, Event, FileQuery, FileRequest, FileStory, Frame, Gc, Imported,
    JobInfo, Jobs, JobsQuery, Listener, OverBudget, Paused, Preview, PreviewRequest, Refusal,
    RefusalCode, Reloaded, Retried, ReviewReply, ReviewRequest, Selected, Selection, Status,
    Stopping, UsageInfo,
};
use testsmith_domain::{Job, RelPath};
use testsmith_watch::WatchHandle;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use crate::error::DaemonError;
use crate::files::{blocking, chain};
use crate::oneshot::{new_jobs, select};
use crate::preview::preview;
use crate::review::tally;
use crate::service::{Service, root_name};
use crate::supervisor::{Ended, Supervisor};

pub use offline::{file_offline, jobs_offline, status_offline};
pub(crate) use status::cache_info;
pub(crate) use story::{broken_off_job, note_cause, story_of, story_of_panic};
pub use usage::lifted_budget;

/// A running daemon.
struct Daemon {
    service: Arc<Service>,
    watcher: WatchHandle,
    stop: CancellationToken,
}

/// The open control socket.
#[derive(Debug)]
pub(crate) struct Door {
    tasks: Supervisor<DaemonError>,
    close: CancellationToken,
}

impl Door {
    /// Opens it. A daemon without one works as well, so trouble is only told.
    pub(crate) fn open(
        service: &Arc<Service>,
        watcher: WatchHandle,
        stop: CancellationToken,
    ) -> Self {
        let mut door = Self {
            tasks: Supervisor::new(),
            close: CancellationToken::new(),
        };
        match Listener::bind(&service.state_dir) {
            Ok(listener) => {
                tracing::debug!(socket = %listener.path().display(), "control socket open");
                let daemon = Arc::new(Daemon {
                    service: Arc::clone(service),
                    watcher,
                    stop,
                });
                let close = door.close.clone();
                if let Some(address) = service.settings().metrics.listen {
                    let metrics = offer_metrics(address, Arc::clone(&daemon), close.clone());
                    door.tasks.spawn("metrics", metrics);
                }
                door.tasks.spawn("control", async move {
                    listener.serve(daemon, close).await;
                    Ok(())
                });
            }
            Err(error) => {
                let path = service.state_dir.join(testsmith_control::SOCKET);
                tracing::warn!(
                    path = %path.display(), error = chain(&error),
                    "no control socket: `status` and other commands cannot reach this daemon"
                );
            }
        }
        door
    }

    /// Closes it: to be done last, so that a stopping daemon can still be asked.
    pub(crate) async fn close(mut self) {
        self.close.cancel();
        while let Some((task, ended)) = self.tasks.next().await {
            if !matches!(ended, Ended::Clean) {
                tracing::error!(task, ?ended, "the control socket failed");
            }
        }
    }
}

/// Answers Prometheus, where the settings say. A port that is taken is no reason to end.
async fn offer_metrics(
    address: std::net::SocketAddr,
    daemon: Arc<Daemon>,
    close: CancellationToken,
) -> Result<(), DaemonError> {
    match testsmith_control::MetricsListener::bind(address).await {
        Ok(listener) => {
            let address = listener.address().map(|address| address.to_string());
            tracing::info!(address = address.unwrap_or_default(), "metrics are offered");
            listener.serve(daemon, close).await;
        }
        Err(error) => tracing::warn!(%address, %error, "metrics cannot be offered"),
    }
    Ok(())
}

impl Daemon {
    /// The watched root that is meant.
    fn root(&self, wanted: Option<&Path>) -> Result<&Path, Refusal> {
        let mut roots = self.service.projects.iter().map(|project| &*project.root);
        match wanted {
            Some(wanted) => roots.find(|root| *root == wanted).ok_or_else(|| {
                Refusal::not_found(format!(
                    "`{}` is not watched by this daemon",
                    wanted.display()
                ))
            }),
            None => match (roots.next(), roots.next()) {
                (Some(root), None) => Ok(root),
                _ => Err(Refusal::bad_request(
                    "this daemon watches several roots; say which one in `root`",
                )),
            },
        }
    }

    /// The root's name, and the files that are meant.
    async fn chosen(
        &self,
        root: &Path,
        selection: Selection,
    ) -> Result<(String, Vec<RelPath>), Refusal> {
        let root = self.root(Some(root))?.to_owned();
        let service = Arc::clone(&self.service);
        let name = root_name(&root);
        let chosen = blocking(move || select(&service, &root, &selection)).await;
        let paths = chosen.map_err(|error| match error {
            error @ (DaemonError::NotASource { .. }
            | DaemonError::Root { .. }
            | DaemonError::Git { .. }) => Refusal::bad_request(chain(&error)),
            error => Refusal::failed(chain(&error)),
        })?;
        Ok((name, paths))
    }

    async fn take_in(&self, request: EnqueueRequest) -> Result<Enqueued, Refusal> {
        if self.stop.is_cancelled() {
            return Err(stopping());
        }
        let EnqueueRequest {
            root,
            selection,
            prefer,
        } = request;
        let (name, paths) = self.chosen(&root, selection).await?;
        let hub = &self.service.hub;
        hub.restore(&name, &paths);
        if prefer {
            hub.prefer(&name, &paths);
        }
        let made = new_jobs(&self.service, &name, &paths).await;
        let ids = made.map_err(|error| Refusal::failed(chain(&error)))?;
        let jobs = paths
            .into_iter()
            .zip(ids)
            .map(|(path, id)| EnqueuedJob { job_id: id.0, path });
        Ok(Enqueued {
            jobs: jobs.collect(),
        })
    }

    async fn drop_jobs(&self, request: FileRequest) -> Result<Cancelled, Refusal> {
        let unknown = self.unknown(&request);
        let wanted = move |job: &Job| request.wants(job.id.0, &job.path);
        let dropped = self.service.queue.cancel(wanted).await;
        let dropped = dropped.map_err(|error| Refusal::failed(chain(&error)))?;
        let cancelled = dropped.len() as u64;
        for job in dropped {
            tracing::info!(job_id = %job.id, path = %job.path, "job cancelled on request");
            self.service.hub.events.say(Event::Cancelled {
                job_id: job.id.0,
                root: job.root,
                path: job.path,
            });
        }
        Ok(Cancelled { cancelled, unknown })
    }

    /// What is asked for by name and has no job.
    fn unknown(&self, request: &FileRequest) -> Vec<String> {
        request.unknown(&self.service.queue.list())
    }
}

fn stopping() -> Refusal {
    Refusal::new(RefusalCode::Unavailable, "the daemon is stopping")
}

/// Those jobs that are asked for.
fn jobs_of(jobs: &[Job], query: &JobsQuery, live: bool) -> Jobs {
    let wanted = jobs.iter().filter(|job| query.wants(job));
    let wanted = wanted.take(query.limit.unwrap_or(usize::MAX));
    Jobs {
        jobs: wanted.map(JobInfo::from).collect(),
        live,
    }
}

impl Control for Daemon {
    fn status(&self) -> Answer<'_, Status> {
        Box::pin(async {
            let tests = tally(&self.service.queue).await;
            let tests = tests.map_err(|error| Refusal::failed(chain(&error)))?;
            Ok(Status {
                tests,
                ..status::live(self)
            })
        })
    }

    fn jobs(&self, query: JobsQuery) -> Answer<'_, Jobs> {
        Box::pin(async move { Ok(jobs_of(&self.service.queue.list(), &query, true)) })
    }

    fn file(&self, query: FileQuery) -> Answer<'_, FileStory> {
        Box::pin(async move {
            let root = self.root(query.root.as_deref())?;
            let service = &self.service;
            let settings = service.settings();
            let story = file::story(
                &service.queue,
                &service.drivers,
                &settings,
                root,
                &query.path,
            );
            let mut story = story
                .await
                .map_err(|error| Refusal::failed(chain(&error)))?;
            story.live = true;
            let name = root_name(root);
            let mut running = service.hub.running().into_iter();
            story.running = running.find(|job| job.root == name && job.path == query.path);
            if let Some(running) = &story.running {
                let calls = service.hub.calls.list().into_iter();
                let calls = calls.filter(|call| call.job_id == running.job_id);
                story.open_calls = calls.collect();
            }
            Ok(story)
        })
    }

    fn cache(&self) -> Answer<'_, CacheInfo> {
        Box::pin(async { Ok(status::cache(&self.service)) })
    }

    fn cache_entries(&self, query: EntriesQuery) -> Answer<'_, CacheEntries> {
        Box::pin(cache::entries(&self.service.cache, query))
    }

    fn add_cache_entries(&self, request: CacheEntries) -> Answer<'_, Imported> {
        Box::pin(cache::add_entries(&self.service.cache, request))
    }

    fn enqueue(&self, request: EnqueueRequest) -> Answer<'_, Enqueued> {
        Box::pin(self.take_in(request))
    }

    fn select(&self, request: EnqueueRequest) -> Answer<'_, Selected> {
        Box::pin(async move {
            let (_, paths) = self.chosen(&request.root, request.selection).await?;
            Ok(Selected { paths })
        })
    }

    fn preview(&self, request: PreviewRequest) -> Answer<'_, Preview> {
        Box::pin(async move {
            let PreviewRequest { root, path, ask } = request;
            let name = root_name(self.root(Some(&root))?);
            if path.names_secret() {
                return Err(Refusal::bad_request(format!(
                    "`{path}` is named like a secret, and never read"
                )));
            }
            tokio::select! {
                preview = preview(&self.service, &name, &path, ask) => Ok(preview),
                () = self.stop.cancelled() => Err(stopping()),
            }
        })
    }

    fn review(&self, request: ReviewRequest) -> Answer<'_, ReviewReply> {
        Box::pin(async move {
            let answer = self.service.review().answer(request).await;
            answer.map_err(|error| match error {
                DaemonError::Review(message) => Refusal::bad_request(message),
                error => Refusal::failed(chain(&error)),
            })
        })
    }

    fn retry(&self, request: FileRequest) -> Answer<'_, Retried> {
        Box::pin(async move {
            let unknown = self.unknown(&request);
            let wanted = move |job: &Job| request.wants(job.id.0, &job.path);
            match self
                .service
                .queue
                .wake(wanted, true, "tried again on request")
                .await
            {
                Ok(woken) => {
                    tracing::info!(jobs = woken, "jobs are tried again on request");
                    Ok(Retried { woken, unknown })
                }
                Err(error) => Err(Refusal::failed(chain(&error))),
            }
        })
    }

    fn cancel(&self, request: FileRequest) -> Answer<'_, Cancelled> {
        Box::pin(self.drop_jobs(request))
    }

    fn resume_over_budget(&self) -> Answer<'_, OverBudget> {
        Box::pin(async move {
            let (lifted, woken) = self.service.resume_over_budget().await;
            Ok(OverBudget {
                lifted: lifted.iter().map(usage::lifted_budget).collect(),
                woken,
            })
        })
    }

    fn usage(&self) -> Answer<'_, UsageInfo> {
        Box::pin(async {
            Ok(usage::info(
                &self.service.spending(),
                self.service.held_until(),
            ))
        })
    }

    fn set_paused(&self, paused: bool) -> Answer<'_, Paused> {
        Box::pin(async move {
            let changed = self.service.hub.set_paused(paused);
            Ok(Paused { paused, changed })
        })
    }

    fn reload(&self) -> Answer<'_, Reloaded> {
        Box::pin(async {
            let reload = self.service.reload().await;
            let reload = reload.map_err(|error| {
                let reason = chain(&error);
                Refusal::failed(format!("{reason}; the settings stay as they were"))
            })?;
            Ok(Reloaded {
                applied: reload.changed,
                needs_restart: reload.restart,
            })
        })
    }

    fn gc(&self) -> Answer<'_, Gc> {
        Box::pin(cache::gc(&self.service.cache))
    }

    fn clear(&self) -> Answer<'_, Cleared> {
        Box::pin(cache::clear(&self.service.cache))
    }

    fn stop(&self) -> Answer<'_, Stopping> {
        Box::pin(async {
            if !self.stop.is_cancelled() {
                tracing::info!("stopping on request");
                self.stop.cancel();
            }
            let grace = self.service.settings().service.shutdown_grace.get();
            Ok(Stopping {
                pid: std::process::id(),
                grace_ms: u64::try_from(grace.as_millis()).unwrap_or(u64::MAX),
            })
        })
    }

    fn events(&self) -> broadcast::Receiver<Frame> {
        self.service.hub.events.subscribe()
    }
}
