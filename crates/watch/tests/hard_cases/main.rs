//! The hard cases of a file watcher, each on real files: the right changes, exactly once, and in
//! the end the receiver's snapshot is what is on disk.
//!
//! Waits are for batches and for the watcher to be idle, both with a bound. Where a test sleeps,
//! the pause is part of what the played program does.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "helpers of tests, which clippy takes for ordinary code"
)]

mod editors;
mod folders;
mod git;
mod harness;
mod quiet;
mod restart;
mod roots;
mod storms;
