//! A command of the program's, whose output is searched for secrets.

use std::ffi::OsStr;
use std::ops::Deref;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use super::canary::Canaries;

/// Like [`Command`]. Only what looks at it is taken from there: nothing gets past the search.
pub struct Program {
    command: Command,
    canaries: Canaries,
}

impl Program {
    pub fn new(command: Command, canaries: Canaries) -> Self {
        Self { command, canaries }
    }

    pub fn arg(&mut self, arg: impl AsRef<OsStr>) -> &mut Self {
        self.command.arg(arg);
        self
    }

    pub fn args(&mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> &mut Self {
        self.command.args(args);
        self
    }

    pub fn env(&mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> &mut Self {
        self.command.env(name, value);
        self
    }

    pub fn envs<'v>(&mut self, all: impl IntoIterator<Item = (&'v str, &'v str)>) -> &mut Self {
        self.command.envs(all);
        self
    }

    pub fn env_remove(&mut self, name: impl AsRef<OsStr>) -> &mut Self {
        self.command.env_remove(name);
        self
    }

    pub fn current_dir(&mut self, dir: impl AsRef<Path>) -> &mut Self {
        self.command.current_dir(dir);
        self
    }

    pub fn stdin(&mut self, from: impl Into<Stdio>) -> &mut Self {
        self.command.stdin(from);
        self
    }

    pub fn stdout(&mut self, to: impl Into<Stdio>) -> &mut Self {
        self.command.stdout(to);
        self
    }

    pub fn stderr(&mut self, to: impl Into<Stdio>) -> &mut Self {
        self.command.stderr(to);
        self
    }

    /// Runs it as this user, of the group with the same number.
    pub fn user(&mut self, id: u32) -> &mut Self {
        self.command.uid(id).gid(id);
        self
    }

    /// Runs it to its end.
    pub fn output(&mut self) -> std::io::Result<Output> {
        let output = self.command.output()?;
        for (what, text) in [("output", &output.stdout), ("error", &output.stderr)] {
            let shown = format!("the standard {what} of {:?}", self.command.get_args());
            self.canaries.none_in(&shown, text);
        }
        Ok(output)
    }

    /// Starts it. What it says is the caller's to search, with [`Program::canaries`].
    pub fn spawn(&mut self) -> std::io::Result<Child> {
        self.command.spawn()
    }

    pub fn canaries(&self) -> &Canaries {
        &self.canaries
    }
}

impl Deref for Program {
    type Target = Command;

    fn deref(&self) -> &Command {
        &self.command
    }
}
