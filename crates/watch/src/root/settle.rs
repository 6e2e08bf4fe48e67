//! Looking at files that have come to rest, and what that says of them.

use std::collections::HashSet;
use std::io::{self, ErrorKind};
use std::time::Duration;

use testsmith_domain::{ContentHash, FileStamp, RelPath};
use tokio::time::Instant;

use super::RootTask;
use crate::change::{Cause, Change};
use crate::check::{Check, Checked, Outcome, Patience, Verdict};
use crate::git::Activity;

/// Files looked at together when trees are compared: few, so that a save waits no longer than a
/// few milliseconds for its turn.
const COMPARE_AT_ONCE: usize = 256;

/// Unreadable files remembered, so that each is warned of once.
const UNREADABLE: usize = 1_000;

/// The wait before a source is looked at again that could not be read for a reason that passes: no
/// file descriptors or memory were left, or the disk did not answer.
const READ_AGAIN: Duration = Duration::from_secs(1);

/// What kind of look is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum InFlight {
    /// At git alone.
    Probe,
    Saved,
    Compared(Cause),
}

/// A known file that looked as if it were gone or emptied. Believed at the second look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Suspect {
    as_what: Suspicion,
    pub(super) cause: Cause,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Suspicion {
    Gone,
    Emptied,
}

/// A new file that may prove to be an old one renamed.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) stamp: FileStamp,
    pub(super) cause: Cause,
}

impl RootTask {
    pub(super) fn start_check(&mut self, now: Instant) {
        if self.in_flight.is_some() || self.missing > 0 {
            return;
        }
        match self.may_look(now) {
            Ok(()) => {
                if !self.ready_saved.is_empty() && !self.waits_for_storm(now) {
                    self.check_saved(now);
                } else if let Some((_, cause)) = self.ready_compared.first_key_value() {
                    self.check_compared(*cause, now);
                } else if self.ready_saved.is_empty() && self.debouncer.len() == 0 {
                    // Nothing has come of the wait.
                    self.hold = None;
                }
            }
            // Notes what is there and makes no job, so it need not wait.
            Err(_) if self.has_baseline() => self.check_compared(Cause::Baseline, now),
            Err(true) => {
                let patience = self.patience(now);
                self.check(Vec::new(), InFlight::Probe, patience);
            }
            Err(false) => {}
        }
    }

    /// More files at once than a person edits wait for each other, `max_wait` at most.
    fn waits_for_storm(&mut self, now: Instant) -> bool {
        let settings = &self.context.settings;
        let waiting = self.debouncer.len();
        if waiting == 0 || self.ready_saved.len() + waiting <= settings.bulk_threshold {
            self.storm = None;
            return false;
        }
        let since = *self.storm.get_or_insert(now);
        if now < since + settings.max_wait {
            return true;
        }
        self.storm = None;
        false
    }

    fn has_baseline(&self) -> bool {
        self.first == Some(Cause::Baseline) && !self.ready_compared.is_empty()
    }

    fn check_saved(&mut self, now: Instant) {
        let paths: Vec<_> = std::mem::take(&mut self.ready_saved).into_iter().collect();
        let patience = self.patience(now);
        self.check(paths, InFlight::Saved, patience);
    }

    fn check_compared(&mut self, cause: Cause, now: Instant) {
        let paths: Vec<_> = self
            .ready_compared
            .iter()
            .filter(|(_, other)| **other == cause)
            .map(|(path, _)| path.clone())
            .take(COMPARE_AT_ONCE)
            .collect();
        for path in &paths {
            self.ready_compared.remove(path);
        }
        let patience = match cause {
            Cause::Baseline => Patience::None,
            _ => self.patience(now),
        };
        self.check(paths, InFlight::Compared(cause), patience);
    }

