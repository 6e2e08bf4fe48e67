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
use support::samples;
use support::world::{PATIENCE, World};
use testsmith_simulator::Script;

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
        let mut command = world.command(&["watch", "--log-format", "json", "--state-dir"]);
        command
            .arg(world.state())
            .env("NOTIFY_SOCKET", world.beside("notify"))
            .env("WATCHDOG_USEC", watchdog.as_micros().to_string());
        Daemon::spawn(command)
    }

    /// Reads up to a message that begins so. Gives all read.
    fn hear(&self, wanted: &str) -> Vec<String> {
        let mut heard = Vec::new();
        loop {
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
    manager.hear("READY=1");
    daemon.wait("`watching` before READY", says("watching"));
    manager.hear("WATCHDOG=1");
    manager.hear("WATCHDOG=1");
    let status = manager.hear("STATUS=watching").pop().unwrap();
    assert_eq!(status, "STATUS=watching 1 files");
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

#[test]
fn a_changed_file_is_in_force_and_a_bad_one_leaves_all_as_it_was() {
    let world = go();
    let mut daemon = world.watch(&[]);
    // Excluded from now on.
    world.save(
        "testsmith.toml",
        "[watch]\nexclude = [\"old/**\"]\n[cache]\nmax_entries = 7\n",
    );
    let line = daemon.wait(
        "restart",
        says("some settings wait for a restart of the service"),
    );
    assert_eq!(line["keys"], "cache.max_entries");
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
    let mut command = world.command(&["watch", "--log-format", "json", "--state-dir"]);
    command
        .arg(world.state())
        .env_remove("TESTSMITH_LLM__MODEL");
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
