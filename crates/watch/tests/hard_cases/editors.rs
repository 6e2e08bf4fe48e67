//! Saves, as editors make them.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use testsmith_domain::ContentHash;
use testsmith_watch::WatchSettings;

use crate::harness::{Tree, Watched, has, pause, rel, settings};

/// Case 5.
#[tokio::test]
async fn vim_s_saves_are_one_change_each() {
    if !has("vim") {
        return;
    }
    let tree = Tree::new();
    tree.write("a.py", "x = 0\n");
    let mut watched = Watched::start(&tree, settings()).await;
    for (round, how) in ["no", "yes", "auto"].iter().enumerate() {
        let status = Command::new("vim")
            .args(["-es", "-u", "NONE", "-i", "NONE"])
            .args(["-c", "set nocompatible swapfile writebackup"])
            .args(["-c", &format!("set backupcopy={how}")])
            .args(["-c", &format!("normal Gox = {round}")])
            .args(["-c", "wq", "a.py"])
            .current_dir(&tree.root)
            .stdin(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success());
        let told = watched.settle().await;
        assert_eq!(told.modified(), ["a.py"], "backupcopy={how}");
        assert_eq!(told.work().len(), 1);
        watched.assert_true();
    }
}

/// Case 6: Helix' default, and vim's without a rename back.
#[tokio::test]
async fn a_file_moved_away_and_written_anew_is_one_change() {
    let tree = Tree::new();
    tree.write("a.py", "x = 0\n");
    let mut watched = Watched::start(&tree, settings()).await;
    for step in [0, 5, 40] {
        let (file, backup) = (tree.path("a.py"), tree.path(".a.py.bck"));
        fs::rename(&file, &backup).unwrap();
        pause(step).await;
        let mut new = File::create(&file).unwrap();
        pause(step).await;
        writeln!(new, "x = {step} + 1").unwrap();
        new.sync_all().unwrap();
        pause(step).await;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        drop(new);
        pause(step).await;
        fs::remove_file(backup).unwrap();
        let told = watched.settle().await;
        assert_eq!(told.modified(), ["a.py"], "{step} ms");
        assert_eq!(told.work().len(), 1);
        watched.assert_true();
    }
}

/// Case 6: JetBrains' safe write, and Emacs with `file-precious-flag`.
#[tokio::test]
async fn a_file_written_beside_and_moved_over_is_one_change() {
    let tree = Tree::new();
    tree.write("a.py", "x = 0\n");
    let mut watched = Watched::start(&tree, settings()).await;
    for step in [0, 5, 40] {
        let file = tree.path("a.py");
        let (new, old) = (tree.path("a.py___jb_tmp___"), tree.path("a.py___jb_old___"));
        fs::write(&new, format!("x = {step} + 1\n")).unwrap();
        pause(step).await;
        fs::rename(&file, &old).unwrap();
        pause(step).await;
        fs::rename(&new, &file).unwrap();
        pause(step).await;
        fs::remove_file(&old).unwrap();
        let told = watched.settle().await;
        assert_eq!(told.modified(), ["a.py"], "{step} ms");
        assert_eq!(told.work().len(), 1);

        // Emacs: a lock that is a dangling link, a temporary file with the same ending, a backup.
        let lock = tree.path(".#a.py");
        std::os::unix::fs::symlink("me@localhost.1:1", &lock).unwrap();
        let temporary = tree.path("tmp12345.py");
        fs::write(&temporary, format!("x = {step} + 2\n")).unwrap();
        fs::hard_link(&file, tree.path("a.py~")).unwrap();
        fs::rename(&temporary, &file).unwrap();
        fs::remove_file(lock).unwrap();
        let told = watched.settle().await;
        assert_eq!(told.modified(), ["a.py"], "{step} ms");
        assert_eq!(told.work().len(), 1);
        fs::remove_file(tree.path("a.py~")).unwrap();
        watched.assert_true();
    }
}

