//! The command line, as clap sees it.

mod review;

pub(crate) use review::{
    AdoptArgs, DiffArgs, FindingsArgs, FindingsCommand, QuarantineArgs, QuarantineCommand,
    ReviewArgs, SettleArgs,
};

mod asking;
mod cache;
mod upkeep;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};

pub(crate) use self::asking::{
    ExplainArgs, JobsArgs, LogsArgs, StatusArgs, TopArgs, UsageArgs, UsageBy,
};
pub(crate) use self::cache::CacheCommand;
pub(crate) use self::upkeep::{DoctorArgs, InitArgs, ManArgs, ServiceCommand};

/// Keeps a project's unit tests in step with its code.
///
/// Save a file, and a moment later tests for the public functions that changed are there, written
/// by a language model, in files of testsmith's own beside yours.
#[derive(Debug, Parser)]
#[command(
    name = "testsmith",
    version,
    arg_required_else_help = true,
    max_term_width = 100
)]
#[command(after_help = "\
Examples:
  testsmith demo                     see it work: no key, no network
  testsmith watch                    keep the tests of this project in step
  testsmith generate --since main    tests for what changed since main
  testsmith status                   is it working, is it stuck, what does it cost

Exit codes: 0 ok, 1 some file failed, 2 usage, 3 degraded, 4 no daemon, 64 bad configuration,
75 another instance runs")]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command.
#[derive(Debug, Clone, Args)]
pub(crate) struct Global {
    /// Read this file in place of the project's testsmith.toml
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) config: Option<PathBuf>,
    /// Keep queue, cache and ledger here [default: under the XDG state directory]
    #[arg(long, global = true, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) state_dir: Option<PathBuf>,
    /// Keep build caches of verification here [default: under the XDG cache directory]
    #[arg(long, global = true, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) cache_dir: Option<PathBuf>,
    /// Set one setting, for instance --set llm.model=gpt-5-mini
    #[arg(long, global = true, value_name = "KEY=VALUE", value_parser = key_value)]
    pub(crate) set: Vec<(String, String)>,
    /// How log lines look
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Human)]
    pub(crate) log_format: LogFormat,
    /// Say more, and end with the cache's figures
    #[arg(long, short, global = true)]
    pub(crate) verbose: bool,
}

fn key_value(text: &str) -> Result<(String, String), String> {
    text.split_once('=')
        .map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()))
        .ok_or_else(|| "write it as KEY=VALUE".to_owned())
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people
    Human,
    /// One JSON object a line
    Json,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Watch a source tree and keep its tests in step, until stopped
    Watch(WatchArgs),
    /// Bring the tests of some files up to date, once
    Generate(GenerateArgs),
    /// What the service said: its log, from files or from systemd's journal
    Logs(LogsArgs),
    /// See whether the daemon works, is stuck, and what it costs
    Status(StatusArgs),
    /// See what the daemon does, live
    Top(TopArgs),
    /// List the jobs in the queue
    Jobs(JobsArgs),
    /// Tell every decision on a file, with its reason and time
    Explain(ExplainArgs),
    /// Try waiting and parked jobs again now
    Retry(RetryArgs),
    /// Drop jobs; a file's next save makes a new one
    Cancel(CancelArgs),
    /// Let the daemon take up nothing until `resume`; running jobs end
    #[command(
        after_help = "Example:\n  testsmith pause\n\nChanges go on being written down. A restart of the daemon ends the pause."
    )]
    Pause(VerbArgs),
    /// End a pause, or lift the budget that holds jobs back
    #[command(
        after_help = "Examples:\n  testsmith resume\n  testsmith resume --over-budget    spend more, until the day or month is over"
    )]
    Resume(ResumeArgs),
    /// Stop the daemon: running calls may finish, the rest waits on disk
    #[command(after_help = "Example:\n  testsmith stop")]
    Stop(VerbArgs),
    /// Look at the cache of answers, empty it, or take its answers elsewhere
    #[command(
        subcommand,
        after_help = "Examples:\n  testsmith cache stats\n  testsmith cache gc --json\n  testsmith cache export answers.jsonl"
    )]
    Cache(CacheCommand),
    /// What calls to models cost, with a chart
    Usage(UsageArgs),
    /// Look at the configuration
    #[command(
        subcommand,
        after_help = "Examples:\n  testsmith config show      what is in force, and where it comes from\n  testsmith config check     before it is put in force"
    )]
    Config(ConfigCommand),
    /// Let the project's testsmith.toml choose where source and key are sent, and what is run
    Trust(TrustArgs),
    /// Tests that fail each time: they are wrong, or the code is
    Findings(FindingsArgs),
    /// Tests that did not hold, and are kept out of the tree
    Quarantine(QuarantineArgs),
    /// Show what is proposed, as diffs
    Review(ReviewArgs),
    /// Write what is proposed
    Accept(SettleArgs),
    /// Drop what is proposed
    Reject(SettleArgs),
    /// Make a generated test file your own
    Adopt(AdoptArgs),
    /// Show what you changed in generated tests
    Diff(DiffArgs),
    /// Write a commented testsmith.toml from what is found here
    Init(InitArgs),
    /// Check what testsmith needs, each with a remedy
    Doctor(DoctorArgs),
    /// Have systemd run it, for this user
    #[command(
        subcommand,
        after_help = "Examples:\n  testsmith service install     for the project you are in\n  testsmith service status"
    )]
    Service(ServiceCommand),
    /// Have the daemon read its configuration anew
    #[command(
        after_help = "Example:\n  testsmith reload\n\nIt does so by itself when a file of it changes. One that cannot be used changes nothing."
    )]
    Reload(VerbArgs),
    /// See it work on a sample project, against a simulated model with faults
    Demo(DemoArgs),
    /// Run the simulated model server alone
    Simulate(SimulateArgs),
    /// Print a completion script for your shell
    #[command(
        after_help = "Example:\n  testsmith completions bash > ~/.local/share/bash-completion/completions/testsmith"
    )]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page of testsmith, or of a command
    Man(ManArgs),
}

