//! Folders of test files, of which each is written to by one at a time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use testsmith_domain::RelPath;

/// Held while a test file in one folder is composed and written.
pub(crate) type FolderLock = Arc<tokio::sync::Mutex<()>>;

/// The locks that are in use.
#[derive(Debug, Default)]
pub(crate) struct Folders(Mutex<HashMap<(String, String), FolderLock>>);

impl Folders {
    /// The lock of the folder in which `test_path` is. Test files of one folder are written one after the other: in a
    /// language where they share their names (Go), two at a time could not see what the other is about to define. The
    /// service's own runs take it, and the user's own verbs.
    pub(crate) fn lock_of(&self, root: &str, test_path: &RelPath) -> FolderLock {
        let mut folders = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Only those in use are kept: a daemon runs for weeks.
        folders.retain(|_, lock| Arc::strong_count(lock) > 1);
        let folder = (root.to_owned(), test_path.dir().to_owned());
        Arc::clone(folders.entry(folder).or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_folder_has_one_lock_for_as_long_as_it_is_used() {
        let folders = Folders::default();
        let path = |path: &str| RelPath::new(path).unwrap();
        let one = folders.lock_of("/a", &path("x/one_test.go"));
        assert!(Arc::ptr_eq(
            &one,
            &folders.lock_of("/a", &path("x/two_test.go"))
        ));
        assert!(!Arc::ptr_eq(
            &one,
            &folders.lock_of("/a", &path("y/one_test.go"))
        ));
        assert!(!Arc::ptr_eq(
            &one,
            &folders.lock_of("/b", &path("x/one_test.go"))
        ));
        drop(one);
        folders.lock_of("/a", &path("z/one_test.go"));
        assert_eq!(folders.0.lock().unwrap().len(), 1);
    }
}
