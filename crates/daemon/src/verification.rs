//! Bodies are run before they are written; what does not hold is mended, or kept out of the tree.
//!
//! ```text
//! bodies → run → hold ─────────────────────────────→ written
//!           ↑     └ do not → by rule → by the model ┐
//!           └───────────────────────────────────────┘ at most `verify.repair_rounds` times
//!                            then: a finding, or quarantine
//! ```
//!
//! Nothing here touches the tree. What is found out is told by [`Trial`], and written down with the
//! job's end.

mod conclude;
mod rounds;
mod setup;
mod trial;

pub(crate) use conclude::unix_seconds;
pub(crate) use rounds::{Files, try_bodies};
pub(crate) use setup::{mode, tell_walls, verifier};
pub use trial::HeldBack;
pub(crate) use trial::Trial;
