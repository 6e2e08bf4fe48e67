//! The Go driver, through the seam that everybody else uses.

mod bodies;
mod compose;
mod context;
mod property;
mod sample;
mod source;
mod toolchain;
