//! Death and disk-full, in a child process: this test binary, run again with one test and an
//! environment variable that tells it to be the child.

#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use testsmith_store::{Batch, Health, StateLock, Store, StoreError, StoreOptions};

const DIR: &str = "TESTSMITH_STORE_CHILD_DIR";

/// How many numbers later the child removes a record; a multiple of its threads.
const KEPT: u64 = 200;

fn child_dir() -> Option<PathBuf> {
    std::env::var_os(DIR).map(PathBuf::from)
}

fn child(test: &str, dir: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args([test, "--exact", "--nocapture"])
        .env(DIR, dir)
        .stdout(Stdio::piped());
    command
}

/// Lines of the child that begin with `word`, without it.
fn told(child: &mut Child, word: &'static str) -> impl Iterator<Item = String> + use<> {
    BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok)
        .filter_map(move |line| line.strip_prefix(word).map(str::to_owned))
}

fn value(number: u64) -> Vec<u8> {
    // From a few bytes to several pieces, hard to compress.
    let length = [10, 300, 5_000, 30_000, 200_000][usize::try_from(number % 5).unwrap()];
    let mut state = number | 1;
    (0..length)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        })
        .collect()
}

/// The child: four threads write, overwrite and remove without end, and print what is safe.
#[test]
fn child_writes() {
    let Some(dir) = child_dir() else { return };
    let (store, report) = Store::open(&dir, StoreOptions::new(1)).unwrap();
    assert!(!report.data_may_be_lost(), "{report:?}");
    let mut first = 0;
    store
        .scan(b"k", |key, _| {
            let number: u64 = String::from_utf8_lossy(&key[1..]).parse().unwrap();
            first = first.max(number + 1);
        })
        .unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let store = &store;
            scope.spawn(move || {
                for number in (first..first + 100_000).filter(|number| number % 4 == thread) {
                    let mut batch = Batch::new();
                    batch.put(format!("k{number:012}"), value(number));
                    batch.put(format!("twin{number:012}"), value(number));
                    if let Some(old) = number.checked_sub(KEPT) {
                        batch.remove(format!("k{old:012}"));
                        batch.remove(format!("twin{old:012}"));
                    }
                    store.commit(&batch).unwrap();
                    println!("ack {number}");
                }
            });
        }
    });
}

#[test]
fn what_was_acknowledged_survives_kill_9() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("x.sled");
    for round in 0..20u64 {
        let mut process = child("child_writes", &dir).spawn().unwrap();
        let stop_after = usize::try_from(3 + round * 37 % 90).unwrap();
        let mut acks = told(&mut process, "ack ");
        let mut acked: Vec<u64> = acks
            .by_ref()
            .take(stop_after)
            .map(|number| number.parse().unwrap())
            .collect();
        process.kill().unwrap();
        // What it still said before it died counts as well.
        acked.extend(acks.filter_map(|number| number.parse::<u64>().ok()));
        process.wait().unwrap();
        assert!(acked.len() >= stop_after, "the child died by itself");

        let (store, report) = Store::open(&dir, StoreOptions::new(1)).unwrap();
        assert!(!report.data_may_be_lost(), "{report:?}");
        // The same thread may have been about to remove what is older than that.
        let newest = |number: u64| {
            acked
                .iter()
                .filter(|n| **n % 4 == number % 4)
                .max()
                .unwrap()
        };
        for number in acked.iter().filter(|n| **n + KEPT > newest(**n) + 4) {
            for name in ["k", "twin"] {
                let record = store.get(format!("{name}{number:012}").as_bytes()).unwrap();
                let record = record.unwrap_or_else(|| panic!("{name}{number} is lost"));
                assert_eq!(record.data, value(*number));
            }
        }
        // Nothing torn: the two of a batch are there together or not at all.
        let mut twins = [Vec::new(), Vec::new()];
        for (name, list) in ["k", "twin"].into_iter().zip(&mut twins) {
            store
                .scan(name.as_bytes(), |key, record| {
                    record.unwrap();
                    list.push(key[name.len()..].to_vec());
                })
                .unwrap();
        }
        assert_eq!(twins[0], twins[1]);
    }
}

#[test]
fn child_commits_once() {
    let Some(dir) = child_dir() else { return };
    let (store, _) = Store::open(&dir, StoreOptions::new(1)).unwrap();
    let mut batch = Batch::new();
    batch.put("k", value(3));
    store.commit(&batch).unwrap();
    println!("ack durable");
}

