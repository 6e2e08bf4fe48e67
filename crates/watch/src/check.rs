//! The look at files: what is there, and what is its content.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use testsmith_domain::{ContentHash, FileStamp, RelPath};

use crate::git::{Activity, Repository};
use crate::walk::Stat;

/// File systems note times in steps of up to this. A file changed less than a step before it was
/// read may change again without its times telling.
const TIME_STEP_NS: i64 = 20_000_000;

/// A file whose entry is as it was is read all the same if it changed this recently.
const RECENT_NS: i64 = 2_000_000_000;

/// A look at some files of one root.
#[derive(Debug)]
pub(crate) struct Check {
    pub(crate) root: PathBuf,
    /// Device and inode of the root when it was last walked: another one is another tree.
    pub(crate) identity: Option<(u64, u64)>,
    pub(crate) repository: Option<Repository>,
    /// When not to look because of git.
    pub(crate) patience: Patience,
    pub(crate) items: Vec<(RelPath, Option<FileStamp>)>,
}

/// What git may do while files are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    /// Nothing.
    Any,
    /// Wait for the user in the middle of a rebase or merge.
    Lock,
    /// Whatever it likes: it took too long.
    None,
}

/// What came of a [`Check`].
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) items: Vec<(RelPath, Option<FileStamp>)>,
    pub(crate) verdict: Verdict,
}

#[derive(Debug)]
pub(crate) enum Verdict {
    /// One outcome for each item.
    Looked(Vec<Outcome>, Activity),
    /// Git is at work.
    Held(Activity),
    /// The root is gone, or another.
    RootGone,
}

/// What is at a path.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// No file, nor anything that counts as one.
    Absent,
    Folder,
    File(FileStamp),
    Unreadable(io::Error),
}

/// Device and inode of a folder.
pub(crate) fn identity(folder: &Path) -> Option<(u64, u64)> {
    fs::symlink_metadata(folder)
        .ok()
        .filter(fs::Metadata::is_dir)
        .map(|folder| (folder.dev(), folder.ino()))
}

impl Check {
    /// Looks. Blocks on the disk.
    pub(crate) fn run(self) -> Checked {
        let mut verdict = self
            .gate()
            .unwrap_or_else(|| Verdict::Looked(self.look(), Activity::None));
        // Git or a removal may have begun meanwhile, and what was seen be half of it.
        if let Verdict::Looked(_, activity) = &mut verdict {
            match self.gate() {
                Some(gate) => verdict = gate,
                None => *activity = self.activity(),
            }
        }
        Checked {
            items: self.items,
            verdict,
        }
    }

    fn gate(&self) -> Option<Verdict> {
        if self.identity.is_some() && identity(&self.root) != self.identity {
            return Some(Verdict::RootGone);
        }
        let activity = self.activity();
        let held = match (&activity, self.patience) {
            (Activity::None, _) | (_, Patience::None) => false,
            (Activity::Locked(_), _) => true,
            (Activity::Operation(_), patience) => patience == Patience::Any,
        };
        held.then_some(Verdict::Held(activity))
    }

    fn activity(&self) -> Activity {
        self.repository
            .as_ref()
            .map_or(Activity::None, Repository::activity)
    }

    fn look(&self) -> Vec<Outcome> {
        let mut parents = HashSet::new();
        self.items
            .iter()
            .map(|(path, known)| {
                if has_link_above(&self.root, path, &mut parents) {
                    return Outcome::Absent;
                }
                look(&path.under(&self.root), known.as_ref())
            })
            .collect()
    }
}

/// Whether a folder above `path` is a link, which may lead out of the root. `plain` remembers
/// those that are none.
fn has_link_above(root: &Path, path: &RelPath, plain: &mut HashSet<String>) -> bool {
    let dirs = std::iter::successors(Some(path.dir()), |dir| crate::index::parent(dir));
    for dir in dirs.filter(|dir| !dir.is_empty()) {
        if plain.contains(dir) {
            return false;
        }
        if fs::symlink_metadata(root.join(dir)).is_ok_and(|entry| entry.is_symlink()) {
            return true;
        }
    }
    plain.insert(path.dir().to_owned());
    false
}

fn look(path: &Path, known: Option<&FileStamp>) -> Outcome {
    try_look(path, known).unwrap_or_else(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Outcome::Absent,
        _ => Outcome::Unreadable(error),
    })
}

fn try_look(path: &Path, known: Option<&FileStamp>) -> io::Result<Outcome> {
    let entry = fs::symlink_metadata(path)?;
    if entry.is_dir() {
        return Ok(Outcome::Folder);
    }
    if !entry.is_file() {
        return Ok(Outcome::Absent);
    }
    let stat = Stat::of(&entry);
    if let Some(known) = known
        && matches(known, stat)
        && now_ns().saturating_sub(stat.ctime_ns) > RECENT_NS
    {
        return Ok(Outcome::File(*known));
    }
    let file = File::open(path)?;
    let opened = file.metadata()?;
    if !opened.is_file() {
        return Ok(Outcome::Absent);
    }
    let read_at = now_ns();
    let hash = ContentHash::of_reader(&file)?;
    let before = Stat::of(&opened);
    let settled = Stat::of(&file.metadata()?) == before
        && read_at.saturating_sub(before.ctime_ns.max(before.mtime_ns)) > TIME_STEP_NS;
    Ok(Outcome::File(FileStamp {
        size: before.size,
        mtime_ns: before.mtime_ns,
        // A stamp that no file has: the next comparison reads the file again.
        ctime_ns: if settled { before.ctime_ns } else { 0 },
        inode: before.inode,
        hash,
    }))
}

/// Whether a file's entry is as `stamp` remembers it.
pub(crate) const fn matches(stamp: &FileStamp, stat: Stat) -> bool {
    stamp.size == stat.size
        && stamp.mtime_ns == stat.mtime_ns
        && stamp.ctime_ns == stat.ctime_ns
        && stamp.inode == stat.inode
}

/// The wall clock, in a [`FileStamp`]'s units.
pub(crate) fn now_ns() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|time| i64::try_from(time.as_nanos()).ok())
        .unwrap_or(0)
}
