//! No work is lost: kills, signals, half-typed files, sick providers, odd files.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has to fail"
)]

mod support;

use std::time::Duration;

use rustix::process::Signal;
use support::program::Program;
use support::samples;
use support::world::{World, said, wait_until};
use testsmith_simulator::{Fault, Latency, Preset, Rule, Script};

fn slow(ms: u64) -> Script {
    Script::default().latency(Latency::fixed(Duration::from_millis(ms)))
}

/// A Go project.
fn go(script: Script) -> World {
    let world = World::new(script);
    world.save("go.mod", samples::GO_MOD);
    world
}

#[test]
fn a_killed_daemon_s_job_goes_on_at_the_next_start() {
    let world = go(Script::default().rule(Rule::from(Fault::Hang).nth(1)));
    let daemon = world.watch(&[]);
    world.save("cart.go", samples::GO);
    world.wait_for_requests(1);
    daemon.kill();
    assert!(!world.exists("cart_testsmith_test.go"));
    let mut daemon = world.watch_unready(&[]);
    assert_eq!(daemon.ended("cart.go")["outcome"], "written");
    assert!(world.exists("cart_testsmith_test.go"));
}

#[test]
fn edits_made_while_the_service_was_down_are_found() {
    let world = go(Script::default());
    world.save(
        "old.go",
        samples::GO.replace("Add", "Old").replace("Twice", "Older"),
    );
    let daemon = world.watch(&[]);
    let (status, _, log) = daemon.stop();
    assert!(status.success(), "{log}");
    assert_eq!(
        world.requests().len(),
        0,
        "what was there at first is the base line"
    );
    world.save("cart.go", samples::GO);
    let mut daemon = world.watch_unready(&["--until-idle"]);
    assert_eq!(daemon.ended("cart.go")["outcome"], "written");
    let (status, _, log) = daemon.end();
    assert_eq!(status.code(), Some(0), "{log}");
    let asked: Vec<_> = world
        .requests()
        .into_iter()
        .map(|request| request.members)
        .collect();
    assert_eq!(asked, [["Add", "Twice"]], "{log}");
}

#[test]
fn sigterm_lets_a_running_call_finish() {
    let world = go(slow(700));
    let daemon = world.watch(&["--verbose"]);
    world.save("cart.go", samples::GO);
    world.wait_for_requests(1);
    let (status, out, log) = daemon.stop();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(world.exists("cart_testsmith_test.go"), "{log}");
    assert_eq!(
        out.lines().last(),
        Some("LLM cache — hits: 0 misses: 2 entries: 2")
    );
}

#[test]
fn sigterm_puts_a_job_back_when_the_grace_is_over() {
    let world = go(Script::default().rule(Rule::from(Fault::Hang).nth(1)));
    let daemon = world.watch(&["--set", "service.shutdown_grace=300ms"]);
    world.save("cart.go", samples::GO);
    world.wait_for_requests(1);
    let (status, _, log) = daemon.stop();
    assert_eq!(status.code(), Some(0), "{log}");
    let mut daemon = world.watch_unready(&[]);
    assert_eq!(daemon.ended("cart.go")["outcome"], "written");
}

#[test]
fn a_signal_that_comes_twice_is_one() {
    let world = go(slow(700));
    let daemon = world.watch(&[]);
    world.save("cart.go", samples::GO);
    world.wait_for_requests(1);
    daemon.signal(Signal::TERM);
    let (status, _, log) = daemon.stop();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(world.exists("cart_testsmith_test.go"), "{log}");
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let world = go(Script::default().rule(Rule::from(Fault::Hang)));
    let mut daemon = world.watch(&[]);
    world.save("cart.go", samples::GO);
    world.wait_for_requests(1);
    daemon.signal(Signal::INT);
    daemon.wait("word that it stops", |line| {
        line["message"]
            .as_str()
            .is_some_and(|text| text.starts_with("stopping"))
    });
    // At once, it would be the same signal twice, as `timeout` sends it.
    wait_until("the end by a second signal", || {
        daemon.signal(Signal::INT);
        daemon.has_ended()
    });
    let (status, _, log) = daemon.end();
    assert_eq!(status.code(), Some(130), "{log}");
}