/// What a kill cannot show: that the disk was told before the caller was. The kernel's view.
#[test]
fn fdatasync_comes_between_the_write_and_the_acknowledgement() {
    if Command::new("strace").arg("-V").output().is_err() {
        assert!(
            std::env::var("CI").as_deref() != Ok("true"),
            "strace not found"
        );
        println!("skipped: strace not found");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let mut process = Command::new("strace")
        .args(["-f", "-e", "trace=pwrite64,fdatasync,write", "-o"])
        .arg(&log)
        .arg(std::env::current_exe().unwrap())
        .args(["child_commits_once", "--exact", "--nocapture"])
        .env(DIR, dir.path().join("x.sled"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    assert_eq!(told(&mut process, "ack ").count(), 1);
    assert!(process.wait().unwrap().success());
    let log = std::fs::read_to_string(&log).unwrap();
    let calls: Vec<&str> = log.lines().collect();
    let ack = calls
        .iter()
        .position(|call| call.contains("ack durable"))
        .unwrap();
    let last = |name: &str| {
        let found = calls[..ack].iter().rposition(|call| call.contains(name));
        found.unwrap_or_else(|| panic!("no {name} before the acknowledgement:\n{log}"))
    };
    assert!(last("pwrite64(") < last("fdatasync"), "{log}");
}

#[test]
fn child_holds_the_lock() {
    let Some(dir) = child_dir() else { return };
    let _lock = StateLock::acquire(&dir).unwrap();
    println!("ack held");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
}

#[test]
fn another_process_holds_the_state_until_it_dies() {
    let dir = tempfile::tempdir().unwrap();
    let mut process = child("child_holds_the_lock", dir.path())
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    assert!(told(&mut process, "ack ").next().is_some());
    let error = StateLock::acquire(dir.path()).unwrap_err();
    let expected = format!("another testsmith (pid {}) holds", process.id());
    assert!(error.to_string().starts_with(&expected), "{error}");
    process.kill().unwrap();
    process.wait().unwrap();
    StateLock::acquire(dir.path()).unwrap();
}

/// The child: no file of its may grow beyond a limit, which to sled is a full disk.
#[tokio::test(start_paused = true)]
async fn child_fills_the_disk() {
    let Some(dir) = child_dir() else { return };
    let (store, _) = Store::open(&dir, StoreOptions::new(1)).unwrap();
    let mut acked = Vec::new();
    let error = (0..10_000u64)
        .find_map(|number| {
            let mut batch = Batch::new();
            batch.put(number.to_string(), value(number));
            match store.commit(&batch) {
                Ok(()) => {
                    acked.push(number);
                    None
                }
                Err(error) => Some(error),
            }
        })
        .expect("the disk fills up");
    assert!(error.is_temporary(), "{error:?}");
    let refused = store.get(b"0").unwrap_err();
    assert!(
        matches!(refused, StoreError::Degraded { .. }),
        "{refused:?}"
    );
    assert!(matches!(store.health(), Health::Degraded { .. }));

    // Still full: opened again after a second, it fails again, and the wait grows.
    let mut waits = Vec::new();
    for _ in 0..4 {
        let Health::Degraded { retry_in, .. } = store.health() else {
            panic!("not degraded");
        };
        waits.push(retry_in);
        tokio::time::advance(retry_in).await;
        let mut batch = Batch::new();
        batch.put("filler", value(4));
        while store.commit(&batch).is_ok() {
            batch.put(format!("filler {}", batch_id()), value(4));
        }
    }
    assert_eq!(waits.first(), Some(&Duration::from_secs(1)));
    println!("ack waits {waits:?}");

    // Space again: all is well without a restart, and nothing acknowledged is lost.
    let limits = getrlimit(Resource::Fsize);
    setrlimit(
        Resource::Fsize,
        Rlimit {
            current: limits.maximum,
            maximum: limits.maximum,
        },
    )
    .unwrap();
    tokio::time::advance(Duration::from_mins(1)).await;
    for number in &acked {
        let record = store.get(number.to_string().as_bytes()).unwrap().unwrap();
        assert_eq!(record.data, value(*number));
    }
    let mut batch = Batch::new();
    batch.put("after", "all");
    store.commit(&batch).unwrap();
    assert_eq!(store.health(), Health::Well);
    println!("ack {} records", acked.len());
}

fn batch_id() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

#[test]
fn a_full_disk_is_survived_without_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    // The shell ignores SIGXFSZ for the child, so that writing fails instead of killing it.
    let mut process = Command::new("sh")
        .args(["-c", r#"trap "" XFSZ; ulimit -S -f 8192; exec "$0" "$@""#])
        .arg(std::env::current_exe().unwrap())
        .args(["child_fills_the_disk", "--exact", "--nocapture"])
        .env(DIR, dir.path().join("x.sled"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let acks: Vec<String> = told(&mut process, "ack ").collect();
    assert!(process.wait().unwrap().success(), "{acks:?}");
    assert_eq!(acks.len(), 2, "{acks:?}");
}

/// How far files of this process may grow.
fn limit_files(current: Option<u64>) {
    let maximum = getrlimit(Resource::Fsize).maximum;
    setrlimit(Resource::Fsize, Rlimit { current, maximum }).unwrap();
}

/// The child: the disk is full from one moment to the next, and has room again, many times.
#[test]
fn child_meets_a_full_disk() {
    let Some(dir) = child_dir() else { return };
    for round in 0..30u64 {
        let (store, _) =
            Store::open(&dir.join(format!("{round}.sled")), StoreOptions::new(1)).unwrap();
        let mut batch = Batch::new();
        batch.put("k", value(round));
        store.commit(&batch).unwrap();
        limit_files(Some(0));
        batch.put("k", value(round + 1));
        store.commit(&batch).unwrap_err();
        limit_files(None);
        println!("ack {round}");
    }
}

/// sled may tell nobody of a write that failed, and a flush waits for it (see `Handle::nudge`).
#[test]
fn a_commit_on_a_full_disk_always_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut process = Command::new("sh")
        .args(["-c", r#"trap "" XFSZ; exec "$0" "$@""#])
        .arg(std::env::current_exe().unwrap())
        .args(["child_meets_a_full_disk", "--exact", "--nocapture"])
        .env(DIR, dir.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (sender, acks) = std::sync::mpsc::channel();
    let lines = told(&mut process, "ack ");
    std::thread::spawn(move || lines.for_each(|line| drop(sender.send(line))));
    for round in 0..30 {
        let ack = acks.recv_timeout(Duration::from_mins(1));
        if ack != Ok(round.to_string()) {
            process.kill().unwrap();
            process.wait().unwrap();
            panic!("round {round}: {ack:?}");
        }
    }
    assert!(process.wait().unwrap().success());
}
