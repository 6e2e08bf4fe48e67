//! Candidates under the real toolchains: verdicts as expected, and the tree as it was.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a failed step fails the test; a skipped one says so, a failed one shows all it saw"
)]

#[path = "../../../lang/tests/support/node.rs"]
#[expect(dead_code, reason = "other tests run Node themselves")]
mod node;

mod go;
mod jest_and_mocha;
mod kept;
mod mended;
mod node_test;
mod python;
mod sample;
mod scripted;
mod vitest;
