//! Changes found and not yet sent: one for each path, the newest.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use testsmith_domain::{FileStamp, RelPath};

use crate::change::{Cause, Change};

/// The most changes in one batch.
pub(crate) const BATCH: usize = 1_000;

#[derive(Debug, Default)]
pub(crate) struct Outbox {
    lanes: BTreeMap<Cause, BTreeMap<RelPath, Change>>,
    /// Old name to new name of the renames among them.
    renames: BTreeMap<RelPath, RelPath>,
    /// Lanes of which a part went out as bulk work; the rest belongs to it.
    bulk: BTreeSet<Cause>,
}

impl Outbox {
    /// Puts in the newest change of a path. One that is there already keeps its cause.
    pub(crate) fn put(&mut self, change: Change, cause: Cause) {
        let path = change.path();
        if self
            .lanes
            .values()
            .any(|lane| lane.get(path) == Some(&change))
        {
            return;
        }
        self.withdraw(change.path());
        if let Change::Renamed { from, path, .. } = &change {
            self.withdraw(from);
            // It has one new name; where it was seen before is a copy.
            self.returned(from);
            self.renames.insert(from.clone(), path.clone());
        }
        self.lanes
            .entry(cause)
            .or_default()
            .insert(change.path().clone(), change);
    }

    /// Takes out what there is of a path: it is as the receiver knows it.
    ///
    /// If that was a rename, its old name is still gone.
    pub(crate) fn withdraw(&mut self, path: &RelPath) {
        let Some((cause, change)) = self.take_path(path) else {
            return;
        };
        if let Change::Renamed { from, .. } = change {
            self.renames.remove(&from);
            let removed = Change::Removed { path: from.clone() };
            self.lanes.entry(cause).or_default().insert(from, removed);
        }
    }

    /// Notes that `path` is there: if it was taken to be renamed, it was copied.
    pub(crate) fn returned(&mut self, path: &RelPath) {
        let Some(new) = self.renames.remove(path) else {
            return;
        };
        for lane in self.lanes.values_mut() {
            if let Some(change) = lane.get_mut(&new)
                && let Change::Renamed { path, stamp, .. } = change
            {
                *change = Change::Modified {
                    path: path.clone(),
                    stamp: *stamp,
                };
            }
        }
    }

    /// The files directly in `dir` that a change waits for, with what they are after it (`None`:
    /// not there) and its cause.
    pub(crate) fn in_folder(&self, dir: &str) -> Vec<(RelPath, Option<FileStamp>, Cause)> {
        let mut found = Vec::new();
        for (cause, lane) in &self.lanes {
            for (path, change) in in_folder(lane, dir) {
                let stamp = effects(change).find_map(|(of, stamp)| (of == path).then_some(stamp));
                found.push((path.clone(), stamp.flatten(), *cause));
            }
        }
        for (from, path) in in_folder(&self.renames, dir) {
            let lane = self.lanes.iter().find(|(_, lane)| lane.contains_key(path));
            found.extend(lane.map(|(cause, _)| (from.clone(), None, *cause)));
        }
        found
    }

    /// How many changes wait.
    pub(crate) fn len(&self) -> usize {
        self.lanes.values().map(BTreeMap::len).sum()
    }

    /// How many changes wait that were found by comparing trees.
    pub(crate) fn compared(&self) -> usize {
        self.len() - self.lane_len(Cause::Saved)
    }

    fn lane_len(&self, cause: Cause) -> usize {
        self.lanes.get(&cause).map_or(0, BTreeMap::len)
    }

    /// The cause whose changes are to be sent next. `complete` tells whether all changes of a
    /// cause have been found; a full batch need not wait for that.
    pub(crate) fn next(&self, complete: impl Fn(Cause) -> bool) -> Option<Cause> {
        self.lanes
            .iter()
            .find(|(cause, lane)| !lane.is_empty() && (lane.len() >= BATCH || complete(**cause)))
            .map(|(cause, _)| *cause)
    }

    /// Takes out a batch of `cause`, and whether it is bulk work. `more`: others will follow.
    pub(crate) fn take(
        &mut self,
        cause: Cause,
        threshold: usize,
        more: bool,
    ) -> (Vec<Change>, bool) {
        let Some(lane) = self.lanes.get_mut(&cause) else {
            return (Vec::new(), false);
        };
        let work = lane.values().filter(|change| change.is_work()).count();
        let bulk = work > threshold || self.bulk.contains(&cause);
        let mut changes = Vec::with_capacity(lane.len().min(BATCH));
        while changes.len() < BATCH
            && let Some((_, change)) = lane.pop_first()
        {
            if let Change::Renamed { from, .. } = &change {
                self.renames.remove(from);
            }
            changes.push(change);
        }
        if lane.is_empty() && !more {
            self.lanes.remove(&cause);
            self.bulk.remove(&cause);
        } else if bulk {
            self.bulk.insert(cause);
        }
        (changes, bulk)
    }

