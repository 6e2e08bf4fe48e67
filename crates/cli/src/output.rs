//! Printing results. A closed pipe ends the printing, not the program.

use std::io::{self, Write as _};

/// Prints one line on standard output, styles stripped where they are not wanted.
pub(crate) fn line(text: impl std::fmt::Display) -> anyhow::Result<()> {
    match writeln!(anstream::stdout(), "{text}") {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => Ok(result?),
    }
}

/// Prints text as it is.
pub(crate) fn raw(text: &str) -> anyhow::Result<()> {
    match anstream::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => Ok(result?),
    }
}

/// Prints a line on standard error.
pub(crate) fn note(text: impl std::fmt::Display) {
    // Nobody is left to be told that standard error is gone.
    let _ = writeln!(anstream::stderr(), "{text}");
}

/// Prints a value as one line of JSON.
pub(crate) fn json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    line(serde_json::to_string(value)?)
}
