//! The queue in memory.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use testsmith_domain::{Job, JobId, JobState, Lane, LedgerEntry};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::keys::FileKey;
use crate::review::ToReview;
use crate::{Counts, NewJob, Outcome};

/// The longest a job waits after a restart, whatever the clock said when it was put to wait.
const LONGEST_WAIT: Duration = Duration::from_hours(24);

/// Runs that may panic before a job is parked.
const PANICS: u32 = 2;

/// All jobs, and what of them the disk does not know yet.
///
/// Every file is in `jobs` at most once, with its newest job. Its key is in exactly one of
/// `interactive`, `bulk`, `waiting` (by that job's state and lane) or in none (parked; or an older
/// job of the file is in `running`).
#[derive(Debug, Default)]
pub(crate) struct State {
    /// Whether the jobs on disk have been read.
    pub(crate) loaded: bool,
    /// Whether records were lost before they were read.
    pub(crate) lost: bool,
    /// The store's opening that the disk was last brought in line with.
    pub(crate) generation: u64,
    pub(crate) next_id: u64,
    pub(crate) tally: u64,
    /// Roots with a complete snapshot.
    pub(crate) roots: HashSet<String>,
    pub(crate) roots_dirty: bool,
    jobs: HashMap<Arc<FileKey>, Job>,
    running: HashMap<Arc<FileKey>, Running>,
    interactive: BTreeMap<JobId, Arc<FileKey>>,
    bulk: BTreeMap<JobId, Arc<FileKey>>,
    waiting: BTreeMap<(Instant, JobId), Arc<FileKey>>,
    /// Files whose record on disk may differ from `jobs`.
    pub(crate) dirty: HashSet<Arc<FileKey>>,
    /// Ledger entries that are not on disk yet; `None` is a removal.
    pub(crate) ledger: HashMap<FileKey, Option<LedgerEntry>>,
    /// What of the ledger is worth a look; `None` until somebody asks.
    pub(crate) to_review: Option<ToReview>,
    /// Histories that are not on disk yet, encoded; `None` is a removal.
    pub(crate) history: HashMap<FileKey, Option<Vec<u8>>>,
}

#[derive(Debug)]
struct Running {
    job: Job,
    superseded: CancellationToken,
}

/// The key of a job's file.
pub(crate) fn key_of(job: &Job) -> Arc<FileKey> {
    Arc::new(FileKey {
        root: job.root.clone(),
        path: job.path.clone(),
    })
}

impl State {
    /// Takes a job from disk. Returns whether it was running when its process died.
    pub(crate) fn recover(&mut self, mut job: Job) -> bool {
        let file = key_of(&job);
        self.tally ^= file.share(job.id);
        if self.jobs.contains_key(&file) {
            // Taken in while the disk could not be read: newer. Its record is dirty already.
            self.tally ^= file.share(job.id);
            return false;
        }
        let was_running = job.state == JobState::Running;
        if was_running {
            job.state = JobState::Pending;
            self.dirty.insert(file.clone());
        }
        self.line_up(&file, &job);
        self.jobs.insert(file, job);
        was_running
    }

    /// A job as an intake makes it.
    pub(crate) fn new_job(&mut self, root: &str, new: NewJob) -> Job {
        let NewJob {
            path,
            content,
            lane,
            cause,
        } = new;
        let id = JobId(self.next_id);
        self.next_id += 1;
        Job {
            id,
            root: root.to_owned(),
            path,
            content,
            lane,
            cause,
            woken: None,
            failures: 0,
            panics: 0,
            enqueued: SystemTime::now(),
            state: JobState::Pending,
        }
    }

    /// The tally once this job is in force.
    pub(crate) fn tally_with(&self, tally: u64, job: &Job) -> u64 {
        let file = key_of(job);
        let before = self.jobs.get(&file).map_or(0, |old| file.share(old.id));
        tally ^ before ^ file.share(job.id)
    }

    /// Puts a new job in force: newest wins.
    pub(crate) fn enqueue(&mut self, job: Job) {
        let file = key_of(&job);
        self.tally = self.tally_with(self.tally, &job);
        if let Some(old) = self.jobs.get(&file) {
            let old = old.clone();
            self.take_out(&file, &old);
        }
        if let Some(running) = self.running.get(&file) {
            // For the same content it would ask for the same again: it comes after, and finds that.
            if job.content.is_none() || job.content != running.job.content {
                running.superseded.cancel();
            }
        } else {
            self.line_up(&file, &job);
        }
        self.jobs.insert(file, job);
    }

