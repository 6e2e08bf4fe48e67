//! Verification in the life of the service: toolchains that come and go, restarts, newer saves, kills.

mod support;

use std::collections::BTreeSet;

use rustix::process::Signal;
use serde_json::Value;
use support::daemon::Daemon;
use support::processes::{Process, command_line, descendants, left_of};
use support::samples;
use support::tools::have;
use support::world::{World, said, wait_until};
use testsmith_simulator::{BadBody, Fault, Rule, Script};

const TESTS: &str = "cart_testsmith_test.go";

/// A Go project, verified; `None` without Go.
fn go(script: Script) -> Option<World> {
    if !have("go", &["version"]) {
        return None;
    }
    let world = World::verifying(script);
    world.save("go.mod", samples::GO_MOD);
    Some(world)
}

/// A start with all that changed worked off; `path` is where programs are looked for.
fn until_idle(world: &World, path: Option<&str>, more: &[&str]) -> (Option<i32>, String) {
    let mut command = world.command(&["watch", "--until-idle", "--log-format", "json"]);
    command.args(more).arg("--state-dir").arg(world.state());
    if let Some(path) = path {
        command.env("PATH", path);
    }
    let (status, _, log) = Daemon::spawn(command).end();
    (status.code(), log)
}

#[test]
fn without_a_toolchain_a_test_is_unverified_until_there_is_one() {
    let Some(world) = go(Script::default()) else {
        return;
    };
    world.save("cart.go", samples::GO);
    let mut command = world.command(&["generate", "--all", "--state-dir"]);
    command.arg(world.state()).env("PATH", "/nonexistent");
    let run = command.output().unwrap();
    assert!(run.status.success(), "{}", said(&run));
    let tests = world.read(TESTS);
    assert_eq!(tests.matches(" unverified").count(), 2, "{tests}");
    // Still none: nothing changes.
    let (code, log) = until_idle(&world, Some("/nonexistent"), &[]);
    assert_eq!(code, Some(0), "{log}");
    assert_eq!(world.read(TESTS), tests);
    let (code, log) = until_idle(&world, None, &[]);
    assert_eq!(code, Some(0), "{log}");
    assert_eq!(world.read(TESTS), tests.replace(" unverified", ""), "{log}");
    assert_eq!(world.requests().len(), 1);
}

#[test]
fn an_unverified_test_that_turns_out_bad_does_not_stay() {
    let script = Script::default().rule(Rule::from(Fault::body(BadBody::Fails)).member("Twice"));
    let Some(world) = go(script) else {
        return;
    };
    world.save("cart.go", samples::GO);
    let mut command = world.command(&["generate", "--all", "--state-dir"]);
    command.arg(world.state()).env("PATH", "/nonexistent");
    let run = command.output().unwrap();
    assert!(run.status.success(), "{}", said(&run));
    assert!(world.read(TESTS).contains("begin Twice"));
    let (code, log) = until_idle(&world, None, &[]);
    assert_eq!(code, Some(0), "{log}");
    let tests = world.read(TESTS);
    assert!(
        tests.contains("begin Add") && !tests.contains("begin Twice"),
        "{tests}"
    );
    assert!(!tests.contains("unverified"), "{tests}");
}

#[test]
fn what_is_required_to_be_verified_waits_for_the_toolchain() {
    let Some(world) = go(Script::default()) else {
        return;
    };
    world.save("cart.go", samples::GO);
    let required = ["--set", "verify.mode=required"];
    let mut command = world.command(&["generate", "--all", "--state-dir"]);
    command.arg(world.state()).args(required);
    let run = command.env("PATH", "/nonexistent").output().unwrap();
    assert_eq!(run.status.code(), Some(1), "{}", said(&run));
    assert!(said(&run).contains("cannot be verified"), "{}", said(&run));
    assert!(!world.exists(TESTS));
    let (code, log) = until_idle(&world, None, &required);
    assert_eq!(code, Some(0), "{log}");
    let tests = world.read(TESTS);
    assert!(!tests.contains("unverified"), "{tests}");
    assert_eq!(world.requests().len(), 1);
}

#[test]
fn verification_is_switched_on_and_off_under_way() {
    let Some(world) = go(Script::default()) else {
        return;
    };
    let reload = |mode: &str| {
        world.save("testsmith.toml", format!("[verify]\nmode = \"{mode}\"\n"));
        let reloaded = world.run(&["reload"]);
        assert!(reloaded.status.success(), "{}", said(&reloaded));
    };
    world.save("testsmith.toml", "[verify]\nmode = \"off\"\n");
    // Named, the file may switch verification off.
    let config = world.root().join("testsmith.toml");
    let mut daemon = world.watch(&["--config", config.to_str().unwrap()]);
    world.save("cart.go", samples::GO);
    assert_eq!(daemon.ended("cart.go")["verified"], Value::Null);
    reload("required");
    world.save(
        "price.go",
        samples::GO.replace("Add", "Sum").replace("Twice", "Double"),
    );
    let ended = daemon.ended("price.go");
    assert_eq!(
        (&ended["outcome"], &ended["verified"]),
        (&"written".into(), &2.into())
    );
    reload("off");
    world.save(
        "half.go",
        "package shop\n\nfunc Half(a int) int { return a / 2 }\n",
    );
    assert_eq!(daemon.ended("half.go")["verified"], Value::Null);
    daemon.stop();
}

