//! `generate` while a daemon runs on the state: the files are handed to it.

use std::collections::BTreeMap;
use std::time::Duration;

use testsmith_control::{
    Client, ClientError, EnqueueRequest, Event, EventStream, FileQuery, JobEnded, JobKind,
    JobsQuery, Selection, Timestamp,
};
use testsmith_daemon::Totals;
use testsmith_domain::{CANCELLED, RelPath, Story};

use super::{Screen, absolute, code_of, tell_whose_settings, waits_for_budget};
use crate::args::{GenerateArgs, Global};
use crate::context::Context;
use crate::{block_on, exit, output};

/// A job that waits no longer than this is waited for: another file of ours is about to give up a
/// name. Longer waits are told as failures, as without a daemon; the job stays.
const SHORT: Duration = Duration::from_secs(5);

/// Hands the files over and follows them; `None` if no daemon runs.
pub(super) fn run(
    global: &Global,
    args: &GenerateArgs,
    context: &Context,
    selection: &Selection,
) -> anyhow::Result<Option<u8>> {
    let client = context.client();
    let handed = block_on(hand_over(&client, global, args, context, selection));
    match handed {
        Ok(Ok(Some(totals))) => {
            if global.verbose
                && let Some(cache) = totals.cache
            {
                output::line(cache)?;
            }
            Ok(Some(code_of(&totals)))
        }
        Ok(Ok(None)) => Ok(Some(exit::OK)),
        Ok(Err(error)) => match error.downcast_ref::<ClientError>() {
            Some(ClientError::NoDaemon(_)) if !args.no_wait => Ok(None),
            _ => Err(error),
        },
        Err(error) => Err(error),
    }
}

/// Hands the files over; with `--no-wait` that is all, and `None`.
async fn hand_over(
    client: &Client,
    global: &Global,
    args: &GenerateArgs,
    context: &Context,
    selection: &Selection,
) -> anyhow::Result<Option<Totals>> {
    // Before anything is handed over, so that no end is missed.
    let events = client.events().await?;
    let request = EnqueueRequest {
        root: context.root.clone(),
        selection: absolute(selection)?,
        prefer: args.prefer,
    };
    let jobs = client.enqueue(&request).await?.jobs;
    tell_whose_settings(global);
    if args.no_wait {
        output::note(format_args!(
            "{} handed to the daemon; see: testsmith jobs",
            output::counted(jobs.len() as u64, "file")
        ));
        return Ok(None);
    }
    if client
        .status()
        .await?
        .daemon
        .is_some_and(|daemon| daemon.paused)
    {
        output::note("the daemon is paused: nothing happens until `testsmith resume`");
    }
    let mut following = Following {
        client,
        context,
        open: jobs.into_iter().map(|job| (job.path, job.job_id)).collect(),
        totals: Totals::default(),
        screen: Screen::new(args.json, false),
    };
    following.totals.files = following.open.len();
    following.screen.begin(following.open.len());
    following.follow(events).await?;
    let cache = client.cache().await.ok();
    following.totals.cache = cache.map(|info| testsmith_domain::CacheStats {
        hits: info.hits,
        misses: info.misses,
        entries: info.entries,
    });
    following.screen.finish(&following.totals)?;
    Ok(Some(following.totals))
}

/// Files on their way.
struct Following<'a> {
    client: &'a Client,
    context: &'a Context,
    /// Files whose end has not been seen, with their jobs.
    open: BTreeMap<RelPath, u64>,
    totals: Totals,
    screen: Screen,
}

