//! Taking in what a look at a tree found.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use testsmith_crash::point;
use testsmith_domain::{FileStamp, Job, JobId, LedgerEntry, RelPath};
use testsmith_store::{Batch, Store};

use crate::found::encode_meta;
use crate::keys::{self, FileKey};
use crate::pieces::Folder;
use crate::state::key_of;
use crate::work::{Work, lock, put_known};
use crate::{Intake, QueueError};

/// Changes in one batch of an intake. sled keeps readers of all databases waiting while it applies
/// a batch, so a first look at a large tree is cut up: by folders, so that stamps and jobs of a
/// file stay together.
const CHANGES_AT_ONCE: usize = 1000;

impl Work {
    pub(crate) fn commit(&self, store: &Store, intake: Intake) -> Result<Vec<JobId>, QueueError> {
        let _writing = lock(&self.writing);
        point("queue.commit.before");
        let jobs = self.commit_locked(store, intake)?;
        point("queue.commit.after");
        // While `writing` is held, nobody claims one of them.
        if let Some(observer) = self.observer.0.get() {
            jobs.iter().for_each(observer);
        }
        Ok(jobs.iter().map(|job| job.id).collect())
    }

    /// The same, by who holds the lock already.
    pub(crate) fn commit_locked(
        &self,
        store: &Store,
        intake: Intake,
    ) -> Result<Vec<Job>, QueueError> {
        self.load_locked(store)?;
        if self.state().is_dirty() {
            self.write_dirty(store, false)?;
        }
        let Intake {
            root,
            seen,
            gone,
            renamed,
            jobs,
            complete,
        } = intake;
        let jobs: Vec<Job> = {
            let mut state = self.state();
            jobs.into_iter()
                .map(|new| state.new_job(&root, new))
                .collect()
        };
        let files: Vec<Arc<FileKey>> = jobs.iter().map(key_of).collect();
        let folders = by_folder(seen, gone, jobs.clone());
        let result = self.write_intake(store, &root, &renamed, folders, complete);
        if result.is_err() {
            // Some of it may be on disk: have the next batch put that right.
            let mut state = self.state();
            state.dirty.extend(files);
            state.to_review = None;
        }
        self.changed.notify_waiters();
        result.map(|()| jobs)
    }

    fn write_intake(
        &self,
        store: &Store,
        root: &str,
        renamed: &[(RelPath, RelPath)],
        folders: BTreeMap<String, Changes>,
        complete: bool,
    ) -> Result<(), QueueError> {
        let mut batch = Batch::new();
        let moved = self.moved(store, root, renamed)?;
        put_known(&mut batch, &moved.ledger, &moved.history)?;
        // A death must not part a new name's job from what it has to find.
        let at_once = if renamed.is_empty() {
            CHANGES_AT_ONCE
        } else {
            usize::MAX
        };
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
            if changes >= at_once {
                self.write_jobs(store, std::mem::take(&mut batch), std::mem::take(&mut jobs))?;
                changes = 0;
            }
        }
        let new_root = complete && self.state().roots.insert(root.to_owned());
        if new_root {
            batch.put(keys::root(root), root.as_bytes());
        }
        let result = self.write_jobs(store, batch, jobs).and_then(|()| {
            // The jobs are in force, and so is what they have to find. If they are not on disk, nor is that.
            self.review_moved(&moved);
            let flushed = store.commit(&Batch::new());
            Ok(flushed.inspect_err(|_| self.keep_in_memory(moved))?)
        });
        if result.is_err() && new_root {
            self.state().roots.remove(root);
        }
        result
    }

    /// Ledger and history of renamed files under their new names. Of two new names of one file the
    /// first gets them.
    fn moved(
        &self,
        store: &Store,
        root: &str,
        renamed: &[(RelPath, RelPath)],
    ) -> Result<Moved, QueueError> {
        let mut moved = Moved::default();
        for (from, to) in renamed {
            let [from, to] = [from, to].map(|path| FileKey {
                root: root.to_owned(),
                path: path.clone(),
            });
            if moved.ledger.contains_key(&from) || moved.history.contains_key(&from) {
                continue;
            }
            let stories = self.history(store, &from)?;
            if !stories.is_empty() {
                let stories = serde_json::to_vec(&stories)?;
                moved.history.insert(to.clone(), Some(stories));
                moved.history.insert(from.clone(), None);
            }
            if let Some(entry) = self.ledger(store, &from)? {
                moved.ledger.insert(to, Some(entry));
                moved.ledger.insert(from, None);
            }
        }
        Ok(moved)
    }

    fn review_moved(&self, moved: &Moved) {
        let mut state = self.state();
        for (file, entry) in &moved.ledger {
            state.review(file, entry.as_ref());
        }
    }

    fn keep_in_memory(&self, moved: Moved) {
        let mut state = self.state();
        state.ledger.extend(moved.ledger);
        state.history.extend(moved.history);
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
        point("queue.commit.part");
        let mut state = self.state();
        for job in newest.into_values() {
            state.enqueue(job);
        }
        Ok(())
    }
}

/// What is moved with renamed files; `None` where there is nothing any more.
#[derive(Debug, Default)]
struct Moved {
    ledger: HashMap<FileKey, Option<LedgerEntry>>,
    history: HashMap<FileKey, Option<Vec<u8>>>,
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
