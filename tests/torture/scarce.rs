//! Nothing left of what a process needs: file descriptors, watches, memory, disk. Work is delayed and
//! never lost, and goes on without a restart.

use std::fs;
use std::path::Path;
use std::process::Command;

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use testsmith_crash::POINTS;
use testsmith_simulator::{Fault, Rule, Script};

use crate::support::daemon::Daemon;
use crate::support::samples;
use crate::support::tools::have;
use crate::support::world::{World, said, wait_until};

fn go(script: Script) -> World {
    let world = World::new(script);
    world.save("go.mod", samples::GO_MOD);
    world
}

/// Sets a soft limit of a running process; gives what it was.
fn limit(daemon: &Daemon, resource: Resource, current: Option<u64>) -> Option<u64> {
    let pid = Pid::from_raw(i32::try_from(daemon.id()).unwrap());
    let before = rustix::process::getrlimit(resource);
    let new = Rlimit {
        current,
        maximum: before.maximum,
    };
    prlimit(pid, resource, new).unwrap().current
}

/// The number that the next file a process opens would get.
fn next_descriptor(daemon: &Daemon) -> u64 {
    let open = |number: &u64| Path::new(&format!("/proc/{}/fd/{number}", daemon.id())).exists();
    (0..1 << 20).find(|number| !open(number)).unwrap()
}

/// Waits for a log line that holds these words.
fn hears(daemon: &mut Daemon, words: &str) {
    daemon.wait(words, |line| line.to_string().contains(words));
}

#[test]
fn without_file_descriptors_a_save_waits_and_is_not_lost() {
    let world = go(Script::default());
    let mut daemon = world.watch(&["--verbose"]);
    let next = next_descriptor(&daemon);
    let before = limit(&daemon, Resource::Nofile, Some(next));
    world.save("cart.go", samples::GO);
    hears(&mut daemon, "Too many open files");
    assert_eq!(world.requests().len(), 0);
    limit(&daemon, Resource::Nofile, before);
    wait_until("the test file", || world.exists("cart_testsmith_test.go"));
}

/// Descriptors run out while a job is at work: one after the other is missing, wherever it is needed.
#[test]
fn with_few_file_descriptors_every_step_is_tried_again() {
    let world = go(Script::default());
    let mut daemon = world.watch(&["--verbose"]);
    for (round, spare) in [1, 2, 3, 5, 8].into_iter().enumerate() {
        let before = limit(
            &daemon,
            Resource::Nofile,
            Some(next_descriptor(&daemon) + spare),
        );
        let source = format!("part{round}.go");
        let text = samples::GO
            .replace("Add", &format!("Add{round}"))
            .replace("Twice", &format!("Twice{round}"));
        world.save(&source, text);
        // Whatever comes first: it got through, or told what it lacks.
        let tests = format!("part{round}_testsmith_test.go");
        daemon.wait("the end, or want", |line| {
            let line = line.to_string();
            line.contains("Too many open files") || line.contains("job ended")
        });
        limit(&daemon, Resource::Nofile, before);
        wait_until("the test file", || world.exists(&tests));
    }
}

