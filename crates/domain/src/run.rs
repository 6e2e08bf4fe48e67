//! Running tests: what a driver says about a run, and what became of it.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Project, SourceFile};

/// What became of a candidate test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It ran and held, each time.
    Passed,
    /// Nothing could be said: no toolchain, or the project itself does not build.
    Unverified,
    /// It ran and held in one run, and did not in another.
    Flaky,
    /// It ran and did not hold, or it holds no test that runs.
    Fails,
    /// It did not end in time.
    TimedOut,
    /// It tried what the sandbox forbids, or went over a limit other than time.
    Blocked,
    /// The language's tools do not take it.
    DoesNotCompile,
}

impl Verdict {
    /// The verdict's name, for people and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Unverified => "unverified",
            Self::Flaky => "flaky",
            Self::Fails => "fails",
            Self::TimedOut => "timed out",
            Self::Blocked => "blocked",
            Self::DoesNotCompile => "does not compile",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is to be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunScope {
    /// The candidate's own tests.
    Tests,
    /// These, the rest of the test file, and all tests that could be broken by them: those of the
    /// same package in Go, those that run in the same process elsewhere.
    Around,
}

/// What [`crate::LanguageDriver::run_plan`] works from.
#[derive(Debug, Clone, Copy)]
pub struct RunRequest<'a> {
    /// The project.
    pub project: &'a Project,
    /// The source file under test; its `test_path` is what is run.
    pub file: &'a SourceFile,
    /// The candidate's own tests, named as [`crate::LanguageDriver::test_names`] gives them.
    pub tests: &'a [String],
    /// Whether these are run alone.
    pub scope: RunScope,
    /// A command of the user's that is used in place of the runner found, with the driver's
    /// arguments behind it: `["poetry", "run", "pytest"]`.
    pub command: Option<&'a [String]>,
    /// Where programs are looked up, in the form of `PATH`.
    pub search_path: &'a OsStr,
    /// A folder that is empty before the run and writable in it, for reports.
    pub scratch: &'a Path,
    /// A folder that is kept between runs, for build caches.
    pub cache: &'a Path,
    /// How long the tests may take, without the time to build them.
    pub time_limit: Duration,
}

/// How tests are run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunPlan {
    /// The program, absolute.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Where it runs, absolute.
    pub cwd: PathBuf,
    /// Variables beside those of the sandbox's allow-list.
    pub env: Vec<(OsString, OsString)>,
    /// Files to write before it starts, absolute, below the request's `scratch`.
    pub files: Vec<(PathBuf, String)>,
    /// Where the runner puts its report; `None` if that is on its standard output.
    pub report: Option<PathBuf>,
    /// Folders to make before it starts, and to keep between runs.
    pub caches: Vec<PathBuf>,
    /// How long building may take beside the tests themselves.
    pub build_time: Duration,
    /// Tells this toolchain from another one: program, version, runner.
    pub toolchain: String,
    /// Files whose text decides what the tests do, beside source and test: manifests, lock files, settings of
    /// the runner. Absolute.
    pub settled_by: Vec<PathBuf>,
}

/// Why tests cannot be run here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RunUnavailable(pub String);

/// What a run left behind.
#[derive(Debug, Clone, Copy)]
pub struct RunTranscript<'a> {
    /// The report: the file's content, or the standard output. Empty if there is none.
    pub report: &'a str,
    /// Standard output.
    pub stdout: &'a str,
    /// Standard error.
    pub stderr: &'a str,
    /// Whether the program ended by itself, without an error.
    pub success: bool,
}

/// What a runner told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunReport {
    /// Each of the request's tests that was heard of, once. Of a parameterised test, the worst of
    /// its cases under the test's name.
    pub tests: Vec<TestResult>,
    /// Other tests, named so that they can be compared between two runs.
    pub others: Vec<TestResult>,
    /// What kept tests from being built or collected.
    pub build_errors: Vec<BuildError>,
    /// Why the runner itself could not work, by its own words: it is not installed. A candidate can write the
    /// same words, so this counts only if they come without one as well; the words are among
    /// `build_errors` too.
    pub unavailable: Option<String>,
}

/// What became of one test in one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestResult {
    /// The test's name.
    pub name: String,
    /// What became of it.
    pub outcome: TestOutcome,
    /// Whether it failed in an assertion, as far as the runner tells, rather than by an error.
    pub assertion: bool,
    /// What the runner said about it.
    pub output: String,
}

/// What became of one test in one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TestOutcome {
    /// It was left out by its own words.
    Skipped,
    /// It held.
    Passed,
    /// It did not hold.
    Failed,
    /// It was started, and the process ended in it: tests after it did not run.
    Unfinished,
    /// The runner ended it for taking too long.
    TimedOut,
}

/// Something that keeps tests from being built or collected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildError {
    /// The line of the candidate file that is meant, counted from 1. `None` if another file is
    /// meant, or the runner does not tell.
    pub line: Option<u32>,
    /// What the tool said.
    pub message: String,
}

impl RunReport {
    /// The result of the test of this name.
    pub fn test(&self, name: &str) -> Option<&TestResult> {
        self.tests.iter().find(|test| test.name == name)
    }
}
