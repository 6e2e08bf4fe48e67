//! Runs candidate tests in a sandbox and says what became of each.

mod sandbox;

#[cfg(target_os = "linux")]
pub use sandbox::sandbox_main;
pub use sandbox::{
    CommandSpec, Limits, Missing, RunOutput, SandboxError, SandboxMode, SandboxSpec, Staging,
    WallReport, run, use_launcher, walls,
};
