//! What the queue does on the blocking pool.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use testsmith_crash::point;
use testsmith_domain::{FileStamp, Job, JobId, JobState, LedgerEntry, RelPath, Story};
use testsmith_store::{Batch, Store, StoreError};
use tokio::sync::Notify;

use crate::claimed::{Claimed, Ticket};
use crate::found::{Found, drop_snapshots, encode_meta};
use crate::history;
use crate::keys::{self, FileKey};
use crate::observer::Observer;
use crate::pieces;
use crate::state::{State, key_of};
use crate::{Intake, LedgerUpdate, Outcome, QueueError, Recovered};

/// The queue as the blocking pool sees it.
#[derive(Debug, Default)]
pub(crate) struct Work {
    state: Mutex<State>,
    /// Held from reading the state to having written it; taken before `state`.
    pub(crate) writing: Mutex<()>,
    /// Told of every change.
    pub(crate) changed: Notify,
    /// Told of new jobs.
    pub(crate) observer: Observer,
}

/// What came of looking for a job.
#[derive(Debug)]
pub(crate) enum Next {
    /// One to run.
    Job(Box<Claimed>),
    /// There is none now.
    Nothing,
}

impl Work {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Reads the jobs, once; and brings a database that was opened anew in line with memory.
    pub(crate) fn load(&self, store: &Store) -> Result<Option<Recovered>, QueueError> {
        let _writing = lock(&self.writing);
        self.load_locked(store)
    }

    pub(crate) fn load_locked(&self, store: &Store) -> Result<Option<Recovered>, QueueError> {
        let (loaded, generation) = {
            let state = self.state();
            (state.loaded, state.generation)
        };
        if loaded {
            if generation != store.generation() {
                self.heal(store);
            }
            return Ok(None);
        }
        let found = Found::read(store)?;
        let mut recovered = Recovered {
            rescan: found.is_damaged(store),
            store: store.report(),
            ..Recovered::default()
        };
        if recovered.rescan {
            drop_snapshots(store)?;
        }
        let mut state = self.state();
        state.loaded = true;
        state.lost = recovered.rescan;
        state.generation = store.generation();
        state.next_id = found.next_id.max(found.highest + 1).max(state.next_id);
        state.roots.extend(found.roots);
        for job in found.jobs {
            recovered.requeued += u64::from(state.recover(job));
        }
        recovered.jobs = state.counts();
        drop(state);
        self.changed.notify_waiters();
        Ok(Some(recovered))
    }

    /// After the database was opened again while running, it may lack what had not been flushed,
    /// or more if it was damaged. Memory knows all jobs: the next batch writes them.
    fn heal(&self, store: &Store) {
        let mut state = self.state();
        state.generation = store.generation();
        state.to_review = None;
        if store.report().data_may_be_lost() {
            tracing::warn!("the job database was repaired; its jobs are written anew");
            state.dirty_all();
        }
    }

    /// Adds all that the disk does not know to a batch.
    fn add_dirty(&self, batch: &mut Batch) -> Result<(), QueueError> {
        let state = self.state();
        for file in &state.dirty {
            match state.job(file) {
                Some(job) => batch.put(file.job(), serde_json::to_vec(job)?),
                None => batch.remove(file.job()),
            }
        }
        put_known(batch, &state.ledger, &state.history)?;
        if state.roots_dirty {
            for root in &state.roots {
                batch.put(keys::root(root), root.as_bytes());
            }
        }
        batch.put(keys::META, encode_meta(state.next_id, state.tally));
        Ok(())
    }

    /// Writes what is dirty; `writing` is held, so nothing becomes dirty meanwhile that would be
    /// forgotten here, but by [`Work::abandon`].
    pub(crate) fn write_dirty(&self, store: &Store, durable: bool) -> Result<(), QueueError> {
        let (files, ledger, history) = {
            let state = self.state();
            let ledger: Vec<FileKey> = state.ledger.keys().cloned().collect();
            let history: Vec<FileKey> = state.history.keys().cloned().collect();
            (state.dirty.clone(), ledger, history)
        };
        let mut batch = Batch::new();
        self.add_dirty(&mut batch)?;
        if durable {
            store.commit(&batch)?;
        } else {
            store.write(&batch)?;
        }
        self.forget_dirty(&files, &ledger, &history);
        Ok(())
    }

    fn forget_dirty(&self, files: &HashSet<Arc<FileKey>>, ledger: &[FileKey], history: &[FileKey]) {
        let mut state = self.state();
        state.dirty.retain(|file| !files.contains(file));
        for file in ledger {
            state.ledger.remove(file);
        }
        for file in history {
            state.history.remove(file);
        }
        state.roots_dirty = false;
    }

