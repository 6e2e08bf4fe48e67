//! The sandbox launcher as a program of its own, for tests: their `main` is the test harness's.
//!
//! Started without the launcher's argument, it runs the one command it reads from standard input and writes how that
//! ended, so that a test can have a run under another user.

use std::io::{self, Write};
use std::process::ExitCode;

use testsmith_verify::{CommandSpec, SandboxError, SandboxSpec};

fn main() -> ExitCode {
    if let Some(code) = testsmith_verify::sandbox_main(std::env::args_os().skip(1)) {
        return code;
    }
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        #[expect(
            clippy::print_stderr,
            reason = "this program is run by tests, which show it"
        )]
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), SandboxError> {
    let (spec, command): (SandboxSpec, CommandSpec) =
        serde_json::from_reader(io::stdin()).map_err(io::Error::other)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let output = runtime.block_on(testsmith_verify::run(&spec, &command))?;
    let output = serde_json::to_vec(&output).map_err(io::Error::other)?;
    Ok(io::stdout().write_all(&output)?)
}