/// A daemon for which a full disk is an error, not a signal.
fn on_a_small_disk(world: &World, args: &[&str], full_at: Option<&str>) -> Daemon {
    let mut command = world.by(Command::new("sh"));
    command
        .args(["-c", r#"trap "" XFSZ; exec "$0" "$@""#])
        .arg(crate::support::world::program())
        .args(["watch", "--log-format", "json", "--verbose", "--state-dir"])
        .arg(world.state())
        .args(args);
    if let Some(point) = full_at {
        command.env("TESTSMITH_FULL_AT", format!("{point}:1"));
    }
    Daemon::spawn(command)
}

/// What a job, an intake or the start says that lacks room; or the job's end, where that lacked none.
fn lacks_room_or_is_done(line: &serde_json::Value) -> bool {
    let message = line["message"].as_str().unwrap_or_default();
    message == "job ended"
        || message.starts_with("a change of the tree cannot be written down")
        || message.starts_with("what was seen before cannot be read")
}

/// The disk is full from each point on, and has room again later.
#[test]
fn a_full_disk_at_any_step_delays_and_loses_nothing() {
    let world = go(Script::default());
    assert!(world.watch_unready(&["--until-idle"]).end().0.success());
    let mut waited = 0;
    for (round, point) in POINTS.iter().enumerate() {
        let text = samples::GO
            .replace("Add", &format!("Add{round}"))
            .replace("Twice", &format!("Twice{round}"));
        // The second look at a file exchanges its tests, the first makes them.
        let source = if point.ends_with("exchanged") {
            "part0.go".to_owned()
        } else {
            format!("part{round}.go")
        };
        let asked = world.requests().len();
        let mut daemon = on_a_small_disk(&world, &[], Some(point));
        world.save(&source, text);
        let line = if *point == "tree.aside" {
            // Only the removal of a test file comes by there.
            fs::remove_file(world.root().join("part0.go")).unwrap();
            daemon.ended("part0.go")
        } else {
            daemon.wait(point, lacks_room_or_is_done)
        };
        waited += usize::from(line["outcome"] != "written");
        limit(&daemon, Resource::Fsize, None);
        let tests = source.replace(".go", "_testsmith_test.go");
        let begin = format!("testsmith:begin Add{round} ");
        wait_until(&format!("tests after {point}"), || {
            // It goes on by itself; nobody wants to wait for that here.
            world.run(&["retry"]);
            fs::read_to_string(world.root().join(&tests)).is_ok_and(|text| text.contains(&begin))
        });
        let (status, _, log) = daemon.stop();
        assert!(status.success(), "{point}: {log}");
        // An answer that could not be kept may be asked for once more.
        let asked = world.requests().len() - asked;
        assert!((1..=2).contains(&asked), "{point}: {asked} requests: {log}");
    }
    assert!(waited > POINTS.len() / 2, "{waited}");
    let asked = world.requests().len();
    let (status, _, log) = world.watch_unready(&["--until-idle"]).end();
    assert!(status.success(), "{log}");
    let run = world.run(&["generate", "--all"]);
    assert!(run.status.success(), "{}", said(&run));
    assert_eq!(world.requests().len(), asked, "{log}{}", said(&run));
    let entries = fs::read_dir(world.root()).unwrap().map(Result::unwrap);
    let hidden = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with('.'));
    assert_eq!(hidden.count(), 0);
}

/// Space comes back, nobody does anything, and the job goes on.
#[test]
fn a_job_that_met_a_full_disk_goes_on_by_itself() {
    let world = go(Script::default());
    assert!(world.watch_unready(&["--until-idle"]).end().0.success());
    let mut daemon = on_a_small_disk(&world, &[], Some("tree.noted"));
    world.save("cart.go", samples::GO);
    assert_eq!(daemon.ended("cart.go")["outcome"], "waiting");
    limit(&daemon, Resource::Fsize, None);
    wait_until("the test file", || world.exists("cart_testsmith_test.go"));
}

/// Memory runs out: the process may die of it, at any allocation, and nothing is lost.
#[test]
fn without_memory_nothing_is_lost() {
    let world = go(Script::default());
    assert!(world.watch_unready(&["--until-idle"]).end().0.success());
    for (round, spare) in [0, 1 << 20, 4 << 20, 16 << 20].into_iter().enumerate() {
        let mut daemon = world.watch(&[]);
        let status = fs::read_to_string(format!("/proc/{}/status", daemon.id())).unwrap();
        let size = status.lines().find_map(|line| line.strip_prefix("VmSize:"));
        let size = size.and_then(|size| size.trim().split(' ').next()?.parse::<u64>().ok());
        limit(&daemon, Resource::As, Some(size.unwrap() * 1024 + spare));
        let source = format!("part{round}.go");
        let tests = format!("part{round}_testsmith_test.go");
        let text = samples::GO
            .replace("Add", &format!("Add{round}"))
            .replace("Twice", &format!("Twice{round}"));
        world.save(&source, text);
        let begun = std::time::Instant::now();
        // It dies, gets through, or hangs about; none of them may lose the save.
        while !daemon.has_ended()
            && !world.exists(&tests)
            && begun.elapsed() < std::time::Duration::from_secs(2)
        {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        if daemon.has_ended() {
            let (_, _, log) = world.watch_unready(&["--until-idle"]).end();
            assert!(world.exists(&tests), "{log}");
        } else {
            limit(&daemon, Resource::As, None);
            wait_until("the test file", || {
                if daemon.has_ended() {
                    world.watch_unready(&["--until-idle"]).end();
                }
                world.exists(&tests)
            });
        }
    }
    // Each answer was paid for once, or was cut off by the death.
    assert!(world.requests().len() <= 8, "{}", world.requests().len());
}

/// No inotify instance is left: all is polled, and said; and watched again when there is one.
#[test]
fn without_inotify_the_tree_is_polled_until_it_is_there_again() {
    if !have("unshare", &["-Ur", "true"]) || !have("nsenter", &["--version"]) {
        return;
    }
    let world = go(Script::default());
    let mut command = world.by(Command::new("unshare"));
    command
        .args(["-Ur", "sh", "-c"])
        .arg(r#"echo 0 > /proc/sys/user/max_inotify_instances; exec "$0" "$@""#)
        .arg(crate::support::world::program())
        .args(["watch", "--log-format", "json", "--state-dir"])
        .arg(world.state());
    let mut daemon = Daemon::spawn(command);
    hears(&mut daemon, "no file watcher can be had");
    daemon.wait("`watching`", |line| line["message"] == "watching");
    world.save("cart.go", samples::GO);
    wait_until("tests by polling", || {
        world.exists("cart_testsmith_test.go")
    });
    let process = daemon.id().to_string();
    let given = Command::new("nsenter")
        .args(["-t", &process, "-U", "sh", "-c"])
        .arg("echo 128 > /proc/sys/user/max_inotify_instances")
        .status();
    assert!(given.unwrap().success());
    hears(&mut daemon, "all folders are watched again");
    world.save(
        "more.go",
        samples::GO.replace("Add", "Sum").replace("Twice", "Double"),
    );
    wait_until("tests by events", || world.exists("more_testsmith_test.go"));
}

/// The file that says who holds the state is left by whoever was killed; it holds nobody up.
#[test]
fn a_leftover_lock_is_nobody_s() {
    let world = go(Script::default());
    world.watch(&[]).kill();
    let lock = world.state().join("lock");
    // A process that lives, and is another.
    fs::write(&lock, format!("{}\n0\n", std::process::id())).unwrap();
    let (status, _, log) = world.watch_unready(&["--until-idle"]).end();
    assert!(status.success(), "{log}");
    fs::write(&lock, "garbage").unwrap();
    let (status, _, log) = world.watch_unready(&["--until-idle"]).end();
    assert!(status.success(), "{log}");
}

/// Moves the time of day of a process while it runs.
const SHIM: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* The time of day, moved by the seconds that stand in $CLOCK_JUMP. */
int clock_gettime(clockid_t clock, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(clock, now);
    const char *path = getenv("CLOCK_JUMP");
    if (result == 0 && clock == CLOCK_REALTIME && path) {
        FILE *file = fopen(path, "r");
        long jump = 0;
        if (file) {
            if (fscanf(file, "%ld", &jump) == 1) now->tv_sec += jump;
            fclose(file);
        }
    }
    return result;
}
"#;

/// A provider that is down leaves a job waiting; then the clock jumps.
#[test]
fn a_clock_that_jumps_both_ways_costs_nothing() {
    if !have("cc", &["--version"]) {
        return;
    }
    let world = go(Script::default().rule(Rule::from(Fault::status(500)).path("down")));
    let source = world.beside("shim.c");
    fs::write(&source, SHIM).unwrap();
    let shim = world.beside("shim.so");
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .arg(&shim)
        .arg(&source)
        .arg("-ldl")
        .status();
    assert!(built.unwrap().success());
    let clock = world.beside("clock");
    let jump = |days: i64| {
        let new = world.beside("clock.new");
        fs::write(&new, (days * 86_400).to_string()).unwrap();
        fs::rename(new, &clock).unwrap();
    };
    jump(0);
    let start = || {
        let mut command = world.command(&["watch", "--log-format", "json", "--state-dir"]);
        command
            .arg(world.state())
            .env("LD_PRELOAD", &shim)
            .env("CLOCK_JUMP", &clock);
        Daemon::spawn(command)
    };
    let text = |name: &str| {
        samples::GO
            .replace("Add", name)
            .replace("Twice", &format!("{name}Twice"))
    };
    let mut daemon = start();
    daemon.wait("`watching`", |line| line["message"] == "watching");
    world.save("cart.go", text("Cart"));
    assert_eq!(daemon.ended("cart.go")["outcome"], "written");
    // A job that waits when the clock jumps.
    world.save("down.go", text("Down"));
    assert_eq!(daemon.ended("down.go")["outcome"], "waiting");
    for (round, days) in [3, -3, 0].into_iter().enumerate() {
        jump(days);
        // Files saved now are seen, whatever time they bear.
        let source = format!("part{round}.go");
        world.save(&source, text(&format!("Part{round}")));
        assert_eq!(daemon.ended(&source)["outcome"], "written", "{days} days");
        // What is cached is found, and not paid for again.
        let asked = world.requests().len();
        world.save(
            "copy/cart.go",
            text("Cart").replace("package shop", "package copy"),
        );
        assert_eq!(
            daemon.ended("copy/cart.go")["outcome"],
            "written",
            "{days} days"
        );
        assert_eq!(world.requests().len(), asked, "{days} days");
        fs::remove_dir_all(world.root().join("copy")).unwrap();
        assert_eq!(
            daemon.ended("copy/cart.go")["outcome"],
            "removed",
            "{days} days"
        );
        // A start on the other side of the jump takes up what waits, however late it is to be.
        daemon.kill();
        daemon = start();
        assert_eq!(daemon.ended("down.go")["outcome"], "waiting", "{days} days");
    }
    world.simulator().set_script(Script::default());
    daemon.kill();
    jump(-3);
    let mut daemon = start();
    assert_eq!(daemon.ended("down.go")["outcome"], "written");
}
