//! The `testsmith` binary: commands and how they look.
//!
//! What a command does is the `daemon` crate's; what is here is arguments, printing and exit
//! codes.

mod args;
mod commands;
mod context;
mod exit;
mod logging;
mod output;
mod remote;

use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory as _, Parser as _};
use testsmith_control::ReviewRequest;

use crate::args::{Cli, Command, QuarantineCommand};

fn main() -> ExitCode {
    // A process of the sandbox is this program too: before any thread is started.
    #[cfg(target_os = "linux")]
    if let Some(code) = testsmith_verify::sandbox_main(std::env::args_os().skip(1)) {
        return code;
    }
    leave_no_core();
    let cli = Cli::parse();
    let (format, verbose) = (cli.global.log_format, cli.global.verbose);
    let _traces = match cli.command {
        // Its settings say what is logged, and where to.
        Command::Watch(_) => None,
        Command::Simulate(_) => Some(logging::start_server(format, verbose)),
        _ => Some(logging::start_command(format, verbose)),
    };
    match run(cli) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            output::note(format_args!("testsmith: {error:#}"));
            exit::code_of(&error)
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<u8> {
    let Cli { global, command } = cli;
    match command {
        Command::Watch(args) => commands::watch::run(&global, &args),
        Command::Generate(args) => commands::generate::run(&global, &args),
        Command::Logs(args) => commands::logs::run(&global, &args),
        Command::Status(args) => commands::status::run(&global, &args),
        Command::Top(args) => commands::top::run(&global, &args),
        Command::Jobs(args) => commands::jobs::run(&global, &args),
        Command::Explain(args) => commands::explain::run(&global, &args),
        Command::Retry(args) => commands::verbs::retry(&global, &args),
        Command::Cancel(args) => commands::verbs::cancel(&global, &args),
        Command::Pause(args) => commands::verbs::pause(&global, &args, true),
        Command::Resume(args) => commands::verbs::resume(&global, &args),
        Command::Stop(args) => commands::verbs::stop(&global, &args),
        Command::Cache(command) => commands::cache::run(&global, &command),
        Command::Usage(args) => commands::usage::run(&global, &args),
        Command::Config(command) => commands::config::config(&global, &command).map(|()| exit::OK),
        Command::Trust(args) => commands::config::trust(&global, &args).map(|()| exit::OK),
        Command::Findings(args) => {
            commands::review::findings(&global, args.json, args.all, args.command.as_ref())
        }
        Command::Quarantine(args) => {
            let (request, done) = match &args.command {
                None => (ReviewRequest::Quarantine, ""),
                Some(QuarantineCommand::Release { paths, .. }) => {
                    let paths = commands::review::absolute(paths)?;
                    (ReviewRequest::Release { paths }, "asked for again")
                }
            };
            commands::review::answer(&global, request, args.json, done)
        }
        Command::Review(args) => {
            let paths = commands::review::absolute(&args.paths)?;
            commands::review::answer(&global, ReviewRequest::Proposals { paths }, args.json, "")
        }
        Command::Accept(args) => {
            let paths = commands::review::absolute(&args.paths)?;
            commands::review::answer(
                &global,
                ReviewRequest::Accept { paths },
                args.json,
                "written",
            )
        }
        Command::Reject(args) => {
            let paths = commands::review::absolute(&args.paths)?;
            commands::review::answer(
                &global,
                ReviewRequest::Reject { paths },
                args.json,
                "dropped",
            )
        }
        Command::Adopt(args) => {
            let path = std::path::absolute(&args.path)?;
            commands::review::answer(
                &global,
                ReviewRequest::Adopt { path },
                args.json,
                "yours now",
            )
        }
        Command::Diff(args) => {
            let path = std::path::absolute(&args.path)?;
            commands::review::answer(&global, ReviewRequest::Diff { path }, args.json, "")
        }
        Command::Demo(args) => commands::demo::run(&args),
        Command::Simulate(args) => commands::simulate::run(&args),
        Command::Init(args) => commands::init::run(&global, &args),
        Command::Doctor(args) => commands::doctor::run(&global, &args),
        Command::Service(command) => commands::service::run(&global, &command),
        Command::Reload(args) => commands::verbs::reload(&global, &args),
        Command::Man(args) => commands::man::run(&args),
        Command::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "testsmith", &mut text);
            output::raw(&String::from_utf8_lossy(&text))?;
            Ok(exit::OK)
        }
    }
}

/// A core would hold the key, and source.
fn leave_no_core() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = Rlimit {
        current: Some(0),
        ..getrlimit(Resource::Core)
    };
    // Less than is allowed is always allowed.
    let _ = setrlimit(Resource::Core, limit);
}

/// How long work that blocks, on a disk that does not answer, may hold up the end.
const LAST_WAIT: Duration = Duration::from_secs(2);

/// Runs the program's asynchronous part. Two cores' worth of workers are plenty: it waits for
/// others most of the time.
fn block_on<T>(work: impl Future<Output = T>) -> anyhow::Result<T> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(2).enable_all().build()?;
    let done = runtime.block_on(work);
    runtime.shutdown_timeout(LAST_WAIT);
    Ok(done)
}
