//! Random sequences of operations, restarts among them, against a model that is plain to see.

#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use testsmith_domain::{JobCause, JobId, Lane, RelPath};
use testsmith_queue::{Claimed, Counts, Intake, NewJob, Outcome, Queue};
use tokio::time::timeout;

#[derive(Debug, Clone, Copy)]
enum Operation {
    Save { file: u8, lane: Lane },
    Claim,
    Finish { which: usize, how: How },
    GiveBack { which: usize },
    TimePasses,
    Wake { file: u8 },
    Cancel { file: u8 },
    Restart,
}

#[derive(Debug, Clone, Copy)]
enum How {
    Done,
    Wait,
    Park,
    Requeue,
    Panicked,
}

fn operation() -> impl Strategy<Value = Operation> {
    let lane = prop_oneof![Just(Lane::Interactive), Just(Lane::Bulk)];
    let how = prop_oneof![
        2 => Just(How::Done),
        3 => Just(How::Wait),
        1 => Just(How::Park),
        1 => Just(How::Requeue),
        1 => Just(How::Panicked),
    ];
    prop_oneof![
        4 => (0u8..3, lane).prop_map(|(file, lane)| Operation::Save { file, lane }),
        6 => Just(Operation::Claim),
        5 => (0usize..8, how).prop_map(|(which, how)| Operation::Finish { which, how }),
        1 => (0usize..8).prop_map(|which| Operation::GiveBack { which }),
        1 => Just(Operation::TimePasses),
        4 => (0u8..3).prop_map(|file| Operation::Wake { file }),
        1 => (0u8..3).prop_map(|file| Operation::Cancel { file }),
        1 => Just(Operation::Restart),
    ]
}

/// The newest job of each file, and what runs.
#[derive(Debug, Default)]
struct Model {
    jobs: BTreeMap<u8, Job>,
    running: BTreeMap<u8, JobId>,
}

#[derive(Debug, Clone, Copy)]
struct Job {
    id: JobId,
    lane: Lane,
    state: State,
    failures: u32,
    panics: u32,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    Pending,
    Running,
    Waiting,
    Parked,
}

impl Model {
    fn next(&self) -> Option<(u8, Job)> {
        let ready = || {
            self.jobs.iter().filter(|(file, job)| {
                job.state == State::Pending && !self.running.contains_key(file)
            })
        };
        let saved = ready().filter(|(_, job)| job.lane == Lane::Interactive);
        let bulk = ready().filter(|(_, job)| job.lane == Lane::Bulk);
        saved
            .max_by_key(|(_, job)| job.id)
            .or_else(|| bulk.min_by_key(|(_, job)| job.id))
            .map(|(file, job)| (*file, *job))
    }

    /// Returns whether the job was still the newest.
    fn finish(&mut self, file: u8, id: JobId, how: How) -> bool {
        self.running.remove(&file);
        let Some(job) = self.jobs.get_mut(&file).filter(|job| job.id == id) else {
            return false;
        };
        match how {
            How::Done => {
                self.jobs.remove(&file);
            }
            How::Wait => {
                job.state = State::Waiting;
                job.failures += 1;
            }
            How::Park => job.state = State::Parked,
            How::Requeue => job.state = State::Pending,
            How::Panicked => {
                job.panics += 1;
                job.state = if job.panics == 2 {
                    State::Parked
                } else {
                    State::Pending
                };
            }
        }
        true
    }

    fn with(&self, state: State) -> u64 {
        let count = self.jobs.values().filter(|job| job.state == state).count();
        count.try_into().unwrap()
    }
}

fn path(file: u8) -> RelPath {
    RelPath::new(format!("f{file}.go")).unwrap()
}

fn outcome(how: How) -> Outcome {
    match how {
        How::Done => Outcome::Done,
        How::Wait => Outcome::Wait {
            until: SystemTime::now() + Duration::from_mins(10),
            reason: "w".into(),
            count_failure: true,
        },
        How::Park => Outcome::Park { reason: "p".into() },
        How::Requeue => Outcome::Requeue,
        How::Panicked => Outcome::Panicked,
    }
}

struct Run {
    dir: tempfile::TempDir,
    queue: Arc<Queue>,
    claimed: Vec<(u8, Claimed)>,
    model: Model,
}

impl Run {
    async fn step(&mut self, operation: Operation) {
        match operation {
            Operation::Save { file, lane } => self.save(file, lane).await,
            Operation::Claim => self.claim().await,
            Operation::Finish { which, how } => {
                if let Some((file, claimed)) = self.take(which) {
                    let expected = self.model.finish(file, claimed.job.id, how);
                    let newest = self.queue.finish(&claimed.job, outcome(how), None).await;
                    assert_eq!(newest.unwrap(), expected);
                    let again = self.queue.finish(&claimed.job, Outcome::Done, None).await;
                    assert!(!again.unwrap(), "a second end of the same run counts");
                }
            }
            Operation::GiveBack { which } => {
                if let Some((file, claimed)) = self.take(which) {
                    self.model.finish(file, claimed.job.id, How::Requeue);
                    drop(claimed);
                }
            }
            Operation::TimePasses => {
                tokio::time::advance(Duration::from_mins(11)).await;
                for job in self.model.jobs.values_mut() {
                    if job.state == State::Waiting {
                        job.state = State::Pending;
                    }
                }
            }
            Operation::Wake { file } => self.wake(file).await,
            Operation::Cancel { file } => {
                let expected = usize::from(self.model.jobs.remove(&file).is_some());
                let wanted = path(file);
                let cancelled = self.queue.cancel(move |job| job.path == wanted).await;
                assert_eq!(cancelled.unwrap().len(), expected);
            }
            Operation::Restart => self.restart().await,
        }
    }

