//! One run: from a composed text to the runner's report.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::{fs, io};

use testsmith_domain::{BoxFuture, RunPlan, RunReport, RunRequest, RunScope, RunTranscript};

use crate::candidate::{Candidate, Obstacle};
use crate::sandbox::{self, CommandSpec, Limits, RunOutput, SandboxError, SandboxSpec};
use crate::settings::VerifySettings;

/// What starts a command between walls. There is one, [`Sandbox`], and those of tests.
pub trait Executor: Send + Sync + fmt::Debug {
    /// Runs a command to its end. Dropping the future ends it.
    fn run<'a>(
        &'a self,
        spec: &'a SandboxSpec,
        command: &'a CommandSpec,
    ) -> BoxFuture<'a, Result<RunOutput, SandboxError>>;
}

/// Runs commands in the sandbox of this crate.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sandbox;

impl Executor for Sandbox {
    fn run<'a>(
        &'a self,
        spec: &'a SandboxSpec,
        command: &'a CommandSpec,
    ) -> BoxFuture<'a, Result<RunOutput, SandboxError>> {
        Box::pin(sandbox::run(spec, command))
    }
}

/// Why a run could not be made. It says nothing about the candidate.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    /// There is no toolchain.
    #[error(transparent)]
    Unavailable(#[from] testsmith_domain::RunUnavailable),
    /// The sandbox could not be had.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// The scratch folder could not be used.
    #[error("cannot use `{}`: {source}", path.display())]
    Scratch {
        /// The folder or file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl From<RunError> for Obstacle {
    fn from(error: RunError) -> Self {
        let reason = error.to_string();
        match error {
            RunError::Unavailable(_) | RunError::Sandbox(SandboxError::Missing { .. }) => {
                Self::Toolchain(reason)
            }
            RunError::Sandbox(_) | RunError::Scratch { .. } => Self::Run(reason),
        }
    }
}

/// What ended a run before it was over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Its time was up.
    Time,
    /// It held too much memory, wrote too much or had too many processes.
    Limit,
    /// It died by a signal.
    Signal,
}

/// What one run came to.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) report: RunReport,
    pub(crate) stop: Option<Stop>,
    pub(crate) blocked: Vec<String>,
    /// Both streams.
    pub(crate) words: String,
}

/// A folder that is gone when this is dropped.
#[derive(Debug)]
pub(crate) struct Scratch(pub(crate) PathBuf);

impl Scratch {
    pub(crate) fn new(parent: &Path) -> Result<Self, RunError> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = parent.join(format!("run-{}-{number}", std::process::id()));
        // What a process of this number left behind when it was killed.
        drop(fs::remove_dir_all(&path));
        fs::create_dir_all(&path).map_err(|source| scratch_error(&path, source))?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed now is removed before the name is used again.
        drop(fs::remove_dir_all(&self.0));
    }
}

fn scratch_error(path: &Path, source: io::Error) -> RunError {
    RunError::Scratch {
        path: path.to_owned(),
        source,
    }
}

/// Which tests are run, in which text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RunInput<'a> {
    pub(crate) text: Option<&'a str>,
    pub(crate) tests: &'a [String],
    pub(crate) scope: RunScope,
}

/// The plan for a run, for its toolchain's identity.
pub(crate) fn plan(
    settings: &VerifySettings,
    candidate: &Candidate,
    input: RunInput<'_>,
    scratch: &Path,
) -> Result<RunPlan, RunError> {
    Ok(candidate
        .driver
        .run_plan(&request(settings, candidate, input, scratch))?)
}

fn request<'a>(
    settings: &'a VerifySettings,
    candidate: &'a Candidate,
    input: RunInput<'a>,
    scratch: &'a Path,
) -> RunRequest<'a> {
    RunRequest {
        project: &candidate.project,
        file: &candidate.file,
        tests: input.tests,
        scope: input.scope,
        command: settings.command_for(candidate.file.language),
        search_path: &settings.search_path,
        scratch,
        cache: &settings.cache_dir,
        time_limit: settings.limits.wall,
    }
}

/// Runs the tests once.
pub(crate) async fn execute(
    settings: &VerifySettings,
    executor: &Arc<dyn Executor>,
    candidate: &Candidate,
    input: RunInput<'_>,
) -> Result<Ran, RunError> {
    let scratch = Scratch::new(&settings.scratch_dir)?;
    let plan = plan(settings, candidate, input, &scratch.0)?;
    for (path, text) in &plan.files {
        fs::write(path, text).map_err(|source| scratch_error(path, source))?;
    }
    for path in &plan.caches {
        fs::create_dir_all(path).map_err(|source| scratch_error(path, source))?;
    }
    let root = &candidate.project.root;
    let source = (
        candidate.file.path.under(root),
        candidate.source.as_bytes().to_vec(),
    );
    let test = input.text.map(|text| {
        let path = candidate.test_path().under(root);
        (path, text.as_bytes().to_vec())
    });
    let spec = SandboxSpec {
        mode: settings.sandbox,
        root: candidate.project.root.clone(),
        scratch: scratch.0.clone(),
        writable: plan.caches.clone(),
        overlay: test.into_iter().chain([source]).collect(),
        hidden: settings.hidden.clone(),
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
    let output = executor.run(&spec, &command).await?;
    let request = request(settings, candidate, input, &scratch.0);
    Ok(read(candidate, &request, plan.report.as_deref(), &output))
}

fn read(
    candidate: &Candidate,
    request: &RunRequest<'_>,
    report: Option<&Path>,
    output: &RunOutput,
) -> Ran {
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    // No report is one that holds nothing: the runner did not get as far.
    let file = report.map(|path| read_report(path, request.scratch));
    let report = candidate.driver.read_run(
        request,
        &RunTranscript {
            report: file.as_deref().unwrap_or(&stdout),
            stdout: &stdout,
            stderr: &stderr,
            success: output.status == Some(0),
        },
    );
    let stop = if output.timed_out {
        Some(Stop::Time)
    } else if output.memory_exceeded || output.output_cut {
        Some(Stop::Limit)
    } else {
        output.signal.map(|_| Stop::Signal)
    };
    Ran {
        report,
        stop,
        blocked: output.blocked.clone(),
        words: [stdout, stderr].concat(),
    }
}

/// A report larger than this is none.
const MOST_REPORT: u64 = 32 << 20;

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
