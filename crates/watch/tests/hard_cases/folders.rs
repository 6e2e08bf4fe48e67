//! Folders made, moved and ignored.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use testsmith_watch::{Cause, RescanReason, RootState};

use crate::harness::{Told, Tree, Watched, kernel_watches, pause, rel, settings, write};

/// Case 1.
#[tokio::test]
async fn files_in_folders_just_made_are_all_found() {
    let tree = Tree::new();
    let mut watched = Watched::start(&tree, settings()).await;
    let mut expected = Vec::new();
    for number in 0..200 {
        let name = format!("d{number:03}/a/b/f.py");
        tree.write(&name, &format!("x = {number}\n"));
        expected.push(name);
    }
    let told = watched.settle().await;
    assert_eq!(told.modified(), expected);
    assert_eq!(told.work().len(), 200);
    assert!(told.batches.iter().all(|batch| batch.bulk));
    watched.assert_true();
    assert_eq!(kernel_watches(&tree.root), 601);
}

/// Case 2.
#[tokio::test]
async fn a_folder_moved_in_is_seen_with_all_in_it_and_watched() {
    let tree = Tree::new();
    for number in 0..20 {
        write(
            &tree.outside(&format!("new/sub/f{number:02}.py")),
            &format!("x = {number}\n"),
        );
    }
    let mut watched = Watched::start(&tree, settings()).await;
    fs::rename(tree.outside("new"), tree.path("new")).unwrap();
    let told = watched.settle().await;
    assert_eq!(told.modified().len(), 20);
    assert_eq!(told.work().len(), 20);
    tree.write("new/sub/f07.py", "x = 'edited'\n");
    let told = watched.settle().await;
    assert_eq!(told.modified(), ["new/sub/f07.py"]);
    assert_eq!(told.work().len(), 1);
    watched.assert_true();
}

/// Case 3.
#[tokio::test]
async fn a_folder_moved_out_is_gone_and_no_longer_watched() {
    let tree = Tree::new();
    for number in 0..10 {
        tree.write(&format!("old/sub/f{number}.py"), &format!("x = {number}\n"));
    }
    let mut watched = Watched::start(&tree, settings()).await;
    assert_eq!(kernel_watches(&tree.root), 3);
    fs::rename(tree.path("old"), tree.outside("old")).unwrap();
    write(&tree.outside("old/sub/f3.py"), "x = 'elsewhere'\n");
    let told = watched.settle().await;
    assert_eq!(told.removed().len(), 10);
    assert_eq!(told.work().len(), 10);
    let events = watched.handle.stats()[&tree.root].events;
    write(&tree.outside("old/sub/f3.py"), "x = 'again'\n");
    assert_eq!(kernel_watches(&tree.outside("old")), 0);
    assert_eq!(kernel_watches(&tree.root), 1);
    assert_eq!(watched.settle().await.work(), []);
    // The marker's own events alone: made, written and closed.
    assert!(watched.handle.stats()[&tree.root].events - events <= 3);
    watched.assert_true();
}

/// Case 4.
#[tokio::test]
async fn a_folder_renamed_inside_renames_its_files() {
    let tree = Tree::new();
    for number in 0..5 {
        tree.write(&format!("a/sub/f{number}.py"), &format!("x = {number}\n"));
    }
    let mut watched = Watched::start(&tree, settings()).await;
    fs::rename(tree.path("a"), tree.path("b")).unwrap();
    let told = watched.settle().await;
    let expected: Vec<_> = (0..5)
        .map(|number| (format!("a/sub/f{number}.py"), format!("b/sub/f{number}.py")))
        .collect();
    assert_eq!(told.renamed(), expected);
    assert_eq!(told.work().len(), 5);
    tree.write("b/sub/f1.py", "x = 'edited'\n");
    let told = watched.settle().await;
    assert_eq!(told.modified(), ["b/sub/f1.py"]);
    assert_eq!(told.work().len(), 1);
    watched.assert_true();
}

#[tokio::test]
async fn a_renamed_file_is_renamed_and_a_copied_one_is_new() {
    let tree = Tree::new();
    tree.write("a.py", "x = 1\n");
    let mut watched = Watched::start(&tree, settings()).await;
    fs::rename(tree.path("a.py"), tree.path("b.py")).unwrap();
    let told = watched.settle().await;
    assert_eq!(told.renamed(), [("a.py".to_owned(), "b.py".to_owned())]);
    assert_eq!(told.work().len(), 1);
    fs::copy(tree.path("b.py"), tree.path("c.py")).unwrap();
    let told = watched.settle().await;
    assert_eq!(told.modified(), ["c.py"]);
    assert_eq!(told.work().len(), 1);
    watched.assert_true();
}

