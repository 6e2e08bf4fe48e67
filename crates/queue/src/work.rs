//! What the queue does on the blocking pool.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use testsmith_domain::{FileStamp, Job, JobId, LedgerEntry, RelPath};
use testsmith_store::{Batch, Store, StoreError};
use tokio::sync::Notify;

use crate::claimed::{Claimed, Ticket};
use crate::keys::{self, FileKey};
use crate::pieces::{self, Folder};
use crate::state::{State, count, key_of};
use crate::{Intake, LedgerUpdate, Outcome, QueueError, Recovered};

/// Changes in one batch of an intake. sled keeps readers of all databases waiting while it applies
/// a batch, so a first look at a large tree is cut up: by folders, so that stamps and jobs of a
/// file stay together.
const CHANGES_AT_ONCE: usize = 1000;

/// The queue as the blocking pool sees it.
#[derive(Debug, Default)]
pub(crate) struct Work {
    state: Mutex<State>,
    /// Held from reading the state to having written it; taken before `state`.
    writing: Mutex<()>,
    /// Told of every change.
    pub(crate) changed: Notify,
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

    fn load_locked(&self, store: &Store) -> Result<Option<Recovered>, QueueError> {
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
        for (file, entry) in &state.ledger {
            match entry {
                Some(entry) => batch.put(file.ledger(), serde_json::to_vec(entry)?),
                None => batch.remove(file.ledger()),
            }
        }
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
    fn write_dirty(&self, store: &Store, durable: bool) -> Result<(), QueueError> {
        let (files, ledger) = {
            let state = self.state();
            let ledger: Vec<FileKey> = state.ledger.keys().cloned().collect();
            (state.dirty.clone(), ledger)
        };
        let mut batch = Batch::new();
        self.add_dirty(&mut batch)?;
        if durable {
            store.commit(&batch)?;
        } else {
            store.write(&batch)?;
        }
        self.forget_dirty(&files, &ledger);
        Ok(())
    }

    fn forget_dirty(&self, files: &HashSet<Arc<FileKey>>, ledger: &[FileKey]) {
        let mut state = self.state();
        state.dirty.retain(|file| !files.contains(file));
        for file in ledger {
            state.ledger.remove(file);
        }
        state.roots_dirty = false;
    }

    pub(crate) fn commit(&self, store: &Store, intake: Intake) -> Result<Vec<JobId>, QueueError> {
        let _writing = lock(&self.writing);
        self.load_locked(store)?;
        if self.state().is_dirty() {
            self.write_dirty(store, false)?;
        }
        let Intake {
            root,
            seen,
            gone,
            jobs,
        } = intake;
        let jobs: Vec<Job> = {
            let mut state = self.state();
            jobs.into_iter()
                .map(|new| state.new_job(&root, new))
                .collect()
        };
        let ids = jobs.iter().map(|job| job.id).collect();
        let files: Vec<Arc<FileKey>> = jobs.iter().map(key_of).collect();
        let result = self.write_intake(store, &root, by_folder(seen, gone, jobs));
        if result.is_err() {
            // Some of it may be on disk: have the next batch put that right.
            self.state().dirty.extend(files);
        }
        self.changed.notify_waiters();
        result.map(|()| ids)
    }

    fn write_intake(
        &self,
        store: &Store,
        root: &str,
        folders: BTreeMap<String, Changes>,
    ) -> Result<(), QueueError> {
        let mut batch = Batch::new();
        let mut jobs: Vec<Job> = Vec::new();
        let mut changes = 0;
        for (dir, folder) in folders {
            if !folder.seen.is_empty() || !folder.gone.is_empty() {
                let mut stamps = Folder::load(store, root, &dir)?;
                for (path, stamp) in &folder.seen {
                    stamps.put(path.file_name(), *stamp);
                }
                for path in &folder.gone {
                    stamps.remove(path.file_name());
                }
                stamps.write(&mut batch);
                changes += 1;
            }
            changes += folder.jobs.len();
            jobs.extend(folder.jobs);
            if changes >= CHANGES_AT_ONCE {
                self.write_jobs(store, std::mem::take(&mut batch), std::mem::take(&mut jobs))?;
                changes = 0;
            }
        }
        // The root counts as seen only with the last part.
        let new_root = self.state().roots.insert(root.to_owned());
        if new_root {
            batch.put(keys::root(root), root.as_bytes());
        }
        let result = self
            .write_jobs(store, batch, jobs)
            .and_then(|()| Ok(store.commit(&Batch::new())?));
        if result.is_err() && new_root {
            self.state().roots.remove(root);
        }
        result
    }

    /// Writes one part of an intake and puts its jobs in force.
    fn write_jobs(
        &self,
        store: &Store,
        mut batch: Batch,
        jobs: Vec<Job>,
    ) -> Result<(), QueueError> {
        let (next_id, mut tally) = {
            let state = self.state();
            (state.next_id, state.tally)
        };
        // The last of several for one file wins, here as in memory.
        let mut newest: BTreeMap<Arc<FileKey>, Job> = BTreeMap::new();
        for job in jobs {
            newest.insert(key_of(&job), job);
        }
        for (file, job) in &newest {
            tally = self.state().tally_with(tally, job);
            batch.put(file.job(), serde_json::to_vec(job)?);
        }
        batch.put(keys::META, encode_meta(next_id, tally));
        store.write(&batch)?;
        let mut state = self.state();
        for job in newest.into_values() {
            state.enqueue(job);
        }
        Ok(())
    }

    /// Gives out this file's job, or with `None` the next one. Its mark as running need not be
    /// flushed: see the crate's documentation.
    pub(crate) fn claim(
        self: &Arc<Self>,
        store: &Store,
        file: Option<&FileKey>,
    ) -> Result<Next, QueueError> {
        let _writing = lock(&self.writing);
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
            // On error the claim is dropped, and the job is ready again.
            self.write_dirty(store, false)?;
        }
        Ok(claimed.map_or(Next::Nothing, |claimed| Next::Job(Box::new(claimed))))
    }

