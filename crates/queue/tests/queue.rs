//! The queue's behaviour, on a paused clock where it waits.

#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use testsmith_domain::{
    BlockKey, CANCELLED, ContentHash, FileStamp, Job, JobCause, JobId, JobState, Lane, LedgerBlock,
    LedgerEntry, MemberName, RelPath, ReviewTally, Story, Timestamp,
};
use testsmith_queue::{Claimed, Counts, Intake, LedgerUpdate, NewJob, Outcome, Queue, Recovered};
use tokio::time::{Instant, timeout};

const ROOT: &str = "/home/me/project";

fn path(text: &str) -> RelPath {
    RelPath::new(text).unwrap()
}

fn stamp(number: u64) -> FileStamp {
    FileStamp {
        size: number,
        mtime_ns: 1,
        ctime_ns: 2,
        inode: 3,
        hash: ContentHash::of(&number.to_be_bytes()),
    }
}

fn new_job(text: &str, lane: Lane) -> NewJob {
    NewJob {
        path: path(text),
        content: Some(ContentHash::of(text.as_bytes())),
        lane,
        cause: JobCause::Changed,
    }
}

async fn open(dir: &Path) -> (Arc<Queue>, Recovered) {
    Queue::open(&dir.join("jobs.sled")).await.unwrap()
}

async fn enqueue(queue: &Queue, paths: &[&str], lane: Lane) -> Vec<JobId> {
    let intake = Intake {
        root: ROOT.into(),
        jobs: paths.iter().map(|text| new_job(text, lane)).collect(),
        ..Intake::default()
    };
    queue.commit(intake).await.unwrap()
}

async fn save(queue: &Queue, text: &str) -> JobId {
    enqueue(queue, &[text], Lane::Interactive).await[0]
}

/// Claims a job that has to be there.
async fn claim(queue: &Queue) -> Claimed {
    timeout(Duration::from_secs(1), queue.claim())
        .await
        .unwrap_or_else(|_| unreachable!("there is no job"))
}

async fn nothing_to_claim(queue: &Queue) -> bool {
    timeout(Duration::from_millis(1), queue.claim())
        .await
        .is_err()
}

async fn finish(queue: &Queue, claimed: &Claimed, outcome: Outcome) -> bool {
    queue.finish(&claimed.job, outcome, None).await.unwrap()
}

fn wait(seconds: u64) -> Outcome {
    Outcome::Wait {
        until: SystemTime::now() + Duration::from_secs(seconds),
        reason: "the provider is down".into(),
        count_failure: true,
    }
}

#[tokio::test(start_paused = true)]
async fn saves_go_first_and_the_newest_of_them_first() {
    let dir = tempfile::tempdir().unwrap();
    let (queue, _) = open(dir.path()).await;
    enqueue(&queue, &["bulk1.go", "bulk2.go"], Lane::Bulk).await;
    save(&queue, "saved1.go").await;
    save(&queue, "saved2.go").await;
    enqueue(&queue, &["bulk3.go"], Lane::Bulk).await;
    let mut order = Vec::new();
    for _ in 0..5 {
        let claimed = claim(&queue).await;
        order.push(claimed.job.path.to_string());
        assert!(finish(&queue, &claimed, Outcome::Done).await);
    }
    let expected = ["saved2.go", "saved1.go", "bulk1.go", "bulk2.go", "bulk3.go"];
    assert_eq!(order, expected);
    assert!(queue.is_idle());
}

#[tokio::test(start_paused = true)]
async fn the_newest_wins_and_two_never_work_on_one_file() {
    let dir = tempfile::tempdir().unwrap();
    let (queue, _) = open(dir.path()).await;
    let first = save(&queue, "a.go").await;
    let second = save(&queue, "a.go").await;
    assert!(second > first);
    assert_eq!(queue.counts().pending, 1);

    let running = claim(&queue).await;
    assert_eq!(running.job.id, second);
    assert!(!running.superseded.is_cancelled());
    save(&queue, "a.go").await;
    assert!(
        !running.superseded.is_cancelled(),
        "it works on the same content"
    );
    let changed = NewJob {
        content: Some(ContentHash::of(b"changed")),
        ..new_job("a.go", Lane::Interactive)
    };
    let intake = Intake {
        root: ROOT.into(),
        jobs: vec![changed],
        ..Intake::default()
    };
    let third = queue.commit(intake).await.unwrap()[0];
    assert!(running.superseded.is_cancelled());
    let counts = Counts {
        pending: 1,
        running: 1,
        ..Counts::default()
    };
    assert_eq!(queue.counts(), counts);
    assert!(
        nothing_to_claim(&queue).await,
        "a second worker on the file"
    );
    let listed: Vec<_> = queue.list().iter().map(|job| job.id).collect();
    assert_eq!(listed, [second, third]);

    // Whatever the older one ends with, the newer one is what remains.
    assert!(!finish(&queue, &running, wait(60)).await);
    let newer = claim(&queue).await;
    assert_eq!(newer.job.id, third);
    assert!(finish(&queue, &newer, Outcome::Done).await);
    assert_eq!(queue.counts(), Counts::default());
}

