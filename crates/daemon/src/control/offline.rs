//! The same answers without a daemon, read from the state directly.

use std::path::Path;

use testsmith_config::Settings;
use testsmith_control::{FileStory, Health, Jobs, JobsQuery, QueueInfo, Status, TestsInfo};
use testsmith_domain::RelPath;
use testsmith_queue::Queue;

use super::{file, jobs_of, status};
use crate::error::DaemonError;
use crate::review::tally;
use crate::service::{CACHE_DIR, JOBS_DIR, open_cache, take_lock};

/// The whole picture, as far as the state tells it.
pub async fn status_offline(state_dir: &Path, settings: &Settings) -> Result<Status, DaemonError> {
    let mut found = Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        state_dir: state_dir.to_owned(),
        daemon: None,
        health: Health::NotRunning,
        queue: QueueInfo {
            pending: 0,
            running: 0,
            waiting: 0,
            parked: 0,
            oldest: None,
        },
        cache: None,
        usage: None,
        spent: None,
        tests: TestsInfo::default(),
        last: Vec::new(),
        warnings: Vec::new(),
    };
    // A question must not leave a folder behind.
    if !state_dir.exists() {
        return Ok(found);
    }
    let _lock = take_lock(state_dir)?;
    let trouble = |error| DaemonError::state(state_dir, error);
    if state_dir.join(JOBS_DIR).exists() {
        let queue = open_queue(state_dir).await?;
        found.queue = status::queue(&queue, &queue.list());
        found.tests = tally(&queue)
            .await
            .map_err(|error| DaemonError::state(state_dir, error))?;
        queue.close().await.map_err(trouble)?;
    }
    if state_dir.join(CACHE_DIR).exists() {
        let cache = open_cache(state_dir, settings).await?;
        let max_bytes = settings.cache.max_size.get();
        found.cache = Some(status::cache_info(
            &cache,
            cache.lifetime_stats(),
            max_bytes,
        ));
        let closed = cache.close().await;
        closed.map_err(|error| DaemonError::state(state_dir, error))?;
    }
    Ok(found)
}

/// The jobs in the queue.
pub async fn jobs_offline(state_dir: &Path, query: &JobsQuery) -> Result<Jobs, DaemonError> {
    if !state_dir.join(JOBS_DIR).exists() {
        return Ok(jobs_of(&[], query, false));
    }
    let _lock = take_lock(state_dir)?;
    let queue = open_queue(state_dir).await?;
    let jobs = jobs_of(&queue.list(), query, false);
    let closed = queue.close().await;
    closed.map_err(|error| DaemonError::state(state_dir, error))?;
    Ok(jobs)
}

/// What is known of a file; `None` if there is no state at all.
pub async fn file_offline(
    state_dir: &Path,
    settings: &Settings,
    root: &Path,
    path: &RelPath,
) -> Result<Option<FileStory>, DaemonError> {
    if !state_dir.join(JOBS_DIR).exists() {
        return Ok(None);
    }
    let _lock = take_lock(state_dir)?;
    let queue = open_queue(state_dir).await?;
    let drivers = testsmith_lang::drivers();
    let story = file::story(&queue, &drivers, settings, root, path).await;
    let closed = queue.close().await;
    closed.map_err(|error| DaemonError::state(state_dir, error))?;
    story.map(Some)
}

async fn open_queue(state_dir: &Path) -> Result<std::sync::Arc<Queue>, DaemonError> {
    let opened = Queue::open(&state_dir.join(JOBS_DIR)).await;
    opened
        .map(|(queue, _)| queue)
        .map_err(|error| DaemonError::state(state_dir, error))
}
