//! One run: from a composed text to the runner's report.

use std::path::PathBuf;
use std::sync::Arc;
use std::{fmt, io};

use testsmith_domain::{BoxFuture, RunReport, RunScope, TestOutcome};

use crate::blocking::blocking;
use crate::candidate::Obstacle;
use crate::ground::Ground;
use crate::sandbox::{self, CommandSpec, RunOutput, SandboxError, SandboxSpec};

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

impl From<(PathBuf, io::Error)> for RunError {
    fn from((path, source): (PathBuf, io::Error)) -> Self {
        Self::Scratch { path, source }
    }
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
    /// Whether it ended by itself, without an error.
    pub(crate) success: bool,
    pub(crate) blocked: Vec<String>,
    /// Both streams.
    pub(crate) words: String,
}

/// Which tests are run, in which text.
#[derive(Debug)]
pub(crate) struct RunInput {
    pub(crate) text: Option<String>,
    pub(crate) tests: Vec<String>,
    pub(crate) scope: RunScope,
}

impl Ran {
    /// Whether it ended by itself in failure although none of the tests that ran failed.
    pub(crate) fn fails_beside_its_tests(&self) -> bool {
        let mut tests = self.report.tests.iter().chain(&self.report.others);
        let has_any = tests.clone().next().is_some();
        let all_hold = tests.all(|test| test.outcome <= TestOutcome::Passed);
        !self.success && self.stop.is_none() && has_any && all_hold
    }
}

impl Stop {
    pub(crate) fn of(output: &RunOutput) -> Option<Self> {
        if output.timed_out {
            Some(Self::Time)
        } else if output.memory_exceeded || output.output_cut {
            Some(Self::Limit)
        } else {
            output.signal.map(|_| Self::Signal)
        }
    }
}

/// Runs the tests once.
pub(crate) async fn execute(
    executor: &Arc<dyn Executor>,
    ground: &Arc<Ground>,
    input: RunInput,
) -> Result<Ran, RunError> {
    let on = Arc::clone(ground);
    let prepared = blocking(move || on.prepare(input)).await?;
    let output = executor.run(&prepared.spec, &prepared.command).await?;
    Ok(blocking(move || prepared.read(output)).await)
}
