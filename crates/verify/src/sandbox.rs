//! A candidate's walls: where it runs, what it sees, what it may use up.
//!
//! Nothing here is `unsafe`, so nothing can be done between `fork` and `exec`. Instead the running program starts
//! itself again, as a launcher, and the launcher builds the walls around itself before it becomes the candidate:
//!
//! 1. **outer**: leaves the host's user, mount, process, network and IPC namespaces; makes every mount read-only; lays
//!    an overlay over the project at its own path, with the candidate's files on top and everything written going to
//!    memory; covers `/tmp`, `/run`, `/dev` and the home directory's secrets. It stays, watches memory and processes,
//!    and ends the rest when the run is over or when the program that asked for it goes away.
//! 2. **init**: process 1 of the new process namespace. When it ends, the kernel ends everything in there.
//! 3. **confined**: drops every capability, sets resource limits, Landlock and seccomp, and becomes the candidate.
//!
//! Where the system gives no namespaces, the project is copied (by reflink where the file system can) and stage 3
//! alone holds: Landlock for files, signals and TCP, seccomp for sockets, the outer stage as the reaper of all. Less
//! holds then: Landlock does not keep a candidate from changing modes and times of the user's files, a test cannot
//! start a server of its own, and the listing of folders that hold a secret is refused.
//!
//! # Memory
//!
//! An address-space limit is of no use: Go and Node reserve far more than they touch. The outer stage sums up what
//! the processes hold of their own, 100 times a second, and ends them over the limit; between two looks, `RLIMIT_DATA`
//! at twice the limit holds each process. Memory file systems of the run are limited on their own.
//!
//! # Processes
//!
//! In a user namespace of its own, `RLIMIT_NPROC` counts the run's tasks alone. Root is exempt from it; for root, the
//! process namespace has no more numbers to give (Linux 6.14), and the outer stage counts as well and ends a run with
//! too many. Root without any namespace has the outer stage alone, which a fork bomb can starve.
//!
//! # Edits of the project
//!
//! Tools write caches next to sources, so the run's view of the project can be written to. What a run changes there is
//! lost with it. A changed, removed or new file that is not a tool's own (`__pycache__`, `.pytest_cache`, `coverage` and
//! the like, `.git/index`) is told in [`RunOutput::blocked`]: a test that edits the code it tests proves nothing, and
//! one that leaves files or hooks of git's behind would do so on each run without these walls. New files of a run that
//! was killed are not told: it could not clean up.
//!
//! # Processes that stay
//!
//! They are ended with the run. Those that are still there half a second after the candidate has ended are told in
//! [`RunOutput::blocked`] too.

mod environment;
#[cfg(target_os = "linux")]
mod linux;
mod places;
mod run;
mod types;
mod walls;
mod wire;

#[cfg(test)]
mod tests;

#[cfg(target_os = "linux")]
pub use linux::sandbox_main;
pub(crate) use places::named_like_secrets;
pub use run::{run, use_launcher};
pub use types::{CommandSpec, Limits, RunOutput, SandboxError, SandboxMode, SandboxSpec};
pub use walls::{Missing, Staging, WallReport, walls};
