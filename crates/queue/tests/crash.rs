//! Death and disk-full, in a child process: this test binary, run again with one test and an
//! environment variable that tells it to be the child.

#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use testsmith_domain::{ContentHash, FileStamp, Job, JobCause, Lane, LedgerEntry, RelPath};
use testsmith_queue::{Intake, LedgerUpdate, NewJob, Outcome, Queue};
use tokio::task::JoinSet;

const DIR: &str = "TESTSMITH_QUEUE_CHILD_DIR";
const ROOT: &str = "/project";
const FILES: u64 = 12;

fn child_dir() -> Option<PathBuf> {
    std::env::var_os(DIR).map(PathBuf::from)
}

fn acks(child: &mut Child) -> impl Iterator<Item = String> + use<> {
    BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok)
        .filter_map(|line| line.strip_prefix("ack ").map(str::to_owned))
}

fn path(number: u64) -> RelPath {
    RelPath::new(format!("d{}/f{number}.go", number % 3)).unwrap()
}

/// A hash that tells its number.
fn hash(number: u64) -> ContentHash {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    ContentHash::from_bytes(bytes)
}

fn number_of(hash: &ContentHash) -> u64 {
    u64::from_be_bytes(*hash.as_bytes().first_chunk().unwrap())
}

/// Version `number` of one of the files is seen.
fn intake(number: u64) -> Intake {
    let path = path(number % FILES);
    let stamp = FileStamp {
        size: number,
        mtime_ns: 0,
        ctime_ns: 0,
        inode: 0,
        hash: hash(number),
    };
    Intake {
        complete: true,
        root: ROOT.into(),
        seen: vec![(path.clone(), stamp)],
        gone: Vec::new(),
        renamed: Vec::new(),
        jobs: vec![NewJob {
            path,
            content: Some(hash(number)),
            lane: Lane::Interactive,
            cause: JobCause::Changed,
        }],
    }
}

fn ledger_of(job: &Job) -> LedgerUpdate {
    let number = number_of(&job.content.unwrap());
    LedgerUpdate::Put(LedgerEntry {
        proposals: std::collections::BTreeMap::default(),
        test_path: RelPath::new(number.to_string()).unwrap(),
        blocks: std::collections::BTreeMap::new(),
    })
}

async fn written(queue: &Queue, path: &RelPath) -> Option<u64> {
    let entry = queue.ledger(ROOT, path).await.unwrap();
    entry.map(|entry| entry.test_path.as_str().parse().unwrap())
}

/// The child: one task sees changes, three work them off, without end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_works() {
    let Some(dir) = child_dir() else { return };
    let (queue, recovered) = Queue::open(&dir).await.unwrap();
    assert!(!recovered.rescan, "{recovered:?}");
    let snapshot = queue.snapshot(ROOT).await.unwrap().unwrap_or_default();
    let first = snapshot.iter().map(|(_, stamp)| stamp.size + 1).max();
    let mut tasks = JoinSet::new();
    for _ in 0..3 {
        let queue = Arc::clone(&queue);
        tasks.spawn(async move {
            loop {
                let claimed = queue.claim().await;
                let job = &claimed.job;
                let ledger = Some(ledger_of(job));
                queue.finish(job, Outcome::Done, ledger).await.unwrap();
                println!("ack done {}", number_of(&job.content.unwrap()));
            }
        });
    }
    for number in first.unwrap_or(0).. {
        queue.commit(intake(number)).await.unwrap();
        println!("ack seen {number}");
    }
}

#[tokio::test]
async fn no_work_is_lost_by_kill_9() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("jobs.sled");
    for round in 0..20u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["child_works", "--exact", "--nocapture"])
            .env(DIR, &dir)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stop_after = usize::try_from(2 + round * 41 % 120).unwrap();
        let mut lines = acks(&mut child);
        let mut told: Vec<String> = lines.by_ref().take(stop_after).collect();
        child.kill().unwrap();
        told.extend(lines);
        child.wait().unwrap();
        assert!(told.len() >= stop_after, "the child died by itself");

        let (queue, recovered) = Queue::open(&dir).await.unwrap();
        assert!(!recovered.rescan, "{recovered:?}");
        let jobs: HashMap<RelPath, Job> = queue
            .list()
            .into_iter()
            .map(|job| (job.path.clone(), job))
            .collect();
        let stamps = queue.snapshot(ROOT).await.unwrap().unwrap_or_default();
        let stamps: HashMap<RelPath, FileStamp> = stamps.into_iter().collect();
        for line in &told {
            // A line cut by the kill tells a smaller number, at worst.
            let (what, number) = line.split_once(' ').unwrap();
            let Ok(number) = number.parse::<u64>() else {
                continue;
            };
            let path = path(number % FILES);
            if what == "seen" {
                assert!(stamps[&path].size >= number, "{line} is lost");
            } else {
                let left = jobs.get(&path).map(|job| number_of(&job.content.unwrap()));
                assert_ne!(left, Some(number), "{line} is lost");
            }
        }
        for (path, stamp) in &stamps {
            let job = jobs.get(path).map(|job| number_of(&job.content.unwrap()));
            if let Some(job) = job {
                assert_eq!(job, stamp.size, "snapshot and job of {path} differ");
            } else {
                let written = written(&queue, path).await;
                assert_eq!(
                    written,
                    Some(stamp.size),
                    "{path} has neither job nor result"
                );
            }
        }
        queue.close().await.unwrap();
    }
}