#[test]
fn a_project_that_does_not_build_is_waited_for() {
    let Some(world) = go(Script::default()) else {
        return;
    };
    world.save("other.go", "package shop\n\nvar rate int = \"two\"\n");
    let mut daemon = world.watch(&[]);
    world.save("cart.go", samples::GO);
    let ended = daemon.ended("cart.go");
    assert_eq!(ended["outcome"], "waiting", "{ended}");
    let reason = ended["reason"].as_str().unwrap();
    assert!(
        reason.starts_with("waits for the project to build"),
        "{reason}"
    );
    assert!(!world.exists(TESTS));
    world.save("other.go", "package shop\n\nvar rate int = 2\n");
    assert_eq!(daemon.ended("cart.go")["outcome"], "written");
    assert!(!world.read(TESTS).contains("unverified"));
    assert_eq!(world.requests().len(), 1);
}

#[test]
fn what_was_verified_is_not_run_again() {
    let Some(world) = go(Script::default()) else {
        return;
    };
    let changed = samples::GO.replace("a * 2", "a + a");
    let mut daemon = world.watch(&[]);
    let ran = |ended: &Value| {
        assert_eq!(ended["outcome"], "written", "{ended}");
        !ended["verify_ms"].is_null()
    };
    world.save("cart.go", samples::GO);
    assert!(ran(&daemon.ended("cart.go")));
    world.save("cart.go", &changed);
    assert!(ran(&daemon.ended("cart.go")));
    // Back, as by a switch of branches.
    world.save("cart.go", samples::GO);
    assert!(!ran(&daemon.ended("cart.go")), "known from before");
    let (status, _, log) = daemon.stop();
    assert!(status.success(), "{log}");
    let mut daemon = world.watch(&[]);
    world.save("cart.go", &changed);
    let ended = daemon.ended("cart.go");
    assert!(!ran(&ended), "known after a restart: {ended}");
    assert_eq!(world.requests().len(), 2);
}

#[test]
fn a_branch_and_back_runs_nothing() {
    let Some(world) = go(Script::default()) else {
        return;
    };
    world.save("cart.go", samples::GO);
    world.git(&["init", "-q"]);
    world.git(&["add", "."]);
    world.git(&["commit", "-qm", "sources"]);
    let run = world.run(&["generate", "--all"]);
    assert!(run.status.success(), "{}", said(&run));
    world.git(&["add", "."]);
    world.git(&["commit", "-qm", "tests"]);
    world.git(&["checkout", "-qb", "other"]);
    let mut daemon = world.watch(&[]);
    world.save("cart.go", samples::GO.replace("a * 2", "a + a"));
    assert_eq!(daemon.ended("cart.go")["outcome"], "written");
    world.git(&["add", "."]);
    world.git(&["commit", "-qm", "other"]);
    for branch in ["main", "other"] {
        world.git(&["checkout", "-q", branch]);
        let ended = daemon.ended("cart.go");
        assert_eq!(ended["outcome"], "up_to_date", "{branch}: {ended}");
        assert!(ended["verify_ms"].is_null(), "{branch}: {ended}");
    }
    assert_eq!(world.requests().len(), 2);
}

/// A watched project whose test of `Twice` hangs while it is verified, and the processes of that run.
fn hanging(more: &[&str]) -> Option<(World, Daemon, BTreeSet<Process>)> {
    let script = Script::default().rule(Rule::from(Fault::body(BadBody::Hangs)).member("Twice"));
    let world = go(script)?;
    let daemon = world.watch(more);
    world.save("cart.go", samples::GO);
    let mut run = BTreeSet::new();
    wait_until("the test that hangs", || {
        run = descendants(daemon.id());
        run.iter()
            .any(|process| command_line(process).contains(".test"))
    });
    Some((world, daemon, run))
}

#[test]
fn a_save_while_its_tests_run_wins() {
    let Some((world, mut daemon, run)) = hanging(&[]) else {
        return;
    };
    world.save(
        "cart.go",
        samples::GO
            .replace("Twice", "Thrice")
            .replace("a * 2", "a * 3"),
    );
    assert_eq!(daemon.ended("cart.go")["outcome"], "written");
    let tests = world.read(TESTS);
    assert!(
        tests.contains("begin Thrice") && !tests.contains("Twice"),
        "{tests}"
    );
    assert_eq!(left_of(&run), [], "the older run is over");
    assert_eq!(world.requests().len(), 2);
}

/// The next start finishes the job without asking anything; the test that hangs is given up.
fn is_finished_by_the_next_start(world: &World) {
    assert!(!world.exists(TESTS));
    let settings = [
        "--set",
        "verify.timeout=3s",
        "--set",
        "verify.repair_rounds=0",
    ];
    let (code, log) = until_idle(world, None, &settings);
    assert_eq!(code, Some(0), "{log}");
    let tests = world.read(TESTS);
    assert!(
        tests.contains("begin Add") && !tests.contains("Twice"),
        "{tests}"
    );
    assert_eq!(world.requests().len(), 1, "{log}");
}

#[test]
fn sigterm_leaves_no_process_and_the_job() {
    let Some((world, daemon, run)) = hanging(&["--set", "service.shutdown_grace=300ms"]) else {
        return;
    };
    let (status, _, log) = daemon.stop();
    assert_eq!(status.code(), Some(0), "{log}");
    wait_until("the end of all processes", || left_of(&run).is_empty());
    is_finished_by_the_next_start(&world);
}

#[test]
fn a_kill_leaves_no_process_and_the_job() {
    let Some((world, daemon, run)) = hanging(&[]) else {
        return;
    };
    daemon.signal(Signal::KILL);
    let (status, _, log) = daemon.end();
    assert_eq!(status.code(), None, "{log}");
    wait_until("the end of all processes", || left_of(&run).is_empty());
    is_finished_by_the_next_start(&world);
}
