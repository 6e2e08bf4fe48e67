//! Git at work: case 16.

use std::fs;
use std::time::Duration;

use testsmith_watch::{RootState, WatchSettings};
use tokio::time::Instant;

use crate::harness::{Tree, Watched, has, settings};

fn repository(files: usize) -> Tree {
    let tree = Tree::new();
    tree.git(&["init", "-q", "-b", "main"]);
    for number in 0..files {
        let name = format!("d{}/f{number:04}.py", number % 20);
        tree.write(&name, &format!("x = {number}\n"));
    }
    tree.write("base.py", "x = 'base'\n");
    tree.git(&["add", "."]);
    tree.git(&["commit", "-q", "-m", "main"]);
    tree
}

#[tokio::test]
async fn a_checkout_is_one_bulk_change() {
    if !has("git") {
        return;
    }
    let tree = repository(2_000);
    tree.git(&["checkout", "-q", "-b", "other"]);
    for number in 0..2_000 {
        let name = format!("d{}/f{number:04}.py", number % 20);
        tree.write(&name, &format!("y = {number}\n"));
    }
    tree.git(&["commit", "-q", "-a", "-m", "other"]);
    let mut watched = Watched::start(&tree, settings()).await;
    tree.git(&["checkout", "-q", "main"]);
    let told = watched.settle().await;
    assert_eq!(told.modified().len(), 2_000);
    assert_eq!(told.work().len(), 2_000);
    assert!(told.batches.iter().all(|batch| batch.bulk));
    // 1,000 to a batch at the most.
    assert_eq!(told.batches.len(), 2);
    watched.assert_true();
    // There and back within the quiet time is nothing.
    tree.git(&["checkout", "-q", "other"]);
    tree.git(&["checkout", "-q", "main"]);
    assert_eq!(watched.settle().await.work(), []);
    watched.assert_true();
}

#[tokio::test]
async fn a_rebase_of_many_commits_is_one_change() {
    if !has("git") {
        return;
    }
    let tree = repository(10);
    tree.git(&["checkout", "-q", "-b", "topic"]);
    for number in 0..20 {
        tree.write("topic.py", &format!("x = {number}\n"));
        tree.write(&format!("t{number:02}.py"), &format!("t = {number}\n"));
        tree.git(&["add", "."]);
        tree.git(&["commit", "-q", "-m", "step"]);
    }
    tree.git(&["checkout", "-q", "main"]);
    tree.write("base.py", "x = 'moved on'\n");
    tree.git(&["commit", "-q", "-a", "-m", "on"]);
    tree.git(&["checkout", "-q", "topic"]);
    let mut watched = Watched::start(&tree, settings()).await;
    tree.git(&["rebase", "-q", "main"]);
    let told = watched.settle().await;
    // The picked files are as they were before; only the base is new.
    assert_eq!(told.modified(), ["base.py"]);
    assert_eq!(told.work().len(), 1);
    watched.assert_true();
}

#[tokio::test]
async fn a_merge_that_waits_for_the_user_holds_nothing_back() {
    if !has("git") {
        return;
    }
    let tree = repository(1);
    let mut watched = Watched::start(&tree, settings()).await;
    tree.write(".git/MERGE_HEAD", "0000\n");
    tree.write("base.py", "x = 'resolved'\n");
    let told = watched.settle().await;
    assert_eq!(told.modified(), ["base.py"]);
    watched.assert_true();
}

#[tokio::test]
async fn a_lock_holds_changes_back_until_it_goes() {
    let tree = repository(1);
    let mut watched = Watched::start(&tree, settings()).await;
    let lock = tree.path(".git/index.lock");
    fs::write(&lock, "").unwrap();
    tree.write("base.py", "x = 1\n");
    let handle = watched.handle.clone();
    let held = async {
        while handle.stats()[&tree.root].state != RootState::HeldForGit {
            tokio::task::yield_now().await;
        }
    };
    assert_eq!(watched.collect(held).await.work(), []);
    tree.write("d0/f0000.py", "x = 'half'\n");
    tree.write("base.py", "x = 2\n");
    fs::remove_file(&lock).unwrap();
    let told = watched.settle().await;
    assert_eq!(told.modified(), ["base.py", "d0/f0000.py"]);
    assert_eq!(told.batches.len(), 1);
    watched.assert_true();
}

#[tokio::test]
async fn a_stale_lock_is_waited_for_only_so_long() {
    let tree = repository(1);
    let settings = WatchSettings {
        git_hold: Duration::from_millis(1_500),
        ..settings()
    };
    let mut watched = Watched::start(&tree, settings).await;
    fs::write(tree.path(".git/index.lock"), "").unwrap();
    let start = Instant::now();
    tree.write("base.py", "x = 1\n");
    assert_eq!(watched.settle().await.modified(), ["base.py"]);
    assert!(start.elapsed() >= Duration::from_millis(1_500));
    // And only once.
    let start = Instant::now();
    tree.write("base.py", "x = 2\n");
    assert_eq!(watched.settle().await.modified(), ["base.py"]);
    assert!(start.elapsed() < Duration::from_millis(1_500));
    watched.assert_true();
}

#[tokio::test]
async fn a_worktree_s_own_git_folder_is_watched_and_it_is_no_part_of_its_parent() {
    if !has("git") {
        return;
    }
    let tree = repository(1);
    tree.git(&["worktree", "add", "-q", "-b", "side", "nested"]);
    let mut watched = Watched::start(&tree, settings()).await;
    tree.write("nested/base.py", "x = 'side'\n");
    assert_eq!(watched.settle().await.work(), []);
    watched.assert_true();
    watched.stop().await;

    let mut side = Tree::new();
    side.root = tree.path("nested");
    let mut watched = Watched::start(&side, settings()).await;
    let lock = tree.path(".git/worktrees/nested/index.lock");
    fs::write(&lock, "").unwrap();
    side.write("base.py", "x = 'again'\n");
    let handle = watched.handle.clone();
    let held = async {
        while handle.stats()[&side.root].state != RootState::HeldForGit {
            tokio::task::yield_now().await;
        }
    };
    assert_eq!(watched.collect(held).await.work(), []);
    fs::remove_file(&lock).unwrap();
    assert_eq!(watched.settle().await.modified(), ["base.py"]);
}
