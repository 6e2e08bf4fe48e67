//! What is asked of the sandbox, and what it answers.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How much of the sandbox has to stand before a candidate is run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SandboxMode {
    /// All of it: namespaces, the overlay, Landlock and seccomp. Otherwise nothing is run.
    Required,
    /// What the system can give; [`walls`](super::walls) says what is missing.
    #[default]
    BestEffort,
    /// No walls. The candidate's files are still kept out of the tree, its environment is still an allow-list, and the
    /// limits still hold.
    Off,
}

/// What a run may use up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Time from start to end.
    pub wall: Duration,
    /// Bytes that all processes together may hold of their own.
    pub memory: u64,
    /// Bytes of standard output and standard error together.
    pub output: u64,
    /// Tasks (processes and threads) at one time.
    pub processes: u64,
    /// Bytes of one file.
    pub file_size: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            wall: Duration::from_mins(1),
            memory: 2 << 30,
            output: 1 << 20,
            processes: 512,
            file_size: 256 << 20,
        }
    }
}

/// The walls around a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SandboxSpec {
    /// How much has to stand.
    pub mode: SandboxMode,
    /// The project. A run sees it at this path and changes nothing in it.
    pub root: PathBuf,
    /// A folder of the run's own: writable, and its `HOME` and `TMPDIR`. Has to exist.
    pub scratch: PathBuf,
    /// Folders that stay writable and are kept from run to run, such as build caches. Have to exist.
    pub writable: Vec<PathBuf>,
    /// Files that appear in the project for this run: the absolute path below `root`, and the text.
    pub overlay: Vec<(PathBuf, Vec<u8>)>,
    /// What must not be read, beside the home directory's secrets: the service's own state, for one.
    pub hidden: Vec<PathBuf>,
    /// What the run may use up.
    pub limits: Limits,
}

/// What is run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandSpec {
    /// The program: a path, or a name to be found in `PATH`.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// The folder it starts in.
    pub cwd: PathBuf,
    /// Variables beside the few that are passed on (`PATH`, `LANG`, `LC_*`, `TZ`); they win over those. `HOME` is the
    /// scratch folder unless set here, so a tool that looks for its installation in the home has to be told of it.
    pub env: Vec<(OsString, OsString)>,
}

/// How a run ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunOutput {
    /// The exit status, if it ended by itself.
    pub status: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// What it wrote to standard output, up to the limit.
    pub stdout: Vec<u8>,
    /// What it wrote to standard error, up to the limit.
    pub stderr: Vec<u8>,
    /// It was ended because its time was over.
    pub timed_out: bool,
    /// It was ended because it wrote too much.
    pub output_cut: bool,
    /// It was ended because it held too much memory.
    pub memory_exceeded: bool,
    /// What it tried and was kept from, one short line each: network out of the sandbox, a changed or new file of the
    /// project, too many processes, processes left behind. Not every attempt leaves a trace to be found.
    pub blocked: Vec<String>,
    /// From start to end, sandbox included.
    pub elapsed: Duration,
}

/// Why a command was not run in the sandbox.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// `sandbox = "required"`, and a wall does not stand.
    #[error("sandbox is required, but {wall} is missing: {reason}; {remedy}")]
    Missing {
        /// Which wall.
        wall: String,
        /// What the system said.
        reason: String,
        /// What to do about it.
        remedy: String,
    },
    /// The program could not be started inside.
    #[error("could not start `{}` in the sandbox: {reason}", program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// The project could not be staged for the run.
    #[error("could not stage `{}` for a run: {reason}", root.display())]
    Stage {
        /// The project.
        root: PathBuf,
        /// What went wrong.
        reason: String,
    },
    /// A path of the specification is not as it should be.
    #[error("`{}` cannot be used in a sandbox: {reason}", path.display())]
    Path {
        /// The path.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The launcher could not be started or did not answer.
    #[error("sandbox launcher failed: {reason}")]
    Launcher {
        /// What went wrong.
        reason: String,
    },
    /// Reading from or writing to the run failed.
    #[error("talking to the sandbox failed")]
    Io(#[from] io::Error),
}
