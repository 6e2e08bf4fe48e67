//! What the receiver was last told, and which folders are watched: kept small.

#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use testsmith_domain::{FileStamp, RelPath};

use crate::rules::Rules;
use crate::watches::Cover;

/// The sources of one tree by folder.
///
/// A file costs 72 bytes and its name without the folder's, with no allocation of its own: small
/// ones that live for weeks among those of a scan would keep the scan's memory from being given
/// back. So 100,000 files take about 9 MB.
#[derive(Debug, Default)]
pub(crate) struct Index {
    folders: BTreeMap<Box<str>, Folder>,
    files: usize,
    coverage: Coverage,
}

/// How many folders are kept, and how the changes in them are learned of.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Coverage {
    /// By a watch alone.
    pub(crate) watched: usize,
    /// By polling, since they have no watch.
    pub(crate) unwatched: usize,
    /// By polling too, since others write to their file system.
    pub(crate) shared: usize,
}

impl Coverage {
    const fn of(&mut self, cover: Cover) -> &mut usize {
        match cover {
            Cover::Watch => &mut self.watched,
            Cover::None => &mut self.unwatched,
            Cover::Shared => &mut self.shared,
        }
    }

    pub(crate) const fn polled(&self) -> usize {
        self.unwatched + self.shared
    }

    pub(crate) const fn folders(&self) -> usize {
        self.watched + self.polled()
    }
}

#[derive(Debug, Default)]
pub(crate) struct Folder {
    /// The rules that hold in it. `None` for a folder that is gone or ignored, and whose files
    /// have still to be told of.
    rules: Option<Arc<Rules>>,
    cover: Cover,
    /// The number of the scan that last saw it.
    scan: u32,
    /// The names of all files, sorted, one after the other.
    names: String,
    /// In the order of `names`.
    files: Vec<File>,
}

#[derive(Debug)]
struct File {
    /// Where its name ends; it begins where the one before ends.
    name_end: usize,
    stamp: FileStamp,
}

impl Folder {
    pub(crate) fn rules(&self) -> Option<&Arc<Rules>> {
        self.rules.as_ref()
    }

    pub(crate) const fn cover(&self) -> Cover {
        self.cover
    }

    /// Names and stamps, sorted by name.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&str, &FileStamp)> {
        self.files
            .iter()
            .enumerate()
            .map(|(at, file)| (self.name(at), &file.stamp))
    }

    fn get(&self, name: &str) -> Option<&FileStamp> {
        let at = self.position(name).ok()?;
        self.files.get(at).map(|file| &file.stamp)
    }

    /// Whether it is new.
    fn set(&mut self, name: &str, stamp: FileStamp) -> bool {
        match self.position(name) {
            Ok(at) => {
                self.files[at].stamp = stamp;
                false
            }
            Err(at) => {
                let start = self.name_start(at);
                self.names.insert_str(start, name);
                let name_end = start;
                self.files.insert(at, File { name_end, stamp });
                for file in &mut self.files[at..] {
                    file.name_end += name.len();
                }
                true
            }
        }
    }

    /// Whether it was there.
    fn remove(&mut self, name: &str) -> bool {
        let Ok(at) = self.position(name) else {
            return false;
        };
        let start = self.name_start(at);
        self.names.drain(start..start + name.len());
        self.files.remove(at);
        for file in &mut self.files[at..] {
            file.name_end -= name.len();
        }
        true
    }

    /// Where `name` is, or where it would be.
    fn position(&self, name: &str) -> Result<usize, usize> {
        let (mut from, mut to) = (0, self.files.len());
        while from < to {
            let middle = usize::midpoint(from, to);
            match self.name(middle).cmp(name) {
                Ordering::Less => from = middle + 1,
                Ordering::Equal => return Ok(middle),
                Ordering::Greater => to = middle,
            }
        }
        Err(from)
    }

    fn name(&self, at: usize) -> &str {
        &self.names[self.name_start(at)..self.files[at].name_end]
    }

    fn name_start(&self, at: usize) -> usize {
        at.checked_sub(1)
            .map_or(0, |before| self.files[before].name_end)
    }
}

impl Index {
    pub(crate) fn new(known: Vec<(RelPath, FileStamp)>) -> Self {
        let mut index = Self::default();
        let mut sizes: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
        for (path, _) in &known {
            let (files, names) = sizes.entry(path.dir()).or_default();
            *files += 1;
            *names += path.file_name().len();
        }
        for (dir, (files, names)) in sizes {
            index.expect(dir, files, names);
        }
        for (path, stamp) in known {
            index.set(&path, stamp);
        }
        index
    }

    /// Makes room for a folder with this many files, whose names have so many bytes together: what
    /// grows bit by bit leaves holes behind that are never given back.
    pub(crate) fn expect(&mut self, dir: &str, files: usize, names: usize) {
        let folder = match self.folders.get_mut(dir) {
            Some(folder) => folder,
            None => self.folders.entry(dir.into()).or_default(),
        };
        let (more_files, more_names) = (
            files.saturating_sub(folder.files.len()),
            names.saturating_sub(folder.names.len()),
        );
        folder.files.reserve_exact(more_files);
        folder.names.reserve_exact(more_names);
    }

    pub(crate) fn get(&self, path: &RelPath) -> Option<&FileStamp> {
        self.folders.get(path.dir())?.get(path.file_name())
    }

