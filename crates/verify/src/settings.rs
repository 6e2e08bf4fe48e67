//! What verification works with.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use testsmith_domain::{FieldHasher, Language};

use crate::sandbox::{Limits, SandboxMode};

/// Settings of a [`crate::Verifier`].
#[derive(Debug, Clone)]
pub struct VerifySettings {
    /// How many candidates are verified at once; at least 1. By default half the cores.
    pub jobs: usize,
    /// How many times a test has to hold. It runs twice at least, once of these beside the tests
    /// around it.
    pub runs: u32,
    /// Limits of one run; `wall` is that of the tests, building them comes on top.
    pub limits: Limits,
    /// How much of the sandbox has to stand.
    pub sandbox: SandboxMode,
    /// Commands of the user's, in place of the runners found.
    pub commands: Vec<(Language, Vec<String>)>,
    /// Variables of the user's that a run sees.
    pub env: Vec<(OsString, OsString)>,
    /// Folders no candidate may see, such as the state directory.
    pub hidden: Vec<PathBuf>,
    /// Which files of the project a run sees although they are named like secrets.
    pub shown: Shown,
    /// Build caches, kept, those of each project in a folder of their own. Must not be below a hidden folder, nor in a
    /// project.
    pub cache_dir: PathBuf,
    /// Where each run has its scratch folder. Must not be below a hidden folder, nor in a project.
    pub scratch_dir: PathBuf,
    /// Where programs are looked up, in the form of `PATH`.
    pub search_path: OsString,
}

impl VerifySettings {
    /// The defaults, with what is kept and what is not below `dir`.
    pub fn in_dir(dir: impl Into<PathBuf>) -> Self {
        let dir = dir.into();
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            jobs: (cores / 2).max(1),
            runs: 2,
            limits: Limits::default(),
            sandbox: SandboxMode::default(),
            commands: Vec::new(),
            env: Vec::new(),
            hidden: Vec::new(),
            shown: Shown::default(),
            cache_dir: dir.join("build"),
            scratch_dir: dir.join("scratch"),
            search_path: std::env::var_os("PATH").unwrap_or_default(),
        }
    }

    /// Where the build caches of the project at `root` are.
    pub fn cache_of(&self, root: &Path) -> PathBuf {
        let name = FieldHasher::new()
            .field(root.as_os_str().as_encoded_bytes())
            .finish()
            .to_string();
        self.cache_dir.join(name.get(..16).unwrap_or(&name))
    }

    pub(crate) fn command_for(&self, language: Language) -> Option<&[String]> {
        self.commands
            .iter()
            .find(|(of, _)| *of == language)
            .map(|(_, command)| command.as_slice())
    }
}

/// Tells by its path below the root whether a file that is named like a secret is none. By default no such file is shown.
#[derive(Clone)]
pub struct Shown(Arc<dyn Fn(&Path) -> bool + Send + Sync>);

impl Shown {
    /// Those of which `is_shown` says so.
    pub fn new(is_shown: impl Fn(&Path) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(is_shown))
    }

    pub(crate) fn has(&self, path: &Path) -> bool {
        (self.0)(path)
    }
}

impl Default for Shown {
    fn default() -> Self {
        Self::new(|_| false)
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shown")
    }
}
