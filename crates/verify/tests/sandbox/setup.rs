//! A project, a home with secrets, a neighbour's folder, and the helper program that runs a candidate among them.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use testsmith_verify::{CommandSpec, Limits, RunOutput, SandboxMode, SandboxSpec};

/// In the environment, in the home and in the service's state: never in what a candidate prints.
pub(crate) const SECRET: &str = "sk-very-secret";

/// Bytes a candidate may print.
pub(crate) const OUTPUT: u64 = 64 << 10;

/// Bytes of the largest file a candidate may write.
pub(crate) const FILE_SIZE: u64 = 8 << 20;

/// An ordinary user on every system: `nobody`.
const ORDINARY_USER: u32 = 65534;

/// Where programs are looked for; nothing below a home that an ordinary user could not enter.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// Where the setups are: not in `/tmp`, of which a run has its own, or nothing else would be tried.
const OPEN_FOLDER: &str = "/var/tmp";

/// Takes user namespaces away, for what it starts.
const WITHOUT_USER_NAMESPACES: &str = "echo 0 > /proc/sys/user/max_user_namespaces && exec \"$@\"";

/// Who runs the candidate, and with what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Case {
    pub(crate) ordinary_user: bool,
    pub(crate) system: System,
}

/// What the system gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum System {
    /// Everything.
    Full,
    /// No user namespaces, but capabilities: what root has where they are turned off.
    CapabilitiesOnly,
    /// Neither.
    NoNamespaces,
}

impl Case {
    pub(crate) const THIS_USER: Self = Self {
        ordinary_user: false,
        system: System::Full,
    };

    /// Whether the run has namespaces.
    pub(crate) fn namespaces(self) -> bool {
        self.system != System::NoNamespaces
    }

    /// Whether a run is root's and nothing but the launcher counts its processes.
    pub(crate) fn is_root_without_namespaces(self) -> bool {
        !self.ordinary_user && !self.namespaces() && this_user_is_root()
    }
}

fn this_user_is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

/// The cases this user can try.
pub(crate) fn cases() -> Vec<Case> {
    let case = |ordinary_user, system| Case {
        ordinary_user,
        system,
    };
    let mut cases = vec![case(false, System::Full), case(false, System::NoNamespaces)];
    if this_user_is_root() {
        cases.extend([
            case(false, System::CapabilitiesOnly),
            case(true, System::Full),
            case(true, System::NoNamespaces),
        ]);
    }
    cases
}

/// The path of a program that tests can do without, except on a build server.
pub(crate) fn found(program: &str) -> Option<String> {
    let path = PATH
        .split(':')
        .map(|folder| Path::new(folder).join(program));
    let found = path.into_iter().find(|path| path.exists());
    if found.is_none() {
        assert_ne!(
            std::env::var("CI").as_deref(),
            Ok("true"),
            "{program} not found"
        );
        println!("skipped: {program} not found");
    }
    found.map(|path| path.display().to_string())
}

/// The helper program.
pub(crate) fn launcher() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_testsmith-sandbox"))
}

pub(crate) struct Setup {
    pub(crate) case: Case,
    /// Removed at the end.
    _folder: tempfile::TempDir,
    pub(crate) project: PathBuf,
    pub(crate) scratch: PathBuf,
    home: PathBuf,
    state: PathBuf,
    cache: PathBuf,
    neighbour: PathBuf,
    helper: PathBuf,
}

impl Setup {
    pub(crate) fn new(case: Case) -> Self {
        let folder = tempfile::Builder::new()
            .permissions(fs::Permissions::from_mode(0o755))
            .tempdir_in(OPEN_FOLDER)
            .unwrap();
        let top = folder.path().canonicalize().unwrap();
        let setup = Self {
            case,
            project: top.join("home/project"),
            scratch: top.join("scratch"),
            home: top.join("home"),
            state: top.join("home/state"),
            cache: top.join("home/cache"),
            neighbour: top.join("neighbour"),
            helper: if case.ordinary_user {
                top.join("helper")
            } else {
                launcher()
            },
            _folder: folder,
        };
        setup.fill();
        setup
    }