    fn take(&mut self, which: usize) -> Option<(u8, Claimed)> {
        let at = which.checked_rem(self.claimed.len())?;
        Some(self.claimed.remove(at))
    }

    async fn save(&mut self, file: u8, lane: Lane) {
        let intake = Intake {
            root: "/r".into(),
            jobs: vec![NewJob {
                path: path(file),
                content: None,
                lane,
                cause: JobCause::Changed,
            }],
            ..Intake::default()
        };
        let id = self.queue.commit(intake).await.unwrap()[0];
        assert!(self.model.jobs.values().all(|job| job.id < id));
        let job = Job {
            id,
            lane,
            state: State::Pending,
            failures: 0,
            panics: 0,
        };
        self.model.jobs.insert(file, job);
        for (running, claimed) in &self.claimed {
            if *running == file {
                assert!(claimed.superseded.is_cancelled());
            }
        }
    }

    async fn claim(&mut self) {
        let found = timeout(Duration::from_millis(1), self.queue.claim()).await;
        match (found, self.model.next()) {
            (Ok(claimed), Some((file, job))) => {
                assert_eq!((claimed.job.id, &claimed.job.path), (job.id, &path(file)));
                assert_eq!(claimed.job.failures, job.failures);
                assert_eq!(claimed.job.panics, job.panics);
                self.model.running.insert(file, job.id);
                self.model.jobs.get_mut(&file).unwrap().state = State::Running;
                self.claimed.push((file, claimed));
            }
            (Err(_), None) => {}
            (Ok(claimed), None) => unreachable!("{claimed:?} out of nowhere"),
            (Err(_), Some(job)) => unreachable!("{job:?} is not given out"),
        }
    }

    async fn wake(&mut self, file: u8) {
        let mut expected = 0;
        if let Some(job) = self.model.jobs.get_mut(&file)
            && matches!(job.state, State::Waiting | State::Parked)
        {
            job.state = State::Pending;
            job.failures = 0;
            job.panics = 0;
            expected = 1;
        }
        let wanted = path(file);
        let woken = self
            .queue
            .wake(move |job| job.path == wanted, true, "asked for")
            .await
            .unwrap();
        // One that was due already is awake by itself, or woken: both are right.
        assert!(woken >= expected);
        if woken > expected
            && let Some(job) = self.model.jobs.get_mut(&file)
        {
            (job.failures, job.panics) = (0, 0);
        }
    }

    async fn restart(&mut self) {
        self.queue.close().await.unwrap();
        self.claimed.clear();
        let running = self.model.with(State::Running);
        for job in self.model.jobs.values_mut() {
            if job.state == State::Running {
                job.state = State::Pending;
            }
        }
        self.model.running.clear();
        let (queue, recovered) = open(&self.dir).await;
        self.queue = queue;
        assert_eq!(recovered.requeued, running);
        assert!(!recovered.rescan);
        // What was due, but not claimed, waits again: it is not claimed too early, that is all.
        tokio::time::advance(Duration::from_mins(11)).await;
        for job in self.model.jobs.values_mut() {
            if job.state == State::Waiting {
                job.state = State::Pending;
            }
        }
    }

    fn compare(&self) {
        let Counts {
            pending,
            running,
            waiting,
            parked,
        } = self.queue.counts();
        let model = &self.model;
        assert_eq!(running, u64::try_from(model.running.len()).unwrap());
        assert_eq!(parked, model.with(State::Parked));
        // One that is due shows as waiting until somebody asks for a job.
        assert_eq!(
            pending + waiting,
            model.with(State::Pending) + model.with(State::Waiting)
        );
        assert_eq!(
            self.queue.is_idle(),
            model.running.is_empty() && model.with(State::Pending) == 0
        );
    }
}

async fn open(dir: &tempfile::TempDir) -> (Arc<Queue>, testsmith_queue::Recovered) {
    Queue::open(&dir.path().join("jobs.sled")).await.unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn the_queue_does_what_the_model_does(
        operations in proptest::collection::vec(operation(), 1..160)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let dir = tempfile::tempdir().unwrap();
            let (queue, _) = open(&dir).await;
            let mut run = Run { dir, queue, claimed: Vec::new(), model: Model::default() };
            for operation in operations {
                run.step(operation).await;
                run.compare();
            }
        });
    }
}
