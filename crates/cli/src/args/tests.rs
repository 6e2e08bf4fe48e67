//! Every command's help: what it says, and that its examples are commands.

use clap::{Command, CommandFactory as _};

use super::*;

#[path = "../../../../tests/support/golden.rs"]
#[expect(unreachable_pub, reason = "the end-to-end tests use it from outside")]
mod golden;

/// All commands with their names from the program on, groups of commands among them.
fn each(command: &Command, name: &str, all: &mut Vec<(String, Command)>) {
    all.push((name.to_owned(), command.clone()));
    let inner = command.get_subcommands();
    for inner in inner.filter(|inner| inner.get_name() != "help") {
        each(inner, &format!("{name} {}", inner.get_name()), all);
    }
}

fn all() -> Vec<(String, Command)> {
    let mut all = Vec::new();
    let mut program = Cli::command().term_width(100);
    program.build();
    each(&program, "testsmith", &mut all);
    all
}

/// The commands in a help's examples, without what a shell would do with them.
fn examples(help: &str) -> Vec<Vec<String>> {
    let commands = help.lines().filter_map(|line| {
        let command = line.strip_prefix("  ")?;
        command.starts_with("testsmith ").then_some(command)
    });
    commands
        .map(|command| {
            let end = ["  ", " | ", " > ", " \\"];
            let end = end.iter().filter_map(|end| command.find(end)).min();
            let command = &command[..end.unwrap_or(command.len())];
            let quoted = command.split(['"', '\'']).enumerate();
            quoted
                .flat_map(|(part, text)| {
                    let is_quoted = part % 2 == 1;
                    let words: Vec<&str> = if is_quoted {
                        vec![text]
                    } else {
                        text.split_whitespace().collect()
                    };
                    words.into_iter().map(str::to_owned)
                })
                .collect()
        })
        .collect()
}

#[test]
fn every_command_has_examples_that_are_commands_of_it() {
    let all = all();
    assert!(all.len() > 40, "{}", all.len());
    for (name, mut command) in all {
        let help = command.render_long_help().to_string();
        let title = "\nExample";
        assert!(
            help.contains(title),
            "`{name} --help` has no example:\n{help}"
        );
        let examples = examples(&help[help.find(title).unwrap_or_default()..]);
        let is_own = |example: &Vec<String>| example.join(" ").starts_with(&name);
        assert!(
            examples.iter().any(is_own),
            "`{name} --help` has no example of its own: {examples:?}"
        );
        for example in examples {
            if let Err(error) = Cli::try_parse_from(&example) {
                let is_help = error.kind() == clap::error::ErrorKind::DisplayHelp;
                assert!(is_help, "`{name} --help` shows {example:?}, and: {error}");
            }
        }
    }
}

#[test]
fn help_is_as_it_was_agreed_on() {
    let mut text = String::new();
    for (name, mut command) in all() {
        let help = command.render_long_help();
        text.push_str(&format!("$ {name} --help\n{help}\n"));
    }
    // Of each command alike, so once is enough.
    let options = text.match_indices("\n      --state-dir").count();
    assert!(options > 40, "{options}");
    golden::check("help.txt", &text);
}
