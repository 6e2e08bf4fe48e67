//! `[verify]`: how candidates are run before they are written.

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroUsize};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ByteSize, Period};

/// `[verify]`: how candidates are run before they are written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VerifySettings {
    /// Whether candidates are run.
    pub mode: VerifyMode,
    /// How much of the sandbox has to stand.
    pub sandbox: SandboxMode,
    /// Candidates run at once; by default half the cores.
    pub jobs: Option<NonZeroUsize>,
    /// How many times a test has to hold.
    pub runs: NonZeroU32,
    /// How often the model is asked to mend a body, at most 2.
    #[schemars(range(max = 2))]
    pub repair_rounds: u32,
    /// How long the tests of one run may take, without the time to build them.
    pub timeout: Period,
    /// What all processes of a run may hold together.
    pub memory: ByteSize,
    /// What a run may print.
    pub output: ByteSize,
    /// The largest file that a run may write.
    pub file_size: ByteSize,
    /// How many processes and threads a run may have.
    pub processes: NonZeroU32,
    /// Commands in place of the runners found.
    pub commands: CommandSettings,
    /// Variables that a run sees.
    pub env: BTreeMap<String, String>,
}

/// `verify.mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum VerifyMode {
    /// What is not verified is not written.
    Required,
    /// Where the toolchain is missing, tests are written and marked as unverified.
    IfPossible,
    /// Nothing is run.
    Off,
}

/// `verify.sandbox`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SandboxMode {
    /// All walls, or nothing is run.
    Required,
    /// The walls that the system gives.
    BestEffort,
    /// No walls.
    Off,
}

/// `[verify.commands]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommandSettings {
    /// For Go.
    pub go: Option<Vec<String>>,
    /// For Python.
    pub python: Option<Vec<String>>,
    /// For TypeScript.
    pub typescript: Option<Vec<String>>,
    /// For JavaScript.
    pub javascript: Option<Vec<String>>,
}
