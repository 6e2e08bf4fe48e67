//! The queue as others see it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use testsmith_domain::{
    FileStamp, Job, JobCause, JobId, JobState, Lane, LedgerEntry, RelPath, ReviewTally, Story,
};
use testsmith_store::{Health, Store, StoreError, StoreOptions};
use tokio::time::Instant;

use crate::claimed::Claimed;
use crate::keys::FileKey;
use crate::work::{Next, Work};
use crate::{Counts, Intake, LedgerUpdate, NewJob, Outcome, QueueError, Recovered};

const FORMAT: u32 = 1;

/// The wait before a failed look for jobs is repeated, if the store does not say.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Jobs, the snapshot of each tree, and the ledger, in one database.
///
/// A call that writes is carried out to its end even if its future is dropped.
#[derive(Debug)]
pub struct Queue {
    store: Store,
    work: Arc<Work>,
}

impl Queue {
    /// Opens or creates the queue in `dir`. The caller holds the lock of the state directory.
    ///
    /// Fails only if it is open elsewhere or written by a later version. On a disk that is full or
    /// read-only it starts empty and degraded, and reads its jobs when it can.
    pub async fn open(dir: &Path) -> Result<(Arc<Self>, Recovered), QueueError> {
        let dir = dir.to_owned();
        let opening = tokio::task::spawn_blocking(move || Self::open_blocking(&dir));
        opening
            .await
            .unwrap_or(Err(QueueError::Store(StoreError::Closed)))
    }

    fn open_blocking(dir: &Path) -> Result<(Arc<Self>, Recovered), QueueError> {
        let (store, report) = Store::open(dir, StoreOptions::new(FORMAT))?;
        let work = Arc::new(Work::default());
        let recovered = match work.load(&store) {
            Ok(recovered) => recovered.unwrap_or_default(),
            Err(error) => {
                tracing::warn!(%error, "the jobs cannot be read yet");
                Recovered {
                    store: report,
                    ..Recovered::default()
                }
            }
        };
        Ok((Arc::new(Self { store, work }), recovered))
    }

    /// Has `observer` told of each job that [`Queue::commit`] has put on disk, before anybody can claim it.
    /// To be called once; it must not wait.
    pub fn observe(&self, observer: impl Fn(&Job) + Send + Sync + 'static) {
        // A second one is not needed, and not told.
        let _ = self.work.observer.0.set(Box::new(observer));
    }

    /// Takes in what a look at a tree found. Snapshot and jobs are on disk, together, when this
    /// returns. After an error ask again with all of it: parts of a large intake may be in.
    pub async fn commit(&self, intake: Intake) -> Result<Vec<JobId>, QueueError> {
        self.run(move |work, store| work.commit(store, intake))
            .await
    }

    /// Waits for a job and claims it. Never returns after [`Queue::close`], and not while the
    /// store is out of order.
    pub async fn claim(&self) -> Claimed {
        loop {
            let changed = self.work.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            match self.look().await {
                Ok(Next::Job(claimed)) => return *claimed,
                Ok(Next::Nothing) => match self.next_due() {
                    None => changed.await,
                    Some(due) => {
                        let _ = tokio::time::timeout_at(due, changed).await;
                    }
                },
                Err(QueueError::Store(StoreError::Closed)) => std::future::pending().await,
                Err(error) => {
                    tracing::debug!(%error, "no job can be claimed now");
                    // Whatever changes in the meantime, the store must be back first.
                    tokio::time::sleep(self.retry_in()).await;
                }
            }
        }
    }

    /// Claims this file's job; `None` if it has none that is ready now.
    pub async fn claim_path(
        &self,
        root: &str,
        path: &RelPath,
    ) -> Result<Option<Claimed>, QueueError> {
        let file = file_key(root, path);
        match self
            .run(move |work, store| work.claim(store, Some(&file)))
            .await?
        {
            Next::Job(claimed) => Ok(Some(*claimed)),
            Next::Nothing => Ok(None),
        }
    }