    /// Gives out this file's job, or with `None` the next one. Its mark as running need not be
    /// flushed: see the crate's documentation.
    pub(crate) fn claim(
        self: &Arc<Self>,
        store: &Store,
        file: Option<&FileKey>,
    ) -> Result<Next, QueueError> {
        let _writing = lock(&self.writing);
        self.claim_locked(store, file)
    }

    /// Claims the file's job whatever it waits for, or that of `intake` if there is none, with nobody in
    /// between. Gives how it stood with it before.
    pub(crate) fn hold(
        self: &Arc<Self>,
        store: &Store,
        intake: Intake,
        file: &FileKey,
    ) -> Result<Option<(Claimed, Option<JobState>)>, QueueError> {
        let _writing = lock(&self.writing);
        self.load_locked(store)?;
        if self.state().is_running(file) {
            return Ok(None);
        }
        let before = self.state().job(file).map(|job| job.state.clone());
        if before.is_some() {
            self.state().make_ready(file, |_| {});
        } else {
            self.commit_locked(store, intake)?;
        }
        Ok(match self.claim_locked(store, Some(file))? {
            Next::Job(claimed) => Some((*claimed, before)),
            Next::Nothing => None,
        })
    }

    fn claim_locked(
        self: &Arc<Self>,
        store: &Store,
        file: Option<&FileKey>,
    ) -> Result<Next, QueueError> {
        self.load_locked(store)?;
        let claimed = {
            let mut state = self.state();
            let claimed = match file {
                Some(file) => state.claim_file(file),
                None => state.claim(),
            };
            claimed.map(|(job, superseded)| {
                let file = key_of(&job);
                state.dirty.insert(file.clone());
                let ticket = Ticket {
                    work: Arc::clone(self),
                    file,
                    id: job.id,
                };
                Claimed::new(job, superseded, ticket)
            })
        };
        if self.state().is_dirty() {
            point("queue.claim.before");
            // On error the claim is dropped, and the job is ready again.
            self.write_dirty(store, false)?;
            point("queue.claim.after");
        }
        Ok(claimed.map_or(Next::Nothing, |claimed| Next::Job(Box::new(claimed))))
    }

    pub(crate) fn finish(
        &self,
        store: &Store,
        job: &Job,
        outcome: Outcome,
        ledger: Option<LedgerUpdate>,
        story: Option<Story>,
    ) -> Result<bool, QueueError> {
        let _writing = lock(&self.writing);
        self.load_locked(store)?;
        let file = key_of(job);
        let history = story.and_then(|story| {
            // What cannot be read is not worth failing for, and nothing is written over it.
            let before = self.history(store, &file).ok()?;
            history::encode(before, story, job.is_removal()).ok()
        });
        let current = {
            let mut state = self.state();
            if let Some(history) = history {
                state.history.insert((*file).clone(), Some(history));
            }
            if let Some(update) = ledger {
                let entry = match update {
                    LedgerUpdate::Put(entry) => Some(entry),
                    LedgerUpdate::Remove => None,
                };
                state.set_ledger((*file).clone(), entry);
            }
            state.finish(&file, job.id, outcome).unwrap_or(false)
        };
        self.changed.notify_waiters();
        point("queue.finish.before");
        self.write_or_keep(store)?;
        point("queue.finish.after");
        Ok(current)
    }

    /// Writes what is dirty for good. If the disk is unwilling, it stays dirty: what is in memory
    /// holds, and the next batch writes it.
    pub(crate) fn write_or_keep(&self, store: &Store) -> Result<(), QueueError> {
        match self.write_dirty(store, true) {
            Err(error) if error.is_temporary() => {
                tracing::debug!(%error, "a change of the queue is only in memory yet");
                Ok(())
            }
            other => other,
        }
    }

    /// Takes a job back that was not finished.
    pub(crate) fn abandon(&self, file: &Arc<FileKey>, id: JobId, panicked: bool) {
        let outcome = if panicked {
            Outcome::Panicked
        } else {
            Outcome::Requeue
        };
        if self.state().finish(file, id, outcome).is_some() {
            self.changed.notify_waiters();
        }
    }

    pub(crate) fn wake(
        &self,
        store: &Store,
        wanted: &dyn Fn(&Job) -> bool,
        afresh: bool,
        why: &'static str,
    ) -> Result<u64, QueueError> {
        self.change(store, |state| state.wake(wanted, afresh, why))
    }

    fn change<T>(
        &self,
        store: &Store,
        change: impl FnOnce(&mut State) -> T,
    ) -> Result<T, QueueError> {
        let _writing = lock(&self.writing);
        self.load_locked(store)?;
        let changed = change(&mut self.state());
        self.changed.notify_waiters();
        self.write_or_keep(store)?;
        Ok(changed)
    }

    pub(crate) fn snapshot(
        &self,
        store: &Store,
        root: &str,
    ) -> Result<Option<Vec<(RelPath, FileStamp)>>, QueueError> {
        let _writing = lock(&self.writing);
        self.load_locked(store)?;
        let (known, lost) = {
            let state = self.state();
            (state.roots.contains(root), state.lost)
        };
        if !known {
            return Ok(lost.then(Vec::new));
        }
        Ok(Some(pieces::load_all(store, root)?))
    }