impl Following<'_> {
    /// Shows each file's end, until there is none left, the daemon ends or a signal comes.
    async fn follow(&mut self, mut events: EventStream) -> anyhow::Result<()> {
        let left = testsmith_daemon::stop_signal();
        tokio::pin!(left);
        while !self.open.is_empty() {
            let event = tokio::select! {
                biased;
                left = &mut left => {
                    left?;
                    self.leave("the daemon goes on with the rest; see: testsmith jobs");
                    return Ok(());
                }
                event = events.next() => event,
            };
            match event {
                Some(Ok(stamped)) => self.see(stamped.event).await?,
                Some(Err(ClientError::Broken(_))) | None => {
                    self.leave("the daemon has ended; the rest waits in its queue");
                    return Ok(());
                }
                Some(Err(error)) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn leave(&mut self, why: &str) {
        self.totals.interrupted = true;
        self.screen.clear();
        output::note(why);
    }

    async fn see(&mut self, event: Event) -> anyhow::Result<()> {
        match event {
            Event::Ended(ended) if self.is_ours(ended.job_id, &ended.root, &ended.path) => {
                self.ended(*ended).await?;
            }
            Event::Cancelled { job_id, root, path } if self.is_ours(job_id, &root, &path) => {
                self.settle(&dropped(job_id, root, path, "cancelled", None));
            }
            Event::Lagged { .. } => self.catch_up().await?,
            _ => {}
        }
        Ok(())
    }

    /// Whether it is of one of our files, and not of an older job of it.
    fn is_ours(&self, job_id: u64, root: &str, path: &RelPath) -> bool {
        let job = self.open.get(path);
        self.context.root.to_string_lossy() == root && job.is_some_and(|ours| job_id >= *ours)
    }

    async fn ended(&mut self, ended: JobEnded) -> anyhow::Result<()> {
        self.totals.requests += ended.attempts;
        match &*ended.outcome {
            // Its own next job, or the next run, follows.
            "superseded" | "put_back" => {}
            "waiting" if ended.until.is_some_and(|until| until.rest() <= SHORT) => {}
            // Tried once more by the daemon, then parked.
            "panicked" => self.catch_up().await?,
            _ => self.settle(&ended),
        }
        Ok(())
    }

    fn settle(&mut self, ended: &JobEnded) {
        if self.open.remove(&ended.path).is_none() {
            return;
        }
        if waits_for_budget(ended) {
            self.totals.waiting += 1;
        } else {
            self.totals.failed += usize::from(ended.failed);
        }
        self.screen.show_ended(ended);
    }

    /// Finds out what became of files whose events were lost.
    async fn catch_up(&mut self) -> anyhow::Result<()> {
        let jobs = self.client.jobs(&JobsQuery::default()).await?.jobs;
        let root = self.context.root.to_string_lossy().into_owned();
        for (path, ours) in self.open.clone() {
            let job = jobs
                .iter()
                .rfind(|job| job.root == root && job.path == path);
            let ended = match job {
                Some(job) if job.state == JobKind::Parked => {
                    dropped(job.job_id, root.clone(), path, "parked", job.reason.clone())
                }
                Some(job) if job.until.is_some_and(|until| until.rest() > SHORT) => JobEnded {
                    until: job.until,
                    ..dropped(
                        job.job_id,
                        root.clone(),
                        path,
                        "waiting",
                        job.reason.clone(),
                    )
                },
                Some(_) => continue,
                None => {
                    let query = FileQuery {
                        root: Some(self.context.root.clone()),
                        path: path.clone(),
                    };
                    let story = self.client.file(&query).await?;
                    // A run that was cancelled ends as if a newer save had come.
                    let is_end = |run: &Story| run.job.0 >= ours && run.outcome != "superseded";
                    let last = story.history.into_iter().rfind(is_end);
                    match last {
                        Some(run) => told(run, root.clone(), path, story.test_path),
                        None => dropped(ours, root.clone(), path, "cancelled", None),
                    }
                }
            };
            self.settle(&ended);
        }
        Ok(())
    }
}

/// An end without figures, of a job that is no more or does not go on.
fn dropped(
    job_id: u64,
    root: String,
    path: RelPath,
    outcome: &str,
    reason: Option<String>,
) -> JobEnded {
    JobEnded {
        job_id,
        root,
        path,
        ended: Timestamp::now(),
        outcome: outcome.to_owned(),
        reason,
        failed: true,
        until: None,
        test_path: None,
        written: Vec::new(),
        members: 0,
        cache_hits: 0,
        cache_misses: 0,
        calls: 0,
        attempts: 0,
        tokens_in: None,
        tokens_out: None,
        cost: None,
        models: Vec::new(),
        verified: 0,
        held_back: Vec::new(),
        unverified: false,
        elapsed_ms: 0,
    }
}

/// An end as the file's story tells it.
fn told(run: Story, root: String, path: RelPath, test_path: Option<RelPath>) -> JobEnded {
    JobEnded {
        failed: matches!(&*run.outcome, "waiting" | "parked" | "panicked" | CANCELLED)
            || (run.outcome == "written" && run.reason.is_some()),
        test_path: test_path.filter(|_| run.outcome == "written"),
        elapsed_ms: run.elapsed_ms,
        cost: run.cost,
        ..dropped(run.job.0, root, path, &run.outcome, run.reason)
    }
}

impl Screen {
    fn show_ended(&mut self, ended: &JobEnded) {
        if let Err(error) = self.ended(ended) {
            self.failure.get_or_insert(error);
        }
    }

    fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}
