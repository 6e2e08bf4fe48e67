//! What wakes nothing: case 20, but for the idle time, which is in `idle.rs`.

use std::fs;

use crate::harness::{Tree, Watched, settings};

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
