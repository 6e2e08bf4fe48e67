//! The command line: what it prints, and how it ends.

mod support;

use support::samples;
use support::world::{World, said};
use testsmith_simulator::Script;

fn go() -> World {
    let world = World::new(Script::default());
    world.save("go.mod", samples::GO_MOD);
    world
}

#[test]
fn a_bad_configuration_ends_with_64_before_anything_is_done() {
    let world = go();
    world.save("testsmith.toml", "[llm]\nmodle = \"x\"\n");
    for args in [
        &["generate", "--all"][..],
        &["watch"],
        &["config", "check"],
        &["cache", "stats"],
    ] {
        let run = world.run(args);
        assert_eq!(run.status.code(), Some(64), "{args:?}: {}", said(&run));
        assert!(
            said(&run)
                .contains("testsmith.toml:2: unknown key `llm.modle`; did you mean `llm.model`?"),
            "{}",
            said(&run)
        );
    }
    assert!(!world.state().exists(), "nothing was done");
}

#[test]
fn usage_errors_end_with_2() {
    let world = go();
    for args in [
        &["generate"][..],
        &["nonsense"],
        &["generate", "--llm", "--all"],
        &["watch", "--until"],
    ] {
        assert_eq!(world.run(args).status.code(), Some(2), "{args:?}");
    }
}

#[test]
fn a_second_instance_says_who_is_first_and_ends_with_75() {
    let world = go();
    let daemon = world.watch(&[]);
    for args in [&["watch"][..], &["watch", "--until-idle"]] {
        let run = world.run(args);
        assert_eq!(run.status.code(), Some(75), "{args:?}: {}", said(&run));
        assert!(
            said(&run).contains("another testsmith (pid "),
            "{}",
            said(&run)
        );
    }
    drop(daemon);
    assert_eq!(
        world.run(&["cache", "stats"]).status.code(),
        Some(0),
        "a dead holder is none"
    );
}

#[test]
fn config_show_tells_where_each_value_comes_from() {
    let world = go();
    world.save("testsmith.toml", "[watch]\n\nmax_wait = \"7s\"\n");
    let run = world.run(&["config", "show", "--set", "llm.temperature=0.5"]);
    let text = said(&run);
    let line = |key: &str| {
        text.lines()
            .find(|line| line.starts_with(key))
            .unwrap_or_default()
            .to_owned()
    };
    assert!(
        line("watch.max_wait").ends_with("testsmith.toml:3"),
        "{text}"
    );
    assert!(
        line("llm.temperature").ends_with("--set llm.temperature"),
        "{text}"
    );
    assert!(
        line("llm.model").ends_with("environment variable TESTSMITH_LLM__MODEL"),
        "{text}"
    );
    assert!(line("batch.enabled").ends_with("built-in"), "{text}");
    let json = world.run(&["config", "show", "--json"]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["watch.max_wait"]["value"], "7s");
}

#[test]
fn the_schema_is_the_committed_one() {
    let world = go();
    let run = world.run(&["config", "schema"]);
    let committed = concat!(env!("CARGO_MANIFEST_DIR"), "/../../config/schema.json");
    assert_eq!(
        String::from_utf8_lossy(&run.stdout),
        std::fs::read_to_string(committed).unwrap()
    );
}

#[test]
fn a_stranger_s_base_url_counts_only_with_trust() {
    let world = go();
    world.save(
        "testsmith.toml",
        "[llm]\nbase_url = \"http://203.0.113.9/v1\"\n",
    );
    let show = |args: &[&str]| {
        let mut command = world.command(&["config", "show"]);
        command.args(args).env_remove("TESTSMITH_LLM__BASE_URL");
        said(&command.output().unwrap())
    };
    let text = show(&[]);
    assert!(!text.contains("llm.base_url ="), "{text}");
    assert!(text.contains("testsmith trust"), "{text}");
    let trust = world.command(&["trust"]).output().unwrap();
    assert!(trust.status.success(), "{}", said(&trust));
    let listed = said(&trust);
    let mut listed = listed.lines().skip(1);
    let one = listed.next().unwrap_or_default();
    assert!(
        one.contains("203.0.113.9") && one.ends_with("testsmith.toml:2"),
        "{one}"
    );
    assert_eq!(
        listed.next(),
        None,
        "what is set elsewhere is not asked about"
    );
    assert!(show(&[]).contains("203.0.113.9"));
    assert!(
        world
            .command(&["trust", "--revoke"])
            .output()
            .unwrap()
            .status
            .success()
    );
    assert!(!show(&[]).contains("llm.base_url ="));
    assert!(
        show(&["--config", "testsmith.toml"]).contains("203.0.113.9"),
        "named is trusted"
    );
}

