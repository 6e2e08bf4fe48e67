//! What all runs of one candidate share, and the preparation of each. Everything here blocks.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use testsmith_domain::{
    ComposeError, Composed, ContentHash, FieldHasher, RunPlan, RunReport, RunRequest, RunScope,
    RunTranscript,
};

use crate::blocking::blocking;
use crate::candidate::Candidate;
use crate::execute::{Ran, RunError, RunInput, Stop};
use crate::sandbox::{
    CommandSpec, Limits, RunOutput, SandboxMode, SandboxSpec, named_like_secrets,
};
use crate::scratch::Scratch;
use crate::settings::VerifySettings;

/// A manifest or lock file is read up to here.
const MOST_MANIFEST: u64 = 64 << 20;

/// A report larger than this is none.
const MOST_REPORT: u64 = 32 << 20;

/// A candidate and what it is run with.
#[derive(Debug)]
pub(crate) struct Ground {
    pub(crate) settings: Arc<VerifySettings>,
    pub(crate) candidate: Candidate,
    /// The project's own build caches; made, and without links, before the first run.
    cache: OnceLock<PathBuf>,
    /// What the project has that is named like a secret, looked for before the first run.
    secrets: OnceLock<Vec<PathBuf>>,
}

/// A run that is ready to start.
#[derive(Debug)]
pub(crate) struct Prepared {
    ground: Arc<Ground>,
    input: RunInput,
    scratch: Scratch,
    report: Option<PathBuf>,
    pub(crate) spec: SandboxSpec,
    pub(crate) command: CommandSpec,
}

/// What would run a candidate.
#[derive(Debug)]
pub(crate) struct Toolchain {
    /// Tells it from another one.
    pub(crate) identity: String,
    /// A digest of the files that decide with it: manifests, lock files, the runner's settings.
    pub(crate) manifests: ContentHash,
}

impl Ground {
    pub(crate) fn new(settings: Arc<VerifySettings>, candidate: Candidate) -> Self {
        Self {
            settings,
            candidate,
            cache: OnceLock::new(),
            secrets: OnceLock::new(),
        }
    }

    /// Does blocking work with it.
    pub(crate) async fn with<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> T {
        let ground = Arc::clone(self);
        blocking(move || work(&ground)).await
    }

    /// What would run the candidate, or why nothing would.
    pub(crate) fn toolchain(&self) -> Result<Toolchain, RunError> {
        // Only a name is asked for: of the tests' own, which needs no look at those around.
        let input = RunInput {
            text: None,
            tests: Vec::new(),
            scope: RunScope::Tests,
        };
        let plan = self.plan(&input, &self.settings.scratch_dir)?;
        Ok(Toolchain {
            manifests: digest_of(&plan.settled_by, &self.candidate.project.root),
            identity: plan.toolchain,
        })
    }

    /// The test file with these bodies, see [`Candidate::compose`].
    pub(crate) async fn compose(
        self: &Arc<Self>,
        bodies: Vec<(usize, String)>,
    ) -> Result<Composed, ComposeError> {
        self.with(move |ground| ground.candidate.compose(&bodies))
            .await
    }

    /// Makes the run's folder, and writes what the runner needs in there.
    pub(crate) fn prepare(self: &Arc<Self>, input: RunInput) -> Result<Prepared, RunError> {
        let settings = &self.settings;
        self.make_cache()?;
        let scratch = Scratch::new(&settings.scratch_dir)?;
        let plan = self.plan(&input, scratch.path())?;
        for (path, text) in &plan.files {
            fs::write(path, text).map_err(|source| (path.clone(), source))?;
        }
        for path in &plan.caches {
            fs::create_dir_all(path).map_err(|source| (path.clone(), source))?;
        }
        let spec = SandboxSpec {
            mode: settings.sandbox,
            root: self.candidate.project.root.clone(),
            scratch: scratch.path().to_owned(),
            writable: plan.caches,
            overlay: self.overlay(&input),
            hidden: [settings.hidden.as_slice(), self.secrets()].concat(),
            limits: Limits {
                wall: settings.limits.wall + plan.build_time,
                ..settings.limits
            },
        };
        let command = CommandSpec {
            program: plan.program,
            args: plan.args,
            cwd: plan.cwd,
            env: [plan.env, settings.env.clone()].concat(),
        };
        Ok(Prepared {
            ground: Arc::clone(self),
            input,
            scratch,
            report: plan.report,
            spec,
            command,
        })
    }

