//! Of what is read from the kernel, and of paths. The walls themselves are tried in `tests/sandbox.rs`.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use super::{init, landlocked, mounts, network, shadow, tampering};

#[test]
fn mount_points_are_read_with_their_escapes() {
    let table = "22 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n\
                 23 22 0:5 /a /mnt/two\\040words\\134x ro shared:7 - tmpfs none ro\n";
    let expected = [PathBuf::from("/"), PathBuf::from("/mnt/two words\\x")];
    assert_eq!(mounts::mount_points(table), expected);
}

#[test]
fn packets_without_a_route_are_read_from_both_tables() {
    let table = "Ip: Forwarding OutNoRoutes ReasmTimeout\nIp: 1 42 7\nIcmp: InMsgs\nIcmp: 3\n";
    assert_eq!(network::without_route(table), 42);
    assert_eq!(
        network::without_route("Ip6InReceives 5\nIp6OutNoRoutes  \t9\n"),
        9
    );
    assert_eq!(network::without_route(""), 0);
}

#[test]
fn process_numbers_are_limited_only_where_that_is_the_namespaces_own() {
    let table = [
        ("6.18.44-generic", true),
        ("6.14", true),
        ("7.0.1", true),
        ("6.13.9", false),
        ("5.15.0-100", false),
        ("unknown", false),
    ];
    for (release, expected) in table {
        assert_eq!(init::numbers_are_namespaced(release), expected, "{release}");
    }
}

#[test]
fn rules_walk_around_what_is_hidden() {
    let folder = tempfile::tempdir().unwrap();
    let top = folder.path();
    for path in ["home/.ssh", "home/project", "etc"] {
        fs::create_dir_all(top.join(path)).unwrap();
    }
    fs::write(top.join("home/.netrc"), "").unwrap();
    std::os::unix::fs::symlink(top.join("home/.ssh"), top.join("home/link")).unwrap();
    let hidden = [top.join("home/.ssh"), top.join("home/.netrc")];
    let mut allowed = landlocked::without(top, &hidden);
    allowed.sort();
    assert_eq!(allowed, [top.join("etc"), top.join("home/project")]);
}

#[test]
fn paths_into_the_project_become_paths_into_the_copy() {
    let table = [
        ("/home/a/p", "/s/p"),
        ("/home/a/p/x.py", "/s/p/x.py"),
        ("--junitxml=/home/a/p/r.xml", "--junitxml=/s/p/r.xml"),
        ("/home/a/p:/home/a/p/lib", "/s/p:/s/p/lib"),
        ("/home/a/p2/x", "/home/a/p2/x"),
        ("/home/a/p-old", "/home/a/p-old"),
    ];
    for (text, expected) in table {
        let (root, copy) = (Path::new("/home/a/p"), Path::new("/s/p"));
        let moved = shadow::moved_text(OsStr::new(text), root, copy);
        assert_eq!(moved, expected, "{text}");
    }
}

#[test]
fn folders_of_tools_are_told_from_sources() {
    let table = [
        ("src/a.py", false),
        ("a_test.go", false),
        ("src/__pycache__/a.pyc", true),
        (".pytest_cache/v/x", true),
        ("node_modules/.vite/x", true),
        ("src/distance.ts", false),
        ("node_modules/.bin/vitest", false),
        ("node_modules/lodash/index.js", false),
        (".coverage.host.42", true),
        (".eslintcache", true),
        (".husky/pre-commit", false),
        (".envrc", false),
        (".git/hooks/pre-commit", false),
        (".git/config", false),
        (".git/refs/heads/index", false),
        (".git/index", true),
        (".git/index.lock", true),
        ("target/sample/.git/config", true),
    ];
    for (path, expected) in table {
        assert_eq!(tampering::is_of_a_tool(Path::new(path)), expected, "{path}");
    }
}