#[test]
fn a_dry_run_writes_nothing_and_asks_nobody() {
    let world = go();
    world.save("cart.go", samples::GO);
    let dry = world.run(&["generate", "--all", "--dry-run"]);
    assert!(dry.status.success(), "{}", said(&dry));
    assert!(
        said(&dry).contains("cart.go: would ask for Add, Twice"),
        "{}",
        said(&dry)
    );
    assert_eq!(world.requests().len(), 0);
    let asked = world.run(&["generate", "--all", "--dry-run", "--llm"]);
    let text = String::from_utf8_lossy(&asked.stdout).into_owned();
    assert!(
        text.starts_with("--- /dev/null\n+++ b/cart_testsmith_test.go\n"),
        "{text}"
    );
    assert!(text.contains("+// testsmith:begin Add key="), "{text}");
    assert!(!world.exists("cart_testsmith_test.go"));
    // The answers are paid for: now the diff costs nothing.
    let dry = world.run(&["generate", "--all", "--dry-run"]);
    assert_eq!(String::from_utf8_lossy(&dry.stdout), text);
    assert_eq!(world.requests().len(), 1);
}

#[test]
fn generate_takes_files_folders_and_revisions() {
    let world = go();
    world.save("a/a.go", samples::GO.replace("package shop", "package a"));
    world.save(
        "b/b.go",
        samples::GO
            .replace("package shop", "package b")
            .replace("Add", "Sum"),
    );
    world.save("ignored/c.go", samples::GO);
    world.save(".gitignore", "ignored/\n");
    let git = |args: &[&str]| world.git(args);
    git(&["init", "-q"]);
    git(&["add", "."]);
    git(&["commit", "-qm", "one"]);
    let nothing = world.run(&["generate", "--since", "HEAD", "--json"]);
    assert!(said(&nothing).contains("\"files\":0"), "{}", said(&nothing));
    world.save(
        "b/b.go",
        samples::GO
            .replace("package shop", "package b")
            .replace("Add", "Plus"),
    );
    let since = world.run(&["generate", "--since", "HEAD", "--json"]);
    let lines: Vec<serde_json::Value> = String::from_utf8_lossy(&since.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(
        (&lines[0]["path"], &lines[0]["outcome"]),
        (&"b/b.go".into(), &"written".into())
    );
    assert_eq!(lines[1]["files"], 1);
    let folder = world.run(&["generate", "a"]);
    assert!(world.exists("a/a_testsmith_test.go"), "{}", said(&folder));
    assert!(!world.exists("ignored/c_testsmith_test.go"));
    let named = world.run(&["generate", "go.mod"]);
    assert_eq!(named.status.code(), Some(1));
    assert!(
        said(&named).contains("no language that testsmith knows"),
        "{}",
        said(&named)
    );
    let bad = world.run(&["generate", "--since", "no-such-revision"]);
    assert!(said(&bad).contains("no-such-revision"), "{}", said(&bad));
}

#[test]
fn the_cache_is_told_and_emptied() {
    let world = go();
    world.save("cart.go", samples::GO);
    world.run(&["generate", "--all"]);
    let stats = said(&world.run(&["cache", "stats"]));
    assert!(
        stats.starts_with("LLM cache — hits: 0 misses: 2 entries: 2\n"),
        "{stats}"
    );
    let json = world.run(&["cache", "stats", "--json"]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!((&json["misses"], &json["entries"]), (&2.into(), &2.into()));
    assert!(said(&world.run(&["cache", "clear"])).contains("2 answers forgotten"));
    let stats = said(&world.run(&["cache", "stats"]));
    assert!(stats.contains("entries: 0"), "{stats}");
}

#[test]
fn completions_are_there_for_each_shell() {
    let world = go();
    for shell in ["bash", "zsh", "fish", "powershell"] {
        let run = world.command(&["completions", shell]).output().unwrap();
        assert!(run.status.success());
        assert!(
            String::from_utf8_lossy(&run.stdout).contains("until-idle"),
            "{shell}"
        );
    }
}

#[test]
fn every_command_s_help_has_an_example() {
    let world = go();
    let commands: &[&[&str]] = &[
        &[],
        &["watch"],
        &["generate"],
        &["cache", "stats"],
        &["cache", "clear"],
        &["config", "show"],
        &["config", "check"],
        &["config", "schema"],
        &["cache", "gc"],
        &["cache", "export"],
        &["cache", "import"],
        &["status"],
        &["jobs"],
        &["explain"],
        &["retry"],
        &["cancel"],
        &["pause"],
        &["resume"],
        &["stop"],
        &["trust"],
        &["demo"],
        &["simulate"],
        &["completions"],
    ];
    for command in commands {
        let run = world
            .command(&[*command, &["--help"]].concat())
            .output()
            .unwrap();
        assert!(run.status.success());
        assert!(
            String::from_utf8_lossy(&run.stdout).contains("Example"),
            "{command:?}"
        );
    }
}