    /// Claims this file's job, one that is made if it has none, so that nobody else works on the file.
    /// Gives with it how it stood with the job before. `None` while it runs.
    pub async fn hold(
        &self,
        root: &str,
        path: &RelPath,
    ) -> Result<Option<(Claimed, Option<JobState>)>, QueueError> {
        let file = file_key(root, path);
        let intake = Intake {
            root: root.to_owned(),
            jobs: vec![NewJob {
                path: path.clone(),
                content: None,
                lane: Lane::Interactive,
                cause: JobCause::AskedFor,
            }],
            ..Intake::default()
        };
        self.run(move |work, store| work.hold(store, intake, &file))
            .await
    }

    /// A job, if there is one. Goes to the disk only if there is something to do there.
    async fn look(&self) -> Result<Next, QueueError> {
        let work_to_do = {
            let state = self.work.state();
            !state.loaded || state.has_ready() || state.is_dirty()
        };
        if !work_to_do {
            return Ok(Next::Nothing);
        }
        self.run(|work, store| work.claim(store, None)).await
    }

    /// When the first of the waiting jobs is due.
    fn next_due(&self) -> Option<Instant> {
        self.work.state().next_due()
    }

    fn retry_in(&self) -> Duration {
        match self.store.health() {
            Health::Degraded { retry_in, .. } => retry_in.max(Duration::from_millis(10)),
            Health::Well | Health::Closed => LOOK_AGAIN,
        }
    }

    /// Ends a job's run. The job is removed, or put where its outcome says, only if it is still
    /// the file's newest, which is returned; the ledger is written in the same batch either way.
    ///
    /// If the disk is unwilling this succeeds all the same: the outcome holds from now on, and is
    /// written when the disk is back. Should the process die before, the job runs once more.
    pub async fn finish(
        &self,
        job: &Job,
        outcome: Outcome,
        ledger: Option<LedgerUpdate>,
    ) -> Result<bool, QueueError> {
        self.finish_told(job, outcome, ledger, None).await
    }

    /// Like [`Queue::finish`], with the run's story, which is kept in the same batch.
    pub async fn finish_told(
        &self,
        job: &Job,
        outcome: Outcome,
        ledger: Option<LedgerUpdate>,
        story: Option<Story>,
    ) -> Result<bool, QueueError> {
        let job = job.clone();
        self.run(move |work, store| work.finish(store, &job, outcome, ledger, story))
            .await
    }

    /// What the last runs of a file's jobs decided, the oldest first.
    pub async fn history(&self, root: &str, path: &RelPath) -> Result<Vec<Story>, QueueError> {
        let file = file_key(root, path);
        self.run(move |work, store| work.history(store, &file))
            .await
    }

    /// The file as it was last seen; `None` if it never was, or is gone.
    pub async fn stamp(&self, root: &str, path: &RelPath) -> Result<Option<FileStamp>, QueueError> {
        let file = file_key(root, path);
        self.run(move |_, store| Work::stamp(store, &file)).await
    }

    /// Makes those of the waiting and parked jobs ready that `wanted` picks, and notes `why` with them,
    /// for people. Returns how many. With `afresh`, their failures are forgotten; otherwise one more
    /// failure counts on.
    pub async fn wake<F>(
        &self,
        wanted: F,
        afresh: bool,
        why: &'static str,
    ) -> Result<u64, QueueError>
    where
        F: Fn(&Job) -> bool + Send + 'static,
    {
        self.run(move |work, store| work.wake(store, &wanted, afresh, why))
            .await
    }

    /// Drops the jobs that `wanted` picks, and notes that in their files' histories; those that run are
    /// told by [`Claimed::superseded`]. Returns them.
    pub async fn cancel<F>(&self, wanted: F) -> Result<Vec<Job>, QueueError>
    where
        F: Fn(&Job) -> bool + Send + 'static,
    {
        self.run(move |work, store| work.cancel(store, &wanted))
            .await
    }

    /// Reckons anew when waiting jobs are due: to be called when the machine has slept, or the
    /// time of day was set.
    pub fn read_clock_again(&self) {
        self.work.state().read_clock_again();
        self.work.changed.notify_waiters();
    }