/// Case 7: VS Code.
#[tokio::test]
async fn a_truncated_file_is_not_believed_at_once() {
    let tree = Tree::new();
    tree.write("a.py", "x = 0\n");
    let settings = WatchSettings {
        debounce: Duration::from_millis(100),
        ..settings()
    };
    let mut watched = Watched::start(&tree, settings).await;
    for gap in [30, 150] {
        let mut file = File::create(tree.path("a.py")).unwrap();
        pause(gap).await;
        writeln!(file, "x = {gap}").unwrap();
        drop(file);
        let told = watched.settle().await;
        assert_eq!(told.modified(), ["a.py"], "{gap} ms");
        assert_eq!(told.work().len(), 1);
        watched.assert_true();
    }
    // One that stays empty is, in the end.
    File::create(tree.path("a.py")).unwrap();
    let told = watched.settle().await;
    assert_eq!(told.modified(), ["a.py"]);
    watched.assert_true();
}

/// Case 8, shortened; the minute is in the debouncer's own test, on a paused clock.
#[tokio::test]
async fn a_slow_writer_gives_few_changes_and_the_last_is_whole() {
    let tree = Tree::new();
    let settings = WatchSettings {
        max_wait: Duration::from_millis(400),
        ..settings()
    };
    let mut watched = Watched::start(&tree, settings).await;
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(tree.path("slow.py"))
        .unwrap();
    for _ in 0..100 {
        file.write_all(b"#").unwrap();
        pause(20).await;
    }
    drop(file);
    let told = watched.settle().await;
    let times = told.modified().len();
    assert!((2..=8).contains(&times), "{times}");
    let stamp = watched.snapshot[&rel("slow.py")];
    assert_eq!(stamp.hash, ContentHash::of(&[b'#'; 100]));
}

/// Case 9.
#[tokio::test]
async fn a_touch_is_no_change() {
    let tree = Tree::new();
    tree.write("a.py", "x = 0\n");
    let mut watched = Watched::start(&tree, settings()).await;
    let file = tree.path("a.py");
    let other_time = filetime::FileTime::from_unix_time(1_000_000_000, 0);
    filetime::set_file_mtime(&file, other_time).unwrap();
    let told = watched.settle().await;
    assert_eq!(told.work(), []);
    assert_eq!(
        watched.snapshot[&rel("a.py")].mtime_ns,
        1_000_000_000_000_000_000
    );
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(watched.settle().await.work(), []);
    fs::write(&file, "x = 0\n").unwrap();
    assert_eq!(watched.settle().await.work(), []);
    // Another inode with the same content, and a read.
    fs::copy(&file, tree.outside("b.py")).unwrap();
    fs::rename(tree.outside("b.py"), &file).unwrap();
    fs::read(&file).unwrap();
    assert_eq!(watched.settle().await.work(), []);
    watched.assert_true();
}

#[tokio::test]
async fn sed_and_cp_and_mv_and_rm_are_seen() {
    let tree = Tree::new();
    tree.write("a.py", "x = 0\n");
    let mut watched = Watched::start(&tree, settings()).await;
    let run = |program: &str, arguments: &[&str]| {
        let status = Command::new(program)
            .args(arguments)
            .current_dir(&tree.root)
            .status()
            .unwrap();
        assert!(status.success());
    };
    run("sed", &["-i", "s/0/1/", "a.py"]);
    assert_eq!(watched.settle().await.modified(), ["a.py"]);
    run("cp", &["a.py", "b.py"]);
    assert_eq!(watched.settle().await.modified(), ["b.py"]);
    run("sed", &["-i", "s/1/2/", "b.py"]);
    assert_eq!(watched.settle().await.modified(), ["b.py"]);
    run("mv", &["b.py", "a.py"]);
    let told = watched.settle().await;
    assert_eq!(
        (told.modified(), told.removed()),
        (vec!["a.py".into()], vec!["b.py".into()])
    );
    run("rm", &["a.py"]);
    let told = watched.settle().await;
    assert_eq!(told.removed(), ["a.py"]);
    assert_eq!(told.work().len(), 1);
    watched.assert_true();
}
