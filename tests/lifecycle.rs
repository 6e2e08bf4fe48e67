//! The service's life: what it tells the service manager, and settings that change under way.
#![expect(
    clippy::unwrap_used,
    reason = "a test without what it looks at has to fail"
)]

mod support;

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use support::daemon::Daemon;
use support::program::Program;
use support::samples;
use support::world::{PATIENCE, World, said};
use testsmith_simulator::{Fault, Latency, Rule, Script};

fn go() -> World {
    let world = World::new(Script::default());
    world.save("go.mod", samples::GO_MOD);
    world
}

fn says(message: &str) -> impl Fn(&Value) -> bool {
    let message = message.to_owned();
    move |line| line["message"] == message.as_str()
}

/// A service manager's end of the protocol.
struct Manager(UnixDatagram);

impl Manager {
    fn new(world: &World) -> Self {
        let socket = UnixDatagram::bind(world.beside("notify")).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(socket)
    }

    fn watch(world: &World, watchdog: Duration) -> Daemon {
        Daemon::spawn(Self::watching(world, watchdog))
    }

    fn watching(world: &World, watchdog: Duration) -> Program {
        let mut command = world.watching();
        command
            .env("NOTIFY_SOCKET", world.beside("notify"))
            .env("WATCHDOG_USEC", watchdog.as_micros().to_string());
        command
    }

    /// What has been told up to now, and is told within `more`.
    fn rest(&self, more: Duration) -> Vec<String> {
        self.0.set_read_timeout(Some(more)).unwrap();
        let mut told = Vec::new();
        let mut buffer = [0; 4096];
        while let Ok(length) = self.0.recv(&mut buffer) {
            told.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
        }
        told
    }

    /// Reads up to a message that begins so. Gives all read.
    fn hear(&self, wanted: &str) -> Vec<String> {
        let mut heard = Vec::new();
        loop {
            assert!(heard.len() < 200, "no {wanted}: {heard:?}");
            let mut buffer = [0; 4096];
            let length = self.0.recv(&mut buffer).unwrap();
            heard.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
            if heard.last().unwrap().starts_with(wanted) {
                return heard;
            }
        }
    }
}

#[test]
fn the_service_manager_hears_of_start_reload_life_and_end() {
    let world = go();
    let manager = Manager::new(&world);
    world.save("cart.go", samples::GO);
    let mut daemon = Manager::watch(&world, Duration::from_secs(2));
    let mut heard = manager.hear("READY=1");
    daemon.wait("`watching` before READY", says("watching"));
    heard.extend(manager.hear("WATCHDOG=1"));
    heard.extend(manager.hear("WATCHDOG=1"));
    // It is told once, and on a busy machine soon.
    let is_status = |word: &&String| word.starts_with("STATUS=watching");
    let status = heard.iter().find(is_status).cloned();
    let status = status.unwrap_or_else(|| manager.hear("STATUS=watching").pop().unwrap());
    assert_eq!(status, "STATUS=watching 1 file");
    daemon.signal(Signal::HUP);
    let reload = manager.hear("READY=1");
    let begun = reload
        .iter()
        .find(|word| word.starts_with("RELOADING=1\nMONOTONIC_USEC="));
    assert!(begun.is_some(), "{reload:?}");
    daemon.signal(Signal::TERM);
    let end = manager.hear("EXTEND_TIMEOUT_USEC=");
    assert!(end.contains(&"STOPPING=1".to_owned()), "{end:?}");
    assert!(daemon.end().0.success());
}

/// A worker that goes no further in the middle of a job, and a disk that keeps the queue's writer.
#[test]
fn the_service_manager_hears_no_more_of_life_once_a_part_hangs() {
    let watchdog = Duration::from_secs(2);
    for (point, part) in [("usage.sent:1", "worker"), ("queue.commit.part:2", "store")] {
        let world = go();
        world.save("testsmith.toml", "[budget.day]\ncalls = 100\n");
        let manager = Manager::new(&world);
        let mut command = Manager::watching(&world, watchdog);
        command.env("TESTSMITH_HANG_AT", point);
        let mut daemon = Daemon::spawn(command);
        manager.hear("READY=1");
        manager.hear("WATCHDOG=1");
        world.save("cart.go", samples::GO);
        let said = daemon.wait("that a part hangs", says("a part of the service hangs"));
        let hangs = said["part"].as_str().unwrap();
        assert!(hangs.starts_with(part), "{point}: {hangs}");
        manager.rest(Duration::from_millis(1));
        let told = manager.rest(watchdog);
        assert!(
            !told.contains(&"WATCHDOG=1".to_owned()),
            "{point}: {told:?}"
        );
        daemon.kill();
    }
}