#[test]
fn two_saves_in_a_row_are_one_call() {
    let world = go(Script::default());
    let mut daemon = world.watch(&[]);
    world.save("cart.go", "package shop\n");
    world.save("cart.go", samples::GO);
    assert_eq!(daemon.ended("cart.go")["outcome"], "written");
    let (_, _, log) = daemon.stop();
    assert_eq!(world.requests().len(), 1, "{log}");
}

#[test]
fn a_save_during_a_call_wins() {
    let world = go(Script::default().rule(Rule::from(Fault::Hang).nth(1)));
    let mut daemon = world.watch(&[]);
    world.save("cart.go", samples::GO);
    world.wait_for_requests(1);
    world.save(
        "cart.go",
        samples::GO
            .replace("Twice", "Thrice")
            .replace("a * 2", "a * 3"),
    );
    assert_eq!(daemon.ended("cart.go")["outcome"], "written");
    let tests = world.read("cart_testsmith_test.go");
    assert!(
        tests.contains("begin Thrice") && !tests.contains("Twice"),
        "{tests}"
    );
    let requests = world.requests();
    assert_eq!(requests.len(), 2);
    assert!(requests[0].client_gone, "the first call was cancelled");
}

#[test]
fn a_half_typed_file_waits_for_the_next_save() {
    let world = go(Script::default());
    let mut daemon = world.watch(&[]);
    world.save("cart.go", "package shop\n\nfunc Add(a, b int");
    let ended = daemon.ended("cart.go");
    assert_eq!(ended["outcome"], "waits_for_save", "{ended}");
    assert_eq!(ended["level"], "INFO", "it is no error");
    assert!(
        ended["reason"].as_str().unwrap().contains("line 3"),
        "{ended}"
    );
    assert_eq!(world.requests().len(), 0);
    world.save("cart.go", samples::GO);
    assert_eq!(daemon.ended("cart.go")["outcome"], "written");
}

#[test]
fn odd_files_are_told_and_do_no_harm() {
    let world = go(Script::default());
    let mut daemon = world.watch(&[]);
    world.save(
        "latin.go",
        b"package shop\n\n// caf\xe9\nfunc Cafe() int { return 1 }\n",
    );
    let ended = daemon.ended("latin.go");
    assert_eq!(ended["outcome"], "skipped");
    assert!(
        ended["reason"].as_str().unwrap().contains("not UTF-8"),
        "{ended}"
    );
    let big = format!("{}// {}\n", samples::GO, "x".repeat(5 << 20));
    world.save("big.go", big);
    let ended = daemon.ended("big.go");
    assert!(
        ended["reason"]
            .as_str()
            .unwrap()
            .contains("watch.max_file_size"),
        "{ended}"
    );
    world.save(
        "made.go",
        format!("// Code generated by hand. DO NOT EDIT.\n\n{}", samples::GO),
    );
    assert_eq!(daemon.ended("made.go")["reason"], "generated");
    assert_eq!(world.requests().len(), 0);
    world.save("cart.go", samples::GO);
    assert_eq!(daemon.ended("cart.go")["outcome"], "written");
}

/// Root may read and write everything, so the program runs as nobody where we are root.
fn as_nobody(world: &World, args: &[&str]) -> Program {
    if !rustix::process::geteuid().is_root() {
        return world.command(args);
    }
    let everything = [
        "-R",
        "nobody",
        world.root().parent().unwrap().to_str().unwrap(),
    ]
    .map(str::to_owned);
    let owned = std::process::Command::new("chown")
        .args(everything)
        .status()
        .unwrap();
    assert!(owned.success());
    // The program itself may lie where nobody cannot go.
    let program = world.beside("testsmith");
    support::world::copy_program(&program);
    let mut command = world.by(std::process::Command::new("setpriv"));
    command
        .args(["--reuid=nobody", "--clear-groups", "--"])
        .arg(program)
        .args(args);
    command
}

