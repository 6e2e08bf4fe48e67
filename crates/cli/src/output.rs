//! Printing results. A closed pipe ends the printing, not the program.

use std::io::{self, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the reader of standard output is gone.
static CLOSED: AtomicBool = AtomicBool::new(false);

/// Whether nobody reads standard output any more. A command that goes on by itself ends then.
pub(crate) fn is_closed() -> bool {
    CLOSED.load(Ordering::Relaxed)
}

/// Prints one line on standard output, styles stripped where they are not wanted.
pub(crate) fn line(text: impl std::fmt::Display) -> anyhow::Result<()> {
    match writeln!(anstream::stdout(), "{text}") {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
            CLOSED.store(true, Ordering::Relaxed);
            Ok(())
        }
        result => Ok(result?),
    }
}

/// Prints text as it is.
pub(crate) fn raw(text: &str) -> anyhow::Result<()> {
    match anstream::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
            CLOSED.store(true, Ordering::Relaxed);
            Ok(())
        }
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

/// Text from a file, a model or a server, with what could steer the terminal made visible.
pub(crate) fn escape(text: &str) -> String {
    let is_safe = |c: char| !c.is_control() && !is_reordering(c);
    if text.chars().all(is_safe) {
        return text.to_owned();
    }
    text.chars()
        .flat_map(|c| {
            let escaped = (!is_safe(c)).then(|| c.escape_default());
            let plain = is_safe(c).then_some(c);
            plain.into_iter().chain(escaped.into_iter().flatten())
        })
        .collect()
}

/// Characters that make text look to be in another order than it is (CVE-2021-42574).
const fn is_reordering(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
}