#[tokio::test(start_paused = true)]
async fn a_claim_waits_for_a_job_to_come() {
    let dir = tempfile::tempdir().unwrap();
    let (queue, _) = open(dir.path()).await;
    let waiter = {
        let queue = Arc::clone(&queue);
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(async move { queue.claim().await.job.path });
        tasks
    };
    tokio::task::yield_now().await;
    save(&queue, "late.go").await;
    let found = waiter.join_all().await;
    assert_eq!(found, [path("late.go")]);
}

#[tokio::test(start_paused = true)]
async fn a_waiting_job_comes_back_on_time() {
    let dir = tempfile::tempdir().unwrap();
    let (queue, _) = open(dir.path()).await;
    save(&queue, "a.go").await;
    let claimed = claim(&queue).await;
    assert!(finish(&queue, &claimed, wait(30)).await);
    assert!(queue.is_idle(), "a waiting job is no work to do");
    assert_eq!(queue.counts().waiting, 1);
    let start = Instant::now();
    let again = queue.claim().await;
    let waited = start.elapsed();
    assert!(
        waited > Duration::from_secs(29) && waited <= Duration::from_secs(31),
        "{waited:?}"
    );
    assert_eq!(again.job.failures, 1);
    assert_eq!(again.job.id, claimed.job.id);
}

#[tokio::test(start_paused = true)]
async fn a_save_makes_a_waiting_or_parked_job_new() {
    let dir = tempfile::tempdir().unwrap();
    let (queue, _) = open(dir.path()).await;
    for outcome in [
        wait(600),
        Outcome::Park {
            reason: "it never works".into(),
        },
    ] {
        save(&queue, "a.go").await;
        let claimed = claim(&queue).await;
        assert!(finish(&queue, &claimed, outcome).await);
        assert!(nothing_to_claim(&queue).await);
        save(&queue, "a.go").await;
        let again = claim(&queue).await;
        assert_eq!(again.job.failures, 0);
        assert!(finish(&queue, &again, Outcome::Done).await);
    }
}

#[tokio::test(start_paused = true)]
async fn waking_picks_and_forgets_failures() {
    let dir = tempfile::tempdir().unwrap();
    let (queue, _) = open(dir.path()).await;
    for text in ["a.go", "b.go"] {
        save(&queue, text).await;
        let claimed = claim(&queue).await;
        finish(&queue, &claimed, wait(600)).await;
    }
    let woken = queue
        .wake(|job| job.path.as_str() == "b.go", true, "asked for")
        .await
        .unwrap();
    assert_eq!(woken, 1);
    let claimed = claim(&queue).await;
    assert_eq!(
        (claimed.job.path.as_str(), claimed.job.failures),
        ("b.go", 0)
    );
    finish(&queue, &claimed, Outcome::Done).await;
    drop(queue);
    let (queue, recovered) = open(dir.path()).await;
    assert_eq!(recovered.jobs.waiting, 1);
    assert_eq!(queue.wake(|_| true, true, "asked for").await.unwrap(), 1);
    assert_eq!(claim(&queue).await.job.path.as_str(), "a.go");
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_job_is_gone_and_its_worker_told() {
    let dir = tempfile::tempdir().unwrap();
    let (queue, _) = open(dir.path()).await;
    let ids = enqueue(&queue, &["a.go", "b.go", "c.go"], Lane::Bulk).await;
    let running = claim(&queue).await;
    let cancelled = queue
        .cancel(|job| job.path.as_str() < "c.go")
        .await
        .unwrap();
    assert_eq!(cancelled.len(), 2);
    assert!(running.superseded.is_cancelled());
    assert!(!finish(&queue, &running, Outcome::Requeue).await);
    assert_eq!(claim(&queue).await.job.path.as_str(), "c.go");
    assert_eq!(queue.counts().pending, 1, "given back when dropped");
    let history = queue.history(ROOT, &path("b.go")).await.unwrap();
    assert_eq!((history[0].job, &*history[0].outcome), (ids[1], CANCELLED));
}

/// A job is told of before anybody can have it: whoever looks on hears of its beginning after that.
#[tokio::test]
async fn new_jobs_are_told_of_before_they_are_given_out() {
    let dir = tempfile::tempdir().unwrap();
    let (queue, _) = open(dir.path()).await;
    let told = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&told);
    queue.observe(move |job| {
        // Long enough for a worker that could have it already.
        std::thread::park_timeout(Duration::from_millis(20));
        seen.lock().unwrap().push(job.id);
    });
    let work = async {
        let claimed = queue.claim().await;
        let is_told = told.lock().unwrap().contains(&claimed.job.id);
        queue
            .finish(&claimed.job, Outcome::Done, None)
            .await
            .unwrap();
        is_told
    };
    let (is_told, _) = tokio::join!(work, save(&queue, "a.go"));
    assert!(is_told);
}