#[test]
fn what_cannot_be_read_or_written_is_told_with_its_name() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = go(Script::default());
    let mode = |path: &str, mode: u32| {
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(world.root().join(path), permissions).unwrap();
    };
    world.save("secret.go", samples::GO);
    world.save(
        "fixed/cart.go",
        samples::GO.replace("package shop", "package fixed"),
    );
    let state = world.state();
    let args = ["generate", "--all", "--state-dir", state.to_str().unwrap()];
    let mut command = as_nobody(&world, &args);
    mode("secret.go", 0o000);
    mode("fixed", 0o555);
    let run = command.output().unwrap();
    assert_eq!(run.status.code(), Some(1), "{}", said(&run));
    let text = said(&run);
    assert!(
        text.contains("secret.go") && text.contains("cannot read it"),
        "{text}"
    );
    assert!(
        text.contains("cannot write `fixed/cart_testsmith_test.go`: Permission denied"),
        "{text}"
    );
    // What was paid for is not paid for again.
    mode("fixed", 0o755);
    let asked = world.requests().len();
    let run = as_nobody(&world, &args).output().unwrap();
    assert!(
        world.exists("fixed/cart_testsmith_test.go"),
        "{}",
        said(&run)
    );
    assert_eq!(world.requests().len(), asked);
    mode("secret.go", 0o644);
}

#[test]
fn a_provider_that_is_down_delays_a_job_and_loses_nothing() {
    let mut world = go(Script::default());
    world.stop_model();
    world.save("cart.go", samples::GO);
    let run = world.run(&["generate", "--all"]);
    assert_eq!(run.status.code(), Some(1));
    assert!(said(&run).contains("after 3 attempts: "), "{}", said(&run));
    // The job is kept; so is a newer one, of a daemon that meets the same.
    let mut daemon = world.watch(&[]);
    world.save(
        "other.go",
        samples::GO.replace("Add", "Sum").replace("Twice", "Double"),
    );
    let ended = daemon.ended("other.go");
    assert_eq!(ended["outcome"], "waiting", "{ended}");
    assert!(ended["retry_in_ms"].as_u64().unwrap() > 25_000, "{ended}");
    // It is up again: the next save goes through and wakes the others.
    world.start_model(Script::default());
    world.save(
        "third.go",
        samples::GO.replace("Add", "Minus").replace("Twice", "Half"),
    );
    assert_eq!(daemon.ended("third.go")["outcome"], "written");
    wait_until("the jobs that waited", || {
        world.exists("other_testsmith_test.go") && world.exists("cart_testsmith_test.go")
    });
}

#[test]
fn a_wrong_key_is_not_tried_again() {
    let world = go(Script::default().rule(Rule::from(Fault::preset(Preset::InvalidKey))));
    world.save("cart.go", samples::GO);
    let run = world.run(&["generate", "--all"]);
    assert_eq!(run.status.code(), Some(1), "{}", said(&run));
    assert_eq!(world.requests().len(), 1);
    assert!(!world.exists("cart_testsmith_test.go"));
}

#[test]
fn a_failed_batch_is_not_followed_by_single_calls() {
    let world = go(Script::default().rule(Rule::from(Fault::status(500))));
    world.save("cart.go", samples::GO);
    let run = world.run(&["generate", "--all"]);
    assert_eq!(run.status.code(), Some(1), "{}", said(&run));
    let requests = world.requests();
    assert_eq!(requests.len(), 3, "three attempts at the batch");
    assert!(requests.iter().all(|request| request.members.len() == 2));
}

#[test]
fn a_start_with_the_right_key_takes_up_what_the_wrong_one_left() {
    let world = go(Script::default().rule(Rule::from(Fault::preset(Preset::InvalidKey)).nth(1)));
    let daemon = world.watch(&[]);
    drop(daemon);
    world.save("cart.go", samples::GO);
    let daemon = world.watch_unready(&["--until-idle"]);
    let (status, _, log) = daemon.end();
    assert_eq!(status.code(), Some(1), "a job failed and is kept: {log}");
    let daemon = world.watch_unready(&["--until-idle"]);
    let (status, _, log) = daemon.end();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(world.exists("cart_testsmith_test.go"), "{log}");
}