    /// How many jobs there are.
    pub fn counts(&self) -> Counts {
        self.work.state().counts()
    }

    /// Every job, the oldest first.
    pub fn list(&self) -> Vec<Job> {
        self.work.state().list()
    }

    /// A file's job.
    pub fn job(&self, root: &str, path: &RelPath) -> Option<Job> {
        self.work.state().job(&file_key(root, path)).cloned()
    }

    /// Whether a file has a job, in whatever state.
    pub fn has_job(&self, root: &str, path: &RelPath) -> bool {
        let file = FileKey {
            root: root.to_owned(),
            path: path.clone(),
        };
        let state = self.work.state();
        state.job(&file).is_some() || state.is_running(&file)
    }

    /// Whether no job is pending or running. Waiting and parked ones do not count.
    pub fn is_idle(&self) -> bool {
        let state = self.work.state();
        state.loaded && state.is_idle()
    }

    /// Waits until [`Queue::is_idle`].
    pub async fn wait_idle(&self) {
        loop {
            let changed = self.work.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if self.is_idle() {
                return;
            }
            changed.await;
        }
    }

    /// The snapshot of a root; `None` if none was ever completed. After a loss, as
    /// [`Recovered::rescan`] tells, it is empty and never `None`, so that every file looks new.
    pub async fn snapshot(
        &self,
        root: &str,
    ) -> Result<Option<Vec<(RelPath, FileStamp)>>, QueueError> {
        let root = root.to_owned();
        self.run(move |work, store| work.snapshot(store, &root))
            .await
    }

    /// What was written for a source file.
    pub async fn ledger(
        &self,
        root: &str,
        path: &RelPath,
    ) -> Result<Option<LedgerEntry>, QueueError> {
        let file = file_key(root, path);
        self.run(move |work, store| work.ledger(store, &file)).await
    }

    /// The source files of a root whose entries in the ledger are `wanted`. Reads all of it.
    pub async fn find_ledger<F>(
        &self,
        root: &str,
        wanted: F,
    ) -> Result<Vec<(RelPath, LedgerEntry)>, QueueError>
    where
        F: Fn(&LedgerEntry) -> bool + Send + 'static,
    {
        let root = root.to_owned();
        self.run(move |work, store| work.find_ledger(store, &root, &wanted))
            .await
    }

    /// The ledger of all roots, as it is on disk.
    pub async fn ledgers(&self) -> Result<Vec<(RelPath, LedgerEntry)>, QueueError> {
        self.run(|work, store| work.ledgers(store)).await
    }

    /// What of all tests is worth a look. Reads the whole ledger when it is first asked.
    pub async fn review_tally(&self) -> Result<ReviewTally, QueueError> {
        if let Some(tally) = self.work.state().review_tally() {
            return Ok(tally);
        }
        self.run(|work, store| work.count_review(store)).await
    }

    /// Removes a source file's entry from the ledger.
    pub async fn forget_ledger(&self, root: &str, path: &RelPath) -> Result<(), QueueError> {
        let file = file_key(root, path);
        self.run(move |work, store| work.forget_ledger(store, file))
            .await
    }

    /// Comes back once the queue has been free to be written and was read, whatever came of it:
    /// for who watches over it.
    pub async fn respond(&self) {
        let asked = self.run(|work, store| {
            work.respond(store);
            Ok(())
        });
        // A store that is ill responds as well: with an error.
        drop(asked.await);
    }

    /// How the store below does.
    pub fn health(&self) -> Health {
        self.store.health()
    }

    /// Writes what is only in memory, and closes.
    pub async fn close(&self) -> Result<(), QueueError> {
        self.run(|work, store| work.close(store)).await
    }

    async fn run<T: Send + 'static>(
        &self,
        call: impl FnOnce(&Arc<Work>, &Store) -> Result<T, QueueError> + Send + 'static,
    ) -> Result<T, QueueError> {
        let work = Arc::clone(&self.work);
        self.store.run(move |store| Ok(call(&work, store))).await?
    }
}

fn file_key(root: &str, path: &RelPath) -> FileKey {
    FileKey {
        root: root.to_owned(),
        path: path.clone(),
    }
}
