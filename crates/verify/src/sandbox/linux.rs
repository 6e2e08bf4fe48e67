//! The launcher: the stages of a run, each a program started by the one before.

mod confined;
mod init;
mod landlocked;
mod mounts;
mod network;
mod outer;
mod processes;
mod seccomp;
mod shadow;
mod stages;
mod tampering;

#[cfg(test)]
mod tests;

use std::ffi::{OsStr, OsString};
use std::process::ExitCode;

use super::wire::LAUNCHER_ARGUMENT;

/// Makes the program a sandbox launcher, if its arguments (without its own name) ask for that.
///
/// The first thing `main` has to do, before there is any other thread: a process with threads cannot enter a user
/// namespace. `None` means that this is an ordinary start; otherwise `main` returns the code.
///
/// ```no_run
/// fn main() -> std::process::ExitCode {
///     if let Some(code) = testsmith_verify::sandbox_main(std::env::args_os().skip(1)) {
///         return code;
///     }
///     std::process::ExitCode::SUCCESS
/// }
/// ```
pub fn sandbox_main(arguments: impl IntoIterator<Item = OsString>) -> Option<ExitCode> {
    let mut arguments = arguments.into_iter();
    if arguments.next()? != LAUNCHER_ARGUMENT {
        return None;
    }
    let stage = arguments.next().unwrap_or_default();
    let result = if stage == OsStr::new("outer") {
        outer::main()
    } else if stage == OsStr::new("init") {
        init::main()
    } else if stage == OsStr::new("confined") {
        confined::main()
    } else if stage == OsStr::new("probe") {
        outer::probe()
    } else {
        Err(std::io::Error::other("not a stage of the sandbox"))
    };
    Some(match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            #[expect(
                clippy::print_stderr,
                reason = "read by the program that started this one"
            )]
            {
                eprintln!("{error}");
            }
            ExitCode::FAILURE
        }
    })
}
