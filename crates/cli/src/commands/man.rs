//! `testsmith man`: manual pages, from the same definitions as `--help`.

use anyhow::Context as _;
use clap::CommandFactory as _;

use crate::args::{Cli, ManArgs};
use crate::exit::{self, UsageError};
use crate::output;

pub(crate) fn run(args: &ManArgs) -> anyhow::Result<u8> {
    let mut command = Cli::command();
    if let Some(dir) = &args.dir {
        std::fs::create_dir_all(dir).with_context(|| format!("cannot make `{}`", dir.display()))?;
        clap_mangen::generate_to(command, dir)
            .with_context(|| format!("cannot write into `{}`", dir.display()))?;
        output::line(format_args!("manual pages are in {}", dir.display()))?;
        return Ok(exit::OK);
    }
    // Gives the commands below their full names.
    command.build();
    let mut chosen = &command;
    for name in &args.command {
        chosen = chosen.find_subcommand(name).ok_or_else(|| {
            UsageError(format!("there is no command `{}`", args.command.join(" ")))
        })?;
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(chosen.clone()).render(&mut page)?;
    output::raw(&String::from_utf8_lossy(&page))?;
    Ok(exit::OK)
}
