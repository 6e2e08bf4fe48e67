//! Changes seen become jobs on disk.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use testsmith_domain::{CANCELLED, JobCause, Lane, RelPath};
use testsmith_queue::{Intake, NewJob, QueueError};
use testsmith_watch::{Change, ChangeBatch};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use crate::error::DaemonError;
use crate::files::chain;
use crate::recheck::project_has_changed;
use crate::service::{Service, root_name};

/// Waits between attempts to write changes down while the store is not well, doubling.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// How long a batch is still tried to be written down once the service stops.
const LAST_WAIT: Duration = Duration::from_secs(2);

/// Writes down each batch of changes, until the watcher ends. A batch that cannot be written down
/// is kept and tried again; the watcher goes on collecting meanwhile. `looked_at` gets a permit for
/// each root that has been looked at whole, with all that was found written down.
pub(crate) async fn take_in(
    service: Arc<Service>,
    mut batches: mpsc::Receiver<ChangeBatch>,
    looked_at: Arc<Semaphore>,
    stop: CancellationToken,
) -> Result<(), DaemonError> {
    while let Some(batch) = batches.recv().await {
        let mut intake = intake(&batch);
        // A batch without changes is sent when a root has been looked at whole.
        intake.complete = batch.changes.is_empty();
        if !intake.jobs.is_empty() {
            tracing::debug!(
                root = %batch.root.display(), files = intake.jobs.len(), bulk = batch.bulk,
                cause = ?batch.cause, "changes seen"
            );
        }
        let written = async {
            follow_renames(&service, &batch, &mut intake).await;
            patiently("what changed", || service.queue.commit(intake.clone())).await;
            if !batch.changes.is_empty() {
                project_has_changed(&service, &intake.root).await;
            }
        };
        // What cannot be written down when it is time to stop is found again at the next start:
        // the snapshot does not know of it either.
        tokio::select! {
            () = written => {}
            () = given_up(&stop) => return Ok(()),
        }
        if batch.changes.is_empty() {
            looked_at.add_permits(1);
        }
    }
    Ok(())
}

/// Some time after `stop`: enough for a disk that works.
async fn given_up(stop: &CancellationToken) {
    stop.cancelled().await;
    tokio::time::sleep(LAST_WAIT).await;
}

/// Does `work` again and again until it can be done.
async fn patiently<T, F>(what: &str, mut work: impl FnMut() -> F) -> T
where
    F: Future<Output = Result<T, QueueError>>,
{
    let mut wait = FIRST_WAIT;
    loop {
        match work().await {
            Ok(done) => return done,
            Err(error) => {
                let wait_s = wait.as_secs();
                tracing::error!(
                    error = chain(&error),
                    what,
                    wait_s,
                    "a change of the tree cannot be written down; trying again"
                );
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(LONGEST_WAIT);
            }
        }
    }
}

/// What a batch means for snapshot and queue.
fn intake(batch: &ChangeBatch) -> Intake {
    let lane = if batch.bulk {
        Lane::Bulk
    } else {
        Lane::Interactive
    };
    let mut intake = Intake {
        root: root_name(&batch.root),
        ..Intake::default()
    };
    let job = |path: &RelPath, content| NewJob {
        path: path.clone(),
        content,
        lane,
        cause: JobCause::Changed,
    };
    for change in &batch.changes {
        match change {
            Change::Modified { path, stamp } => {
                intake.seen.push((path.clone(), *stamp));
                intake.jobs.push(job(path, Some(stamp.hash)));
            }
            Change::Removed { path } => {
                intake.gone.push(path.clone());
                intake.jobs.push(job(path, None));
            }
            Change::Renamed { from, path, stamp } => {
                intake.gone.push(from.clone());
                intake.seen.push((path.clone(), *stamp));
                // The ledger moves along, so the new name's job takes the old tests away.
                intake.renamed.push((from.clone(), path.clone()));
                intake.jobs.push(job(path, Some(stamp.hash)));
            }
            Change::Seen { path, stamp } => intake.seen.push((path.clone(), *stamp)),
            Change::Forgotten { path } => intake.gone.push(path.clone()),
        }
    }
    intake
}

/// Decides what jobs a new name needs: the ledger moves along with it in the intake. A file that
/// nothing was written for and that has no job needs none under its new name either: its content is
/// the same.
async fn follow_renames(service: &Service, batch: &ChangeBatch, intake: &mut Intake) {
    let mut settled = HashSet::new();
    for change in &batch.changes {
        let Change::Renamed { from, path: to, .. } = change else {
            continue;
        };
        if service.queue.has_job(&intake.root, from) {
            // It may be running, and about to write tests for a file that is no more.
            intake.jobs.push(NewJob {
                path: from.clone(),
                content: None,
                lane: Lane::Interactive,
                cause: JobCause::Changed,
            });
        } else if !has_run(service, &intake.root, from).await {
            settled.insert(to);
        }
    }
    intake.jobs.retain(|job| !settled.contains(&job.path));
}

/// Whether anything was written for the file, or a job of it has ever run. It may have found the
/// file gone to its new name, of which the watcher had still to tell, and so have done nothing for
/// what is in it.
async fn has_run(service: &Service, root: &str, path: &RelPath) -> bool {
    let ledger = patiently("a new name", || service.queue.ledger(root, path)).await;
    let history = patiently("a new name", || service.queue.history(root, path)).await;
    ledger.is_some() || history.iter().any(|run| run.outcome != CANCELLED)
}