    /// Writers write one after the other: one that hangs keeps this waiting as well.
    pub(crate) fn respond(&self, store: &Store) {
        let _writing = lock(&self.writing);
        drop(store.get(keys::META));
    }

    pub(crate) fn ledger(
        &self,
        store: &Store,
        file: &FileKey,
    ) -> Result<Option<LedgerEntry>, QueueError> {
        if let Some(unwritten) = self.state().ledger.get(file) {
            return Ok(unwritten.clone());
        }
        let record = match store.get(&file.ledger()) {
            Err(StoreError::Corrupt(what)) => {
                tracing::warn!(path = %file.path, what, "an entry of the ledger is damaged");
                None
            }
            other => other?,
        };
        Ok(record.and_then(|record| serde_json::from_slice(&record.data).ok()))
    }

    /// What was decided on a file, the oldest run first.
    pub(crate) fn history(&self, store: &Store, file: &FileKey) -> Result<Vec<Story>, QueueError> {
        if let Some(unwritten) = self.state().history.get(file) {
            return Ok(unwritten
                .as_deref()
                .map(history::decode)
                .unwrap_or_default());
        }
        match store.get(&file.history()) {
            Err(StoreError::Corrupt(_)) => Ok(Vec::new()),
            other => Ok(other?
                .map(|record| history::decode(&record.data))
                .unwrap_or_default()),
        }
    }

    /// What the snapshot knows of a file.
    pub(crate) fn stamp(store: &Store, file: &FileKey) -> Result<Option<FileStamp>, QueueError> {
        let folder = pieces::Folder::load(store, &file.root, file.path.dir())?;
        Ok(folder.get(file.path.file_name()))
    }

    pub(crate) fn ledgers(&self, store: &Store) -> Result<Vec<(RelPath, LedgerEntry)>, QueueError> {
        self.load(store)?;
        let mut all = Vec::new();
        scan_ledger(store, |key, entry| {
            all.extend(keys::parse_ledger(key).map(|path| (path, entry)));
        })?;
        Ok(all)
    }

    pub(crate) fn find_ledger(
        &self,
        store: &Store,
        root: &str,
        wanted: &dyn Fn(&LedgerEntry) -> bool,
    ) -> Result<Vec<(RelPath, LedgerEntry)>, QueueError> {
        let mut sources = Vec::new();
        store.scan(&keys::ledger(root), |key, _| {
            sources.extend(keys::parse_ledger(key));
        })?;
        let mut found = Vec::new();
        for path in sources {
            let file = FileKey {
                root: root.to_owned(),
                path,
            };
            // Read again by its key: memory may know better than the disk.
            if let Some(entry) = self.ledger(store, &file)?
                && wanted(&entry)
            {
                found.push((file.path, entry));
            }
        }
        Ok(found)
    }

    pub(crate) fn forget_ledger(&self, store: &Store, file: FileKey) -> Result<(), QueueError> {
        let _writing = lock(&self.writing);
        self.load_locked(store)?;
        self.state().set_ledger(file, None);
        self.write_or_keep(store)
    }

    pub(crate) fn close(&self, store: &Store) -> Result<(), QueueError> {
        let _writing = lock(&self.writing);
        if self.state().loaded {
            // There may be room again, and the wait for the next try not be over.
            store.retry_now();
            self.write_dirty(store, true)?;
        }
        Ok(store.close()?)
    }
}

/// Visits the entries of the ledger of all roots that are on disk and can be read.
pub(crate) fn scan_ledger(
    store: &Store,
    mut visit: impl FnMut(&[u8], LedgerEntry),
) -> Result<(), StoreError> {
    store.scan(keys::LEDGER, |key, record| {
        let entry = record
            .ok()
            .and_then(|record| serde_json::from_slice(&record.data).ok());
        if let Some(entry) = entry {
            visit(key, entry);
        }
    })
}

/// Adds entries of the ledger and histories to a batch; `None` where there is nothing any more.
pub(crate) fn put_known(
    batch: &mut Batch,
    ledger: &HashMap<FileKey, Option<LedgerEntry>>,
    history: &HashMap<FileKey, Option<Vec<u8>>>,
) -> Result<(), QueueError> {
    for (file, entry) in ledger {
        match entry {
            Some(entry) => batch.put(file.ledger(), serde_json::to_vec(entry)?),
            None => batch.remove(file.ledger()),
        }
    }
    for (file, stories) in history {
        match stories {
            Some(stories) => batch.put(file.history(), stories.clone()),
            None => batch.remove(file.history()),
        }
    }
    Ok(())
}

/// The state is right at any moment another thread may have panicked.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