/// `watch`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  testsmith watch                       the project you are in
  testsmith watch api web               two roots, one daemon, one limit on calls
  testsmith watch --until-idle          work off what changed, then exit: for scripts and CI

--until-idle exits 1 if some job failed and is kept for the next start.

The first time a tree is watched, its files as they are become the base line: tests are written
for what changes from then on. For what is there already: testsmith generate --all")]
pub(crate) struct WatchArgs {
    /// Folders to watch [default: the project you are in]
    #[arg(value_name = "ROOT", value_hint = ValueHint::DirPath)]
    pub(crate) roots: Vec<PathBuf>,
    /// Exit as soon as everything that changed is worked off
    #[arg(long)]
    pub(crate) until_idle: bool,
}

/// `retry`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  testsmith retry                  all that wait or are parked
  testsmith retry src/cart.go lib")]
pub(crate) struct RetryArgs {
    /// Only those of these files, of files below these folders, or that fit a pattern
    #[arg(value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub(crate) paths: Vec<String>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// `cancel`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  testsmith cancel src/legacy      those of files below a folder
  testsmith cancel --job 17
  testsmith cancel --all")]
pub(crate) struct CancelArgs {
    /// Those of these files, of files below these folders, or that fit a pattern
    #[arg(value_name = "PATH", value_hint = ValueHint::AnyPath, required_unless_present_any = ["all", "job"])]
    pub(crate) paths: Vec<String>,
    /// Every job
    #[arg(long, conflicts_with_all = ["paths", "job"])]
    pub(crate) all: bool,
    /// The job of this number
    #[arg(long, value_name = "ID")]
    pub(crate) job: Option<u64>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// `pause`, `stop`.
#[derive(Debug, Args)]
pub(crate) struct VerbArgs {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// `resume`.
#[derive(Debug, Args)]
pub(crate) struct ResumeArgs {
    /// Lift the budgets that hold jobs back, each until its day, month or hour is over
    #[arg(long)]
    pub(crate) over_budget: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// `generate`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  testsmith generate src/cart.go            one file
  testsmith generate src lib                all sources in two folders
  testsmith generate --since main           what changed since main, and what git does not know yet
  testsmith generate --all --dry-run        diffs from cached answers; calls no model
  testsmith generate --all --no-wait        leave it to the running daemon

If a daemon runs on this state, the files are handed to it, and Ctrl-C leaves it working.")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(crate) struct GenerateArgs {
    /// Files, or folders with all their sources
    #[arg(value_name = "PATH", value_hint = ValueHint::AnyPath, required_unless_present_any = ["all", "since"])]
    pub(crate) paths: Vec<PathBuf>,
    /// All sources of the project
    #[arg(long, conflicts_with_all = ["paths", "since"])]
    pub(crate) all: bool,
    /// Sources changed since a git revision, untracked ones included
    #[arg(long, value_name = "REV", conflicts_with = "paths")]
    pub(crate) since: Option<String>,
    /// Print unified diffs and write nothing; calls no model
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Ask the preferred model again where a fallback model has answered
    #[arg(long)]
    pub(crate) prefer: bool,
    /// Hand the files to the running daemon and leave
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) no_wait: bool,
    /// With --dry-run: call the model for what is not cached
    #[arg(long, requires = "dry_run")]
    pub(crate) llm: bool,
    /// Print one JSON object for each file, and one at the end
    #[arg(long)]
    pub(crate) json: bool,
}

/// `config …`.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Every setting in force, and where its value comes from
    #[command(after_help = "Example:\n  testsmith config show --json")]
    Show {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Check the configuration: exit 0 if it can be used, else 64
    #[command(after_help = "Example:\n  testsmith config check --config ci.toml")]
    Check,
    /// Print the JSON schema of the configuration file, for editors
    #[command(after_help = "Example:\n  testsmith config schema > testsmith.schema.json")]
    Schema,
}

/// `trust`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  testsmith trust              this project's testsmith.toml, as it is now
  testsmith trust --list       what is trusted
  testsmith trust --revoke     end it

Trust is for the file's present content; a changed file has to be trusted anew.")]
pub(crate) struct TrustArgs {
    /// End the trust
    #[arg(long, conflicts_with = "list")]
    pub(crate) revoke: bool,
    /// List the trusted files
    #[arg(long)]
    pub(crate) list: bool,
}

/// `demo`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  testsmith demo --keep     leave the sample project for a look around"
)]
pub(crate) struct DemoArgs {
    /// Leave the sample project in place at the end
    #[arg(long)]
    pub(crate) keep: bool,
}

/// `simulate`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  testsmith simulate                             a well-behaved server on a free port
  testsmith simulate --port 8080 --latency 200ms
  testsmith simulate --script faults.toml        faults on demand, see docs/simulator.md

Point a watch at it with:
  testsmith watch --set llm.provider=openai --set llm.model=any \\
      --set llm.base_url=http://127.0.0.1:8080/v1")]
pub(crate) struct SimulateArgs {
    /// Port on 127.0.0.1; 0 is any free one
    #[arg(long, default_value_t = 0)]
    pub(crate) port: u16,
    /// A TOML file of latencies and faults
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) script: Option<PathBuf>,
    /// How long each answer takes, for instance 200ms
    #[arg(long, value_name = "DURATION")]
    pub(crate) latency: Option<String>,
}

#[cfg(test)]
mod tests;
