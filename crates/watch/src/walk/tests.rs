use std::collections::BTreeSet;
use std::panic::{self, AssertUnwindSafe};

use super::*;

/// Folders in the tree, the root among them: enough for several walkers.
const FOLDERS: usize = 1 + 40 + 40 * 5;

fn tree() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for above in 0..40 {
        for below in 0..5 {
            let folder = root.path().join(format!("d{above}/e{below}"));
            fs::create_dir_all(&folder).unwrap();
            for name in ["b.py", "a.py", "other.txt"] {
                fs::write(folder.join(name), "x").unwrap();
            }
        }
    }
    root
}

fn walk(root: &Path, on_visit: &mut OnVisit<'_>) -> ControlFlow<()> {
    let claims: Claims = Arc::new(|path| path.extension() == "py");
    let walk = Walk {
        root,
        claims: &claims,
        state_dir: None,
        watch: &|_| Cover::Watch,
    };
    let start = Start {
        dir: "".into(),
        above: Arc::new(Rules::empty()),
    };
    walk.run(vec![start], on_visit)
}

#[test]
fn each_folder_is_told_of_once_and_after_the_one_above() {
    let root = tree();
    let mut seen = BTreeSet::new();
    let mut files = 0;
    let flow = walk(root.path(), &mut |visit| {
        let Visit::Folder(listing) = visit else {
            panic!("nothing is gone: {visit:?}");
        };
        if let Some((above, _)) = listing.dir.rsplit_once('/') {
            assert!(seen.contains(above), "{} before {above}", listing.dir);
        }
        assert!(listing.complete);
        assert!(listing.files.is_sorted_by(|a, b| a.0 < b.0));
        files += listing.files.len();
        assert!(
            seen.insert(listing.dir.to_string()),
            "{} twice",
            listing.dir
        );
        ControlFlow::Continue(())
    });
    assert!(flow.is_continue());
    assert_eq!(seen.len(), FOLDERS);
    assert_eq!(files, 40 * 5 * 2);
}

#[test]
fn after_a_break_nothing_more_is_told() {
    let root = tree();
    for last in [1, 50, FOLDERS - 1] {
        let mut told = 0;
        let flow = walk(root.path(), &mut |_| {
            told += 1;
            if told < last {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        });
        assert!(flow.is_break());
        assert_eq!(told, last);
    }
}

#[test]
fn a_panic_ends_the_walk_and_is_passed_on() {
    let root = tree();
    let mut told = 0;
    let walked = panic::catch_unwind(AssertUnwindSafe(|| {
        walk(root.path(), &mut |_| {
            told += 1;
            assert!(told != 60, "the sixtieth folder");
            ControlFlow::Continue(())
        })
    }));
    assert!(walked.is_err());
}