    fn fill(&self) {
        for folder in [&self.scratch, &self.cache] {
            fs::create_dir_all(folder).unwrap();
        }
        for (path, text) in [
            (self.project.join("src/source.py"), "def f(): return 0\n"),
            (self.project.join(".env"), SECRET),
            (self.project.join("deep/server.pem"), SECRET),
            (self.project.join("deep/.aws/config"), SECRET),
            (self.project.join("deep/plain.txt"), "plain\n"),
            (self.home.join("elsewhere.txt"), SECRET),
            (self.home.join(".ssh/id_ed25519"), SECRET),
            (self.home.join(".config/token"), SECRET),
            (self.home.join(".netrc"), SECRET),
            (self.home.join(".bashrc"), "true\n"),
            (self.state.join("ledger"), SECRET),
            (self.neighbour.join("file"), "the neighbour's\n"),
        ] {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        symlink(&self.neighbour, self.project.join("out")).unwrap();
        let env = self.project.join("deep/.env.local");
        symlink(self.home.join("elsewhere.txt"), env).unwrap();
        if self.case.ordinary_user {
            self.share_helper();
            for top in [&self.home, &self.scratch, &self.neighbour] {
                give(top);
            }
        }
    }

    /// The build folder may be closed to an ordinary user. Copied by another process: were the copy open for writing
    /// here, a start by another thread could keep it open, and nobody could run it.
    fn share_helper(&self) {
        if fs::hard_link(launcher(), &self.helper).is_err() {
            let mut copy = Command::new("cp");
            let copied = copy.arg(launcher()).arg(&self.helper).status().unwrap();
            assert!(copied.success());
        }
    }

    /// The service's state, and what the project has that is named like a secret.
    fn hidden(&self) -> Vec<PathBuf> {
        let of_the_project = [".env", "deep/server.pem", "deep/.aws", "deep/.env.local"];
        let of_the_project = of_the_project.map(|path| self.project.join(path));
        [vec![self.state.clone()], of_the_project.to_vec()].concat()
    }

    /// Everything a candidate has to leave as it is.
    pub(crate) fn outside(&self) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
        let mut found = BTreeMap::new();
        for top in [&self.project, &self.home, &self.neighbour] {
            collect(top, &self.cache, &mut found);
        }
        found
    }

    /// Processes of this setup's runs: all of them have its paths in their environment.
    pub(crate) fn still_running(&self) -> Vec<String> {
        let marker = self.scratch.display().to_string();
        fs::read_dir("/proc")
            .unwrap()
            .flatten()
            .filter(|entry| entry.file_name().to_string_lossy().parse::<i32>().is_ok())
            .filter(|entry| {
                let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
                String::from_utf8_lossy(&environment).contains(&marker)
            })
            .map(|entry| fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default())
            .collect()
    }

    pub(crate) fn command(&self, script: &str) -> CommandSpec {
        let pairs: [(&str, OsString); 6] = [
            ("REAL_HOME", self.home.clone().into()),
            ("STATE", self.state.clone().into()),
            ("CACHE", self.cache.clone().into()),
            ("OUTSIDE", self.neighbour.clone().into()),
            ("OUTER", std::process::id().to_string().into()),
            ("LC_ALL", "C".into()),
        ];
        CommandSpec {
            program: "/bin/sh".into(),
            args: vec!["-c".into(), script.into()],
            cwd: self.project.clone(),
            env: pairs.map(|(name, value)| (name.into(), value)).to_vec(),
        }
    }

    pub(crate) fn run(&self, script: &str) -> RunOutput {
        self.run_with(&spec(self), &self.command(script))
    }

