//! Candidates under the real toolchains: verdicts as expected, and the tree as it was.

#[path = "../../../lang/tests/support/node.rs"]
mod node;

mod go;
mod node_test;
mod python;
mod sample;
mod scripted;
mod vitest;