    pub(crate) fn finish(
        &self,
        store: &Store,
        job: &Job,
        outcome: Outcome,
        ledger: Option<LedgerUpdate>,
    ) -> Result<bool, QueueError> {
        let _writing = lock(&self.writing);
        self.load_locked(store)?;
        let file = key_of(job);
        let current = {
            let mut state = self.state();
            if let Some(update) = ledger {
                let entry = match update {
                    LedgerUpdate::Put(entry) => Some(entry),
                    LedgerUpdate::Remove => None,
                };
                state.ledger.insert((*file).clone(), entry);
            }
            state.finish(&file, job.id, outcome).unwrap_or(false)
        };
        self.changed.notify_waiters();
        self.write_or_keep(store)?;
        Ok(current)
    }

    /// Writes what is dirty for good. If the disk is unwilling, it stays dirty: what is in memory
    /// holds, and the next batch writes it.
    fn write_or_keep(&self, store: &Store) -> Result<(), QueueError> {
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
    ) -> Result<u64, QueueError> {
        self.change(store, |state| state.wake(wanted))
    }

    pub(crate) fn cancel(
        &self,
        store: &Store,
        wanted: &dyn Fn(&Job) -> bool,
    ) -> Result<u64, QueueError> {
        self.change(store, |state| state.cancel(wanted))
    }