/// Why a job was made ready before its time goes with it, until it has run.
#[tokio::test(start_paused = true)]
async fn a_job_knows_why_it_was_woken() {
    let dir = tempfile::tempdir().unwrap();
    let (queue, _) = open(dir.path()).await;
    save(&queue, "a.go").await;
    let first = claim(&queue).await;
    assert_eq!(first.job.woken, None);
    finish(&queue, &first, wait(600)).await;
    queue
        .wake(|_| true, true, "tried again on request")
        .await
        .unwrap();
    let second = claim(&queue).await;
    let woken = second.job.woken.as_deref();
    assert_eq!(woken, Some("tried again on request"));
    finish(&queue, &second, wait(600)).await;
    assert_eq!(queue.list()[0].woken, None);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_claim_gives_the_job_back() {
    let dir = tempfile::tempdir().unwrap();
    let (queue, _) = open(dir.path()).await;
    let id = save(&queue, "a.go").await;
    drop(claim(&queue).await);
    let again = claim(&queue).await;
    assert_eq!((again.job.id, again.job.panics), (id, 0));
    finish(&queue, &again, Outcome::Done).await;
    drop(again);
    assert!(queue.is_idle(), "finished is finished");
}

#[tokio::test(start_paused = true)]
async fn a_job_that_panics_twice_is_parked() {
    let dir = tempfile::tempdir().unwrap();
    let (queue, _) = open(dir.path()).await;
    save(&queue, "a.go").await;
    // Once as a worker does, by unwinding; once as told.
    let claimed = claim(&queue).await;
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move {
        let _claimed = claimed;
        std::panic::resume_unwind(Box::new("a panic in a worker"));
    });
    assert!(tasks.join_next().await.unwrap().unwrap_err().is_panic());
    let again = claim(&queue).await;
    assert_eq!(again.job.panics, 1);
    assert!(finish(&queue, &again, Outcome::Panicked).await);
    assert!(nothing_to_claim(&queue).await);
    assert_eq!(queue.counts().parked, 1);
    drop(queue);
    let (_, recovered) = open(dir.path()).await;
    assert_eq!(recovered.jobs.parked, 1);
}

#[tokio::test(start_paused = true)]
async fn everything_is_found_again_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (queue, recovered) = open(dir.path()).await;
    assert_eq!(
        recovered,
        Recovered {
            store: recovered.store.clone(),
            ..Recovered::default()
        }
    );
    let ids = enqueue(&queue, &["run.go", "park.go", "wait.go"], Lane::Bulk).await;
    let running = claim(&queue).await;
    let parked = claim(&queue).await;
    let reason = "no money left".to_owned();
    finish(&queue, &parked, Outcome::Park { reason }).await;
    let waiting = claim(&queue).await;
    finish(&queue, &waiting, wait(600)).await;
    save(&queue, "new.go").await;
    let before = queue.list();
    // As a kill leaves it: nothing is closed or given back.
    std::mem::forget(running);
    let copied = tempfile::tempdir().unwrap();
    copy_dir(dir.path(), copied.path());

    let (queue, recovered) = open(copied.path()).await;
    assert_eq!(recovered.requeued, 1);
    assert!(!recovered.rescan);
    assert_eq!(
        recovered.jobs,
        Counts {
            pending: 2,
            running: 0,
            waiting: 1,
            parked: 1
        }
    );
    let after = queue.list();
    let strip = |jobs: Vec<Job>| -> Vec<Job> {
        jobs.into_iter()
            .map(|mut job| {
                if job.state == JobState::Running {
                    job.state = JobState::Pending;
                }
                job
            })
            .collect()
    };
    assert_eq!(strip(after), strip(before));
    let next = save(&queue, "next.go").await;
    assert!(next > *ids.last().unwrap());
}

