//! Whether git is moving files about just now.

use std::fs;
use std::path::{Path, PathBuf};

/// Entries of the git folder that are there while an operation of several steps is under way,
/// perhaps waiting for the user for days.
const OPERATIONS: [&str; 5] = [
    "rebase-merge",
    "rebase-apply",
    "MERGE_HEAD",
    "CHERRY_PICK_HEAD",
    "REVERT_HEAD",
];

/// The repository that a folder belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Repository {
    /// The top of the working tree.
    pub(crate) top: PathBuf,
    /// Where this working tree's `HEAD` and `index` are.
    pub(crate) git_dir: PathBuf,
    /// Where what all working trees share is.
    pub(crate) common_dir: PathBuf,
}

/// What git is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Activity {
    None,
    /// It holds this lock: files may be half changed.
    Locked(PathBuf),
    /// A rebase, merge or pick is under way; it may be at work or wait for the user.
    Operation(PathBuf),
}

impl Repository {
    pub(crate) fn activity(&self) -> Activity {
        let there = |name: &str| {
            let path = self.git_dir.join(name);
            fs::symlink_metadata(&path).is_ok().then_some(path)
        };
        if let Some(lock) = there("index.lock") {
            return Activity::Locked(lock);
        }
        OPERATIONS
            .iter()
            .find_map(|name| there(name))
            .map_or(Activity::None, Activity::Operation)
    }
}

/// Finds the repository that `folder` is in.
pub(crate) fn repository_of(folder: &Path) -> Option<Repository> {
    folder.ancestors().find_map(|top| {
        let entry = top.join(".git");
        let git_dir = if fs::metadata(&entry).ok()?.is_dir() {
            entry
        } else {
            git_file(&entry)?
        };
        if fs::symlink_metadata(git_dir.join("HEAD")).is_err() {
            // Not a repository, says git too.
            return None;
        }
        let common_dir = fs::read_to_string(git_dir.join("commondir"))
            .map_or_else(|_| git_dir.clone(), |text| git_dir.join(text.trim_end()));
        Some(Repository {
            top: top.to_owned(),
            git_dir,
            common_dir,
        })
    })
}

/// Whether `folder` is the top of another working tree of a repository, made by `git worktree`.
pub(crate) fn is_linked_worktree(folder: &Path) -> bool {
    git_file(&folder.join(".git")).is_some_and(|git_dir| git_dir.join("commondir").is_file())
}

/// Where a `.git` that is a file points to (gitrepository-layout(5)).
fn git_file(file: &Path) -> Option<PathBuf> {
    if !fs::symlink_metadata(file).ok()?.is_file() {
        return None;
    }
    let text = fs::read_to_string(file).ok()?;
    let target = Path::new(text.strip_prefix("gitdir:")?.trim());
    Some(file.parent()?.join(target))
}
