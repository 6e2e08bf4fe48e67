//! What takes a hand inside the watcher to bring about.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;

use testsmith_domain::ContentHash;
use tokio::task::JoinSet;

use super::*;
use crate::change::{Change, RescanReason};
use crate::check::Outcome;
use crate::handle::WatchHandle;
use crate::settings::WatchSettings;
use crate::walk::Stat;
use crate::watches::Cover;

fn task(root: &std::path::Path) -> (RootTask, WatchHandle) {
    let context = Context {
        settings: Arc::new(WatchSettings {
            debounce: Duration::from_millis(50),
            ..WatchSettings::default()
        }),
        claims: Arc::new(|path| path.extension() == "py"),
        state_dir: None,
    };
    let handle = WatchHandle::new();
    handle.shared.begin(std::iter::once(root.to_owned()));
    let spec = RootSpec::new(root, None);
    (
        RootTask::new(spec, context, Arc::clone(&handle.shared)),
        handle,
    )
}

/// What a look at a file found, and what a listing of its folder said meanwhile.
#[test]
fn only_a_listing_that_agrees_with_a_look_costs_no_second_one() {
    let (mut task, _) = task(std::path::Path::new("/project"));
    let seen = FileStamp {
        size: 1,
        mtime_ns: 2,
        ctime_ns: 3,
        inode: 4,
        hash: ContentHash::of(b"x"),
    };
    let same = Stat {
        size: 1,
        mtime_ns: 2,
        ctime_ns: 3,
        inode: 4,
    };
    let grown = Stat { size: 2, ..same };
    let another = Stat { inode: 5, ..same };
    let path = RelPath::new("d/m.py").unwrap();
    for (cover, look, listed, agrees) in [
        (Cover::Watch, None, None, true),
        (Cover::Watch, None, Some(same), false),
        (Cover::Watch, Some(&seen), None, false),
        (Cover::Watch, Some(&seen), Some(same), true),
        (Cover::Watch, Some(&seen), Some(grown), false),
        (Cover::Watch, Some(&seen), Some(another), false),
        // Network file systems may give a file another number each time.
        (Cover::Shared, Some(&seen), Some(another), true),
        (Cover::Shared, Some(&seen), Some(grown), false),
    ] {
        task.index.keep("d", Arc::new(Rules::empty()), cover, 0);
        let mut found: Vec<(Box<str>, Stat)> = vec![("a.py".into(), same), ("z.py".into(), same)];
        found.extend(listed.map(|stat| ("m.py".into(), stat)));
        found.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        assert_eq!(
            task.is_as_listed(&path, look, &found),
            agrees,
            "{cover:?} {look:?} {listed:?}"
        );
    }
}

#[test]
fn what_changed_after_the_first_look_began_is_a_change() {
    let (mut task, _) = task(std::path::Path::new("/project"));
    task.baseline_from_ns = 100;
    task.index
        .keep("", Arc::new(Rules::empty()), Cover::Watch, 0);
    let stamp = |mtime_ns, ctime_ns| FileStamp {
        size: 1,
        mtime_ns,
        ctime_ns,
        inode: 1,
        hash: ContentHash::of(b"x"),
    };
    let now = Instant::now();
    // The last two were saved, and moved in.
    for (name, stamp) in [
        ("old.py", stamp(99, 100)),
        ("saved.py", stamp(101, 101)),
        ("moved_in.py", stamp(5, 101)),
    ] {
        task.on_file(RelPath::new(name).unwrap(), stamp, Cause::Baseline, now);
    }
    task.settle_held();
    let (changes, _) = task.outbox.take(Cause::Baseline, 50, false);
    let told: Vec<_> = changes
        .iter()
        .map(|change| (change.path().as_str(), change.is_work()))
        .collect();
    assert_eq!(
        told,
        [("moved_in.py", true), ("old.py", false), ("saved.py", true)]
    );
}