#[tokio::test(start_paused = true)]
async fn ids_grow_even_when_the_queue_was_empty() {
    let dir = tempfile::tempdir().unwrap();
    let mut last = None;
    for _ in 0..3 {
        let (queue, _) = open(dir.path()).await;
        let id = save(&queue, "a.go").await;
        assert!(Some(id) > last);
        last = Some(id);
        let claimed = claim(&queue).await;
        finish(&queue, &claimed, Outcome::Done).await;
        queue.close().await.unwrap();
    }
}

fn sorted(mut files: Vec<(RelPath, FileStamp)>) -> Vec<(RelPath, FileStamp)> {
    files.sort_by(|a, b| a.0.cmp(&b.0));
    files
}

#[tokio::test(start_paused = true)]
async fn the_snapshot_follows_the_intakes() {
    let dir = tempfile::tempdir().unwrap();
    let (queue, _) = open(dir.path()).await;
    assert_eq!(queue.snapshot(ROOT).await.unwrap(), None);
    // Two large folders, one of them the root itself, and a name that is a prefix of another.
    let mut files: Vec<(RelPath, FileStamp)> = (0..700)
        .flat_map(|number| {
            [
                (path(&format!("f{number}.go")), stamp(number)),
                (path(&format!("src/shop/f{number}.go")), stamp(number + 1)),
                (path(&format!("src/sho/f{number}.go")), stamp(number + 2)),
            ]
        })
        .collect();
    let intake = |seen: &[(RelPath, FileStamp)], gone: &[&str]| Intake {
        root: ROOT.into(),
        seen: seen.to_vec(),
        gone: gone.iter().map(|text| path(text)).collect(),
        complete: true,
        ..Intake::default()
    };
    queue.commit(intake(&files, &[])).await.unwrap();
    assert_eq!(
        sorted(queue.snapshot(ROOT).await.unwrap().unwrap()),
        sorted(files.clone())
    );

    files[3].1 = stamp(99_999);
    files.push((path("src/shop/new.go"), stamp(5)));
    let changed = [files[3].clone(), files[2100].clone()];
    queue
        .commit(intake(&changed, &["f0.go", "never.go"]))
        .await
        .unwrap();
    files.remove(0);
    drop(queue);
    let (queue, _) = open(dir.path()).await;
    assert_eq!(
        sorted(queue.snapshot(ROOT).await.unwrap().unwrap()),
        sorted(files.clone())
    );
    assert_eq!(queue.snapshot("/other").await.unwrap(), None);

    let gone: Vec<&str> = files.iter().map(|(path, _)| path.as_str()).collect();
    queue.commit(intake(&[], &gone)).await.unwrap();
    assert_eq!(queue.snapshot(ROOT).await.unwrap(), Some(Vec::new()));
}

fn entry(text: &str) -> LedgerEntry {
    LedgerEntry {
        proposals: std::collections::BTreeMap::default(),
        test_path: path(text),
        blocks: std::collections::BTreeMap::new(),
    }
}

