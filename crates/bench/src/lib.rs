//! What the whole program is measured by.
//!
//! [`headline`] is the table of README and `docs/benchmarks.md`: how many calls to the model each
//! kind of change takes, and how near the time comes to what the permits allow. `testsmith demo`
//! prints it, and so does `cargo bench -p testsmith-bench --bench headline`.

pub mod headline;
pub mod project;
