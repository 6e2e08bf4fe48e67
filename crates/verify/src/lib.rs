//! Runs candidate tests in a sandbox and says what became of each.
//!
//! A [`Verifier`] takes a [`Candidate`] — bodies for members of one file — and gives a verdict for
//! each of them, without touching the tree:
//!
//! ```no_run
//! # use std::sync::Arc;
//! # use testsmith_verify::{Candidate, MemoryVerdicts, Verifier, VerifySettings};
//! # async fn example(candidate: Candidate) {
//! let settings = VerifySettings::in_dir("/home/me/.cache/testsmith/verify");
//! let verifier = Verifier::new(settings, Arc::new(MemoryVerdicts::default()));
//! let verification = verifier.verify(candidate).await;
//! for member in &verification.members {
//!     println!("{}: {}", member.member, member.verdict);
//! }
//! # }
//! ```
//!
//! # How it works
//!
//! The language's driver says which program runs tests and how its report reads; `sandbox` runs
//! it, with the candidate file laid over the project; `session` decides what to run:
//!
//! 1. **Explore.** All bodies run together. Errors of the build are traced to bodies (`blame`), by line,
//!    by import, by the words in quotes; these are dropped and the rest runs again. What cannot be
//!    traced is halved. A test that hangs or ends the process is cut out of its body; if it cannot
//!    be told which it was, each body runs alone.
//! 2. **Again.** What failed runs once more, without what passed. What holds now is flaky; what fails
//!    in an assertion both times is a finding.
//! 3. **Settle.** What is left runs once more as it would be written, beside the tests around it. A body
//!    that breaks tests which pass without it does not hold.
//!
//! The happy path is two runs. Verdicts are kept by all that decides them (`verdicts`): body, source, toolchain, the
//! project's manifests, and the settings of the run.

mod blame;
mod blocking;
mod candidate;
mod execute;
mod ground;
mod sandbox;
mod scratch;
mod session;
mod settings;
mod verdicts;
mod verifier;
mod words;

pub use candidate::{
    Candidate, CandidateBlock, MemberVerdict, Obstacle, TestVerdict, Verification,
};
pub use execute::{Executor, Sandbox};
#[cfg(target_os = "linux")]
pub use sandbox::sandbox_main;
pub use sandbox::{
    CommandSpec, Limits, Missing, RunOutput, SandboxError, SandboxMode, SandboxSpec, Staging,
    WallReport, run, use_launcher, walls,
};
pub use settings::{Shown, VerifySettings};
pub use verdicts::{MemoryVerdicts, VerdictCache, VerdictKey};
pub use verifier::Verifier;
