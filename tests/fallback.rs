//! Fallback models, end to end: who answers while the preferred model cannot, whose answers count,
//! and what is told of it.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has to fail"
)]

mod support;

use rustix::process::Signal;
use serde_json::Value;
use support::samples;
use support::world::{World, said, wait_until};
use testsmith_simulator::{Fault, Preset, Rule, Script};

/// A Go project whose preferred model plays this fault, on a server that has another model too.
fn go(fault: Fault) -> World {
    let world = World::new(Script::default().rule(Rule::from(fault).model("simulated")));
    world.save("go.mod", samples::GO_MOD);
    let config = "[[llm.fallback]]\nmodel = \"second\"\n";
    let dir = world.beside("home/.config/testsmith");
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("config.toml"), config).unwrap();
    world
}

fn asked(world: &World) -> Vec<String> {
    let requests = world.requests().into_iter();
    requests.map(|request| request.model).collect()
}

fn json_lines(output: &std::process::Output) -> Vec<Value> {
    let text = String::from_utf8_lossy(&output.stdout);
    let lines = text.lines().map(serde_json::from_str);
    lines.map(Result::unwrap).collect()
}

fn key(world: &World) -> String {
    let tests = world.read("cart_testsmith_test.go");
    let (_, rest) = tests.split_once("key=").unwrap();
    rest[..8].to_owned()
}

#[test]
fn a_fallback_answer_is_up_to_date_until_the_preferred_model_is_asked_for() {
    let world = go(Fault::status(503));
    world.save("cart.go", samples::GO);
    let run = world.run(&["generate", "--all", "--json"]);
    assert_eq!(run.status.code(), Some(0), "{}", said(&run));
    let ended = &json_lines(&run)[0];
    assert_eq!(ended["models"], serde_json::json!(["second"]), "{ended}");
    assert_eq!(
        (ended["calls"].as_u64(), ended["attempts"].as_u64()),
        (Some(1), Some(4))
    );
    assert_eq!(
        asked(&world),
        ["simulated", "simulated", "simulated", "second"]
    );
    let of_second = key(&world);

    // The preferred model is well again: nothing is asked, be the block there or only the answer.
    world.simulator().set_script(Script::default());
    let fresh = world.run(&["generate", "--all"]);
    assert!(
        said(&fresh).contains("requests to the model: 0"),
        "{}",
        said(&fresh)
    );
    std::fs::remove_file(world.root().join("cart_testsmith_test.go")).unwrap();
    let cached = world.run(&["generate", "--all", "--verbose"]);
    assert!(
        said(&cached).contains("hits: 2 misses: 0"),
        "{}",
        said(&cached)
    );
    assert_eq!((key(&world), asked(&world).len()), (of_second.clone(), 4));

    let preferred = world.run(&["generate", "--all", "--prefer", "--json"]);
    let ended = &json_lines(&preferred)[0];
    assert_eq!(ended["models"], serde_json::json!(["simulated"]), "{ended}");
    assert_ne!(key(&world), of_second);
    assert_eq!(asked(&world).len(), 5, "one batch");
    let again = world.run(&["generate", "--all", "--prefer"]);
    assert!(
        said(&again).contains("requests to the model: 0"),
        "{}",
        said(&again)
    );
    let usage = said(&world.run(&["usage", "--by", "model"]));
    assert!(
        usage.contains("simulated") && usage.contains("second"),
        "{usage}"
    );
}

#[test]
fn a_daemon_tells_who_answers_and_goes_back_by_itself() {
    let world = go(Fault::preset(Preset::InvalidKey));
    let mut daemon = world.watch(&[]);
    let found = daemon
        .said()
        .iter()
        .any(|line| line.contains("fallback model"));
    assert!(found, "told at the start");
    world.save("cart.go", samples::GO);
    let ended = daemon.ended("cart.go");
    assert_eq!(
        (&ended["outcome"], &ended["model"]),
        (&"written".into(), &"second".into())
    );
    // Its circuit is open: the next call is not tried there first.
    let other = samples::GO.replace("Add", "Sum").replace("Twice", "Double");
    world.save("other.go", other);
    assert_eq!(daemon.ended("other.go")["outcome"], "written");
    assert_eq!(asked(&world), ["simulated", "second", "second"]);
    let status = world.run(&["status", "--json"]);
    let status: Value = serde_json::from_slice(&status.stdout).unwrap();
    let provider = &status["daemon"]["provider"];
    assert_eq!(provider["answered_by"], serde_json::json!(["second"]));
    assert!(!provider["held_until"].is_null(), "{provider}");
    assert!(
        provider["fallback"][0]["held_until"].is_null(),
        "{provider}"
    );
    let codes = status["warnings"].as_array().unwrap().iter();
    assert!(
        codes.clone().any(|warning| warning["code"] == "fallback"),
        "{status}"
    );
    let shown = said(&world.run(&["status"]));
    assert!(
        shown.contains("fallback: openai, model `second`"),
        "{shown}"
    );
    let story = said(&world.run(&["explain", "cart.go"]));
    assert!(
        story.contains("asked `simulated`, attempt 1: status 401"),
        "{story}"
    );
    assert!(
        story.contains("asked `second`, attempt 1: status 200"),
        "{story}"
    );

    // The key is right now. What was answered stays; what is new is the preferred model's.
    world.simulator().set_script(Script::default());
    daemon.signal(Signal::HUP);
    daemon.wait("the reload", |line| {
        line["message"] == "configuration reloaded"
    });
    let third = samples::GO.replace("Add", "Minus").replace("Twice", "Half");
    world.save("third.go", third);
    assert_eq!(daemon.ended("third.go")["model"], "simulated");
    assert_eq!(asked(&world).len(), 4);
    let handed = world.run(&["generate", "cart.go", "--prefer"]);
    assert_eq!(handed.status.code(), Some(0), "{}", said(&handed));
    wait_until("the preferred model's answer", || asked(&world).len() == 5);
    assert_eq!(asked(&world)[4], "simulated");
}

#[test]
fn a_chain_that_cannot_be_used_is_told_before_anything_is_done() {
    let world = go(Fault::status(503));
    let config = world.beside("home/.config/testsmith/config.toml");
    for (text, expected) in [
        (
            "[[llm.fallback]]\nmodle = \"x\"\n",
            "config.toml:2: unknown key `llm.fallback[0].modle`",
        ),
        (
            "[[llm.fallback]]\nprovider = \"anthropic\"\nmodel = \"claude\"\n",
            "the fallback model `claude`",
        ),
    ] {
        std::fs::write(&config, text).unwrap();
        let run = world.run(&["generate", "--all"]);
        assert_eq!(run.status.code(), Some(64), "{}", said(&run));
        assert!(said(&run).contains(expected), "{}", said(&run));
        assert!(!world.state().exists());
    }
    // In a project's own file it takes trust.
    std::fs::remove_file(&config).unwrap();
    world.save("testsmith.toml", "[[llm.fallback]]\nmodel = \"theirs\"\n");
    world.save("cart.go", samples::GO);
    let run = world.run(&["generate", "--all"]);
    assert!(
        said(&run).contains("ignoring `llm.fallback`"),
        "{}",
        said(&run)
    );
    assert!(!asked(&world).contains(&"theirs".to_owned()));
    let shown = world.run(&["trust"]);
    assert!(
        said(&shown).contains("llm.fallback[0].model = \"theirs\""),
        "{}",
        said(&shown)
    );
    let run = world.run(&["generate", "--all"]);
    assert_eq!(run.status.code(), Some(0), "{}", said(&run));
    assert!(asked(&world).contains(&"theirs".to_owned()));
}