/// Case 14 in small: 2,000 folders, and a build that writes as many files.
#[tokio::test]
async fn an_ignored_tree_costs_no_watch_and_no_event() {
    let tree = Tree::new();
    tree.git(&["init", "-q"]);
    tree.write(".gitignore", "target/\n");
    tree.write("src/a.py", "x = 1\n");
    for folder in 0..200 {
        for sub in 0..10 {
            fs::create_dir_all(tree.path(&format!("target/{folder}/{sub}"))).unwrap();
        }
    }
    let mut watched = Watched::start(&tree, settings()).await;
    // The root, src and the git folder.
    assert_eq!(kernel_watches(&tree.root), 3);
    let before = watched.handle.stats()[&tree.root];
    assert_eq!((before.watched, before.unwatched), (2, 0));
    for number in 0..2_000 {
        let folder = number % 200;
        tree.write(&format!("target/{folder}/0/f{number}.py"), "x = 1\n");
    }
    assert_eq!(watched.settle().await.work(), []);
    let after = watched.handle.stats()[&tree.root];
    assert!(after.events - before.events <= 3, "{after:?}");
    watched.assert_true();
}

/// Case 15.
#[tokio::test]
async fn an_edited_rule_file_takes_folders_in_and_out() {
    let tree = Tree::new();
    tree.write(".gitignore", "gen/\n");
    tree.write("gen/deep/a.py", "x = 1\n");
    tree.write("src/b.py", "x = 2\n");
    let mut watched = Watched::start(&tree, settings()).await;
    assert_eq!(kernel_watches(&tree.path("gen")), 0);

    tree.write(".gitignore", "");
    let told = watched.settle().await;
    assert_eq!(told.modified(), ["gen/deep/a.py"]);
    assert_eq!(told.work().len(), 1);
    assert_eq!(kernel_watches(&tree.path("gen")), 2);

    // Ignored now: forgotten, which is no work, since its file is still there.
    tree.write("src/.testsmithignore", "b.py\n");
    tree.write(".ignore", "gen\n");
    let told = watched.settle().await;
    assert_eq!(told.work(), []);
    assert_eq!(told.forgotten(), ["gen/deep/a.py", "src/b.py"]);
    watched.assert_true();
    tree.write("gen/deep/a.py", "x = 3\n");
    tree.write("src/b.py", "x = 4\n");
    assert_eq!(watched.settle().await.work(), []);
    assert_eq!(kernel_watches(&tree.path("gen")), 0);

    fs::remove_file(tree.path("src/.testsmithignore")).unwrap();
    assert_eq!(watched.settle().await.modified(), ["src/b.py"]);
    watched.assert_true();
}

/// As tools do that make a folder which git is to leave alone.
#[tokio::test]
async fn rules_that_come_with_a_file_hold_for_it() {
    let tree = Tree::new();
    tree.write("src/b.py", "x = 1\n");
    let mut watched = Watched::start(&tree, settings()).await;
    for number in 0..8 {
        fs::create_dir(tree.path(&format!("made{number}"))).unwrap();
        if number % 2 == 0 {
            // It is listed before there are rules.
            pause(20).await;
        }
        tree.write(&format!("made{number}/.gitignore"), "*\n");
        tree.write(&format!("made{number}/deep/a.py"), "x = 2\n");
        tree.write(&format!("made{number}/a.py"), "x = 3\n");
        assert_eq!(watched.settle().await.work(), [], "folder {number}");
    }
    // The other way round, and in a folder that is known.
    tree.write("src/c.py", "x = 4\n");
    tree.write("src/.gitignore", "c.py\n");
    assert_eq!(watched.settle().await.work(), []);
    tree.write("src/d.py", "x = 5\n");
    tree.write("src/.gitignore", "# nothing\n");
    assert_eq!(watched.settle().await.modified(), ["src/c.py", "src/d.py"]);
    watched.assert_true();
}

