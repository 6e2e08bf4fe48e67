//! The Go driver, through the seam that everybody else uses.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test that cannot be set up has to fail, and one that is skipped has to say so"
)]

mod bodies;
mod compose;
mod context;
mod gone;
mod mend;
mod property;
mod sample;
mod source;
mod toolchain;
