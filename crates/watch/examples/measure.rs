//! Measures the watcher on a tree: time to ready, memory, save to batch.
//!
//! `cargo run --release -p testsmith-watch --example measure -- ROOT [SAVES]`
//!
//! Every file with a known ending under ROOT counts as a source. The first start has seen nothing
//! before and reads all of them; the second is told what the first found. Then some of them are
//! saved, one after the other, at a debounce of 50 ms. ROOT's files are changed by that. With no SAVES
//! (0) there is only the first start, and nothing is kept of it but what the watcher keeps.

#![expect(clippy::print_stdout, reason = "it is there to print")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use testsmith_domain::{FileStamp, RelPath};
use testsmith_watch::{Cause, Change, ChangeBatch, Claims, RootSpec, WatchSettings, Watcher};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

type Failure = Box<dyn std::error::Error>;

const DEBOUNCE: Duration = Duration::from_millis(50);

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let root = PathBuf::from(arguments.next().ok_or("usage: measure ROOT [SAVES]")?);
    let root = root.canonicalize()?;
    let saves = arguments.next().map_or(Ok(200), |text| text.parse())?;
    println!("before: {} kB resident", resident()?);
    let known = first(&root, saves > 0).await?;
    if saves == 0 {
        return Ok(());
    }
    println!(
        "known: {} files, {} kB resident with the list",
        known.len(),
        resident()?
    );
    second(&root, known, saves).await
}

async fn first(root: &Path, keep: bool) -> Result<Vec<(RelPath, FileStamp)>, Failure> {
    let start = Instant::now();
    let mut running = Running::start(root, None)?;
    let mut known = Vec::new();
    let handle = running.handle.clone();
    let mut ready = std::pin::pin!(handle.ready());
    loop {
        tokio::select! {
            biased;
            Some(batch) = running.batches.recv() => if keep {
                known.extend(stamps(batch));
            },
            () = &mut ready => break,
        }
    }
    println!("first start: ready after {:?}", start.elapsed());
    println!("at rest: {} kB resident", resident()?);
    running.stop().await?;
    Ok(known)
}

async fn second(
    root: &Path,
    known: Vec<(RelPath, FileStamp)>,
    saves: usize,
) -> Result<(), Failure> {
    let step = (known.len() / saves.max(1)).max(1);
    let targets: Vec<PathBuf> = known
        .iter()
        .step_by(step)
        .take(saves)
        .map(|(path, _)| path.under(root))
        .collect();
    let start = Instant::now();
    let mut running = Running::start(root, Some(known))?;
    running.handle.ready().await;
    println!("second start: ready after {:?}", start.elapsed());
    running.handle.idle().await;
    println!("at rest: {} kB resident", resident()?);
    println!("{:?}", running.handle.stats().values().next());
    let mut beyond = Vec::new();
    for (number, target) in targets.iter().enumerate() {
        fs::write(target, format!("save {number} of {}\n", std::process::id()))?;
        let start = Instant::now();
        loop {
            let batch = running.batches.recv().await.ok_or("the watcher ended")?;
            if batch.cause == Cause::Saved && batch.changes.iter().any(Change::is_work) {
                break;
            }
        }
        beyond.push(start.elapsed().saturating_sub(DEBOUNCE));
    }
    beyond.sort_unstable();
    if let (Some(middle), Some(last), Some(most)) = (
        beyond.get(beyond.len() / 2),
        beyond.get(beyond.len() * 99 / 100),
        beyond.last(),
    ) {
        println!("save to batch beyond the debounce: p50 {middle:?} p99 {last:?} max {most:?}");
    }
    running.stop().await
}

struct Running {
    handle: testsmith_watch::WatchHandle,
    batches: mpsc::Receiver<ChangeBatch>,
    cancel: CancellationToken,
    tasks: JoinSet<Result<(), testsmith_watch::WatchError>>,
}

impl Running {
    fn start(root: &Path, known: Option<Vec<(RelPath, FileStamp)>>) -> Result<Self, Failure> {
        let claims: Claims =
            Arc::new(|path: &RelPath| matches!(path.extension(), "go" | "py" | "ts" | "js"));
        let settings = WatchSettings {
            debounce: DEBOUNCE,
            ..WatchSettings::default()
        };
        let watcher = Watcher::new(settings, claims, None)?;
        let handle = watcher.handle();
        let (out, batches) = mpsc::channel(4);
        let cancel = CancellationToken::new();
        let mut tasks = JoinSet::new();
        let roots = vec![RootSpec::new(root, known)];
        tasks.spawn(watcher.run(roots, out, cancel.clone()));
        Ok(Self {
            handle,
            batches,
            cancel,
            tasks,
        })
    }

    async fn stop(mut self) -> Result<(), Failure> {
        self.cancel.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            ended??;
        }
        Ok(())
    }
}

fn stamps(batch: ChangeBatch) -> impl Iterator<Item = (RelPath, FileStamp)> {
    batch.changes.into_iter().filter_map(|change| match change {
        Change::Seen { path, stamp } | Change::Modified { path, stamp } => Some((path, stamp)),
        Change::Removed { .. } | Change::Renamed { .. } | Change::Forgotten { .. } => None,
    })
}

/// Resident memory of this process in kB.
fn resident() -> Result<u64, Failure> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    Ok(line
        .ok_or("no VmRSS")?
        .trim()
        .trim_end_matches(" kB")
        .parse()?)
}
