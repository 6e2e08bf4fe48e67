//! What each command prints, for people and as JSON, as it was last agreed on: transcripts in
//! `tests/fixtures/snapshots`, with what differs from run to run put aside.

#![expect(
    clippy::unwrap_used,
    reason = "a test without what it looks at has to fail"
)]

mod support;

use serde_json::Value;
use support::daemon::Daemon;
use support::tools::have;
use support::world::{World, program, said};
use support::{golden, mask, samples};
use testsmith_simulator::{BadBody, Fault, Rule, Script};

/// Values that are other ones in each run.
const VOLATILE: [&str; 25] = [
    "age_ms",
    "at",
    "bytes",
    "cost_nano_usd",
    "created",
    "day",
    "elapsed_ms",
    "ended",
    "enqueued",
    "found",
    "grace_ms",
    "key",
    "last_answer",
    "pid",
    "saved",
    "seen",
    "since",
    "started",
    "started_at",
    "timestamp",
    "tokens_in",
    "tokens_out",
    "uptime_ms",
    "until",
    "version",
];

/// Commands and what they said.
struct Transcript<'w> {
    world: &'w World,
    text: String,
    names: Vec<(String, &'static str)>,
}

impl<'w> Transcript<'w> {
    fn new(world: &'w World) -> Self {
        let shown = |path: std::path::PathBuf| path.to_string_lossy().into_owned();
        let names = vec![
            (shown(world.root()), "ROOT"),
            (shown(world.state()), "STATE"),
            (shown(world.beside("home")), "HOME"),
            (world.simulator().openai_base_url(), "SERVER"),
            (shown(program().to_owned()), "PROGRAM"),
            (env!("CARGO_PKG_VERSION").to_owned(), "VERSION"),
        ];
        Self {
            world,
            text: String::new(),
            names,
        }
    }

    /// Runs it and writes down how it went.
    fn run(&mut self, args: &[&str]) -> &mut Self {
        let output = self.world.run(args);
        said(&output);
        let names: Vec<(&str, &str)> = self
            .names
            .iter()
            .map(|(long, short)| (&**long, *short))
            .collect();
        self.text
            .push_str(&format!("$ testsmith {}\n", args.join(" ")));
        let out = String::from_utf8(output.stdout).unwrap();
        let lines: Option<Vec<Value>> = serde_json::Deserializer::from_str(&out)
            .into_iter()
            .collect::<Result<_, _>>()
            .ok();
        match lines {
            Some(values) if !out.is_empty() => {
                for mut value in values {
                    mask::json(&mut value, &VOLATILE, &names);
                    self.text
                        .push_str(&serde_json::to_string_pretty(&value).unwrap());
                    self.text.push('\n');
                }
            }
            _ => {
                let mut shown = mask::text(&out, &names);
                // How wide a column is depends on the paths and times in it.
                for (wide, narrow) in [("   # ", "  # "), ("  TIME", " TIME")] {
                    while shown.contains(wide) {
                        shown = shown.replace(wide, narrow);
                    }
                }
                self.text.push_str(&shown);
            }
        }
        let error = String::from_utf8(output.stderr).unwrap();
        for line in mask::text(&error, &names).lines() {
            self.text.push_str(&format!("! {line}\n"));
        }
        let code = output.status.code().unwrap();
        if code != 0 {
            self.text.push_str(&format!("exit {code}\n"));
        }
        self.text.push('\n');
        self
    }

    /// A line in between.
    fn say(&mut self, remark: &str) -> &mut Self {
        self.text.push_str(&format!("# {remark}\n\n"));
        self
    }

    /// Both for people and as JSON.
    fn both(&mut self, args: &[&str]) -> &mut Self {
        self.run(args);
        self.run(&[args, &["--json"]].concat())
    }
}

fn go(script: Script) -> World {
    let world = World::new(script);
    world.save("go.mod", samples::GO_MOD);
    world
}

/// A daemon that has written tests for one file, and waits with another, of which the model will not hear.
fn at_work(world: &World) -> Daemon {
    let mut daemon = world.watch(&[]);
    world.save("cart.go", samples::GO);
    daemon.ended("cart.go");
    world.save(
        "price.go",
        "package shop\n\nfunc Half(a int) int { return a / 2 }\n",
    );
    daemon.ended("price.go");
    daemon
}

#[test]
fn with_a_daemon() {
    let refused = Rule::from(Fault::status(401)).member("Half");
    let world = go(Script::default().rule(refused));
    let daemon = at_work(&world);
    let mut told = Transcript::new(&world);
    told.both(&["status"])
        .both(&["jobs"])
        .both(&["explain", "cart.go"])
        .both(&["explain", "price.go:Half"])
        .both(&["usage"])
        .both(&["cache", "stats"])
        .both(&["logs", "--path", "cart.go"])
        .both(&["generate", "cart.go"])
        .both(&["generate", "--all", "--dry-run"])
        .run(&["generate", "cart.go", "--no-wait"])
        .both(&["pause"])
        .both(&["resume"])
        .run(&["resume", "--over-budget"])
        .both(&["cancel", "price.go"])
        .both(&["retry"])
        .both(&["reload"])
        .both(&["cache", "gc"])
        .both(&["cache", "export", "answers.jsonl"])
        .both(&["cache", "clear"])
        .both(&["cache", "import", "answers.jsonl"])
        .run(&["watch"])
        .run(&["stop"]);
    daemon.end();
    let daemon = world.watch(&[]);
    told.run(&["stop", "--json"]);
    daemon.end();
    golden::check("daemon.txt", &told.text);
}

