//! Arguments of the commands that ask and change nothing.

use std::path::PathBuf;

use clap::{Args, ValueEnum, ValueHint};
use testsmith_control::JobKind;

/// `status`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  testsmith status               one screen
  testsmith status --json | jq .queue

Exit codes: 0 healthy, 3 degraded (see the warnings), 4 no daemon runs")]
pub(crate) struct StatusArgs {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// `top`.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  testsmith top

Keys: ? help, p pause or resume, r retry, Enter details, Tab other list, q quit.
NO_COLOR is honoured. Without a terminal: testsmith status.

Exit codes: 0 ended by the user, 2 no terminal, 4 no daemon runs")]
pub(crate) struct TopArgs {}

/// `jobs`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  testsmith jobs
  testsmith jobs --state waiting,parked    what does not get on, and why
  testsmith jobs --path src                of files below src")]
pub(crate) struct JobsArgs {
    /// Only those in these states: pending, running, waiting, parked
    #[arg(long, value_name = "STATE", value_delimiter = ',')]
    pub(crate) state: Vec<JobKind>,
    /// Only those of this file, of files below this folder, or that fit a pattern like '*_gen.go'
    #[arg(long, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub(crate) path: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// `explain`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  testsmith explain src/cart.go
  testsmith explain src/cart.go:Cart.Total     one member's part of it
  testsmith explain src/cart.go --json")]
pub(crate) struct ExplainArgs {
    /// The source file, with :MEMBER for one of its members
    #[arg(value_name = "PATH[:MEMBER]", value_hint = ValueHint::FilePath)]
    pub(crate) file: String,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// `logs`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  testsmith logs --follow                  what happens now
  testsmith logs --since yesterday --level warn
  testsmith logs --path src/cart.go        everything about one file
  testsmith logs --since 2026-11-17 --json | jq 'select(.outcome == \"written\") | .test_path'

Times are UTC. How much is logged: log.level in the configuration, or TESTSMITH_LOG.")]
pub(crate) struct LogsArgs {
    /// Go on with what comes, until stopped
    #[arg(long, short)]
    pub(crate) follow: bool,
    /// Only this job
    #[arg(long, value_name = "ID")]
    pub(crate) job: Option<u64>,
    /// Only this source or test file
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub(crate) path: Option<PathBuf>,
    /// Only this level and worse
    #[arg(long, value_enum)]
    pub(crate) level: Option<LineLevel>,
    /// Only from this time on: 2h, today, yesterday, 2026-11-17, "2026-11-17 18:30"
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// Only lines that match this regular expression
    #[arg(long, value_name = "REGEX")]
    pub(crate) grep: Option<String>,
    /// Only the last lines [default: all; 10 with --follow]
    #[arg(long, short = 'n', value_name = "COUNT")]
    pub(crate) lines: Option<usize>,
    /// Print the JSON lines as they are
    #[arg(long)]
    pub(crate) json: bool,
}

/// Levels of log lines, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LineLevel {
    /// What could not be done
    Error,
    /// Trouble
    Warn,
    /// What became of each job
    Info,
    /// Each attempt at the model
    Debug,
    /// Prompts and answers
    Trace,
}

/// `usage`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  testsmith usage                            the last 30 days
  testsmith usage --by file --since 7d       where the money went this week
  testsmith usage --since 2026-11-01 --json

Days are of UTC. A cost of ? is that of a model without a known price; see docs/budget.md.")]
pub(crate) struct UsageArgs {
    /// By what the sums are told apart
    #[arg(long, value_enum, default_value_t = UsageBy::Day)]
    pub(crate) by: UsageBy,
    /// The first day: a date, or a time back from now such as 7d
    #[arg(long, value_name = "DATE|TIME", default_value = "30d")]
    pub(crate) since: String,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// By what `usage` tells sums apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum UsageBy {
    /// Day
    Day,
    /// Model
    Model,
    /// Project
    Project,
    /// Source file
    File,
}