    fn check(&mut self, paths: Vec<RelPath>, kind: InFlight, patience: Patience) {
        let folder = |path: &RelPath| (path.dir().into(), None);
        self.listed = paths.iter().map(folder).collect();
        let items = paths
            .into_iter()
            .map(|path| {
                let known = self.known(&path);
                (path, known)
            })
            .collect();
        let check = Check {
            root: self.root.clone(),
            identity: self.identity,
            repository: self.repository.clone(),
            patience,
            items,
        };
        let handle = tokio::task::spawn_blocking(|| check.run());
        self.in_flight = Some((handle, kind));
    }
}

impl RootTask {
    pub(super) fn on_checked(&mut self, checked: Checked) {
        let Some((_, kind)) = self.in_flight.take() else {
            return;
        };
        let now = Instant::now();
        let cause = match kind {
            InFlight::Probe | InFlight::Saved => Cause::Saved,
            InFlight::Compared(cause) => cause,
        };
        let Checked { items, verdict } = checked;
        match verdict {
            Verdict::Held(activity) => {
                self.put_back(items, cause);
                self.on_held(activity, now);
            }
            Verdict::RootGone => {
                self.put_back(items, cause);
                self.on_root_gone(now);
            }
            Verdict::Looked(outcomes, activity) => {
                if activity == Activity::None {
                    self.git_is_stale = false;
                }
                if kind == InFlight::Probe {
                    self.on_git_rest(now);
                } else if cause != Cause::Baseline {
                    self.hold = None;
                }
                let paths = items.into_iter().map(|(path, _)| path);
                self.on_outcomes(paths.zip(outcomes).collect(), cause, now);
            }
        }
    }

    fn put_back(&mut self, items: Vec<(RelPath, Option<FileStamp>)>, cause: Cause) {
        for (path, _) in items {
            if cause == Cause::Saved {
                self.ready_saved.insert(path);
            } else {
                self.ready_compared.insert(path, cause);
            }
        }
    }

    pub(super) fn on_outcomes(
        &mut self,
        found: Vec<(RelPath, Outcome)>,
        cause: Cause,
        now: Instant,
    ) {
        let listed = std::mem::take(&mut self.listed);
        let (again, found): (Vec<_>, Vec<_>) = found.into_iter().partition(|(path, outcome)| {
            let Some(Some(files)) = listed.get(path.dir()) else {
                return false;
            };
            let stamp = match outcome {
                Outcome::File(stamp) => Some(stamp),
                Outcome::Folder | Outcome::Unreadable(_) | Outcome::Absent => None,
            };
            !self.is_as_listed(path, stamp, files)
        });
        for (path, _) in again {
            self.nominate(path, cause, now);
        }
        // What is gone first: what is new may be its new name.
        let (there, gone): (Vec<_>, Vec<_>) = found
            .into_iter()
            .partition(|(_, outcome)| matches!(outcome, Outcome::File(_)));
        for (path, outcome) in gone {
            match outcome {
                Outcome::Folder => {
                    self.scan_dirs.insert(path.as_str().into());
                    self.on_absent(path, cause, now);
                }
                Outcome::Unreadable(error) => self.on_unreadable(path, &error, now),
                Outcome::Absent | Outcome::File(_) => self.on_absent(path, cause, now),
            }
        }
        for (path, outcome) in there {
            if let Outcome::File(stamp) = outcome {
                self.on_file(path, stamp, cause, now);
            }
        }
        self.settle_held();
    }

    fn on_absent(&mut self, path: RelPath, cause: Cause, now: Instant) {
        self.held.remove(&path);
        self.unreadable.remove(&path);
        let Some(known) = self.known(&path) else {
            // A temporary file, or one that came and went before it was told of.
            self.suspects.remove(&path);
            return self.outbox.withdraw(&path);
        };
        if self.suspects.get(&path).map(|suspect| suspect.as_what) != Some(Suspicion::Gone) {
            let as_what = Suspicion::Gone;
            self.suspects
                .insert(path.clone(), Suspect { as_what, cause });
            self.debouncer.insert(path, now);
            return;
        }
        self.suspects.remove(&path);
        let renamed = self
            .held
            .iter()
            .find(|(_, held)| held.stamp.hash == known.hash && known.size > 0)
            .map(|(new, _)| new.clone());
        if let Some(new) = renamed
            && let Some(Held { stamp, cause }) = self.held.remove(&new)
        {
            let change = Change::Renamed {
                from: path,
                path: new,
                stamp,
            };
            self.outbox.put(change, cause);
        } else {
            self.outbox.put(Change::Removed { path }, cause);
        }
    }