#[test]
fn without_a_daemon() {
    let world = go(Script::default());
    let daemon = at_work(&world);
    daemon.stop();
    let mut told = Transcript::new(&world);
    told.both(&["status"])
        .both(&["jobs"])
        .both(&["explain", "cart.go"])
        .both(&["usage", "--by", "file"])
        .both(&["cache", "stats"])
        .both(&["logs", "--grep", "job ended"])
        .both(&["generate", "cart.go"])
        .both(&["cache", "gc"])
        .both(&["cache", "export"])
        .both(&["cache", "export", "answers.jsonl"])
        .both(&["cache", "import", "answers.jsonl"])
        .run(&["cache", "import", "go.mod"])
        .run(&["cache", "import", "missing.jsonl"])
        .both(&["cache", "clear"])
        .both(&["generate", "cart.go", "--dry-run"])
        .run(&["pause"])
        .run(&["retry"])
        .run(&["reload"])
        .run(&["stop"])
        .run(&["generate", "cart.go", "--no-wait"]);
    told.say("configuration");
    world.save(
        "testsmith.toml",
        "[llm]\nbase_url = \"http://203.0.113.9/v1\"\n",
    );
    told.run(&["config", "check"])
        .both(&["config", "show"])
        .run(&["trust"])
        .run(&["trust", "--list"])
        .run(&["trust", "--revoke"]);
    world.save("testsmith.toml", "[llm]\nmodle = \"x\"\n");
    told.run(&["config", "check"])
        .run(&["status"])
        .run(&["init"]);
    std::fs::remove_file(world.root().join("testsmith.toml")).unwrap();
    told.run(&["init", "--print"]).run(&["init"]);
    golden::check("alone.txt", &told.text);
}

#[test]
fn nothing_found_yet() {
    let world = go(Script::default());
    let mut told = Transcript::new(&world);
    for args in [
        &["status"][..],
        &["jobs"],
        &["explain", "cart.go"],
        &["usage"],
        &["cache", "stats"],
        &["cache", "export", "answers.jsonl"],
        &["logs"],
        &["findings"],
        &["quarantine"],
        &["review"],
        &["diff", "cart_testsmith_test.go"],
    ] {
        told.both(args);
    }
    golden::check("empty.txt", &told.text);
    assert!(!world.state().exists(), "a question leaves nothing behind");
}

#[test]
fn the_user_s_last_word() {
    if !have("go", &["version"]) {
        return;
    }
    let script = Script::default()
        .rule(Rule::from(Fault::body(BadBody::Fails)).member("Wrong"))
        .rule(Rule::from(Fault::body(BadBody::DoesNotCompile)).member("Broken"));
    let world = World::verifying(script);
    world.save("go.mod", samples::GO_MOD);
    let function = |name: &str, number: u32| {
        format!("\nfunc {name}(a int) int {{\n\treturn a + {number}\n}}\n")
    };
    let all = [
        function("Good", 1),
        function("Wrong", 2),
        function("Broken", 3),
    ];
    world.save("cart.go", format!("package shop\n{}", all.concat()));
    let mut told = Transcript::new(&world);
    told.run(&["generate", "cart.go", "--json"])
        .both(&["findings"])
        .both(&["quarantine"]);
    let findings = world.run(&["findings", "--json"]);
    let finding: Value = serde_json::from_slice(&findings.stdout).unwrap();
    let id = finding["id"].as_str().unwrap().to_owned();
    told.names.push((id.clone(), "FINDING"));
    told.run(&["findings", "dismiss", "nonsense"])
        .run(&["findings", "dismiss", &id])
        .run(&["findings"])
        .run(&["findings", "--all"]);
    told.say("an edit in the block of Good");
    let test = world.read("cart_testsmith_test.go");
    world.save(
        "cart_testsmith_test.go",
        test.replace("t.Errorf", "t.Fatalf"),
    );
    told.both(&["diff", "cart_testsmith_test.go"])
        .run(&["adopt", "cart.go", "--json"])
        .run(&["generate", "cart.go"]);
    told.say("mode = \"propose\"");
    world.save("testsmith.toml", "mode = \"propose\"\n");
    world.save("price.go", format!("package shop\n{}", function("Half", 4)));
    told.run(&["generate", "price.go"])
        .both(&["review"])
        .run(&["accept", "price.go"])
        .run(&["reject", "--all"])
        .run(&["quarantine", "release", "--all"]);
    golden::check("review.txt", &told.text);
}

/// The names of the checks; what they find is this machine's.
#[test]
fn doctor() {
    let world = go(Script::default());
    world.save("cart.go", samples::GO);
    let json = world.run(&["doctor", "--no-call", "--json"]);
    let checks: Vec<Value> = serde_json::from_slice(&json.stdout).unwrap();
    let names: Vec<&str> = checks
        .iter()
        .map(|check| check["check"].as_str().unwrap())
        .collect();
    let people = world.run(&["doctor", "--no-call"]);
    let shown = said(&people);
    for check in &checks {
        let message = check["message"].as_str().unwrap().lines().next().unwrap();
        let state = check["state"].as_str().unwrap();
        let fits = |line: &&str| line.contains(check["check"].as_str().unwrap());
        let line = shown.lines().find(fits).unwrap_or_default();
        assert!(line.contains(state), "{state} in {line}");
        // What is free, or how long it took, is other from one run to the next.
        let begins: String = message
            .chars()
            .take_while(|c| !c.is_ascii_digit())
            .collect();
        assert!(line.contains(&begins), "{begins} in {line}");
    }
    golden::check("doctor.txt", &(names.join("\n") + "\n"));
}
