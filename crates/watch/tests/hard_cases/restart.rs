//! What happened while nobody looked, and a receiver that does not.

use std::fs;

use testsmith_watch::{Cause, Change, RescanReason};

use crate::harness::{Tree, Watched, rel, settings};

/// Case 19: what the restart has to find.
#[tokio::test]
async fn what_changed_while_down_is_found_and_nothing_else() {
    let tree = Tree::new();
    for name in ["same", "edited", "removed", "touched", "old"] {
        tree.write(&format!("pkg/{name}.py"), &format!("x = '{name}'\n"));
    }
    let watched = Watched::start(&tree, settings()).await;
    let known = watched.stop().await;
    assert_eq!(known.len(), 5);

    tree.write("pkg/edited.py", "x = 'new'\n");
    tree.write("other/added.py", "x = 'added'\n");
    fs::remove_file(tree.path("pkg/removed.py")).unwrap();
    fs::rename(tree.path("pkg/old.py"), tree.path("pkg/new.py")).unwrap();
    let time = filetime::FileTime::from_unix_time(1_000_000_000, 0);
    filetime::set_file_mtime(tree.path("pkg/touched.py"), time).unwrap();

    let mut watched = Watched::launch(&tree, settings(), Some(known), 16);
    let told = watched.until_ready().await;
    assert_eq!(told.modified(), ["other/added.py", "pkg/edited.py"]);
    assert_eq!(told.removed(), ["pkg/removed.py"]);
    assert_eq!(
        told.renamed(),
        [("pkg/old.py".to_owned(), "pkg/new.py".to_owned())]
    );
    assert_eq!(told.work().len(), 4);
    assert_eq!(told.causes(), [Cause::Startup].into());
    assert!(told.batches.iter().all(|batch| !batch.bulk));
    watched.assert_true();

    // Once more with nothing done: nothing to do.
    let known = watched.stop().await;
    let mut watched = Watched::launch(&tree, settings(), Some(known), 16);
    assert_eq!(watched.until_ready().await.work(), []);
    watched.assert_true();
}

/// The new name is found long before the old one is missed.
#[tokio::test]
async fn a_move_across_a_large_tree_while_down_is_a_move() {
    let tree = Tree::new();
    for number in 0..3_000 {
        tree.write(
            &format!("m{}/f{number}.py", number % 10),
            &format!("{number}\n"),
        );
    }
    tree.write("z/old.py", "x = 'old'\n");
    let watched = Watched::start(&tree, settings()).await;
    let known = watched.stop().await;
    fs::create_dir(tree.path("a")).unwrap();
    fs::rename(tree.path("z/old.py"), tree.path("a/new.py")).unwrap();
    let mut watched = Watched::launch(&tree, settings(), Some(known), 16);
    let told = watched.until_ready().await;
    let expected = ("z/old.py".to_owned(), "a/new.py".to_owned());
    assert_eq!(told.renamed(), [expected]);
    assert_eq!(told.work().len(), 1);
    watched.assert_true();
}

/// A kill before the receiver made a batch durable: the restart tells of it again.
#[tokio::test]
async fn a_batch_that_was_not_kept_is_told_again() {
    let tree = Tree::new();
    tree.write("a.py", "x = 0\n");
    let mut watched = Watched::start(&tree, settings()).await;
    let before = watched.snapshot.clone();
    tree.write("a.py", "x = 1\n");
    assert_eq!(watched.settle().await.modified(), ["a.py"]);
    watched.stop().await;
    let mut watched = Watched::launch(&tree, settings(), Some(before), 16);
    let told = watched.until_ready().await;
    assert_eq!(told.modified(), ["a.py", "marker_1_testmark.py"]);
    watched.assert_true();
}

#[tokio::test]
async fn a_save_during_the_first_look_is_work() {
    let tree = Tree::new();
    for number in 0..3_000 {
        tree.write(
            &format!("d{}/f{number}.py", number % 10),
            &format!("{number}\n"),
        );
    }
    let mut watched = Watched::launch(&tree, settings(), None, 1);
    // The first batch is full, so the look is still under way.
    let first = watched.next().await;
    assert_eq!((first.cause, first.changes.len()), (Cause::Baseline, 1_000));
    tree.write("d9/f9.py", "'saved'\n");
    tree.write("d0/f0.py", "'saved'\n");
    let mut told = watched.until_ready().await;
    let rest = watched.settle().await;
    told.batches.extend(rest.batches);
    assert_eq!(told.modified(), ["d0/f0.py", "d9/f9.py"]);
    assert_eq!(told.work().len(), 2);
    watched.assert_true();
}

#[tokio::test]
async fn a_receiver_that_is_slow_gets_the_newest_and_loses_nothing() {
    let tree = Tree::new();
    let mut watched = Watched::launch(&tree, settings(), None, 1);
    watched.until_ready().await;
    let handle = watched.handle.clone();
    let pending = |count| {
        let (handle, root) = (handle.clone(), tree.root.clone());
        async move {
            while handle.stats()[&root].pending != count {
                tokio::task::yield_now().await;
            }
        }
    };
    // Fills the channel.
    tree.write("first.py", "x = 0\n");
    pending(1).await;
    pending(0).await;
    for round in 0..3 {
        for name in ["a", "b", "c"] {
            tree.write(&format!("{name}.py"), &format!("{name} = {round}\n"));
        }
        pending(3).await;
    }
    fs::remove_file(tree.path("c.py")).unwrap();
    pending(2).await;
    let told = watched.settle().await;
    assert_eq!(told.modified(), ["a.py", "b.py", "first.py"]);
    assert_eq!(told.work().len(), 3);
    watched.assert_true();
}

/// A write through another name of the file outside of the root makes no event.
#[tokio::test]
async fn a_comparison_finds_what_no_event_told() {
    let tree = Tree::new();
    tree.write("a.py", "x = 0\n");
    fs::hard_link(tree.path("a.py"), tree.outside("alias")).unwrap();
    let mut watched = Watched::start(&tree, settings()).await;
    fs::write(tree.outside("alias"), "x = 1\n").unwrap();
    assert_eq!(watched.settle().await.work(), []);
    watched.handle.request_rescan();
    let batch = watched.next().await;
    assert_eq!(batch.cause, Cause::Rescan(RescanReason::Requested));
    assert!(matches!(&batch.changes[..], [Change::Modified { path, .. }] if *path == rel("a.py")));
    watched.assert_true();
}
