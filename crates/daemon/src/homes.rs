//! Whether the projects' folders are there: a disk may be away, and a folder renamed for a while.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// The projects' folders as they were at the start.
#[derive(Debug)]
pub(crate) struct Homes(HashMap<PathBuf, Option<(u64, u64)>>);

impl Homes {
    pub(crate) fn new<'a>(roots: impl Iterator<Item = &'a PathBuf>) -> Self {
        Self(roots.map(|root| (root.clone(), identity(root))).collect())
    }

    /// Whether a project's folder is there. An empty one in its place is none: there a disk was
    /// mounted. Blocks.
    pub(crate) fn is_there(&self, root: &Path) -> bool {
        let now = identity(root);
        let is_same = now.is_some() && self.0.get(root) == Some(&now);
        is_same || fs::read_dir(root).is_ok_and(|mut entries| entries.next().is_some())
    }
}

/// Device and inode of a folder.
fn identity(folder: &Path) -> Option<(u64, u64)> {
    let entry = fs::symlink_metadata(folder).ok()?;
    entry.is_dir().then(|| (entry.dev(), entry.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_folder_in_place_of_another_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let (root, away) = (dir.path().join("project"), dir.path().join("away"));
        fs::create_dir(&root).unwrap();
        let homes = Homes::new([&root].into_iter());
        assert!(homes.is_there(&root), "it was empty before");
        fs::rename(&root, &away).unwrap();
        assert!(!homes.is_there(&root));
        fs::create_dir(&root).unwrap();
        assert!(!homes.is_there(&root));
        fs::write(root.join("a.go"), "package a\n").unwrap();
        assert!(homes.is_there(&root), "another that has something in it");
        fs::remove_dir_all(&root).unwrap();
        fs::rename(&away, &root).unwrap();
        assert!(homes.is_there(&root));
    }
}