#[test]
fn a_reload_takes_up_what_was_refused_whatever_has_changed() {
    let refused = |preset| Script::default().rule(Rule::from(Fault::preset(preset)));
    for preset in [Preset::InvalidKey, Preset::InsufficientQuota] {
        let world = go(refused(preset));
        let mut daemon = world.watch(&[]);
        world.save("cart.go", samples::GO);
        let ended = daemon.ended("cart.go");
        assert_eq!(ended["outcome"], "parked", "{ended}");
        // While it is refused, others are not asked for.
        let other = samples::GO.replace("Add", "Sum").replace("Twice", "Double");
        world.save("other.go", &other);
        wait_until("a job that waits", || {
            let jobs = said(&world.run(&["jobs"]));
            jobs.contains("other.go") && jobs.contains("is not asked")
        });
        assert_eq!(world.requests().len(), 1);
        // The account has money again; nothing of ours has changed.
        world.simulator().set_script(Script::default());
        daemon.signal(Signal::HUP);
        assert_eq!(daemon.ended("cart.go")["outcome"], "written");
        wait_until("the job that waited", || {
            world.exists("other_testsmith_test.go")
        });
    }
}

#[test]
fn a_provider_that_is_back_is_not_stormed_by_what_waited() {
    const FILES: usize = 60;
    let mut world = go(Script::default());
    world.stop_model();
    let daemon = world.watch(&["--set", "llm.retry.base_delay=1ms"]);
    for number in 0..FILES {
        let text = samples::GO
            .replace("Add", &format!("Add{number}"))
            .replace("Twice", &format!("Twice{number}"));
        world.save(&format!("part{number}.go"), text);
    }
    wait_until("all jobs to wait", || {
        let jobs = said(&world.run(&["jobs", "--state", "waiting"]));
        jobs.matches(".go").count() >= FILES
    });
    world.start_model(slow(20));
    daemon.signal(Signal::HUP);
    let written = |number| world.exists(&format!("part{number}_testsmith_test.go"));
    wait_until("all tests", || (0..FILES).all(written));
    assert_eq!(world.requests().len(), FILES, "each once");
    assert!(world.simulator().max_open() <= 5);
}

/// Case 19 of the watcher's hard cases, end to end.
#[test]
fn a_kill_in_a_storm_of_saves_loses_none_of_them() {
    let world = go(slow(20));
    let save = |number: usize| {
        let text = samples::GO
            .replace("Add", &format!("Add{number}"))
            .replace("Twice", &format!("Twice{number}"))
            .replace("a + b", &format!("a + b + {number}"))
            .replace("a * 2", &format!("a * {number}"));
        world.save(&format!("part{number}.go"), text);
    };
    let daemon = world.watch(&[]);
    (0..60).for_each(save);
    world.wait_for_requests(5);
    daemon.kill();
    (60..70).for_each(save);
    let (status, _, log) = world.watch_unready(&["--until-idle"]).end();
    assert_eq!(status.code(), Some(0), "{log}");
    for number in 0..70 {
        assert!(
            world.exists(&format!("part{number}_testsmith_test.go")),
            "{number}: {log}"
        );
    }
    // Twice only what was open when it was killed, or answered and not yet on disk.
    let asked = world.requests().len();
    assert!((70..=80).contains(&asked), "{asked} requests for 70 files");
}

/// The job finds the file gone; that it has only moved is told later.
#[test]
fn a_rename_that_is_told_after_the_first_job_loses_nothing() {
    let world = go(Script::default());
    world.git(&["init", "-q"]);
    let mut daemon = world.watch(&["--verbose"]);
    assert!(world.run(&["pause"]).status.success());
    world.save("cart.go", samples::GO);
    daemon.wait("the job", |line| line["message"] == "changes seen");
    // While git is at work nothing is looked at.
    let lock = world.save(".git/index.lock", "");
    std::fs::rename(world.root().join("cart.go"), world.root().join("basket.go")).unwrap();
    assert!(world.run(&["resume"]).status.success());
    // Gone or renamed: only the watcher can say.
    assert_eq!(daemon.ended("cart.go")["outcome"], "waiting");
    std::fs::remove_file(lock).unwrap();
    assert_eq!(daemon.ended("basket.go")["outcome"], "written");
}