#[tokio::test]
async fn links_are_not_followed() {
    let tree = Tree::new();
    write(&tree.outside("lib/x.py"), "x = 1\n");
    tree.write("pkg/a.py", "x = 2\n");
    symlink(tree.outside("lib"), tree.path("lib")).unwrap();
    symlink("..", tree.path("pkg/loop")).unwrap();
    let mut watched = Watched::start(&tree, settings()).await;
    symlink(tree.outside("lib/x.py"), tree.path("x.py")).unwrap();
    write(&tree.outside("lib/x.py"), "x = 3\n");
    assert_eq!(watched.settle().await.work(), []);
    assert_eq!(kernel_watches(&tree.outside("lib")), 0);
    // A folder that becomes a link takes its files with it.
    fs::rename(tree.path("pkg"), tree.outside("pkg")).unwrap();
    symlink(tree.outside("pkg"), tree.path("pkg")).unwrap();
    let told = watched.settle().await;
    assert_eq!(told.removed(), ["pkg/a.py"]);
    assert_eq!(told.work().len(), 1);
    watched.assert_true();
}

/// The beginning of case 17.
#[tokio::test]
async fn a_root_removed_and_made_again_is_watched_again() {
    let tree = Tree::new();
    tree.write("a.py", "x = 1\n");
    tree.write("b.py", "x = 2\n");
    let mut watched = Watched::start(&tree, settings()).await;
    fs::rename(&tree.root, tree.outside("away")).unwrap();
    let handle = watched.handle.clone();
    let missing = async {
        while handle.stats()[&tree.root].state != RootState::Missing {
            tokio::task::yield_now().await;
        }
    };
    let told = watched.collect(missing).await;
    assert_eq!(told.work(), [], "nothing is taken for removed");
    tree.write("a.py", "x = 'new'\n");
    let told = watched.settle().await;
    assert_eq!(told.modified(), ["a.py"]);
    assert_eq!(told.removed(), ["b.py"]);
    watched.assert_true();
    tree.write("sub/c.py", "x = 3\n");
    assert_eq!(watched.settle().await.modified(), ["sub/c.py"]);
    assert!(watched.snapshot.contains_key(&rel("sub/c.py")));
}

/// Case 13, in a process of its own whose limit is low.
#[tokio::test]
async fn a_reached_watch_limit_is_told_and_the_rest_polled() {
    const LIMITED: &str = "TESTSMITH_WATCH_LIMITED";
    if std::env::var_os(LIMITED).is_none() {
        let lower = "echo 100 > /proc/sys/user/max_inotify_watches || exit 99; exec \"$@\"";
        let status = Command::new("unshare")
            .args(["-Ur", "sh", "-c", lower, "sh"])
            .arg(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "folders::a_reached_watch_limit_is_told_and_the_rest_polled",
            ])
            .env(LIMITED, "1")
            .status();
        match status.map(|status| status.code()) {
            Ok(Some(0)) => {}
            // A test that failed.
            Ok(Some(101)) => panic!("see above"),
            other => {
                assert!(std::env::var("CI").as_deref() != Ok("true"), "{other:?}");
                println!("skipped: no user namespaces ({other:?})");
            }
        }
        return;
    }
    let tree = Tree::new();
    for number in 0..300 {
        tree.write(&format!("d{number:03}/f.py"), &format!("x = {number}\n"));
    }
    let mut watched = Watched::start(&tree, settings()).await;
    let stats = watched.handle.stats()[&tree.root];
    assert_eq!(stats.state, RootState::Degraded);
    assert_eq!((stats.watched, stats.unwatched), (100, 201));
    tree.write("d299/f.py", "x = 'polled'\n");
    tree.write("d299/new/g.py", "x = 'polled too'\n");
    let mut told = Told::default();
    while told.work().len() < 2 {
        told.batches.push(watched.next().await);
    }
    assert_eq!(told.modified(), ["d299/f.py", "d299/new/g.py"]);
    assert_eq!(
        told.causes(),
        [Cause::Rescan(RescanReason::Uncovered)].into()
    );
    // Watches given back are used.
    for number in 0..250 {
        fs::remove_dir_all(tree.path(&format!("d{number:03}"))).unwrap();
    }
    let handle = watched.handle.clone();
    let covered = async {
        while handle.stats()[&tree.root].unwatched > 0 {
            pause(20).await;
        }
        handle.idle().await;
    };
    let told = watched.collect(covered).await;
    assert_eq!(told.removed().len(), 250);
    watched.assert_true();
    tree.write("d299/f.py", "x = 'watched'\n");
    assert_eq!(watched.settle().await.modified(), ["d299/f.py"]);
}
