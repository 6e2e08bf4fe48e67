//! Arguments of the commands that set testsmith up and look after it.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

/// `init`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  testsmith init             testsmith.toml in this project's root
  testsmith init --print     only show it

It asks nothing, and never overwrites.")]
pub(crate) struct InitArgs {
    /// Print it and write nothing
    #[arg(long)]
    pub(crate) print: bool,
}

/// `doctor`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  testsmith doctor               everything, with one tiny call to the model
  testsmith doctor --no-call     without that
  testsmith doctor --json | jq '.[] | select(.state != \"ok\")'

Exits 1 if a check fails. Warnings are no failures.")]
pub(crate) struct DoctorArgs {
    /// Do not ask the model anything
    #[arg(long)]
    pub(crate) no_call: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// `service …`.
#[derive(Debug, Subcommand)]
pub(crate) enum ServiceCommand {
    /// Write the unit's files, enable and start them; needs no root
    #[command(after_help = "\
Examples:
  testsmith service install                 this project
  testsmith service install ~/src/a ~/b     two projects, each with a service of its own
  testsmith service install --dry-run       show the files

--config, --state-dir and --cache-dir go into the unit, and XDG_… variables. On macOS it prints a property list for launchd.")]
    Install {
        /// Projects [default: the one you are in]
        #[arg(value_name = "PATH", value_hint = ValueHint::DirPath)]
        paths: Vec<PathBuf>,
        /// Print the files and do nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Stop, disable and remove them
    #[command(after_help = "Example:\n  testsmith service uninstall")]
    Uninstall {
        /// Projects [default: the one you are in]
        #[arg(value_name = "PATH", value_hint = ValueHint::DirPath)]
        paths: Vec<PathBuf>,
    },
    /// What systemd says of them; exits 4 if one does not run
    #[command(after_help = "Example:\n  testsmith service status --json")]
    Status {
        /// Projects [default: the one you are in]
        #[arg(value_name = "PATH", value_hint = ValueHint::DirPath)]
        paths: Vec<PathBuf>,
        /// Print one JSON object for each
        #[arg(long)]
        json: bool,
    },
}

/// `man`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  testsmith man | man -l -              read it
  testsmith man service install         the page of one command
  testsmith man --dir ~/.local/share/man/man1")]
pub(crate) struct ManArgs {
    /// The command whose page it is
    #[arg(value_name = "COMMAND")]
    pub(crate) command: Vec<String>,
    /// Write all pages into this folder
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, conflicts_with = "command")]
    pub(crate) dir: Option<PathBuf>,
}
