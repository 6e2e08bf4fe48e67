//! Of the parts that need no launcher. The walls themselves are tried in `tests/sandbox.rs`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::types::CommandSpec;
use super::{environment, places, walls};

fn command(env: &[(&str, &str)]) -> CommandSpec {
    CommandSpec {
        program: PathBuf::from("true"),
        args: Vec::new(),
        cwd: PathBuf::from("/"),
        env: env
            .iter()
            .map(|(name, value)| (OsString::from(name), OsString::from(value)))
            .collect(),
    }
}

fn value<'a>(environment: &'a [(OsString, OsString)], name: &str) -> Option<&'a str> {
    let mut found = environment.iter().filter(|(other, _)| other == name);
    let first = found.next()?.1.to_str();
    assert!(found.next().is_none(), "`{name}` is there twice");
    first
}

#[test]
fn only_listed_variables_are_passed_on() {
    let own = [
        ("PATH", "/usr/bin"),
        ("LC_ALL", "C"),
        ("OPENAI_API_KEY", "sk-secret"),
        ("LD_PRELOAD", "/tmp/x.so"),
        ("HOME", "/home/a"),
        ("TERM", "xterm"),
    ]
    .map(|(name, value)| (OsString::from(name), OsString::from(value)));
    let command = command(&[("GOFLAGS", "-mod=mod"), ("TMPDIR", "/scratch/own")]);
    let environment = environment::allowed(own.into_iter(), Path::new("/scratch"), &command);
    let expected = [
        ("PATH", Some("/usr/bin")),
        ("LC_ALL", Some("C")),
        ("OPENAI_API_KEY", None),
        ("LD_PRELOAD", None),
        ("HOME", Some("/scratch")),
        ("TERM", Some("dumb")),
        ("GOFLAGS", Some("-mod=mod")),
        ("TMPDIR", Some("/scratch/own")),
    ];
    for (name, expected) in expected {
        assert_eq!(value(&environment, name), expected, "{name}");
    }
}

#[test]
fn the_home_directory_comes_from_the_user_database() {
    let database = "root:x:0:0:root:/root:/bin/sh\nanna:x:1000:1000:Anna,,,:/home/anna:/bin/zsh\n";
    assert_eq!(
        places::home_in(database, "1000"),
        Some(PathBuf::from("/home/anna"))
    );
    assert_eq!(places::home_in(database, "100"), None);
}

#[test]
fn hidden_places_are_those_that_exist_with_links_followed() {
    let home = tempfile::tempdir().unwrap();
    let top = home.path().canonicalize().unwrap();
    std::fs::create_dir(top.join("keys")).unwrap();
    std::os::unix::fs::symlink(top.join("keys"), top.join(".ssh")).unwrap();
    for name in [".aws", ".cache/huggingface", ".local/share/python_keyring"] {
        std::fs::create_dir_all(top.join(name)).unwrap();
    }
    let hidden = places::hidden(std::slice::from_ref(&top), &[top.join("none")]);
    let of_home: Vec<_> = hidden
        .iter()
        .filter(|path| path.starts_with(&top))
        .collect();
    let expected = [
        ".aws",
        ".cache/huggingface",
        ".local/share/python_keyring",
        "keys",
    ];
    assert_eq!(of_home, expected.map(|name| top.join(name)).each_ref());
}

#[test]
fn the_remedy_names_the_switch_that_is_closed() {
    let table = [
        (
            "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
            "1\n",
            "apparmor",
        ),
        (
            "/proc/sys/kernel/unprivileged_userns_clone",
            "0\n",
            "userns_clone",
        ),
        (
            "/proc/sys/user/max_user_namespaces",
            "0\n",
            "max_user_namespaces",
        ),
        ("/proc/sys/user/max_user_namespaces", "9000\n", "Linux 5.11"),
    ];
    for (switch, value, expected) in table {
        let remedy = walls::namespace_remedy(|path| (path == switch).then(|| value.to_owned()));
        assert!(remedy.contains(expected), "{switch}={value}: {remedy}");
    }
}

#[test]
fn secrets_of_the_project_are_found_and_those_of_packages_are_none() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("work/project");
    for path in [
        "../.env",
        "../other/.env",
        ".env.local",
        "certs/server.pem",
        "certs/shown.pem",
        "certs/id_map.py",
        "deep/.aws/config",
        ".env.d/bin/activate",
        "node_modules/x/key.pem",
        ".venv/lib/python3/site-packages/certifi/cacert.pem",
        "vendor/x/key.pem",
        ".git/id_old",
        "src/app.ts",
    ] {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "").unwrap();
    }
    std::os::unix::fs::symlink("../src/app.ts", root.join("certs/id_link")).unwrap();
    std::os::unix::fs::symlink("..", root.join("deep/up")).unwrap();
    let shown = |path: &Path| path == Path::new("certs/shown.pem");
    let found = places::named_like_secrets(&root, shown);
    let mut found: Vec<_> = found
        .iter()
        .filter_map(|path| path.strip_prefix(folder.path().join("work")).ok())
        .collect();
    found.sort_unstable();
    let expected = [
        ".env",
        "project/.env.local",
        "project/certs/id_link",
        "project/certs/server.pem",
        "project/deep/.aws",
        "project/vendor/x/key.pem",
    ];
    assert_eq!(found, expected.map(Path::new));
}