#[tokio::test(start_paused = true)]
async fn the_ledger_is_written_with_the_end_of_a_job() {
    let dir = tempfile::tempdir().unwrap();
    let (queue, _) = open(dir.path()).await;
    save(&queue, "a.go").await;
    let running = claim(&queue).await;
    save(&queue, "a.go").await;
    // Superseded, but what it wrote, it wrote.
    let put = Some(LedgerUpdate::Put(entry("a_testsmith_test.go")));
    assert!(
        !queue
            .finish(&running.job, Outcome::Done, put)
            .await
            .unwrap()
    );
    drop(queue);
    let (queue, _) = open(dir.path()).await;
    let (a, b) = (path("a.go"), path("b.go"));
    let expected = Some(entry("a_testsmith_test.go"));
    assert_eq!(queue.ledger(ROOT, &a).await.unwrap(), expected);

    for _ in 0..2 {
        // A second time, as after an error, changes nothing.
        rename(&queue, &a, &b).await;
    }
    assert_eq!(queue.ledger(ROOT, &a).await.unwrap(), None);
    assert_eq!(queue.ledger(ROOT, &b).await.unwrap(), expected);

    let running = claim(&queue).await;
    let remove = Some(LedgerUpdate::Remove);
    assert!(
        queue
            .finish(&running.job, Outcome::Done, remove)
            .await
            .unwrap()
    );
    assert_eq!(queue.ledger(ROOT, &a).await.unwrap(), None);
    assert_eq!(queue.ledger("/other", &b).await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn lost_jobs_are_noticed_and_the_snapshot_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let (queue, _) = open(dir.path()).await;
    let intake = Intake {
        root: ROOT.into(),
        seen: vec![(path("a.go"), stamp(1)), (path("b.go"), stamp(2))],
        jobs: vec![new_job("a.go", Lane::Bulk), new_job("b.go", Lane::Bulk)],
        complete: true,
        ..Intake::default()
    };
    queue.commit(intake).await.unwrap();
    queue.close().await.unwrap();
    drop(queue);
    // A job disappears, as by a damaged page.
    let options = testsmith_store::StoreOptions::new(1);
    let (raw, _) = testsmith_store::Store::open(&dir.path().join("jobs.sled"), options).unwrap();
    let mut keys = Vec::new();
    raw.scan(b"j", |key, _| keys.push(key.to_vec())).unwrap();
    assert_eq!(keys.len(), 2);
    let mut batch = testsmith_store::Batch::new();
    batch.remove(keys[0].clone());
    raw.commit(&batch).unwrap();
    raw.close().unwrap();

    let (queue, recovered) = open(dir.path()).await;
    assert!(recovered.rescan);
    assert_eq!(recovered.jobs.pending, 1);
    assert_eq!(queue.snapshot(ROOT).await.unwrap(), Some(Vec::new()));
    save(&queue, "a.go").await;
    queue.close().await.unwrap();
    drop(queue);
    let (_, recovered) = open(dir.path()).await;
    assert!(!recovered.rescan, "told once");
}

/// Not even the roots are known any more; a first look that makes no jobs would lose some.
#[tokio::test(start_paused = true)]
async fn after_a_quarantine_every_file_looks_new() {
    let dir = tempfile::tempdir().unwrap();
    let (queue, _) = open(dir.path()).await;
    save(&queue, "a.go").await;
    queue.close().await.unwrap();
    drop(queue);
    std::fs::write(dir.path().join("jobs.sled/db"), vec![0xa5; 700_000]).unwrap();
    let (queue, recovered) = open(dir.path()).await;
    assert!(recovered.rescan);
    assert!(recovered.store.quarantine().is_some(), "{recovered:?}");
    assert_eq!(queue.snapshot(ROOT).await.unwrap(), Some(Vec::new()));
    save(&queue, "a.go").await;
    queue.close().await.unwrap();
    drop(queue);
    let (queue, recovered) = open(dir.path()).await;
    assert!(!recovered.rescan);
    assert_eq!(recovered.jobs.pending, 1);
    assert_eq!(queue.snapshot("/other").await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn idleness_can_be_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let (queue, _) = open(dir.path()).await;
    queue.wait_idle().await;
    save(&queue, "a.go").await;
    let claimed = claim(&queue).await;
    let mut tasks = tokio::task::JoinSet::new();
    let waiting = Arc::clone(&queue);
    tasks.spawn(async move { waiting.wait_idle().await });
    tokio::task::yield_now().await;
    assert!(tasks.try_join_next().is_none());
    finish(&queue, &claimed, Outcome::Done).await;
    tasks.join_next().await.unwrap().unwrap();
}

fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[tokio::test]
async fn a_file_that_is_held_is_worked_on_by_nobody_else() {
    let dir = tempfile::tempdir().unwrap();
    let (queue, _) = Queue::open(&dir.path().join("jobs.sled")).await.unwrap();
    let path = RelPath::new("a.go").unwrap();
    let mut waiting = tokio::task::JoinSet::new();
    let other = Arc::clone(&queue);
    waiting.spawn(async move { other.claim().await.job.id });
    tokio::task::yield_now().await;
    let (held, before) = queue.hold("/r", &path).await.unwrap().unwrap();
    assert_eq!(before, None);
    assert!(
        queue.hold("/r", &path).await.unwrap().is_none(),
        "it is held"
    );
    assert_eq!(queue.counts().running, 1);
    assert!(!held.superseded.is_cancelled());
    assert!(waiting.try_join_next().is_none());
    let finished = queue.finish(&held.job, Outcome::Requeue, None).await;
    assert!(finished.unwrap(), "it is the newest still");
    drop(held);
    waiting.join_next().await.unwrap().unwrap();
    queue.close().await.unwrap();
}

#[tokio::test]
async fn a_job_that_was_held_is_what_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let (queue, _) = open(dir.path()).await;
    enqueue(&queue, &["a.go"], Lane::Bulk).await;
    let claimed = claim(&queue).await;
    finish(&queue, &claimed, wait(60)).await;
    drop(claimed);
    let job = queue.list().remove(0);
    assert_eq!(job.failures, 1);

    let (held, before) = queue.hold(ROOT, &path("a.go")).await.unwrap().unwrap();
    let Some(JobState::Waiting { until, reason }) = before else {
        panic!("it waited: {before:?}");
    };
    let outcome = Outcome::Wait {
        until,
        reason,
        count_failure: false,
    };
    assert!(finish(&queue, &held, outcome).await);
    assert_eq!(queue.list(), [job]);
}

fn story(claimed: &Claimed, reason: &str) -> Story {
    let now = Timestamp::now();
    Story {
        job: claimed.job.id,
        enqueued: now,
        ended: now,
        outcome: "written".to_owned(),
        reason: Some(reason.to_owned()),
        elapsed_ms: 1,
        cost: None,
        steps: Vec::new(),
    }
}

async fn finish_told(queue: &Queue, claimed: &Claimed, reason: &str) {
    let told = story(claimed, reason);
    let finished = queue.finish_told(&claimed.job, Outcome::Done, None, Some(told));
    finished.await.unwrap();
}

async fn reasons(queue: &Queue, text: &str) -> Vec<String> {
    let history = queue.history(ROOT, &path(text)).await.unwrap();
    history.into_iter().filter_map(|run| run.reason).collect()
}

#[tokio::test]
async fn the_last_runs_of_a_file_are_told_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (queue, _) = open(dir.path()).await;
    for number in 0..25 {
        save(&queue, "a.go").await;
        let claimed = claim(&queue).await;
        finish_told(&queue, &claimed, &number.to_string()).await;
    }
    // As after a kill: nothing is closed.
    drop(queue);
    let (queue, _) = open(dir.path()).await;
    let kept: Vec<String> = (5..25).map(|number| number.to_string()).collect();
    assert_eq!(reasons(&queue, "a.go").await, kept, "the last twenty");
    assert_eq!(reasons(&queue, "b.go").await, [""; 0]);

    save(&queue, "a.go").await;
    let claimed = claim(&queue).await;
    finish_told(&queue, &claimed, &"long".repeat(50_000)).await;
    assert_eq!(reasons(&queue, "a.go").await.len(), 1, "bounded in size");
}

