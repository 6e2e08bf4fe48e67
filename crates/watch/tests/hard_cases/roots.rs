//! What becomes of a root, and what it is on: case 17 and file systems that do not tell of changes.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use testsmith_watch::{Cause, RescanReason, RootState, WatchSettings};

use crate::harness::{Told, Tree, Watched, has, in_namespaces, pause, rel, settings, write};

/// Case 17.
#[tokio::test]
async fn a_root_replaced_by_a_link_is_missing_until_it_is_a_folder_again() {
    let tree = Tree::new();
    tree.write("a.py", "x = 1\n");
    let mut watched = Watched::start(&tree, settings()).await;
    fs::rename(&tree.root, tree.outside("away")).unwrap();
    symlink(tree.outside("away"), &tree.root).unwrap();
    write(&tree.outside("away/a.py"), "x = 2\n");
    let told = watched.until(RootState::Missing).await;
    assert_eq!(
        told.work(),
        [],
        "a link is no root, and nothing is taken for removed"
    );
    fs::remove_file(&tree.root).unwrap();
    fs::rename(tree.outside("away"), &tree.root).unwrap();
    let told = watched.settle().await;
    assert_eq!(told.modified(), ["a.py"]);
    assert_eq!(told.work().len(), 1);
    watched.assert_true();
}

/// Case 17, in a namespace of its own. No event tells of a mount; a comparison finds it.
#[tokio::test]
async fn a_root_mounted_over_and_unmounted_is_compared_each_time() {
    if !in_namespaces(
        &["-m"],
        "roots::a_root_mounted_over_and_unmounted_is_compared_each_time",
    ) {
        return;
    }
    let tree = Tree::new();
    tree.write("a.py", "x = 1\n");
    tree.write("b.py", "x = 1\n");
    write(&tree.outside("other/a.py"), "x = 'other'\n");
    let often = WatchSettings {
        rescan_every: Some(Duration::from_millis(200)),
        ..settings()
    };
    let mut watched = Watched::start(&tree, often).await;
    let mount = |program: &str, arguments: &[&Path]| {
        let done = Command::new(program).args(arguments).status().unwrap();
        assert!(done.success());
    };
    let other = tree.outside("other");
    mount("mount", &[Path::new("--bind"), &other, &tree.root]);
    let told = watched.until_snapshot_is_true().await;
    assert_eq!(told.modified(), ["a.py"]);
    assert_eq!(told.removed(), ["b.py"]);
    tree.write("sub/c.py", "x = 3\n");
    assert_eq!(watched.settle().await.modified(), ["sub/c.py"]);
    fs::remove_dir_all(tree.path("sub")).unwrap();
    watched.settle().await;
    mount("umount", &[&tree.root]);
    let told = watched.until_snapshot_is_true().await;
    assert_eq!(told.modified(), ["a.py", "b.py"]);
    tree.write("a.py", "x = 'edited'\n");
    assert_eq!(watched.settle().await.modified(), ["a.py"]);
    watched.assert_true();
}

/// A file system below which files change without an event, as with a network's: bindfs.
#[tokio::test]
async fn a_file_system_that_does_not_tell_is_polled() {
    if !has("bindfs")
        || !in_namespaces(&["-m"], "roots::a_file_system_that_does_not_tell_is_polled")
    {
        return;
    }
    if fs::File::open("/dev/fuse").is_err() {
        println!("skipped: no FUSE");
        return;
    }
    let tree = Tree::new();
    let below = tree.outside("below");
    write(&below.join("a.py"), "x = 1\n");
    write(&below.join("pkg/b.py"), "x = 1\n");
    let _server = Bindfs::mount(&below, &tree.root).await;
    let mut watched = Watched::start(&tree, settings()).await;
    let stats = watched.handle.stats()[&tree.root];
    assert_eq!(stats.state, RootState::Polling);
    assert_eq!((stats.watched, stats.unwatched, stats.shared), (2, 0, 2));

    write(&below.join("a.py"), "x = 'below'\n");
    write(&below.join("new/c.py"), "x = 'below'\n");
    fs::remove_file(below.join("pkg/b.py")).unwrap();
    let mut told = Told::default();
    while told.work().len() < 3 {
        told.batches.push(watched.next().await);
    }
    assert_eq!(told.modified(), ["a.py", "new/c.py"]);
    assert_eq!(told.removed(), ["pkg/b.py"]);
    let polled = Cause::Rescan(RescanReason::Uncovered);
    assert_eq!(told.causes(), [polled].into());
    watched.assert_true();

    // What is saved here is told of at once.
    tree.write("new/c.py", "x = 'here'\n");
    let told = watched.next().await;
    assert_eq!(told.cause, Cause::Saved);
    assert!(watched.snapshot.contains_key(&rel("new/c.py")));
    watched.assert_true();
}

struct Bindfs(Child);

impl Bindfs {
    async fn mount(below: &Path, at: &Path) -> Self {
        let server = Command::new("bindfs")
            .args(["-f", "--no-allow-other"])
            .args([below, at])
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self(server);
        while fs::read_dir(at).unwrap().next().is_none() {
            pause(20).await;
        }
        server
    }
}

impl Drop for Bindfs {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