    /// In a run, what is kept has no other path than its own.
    fn make_cache(&self) -> Result<(), RunError> {
        if self.cache.get().is_none() {
            let path = self.settings.cache_of(&self.candidate.project.root);
            let made = fs::create_dir_all(&path).and_then(|()| path.canonicalize());
            let made = made.map_err(|source| (path, source))?;
            self.cache.get_or_init(|| made);
        }
        Ok(())
    }

    fn secrets(&self) -> &[PathBuf] {
        self.secrets.get_or_init(|| {
            if self.settings.sandbox == SandboxMode::Off {
                return Vec::new();
            }
            let root = &self.candidate.project.root;
            named_like_secrets(root, |path| self.settings.shown.has(path))
        })
    }

    /// The test file, if there is one, and the source as it was read.
    fn overlay(&self, input: &RunInput) -> Vec<(PathBuf, Vec<u8>)> {
        let Candidate {
            project,
            file,
            source,
            ..
        } = &self.candidate;
        let root = &project.root;
        let test = input.text.as_ref().map(|text| {
            let path = file.test_path.under(root);
            (path, text.as_bytes().to_vec())
        });
        let source = (file.path.under(root), source.as_bytes().to_vec());
        test.into_iter().chain([source]).collect()
    }

    fn plan(&self, input: &RunInput, scratch: &Path) -> Result<RunPlan, RunError> {
        let driver = &self.candidate.driver;
        Ok(driver.run_plan(&self.request(input, scratch))?)
    }

    fn request<'a>(&'a self, input: &'a RunInput, scratch: &'a Path) -> RunRequest<'a> {
        let Self {
            settings,
            candidate,
            cache,
            ..
        } = self;
        RunRequest {
            project: &candidate.project,
            file: &candidate.file,
            tests: &input.tests,
            scope: input.scope,
            command: settings.command_for(candidate.file.language),
            search_path: &settings.search_path,
            scratch,
            cache: cache.get().unwrap_or(&settings.cache_dir),
            time_limit: settings.limits.wall,
        }
    }
}

impl Prepared {
    /// Reads what the run left behind, and removes its folder.
    pub(crate) fn read(self, output: RunOutput) -> Ran {
        let scratch = self.scratch.path();
        let request = self.ground.request(&self.input, scratch);
        let stdout = String::from_utf8_lossy(&output.stdout);
        let stderr = String::from_utf8_lossy(&output.stderr);
        // No report is one that holds nothing: the runner did not get as far.
        let file = self.report.as_deref();
        let file = file.map(|path| read_report(path, scratch));
        let driver = &self.ground.candidate.driver;
        let report: RunReport = driver.read_run(
            &request,
            &RunTranscript {
                report: file.as_deref().unwrap_or(&stdout),
                stdout: &stdout,
                stderr: &stderr,
                success: output.status == Some(0),
            },
        );
        Ran {
            report,
            stop: Stop::of(&output),
            success: output.status == Some(0),
            words: [stdout, stderr].concat(),
            blocked: output.blocked,
        }
    }
}

/// The report's text. It lies in a folder that the candidate could write to, so it is read only if it is a plain
/// file, and one that is not a link out of there.
fn read_report(path: &Path, scratch: &Path) -> String {
    let plain = path
        .symlink_metadata()
        .is_ok_and(|meta| meta.is_file() && meta.len() <= MOST_REPORT);
    if !plain || path.parent() != Some(scratch) {
        return String::new();
    }
    let bytes = fs::read(path).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A digest of these files' paths and texts. By text, not by time: a branch switch and back leaves both as they were,
/// and the times not.
fn digest_of(files: &[PathBuf], root: &Path) -> ContentHash {
    let mut hasher = FieldHasher::new();
    for file in files {
        let path = file.strip_prefix(root).unwrap_or(file);
        let mut text = Vec::new();
        // A pipe of that name would never end.
        let is_plain = file.metadata().is_ok_and(|metadata| metadata.is_file());
        let opened = fs::File::open(file).ok().filter(|_| is_plain);
        let read = opened.and_then(|opened| opened.take(MOST_MANIFEST).read_to_end(&mut text).ok());
        hasher.add(path.as_os_str().as_encoded_bytes());
        hasher.add([u8::from(read.is_some())]);
        hasher.add(text);
    }
    hasher.finish()
}
