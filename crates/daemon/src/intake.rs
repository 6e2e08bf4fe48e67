//! Changes seen become jobs on disk.

use std::sync::Arc;
use std::time::Duration;

use testsmith_domain::{Lane, RelPath};
use testsmith_queue::{Intake, NewJob};
use testsmith_watch::{Change, ChangeBatch};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::error::DaemonError;
use crate::files::chain;
use crate::service::{Service, root_name};

/// Waits between attempts to write changes down while the store is not well, doubling.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// Writes down each batch of changes, until the watcher ends. A batch that cannot be written down
/// is kept and tried again; the watcher goes on collecting meanwhile. A batch without changes is a
/// marker: `caught_up` is cancelled when everything before it is written down.
pub(crate) async fn take_in(
    service: Arc<Service>,
    mut batches: mpsc::Receiver<ChangeBatch>,
    caught_up: CancellationToken,
) -> Result<(), DaemonError> {
    while let Some(batch) = batches.recv().await {
        if batch.changes.is_empty() {
            caught_up.cancel();
            continue;
        }
        let mut intake = intake(&batch);
        let files = intake.jobs.len();
        if files > 0 {
            tracing::debug!(
                root = %batch.root.display(), files, bulk = batch.bulk, cause = ?batch.cause,
                "changes seen"
            );
        }
        follow_renames(&service, &batch, &mut intake).await;
        commit(&service, &intake).await;
    }
    Ok(())
}

async fn commit(service: &Service, intake: &Intake) {
    let mut wait = FIRST_WAIT;
    loop {
        match service.queue.commit(intake.clone()).await {
            Ok(_) => return,
            Err(error) => {
                tracing::error!(
                    error = chain(&error),
                    wait_s = wait.as_secs(),
                    "cannot write down what changed; trying again"
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
                // The ledger has moved along, so the new name's job takes the old tests away.
                intake.jobs.push(job(path, Some(stamp.hash)));
            }
            Change::Seen { path, stamp } => intake.seen.push((path.clone(), *stamp)),
            Change::Forgotten { path } => intake.gone.push(path.clone()),
        }
    }
    intake
}

/// Moves the ledger of each renamed file along, before its job can run: the job must find what was
/// written under the old name. A file that nothing was written for and that has no job needs none
/// under its new name either: its content is the same.
async fn follow_renames(service: &Service, batch: &ChangeBatch, intake: &mut Intake) {
    for change in &batch.changes {
        let Change::Renamed { from, path: to, .. } = change else {
            continue;
        };
        match service.queue.rename_ledger(&intake.root, from, to).await {
            Ok(false) if !has_job(service, &intake.root, from) => {
                intake.jobs.retain(|job| job.path != *to);
            }
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(%from, %to, error = chain(&error), "the tests under the old name stay");
            }
        }
    }
}

fn has_job(service: &Service, root: &str, path: &RelPath) -> bool {
    service
        .queue
        .list()
        .iter()
        .any(|job| job.root == root && job.path == *path)
}
