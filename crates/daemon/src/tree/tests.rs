use std::os::unix::fs::{PermissionsExt as _, symlink};

use super::*;

fn setup() -> (tempfile::TempDir, PathBuf, RelPath) {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    fs::write(root.join("source.go"), "package t\n").unwrap();
    (dir, root, RelPath::new("a/b/t_test.go").unwrap())
}

/// A log outside of where the tests look.
fn log(root: &Path) -> WriteLog {
    WriteLog::new(root)
}

#[test]
fn nothing_is_written_where_a_disk_was_mounted() {
    let (_dir, root, path) = setup();
    fs::remove_file(root.join("source.go")).unwrap();
    let result = replace(&log(&root), &root, &path, None, Some(b"one"));
    assert!(matches!(result, Err(WriteError::Io { .. })));
    assert_eq!(fs::read_dir(&root).unwrap().count(), 0);
}

fn only_file(root: &Path, path: &RelPath) -> bool {
    let dir = path.under(root);
    fs::read_dir(dir.parent().unwrap()).unwrap().count() == usize::from(dir.exists())
}

#[test]
fn a_file_is_made_changed_and_removed_and_nothing_else_is_left() {
    let (_dir, root, path) = setup();
    replace(&log(&root), &root, &path, None, Some(b"one")).unwrap();
    assert_eq!(
        read(&root, &path).unwrap().as_deref(),
        Some(b"one".as_slice())
    );
    fs::set_permissions(path.under(&root), fs::Permissions::from_mode(0o640)).unwrap();
    replace(&log(&root), &root, &path, Some(b"one"), Some(b"two")).unwrap();
    let mode = path.under(&root).metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640, "the mode is kept");
    assert!(only_file(&root, &path));
    replace(&log(&root), &root, &path, Some(b"two"), None).unwrap();
    assert_eq!(read(&root, &path).unwrap(), None);
    assert!(only_file(&root, &path));
}

#[test]
fn a_file_changed_meanwhile_is_left_alone() {
    let (_dir, root, path) = setup();
    let changed = |result| assert!(matches!(result, Err(WriteError::Changed(_))));
    replace(&log(&root), &root, &path, None, Some(b"mine")).unwrap();
    changed(replace(&log(&root), &root, &path, None, Some(b"new")));
    changed(replace(
        &log(&root),
        &root,
        &path,
        Some(b"other"),
        Some(b"new"),
    ));
    changed(replace(&log(&root), &root, &path, Some(b"other"), None));
    changed(replace(&log(&root), &root, &path, None, None));
    assert_eq!(
        read(&root, &path).unwrap().as_deref(),
        Some(b"mine".as_slice())
    );
    assert!(only_file(&root, &path));
    let gone = RelPath::new("a/b/gone_test.go").unwrap();
    changed(replace(
        &log(&root),
        &root,
        &gone,
        Some(b"was"),
        Some(b"new"),
    ));
}

#[test]
fn nothing_is_written_through_links() {
    let (_dir, root, _) = setup();
    let outside = tempfile::tempdir().unwrap();
    symlink(outside.path(), root.join("out")).unwrap();
    let path = RelPath::new("out/t.go").unwrap();
    let result = replace(&log(&root), &root, &path, None, Some(b"x"));
    assert!(matches!(result, Err(WriteError::Outside(_))));
    fs::write(outside.path().join("real"), "keep").unwrap();
    symlink(outside.path().join("real"), root.join("t.go")).unwrap();
    let path = RelPath::new("t.go").unwrap();
    let result = replace(&log(&root), &root, &path, Some(b"keep"), Some(b"x"));
    assert!(matches!(result, Err(WriteError::Outside(_))));
    assert_eq!(fs::read(outside.path().join("real")).unwrap(), b"keep");
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
}

#[test]
fn readers_never_see_half_a_file_and_no_save_is_lost() {
    let (_dir, root, path) = setup();
    let long = |c: u8| vec![c; 200_000];
    replace(&log(&root), &root, &path, None, Some(&long(b'a'))).unwrap();
    let target = path.under(&root);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut now = long(b'a');
            for round in 0..60_u8 {
                let next = long(b'a' + round % 20);
                replace(&log(&root), &root, &path, Some(&now), Some(&next)).unwrap();
                now = next;
            }
        });
        while !writer.is_finished() {
            let seen = fs::read(&target).unwrap();
            assert_eq!(seen.len(), 200_000);
            assert!(seen.iter().all(|byte| *byte == seen[0]));
        }
    });
}