/// The child: no file of its may grow beyond a limit, which to sled is a full disk.
#[tokio::test(start_paused = true)]
async fn child_fills_the_disk() {
    let Some(dir) = child_dir() else { return };
    let (queue, _) = Queue::open(&dir).await.unwrap();
    queue.commit(intake(5)).await.unwrap();
    let done = queue.claim().await;
    let ledger = Some(ledger_of(&done.job));
    let finished = queue.finish(&done.job, Outcome::Done, ledger);
    assert!(finished.await.unwrap());
    drop(done);
    queue.commit(intake(1)).await.unwrap();
    let running = queue.claim().await;
    queue.commit(intake(2)).await.unwrap();
    // There and back again.
    let renaming = |time: u64| [path(5 + time % 2), path(6 - time % 2)];
    let filler = |folder: u64| Intake {
        root: ROOT.into(),
        renamed: vec![renaming(folder).into()],
        seen: (0..250u64)
            .map(|file| {
                let path = RelPath::new(format!("filler{folder}/f{file}.go")).unwrap();
                let hash = ContentHash::of(&(folder * 1000 + file).to_be_bytes());
                let stamp = FileStamp {
                    size: file,
                    mtime_ns: 0,
                    ctime_ns: 0,
                    inode: 0,
                    hash,
                };
                (path, stamp)
            })
            .collect(),
        ..Intake::default()
    };
    let mut kept = 0;
    let error = loop {
        match queue.commit(filler(kept)).await {
            Ok(_) => kept += 1,
            Err(error) => break error,
        }
        assert!(kept < 5000, "the disk never fills up");
    };
    assert!(error.is_temporary(), "{error:?}");
    println!("ack refused after {kept}");

    // The last renaming is in force, though it is not on disk.
    let [from, to] = renaming(kept);
    assert_eq!(written(&queue, &from).await, None);
    assert_eq!(written(&queue, &to).await, Some(5));

    // The work goes on as far as it can: an end is taken, a new job is not given out.
    let ledger = Some(ledger_of(&running.job));
    assert!(
        queue
            .finish(&running.job, Outcome::Done, ledger)
            .await
            .unwrap()
    );
    let (one, two) = (path(1), path(2));
    assert_eq!(written(&queue, &one).await, Some(1));
    let wait = Duration::from_millis(500);
    let early = tokio::time::timeout(wait, queue.claim()).await;
    assert!(early.is_err(), "{early:?}");
    assert_eq!(queue.counts().pending, 1);

    // Space again: without a restart the job is given out, what was refused is taken.
    let maximum = getrlimit(Resource::Fsize).maximum;
    let limit = Rlimit {
        current: maximum,
        maximum,
    };
    setrlimit(Resource::Fsize, limit).unwrap();
    let claimed = queue.claim().await;
    assert_eq!(claimed.job.path, two);
    queue.commit(filler(kept)).await.unwrap();
    queue.close().await.unwrap();
    drop((running, claimed));
    drop(queue);

    let (queue, recovered) = Queue::open(&dir).await.unwrap();
    assert!(!recovered.rescan);
    assert_eq!((recovered.requeued, recovered.jobs.pending), (1, 1));
    assert_eq!(written(&queue, &one).await, Some(1));
    assert_eq!(written(&queue, &from).await, None);
    assert_eq!(written(&queue, &to).await, Some(5));
    let stamps = queue.snapshot(ROOT).await.unwrap().unwrap();
    let expected = usize::try_from((kept + 1) * 250 + 3).unwrap();
    assert_eq!(stamps.len(), expected);
    println!("ack all is there");
}

#[test]
fn a_full_disk_is_survived_without_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    // The shell ignores SIGXFSZ for the child, so that writing fails instead of killing it.
    let mut child = Command::new("sh")
        .args(["-c", r#"trap "" XFSZ; ulimit -S -f 8192; exec "$0" "$@""#])
        .arg(std::env::current_exe().unwrap())
        .args(["child_fills_the_disk", "--exact", "--nocapture"])
        .env(DIR, dir.path().join("jobs.sled"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let told: Vec<String> = acks(&mut child).collect();
    assert!(child.wait().unwrap().success(), "{told:?}");
    assert_eq!(told.len(), 2, "{told:?}");
}