/// A folder that is moved away just after a file in it was looked at, and before the receiver was
/// told: no event tells that the file went along.
#[tokio::test]
async fn what_was_seen_in_a_folder_that_is_gone_is_looked_at_again() {
    let (mut task, _) = task(std::path::Path::new("/project"));
    for dir in ["", "d"] {
        let rules = Arc::new(Rules::empty());
        task.index.keep(dir, rules, Cover::Watch, 0);
    }
    let stamp = FileStamp {
        size: 1,
        mtime_ns: 1,
        ctime_ns: 1,
        inode: 1,
        hash: ContentHash::of(b"x"),
    };
    let stat = Stat {
        size: 1,
        mtime_ns: 1,
        ctime_ns: 1,
        inode: 1,
    };
    let path = RelPath::new("d/a.py").unwrap();
    let now = Instant::now();
    let looked = || vec![(path.clone(), Outcome::File(stamp))];
    task.on_outcomes(looked(), Cause::Saved, now);
    assert_eq!(task.outbox.len(), 1);
    assert!(!task.debouncer.contains(&path));
    task.drop_folder("d", Cause::Saved, now);
    assert!(task.debouncer.contains(&path), "it waits to be told of");

    // The same where the look was under way meanwhile.
    task.debouncer.due(now + Duration::from_mins(1));
    task.outbox.withdraw(&path);
    task.listed.insert("d".into(), None);
    task.drop_folder("d", Cause::Saved, now);
    task.on_outcomes(looked(), Cause::Saved, now);
    assert_eq!(task.outbox.len(), 0);
    assert!(task.debouncer.contains(&path), "it was being looked at");

    // What a listing shows as it was seen needs no other look.
    task.debouncer.due(now + Duration::from_mins(1));
    let rules = Arc::new(Rules::empty());
    task.index.keep("d", rules, Cover::Watch, 0);
    task.listed
        .insert("d".into(), Some(vec![("a.py".into(), stat)]));
    task.on_outcomes(looked(), Cause::Saved, now);
    assert!(!task.debouncer.contains(&path));
    assert_eq!(task.held.len() + task.outbox.len(), 1);
}

/// Case 10, with the event thread held up in place of the whole process.
#[tokio::test]
async fn a_full_kernel_queue_costs_a_comparison_and_no_change() {
    let limit = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
    let limit: usize = limit.trim().parse().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    let file = |number: usize| root.join(format!("f{}.py", number % 500));
    for number in 0..500 {
        fs::write(file(number), "x = 0\n").unwrap();
    }
    let (task, handle) = task(&root);
    let hints = Arc::clone(&task.hints);
    let (out, mut batches) = mpsc::channel(100);
    let cancel = CancellationToken::new();
    let mut tasks = JoinSet::new();
    tasks.spawn(task.run(out, cancel.clone()));
    handle.ready().await;

    let held_up = hints.lock();
    // Three events each: opened, written, closed.
    for number in 0..limit / 3 + 1_000 {
        // In place: ext4 writes a truncated file to disk when it is closed, which takes long.
        let mut file = fs::OpenOptions::new()
            .write(true)
            .open(file(number))
            .unwrap();
        writeln!(file, "x = {number}").unwrap();
    }
    fs::write(root.join("new.py"), "x = 'new'\n").unwrap();
    fs::remove_file(file(7)).unwrap();
    drop(held_up);

    let overflowed = async {
        while handle.stats()[&root].overflows == 0 {
            tokio::task::yield_now().await;
        }
        handle.idle().await;
    };
    tokio::time::timeout(Duration::from_mins(1), overflowed)
        .await
        .unwrap();
    assert_eq!(handle.stats()[&root].rescans, 2);
    cancel.cancel();
    tasks.join_next().await.unwrap().unwrap().unwrap();

    let mut snapshot = BTreeMap::new();
    let mut causes = BTreeSet::new();
    while let Some(batch) = batches.recv().await {
        for change in &batch.changes {
            if change.is_work() {
                causes.insert(batch.cause);
            }
            for (path, stamp) in effects(change) {
                match stamp {
                    Some(stamp) => snapshot.insert(path.clone(), stamp.hash),
                    None => snapshot.remove(path),
                };
            }
            assert!(!matches!(change, Change::Renamed { .. }));
        }
    }
    assert!(
        causes.contains(&Cause::Rescan(RescanReason::Overflow)),
        "{causes:?}"
    );
    let on_disk: BTreeMap<_, _> = fs::read_dir(&root)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let path = RelPath::new(entry.file_name()).unwrap();
            (path, ContentHash::of(&fs::read(entry.path()).unwrap()))
        })
        .collect();
    assert_eq!(on_disk.len(), 500);
    assert_eq!(snapshot, on_disk);
}