    pub(crate) fn contains(&self, path: &RelPath) -> bool {
        self.get(path).is_some()
    }

    pub(crate) fn set(&mut self, path: &RelPath, stamp: FileStamp) {
        if !self.folders.contains_key(path.dir()) {
            self.folders.insert(path.dir().into(), Folder::default());
        }
        if let Some(folder) = self.folders.get_mut(path.dir())
            && folder.set(path.file_name(), stamp)
        {
            self.files += 1;
        }
    }

    pub(crate) fn remove(&mut self, path: &RelPath) {
        let Some(folder) = self.folders.get_mut(path.dir()) else {
            return;
        };
        self.files -= usize::from(folder.remove(path.file_name()));
        if folder.files.is_empty() && folder.rules.is_none() {
            self.folders.remove(path.dir());
        }
    }

    pub(crate) fn folder(&self, dir: &str) -> Option<&Folder> {
        self.folders.get(dir)
    }

    /// Whether `dir` is a folder whose files are sources.
    pub(crate) fn keeps(&self, dir: &str) -> bool {
        self.folder(dir)
            .is_some_and(|folder| folder.rules.is_some())
    }

    /// Notes a folder that a scan found.
    pub(crate) fn keep(&mut self, dir: &str, rules: Arc<Rules>, cover: Cover, scan: u32) {
        let folder = match self.folders.get_mut(dir) {
            Some(folder) => folder,
            None => self.folders.entry(dir.into()).or_default(),
        };
        if folder.rules.is_some() {
            *self.coverage.of(folder.cover) -= 1;
        }
        *self.coverage.of(cover) += 1;
        folder.rules = Some(rules);
        folder.cover = cover;
        folder.scan = scan;
    }

    /// Notes that `dir`, and not what is below it, is gone or ignored. Returns whether it had a
    /// watch, and its files.
    pub(crate) fn drop_folder(&mut self, dir: &str) -> (bool, Vec<RelPath>) {
        let Some(folder) = self.folders.get_mut(dir) else {
            return (false, Vec::new());
        };
        let cover = std::mem::take(&mut folder.cover);
        if folder.rules.take().is_some() {
            *self.coverage.of(cover) -= 1;
        }
        let files: Vec<_> = folder
            .files()
            .filter_map(|(name, _)| join(dir, name))
            .collect();
        if folder.files.is_empty() {
            self.folders.remove(dir);
        }
        (cover != Cover::None, files)
    }

    /// Notes that the scan could not look below `dir`: what was there is taken to be there still.
    pub(crate) fn vouch_below(&mut self, dir: &str, scan: u32) {
        for name in self.below(dir) {
            if let Some(folder) = self.folders.get_mut(&*name) {
                folder.scan = scan;
            }
        }
    }

    /// The folders at and below `dir`.
    pub(crate) fn below(&self, dir: &str) -> Vec<Box<str>> {
        self.range(dir).map(|(name, _)| name.clone()).collect()
    }

    /// The folders at and below `dir` that scan number `scan` did not see.
    pub(crate) fn unseen_below(&self, dir: &str, scan: u32) -> Vec<Box<str>> {
        self.range(dir)
            .filter(|(_, folder)| folder.scan != scan)
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// Kept folders that are polled, without those below another one.
    pub(crate) fn polled(&self) -> Vec<Box<str>> {
        let polled = |dir: &str| {
            self.folder(dir)
                .is_some_and(|folder| folder.rules.is_some() && folder.cover != Cover::Watch)
        };
        self.folders
            .keys()
            .filter(|name| polled(name) && !parents(name).any(polled))
            .cloned()
            .collect()
    }

    pub(crate) const fn files(&self) -> usize {
        self.files
    }

    pub(crate) const fn coverage(&self) -> Coverage {
        self.coverage
    }

    /// Gives back what growing left over.
    pub(crate) fn compact(&mut self) {
        for folder in self.folders.values_mut() {
            folder.files.shrink_to_fit();
            folder.names.shrink_to_fit();
        }
    }

    fn range<'a>(&'a self, dir: &str) -> Box<dyn Iterator<Item = (&'a Box<str>, &'a Folder)> + 'a> {
        if dir.is_empty() {
            return Box::new(self.folders.iter());
        }
        let (from, to) = (format!("{dir}/"), format!("{dir}0"));
        let itself = self.folders.get_key_value(dir);
        // '0' is the character after '/', so this is all that starts with `dir` and a slash.
        let below = self
            .folders
            .range::<str, _>((Bound::Included(&*from), Bound::Excluded(&*to)));
        Box::new(itself.into_iter().chain(below))
    }
}

/// The folders above `dir`, from the nearest to the root, which is empty.
pub(crate) fn parents(dir: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(parent(dir), |dir| parent(dir))
}

/// The folder above `dir`; `None` for the root.
pub(crate) fn parent(dir: &str) -> Option<&str> {
    if dir.is_empty() {
        return None;
    }
    Some(dir.rsplit_once('/').map_or("", |(above, _)| above))
}

/// The path of `name` in folder `dir`.
pub(crate) fn join(dir: &str, name: &str) -> Option<RelPath> {
    let text = if dir.is_empty() {
        name.to_owned()
    } else {
        format!("{dir}/{name}")
    };
    RelPath::new(text).ok()
}
