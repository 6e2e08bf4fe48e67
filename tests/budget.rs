//! What calls cost and when they stop: the real program against the simulated model.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has to fail"
)]

mod support;

use serde_json::Value;
use support::samples;
use support::world::{World, said, wait_until};
use testsmith_simulator::{Fault, Rule, Script};

/// A Go project with so many files, each for one call.
fn project(files: usize, script: Script) -> World {
    let world = World::new(script);
    world.save("go.mod", samples::GO_MOD);
    for number in 0..files {
        let text = samples::GO
            .replace("Add", &format!("Add{number}"))
            .replace("Twice", &format!("Twice{number}"));
        world.save(&format!("f{number}.go"), text);
    }
    world
}

fn usage(world: &World, args: &[&str]) -> Value {
    let output = world.run(&[&["usage", "--json"], args].concat());
    assert!(output.status.success(), "{}", said(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

const PRICED: [&str; 4] = [
    "--set",
    "prices.simulated.input=1",
    "--set",
    "prices.simulated.output=2",
];

#[test]
fn usage_agrees_with_the_model_s_own_log() {
    let world = project(
        4,
        Script::default().rule(Rule::from(Fault::status(503)).nth(2)),
    );
    let output = world.run(&[&["generate", "--all"], &PRICED[..]].concat());
    assert!(output.status.success(), "{}", said(&output));
    let requests = world.requests();
    let report = usage(&world, &[]);
    let total = &report["total"];
    assert_eq!(total["calls"], 4);
    assert_eq!(total["requests"], requests.len());
    let answered: Vec<_> = requests.iter().filter(|r| r.status == Some(200)).collect();
    assert_eq!(answered.len(), 4);
    let sum = |of: fn(&testsmith_simulator::RequestRecord) -> u64| -> u64 {
        answered.iter().map(|request| of(request)).sum()
    };
    let (tokens_in, tokens_out) = (sum(|r| r.tokens_in), sum(|r| r.tokens_out));
    assert_eq!(total["input_tokens"], tokens_in);
    assert_eq!(total["output_tokens"], tokens_out);
    let nanos = tokens_in * 1000 + tokens_out * 2000;
    assert_eq!(total["known_cost_nano_usd"], nanos, "{report}");
    assert_eq!(total["unpriced_requests"], 0);
    let files = usage(&world, &["--by", "file"]);
    let mut paths: Vec<_> = files["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["file"].clone())
        .collect();
    paths.sort_by_key(ToString::to_string);
    assert_eq!(paths, ["f0.go", "f1.go", "f2.go", "f3.go"]);
    assert_eq!(files["rows"][0]["project"], world.root().to_str().unwrap());
    let models = usage(&world, &["--by", "model"]);
    assert_eq!(models["rows"][0]["model"], "simulated");
    // Everything is cached now: nothing more is spent.
    std::fs::remove_file(world.root().join("f0_testsmith_test.go")).unwrap();
    assert!(world.run(&["generate", "--all"]).status.success());
    assert_eq!(usage(&world, &[])["total"]["calls"], 4);
    let text = said(&world.run(&["usage"]));
    assert!(text.contains("4 calls (+1 retry)"), "{text}");
}

#[test]
fn an_unknown_price_is_unknown_and_never_nothing() {
    let world = project(1, Script::default());
    assert!(world.run(&["generate", "--all"]).status.success());
    let total = &usage(&world, &[])["total"];
    assert_eq!(
        (&total["cost_usd"], &total["unpriced_requests"]),
        (&Value::Null, &Value::from(1))
    );
    let text = said(&world.run(&["usage"]));
    assert!(
        text.contains(" ?  ") && text.contains("[prices.\"MODEL\"]"),
        "{text}"
    );
}

#[test]
fn a_budget_of_calls_is_kept_and_nothing_is_lost() {
    let world = project(0, Script::default());
    let mut daemon = world.watch(&["--set", "budget.day.calls=2"]);
    for number in 0..5 {
        let text = samples::GO
            .replace("Add", &format!("Add{number}"))
            .replace("Twice", &format!("Twice{number}"));
        world.save(&format!("f{number}.go"), text);
    }
    let mut waiting = 0;
    for _ in 0..5 {
        let line = daemon.wait("the end of a job", |line| line["message"] == "job ended");
        if line["outcome"] == "waiting" {
            waiting += 1;
            let reason = line["reason"].as_str().unwrap();
            assert!(
                reason.starts_with("budget: 2 calls of the 2 calls"),
                "{reason}"
            );
            assert_eq!(line["calls"], 0, "nothing was sent: {line}");
        } else {
            assert_eq!(line["outcome"], "written", "{line}");
        }
    }
    assert_eq!((waiting, world.requests().len()), (3, 2));
    let (_, _, log) = daemon.stop();
    assert_eq!(
        log.matches("budget is used up; jobs wait").count(),
        1,
        "{log}"
    );
    assert!(!log.contains("nearly used up"), "{log}");
    assert_eq!(usage(&world, &[])["total"]["calls"], 2);

    // A new start asks nothing either; and a higher budget works off what waited.
    let daemon = world.watch(&["--set", "budget.day.calls=2"]);
    daemon.stop();
    assert_eq!(world.requests().len(), 2);
    let mut daemon = world.watch(&["--set", "budget.day.calls=5"]);
    for _ in 0..3 {
        let line = daemon.wait("the end of a job", |line| line["message"] == "job ended");
        assert_eq!(line["outcome"], "written", "{line}");
    }
    let (_, _, log) = daemon.stop();
    assert_eq!(world.requests().len(), 5);
    assert_eq!(log.matches("budget is nearly used up").count(), 1, "{log}");
}

#[test]
fn a_kill_counts_the_call_in_flight_in_full() {
    let world = project(0, Script::default().rule(Rule::from(Fault::Hang).nth(2)));
    let args = [&PRICED[..], &["--set", "budget.day.usd=1"]].concat();
    let mut daemon = world.watch(&args);
    world.save("a.go", samples::GO);
    daemon.ended("a.go");
    let before = usage(&world, &[])["total"].clone();
    assert_eq!(before["calls"], 1, "beside the running daemon");
    world.save(
        "b.go",
        samples::GO
            .replace("Add", "Plus")
            .replace("Twice", "Double"),
    );
    wait_until("request", || world.requests().len() >= 2);
    daemon.kill();
    let daemon = world.watch_unready(&[&args[..], &["--until-idle"]].concat());
    let (_, _, log) = daemon.end();
    assert!(
        log.contains("requests were open when the last process ended"),
        "{log}"
    );
    let after = usage(&world, &[])["total"].clone();
    assert_eq!(
        (&after["calls"], &after["estimated_requests"]),
        (&Value::from(3), &Value::from(1))
    );
    assert!(
        after["output_tokens"].as_u64() > Some(3000),
        "the most it can have been: {after}"
    );
}

#[test]
fn the_user_goes_over_the_budget_until_the_window_ends() {
    let world = project(0, Script::default());
    let budget = ["--set", "budget.day.calls=1"];
    let mut daemon = world.watch(&budget);
    world.save("a.go", samples::GO);
    daemon.ended("a.go");
    let nothing_to_lift = || {
        let none = said(&world.run(&["resume", "--over-budget"]));
        assert!(none.contains("no budget holds jobs back"), "{none}");
    };
    nothing_to_lift();
    let other = samples::GO.replace("Add", "Plus");
    world.save("b.go", other.replace("Twice", "Half"));
    assert_eq!(daemon.ended("b.go")["outcome"], "waiting");
    // Whoever is not asked for any more waits for nothing.
    assert!(world.run(&["cancel", "b.go"]).status.success());
    nothing_to_lift();
    world.save("b.go", other.replace("Twice", "Double"));
    assert_eq!(daemon.ended("b.go")["outcome"], "waiting");
    // Whoever is to be tried again waits until then.
    assert!(world.run(&["pause"]).status.success());
    world.save("testsmith.toml", "[llm]\nmax_concurrent_calls = 2\n");
    daemon.wait("a reload", |line| {
        line["message"] == "configuration reloaded"
    });
    let lifted = world.run(&["resume", "--over-budget"]);
    let text = said(&lifted);
    assert!(text.contains("lifted: budget.day.calls until 2"), "{text}");
    assert!(world.run(&["resume"]).status.success());
    assert_eq!(daemon.ended("b.go")["outcome"], "written");
    daemon.kill();
    // It holds after a restart, too.
    let mut daemon = world.watch(&budget);
    world.save(
        "c.go",
        samples::GO.replace("Add", "Sum").replace("Twice", "Dup"),
    );
    assert_eq!(daemon.ended("c.go")["outcome"], "written");
    daemon.stop();
    assert_eq!(usage(&world, &[])["total"]["calls"], 3);
}

/// What waits for a budget has not failed: `generate` and `explain` say what it waits for.
#[test]
fn files_that_wait_for_a_budget_are_told_to_wait() {
    let world = project(3, Script::default());
    let daemon = world.watch(&["--set", "verify.mode=off", "--set", "budget.day.calls=1"]);
    let handed = world.run(&["generate", "--all"]);
    let text = said(&handed);
    assert_eq!(handed.status.code(), Some(1), "not all is done: {text}");
    assert_eq!(text.matches("   waits  f").count(), 2, "{text}");
    assert!(
        text.contains("files: 3  failed: 0  waiting for a budget: 2  requests to the model: 1"),
        "{text}"
    );
    assert!(
        text.contains("`testsmith resume --over-budget`; again in "),
        "{text}"
    );
    let waiting = world.run(&["jobs", "--state", "waiting", "--json"]);
    let waiting: Value = serde_json::from_slice(&waiting.stdout).unwrap();
    let path = waiting["jobs"][0]["path"].as_str().unwrap();
    let explained = said(&world.run(&["explain", path]));
    assert!(
        explained.contains(": waits\n") && !explained.contains("failed"),
        "{explained}"
    );
    // What is up is lifted, and a budget that is set afterwards holds.
    let lifted = world.run(&["resume", "--over-budget", "--json"]);
    let lifted: Value = serde_json::from_slice(&lifted.stdout).unwrap();
    assert_eq!(lifted["lifted"][0]["setting"], "budget.day.calls");
    assert_eq!(lifted["woken"], 2);
    daemon.stop();
}

#[test]
fn a_budget_in_dollars_is_never_passed() {
    const FILES: usize = 30;
    let latency = testsmith_simulator::Latency::fixed(std::time::Duration::from_millis(20));
    let world = project(FILES, Script::default().latency(latency));
    // A call sets aside some $0.009 and costs some $0.0015: room for a few of them.
    let budget = ["--set", "budget.day.usd=0.02"];
    let output = world.run(&[&["generate", "--all"], &PRICED[..], &budget].concat());
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let requests = world.requests();
    let nanos: u64 = requests
        .iter()
        .map(|r| r.tokens_in * 1000 + r.tokens_out * 2000)
        .sum();
    let total = &usage(&world, &[])["total"];
    assert_eq!(total["known_cost_nano_usd"], nanos);
    assert!(nanos <= 20_000_000, "{nanos}");
    assert!(
        nanos > 10_000_000,
        "what one request may take is left at most: {nanos}"
    );
    assert!(requests.len() < FILES);
    assert!(
        said(&output).contains("`budget.day.usd`"),
        "{}",
        said(&output)
    );
    let waiting = world.run(&["jobs", "--state", "waiting", "--json"]);
    let text = said(&waiting);
    assert_eq!(
        text.matches("budget: $").count(),
        FILES - requests.len(),
        "{text}"
    );
}

#[test]
fn requests_keep_to_the_limit_per_minute() {
    let world = project(3, Script::default());
    let output = world.run(&["generate", "--all", "--set", "limits.rpm=19"]);
    assert!(output.status.success(), "{}", said(&output));
    let mut times: Vec<f64> = world.requests().iter().map(|r| r.arrived_ms).collect();
    times.sort_by(f64::total_cmp);
    assert!(
        times[1] - times[0] > 2900.0 && times[2] - times[1] > 2900.0,
        "{times:?}"
    );
}

#[test]
fn a_provider_that_is_down_is_left_alone() {
    let world = project(12, Script::default().rule(Rule::from(Fault::status(503))));
    let fast = ["--set", "llm.retry.base_delay=1ms"];
    let output = world.run(&[&["generate", "--all"], &fast[..]].concat());
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let text = said(&output);
    assert!(text.contains("is not asked for another"), "{text}");
    // Five calls of three attempts, and those that were under way when the fifth failed.
    let sent = world.requests().len();
    assert!((15..=27).contains(&sent), "{sent} requests: {text}");
    let waiting = said(&world.run(&["jobs", "--state", "waiting", "--json"]));
    assert_eq!(waiting.matches("model: ").count(), 12, "{waiting}");
}

#[test]
fn status_tells_of_a_provider_that_is_down() {
    let world = project(0, Script::default().rule(Rule::from(Fault::status(503))));
    let mut daemon = world.watch(&["--set", "llm.retry.base_delay=1ms"]);
    for number in 0..6 {
        let text = samples::GO.replace("Add", &format!("Add{number}"));
        let text = text.replace("Twice", &format!("Twice{number}"));
        world.save(&format!("f{number}.go"), text);
    }
    daemon.wait("open circuit", |line| {
        line["message"] == "provider circuit opens"
    });
    let status = world.run(&["status"]);
    assert_eq!(status.status.code(), Some(3), "{}", said(&status));
    assert!(
        said(&status).contains("is not asked until"),
        "{}",
        said(&status)
    );
    let (status, _, log) = daemon.stop();
    assert_eq!(status.code(), Some(0), "{log}");
    assert_eq!(log.matches("provider circuit opens").count(), 1, "{log}");
}
