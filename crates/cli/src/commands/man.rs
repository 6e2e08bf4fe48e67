//! `testsmith man`: manual pages, from the same definitions as `--help`.

mod extra;

use std::path::Path;

use anyhow::Context as _;
use clap::CommandFactory as _;
use clap_mangen::Man;
use clap_mangen::roff::Roff;

use crate::args::{Cli, ManArgs};
use crate::exit::{self, UsageError};
use crate::output;

/// In the page's foot, beside its name and section.
const SOURCE: &str = concat!("testsmith ", env!("CARGO_PKG_VERSION"));

/// In the middle of the page's head.
const MANUAL: &str = "testsmith manual";

/// No date: a page is of the program that prints it. Written out, since what is behind it would be taken
/// for it otherwise.
const DATE: &str = "\"\"";

pub(crate) fn run(args: &ManArgs) -> anyhow::Result<u8> {
    let mut command = Cli::command().disable_help_subcommand(true);
    // Gives the commands below their full names.
    command.build();
    if let Some(dir) = &args.dir {
        std::fs::create_dir_all(dir).with_context(|| format!("cannot make `{}`", dir.display()))?;
        write_all(&command, dir)
            .with_context(|| format!("cannot write into `{}`", dir.display()))?;
        output::line(format_args!("manual pages are in {}", dir.display()))?;
        return Ok(exit::OK);
    }
    let mut chosen = &command;
    for name in &args.command {
        chosen = chosen.find_subcommand(name).ok_or_else(|| {
            UsageError(format!("there is no command `{}`", args.command.join(" ")))
        })?;
    }
    output::raw(&page(chosen)?)?;
    Ok(exit::OK)
}

/// Writes the page of a command and of those below it.
fn write_all(command: &clap::Command, dir: &Path) -> std::io::Result<()> {
    for below in command.get_subcommands().filter(|c| !c.is_hide_set()) {
        write_all(below, dir)?;
    }
    let name = man(command).get_filename();
    std::fs::write(dir.join(name), page(command)?)
}

fn man(command: &clap::Command) -> Man {
    let man = Man::new(command.clone()).date(DATE);
    man.source(SOURCE).manual(MANUAL)
}

/// The page of one command.
fn page(command: &clap::Command) -> std::io::Result<String> {
    let man = man(command);
    let mut parts = Vec::new();
    let mut part = |render: &dyn Fn(&mut dyn std::io::Write) -> std::io::Result<()>| {
        let mut text = Vec::new();
        render(&mut text)?;
        parts.push(String::from_utf8_lossy(&text).into_owned());
        std::io::Result::Ok(())
    };
    part(&|out| man.render_title(out))?;
    part(&|out| man.render_name_section(out))?;
    part(&|out| man.render_synopsis_section(out))?;
    part(&|out| man.render_description_section(out))?;
    part(&|out| man.render_options_section(out))?;
    if command.has_subcommands() {
        part(&|out| man.render_subcommands_section(out))?;
    }
    let help = command.get_after_long_help().or(command.get_after_help());
    if let Some(help) = help {
        let help = help.to_string();
        part(&|out| out.write_all(extra::sections(&help).as_bytes()))?;
    }
    // Each part begins with the same definitions, of which one will do.
    let preamble = Roff::new().render();
    let bodies = parts.iter().map(|part| part.trim_start_matches(&preamble));
    Ok(preamble.clone() + &bodies.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_one_head_with_name_section_and_version() {
        let mut command = Cli::command().disable_help_subcommand(true);
        command.build();
        let status = page(command.find_subcommand("status").unwrap()).unwrap();
        let head = format!(".TH testsmith-status 1 \"\" \"{SOURCE}\" \"{MANUAL}\"\n");
        assert_eq!(status.matches(&head).count(), 1, "{status}");
        assert_eq!(status.matches(".ds Aq").count(), 2, "{status}");
        assert!(!status.contains("\n.SH EXTRA"), "{status}");
    }
}
