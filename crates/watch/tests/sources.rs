//! Which files are sources, and why the others are not.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use testsmith_domain::RelPath;
use testsmith_watch::{Claims, WatchError, WatchSettings, Watcher, explain_ignored, list_sources};

/// A repository whose `project` folder is the root; returns the sources found and, for a path, the
/// rule that ignores it with the file and line it is in.
#[test]
fn rules_of_every_kind_count_and_can_be_told() {
    let dir = tempfile::tempdir().unwrap();
    let top = dir.path().canonicalize().unwrap();
    let root = top.join("project");
    let write = |name: &str, text: &str| {
        let path = top.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write(".git/HEAD", "ref: refs/heads/main\n");
    write(".git/info/exclude", "scratch.py\n");
    write(
        ".gitignore",
        "# of the repository\n/project/out/\n*.gen.py\n",
    );
    write("project/.gitignore", "build/\n!keep.gen.py\n");
    write("project/.ignore", "big/\n");
    write(
        "project/.testsmithignore",
        "!scratch.py\nlegacy/*\n!legacy/good.py\n!.tools/\n",
    );
    for name in [
        "a.py",
        "b.txt",
        "x.gen.py",
        "keep.gen.py",
        "scratch.py",
        "sub/deep/c.py",
        "build/d.py",
        "sub/build/e.py",
        "out/f.py",
        "big/g.py",
        "legacy/bad.py",
        "legacy/good.py",
        "third_party/h.py",
        ".hidden/i.py",
        ".tools/j.py",
        "node_modules/m/k.py",
        ".git/l.py",
        "venv/m.py",
        "venv/pyvenv.cfg",
    ] {
        write(&format!("project/{name}"), "x\n");
    }
    let exclude = vec!["third_party/".to_owned()];
    let claims: Claims = Arc::new(|path| path.extension() == "py");
    let found = list_sources(&root, &exclude, &claims, Some(&root.join("sub/deep"))).unwrap();
    let found: Vec<&str> = found.iter().map(RelPath::as_str).collect();
    let kept = [
        ".tools/j.py",
        "a.py",
        "keep.gen.py",
        "legacy/good.py",
        "scratch.py",
    ];
    assert_eq!(found, kept);

    let explain = |name: &str| {
        let path = RelPath::new(name).unwrap();
        explain_ignored(&root, &path, &exclude).unwrap()
    };
    for name in kept {
        assert_eq!(explain(name), None, "{name}");
    }
    let by_rule = |name: &str, ignored: &str, rule: &str, file: &Path, line: usize| {
        let by = explain(name).unwrap();
        assert_eq!(by.path.as_str(), ignored);
        assert_eq!(by.rule, rule);
        assert_eq!(by.file.as_deref(), Some(file));
        assert_eq!(by.line, Some(line));
    };
    let of_root = root.join(".gitignore");
    by_rule("sub/build/e.py", "sub/build", "build/", &of_root, 1);
    by_rule(
        "out/f.py",
        "out",
        "/project/out/",
        &top.join(".gitignore"),
        2,
    );
    by_rule(
        "x.gen.py",
        "x.gen.py",
        "*.gen.py",
        &top.join(".gitignore"),
        3,
    );
    by_rule("big/g.py", "big", "big/", &root.join(".ignore"), 1);
    let ours = root.join(".testsmithignore");
    by_rule("legacy/bad.py", "legacy/bad.py", "legacy/*", &ours, 2);
    assert_eq!(explain("third_party/h.py").unwrap().rule, "third_party/");
    assert_eq!(explain(".hidden/i.py").unwrap().path.as_str(), ".hidden");
    assert_eq!(explain("node_modules/m/k.py").unwrap().file, None);
    assert_eq!(explain(".git/l.py").unwrap().path.as_str(), ".git");
    let mark = explain("venv/m.py").unwrap().file.unwrap();
    assert_eq!(mark, root.join("venv/pyvenv.cfg"));
}

#[test]
fn a_glob_that_cannot_be_read_is_an_error_at_once() {
    let settings = WatchSettings {
        exclude: vec!["ok/".to_owned(), "a{b".to_owned()],
        ..WatchSettings::default()
    };
    let error = Watcher::new(settings, Arc::new(|_| true), None).unwrap_err();
    assert!(matches!(&error, WatchError::Exclude { pattern, .. } if pattern == "a{b"));
    assert_eq!(
        error.to_string(),
        "the glob `a{b` in `exclude` cannot be read"
    );
}