    /// The next job to run, marked as running. Interactive jobs first, the newest of them first;
    /// then bulk jobs, the oldest first.
    pub(crate) fn claim(&mut self) -> Option<(Job, CancellationToken)> {
        self.wake_due();
        let (_, file) = self
            .interactive
            .pop_last()
            .or_else(|| self.bulk.pop_first())?;
        self.start(file)
    }

    /// This file's job, marked as running. `None` if it has none that is ready.
    pub(crate) fn claim_file(&mut self, file: &FileKey) -> Option<(Job, CancellationToken)> {
        self.wake_due();
        let (file, job) = self.jobs.get_key_value(file)?;
        if job.state != JobState::Pending || self.running.contains_key(file) {
            return None;
        }
        let (file, job) = (Arc::clone(file), job.clone());
        self.take_out(&file, &job);
        self.start(file)
    }

    fn start(&mut self, file: Arc<FileKey>) -> Option<(Job, CancellationToken)> {
        let job = self.jobs.get_mut(&file)?;
        job.state = JobState::Running;
        let (job, superseded) = (job.clone(), CancellationToken::new());
        self.running.insert(
            file,
            Running {
                job: job.clone(),
                superseded: superseded.clone(),
            },
        );
        Some((job, superseded))
    }

    /// Whether [`State::claim`] would give a job.
    pub(crate) fn has_ready(&self) -> bool {
        let due = self.next_due().is_some_and(|due| due <= Instant::now());
        due || !self.interactive.is_empty() || !self.bulk.is_empty()
    }