    fn take_path(&mut self, path: &RelPath) -> Option<(Cause, Change)> {
        self.lanes
            .iter_mut()
            .find_map(|(cause, lane)| lane.remove(path).map(|change| (*cause, change)))
    }
}

/// The entries for files directly in `dir`.
pub(crate) fn in_folder<'a, T>(
    map: &'a BTreeMap<RelPath, T>,
    dir: &'a str,
) -> impl Iterator<Item = (&'a RelPath, &'a T)> {
    let from = RelPath::new(dir).map_or(Bound::Unbounded, Bound::Excluded);
    // '0' is the character after '/', so what begins with `dir` and a slash is before that.
    let to = RelPath::new(format!("{dir}0"));
    let to = to.ok().filter(|_| !dir.is_empty());
    let to = to.map_or(Bound::Unbounded, Bound::Excluded);
    map.range((from, to))
        .filter(move |(path, _)| path.dir() == dir)
}

/// The stamp that the receiver has after a change, by path: `None` for a path that it forgets.
pub(crate) fn effects(change: &Change) -> impl Iterator<Item = (&RelPath, Option<FileStamp>)> {
    let (first, second) = match change {
        Change::Modified { path, stamp } | Change::Seen { path, stamp } => {
            ((path, Some(*stamp)), None)
        }
        Change::Removed { path } | Change::Forgotten { path } => ((path, None), None),
        Change::Renamed { from, path, stamp } => ((from, None), Some((path, Some(*stamp)))),
    };
    std::iter::once(first).chain(second)
}

#[cfg(test)]
mod tests {
    use testsmith_domain::ContentHash;

    use super::*;

    fn path(text: &str) -> RelPath {
        RelPath::new(text).unwrap()
    }

    fn stamp(content: &str) -> FileStamp {
        FileStamp {
            size: content.len() as u64,
            mtime_ns: 0,
            ctime_ns: 0,
            inode: 0,
            hash: ContentHash::of(content.as_bytes()),
        }
    }

    fn renamed() -> Outbox {
        let mut outbox = Outbox::default();
        outbox.put(
            Change::Renamed {
                from: path("a"),
                path: path("b"),
                stamp: stamp("x"),
            },
            Cause::Saved,
        );
        outbox
    }

    #[test]
    fn a_rename_undone_leaves_the_removal() {
        let mut outbox = renamed();
        outbox.withdraw(&path("b"));
        let (changes, _) = outbox.take(Cause::Saved, 50, false);
        assert_eq!(changes, [Change::Removed { path: path("a") }]);
    }

    #[test]
    fn an_old_name_that_returns_makes_it_a_copy() {
        let mut outbox = renamed();
        outbox.returned(&path("a"));
        let (changes, _) = outbox.take(Cause::Saved, 50, false);
        let copied = Change::Modified {
            path: path("b"),
            stamp: stamp("x"),
        };
        assert_eq!(changes, [copied]);
    }

    #[test]
    fn what_waits_of_a_folder_is_what_is_directly_in_it() {
        let mut outbox = renamed();
        for name in ["d/a", "d/b/c", "d-e/f", "d", "e/g"] {
            let change = Change::Removed { path: path(name) };
            outbox.put(change, Cause::Startup);
        }
        let names = |dir| -> Vec<String> {
            let found = outbox.in_folder(dir).into_iter();
            found.map(|(path, ..)| path.into()).collect()
        };
        assert_eq!(names("d"), ["d/a"]);
        assert_eq!(names("d/b"), ["d/b/c"]);
        // A rename is of both its names.
        assert_eq!(names(""), ["b", "d", "a"]);
        assert_eq!(names("nothing"), [""; 0]);
    }

    #[test]
    fn the_newest_change_of_a_path_is_sent_once_and_in_batches() {
        let mut outbox = Outbox::default();
        for round in ["old", "new"] {
            for number in 0..1_200 {
                let path = path(&format!("f{number}"));
                let stamp = stamp(round);
                outbox.put(Change::Modified { path, stamp }, Cause::Saved);
            }
        }
        assert_eq!(outbox.next(|_| false), Some(Cause::Saved));
        let (first, bulk) = outbox.take(Cause::Saved, 50, false);
        assert_eq!((first.len(), bulk), (1_000, true));
        assert_eq!(outbox.next(|_| false), None);
        // The rest is few, but belongs to a bulk change.
        let (rest, bulk) = outbox.take(Cause::Saved, 500, false);
        assert_eq!((rest.len(), bulk), (200, true));
        assert_eq!(outbox.len(), 0);
        let is_new = |change: &Change| matches!(change, Change::Modified { stamp: found, .. } if *found == stamp("new"));
        assert!(first.iter().chain(&rest).all(is_new));
    }
}
