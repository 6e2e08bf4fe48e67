//! A state that another version has written.
#![expect(
    clippy::unwrap_used,
    reason = "a test without what it looks at has to fail"
)]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use support::world::{World, said};
use testsmith_simulator::Script;

/// The state as version 1 left it: two answers for `/srv/shop/cart.go` in the cache, and a job for
/// `half.go` whose call failed.
const VERSION_1: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../tests/fixtures/state-1.tar.gz"
);

/// Every file with its content.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(contents(&path));
        } else {
            all.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    all
}

#[test]
fn an_older_state_is_brought_forward_with_all_that_is_in_it() {
    let world = World::new(Script::default());
    let unpacked = Command::new("tar")
        .args(["-xzf", VERSION_1, "-C"])
        .arg(world.beside(""))
        .output()
        .unwrap();
    assert!(unpacked.status.success(), "{}", said(&unpacked));
    assert!(!world.state().join("version").exists());
    let stats = world.run(&["cache", "stats", "--json"]);
    let stats: Value = serde_json::from_slice(&stats.stdout).unwrap();
    assert_eq!(stats["entries"], 2, "{stats}");
    assert_eq!(
        fs::read_to_string(world.state().join("version")).unwrap(),
        "2\n2\n"
    );
    let jobs = said(&world.run(&["jobs", "--json"]));
    assert!(
        jobs.contains("half.go") && jobs.contains("model: "),
        "{jobs}"
    );
}

#[test]
fn a_newer_state_is_refused_and_left_untouched() {
    let world = World::new(Script::default());
    fs::create_dir_all(world.state()).unwrap();
    fs::write(world.state().join("version"), "99\n99\n").unwrap();
    fs::write(world.state().join("something"), "of tomorrow").unwrap();
    let before = contents(&world.state());
    for args in [
        &["watch"][..],
        &["generate", "--all"],
        &["cache", "clear"],
        &["usage"],
    ] {
        let refused = world.run(args);
        assert_eq!(
            refused.status.code(),
            Some(64),
            "{args:?}: {}",
            said(&refused)
        );
        assert!(
            said(&refused).contains("is of version 99, by a later testsmith"),
            "{}",
            said(&refused)
        );
    }
    let examined = said(&world.run(&["doctor", "--no-call"]));
    assert!(examined.contains("is of version 99"), "{examined}");
    assert_eq!(contents(&world.state()), before);
}