    /// When the first of the waiting jobs is due.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.waiting.first_key_value().map(|((due, _), _)| *due)
    }

    /// Reckons anew when waiting jobs are due: the clock that counts may have stood still. None waits
    /// longer than it would have, even if the time of day was set back meanwhile.
    pub(crate) fn read_clock_again(&mut self) {
        let now = Instant::now();
        for ((due, id), file) in std::mem::take(&mut self.waiting) {
            if let Some(JobState::Waiting { until, .. }) = self.jobs.get(&file).map(|j| &j.state) {
                let due = due.min(now + left(*until));
                self.waiting.insert((due, id), file);
            }
        }
    }

    fn wake_due(&mut self) {
        let now = Instant::now();
        while let Some(entry) = self.waiting.first_entry()
            && entry.key().0 <= now
        {
            let file = entry.remove();
            if let Some(mut job) = self.jobs.remove(&file) {
                job.state = JobState::Pending;
                self.line_up(&file, &job);
                self.jobs.insert(file.clone(), job);
                self.dirty.insert(file);
            }
        }
    }

    /// Ends the run of a job. `None` if it was not running: it has been ended before. Otherwise
    /// whether it was still the file's newest.
    pub(crate) fn finish(
        &mut self,
        file: &Arc<FileKey>,
        id: JobId,
        outcome: Outcome,
    ) -> Option<bool> {
        self.running.get(file).filter(|run| run.job.id == id)?;
        self.running.remove(file);
        let newest = match self.jobs.get(file) {
            Some(job) if job.id == id => job.clone(),
            Some(newer) => {
                let newer = newer.clone();
                self.line_up(file, &newer);
                return Some(false);
            }
            None => return Some(false), // cancelled
        };
        self.dirty.insert(file.clone());
        match after(newest, outcome) {
            None => {
                self.tally ^= file.share(id);
                self.jobs.remove(file);
            }
            Some(job) => {
                self.line_up(file, &job);
                self.jobs.insert(file.clone(), job);
            }
        }
        Some(true)
    }

    /// Makes waiting and parked jobs ready, and notes why. Returns how many.
    pub(crate) fn wake(
        &mut self,
        wanted: &dyn Fn(&Job) -> bool,
        afresh: bool,
        why: &'static str,
    ) -> u64 {
        let files: Vec<Arc<FileKey>> = self
            .jobs
            .iter()
            .filter(|(_, job)| {
                matches!(
                    job.state,
                    JobState::Waiting { .. } | JobState::Parked { .. }
                ) && wanted(job)
            })
            .map(|(file, _)| file.clone())
            .collect();
        for file in &files {
            self.make_ready(file, |job| {
                job.woken = Some(why.to_owned());
                if afresh {
                    job.failures = 0;
                    job.panics = 0;
                }
            });
        }
        count(files.len())
    }

    /// Makes the file's job ready, which is not running, and changes what else is to be changed in it.
    pub(crate) fn make_ready(&mut self, file: &FileKey, change: impl FnOnce(&mut Job)) {
        if let Some((file, mut job)) = self.jobs.remove_entry(file) {
            self.take_out(&file, &job);
            job.state = JobState::Pending;
            change(&mut job);
            self.line_up(&file, &job);
            self.jobs.insert(file.clone(), job);
            self.dirty.insert(file);
        }
    }

    /// Drops jobs, and tells those that run. Returns them.
    pub(crate) fn cancel(&mut self, wanted: &dyn Fn(&Job) -> bool) -> Vec<Job> {
        let files: Vec<Arc<FileKey>> = self
            .jobs
            .iter()
            .filter(|(_, job)| wanted(job))
            .map(|(file, _)| file.clone())
            .collect();
        let mut dropped = Vec::with_capacity(files.len());
        for file in &files {
            if let Some(job) = self.jobs.remove(file) {
                self.take_out(file, &job);
                self.tally ^= file.share(job.id);
                self.dirty.insert(file.clone());
                dropped.push(job);
            }
            if let Some(running) = self.running.get(file) {
                running.superseded.cancel();
            }
        }
        dropped
    }

    pub(crate) fn counts(&self) -> Counts {
        let mut counts = Counts {
            running: count(self.running.len()),
            ..Counts::default()
        };
        for job in self.jobs.values() {
            match job.state {
                JobState::Pending => counts.pending += 1,
                JobState::Running => {}
                JobState::Waiting { .. } => counts.waiting += 1,
                JobState::Parked { .. } => counts.parked += 1,
            }
        }
        counts
    }

    /// Every job, the oldest first.
    pub(crate) fn list(&self) -> Vec<Job> {
        let mut jobs: Vec<Job> = self.jobs.values().cloned().collect();
        for running in self.running.values() {
            if jobs.iter().all(|job| job.id != running.job.id) {
                jobs.push(running.job.clone());
            }
        }
        jobs.sort_by_key(|job| job.id);
        jobs
    }

    /// Whether nothing is pending or running. A waiting job that is due is pending; a pending
    /// one that is in no lane has a running one before it.
    pub(crate) fn is_idle(&self) -> bool {
        self.running.is_empty() && !self.has_ready()
    }

    pub(crate) fn is_running(&self, file: &FileKey) -> bool {
        self.running.contains_key(file)
    }

    pub(crate) fn job(&self, file: &FileKey) -> Option<&Job> {
        self.jobs.get(file)
    }

    /// Whether the disk does not know everything.
    pub(crate) fn is_dirty(&self) -> bool {
        !(self.dirty.is_empty() && self.ledger.is_empty() && self.history.is_empty())
            || self.roots_dirty
    }

    /// Marks every record as not on disk.
    pub(crate) fn dirty_all(&mut self) {
        self.dirty.extend(self.jobs.keys().cloned());
        self.roots_dirty = true;
    }

    fn line_up(&mut self, file: &Arc<FileKey>, job: &Job) {
        match &job.state {
            JobState::Pending => {
                let lane = match job.lane {
                    Lane::Interactive => &mut self.interactive,
                    Lane::Bulk => &mut self.bulk,
                };
                lane.insert(job.id, file.clone());
            }
            JobState::Waiting { until, .. } => {
                let due = Instant::now() + left(*until);
                self.waiting.insert((due, job.id), file.clone());
            }
            JobState::Running | JobState::Parked { .. } => {}
        }
    }

    fn take_out(&mut self, file: &Arc<FileKey>, job: &Job) {
        self.interactive.remove(&job.id);
        self.bulk.remove(&job.id);
        if let JobState::Waiting { .. } = job.state {
            self.waiting.retain(|_, waiting| waiting != file);
        }
    }
}

/// How long it is until then, by the time of day.
fn left(until: SystemTime) -> Duration {
    let left = until.duration_since(SystemTime::now()).unwrap_or_default();
    left.min(LONGEST_WAIT)
}

/// The job after a run; `None` if it is done.
fn after(mut job: Job, outcome: Outcome) -> Option<Job> {
    // What is put back has still to be taken up for that.
    if outcome != Outcome::Requeue {
        job.woken = None;
    }
    job.state = match outcome {
        Outcome::Done => return None,
        Outcome::Wait {
            until,
            reason,
            count_failure,
        } => {
            job.failures += u32::from(count_failure);
            JobState::Waiting { until, reason }
        }
        Outcome::Park { reason } => JobState::Parked { reason },
        Outcome::Requeue => JobState::Pending,
        Outcome::Panicked => {
            job.panics += 1;
            if job.panics < PANICS {
                JobState::Pending
            } else {
                JobState::Parked {
                    reason: format!("the work on it panicked {PANICS} times; see the log"),
                }
            }
        }
    };
    Some(job)
}

pub(crate) fn count(length: usize) -> u64 {
    length.try_into().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
