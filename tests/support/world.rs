//! A project, a simulated model and a state directory, in a folder of their own.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use testsmith_simulator::{RequestRecord, Script, Simulator};

use super::canary::{CREDENTIALS, Canaries, OTHERS, PROVIDER_KEY};
use super::daemon::Daemon;
use super::program::Program;

/// The longest any test waits for anything.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// Everything one test works in. When it is dropped, all of it is searched for secrets.
pub struct World {
    dir: tempfile::TempDir,
    runtime: tokio::runtime::Runtime,
    simulator: Option<Simulator>,
    address: std::net::SocketAddr,
    verifies: bool,
    canaries: Canaries,
    /// Files in which the test itself put a secret, or a witness of what is sent.
    planted: Vec<PathBuf>,
}

impl World {
    /// An empty project, and a model that behaves as `script` says.
    pub fn new(script: impl Into<Script>) -> Self {
        Self::at(tempfile::tempdir().unwrap(), script)
    }

    /// One whose tests are run before they are written, with build caches that all tests share.
    pub fn verifying(script: impl Into<Script>) -> Self {
        // Beside the shared install of vitest, so that its packages can be linked.
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let mut world = Self::at(dir, script);
        world.verifies = true;
        // Or the project would be this repository, where the build folder is in it.
        world.git(&["init", "-q"]);
        share_build_caches(&world.root());
        world
    }

    fn at(dir: tempfile::TempDir, script: impl Into<Script>) -> Self {
        fs::create_dir(dir.path().join("project")).unwrap();
        let credentials = dir.path().join("home").join(CREDENTIALS);
        fs::create_dir_all(credentials.parent().unwrap()).unwrap();
        fs::write(credentials, OTHERS[1].1).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let simulator = runtime
            .block_on(Simulator::start(behind_key(script)))
            .unwrap();
        let address = simulator.address();
        Self {
            dir,
            runtime,
            simulator: Some(simulator),
            address,
            verifies: false,
            canaries: Canaries::default(),
            planted: Vec::new(),
        }
    }

    /// The project's root.
    pub fn root(&self) -> PathBuf {
        self.beside("project")
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
        let script = behind_key(script);
        let bound = self.runtime.block_on(Simulator::bind(self.address, script));
        self.simulator = Some(bound.unwrap());
    }

    /// Has whatever the program says and keeps searched for this secret, which the test plants itself.
    pub fn guard(&mut self, secret: &str) {
        self.canaries.add(secret);
    }

    /// A file beside the project that holds the model's key, for its owner alone.
    pub fn key_file(&mut self, name: &str) -> PathBuf {
        let path = self.beside(name);
        fs::write(&path, PROVIDER_KEY).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        self.planted.push(path.clone());
        path
    }

    /// A file beside the project in which a witness of the test's own writes down what is sent, the key too.
    pub fn witness_file(&mut self, name: &str) -> PathBuf {
        let path = self.beside(name);
        self.planted.push(path.clone());
        path
    }

    pub fn canaries(&self) -> &Canaries {
        &self.canaries
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
    pub fn command(&self, args: &[&str]) -> Program {
        let mut command = self.by(Command::new(program()));
        if self.verifies {
            command.arg("--cache-dir").arg(build_caches());
        }
        command.args(args);
        command
    }

    /// All files of the project and what is in them, but for installed packages and git's own.
    pub fn tree(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        files_below(&self.root())
    }

    /// A command in this world's surroundings: of a copy of the program, or one that starts it.
    pub fn by(&self, mut command: Command) -> Program {
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
            .env("TESTSMITH_LLM__API_KEY_ENV", KEY_VARIABLE)
            .env(KEY_VARIABLE, PROVIDER_KEY)
            .envs(OTHERS)
            .env("TESTSMITH_WATCH__DEBOUNCE", "100ms")
            .stdin(Stdio::null());
        if !self.verifies {
            // The toolchains run in the tests that are about that.
            command.env("TESTSMITH_VERIFY__MODE", "off");
        }
        Program::new(command, self.canaries.clone())
    }

    /// Fails if a secret is in a prompt, the state, a generated test, a core, or anything else that lies
    /// there. Of the test's own secrets only what the program wrote is free: it saved them itself.
    fn search_for_secrets(&self) {
        if let Some(simulator) = &self.simulator {
            for request in simulator.log() {
                let sent = serde_json::to_string(&request).unwrap();
                Canaries::default().none_in("a request", sent);
            }
        }
        let all = self.dir.path().canonicalize().unwrap();
        let mut spared = vec![all.join("home").join(CREDENTIALS), all.join("testsmith")];
        spared.extend(self.planted.iter().cloned());
        Canaries::default().none_below(&all, &spared);
        self.canaries.none_below(&all.join("state"), &[]);
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
        let mut command = self.watching();
        command.args(args);
        Daemon::spawn(command)
    }

    /// `watch`, to be started.
    pub fn watching(&self) -> Program {
        let mut command = self.command(&["watch", "--log-format", "json", "--state-dir"]);
        command.arg(self.state());
        command
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.search_for_secrets();
    }
}

/// The variable in which the program finds its key.
const KEY_VARIABLE: &str = "MODEL_KEY";

/// A model that answers only with the key, unless the test has one of its own.
fn behind_key(script: impl Into<Script>) -> Script {
    let mut script = script.into();
    script
        .api_key
        .get_or_insert_with(|| PROVIDER_KEY.to_owned());
    script
}

/// The program under test.
pub fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_testsmith"))
}

/// A copy of the program, for a user who cannot go where the program is.
///
/// `cp` writes it, not this process: a child that another test's thread forks meanwhile would inherit the
/// open file, and starting the copy would end in "text file busy".
pub fn copy_program(to: &Path) {
    let copied = Command::new("cp").arg(program()).arg(to).status().unwrap();
    assert!(copied.success());
}

/// Build caches that all tests share.
pub fn build_caches() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("build-caches")
}

/// Makes the project's own folder of build caches a link to one that all tests share: Go's own packages would be
/// compiled for each of them.
fn share_build_caches(root: &Path) {
    let shared = build_caches().join("shared");
    fs::create_dir_all(&shared).unwrap();
    let own = testsmith_verify::VerifySettings::in_dir(build_caches()).cache_of(root);
    fs::create_dir_all(own.parent().unwrap()).unwrap();
    // A name may come again after long.
    drop(std::os::unix::fs::symlink(shared, own));
}

/// All files below a folder and what is in them, but for installed packages and git's own. Of a link,
/// where it leads.
pub fn files_below(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut pending = vec![root.to_owned()];
    while let Some(dir) = pending.pop() {
        for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
            let (path, kind) = (entry.path(), entry.file_type().unwrap());
            if ["node_modules", ".git"]
                .iter()
                .any(|name| entry.file_name() == *name)
            {
                continue;
            }
            if kind.is_dir() {
                pending.push(path);
            } else if kind.is_symlink() {
                let to = fs::read_link(&path).unwrap();
                found.insert(path, to.into_os_string().into_encoded_bytes());
            } else {
                let text = fs::read(&path).unwrap();
                found.insert(path, text);
            }
        }
    }
    found
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
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Canaries::default().none_in("what a command said", &said);
    said
}