    fn on_unreadable(&mut self, path: RelPath, error: &io::Error, now: Instant) {
        self.suspects.remove(&path);
        let is_news = self.unreadable.len() < UNREADABLE && self.unreadable.insert(path.clone());
        if error.kind() == ErrorKind::PermissionDenied {
            // Until somebody changes that, of which there is an event.
            if is_news {
                tracing::warn!(%path, %error, "a source cannot be read; it is taken as unchanged");
            }
            return;
        }
        if is_news {
            tracing::warn!(%path, %error, "a source cannot be read just now; it is tried again");
        }
        self.debouncer.insert(path, now + READ_AGAIN);
    }

    pub(super) fn on_file(&mut self, path: RelPath, stamp: FileStamp, cause: Cause, now: Instant) {
        if cause == Cause::Baseline && self.debouncer.contains(&path) {
            // It changes just now, and the look that is due will find it changed.
            return;
        }
        self.held.remove(&path);
        self.unreadable.remove(&path);
        self.outbox.returned(&path);
        let known = self.known(&path);
        if !self.keeps(&path) {
            self.suspects.remove(&path);
            match known {
                Some(_) => self.outbox.put(Change::Forgotten { path }, cause),
                None => self.outbox.withdraw(&path),
            }
            return;
        }
        let suspicion = self.suspects.remove(&path).map(|suspect| suspect.as_what);
        match known {
            None if cause == Cause::Baseline && self.is_older_than_us(&stamp) => {
                self.outbox.put(Change::Seen { path, stamp }, cause);
            }
            None => {
                self.held.insert(path, Held { stamp, cause });
            }
            Some(known) if known.hash == stamp.hash => {
                self.outbox.withdraw(&path);
                if known != stamp {
                    self.outbox.put(Change::Seen { path, stamp }, cause);
                }
            }
            Some(known)
                if stamp.size == 0 && known.size > 0 && suspicion != Some(Suspicion::Emptied) =>
            {
                let as_what = Suspicion::Emptied;
                self.suspects
                    .insert(path.clone(), Suspect { as_what, cause });
                self.debouncer.insert(path, now);
            }
            Some(_) => self.outbox.put(Change::Modified { path, stamp }, cause),
        }
    }

    /// Whether a file was as it is before the first look at this project began.
    fn is_older_than_us(&self, stamp: &FileStamp) -> bool {
        stamp.mtime_ns.max(stamp.ctime_ns) <= self.baseline_from_ns
    }

    /// Lets go of the new files that are no longer waited for: no scan is under way that may find
    /// their old names gone, and no file that is looked at, or about to be, has their content.
    pub(super) fn settle_held(&mut self) {
        let scanning = self.scan.is_some() && self.index.files() > 0;
        if self.held.is_empty() || scanning || self.in_flight.is_some() {
            return;
        }
        let unsettled = self.unsettled();
        let settled: Vec<RelPath> = self
            .held
            .iter()
            .filter(|(_, held)| !unsettled.contains(&held.stamp.hash))
            .map(|(path, _)| path.clone())
            .collect();
        for path in settled {
            if let Some(Held { stamp, cause }) = self.held.remove(&path) {
                self.outbox.put(Change::Modified { path, stamp }, cause);
            }
        }
    }

    /// The known contents of the files that are about to be looked at.
    fn unsettled(&self) -> HashSet<ContentHash> {
        self.debouncer
            .keys()
            .chain(&self.ready_saved)
            .chain(self.ready_compared.keys())
            .chain(self.suspects.keys())
            .filter_map(|path| self.known(path))
            .filter(|known| known.size > 0)
            .map(|known| known.hash)
            .collect()
    }
}
