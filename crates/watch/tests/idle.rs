//! Case 20, the idle time. A process of its own, since what it measures is the process.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests, which clippy takes for ordinary code"
)]

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use testsmith_watch::{RootSpec, WatchSettings, Watcher};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How often each thread has gone to sleep of its own will: once for each wake-up.
fn sleeps() -> BTreeMap<String, u64> {
    let mut sleeps = BTreeMap::new();
    for task in fs::read_dir("/proc/self/task").unwrap() {
        let path = task.unwrap().path().join("status");
        let text = fs::read_to_string(&path).unwrap_or_default();
        let count = text
            .lines()
            .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))
            .map_or(0, |count| count.trim().parse().unwrap());
        sleeps.insert(path.display().to_string(), count);
    }
    sleeps
}

/// Processor time of this process, in ticks of 10 ms.
fn ticks() -> u64 {
    let text = fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = text
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

#[tokio::test]
async fn at_rest_it_does_not_wake_up() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    for number in 0..1_000 {
        let folder = root.join(format!("d{}", number % 50));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(format!("f{number}.py")), "x = 1\n").unwrap();
    }
    let claims = Arc::new(|path: &testsmith_domain::RelPath| path.extension() == "py");
    let watcher = Watcher::new(WatchSettings::default(), claims, None).unwrap();
    let handle = watcher.handle();
    let (out, mut batches) = mpsc::channel(16);
    let cancel = CancellationToken::new();
    let mut tasks = JoinSet::new();
    tasks.spawn(watcher.run(vec![RootSpec::new(&root, None)], out, cancel.clone()));
    let drain = async {
        while let Some(batch) = batches.recv().await {
            drop(batch);
        }
    };
    let measured = async {
        handle.ready().await;
        handle.idle().await;
        // Longer than the debounce, shorter than the blocking pool keeps its threads.
        let (before, ticks_before) = (sleeps(), ticks());
        tokio::time::sleep(Duration::from_secs(3)).await;
        let (after, ticks_after) = (sleeps(), ticks());
        let woken: u64 = after
            .iter()
            .map(|(thread, count)| count - before.get(thread).unwrap_or(&0))
            .sum();
        cancel.cancel();
        (woken, ticks_after - ticks_before)
    };
    let ((), (woken, ticks)) = tokio::join!(drain, measured);
    assert!(tasks.join_next().await.unwrap().unwrap().is_ok());
    // The measurement's own timer is one of them.
    assert!(woken <= 6, "{woken} wake-ups in 3 s");
    assert!(ticks <= 1, "{ticks} ticks in 3 s");
}