#[tokio::test]
async fn a_file_s_story_goes_along_with_its_name_and_is_short_once_it_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let (queue, _) = open(dir.path()).await;
    for reason in ["one", "two"] {
        save(&queue, "a.go").await;
        let claimed = claim(&queue).await;
        let update = LedgerUpdate::Put(entry("a_test.go"));
        let told = story(&claimed, reason);
        let finished = queue.finish_told(&claimed.job, Outcome::Done, Some(update), Some(told));
        finished.await.unwrap();
    }
    let (old, new) = (path("a.go"), path("b.go"));
    rename(&queue, &old, &new).await;
    assert_eq!(reasons(&queue, "a.go").await, [""; 0]);
    assert_eq!(reasons(&queue, "b.go").await, ["one", "two"]);

    let looked_at = |cause| NewJob {
        content: None,
        cause,
        ..new_job("b.go", Lane::Interactive)
    };
    // Nobody looked what is in it: that says nothing.
    let again = Intake {
        root: ROOT.into(),
        jobs: vec![looked_at(JobCause::LookedAtAgain)],
        ..Intake::default()
    };
    queue.commit(again).await.unwrap();
    let claimed = claim(&queue).await;
    finish_told(&queue, &claimed, "again").await;
    assert_eq!(reasons(&queue, "b.go").await, ["one", "two", "again"]);

    let gone = looked_at(JobCause::Changed);
    let intake = Intake {
        root: ROOT.into(),
        jobs: vec![gone],
        ..Intake::default()
    };
    queue.commit(intake).await.unwrap();
    let claimed = claim(&queue).await;
    finish_told(&queue, &claimed, "removed").await;
    assert_eq!(reasons(&queue, "b.go").await, ["removed"]);
}

