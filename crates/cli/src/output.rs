//! Printing results. A closed pipe ends the printing, not the program.

use std::io::{self, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

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

/// Like [`escape`], for text of several lines: line ends and tabs stay.
pub(crate) fn escape_text(text: &str) -> String {
    let lines: Vec<_> = text
        .split('\n')
        .map(|line| line.split('\t').map(escape).collect::<Vec<_>>().join("\t"))
        .collect();
    lines.join("\n")
}

/// The longest that a reason may be in a line of a list.
const BRIEF: usize = 160;

/// Like [`escape`], of a reason that may be pages long: its first line, and that cut. What was left
/// out is in `--json`, and told by `explain`.
pub(crate) fn brief(text: &str) -> String {
    let text = text.trim();
    let line = text.lines().next().unwrap_or_default();
    let head: String = line.chars().take(BRIEF).collect();
    let cut = if head.len() < text.len() { "…" } else { "" };
    format!("{}{cut}", escape(head.trim_end()))
}

/// A number of things: `1 retry`, `2 retries`.
pub(crate) fn counted(count: u64, one: &str) -> String {
    match one.strip_suffix('y') {
        _ if count == 1 => format!("1 {one}"),
        Some(stem) => format!("{count} {stem}ies"),
        None => format!("{count} {one}s"),
    }
}

/// A length of time in its two largest units: `2 h 5 min`.
pub(crate) fn duration(time: Duration) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    let seconds = time.as_secs();
    let Some(first) = UNITS.iter().position(|(unit, _)| seconds >= *unit) else {
        return format!("{} ms", time.as_millis());
    };
    let (unit, name) = UNITS[first];
    let mut text = format!("{} {name}", seconds / unit);
    if let Some((smaller, name)) = UNITS.get(first + 1)
        && seconds % unit / smaller > 0
    {
        text.push_str(&format!(" {} {name}", seconds % unit / smaller));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_steers_the_terminal() {
        assert_eq!(
            escape_text("a\n\u{1b}[2Jb\u{202e}c"),
            "a\n\\u{1b}[2Jb\\u{202e}c"
        );
        assert_eq!(escape("a\nb\tc é"), "a\\nb\\tc é");
    }

    #[test]
    fn a_reason_in_a_list_is_one_short_line() {
        assert_eq!(brief("model: no\u{1b} "), "model: no\\u{1b}");
        assert_eq!(brief("two lines:\r\n--- FAIL"), "two lines:…");
        assert_eq!(brief(&"é".repeat(BRIEF)), "é".repeat(BRIEF));
        assert_eq!(brief(&"é".repeat(5_000)).chars().count(), BRIEF + 1);
    }

    #[test]
    fn one_thing_is_one() {
        assert_eq!(counted(1, "file"), "1 file");
        assert_eq!(counted(0, "file"), "0 files");
        assert_eq!(counted(1, "retry"), "1 retry");
        assert_eq!(counted(2, "retry"), "2 retries");
    }

    #[test]
    fn durations_have_two_units() {
        let shown = |seconds| duration(Duration::from_secs(seconds));
        assert_eq!(duration(Duration::from_millis(12)), "12 ms");
        assert_eq!(shown(59), "59 s");
        assert_eq!(shown(60), "1 min");
        assert_eq!(shown(7_500), "2 h 5 min");
        assert_eq!(shown(200_000), "2 d 7 h");
    }
}
