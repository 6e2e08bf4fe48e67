//! Tasks beside the work: what signals ask for, and what the service manager is told.

use std::sync::Arc;
use std::time::Duration;

use testsmith_watch::WatchHandle;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::error::DaemonError;
use crate::notify::{Heartbeats, Notifier, Watchdog};
use crate::service::Service;
use crate::signals::Ask;

/// How often the service manager is told what the service does, if that has changed.
const TELL_EVERY: Duration = Duration::from_secs(5);

/// How much longer than a turn of the above a start may take that is still under way.
const MORE_TIME: Duration = Duration::from_secs(30);

/// Does what signals ask for, until told to stop.
pub(crate) async fn answer(
    service: Arc<Service>,
    watcher: WatchHandle,
    mut asks: mpsc::Receiver<Ask>,
    stop: CancellationToken,
) -> Result<(), DaemonError> {
    let answering = async {
        while let Some(ask) = asks.recv().await {
            match ask {
                // It tells in the log what it came to.
                Ask::Reload => drop(service.reload().await),
                Ask::Status => log_status(&service, &watcher),
            }
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = answering => {}
    }
    Ok(())
}

fn log_status(service: &Service, watcher: &WatchHandle) {
    let jobs = service.queue.counts();
    let model = service.model();
    let calls = model.gauge.read();
    let roots = watcher.stats();
    tracing::info!(
        model = model.description,
        files = roots.values().map(|root| root.files).sum::<usize>(),
        directories = roots.values().map(|root| root.watched).sum::<usize>(),
        pending = jobs.pending,
        running = jobs.running,
        waiting = jobs.waiting,
        parked = jobs.parked,
        calls = calls.calls,
        attempts = calls.attempts,
        open = calls.open,
        held_s = model.left_alone_for().map(|held| held.as_secs()),
        tokens_in = calls.input_tokens,
        tokens_out = calls.output_tokens,
        "status"
    );
}

/// Tells the service manager what the service does, until told to stop.
pub(crate) async fn tell_status(
    service: Arc<Service>,
    watcher: WatchHandle,
    notifier: Arc<Notifier>,
    stop: CancellationToken,
) -> Result<(), DaemonError> {
    if !notifier.is_heard() {
        return Ok(());
    }
    let telling = async {
        let mut tick = tokio::time::interval(TELL_EVERY);
        let mut told = String::new();
        loop {
            tick.tick().await;
            if is_starting(&watcher) {
                notifier.extend(MORE_TIME);
            }
            let line = status_line(&service, &watcher);
            if line != told {
                notifier.status(&line);
                told = line;
            }
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = telling => {}
    }
    Ok(())
}

fn is_starting(watcher: &WatchHandle) -> bool {
    use testsmith_watch::RootState;
    let roots = watcher.stats();
    let looked_at = |(_, stats): (_, &testsmith_watch::RootStats)| {
        stats.ready || stats.state == RootState::Missing
    };
    roots.is_empty() || !roots.iter().all(looked_at)
}

const fn plural(count: u64) -> &'static str {
    if count == 1 { "" } else { "s" }
}

/// What the service does, in one line for people.
pub(crate) fn status_line(service: &Service, watcher: &WatchHandle) -> String {
    let files: u64 = watcher.stats().values().map(|root| root.files as u64).sum();
    let jobs = service.queue.counts();
    let calls = service.gauge().read();
    let mut line = if is_starting(watcher) {
        "looking at the tree".to_owned()
    } else {
        format!("watching {files} file{}", plural(files))
    };
    for (count, what) in [
        (jobs.pending, "pending"),
        (jobs.running, "running"),
        (jobs.waiting, "waiting"),
        (jobs.parked, "parked"),
    ] {
        if count > 0 {
            line += &format!(", {count} {what}");
        }
    }
    if calls.open > 0 {
        line += &format!(", {} call{} open", calls.open, plural(calls.open));
    }
    if service.model().left_alone_for().is_some() {
        line += ", the model asked for a pause";
    }
    line
}

/// Feeds the service manager's watchdog while all parts of the service move.
pub(crate) async fn feed_watchdog(
    service: Arc<Service>,
    notifier: Arc<Notifier>,
    heartbeats: Arc<Heartbeats>,
    stop: CancellationToken,
) -> Result<(), DaemonError> {
    let watchdog = Watchdog {
        notifier,
        heartbeats,
    };
    watchdog.run(|| service.queue.respond(), stop).await;
    Ok(())
}