#[test]
fn a_changed_file_is_in_force_and_a_bad_one_leaves_all_as_it_was() {
    let world = go();
    let mut daemon = world.watch(&[]);
    // Nobody trusts it with that.
    world.save(
        "testsmith.toml",
        "[llm]\nbase_url = \"http://127.0.0.1:9\"\n",
    );
    let line = daemon.wait("warning", says("part of the configuration is not used"));
    let warning = line["warning"].as_str().unwrap();
    assert!(warning.contains("llm.base_url"), "{line}");
    let line = daemon.wait("reload", says("configuration reloaded"));
    assert_eq!(line["keys"], "");
    // Excluded from now on.
    world.save(
        "testsmith.toml",
        "[watch]\nexclude = [\"old/**\"]\n[frameworks]\ngo = \"testify\"\n",
    );
    let line = daemon.wait(
        "restart",
        says("some settings wait for a restart of the service"),
    );
    assert_eq!(line["keys"], "frameworks.go");
    let line = daemon.wait("reload", says("configuration reloaded"));
    assert_eq!(line["keys"], "watch.exclude");
    world.save("old/cart.go", samples::GO);
    world.save("cart.go", samples::GO);
    daemon.ended("cart.go");
    assert_eq!(world.requests().len(), 1, "the excluded file is none");

    world.save("testsmith.toml", "[watch]\nexclude = [\n");
    let line = daemon.wait("refusal", |line| {
        line["message"] == "the configuration cannot be used; the settings stay as they were"
    });
    assert!(
        line["error"].as_str().unwrap().contains("testsmith.toml:2"),
        "{line}"
    );
    world.save("old/price.go", samples::GO);
    world.save(
        "price.go",
        "package shop\n\nfunc Half(a int) int { return a / 2 }\n",
    );
    daemon.ended("price.go");
    assert_eq!(world.requests().len(), 2, "the old settings hold");

    world.save("testsmith.toml", "");
    daemon.wait("reload", says("configuration reloaded"));
    daemon.ended("old/cart.go");
    daemon.stop();
}

#[test]
fn another_model_is_asked_from_the_next_call_on() {
    let world = go();
    let mut command = world.watching();
    command.env_remove("TESTSMITH_LLM__MODEL");
    world.save("testsmith.toml", "[llm]\nmodel = \"first\"\n");
    let mut daemon = Daemon::spawn(command);
    daemon.wait("`watching`", says("watching"));
    world.save("cart.go", samples::GO);
    daemon.ended("cart.go");
    world.save("testsmith.toml", "[llm]\nmodel = \"second\"\n");
    daemon.wait("reload", says("configuration reloaded"));
    world.save(
        "price.go",
        "package shop\n\nfunc Half(a int) int { return a / 2 }\n",
    );
    daemon.ended("price.go");
    let models: Vec<_> = world.requests().iter().map(|r| r.model.clone()).collect();
    assert_eq!(models, ["first", "second"]);
    daemon.stop();
}

/// Saves a source whose two functions no other has.
fn save_unlike(world: &World, name: &str) -> String {
    let path = format!("{name}.go");
    let text = samples::GO
        .replace("Add", &format!("Add_{name}"))
        .replace("Twice", &format!("Twice_{name}"));
    world.save(&path, text);
    path
}

/// Puts a configuration in force.
fn reload(world: &World, settings: &str) {
    world.save("testsmith.toml", settings);
    let reloaded = world.run(&["reload"]);
    assert!(reloaded.status.success(), "{}", said(&reloaded));
}

/// Waits for the ends of so many jobs that are not superseded. Gives their outcomes.
fn outcomes(daemon: &mut Daemon, jobs: usize) -> Vec<String> {
    let mut ends = Vec::new();
    while ends.len() < jobs {
        let line = daemon.wait("the end of a job", says("job ended"));
        if line["outcome"] != "superseded" {
            ends.push(line["outcome"].as_str().unwrap().to_owned());
        }
    }
    ends
}

