//! What wakes nothing: case 20, but for the idle time, which is in `idle.rs`.

use std::fs;

use testsmith_watch::WatchSettings;

use crate::harness::{Tree, Watched, pause, settings};

/// A copy or a formatter that takes longer than the quiet time.
#[tokio::test]
async fn many_files_written_one_after_the_other_are_one_bulk_change() {
    let tree = Tree::new();
    let settings = WatchSettings {
        bulk_threshold: 5,
        max_wait: std::time::Duration::from_secs(30),
        ..settings()
    };
    let mut watched = Watched::start(&tree, settings).await;
    for number in 0..200 {
        tree.write(&format!("f{number}.py"), &format!("x = {number}\n"));
        pause(2).await;
    }
    let told = watched.settle().await;
    assert_eq!(told.work().len(), 200);
    // More than one only if the machine stops for longer than the quiet time.
    assert!(told.batches.len() <= 5, "{}", told.batches.len());
    watched.assert_true();
}

#[tokio::test]
async fn own_writes_and_other_files_wake_nothing() {
    let tree = Tree::new();
    tree.write("src/a.py", "x = 0\n");
    tree.write("state/cache.sled/db.py", "x = 0\n");
    let mut watched = Watched::start(&tree, settings()).await;
    let before = watched.handle.stats()[&tree.root];
    for round in 0..20 {
        tree.write("state/log/run.py", &format!("x = {round}\n"));
        tree.write("state/cache.sled/db.py", &format!("x = {round}\n"));
    }
    assert_eq!(watched.settle().await.work(), []);
    let after = watched.handle.stats()[&tree.root];
    assert!(after.events - before.events <= 3, "{after:?}");
    assert_eq!(after.watched, 2);

    // Our tests beside the sources, written whole: a temporary file renamed.
    let temporary = tree.path("src/.a_testsmith_test.py.tmp");
    fs::write(&temporary, "def test(): pass\n").unwrap();
    fs::rename(&temporary, tree.path("src/a_testsmith_test.py")).unwrap();
    tree.write("src/notes.txt", "hello\n");
    tree.write("src/.hidden.py", "x = 1\n");
    tree.write("node_modules/x/index.ts", "x\n");
    tree.write("venv/pyvenv.cfg", "home = /usr\n");
    let told = watched.settle().await;
    assert_eq!(told.work(), []);
    watched.assert_true();
}