    fn change(
        &self,
        store: &Store,
        change: impl FnOnce(&mut State) -> u64,
    ) -> Result<u64, QueueError> {
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
        if !self.state().roots.contains(root) {
            return Ok(None);
        }
        Ok(Some(pieces::load_all(store, root)?))
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

    pub(crate) fn ledger_owner(
        &self,
        store: &Store,
        root: &str,
        test_path: &RelPath,
    ) -> Result<Option<(RelPath, LedgerEntry)>, QueueError> {
        let mut sources = Vec::new();
        store.scan(&keys::ledger(root), |key, _| {
            sources.extend(keys::parse_ledger(key))
        })?;
        for path in sources {
            let file = FileKey {
                root: root.to_owned(),
                path,
            };
            // Read again by its key: memory may know better than the disk.
            if let Some(entry) = self.ledger(store, &file)?
                && entry.test_path == *test_path
            {
                return Ok(Some((file.path, entry)));
            }
        }
        Ok(None)
    }

    pub(crate) fn forget_ledger(&self, store: &Store, file: FileKey) -> Result<(), QueueError> {
        let _writing = lock(&self.writing);
        self.load_locked(store)?;
        self.state().ledger.insert(file, None);
        self.write_or_keep(store)
    }

    pub(crate) fn rename_ledger(
        &self,
        store: &Store,
        from: FileKey,
        to: FileKey,
    ) -> Result<bool, QueueError> {
        let _writing = lock(&self.writing);
        self.load_locked(store)?;
        let Some(entry) = self.ledger(store, &from)? else {
            return Ok(false);
        };
        {
            let mut state = self.state();
            state.ledger.insert(from, None);
            state.ledger.insert(to, Some(entry));
        }
        self.write_or_keep(store)?;
        Ok(true)
    }

    pub(crate) fn close(&self, store: &Store) -> Result<(), QueueError> {
        let _writing = lock(&self.writing);
        if self.state().loaded {
            self.write_dirty(store, true)?;
        }
        Ok(store.close()?)
    }
}

/// What is on disk.
#[derive(Debug, Default)]
struct Found {
    jobs: Vec<Job>,
    roots: Vec<String>,
    next_id: u64,
    highest: u64,
    /// The tally as written; `None` if it is missing.
    tally: Option<u64>,
    unreadable: u64,
}

impl Found {
    fn read(store: &Store) -> Result<Self, QueueError> {
        let mut found = Self::default();
        store.scan(keys::JOBS, |_, record| {
            let job = record
                .ok()
                .and_then(|r| serde_json::from_slice::<Job>(&r.data).ok());
            match job {
                Some(job) => {
                    found.highest = found.highest.max(job.id.0);
                    found.jobs.push(job);
                }
                None => found.unreadable += 1,
            }
        })?;
        store.scan(keys::ROOTS, |_, record| {
            match record.ok().and_then(|r| String::from_utf8(r.data).ok()) {
                Some(root) => found.roots.push(root),
                None => found.unreadable += 1,
            }
        })?;
        store.scan(keys::META, |_, record| {
            let meta = record.ok().and_then(|record| decode_meta(&record.data));
            if let Some((next_id, tally)) = meta {
                found.next_id = next_id;
                found.tally = Some(tally);
            }
        })?;
        Ok(found)
    }

    fn is_damaged(&self, store: &Store) -> bool {
        let tally = self
            .jobs
            .iter()
            .fold(0, |tally, job| tally ^ key_of(job).share(job.id));
        let is_new = self.jobs.is_empty() && self.roots.is_empty() && self.tally.is_none();
        let matches = self.tally == Some(tally) || is_new;
        if !matches || self.unreadable > 0 {
            tracing::warn!(
                unreadable = self.unreadable,
                jobs = count(self.jobs.len()),
                "jobs may have been lost; every file is looked at again"
            );
        }
        !matches || self.unreadable > 0 || store.report().data_may_be_lost()
    }
}

/// Empties all snapshots. The roots stay known, so that their files look new, not unknown.
fn drop_snapshots(store: &Store) -> Result<(), QueueError> {
    let mut keys = Vec::new();
    store.scan(keys::PIECES, |key, _| keys.push(key.to_vec()))?;
    for some in keys.chunks(CHANGES_AT_ONCE) {
        let mut batch = Batch::new();
        for key in some {
            batch.remove(key.clone());
        }
        store.write(&batch)?;
    }
    Ok(store.commit(&Batch::new())?)
}

/// One folder's part of an intake.
#[derive(Debug, Default)]
struct Changes {
    seen: Vec<(RelPath, FileStamp)>,
    gone: Vec<RelPath>,
    jobs: Vec<Job>,
}

fn by_folder(
    seen: Vec<(RelPath, FileStamp)>,
    gone: Vec<RelPath>,
    jobs: Vec<Job>,
) -> BTreeMap<String, Changes> {
    let mut folders: BTreeMap<String, Changes> = BTreeMap::new();
    for (path, stamp) in seen {
        let dir = path.dir().to_owned();
        folders.entry(dir).or_default().seen.push((path, stamp));
    }
    for path in gone {
        let dir = path.dir().to_owned();
        folders.entry(dir).or_default().gone.push(path);
    }
    for job in jobs {
        let dir = job.path.dir().to_owned();
        folders.entry(dir).or_default().jobs.push(job);
    }
    folders
}

fn encode_meta(next_id: u64, tally: u64) -> Vec<u8> {
    [next_id.to_be_bytes(), tally.to_be_bytes()].concat()
}

fn decode_meta(bytes: &[u8]) -> Option<(u64, u64)> {
    let (next_id, tally) = bytes.split_first_chunk()?;
    Some((
        u64::from_be_bytes(*next_id),
        u64::from_be_bytes(tally.try_into().ok()?),
    ))
}

/// The state is right at any moment another thread may have panicked.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
