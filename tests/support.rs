//! What the end-to-end tests share: the real program, a simulated model, real files.
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    clippy::allow_attributes,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::missing_panics_doc,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "each test file uses its part, and waits for real processes in real time"
)]

#[path = "support/canary.rs"]
pub mod canary;
#[path = "support/daemon.rs"]
pub mod daemon;
#[path = "support/golden.rs"]
pub mod golden;
#[path = "support/mask.rs"]
pub mod mask;
#[cfg(target_os = "linux")]
#[path = "support/processes.rs"]
pub mod processes;
#[path = "support/program.rs"]
pub mod program;
#[path = "support/samples.rs"]
pub mod samples;
#[path = "support/tools.rs"]
pub mod tools;
#[path = "support/world.rs"]
pub mod world;

/// Node and a shared install of vitest, as the TypeScript driver's own tests use them.
#[path = "../crates/lang/tests/support/node.rs"]
pub mod node;