async fn rename(queue: &Queue, from: &RelPath, to: &RelPath) {
    let intake = Intake {
        root: ROOT.into(),
        renamed: vec![(from.clone(), to.clone())],
        ..Intake::default()
    };
    queue.commit(intake).await.unwrap();
}

#[tokio::test]
async fn of_two_new_names_of_one_file_only_the_first_gets_what_was_written() {
    let dir = tempfile::tempdir().unwrap();
    let (queue, _) = open(dir.path()).await;
    save(&queue, "a.go").await;
    let claimed = claim(&queue).await;
    let update = LedgerUpdate::Put(entry("a_test.go"));
    let finished = queue.finish(&claimed.job, Outcome::Done, Some(update));
    finished.await.unwrap();
    let [a, b, c] = ["a.go", "b.go", "c.go"].map(path);
    let intake = Intake {
        root: ROOT.into(),
        renamed: vec![(a.clone(), b.clone()), (a.clone(), c.clone())],
        ..Intake::default()
    };
    queue.commit(intake).await.unwrap();
    assert_eq!(queue.ledger(ROOT, &a).await.unwrap(), None);
    assert!(queue.ledger(ROOT, &b).await.unwrap().is_some());
    assert_eq!(queue.ledger(ROOT, &c).await.unwrap(), None);
}

#[tokio::test]
async fn a_stamp_is_found_by_its_path() {
    let dir = tempfile::tempdir().unwrap();
    let (queue, _) = open(dir.path()).await;
    let intake = Intake {
        root: ROOT.into(),
        seen: vec![(path("src/a.go"), stamp(1)), (path("src/b.go"), stamp(2))],
        ..Intake::default()
    };
    queue.commit(intake).await.unwrap();
    let found = queue.stamp(ROOT, &path("src/b.go")).await.unwrap();
    assert_eq!(found, Some(stamp(2)));
    assert_eq!(queue.stamp(ROOT, &path("b.go")).await.unwrap(), None);
}

/// The tally is that of the ledger after each step, and counted by none but the first question.
#[tokio::test]
async fn what_is_worth_a_look_is_kept_up_with_the_ledger() {
    let dir = tempfile::tempdir().unwrap();
    let (queue, _) = open(dir.path()).await;
    let unverified = |test_path: &str| {
        let mut entry = entry(test_path);
        let block = LedgerBlock {
            unverified: Some("no go".to_owned()),
            outdated: Some(BlockKey("k".to_owned())),
            ..LedgerBlock::default()
        };
        entry.blocks.insert(MemberName("Add".to_owned()), block);
        LedgerUpdate::Put(entry)
    };
    let compare = async |expected: u64| {
        let mut counted = ReviewTally::default();
        for (_, entry) in queue.ledgers().await.unwrap() {
            counted.add(&entry.review_tally());
        }
        assert_eq!(queue.review_tally().await.unwrap(), counted);
        assert_eq!(counted.unverified, expected);
    };
    compare(0).await;
    for (file, update, expected) in [
        ("a.go", unverified("a_test.go"), 1),
        ("b.go", unverified("b_test.go"), 2),
        ("a.go", LedgerUpdate::Put(entry("a_test.go")), 1),
        ("a.go", unverified("a_test.go"), 2),
        ("b.go", LedgerUpdate::Remove, 1),
    ] {
        save(&queue, file).await;
        let claimed = claim(&queue).await;
        let finished = queue.finish(&claimed.job, Outcome::Done, Some(update));
        finished.await.unwrap();
        compare(expected).await;
    }
    let (old, new) = (path("a.go"), path("c.go"));
    rename(&queue, &old, &new).await;
    compare(1).await;
    queue.forget_ledger(ROOT, &new).await.unwrap();
    compare(0).await;
}
