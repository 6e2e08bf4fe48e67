//! A project, a simulated model and a state directory, in a folder of their own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use testsmith_simulator::{RequestRecord, Script, Simulator};

use super::daemon::Daemon;

/// The longest any test waits for anything.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// Everything one test works in.
pub struct World {
    dir: tempfile::TempDir,
    runtime: tokio::runtime::Runtime,
    simulator: Option<Simulator>,
    address: std::net::SocketAddr,
}

impl World {
    /// An empty project, and a model that behaves as `script` says.
    pub fn new(script: impl Into<Script>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("project")).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let simulator = runtime.block_on(Simulator::start(script)).unwrap();
        let address = simulator.address();
        Self {
            dir,
            runtime,
            simulator: Some(simulator),
            address,
        }
    }

    /// The project's root.
    pub fn root(&self) -> PathBuf {
        self.dir.path().join("project").canonicalize().unwrap()
    }

    /// A folder beside the project.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join(name)
    }

    /// The state directory.
    pub fn state(&self) -> PathBuf {
        self.beside("state")
    }

    pub fn simulator(&self) -> &Simulator {
        self.simulator.as_ref().expect("the simulator runs")
    }

    /// What the model was asked.
    pub fn requests(&self) -> Vec<RequestRecord> {
        self.simulator().log()
    }

    /// Stops the model's server.
    pub fn stop_model(&mut self) {
        let simulator = self.simulator.take().expect("the simulator runs");
        self.runtime.block_on(simulator.shutdown());
    }

    /// Starts it again at the same address.
    pub fn start_model(&mut self, script: impl Into<Script>) {
        let bound = self.runtime.block_on(Simulator::bind(self.address, script));
        self.simulator = Some(bound.unwrap());
    }

    /// Waits until the model has been asked this often in all.
    pub fn wait_for_requests(&self, count: usize) {
        wait_until("requests at the model", || self.requests().len() >= count);
    }

    /// Saves a file in place, as simple editors do.
    pub fn save(&self, path: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let target = self.root().join(path);
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::write(&target, text).unwrap();
        target
    }

    /// A file's text.
    pub fn read(&self, path: &str) -> String {
        let target = self.root().join(path);
        fs::read_to_string(&target).unwrap_or_else(|error| panic!("{}: {error}", target.display()))
    }

    pub fn exists(&self, path: &str) -> bool {
        self.root().join(path).exists()
    }

    /// Runs git in the project.
    pub fn git(&self, args: &[&str]) {
        let identity = ["-c", "user.name=t", "-c", "user.email=t@localhost"];
        let done = Command::new("git")
            .args(identity)
            .args(["-c", "init.defaultBranch=main"])
            .args(args)
            .current_dir(self.root())
            .output()
            .unwrap();
        assert!(done.status.success(), "git {args:?}: {}", said(&done));
    }

    /// The program with this world's model and state, and nothing of the tester's own.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(program());
        self.prepare(&mut command);
        command.args(args);
        command
    }

    /// Gives a command this world's surroundings.
    pub fn prepare(&self, command: &mut Command) {
        command
            .current_dir(self.root())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.beside("home"))
            .env("TESTSMITH_LLM__PROVIDER", "openai")
            .env("TESTSMITH_LLM__MODEL", "simulated")
            .env(
                "TESTSMITH_LLM__BASE_URL",
                format!("http://{}/v1", self.address),
            )
            .env("TESTSMITH_WATCH__DEBOUNCE", "100ms")
            // The toolchains run in the tests that are about that.
            .env("TESTSMITH_VERIFY__MODE", "off")
            .stdin(Stdio::null());
    }

    /// Runs the program with `--state-dir` to its end.
    pub fn run(&self, args: &[&str]) -> Output {
        let mut command = self.command(args);
        command.arg("--state-dir").arg(self.state());
        command.output().unwrap()
    }

    /// Starts `watch` and waits until it watches.
    pub fn watch(&self, args: &[&str]) -> Daemon {
        let mut daemon = self.watch_unready(args);
        daemon.wait("`watching`", |line| line["message"] == "watching");
        daemon
    }

    /// Starts `watch`.
    pub fn watch_unready(&self, args: &[&str]) -> Daemon {
        let mut command = self.command(&["watch", "--log-format", "json", "--state-dir"]);
        command.arg(self.state()).args(args);
        Daemon::spawn(command)
    }
}

/// The program under test.
pub fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_testsmith"))
}

/// Waits for a condition that other processes bring about.
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < PATIENCE, "no {what} within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Standard output and error as one text.
pub fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}
