//! Hostile days: kills at any moment, power cuts, damage, and nothing left of what a process needs.
//!
//! `TESTSMITH_TORTURE_KILLS` and `TESTSMITH_TORTURE_SEED` set how many kills there are and which; a
//! run prints both. `just torture` runs 1,000. See `docs/reliability.md`.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stdout,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a test that cannot be set up has to fail; processes take real time; a run is told"
)]

mod support;

#[path = "torture/damage.rs"]
mod damage;
#[path = "torture/dice.rs"]
mod dice;
#[path = "torture/kills.rs"]
mod kills;
#[path = "torture/person.rs"]
mod person;
#[path = "torture/reader.rs"]
mod reader;
#[path = "torture/scarce.rs"]
mod scarce;
#[path = "torture/source.rs"]
mod source;
#[path = "torture/syscalls.rs"]
mod syscalls;
#[path = "torture/verified.rs"]
mod verified;
#[path = "torture/witness.rs"]
mod witness;
