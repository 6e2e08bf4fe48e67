//! What could not be verified is verified once it can be.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use testsmith_domain::{
    Job, JobCause, JobId, Lane, LanguageDriver, LedgerEntry, RelPath, SCAFFOLD_NOTE,
};
use testsmith_queue::{Intake, NewJob, QueueError};

use crate::files::chain;
use crate::service::{BUILD_REASON, RUN_REASON, Service, TOOLCHAIN_REASON, root_name};

/// A start may have brought a model: scaffolds are to be replaced.
pub(crate) async fn replace_scaffolds(service: &Service) {
    let scaffold = |_: &RelPath, entry: &LedgerEntry| {
        let mut written = entry.blocks.values().filter_map(|b| b.written.as_ref());
        written.any(|written| written.body.contains(SCAFFOLD_NOTE))
    };
    if service.model().exists {
        enqueue(service, "scaffolds", scaffold).await;
    }
}

/// A start may have brought a toolchain: blocks that were written unverified are run, and jobs that
/// waited for one go on. So they do if nothing is verified any more.
pub(crate) async fn verify_the_unverified(service: &Service) {
    if service.verifier().is_some() {
        enqueue(service, "unverified tests", |_, entry| is_unverified(entry)).await;
    }
    let why = "its tests may be run now";
    wake(service, why, |job| begins(job, TOOLCHAIN_REASON)).await;
}

/// Tests are run in another way from now on, or not at all: what waits because of how they were run
/// goes on.
pub(crate) async fn verify_anew(service: &Service) {
    verify_the_unverified(service).await;
    let reasons = [BUILD_REASON, RUN_REASON];
    let why = "tests are run in another way";
    wake(service, why, move |job| {
        reasons.iter().any(|r| begins(job, r))
    })
    .await;
}

/// The toolchain of this language is there: so it is for the other files.
pub(crate) async fn toolchain_is_there(service: &Service, driver: &Arc<dyn LanguageDriver>) {
    let for_files = Arc::clone(driver);
    enqueue(service, "unverified tests", move |path, entry| {
        for_files.claims(path) && is_unverified(entry)
    })
    .await;
    let for_jobs = Arc::clone(driver);
    wake(service, "the toolchain is there", move |job| {
        begins(job, TOOLCHAIN_REASON) && for_jobs.claims(&job.path)
    })
    .await;
}

/// The project has changed: it may build now. One job of each folder finds out; if it does, the
/// others follow.
pub(crate) async fn project_has_changed(service: &Service, root: &str) {
    service.changes.fetch_add(1, Ordering::AcqRel);
    let mut folders = BTreeSet::new();
    let waiting = service.queue.list().into_iter();
    let first: BTreeSet<JobId> = waiting
        .filter(|job| job.root == root && begins(job, BUILD_REASON))
        .filter(|job| folders.insert(job.path.dir().to_owned()))
        .map(|job| job.id)
        .collect();
    if !first.is_empty() {
        let why = "the project has changed: it may build now";
        wake(service, why, move |job| first.contains(&job.id)).await;
    }
}

/// This folder builds: what waited for that goes on.
pub(crate) async fn folder_builds(service: &Service, job: &Job) {
    let (root, folder) = (job.root.clone(), job.path.dir().to_owned());
    wake(service, "its folder builds now", move |job| {
        job.root == root && job.path.dir() == folder && begins(job, BUILD_REASON)
    })
    .await;
}

fn is_unverified(entry: &LedgerEntry) -> bool {
    entry
        .blocks
        .values()
        .any(|block| block.unverified.is_some())
}

fn begins(job: &Job, reason: &str) -> bool {
    job.state.reason().is_some_and(|r| r.starts_with(reason))
}

async fn wake(
    service: &Service,
    why: &'static str,
    wanted: impl Fn(&Job) -> bool + Send + Sync + 'static,
) {
    if let Err(error) = service.queue.wake(wanted, false, why).await {
        tracing::warn!(
            error = chain(&error),
            "jobs that wait to be verified wait on"
        );
    }
}

/// Puts the files into the queue whose ledger is `wanted`.
async fn enqueue<F>(service: &Service, what: &str, wanted: F)
where
    F: Fn(&RelPath, &LedgerEntry) -> bool + Send + Sync + 'static,
{
    let wanted = Arc::new(wanted);
    for project in &service.projects {
        let enqueued = enqueue_in(service, &root_name(&project.root), &wanted).await;
        if let Err(error) = enqueued {
            tracing::warn!(
                what,
                error = chain(&error),
                "blocks stay as they are until their files are saved"
            );
        }
    }
}

async fn enqueue_in<F>(service: &Service, root: &str, wanted: &Arc<F>) -> Result<(), QueueError>
where
    F: Fn(&RelPath, &LedgerEntry) -> bool + Send + Sync + 'static,
{
    let filter = Arc::clone(wanted);
    let jobs = service.queue.list().into_iter();
    let busy: BTreeSet<RelPath> = jobs
        .filter(|job| job.root == root)
        .map(|job| job.path)
        .collect();
    let entries = service.queue.find_ledger(root, |_| true).await?;
    let jobs: Vec<NewJob> = entries
        .into_iter()
        .filter(|(path, entry)| filter(path, entry))
        // One that is in work, or waits, comes to it by itself.
        .filter(|(path, _)| !busy.contains(path))
        .map(|(path, _)| NewJob {
            path,
            content: None,
            lane: Lane::Bulk,
            cause: JobCause::LookedAtAgain,
        })
        .collect();
    if jobs.is_empty() {
        return Ok(());
    }
    let intake = Intake {
        root: root.to_owned(),
        jobs,
        ..Intake::default()
    };
    service.queue.commit(intake).await.map(|_| ())
}
