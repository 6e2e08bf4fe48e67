//! The commands that talk to a running daemon, and what they say without one.

#![expect(clippy::panic, reason = "a test without what it looks at has to fail")]

mod support;

use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::process::{Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use support::daemon::Daemon;
use support::world::{World, copy_program, said, wait_until};
use support::{mask, samples};
use testsmith_simulator::{Fault, Latency, Rule, Script};

fn go() -> World {
    let world = World::new(Script::default());
    world.save("go.mod", samples::GO_MOD);
    world
}

/// The daemon, with nothing run that it writes: toolchains are not what is tested here.
fn watch(world: &World) -> Daemon {
    world.watch(&["--set", "verify.mode=off"])
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or(-1)
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn parsed(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", said(output)))
}

/// What a command printed, with what differs between runs put aside.
fn masked(world: &World, output: &Output) -> String {
    let (root, state) = (world.root(), world.state());
    let (root, state) = (root.to_string_lossy(), state.to_string_lossy());
    let server = world.simulator().openai_base_url();
    let names = [(&*root, "ROOT"), (&*state, "STATE"), (&*server, "SERVER")];
    mask::text(&stdout(output), &names)
}

fn masked_json(world: &World, output: &Output) -> Value {
    const VOLATILE: [&str; 19] = [
        "at",
        "bytes",
        "day",
        "elapsed_ms",
        "ended",
        "enqueued",
        "key",
        "last_answer",
        "pid",
        "saved",
        "since",
        "started",
        "this_month",
        "today",
        "tokens_in",
        "tokens_out",
        "uptime_ms",
        "version",
        "yours_since",
    ];
    let (root, state) = (world.root(), world.state());
    let (root, state) = (root.to_string_lossy(), state.to_string_lossy());
    let server = world.simulator().openai_base_url();
    let names = [(&*root, "ROOT"), (&*state, "STATE"), (&*server, "SERVER")];
    let mut value = parsed(output);
    mask::json(&mut value, &VOLATILE, &names);
    value
}

/// A daemon that has written tests for one file.
fn after_one_job(world: &World) -> Daemon {
    let mut daemon = watch(world);
    world.save("cart.go", samples::GO);
    daemon.ended("cart.go");
    daemon
}

#[test]
fn status_tells_the_whole_picture_on_one_screen() {
    let world = go();
    let daemon = after_one_job(&world);
    let status = world.run(&["status"]);
    assert_eq!(code(&status), 0, "{}", said(&status));
    let expected = "\
testsmith #.#.0 · healthy · up TIME · pid #
state     STATE
watching  ROOT: fresh, 1 file, 1 folder by inotify
queue     0 pending, 0 running, 0 waiting, 0 parked
calls     0 open of 5; at most 1 at once
today     1 call, 0 retries, IN tokens in, OUT out, ?
model     openai, model `simulated` at `SERVER`: key from `MODEL_KEY`; answered TIME ago
cache     LLM cache — hits: 0 misses: 2 entries: 2
last      TIME ago  written  cart.go → cart_testsmith_test.go
";
    let json = parsed(&world.run(&["status", "--json"]));
    let tokens = |key: &str| json["spent"][key].to_string();
    let shown = masked(&world, &status)
        .replace(
            &format!("{} tokens in", tokens("tokens_in")),
            "IN tokens in",
        )
        .replace(&format!("{} out", tokens("tokens_out")), "OUT out");
    pretty_assertions::assert_eq!(shown, expected);
    assert!(stdout(&status).lines().count() <= 24, "one screen");
    drop(daemon);
}

#[test]
fn status_as_json() {
    let world = go();
    let _daemon = after_one_job(&world);
    let mut status = masked_json(&world, &world.run(&["status", "--json"]));
    let ended = status["last"].take();
    status["tests"].take();
    let expected = json!({
        "version": "#",
        "state_dir": "STATE",
        "daemon": {
            "pid": "#", "started": "#", "uptime_ms": "#", "paused": false, "stopping": false,
            "roots": [{
                "root": "ROOT", "state": "fresh", "watcher": "inotify", "watched": 1,
                "polled": 0, "shared": 0, "files": 1, "settling": 0, "rescans": 1, "overflows": 0,
            }],
            "calls": {"open": 0, "permits": 5, "max_open": 1},
            "provider": {
                "description": "openai, model `simulated` at `SERVER`: key from `MODEL_KEY`",
                "held_until": null, "last_error": null, "last_answer": "#",
                "answered_by": ["simulated"],
            },
            "running": [], "open_calls": [],
        },
        "health": "healthy",
        "queue": {"pending": 0, "running": 0, "waiting": 0, "parked": 0, "oldest": null},
        "cache": {
            "hits": 0, "misses": 2, "entries": 2, "lifetime_hits": 0, "lifetime_misses": 2,
            "bytes": "#", "max_bytes": 134_217_728,
            "line": "LLM cache — hits: 0 misses: 2 entries: 2",
        },
        "usage": {
            "day": "#", "today": "#", "this_month": "#", "budgets": [], "held_until": null,
            "lifted": [],
        },
        "spent": {
            "since": "#", "calls": 1, "requests": 1, "retries": 0, "tokens_in": "#",
            "tokens_out": "#",
        },
        "tests": null,
        "last": null,
        "warnings": [],
    });
    pretty_assertions::assert_eq!(status, expected);
    let expected = json!([{
        "job_id": 1, "root": "ROOT", "path": "cart.go", "ended": "#", "outcome": "written",
        "reason": null, "failed": false, "until": null, "test_path": "cart_testsmith_test.go",
        "written": ["Add", "Twice"], "members": 2, "cache_hits": 0, "cache_misses": 2,
        "calls": 1, "attempts": 1, "tokens_in": "#", "tokens_out": "#", "cost": "?",
        "models": ["simulated"], "verified": 0,
        "held_back": [], "unverified": false, "elapsed_ms": "#",
    }]);
    pretty_assertions::assert_eq!(ended, expected);
}

#[test]
fn without_a_daemon_the_state_is_read_and_verbs_say_so() {
    let world = go();
    let nothing = world.run(&["status"]);
    assert_eq!(code(&nothing), 4);
    assert!(!world.state().exists(), "a question leaves nothing behind");
    let (_, _, log) = after_one_job(&world).stop();
    assert!(log.contains("stopped"));
    let status = world.run(&["status"]);
    assert_eq!(code(&status), 4);
    assert_eq!(
        masked(&world, &status),
        "testsmith #.#.0 · not running\n\
         state     STATE\n\
         queue     0 pending, 0 running, 0 waiting, 0 parked\n\
         cache     LLM cache — hits: 0 misses: 2 entries: 2\n"
    );
    assert!(said(&status).contains("no daemon runs; this is what the state tells"));
    let json = parsed(&world.run(&["status", "--json"]));
    assert_eq!(
        (&json["daemon"], &json["health"]),
        (&Value::Null, &"not_running".into())
    );
    let jobs = world.run(&["jobs", "--json"]);
    assert_eq!(code(&jobs), 0);
    assert_eq!(parsed(&jobs), json!({"jobs": [], "live": false}));
    let explained = parsed(&world.run(&["explain", "cart.go", "--json"]));
    assert_eq!(explained["live"], false);
    assert_eq!(explained["history"][0]["outcome"], "written");
    for verb in [
        &["pause"][..],
        &["resume"],
        &["stop"],
        &["retry"],
        &["cancel", "--all"],
        &["generate", "--all", "--no-wait"],
    ] {
        let run = world.run(verb);
        assert_eq!(code(&run), 4, "{verb:?}: {}", said(&run));
        assert!(said(&run).contains("no daemon runs for"), "{}", said(&run));
    }
}

#[test]
fn a_pause_holds_the_work_and_nothing_is_lost() {
    let world = go();
    let mut daemon = watch(&world);
    assert_eq!(
        stdout(&world.run(&["pause"])),
        "paused: running jobs end, changes are written down, nothing is taken up\n"
    );
    assert_eq!(
        parsed(&world.run(&["pause", "--json"])),
        json!({"paused": true, "changed": false})
    );
    world.save("cart.go", samples::GO);
    let mut jobs = Value::Null;
    wait_until("the job in the queue", || {
        jobs = masked_json(
            &world,
            &world.run(&["jobs", "--state", "pending", "--json"]),
        );
        jobs["jobs"][0].is_object()
    });
    let expected = json!({"live": true, "jobs": [{
        "job_id": 1, "root": "ROOT", "path": "cart.go", "state": "pending",
        "lane": "interactive", "enqueued": "#", "failures": 0, "until": null, "reason": null,
        "removed": false,
    }]});
    pretty_assertions::assert_eq!(jobs, expected);
    let listed = world.run(&["jobs"]);
    assert!(
        stdout(&listed).starts_with("STATE             AGE JOB    FILE\npending ")
            && stdout(&listed).contains("#1     cart.go\n"),
        "{}",
        said(&listed)
    );
    let status = world.run(&["status"]);
    assert_eq!(code(&status), 3, "degraded");
    let text = stdout(&status);
    for line in [
        "· degraded, paused ·",
        "queue     1 pending, 0 running, 0 waiting, 0 parked; oldest: cart.go, pending for",
        "warnings  paused: changes are written down and not worked on\n            → testsmith resume",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    assert_eq!(world.requests().len(), 0);
    assert_eq!(stdout(&world.run(&["resume"])), "resumed\n");
    assert_eq!(daemon.ended("cart.go")["outcome"], "written");
    assert_eq!(code(&world.run(&["status"])), 0);
}

#[test]
fn what_waits_is_told_retried_and_cancelled() {
    let mut world = go();
    let mut daemon = watch(&world);
    world.stop_model();
    world.save("cart.go", samples::GO);
    world.save("src/price.go", samples::GO);
    // In whichever order.
    for _ in 0..2 {
        let line = daemon.wait("the end of a job", |line| line["message"] == "job ended");
        assert_eq!(line["outcome"], "waiting");
    }
    let waiting = stdout(&world.run(&["jobs", "--state", "waiting", "--path", "cart.go"]));
    assert_eq!(waiting.lines().count(), 2, "{waiting}");
    assert!(
        waiting.contains("again in") && waiting.contains("model: after 3 attempts: "),
        "{waiting}"
    );
    let status = world.run(&["status", "--json"]);
    assert_eq!(code(&status), 3);
    let json = parsed(&status);
    assert_eq!(json["queue"]["waiting"], 2);
    assert_eq!(json["warnings"][0]["code"], "model_failing");
    assert!(json["daemon"]["provider"]["last_error"]["message"].is_string());

    let dropped = world.run(&["cancel", "src"]);
    assert_eq!(stdout(&dropped), "1 job dropped\n", "{}", said(&dropped));
    let explained = stdout(&world.run(&["explain", "src/price.go"]));
    assert!(
        explained.ends_with(" cancelled on request\n"),
        "{explained}"
    );
    for (verb, name) in [("cancel", "src"), ("retry", "src/price.go")] {
        let again = world.run(&[verb, name]);
        assert_eq!(code(&again), 1, "{}", said(&again));
        assert!(
            said(&again).contains(&format!("no such job: `{name}`")),
            "{}",
            said(&again)
        );
    }
    world.start_model(Script::default());
    let retried = world.run(&["retry", "--json"]);
    assert_eq!(parsed(&retried), json!({"woken": 1}));
    assert_eq!(daemon.ended("cart.go")["outcome"], "written");
    let explained = masked(&world, &world.run(&["explain", "cart.go"]));
    assert!(
        explained.contains("    before its time: tried again on request\n"),
        "{explained}"
    );
    assert!(!world.exists("src/price_testsmith_test.go"));
    assert_eq!(stdout(&world.run(&["jobs"])), "");
}

#[test]
fn a_running_job_is_cancelled_like_a_superseded_one() {
    let world = World::new(Script::default().latency(Latency::fixed(Duration::from_mins(1))));
    world.save("go.mod", samples::GO_MOD);
    let mut daemon = watch(&world);
    world.save("cart.go", samples::GO);
    world.wait_for_requests(1);
    let json = parsed(&world.run(&["status", "--json"]));
    assert_eq!(json["daemon"]["calls"]["open"], 1);
    let running = &json["daemon"]["running"][0];
    assert_eq!(
        (&running["path"], &running["phase"]),
        (&json!("cart.go"), &json!("asking"))
    );
    let status = masked(&world, &world.run(&["status"]));
    for told in [
        "1 running (1 asking the model)",
        "running   cart.go for TIME, asking the model for TIME\n",
    ] {
        assert!(status.contains(told), "{told}\nis not in\n{status}");
    }
    let explained = masked(&world, &world.run(&["explain", "cart.go"]));
    for told in [
        "  now: asking the model for TIME, at work for TIME\n",
        "  attempt 1 is sent, and not answered yet, for TIME\n",
    ] {
        assert!(explained.contains(told), "{told}\nis not in\n{explained}");
    }
    let dropped = world.run(&["cancel", "--job", "1"]);
    assert_eq!(stdout(&dropped), "1 job dropped\n", "{}", said(&dropped));
    let ended = daemon.wait("the end of the job", |line| {
        line["message"] == "job ended" && line["outcome"] == "superseded"
    });
    assert_eq!(
        (&ended["calls"], &ended["attempts"]),
        (&json!(1), &json!(1)),
        "what was sent may cost: {ended}"
    );
    assert_eq!(stdout(&world.run(&["jobs"])), "");
}

#[test]
fn explain_tells_every_decision() {
    let world = World::new(Script::default().rule(Rule::from(Fault::status(500)).first(1)));
    world.save("go.mod", samples::GO_MOD);
    world.save(".gitignore", "# generated\n*_gen.go\n");
    let mut daemon = watch(&world);
    world.save("cart.go", samples::GO);
    daemon.ended("cart.go");
    let test = world.read("cart_testsmith_test.go");
    world.save(
        "cart_testsmith_test.go",
        test.replacen("Add(", "Add( ", 1)
            .replacen("want", "wanted", 1),
    );
    world.save("cart.go", samples::GO.replace("a * 2", "a + a"));
    daemon.ended("cart.go");

    let explained = world.run(&["explain", "cart.go"]);
    let shown = masked(&world, &explained);
    for line in [
        "cart.go  in ROOT\n  a file of go\n  seen as it is now\n",
        "tests in cart_testsmith_test.go\n",
        "TIME  job #1 queued\n",
        "    saved TIME, taken up TIME later (debounce)\n",
        "    asked `simulated`, attempt 1: status 500 in TIME: the server answered 500",
        "    asked `simulated`, attempt 2 after a wait of TIME: status 200 in TIME, ",
        "    answer read: 2 of 2 members usable\n",
        "    Add, Twice: asked\n",
        "    written to cart_testsmith_test.go: Add, Twice\n",
        "  ended after TIME, cost ?: written\n",
    ] {
        assert!(shown.contains(line), "{line}\nis not in\n{shown}");
    }
    let one = parsed(&world.run(&["explain", "cart.go:Twice", "--json"]));
    assert_eq!(one["members"][0]["member"], "Twice");
    assert_eq!(one["history"].as_array().unwrap().len(), 2);

    world.save("big_gen.go", samples::GO);
    let ignored = world.run(&["explain", "big_gen.go"]);
    let shown = masked(&world, &ignored);
    assert!(
        shown.contains("ignored: `big_gen.go` by `*_gen.go` (ROOT/.gitignore:2)"),
        "{shown}"
    );
    assert!(shown.contains("no job of it has run yet"), "{shown}");
    let outside = world.run(&["explain", "/etc/passwd"]);
    assert_eq!(code(&outside), 1);
}

#[test]
fn explain_says_why_there_is_nothing_to_tell() {
    let world = go();
    world.save("src/old.go", samples::GO);
    world.save(
        "src/inner.go",
        "package src\n\nfunc hidden() int { return 1 }\n",
    );
    let _daemon = watch(&world);
    let explain = |what: &str| {
        let run = world.run(&["explain", what]);
        (code(&run), said(&run))
    };
    let base_line = explain("src/old.go").1;
    assert!(
        base_line.contains("there when testsmith first looked")
            && base_line.contains("`testsmith generate src/old.go`"),
        "{base_line}"
    );
    let inner = explain("src/inner.go").1;
    assert!(
        inner.contains("nothing to test in it: it has no public members"),
        "{inner}"
    );
    let unknown = explain("src/old.go:Nope").1;
    assert!(
        unknown.contains("`Nope` is no public member of it; these are: `Add`, `Twice`"),
        "{unknown}"
    );
    let (folder_code, folder) = explain("src");
    assert_eq!(folder_code, 2, "{folder}");
    assert!(
        folder.contains("`src` is a folder; name a file in it"),
        "{folder}"
    );

    let generated = world.run(&["generate", "src/old.go"]);
    assert_eq!(code(&generated), 0, "{}", said(&generated));
    let asked_for = explain("src/old.go").1;
    assert!(
        asked_for.contains("asked for by `testsmith generate`") && !asked_for.contains("debounce"),
        "{asked_for}"
    );
    let ours = explain("src/old_testsmith_test.go").1;
    assert!(
        ours.contains("tests of src/old.go: testsmith explain src/old.go"),
        "{ours}"
    );
}

/// Hundreds of files at once: a worker that is idle takes each up as soon as it can.
#[test]
fn a_job_is_told_to_be_queued_before_it_is_told_to_have_started() {
    let world = go();
    for number in 0..100 {
        let text = samples::GO.replace("Add", &format!("Add{number}"));
        let text = text.replace("Twice", &format!("Twice{number}"));
        world.save(&format!("f{number}.go"), text);
    }
    let daemon = watch(&world);
    let mut stream = UnixStream::connect(world.state().join("control.sock")).unwrap();
    stream
        .write_all(b"GET /v1/events HTTP/1.1\r\nHost: testsmith\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut head = [0; 15];
    stream.read_exact(&mut head).unwrap();
    assert_eq!(&head, b"HTTP/1.1 200 OK");
    // Who does not read on misses some.
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        stream.read_to_string(&mut text).map(|_| text)
    });
    let generated = world.run(&["generate", "--all"]);
    assert_eq!(code(&generated), 0, "{}", said(&generated));
    daemon.stop();
    let text = reader.join().unwrap().unwrap();
    let mut queued = std::collections::BTreeSet::new();
    let mut started = 0;
    for line in text.lines().filter_map(|line| line.strip_prefix("data: ")) {
        let event: Value = serde_json::from_str(line).unwrap();
        let job = event["job_id"].as_u64();
        match event["event"].as_str() {
            Some("queued") => {
                queued.insert(job);
            }
            Some("started") => {
                started += 1;
                assert!(queued.contains(&job), "{event}");
            }
            _ => {}
        }
    }
    assert_eq!(started, 100);
}

#[test]
fn the_cache_is_asked_and_tidied_through_the_daemon() {
    let world = go();
    let _daemon = after_one_job(&world);
    let stats = stdout(&world.run(&["cache", "stats"]));
    assert!(
        stats.starts_with("LLM cache — hits: 0 misses: 2 entries: 2\n"),
        "{stats}"
    );
    let gc = parsed(&world.run(&["cache", "gc", "--json"]));
    assert_eq!((&gc["removed"], &gc["entries"]), (&0.into(), &2.into()));
}

#[test]
fn a_dry_run_looks_through_the_daemon_and_the_cache_is_emptied_there() {
    let world = go();
    let daemon = after_one_job(&world);
    world.run(&["pause"]);
    let more = "\nfunc Half(a int) int { return a / 2 }\n";
    world.save("cart.go", format!("{}{more}", samples::GO));
    let dry = |args: &[&str]| world.run(&[&["generate", "cart.go", "--dry-run"], args].concat());
    let asks = dry(&[]);
    assert_eq!(code(&asks), 0, "{}", said(&asks));
    assert!(
        said(&asks).contains("cart.go: would ask for Half"),
        "{}",
        said(&asks)
    );
    assert_eq!(world.requests().len(), 1, "nothing is asked");
    let asked = dry(&["--llm", "--verbose"]);
    assert!(
        stdout(&asked).contains("+// testsmith:begin Half key="),
        "{}",
        said(&asked)
    );
    assert!(
        said(&asked).contains("files: 1  failed: 0  requests to the model: 1"),
        "{}",
        said(&asked)
    );
    assert!(!world.read("cart_testsmith_test.go").contains("Half"));
    // Paid for: it costs nothing now.
    let diff = stdout(&asked);
    let diff = diff.split("LLM cache").next().unwrap_or_default();
    assert_eq!(stdout(&dry(&[])), diff);
    let json = dry(&["--json"]);
    let first = stdout(&json).lines().next().map(str::to_owned);
    let first: Value = serde_json::from_str(&first.unwrap_or_default()).unwrap_or_default();
    assert_eq!(first["diff"], diff, "{}", said(&json));
    assert_eq!(world.requests().len(), 2);

    let outside = world.run(&["generate", "go.mod", "--dry-run"]);
    assert_eq!(code(&outside), 1);
    assert!(
        said(&outside).contains("no language that testsmith knows"),
        "{}",
        said(&outside)
    );
    assert!(stdout(&world.run(&["cache", "clear"])).contains("3 answers forgotten"));
    assert!(stdout(&world.run(&["cache", "stats"])).contains("entries: 0"));
    assert!(said(&dry(&[])).contains("would ask for Half"));
    drop(daemon);
}

/// What is asked for already is not asked for again.
#[test]
fn generate_of_a_file_that_is_in_work_waits_for_that_work() {
    let script = Script::default().latency(Latency::fixed(Duration::from_millis(1500)));
    let world = World::new(script);
    world.save("go.mod", samples::GO_MOD);
    let daemon = world.watch(&[]);
    world.save("cart.go", samples::GO);
    world.wait_for_requests(1);
    let run = world.run(&["generate", "cart.go"]);
    assert_eq!(code(&run), 0, "{}", said(&run));
    assert!(world.exists("cart_testsmith_test.go"));
    assert_eq!(world.requests().len(), 1, "{}", said(&run));
    daemon.stop();
}

#[test]
fn generate_hands_over_to_the_daemon_with_the_same_output_and_exit_codes() {
    let world = go();
    world.save("cart.go", samples::GO);
    world.save(
        "go2/price.go",
        samples::GO.replace("package shop", "package go2"),
    );
    // What is there already gets no tests by itself, so only `generate` can have asked.
    let daemon = watch(&world);
    let run = world.run(&["generate", "--all", "--json"]);
    assert_eq!(code(&run), 0, "{}", said(&run));
    let lines: Vec<Value> = stdout(&run)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 3, "{}", said(&run));
    assert!(lines[..2].iter().all(|line| line["outcome"] == "written"));
    assert_eq!(
        (
            &lines[2]["files"],
            &lines[2]["failed"],
            &lines[2]["interrupted"]
        ),
        (&2.into(), &0.into(), &false.into())
    );
    assert!(world.exists("cart_testsmith_test.go") && world.exists("go2/price_testsmith_test.go"));

    // A test file that is gone as a whole is written again for `generate`, as without a daemon.
    std::fs::remove_file(world.root().join("cart_testsmith_test.go")).unwrap();
    let again = world.run(&["generate", "cart.go", "--verbose"]);
    assert_eq!(code(&again), 0, "{}", said(&again));
    assert!(stdout(&again).contains("written"), "{}", said(&again));
    assert!(
        stdout(&again)
            .lines()
            .last()
            .unwrap()
            .starts_with("LLM cache — "),
        "{}",
        said(&again)
    );
    assert!(world.exists("cart_testsmith_test.go"));
    let fresh = world.run(&["generate", "cart.go"]);
    assert!(stdout(&fresh).contains("fresh"), "{}", said(&fresh));

    let none = world.run(&["generate", "go.mod"]);
    assert_eq!(code(&none), 1, "{}", said(&none));
    assert!(said(&none).contains("no language that testsmith knows"));
    world.save(
        "price.go",
        samples::GO.replace("Add", "Sum").replace("Twice", "Half"),
    );
    world.simulator().set_script(Fault::status(400));
    let failing = world.run(&["generate", "price.go"]);
    assert_eq!(code(&failing), 1, "{}", said(&failing));
    assert!(stdout(&failing).contains("failed"), "{}", said(&failing));
    drop(daemon);
}

#[test]
fn generate_can_be_left_and_the_daemon_goes_on() {
    let world = World::new(Script::default().latency(Latency::fixed(Duration::from_secs(2))));
    world.save("go.mod", samples::GO_MOD);
    world.save("cart.go", samples::GO);
    let mut daemon = watch(&world);
    let mut command = world.command(&["generate", "cart.go", "--state-dir"]);
    let child = command
        .arg(world.state())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    world.wait_for_requests(1);
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    let left = child.wait_with_output().unwrap();
    assert_eq!(code(&left), 1, "{}", said(&left));
    assert!(
        said(&left).contains("the daemon goes on with the rest"),
        "{}",
        said(&left)
    );
    assert_eq!(daemon.ended("cart.go")["outcome"], "written");

    world.save(
        "late/price.go",
        samples::GO.replace("package shop", "package late"),
    );
    let handed = world.run(&["generate", "late", "--no-wait"]);
    assert_eq!(code(&handed), 0, "{}", said(&handed));
    assert!(
        said(&handed).contains("1 file handed to the daemon"),
        "{}",
        said(&handed)
    );
    assert_eq!(daemon.ended("late/price.go")["outcome"], "written");
}

#[test]
fn readers_that_stall_do_not_slow_the_work() {
    let world = go();
    let mut daemon = watch(&world);
    let socket = world.state().join("control.sock");
    let mut stalled: Vec<UnixStream> = Vec::new();
    for _ in 0..20 {
        let mut stream = UnixStream::connect(&socket).unwrap();
        stream
            .write_all(b"GET /v1/events HTTP/1.1\r\nhost: x\r\n\r\n")
            .unwrap();
        stalled.push(stream);
    }
    let mut head = [0; 12];
    for stream in &mut stalled {
        stream.read_exact(&mut head).unwrap();
        assert_eq!(&head, b"HTTP/1.1 200");
    }
    for number in 0..30 {
        world.save(
            &format!("p{number}/a.go"),
            samples::GO.replace("package shop", &format!("package p{number}")),
        );
    }
    let mut open: std::collections::BTreeSet<String> =
        (0..30).map(|number| format!("p{number}/a.go")).collect();
    while !open.is_empty() {
        let line = daemon.wait("the end of a job", |line| line["message"] == "job ended");
        assert_eq!(line["outcome"], "written");
        open.remove(line["span"]["path"].as_str().unwrap());
    }
    assert_eq!(code(&world.run(&["status"])), 0, "and others are answered");
    // Nobody read a word of it; what was said is all there, and in order.
    let mut text = Vec::new();
    let (status, _, log) = daemon.stop();
    assert!(status.success(), "{log}");
    stalled[0].read_to_end(&mut text).unwrap();
    let text = String::from_utf8_lossy(&text);
    assert_eq!(text.matches("event: ended\n").count(), 30);
    assert_eq!(text.matches("event: queued\n").count(), 30);
}

#[test]
fn a_killed_daemon_s_socket_is_no_daemon_and_is_replaced() {
    let world = go();
    watch(&world).kill();
    assert!(world.state().join("control.sock").exists());
    assert_eq!(code(&world.run(&["status"])), 4);
    let daemon = watch(&world);
    assert_eq!(code(&world.run(&["status"])), 0);
    let stopped = parsed(&world.run(&["stop", "--json"]));
    assert_eq!(stopped["pid"], daemon.id());
    let (status, _, log) = daemon.end();
    assert!(status.success(), "{log}");
    assert!(
        log.contains("stopping on request") && log.contains("\"stopped\""),
        "{log}"
    );
    assert!(!world.state().join("control.sock").exists());
}

#[test]
fn a_stranger_is_refused() {
    const NOBODY: u32 = 65534;
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root can become somebody else");
        return;
    }
    let world = go();
    let _daemon = watch(&world);
    let open = |path: &std::path::Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let socket = world.state().join("control.sock");
    assert_eq!(
        socket.metadata().unwrap().permissions().mode() & 0o777,
        0o600
    );
    // As if somebody had opened all doors: the peer's user is asked of the kernel all the same.
    open(&world.beside(""), 0o755);
    open(&world.state(), 0o755);
    open(&socket, 0o666);
    let copy = world.beside("testsmith");
    copy_program(&copy);
    let mut command = world.by(std::process::Command::new(&copy));
    command
        .args(["status", "--state-dir"])
        .arg(world.state())
        .user(NOBODY);
    let run = command.output().unwrap();
    assert_eq!(code(&run), 1, "{}", said(&run));
    assert!(
        said(&run).contains("this daemon belongs to another user"),
        "{}",
        said(&run)
    );
    open(&socket, 0o600);
    let run = command.output().unwrap();
    assert_eq!(code(&run), 1, "{}", said(&run));
    assert!(said(&run).contains("Permission denied"), "{}", said(&run));
    // With the doors closed, nobody can tell whether a daemon runs.
    open(&world.state(), 0o700);
    let ask = |args: &[&str], state: &std::path::Path| {
        let mut command = world.by(std::process::Command::new(&copy));
        command
            .args(args)
            .arg("--state-dir")
            .arg(state)
            .user(NOBODY);
        command.output().unwrap()
    };
    let shown = format!("`{}", world.state().display());
    for command in ["status", "jobs", "findings", "usage", "logs", "pause"] {
        let run = ask(&[command], &world.state());
        assert_eq!(code(&run), 1, "{command}: {}", said(&run));
        let text = said(&run);
        let is_clear = text.contains(&shown) && text.contains("name another --state-dir");
        assert!(is_clear && text.contains("Permission denied"), "{text}");
    }
    for state in [world.state(), world.beside("new/state")] {
        let run = ask(&["doctor", "--no-call", "--json"], &state);
        let checks = parsed(&run);
        let mut checks = checks.as_array().unwrap().iter();
        let found = checks.find(|check| check["check"] == "state").unwrap();
        assert_eq!(found["state"], "failure", "{found}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_state_directory_with_a_long_path_will_do() {
    let world = go();
    let state = world.beside(&"long".repeat(50)).join("state");
    std::fs::create_dir_all(&state).unwrap();
    let mut command = world.command(&["watch", "--log-format", "json", "--state-dir"]);
    command.arg(&state);
    let mut daemon = Daemon::spawn(command);
    daemon.wait("`watching`", |line| line["message"] == "watching");
    let mut status = world.command(&["status", "--state-dir"]);
    let status = status.arg(&state).output().unwrap();
    assert_eq!(code(&status), 0, "{}", said(&status));
}

#[test]
fn a_daemon_is_found_from_within_each_of_its_roots() {
    let world = go();
    let (api, web) = (world.root().join("api"), world.root().join("web"));
    for root in [&api, &web] {
        std::fs::create_dir(root).unwrap();
    }
    let watch = || {
        let args = ["watch", "--log-format", "json", "api", "web"];
        let mut daemon = Daemon::spawn(world.command(&args));
        daemon.wait("`watching`", |line| line["message"] == "watching");
        daemon
    };
    let ask = |root: &std::path::Path, args: &[&str]| {
        world.command(args).current_dir(root).output().unwrap()
    };
    let mut daemon = watch();
    let deep = web.join("deep");
    std::fs::create_dir(&deep).unwrap();
    for root in [&api, &web, &deep] {
        let status = ask(root, &["status", "--json"]);
        assert_eq!(parsed(&status)["daemon"]["pid"], daemon.id());
    }
    world.save("web/cart.go", samples::GO);
    daemon.ended("cart.go");
    let story = parsed(&ask(&web, &["explain", "cart.go", "--json"]));
    assert_eq!(story["history"][0]["outcome"], "written", "{story}");
    let story = parsed(&ask(&world.root(), &["explain", "web/cart.go", "--json"]));
    assert_eq!(story["path"], "cart.go", "{story}");
    let handed = ask(&web, &["generate", "--all", "--no-wait"]);
    assert!(
        said(&handed).contains("1 file handed to the daemon"),
        "{}",
        said(&handed)
    );
    daemon.kill();
    assert_eq!(code(&ask(&web, &["status"])), 4, "what it left is stale");
    let daemon = watch();
    assert_eq!(code(&ask(&web, &["status"])), 0);
    daemon.stop();
    let state = world.beside("home/.local/state/testsmith");
    for kept in std::fs::read_dir(state).unwrap() {
        assert!(!kept.unwrap().path().join("watched-by").exists());
    }
}

/// A folder of scripts: nothing in it says that it is a project.
#[test]
fn a_daemon_of_a_folder_without_a_mark_is_found_from_the_folders_in_it() {
    let world = World::new(Script::default());
    let plain = world.beside("plain");
    std::fs::create_dir_all(plain.join("src")).unwrap();
    let mut watch = world.command(&["watch", "--log-format", "json"]);
    watch.current_dir(&plain);
    let mut daemon = Daemon::spawn(watch);
    daemon.wait("`watching`", |line| line["message"] == "watching");
    std::fs::write(
        plain.join("src/q.py"),
        "def q(n: int) -> int:\n    return n\n",
    )
    .unwrap();
    daemon.ended("src/q.py");
    let ask = |folder: &std::path::Path, args: &[&str]| {
        world.command(args).current_dir(folder).output().unwrap()
    };
    let status = ask(&plain.join("src"), &["status", "--json"]);
    assert_eq!(parsed(&status)["daemon"]["pid"], daemon.id());
    let story = parsed(&ask(&plain, &["explain", "src/q.py", "--json"]));
    assert_eq!(story["path"], "src/q.py", "{story}");
    let handed = ask(&plain, &["generate", "src/q.py"]);
    assert_eq!(code(&handed), 0, "{}", said(&handed));
    assert_eq!(world.requests().len(), 1, "paid once");
    daemon.stop();
}

#[test]
fn a_spent_budget_is_told_and_lifted() {
    let world = go();
    let mut daemon = world.watch(&["--set", "verify.mode=off", "--set", "budget.day.calls=1"]);
    world.save("cart.go", samples::GO);
    assert_eq!(daemon.ended("cart.go")["outcome"], "written");
    let nearly = parsed(&world.run(&["status", "--json"]));
    assert_eq!(
        nearly["warnings"][0]["code"], "budget_nearly_spent",
        "{nearly}"
    );
    world.save(
        "price.go",
        samples::GO.replace("Add", "Sum").replace("Twice", "Half"),
    );
    assert_eq!(daemon.ended("price.go")["outcome"], "waiting");
    let status = world.run(&["status"]);
    assert_eq!(code(&status), 3);
    let text = stdout(&status);
    assert!(text.contains("100 % of the day's calls"), "{text}");
    assert!(
        text.contains("a budget is spent: nothing is asked until"),
        "{text}"
    );
    assert!(text.contains("→ testsmith resume --over-budget"), "{text}");
    assert_eq!(world.requests().len(), 1, "nothing is sent");
    let lifted = stdout(&world.run(&["resume", "--over-budget"]));
    assert!(
        lifted.starts_with("lifted: budget.day.calls until 2")
            && lifted.ends_with("Z\n1 job goes on\n"),
        "{lifted}"
    );
    assert_eq!(daemon.ended("price.go")["outcome"], "written");
    let status = world.run(&["status"]);
    assert_eq!(code(&status), 0, "{}", said(&status));
    for command in ["status", "usage"] {
        let shown = said(&world.run(&[command]));
        assert!(
            shown.contains("lifted: budget.day.calls until 2"),
            "{shown}"
        );
        let json = parsed(&world.run(&[command, "--json"]));
        let usage = if command == "status" {
            &json["usage"]
        } else {
            &json
        };
        assert_eq!(usage["lifted"][0]["setting"], "budget.day.calls", "{json}");
    }
}