    pub(crate) fn run_with(&self, spec: &SandboxSpec, command: &CommandSpec) -> RunOutput {
        let output = self.finish(spec, command);
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{:?}: {words}", self.case);
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// The error of a run that must not come about.
    pub(crate) fn refused(&self, spec: &SandboxSpec, script: &str) -> String {
        self.refused_command(spec, &self.command(script))
    }

    pub(crate) fn refused_command(&self, spec: &SandboxSpec, command: &CommandSpec) -> String {
        let output = self.finish(spec, command);
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    fn finish(&self, spec: &SandboxSpec, command: &CommandSpec) -> Output {
        self.start(spec, command).wait_with_output().unwrap()
    }

    /// Starts the helper as the case's user.
    pub(crate) fn start(&self, spec: &SandboxSpec, command: &CommandSpec) -> Child {
        let mut words: Vec<OsString> = Vec::new();
        if self.case.ordinary_user {
            let user = ORDINARY_USER.to_string();
            words.extend(["setpriv", "--clear-groups", "--reuid"].map(OsString::from));
            words.extend([user.clone().into(), "--regid".into(), user.into()]);
        }
        if self.case.system != System::Full {
            let wrapper = ["unshare", "--user", "--map-root-user", "sh", "-c"];
            words.extend(wrapper.map(OsString::from));
            words.extend([WITHOUT_USER_NAMESPACES.into(), "sh".into()]);
        }
        if self.case.system == System::NoNamespaces {
            words.extend(["setpriv", "--bounding-set=-all"].map(OsString::from));
        }
        words.push(self.helper.clone().into());
        let mut helper = Command::new(&words[0])
            .args(&words[1..])
            .env_clear()
            .env("PATH", PATH)
            .env("HOME", &self.home)
            .env("SECRET_API_KEY", SECRET)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let asked = serde_json::to_vec(&(spec, command)).unwrap();
        helper.stdin.take().unwrap().write_all(&asked).unwrap();
        helper
    }
}

/// Limits that make a run of a test short.
pub(crate) fn spec(setup: &Setup) -> SandboxSpec {
    SandboxSpec {
        mode: SandboxMode::BestEffort,
        root: setup.project.clone(),
        scratch: setup.scratch.clone(),
        writable: vec![setup.cache.clone()],
        overlay: vec![(
            setup.project.join("src/candidate.txt"),
            b"the candidate\n".to_vec(),
        )],
        hidden: setup.hidden(),
        limits: Limits {
            wall: Duration::from_secs(2),
            memory: 128 << 20,
            output: OUTPUT,
            processes: 64,
            file_size: FILE_SIZE,
        },
    }
}

/// For messages.
pub(crate) fn told(output: &RunOutput) -> String {
    format!(
        "status {:?}, signal {:?}, timed out {}, cut {}, memory {}, blocked {:?}, {:?}, stderr: {}",
        output.status,
        output.signal,
        output.timed_out,
        output.output_cut,
        output.memory_exceeded,
        output.blocked,
        output.elapsed,
        String::from_utf8_lossy(&output.stderr),
    )
}

/// Waits for something that other processes bring about.
pub(crate) async fn wait_until(holds: impl Fn() -> bool) {
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    for _ in 0..500 {
        ticks.tick().await;
        if holds() {
            return;
        }
    }
    panic!("did not come about in ten seconds");
}

fn give(path: &Path) {
    if path.is_symlink() {
        return;
    }
    chown(path, Some(ORDINARY_USER), Some(ORDINARY_USER)).unwrap();
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            give(&entry.unwrap().path());
        }
    }
}

fn collect(path: &Path, cache: &Path, found: &mut BTreeMap<PathBuf, (u32, Vec<u8>)>) {
    if path == cache {
        return;
    }
    let metadata = fs::symlink_metadata(path).unwrap();
    let content = if metadata.is_file() {
        fs::read(path).unwrap()
    } else if metadata.is_symlink() {
        fs::read_link(path)
            .unwrap()
            .into_os_string()
            .into_encoded_bytes()
    } else {
        for entry in fs::read_dir(path).unwrap() {
            collect(&entry.unwrap().path(), cache, found);
        }
        Vec::new()
    };
    found.insert(path.to_owned(), (metadata.mode(), content));
}