#[test]
fn old_and_new_calls_together_keep_to_the_limit() {
    let world = World::new(Script::default().latency(Latency::fixed(Duration::from_millis(600))));
    world.save("go.mod", samples::GO_MOD);
    world.save("testsmith.toml", "[llm]\nmax_concurrent_calls = 4\n");
    let mut daemon = world.watch(&["--set", "queue.workers=12"]);
    for number in 0..8 {
        save_unlike(&world, &format!("f{number}"));
    }
    world.wait_for_requests(4);
    // The four calls that are open go on under the old settings.
    reload(
        &world,
        "[llm]\nmax_concurrent_calls = 2\ntemperature = 0.5\n",
    );
    let at_reload = world.requests().len();
    // Jobs that began before the reload ask the old way still, the others the new.
    for number in 8..12 {
        save_unlike(&world, &format!("f{number}"));
    }
    assert_eq!(outcomes(&mut daemon, 12), ["written"; 12]);
    let requests = world.requests();
    assert_eq!(requests.len(), 12);
    let open: Vec<usize> = requests.iter().map(|request| request.open).collect();
    assert!(open.iter().all(|open| *open <= 4), "{open:?}");
    let after = &requests[at_reload..];
    assert!(after.iter().any(|request| request.temperature == Some(0.5)));
    for request in after {
        assert!(request.open <= 2, "{request:?}");
    }
    // What is open is counted over both, and no permit was lost on the way.
    let calls = || {
        let said = world.run(&["status", "--json"]);
        serde_json::from_slice::<Value>(&said.stdout).unwrap()["daemon"]["calls"].clone()
    };
    let (seen, told) = (open.iter().max().unwrap(), calls());
    assert_eq!((&told["open"], &told["permits"]), (&0.into(), &2.into()));
    let most = told["max_open"].as_u64().unwrap();
    assert!(most >= *seen as u64 && most <= 4, "{most}, {seen}");
    reload(&world, "[llm]\nmax_concurrent_calls = 6\n");
    assert_eq!(calls()["permits"], 6);
    let (_, _, log) = daemon.stop();
    let told = log.matches("\"message\":\"model\"").count();
    assert_eq!(told, 1, "the model is the same after each reload: {log}");
}

#[test]
fn a_budget_holds_across_reloads_and_restarts() {
    let world = World::new(Script::default().latency(Latency::fixed(Duration::from_millis(20))));
    world.save("go.mod", samples::GO_MOD);
    let settings = |calls: u32| {
        format!(
            "[prices.simulated]\ninput = 1\noutput = 2\n[budget.day]\nusd = 0.02\n\
             [llm]\nmax_concurrent_calls = {calls}\n"
        )
    };
    // Named by the user: prices of a stranger's file would not count.
    let file = world.beside("settings.toml");
    std::fs::write(&file, settings(8)).unwrap();
    let named = ["--config", file.to_str().unwrap()];
    let mut saved = 0;
    let mut save = |count: usize| {
        for _ in 0..count {
            saved += 1;
            save_unlike(&world, &format!("f{saved}"));
        }
    };
    let daemon = world.watch(&named);
    save(20);
    world.wait_for_requests(1);
    for calls in [3, 9, 5] {
        std::fs::write(&file, settings(calls)).unwrap();
        let reloaded = world.run(&["reload"]);
        assert!(reloaded.status.success(), "{}", said(&reloaded));
        save(5);
    }
    daemon.kill();
    save(5);
    let mut daemon = world.watch_unready(&named);
    daemon.wait("the budget's end", says("budget is used up; jobs wait"));
    let (status, _, _) = daemon.stop();
    assert!(status.success());
    let nanos: u64 = world
        .requests()
        .iter()
        .map(|r| r.tokens_in * 1000 + r.tokens_out * 2000)
        .sum();
    assert!(nanos <= 20_000_000, "{nanos}");
    assert!(nanos > 0 && world.requests().len() < saved);
}

