//! Arguments of the commands by which the user has the last word.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

/// `findings`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  testsmith findings                   tests that fail each time: they are wrong, or the code is
  testsmith findings accept 1f2e3d4c   write that test; it fails until the code is mended
  testsmith findings dismiss 1f2e3d4c  end it
  testsmith findings --json | jq .judgement.reason

A finding ends by itself when the code of its member changes.")]
pub(crate) struct FindingsArgs {
    /// Accept or dismiss one
    #[command(subcommand)]
    pub(crate) command: Option<FindingsCommand>,
    /// Those that were accepted or dismissed as well
    #[arg(long)]
    pub(crate) all: bool,
    /// One JSON object a line
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// `findings accept` and `findings dismiss`.
#[derive(Debug, Subcommand)]
pub(crate) enum FindingsCommand {
    /// Write the test to the tree: it will fail until the code is mended
    #[command(after_help = "Example:\n  testsmith findings accept 1f2e3d4c")]
    Accept {
        /// The finding, as `testsmith findings` names it
        id: String,
    },
    /// End the finding
    #[command(after_help = "Example:\n  testsmith findings dismiss 1f2e3d4c")]
    Dismiss {
        /// The finding, as `testsmith findings` names it
        id: String,
    },
}

/// `quarantine`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  testsmith quarantine                         what did not compile, hung, was flaky or broke a rule
  testsmith quarantine release src/cart.go     ask for its tests again
  testsmith quarantine release --all

It is not asked for again until the code of its member changes, or it is released.")]
pub(crate) struct QuarantineArgs {
    /// Let something go
    #[command(subcommand)]
    pub(crate) command: Option<QuarantineCommand>,
    /// One JSON object a line
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// `quarantine release`.
#[derive(Debug, Subcommand)]
pub(crate) enum QuarantineCommand {
    /// Ask for these tests again
    #[command(after_help = "\
Examples:
  testsmith quarantine release src/cart.go
  testsmith quarantine release --all")]
    Release {
        /// Source or test files
        #[arg(value_name = "PATH", value_hint = ValueHint::FilePath, required_unless_present = "all")]
        paths: Vec<PathBuf>,
        /// All of it
        #[arg(long, conflicts_with = "paths")]
        all: bool,
    },
}

/// `review`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  testsmith review                 what would be written, as diffs (mode = \"propose\")
  testsmith review src/cart.go     for one file")]
pub(crate) struct ReviewArgs {
    /// Source or test files [default: all with proposals]
    #[arg(value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub(crate) paths: Vec<PathBuf>,
    /// One JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
}

/// `accept` and `reject`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  testsmith accept src/cart.go     write what is proposed for one file
  testsmith reject --all           drop all proposals; they come again when the code changes")]
pub(crate) struct SettleArgs {
    /// Source or test files
    #[arg(value_name = "PATH", value_hint = ValueHint::FilePath, required_unless_present = "all")]
    pub(crate) paths: Vec<PathBuf>,
    /// All files with proposals
    #[arg(long, conflicts_with = "paths")]
    pub(crate) all: bool,
    /// One JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
}

/// `adopt`.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  testsmith adopt cart_testsmith_test.go     its tests are yours from now on, in cart_test.go

The marks go, the tests stay byte for byte. If the ordinary name is taken, the file keeps its own.")]
pub(crate) struct AdoptArgs {
    /// The test file, or its source
    #[arg(value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub(crate) path: PathBuf,
    /// One JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
}

/// `diff`.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  testsmith diff cart_testsmith_test.go     what you changed in generated tests

What a formatter changed is not shown: it does not make a test yours.")]
pub(crate) struct DiffArgs {
    /// The test file, or its source
    #[arg(value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub(crate) path: PathBuf,
    /// One JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
}
