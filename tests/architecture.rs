//! The map of ARCHITECTURE.md, kept: who may depend on whom, read from `cargo metadata`.

#![expect(clippy::expect_used, reason = "a test without metadata has to fail")]

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, MetadataCommand, Package};

/// Each crate of ours and the crates of ours it may depend on. Dependencies point inward: the
/// crates in the middle know `domain` and not each other, and only `daemon` wires them.
const ALLOWED: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("secrets", &[]),
    ("config", &["domain", "secrets"]),
    ("lang", &["domain"]),
    ("llm", &["domain"]),
    ("store", &[]),
    ("cache", &["domain", "store"]),
    ("queue", &["domain", "store"]),
    ("usage", &["domain"]),
    ("generate", &["domain", "secrets"]),
    ("verify", &["domain"]),
    ("watch", &["domain"]),
    ("control", &["domain"]),
    ("simulator", &["domain"]),
    (
        "daemon",
        &[
            "cache", "config", "control", "domain", "generate", "lang", "llm", "queue", "secrets",
            "store", "usage", "verify", "watch",
        ],
    ),
    // Never `llm`: the command line knows the generator, and the cache's figures.
    (
        "cli",
        &[
            "bench",
            "config",
            "control",
            "daemon",
            "domain",
            "otlp",
            "simulator",
            "verify",
        ],
    ),
    // It knows spans by their names, and no crate of ours.
    ("otlp", &[]),
    ("bench", &["config", "daemon", "domain", "simulator"]),
];

/// What must stay out of a crate whatever path it would come by, and why.
const FORBIDDEN: &[(&str, &[&str], &str)] = &[
    (
        "domain",
        &["tokio", "sled", "reqwest"],
        "the nouns know no runtime, no store, no HTTP",
    ),
    (
        "generate",
        &["sled", "reqwest"],
        "it sees cache and provider through traits",
    ),
    (
        "lang",
        &["tokio", "sled", "reqwest"],
        "a driver is a pure function of the project's files",
    ),
    (
        "config",
        &["tokio", "sled", "reqwest"],
        "settings are read before anything is started",
    ),
];

fn short(package: &Package) -> Option<&str> {
    package
        .name
        .strip_prefix("testsmith-")
        .filter(|_| package.source.is_none())
}

/// For each crate of ours, the names of its direct dependencies, without those of its tests.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let metadata = MetadataCommand::new()
        .manifest_path(manifest)
        .no_deps()
        .other_options(vec!["--offline".to_owned()])
        .exec()
        .expect("cargo metadata");
    metadata
        .packages
        .iter()
        .filter_map(|package| {
            let names = package
                .dependencies
                .iter()
                .filter(|dependency| dependency.kind != DependencyKind::Development)
                .map(|dependency| dependency.name.clone())
                .collect();
            Some((short(package)?.to_owned(), names))
        })
        .collect()
}

#[test]
fn dependencies_point_inward() {
    let allowed: BTreeMap<_, _> = ALLOWED.iter().copied().collect();
    for (name, dependencies) in dependencies() {
        let may = allowed
            .get(name.as_str())
            .unwrap_or_else(|| panic!("`{name}` is not on the map"));
        for dependency in dependencies
            .iter()
            .filter_map(|d| d.strip_prefix("testsmith-"))
        {
            assert!(
                may.contains(&dependency),
                "`{name}` must not depend on `{dependency}`"
            );
        }
    }
}

#[test]
fn what_a_crate_must_not_know_it_does_not() {
    let dependencies = dependencies();
    for (name, forbidden, why) in FORBIDDEN {
        for dependency in *forbidden {
            assert!(
                !dependencies[*name].contains(*dependency),
                "`{name}` depends on `{dependency}`, but {why}"
            );
        }
    }
}

#[test]
fn every_recipe_of_ci_is_in_the_justfile() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let justfile = std::fs::read_to_string(format!("{root}/justfile")).unwrap();
    let ci = std::fs::read_to_string(format!("{root}/.ci/run")).unwrap();
    let steps: Vec<_> = ci
        .lines()
        .filter_map(|line| line.strip_prefix("step "))
        .map(|step| step.replace("env RUSTDOCFLAGS", "RUSTDOCFLAGS"))
        .collect();
    assert_eq!(steps.len(), 4, "format, lints, docs, tests");
    for step in steps {
        assert!(justfile.contains(&step), "the justfile has no `{step}`");
    }
}