#[test]
fn workers_cache_and_mode_change_under_way() {
    let hangs = |nth| Rule::from(Fault::Hang).nth(nth);
    let world = World::new(
        Script::default()
            .rule(hangs(7))
            .rule(hangs(8))
            .rule(hangs(9)),
    );
    world.save("go.mod", samples::GO_MOD);
    let mut daemon = world.watch(&[]);
    let entries = || {
        let said = world.run(&["cache", "stats", "--json"]);
        serde_json::from_slice::<Value>(&said.stdout).unwrap()["entries"].clone()
    };

    reload(&world, "mode = \"propose\"\n[queue]\nworkers = 1\n");
    let path = save_unlike(&world, "proposed");
    assert_eq!(daemon.ended(&path)["outcome"], "proposed");
    reload(&world, "[queue]\nworkers = 1\n");
    for number in 2..=6 {
        save_unlike(&world, &format!("f{number}"));
    }
    assert_eq!(outcomes(&mut daemon, 5), vec!["written"; 5]);
    let open: Vec<usize> = world
        .requests()
        .iter()
        .map(|request| request.open)
        .collect();
    assert_eq!(open, [1; 6], "one worker asks one thing at a time");

    assert_eq!(entries(), 12);
    reload(&world, "[queue]\nworkers = 1\n[cache]\nmax_entries = 10\n");
    assert_eq!(entries(), 9, "a tenth below the bound");

    // The three calls hang: they are all open at once, or the last would not come.
    reload(&world, "[queue]\nworkers = 3\n");
    for number in 7..=9 {
        save_unlike(&world, &format!("f{number}"));
    }
    world.wait_for_requests(9);
    daemon.kill();
}

#[test]
fn the_log_s_level_follows_its_file_and_a_signal_asks_for_the_status() {
    let world = go();
    let mut daemon = world.watch(&[]);
    daemon.signal(Signal::USR1);
    let status = daemon.wait("status", says("status"));
    assert_eq!(status["pending"], 0);
    assert!(
        status["model"].as_str().unwrap().contains("simulated"),
        "{status}"
    );
    world.save("testsmith.toml", "[log]\nlevel = \"debug\"\n");
    daemon.wait("reload", says("configuration reloaded"));
    world.save("cart.go", samples::GO);
    daemon.wait("an attempt", says("attempt answered"));
    daemon.stop();
}

/// The same figures by TCP, for Prometheus; only figures.
#[test]
fn metrics_are_offered_on_this_machine_if_it_is_configured() {
    use std::io::{Read as _, Write as _};
    let world = go();
    let mut daemon = world.watch_unready(&["--set", "metrics.listen=127.0.0.1:0"]);
    let offered = daemon.wait("address", says("metrics are offered"));
    daemon.wait("`watching`", says("watching"));
    world.save("cart.go", samples::GO);
    daemon.ended("cart.go");
    let ask = |path: &str| {
        let address = offered["address"].as_str().unwrap();
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    };
    let text = ask("/metrics");
    for line in [
        "testsmith_requests_total 1\n",
        "testsmith_cache_misses_total 2\n",
        "testsmith_jobs{state=\"pending\"} 0\n",
        "testsmith_files 1\n",
        "# TYPE testsmith_requests_total counter\n",
    ] {
        assert!(text.contains(line), "no {line} in {text}");
    }
    assert!(!text.contains("cart"), "no names: {text}");
    assert!(
        ask("/v1/status").starts_with("HTTP/1.1 404"),
        "nothing else is there"
    );
    daemon.stop();
    let refused = world.run(&["config", "check", "--set", "metrics.listen=0.0.0.0:9464"]);
    assert_eq!(refused.status.code(), Some(64));
}

/// Each figure of the dashboard is one that is offered.
#[test]
fn the_dashboard_shows_what_there_is() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let source = std::fs::read_to_string(format!("{root}/crates/control/src/metrics.rs")).unwrap();
    let board = std::fs::read_to_string(format!("{root}/docs/grafana-dashboard.json")).unwrap();
    let _: Value = serde_json::from_str(&board).unwrap();
    let mut seen = 0;
    for rest in board.split("testsmith_").skip(1) {
        let name: String = rest
            .chars()
            .take_while(|c| c.is_ascii_lowercase() || *c == '_')
            .collect();
        let name = name.trim_end_matches("_total");
        assert!(source.contains(&format!("\"{name}\"")), "{name}");
        seen += 1;
    }
    assert!(seen >= 10, "{seen}");
}
