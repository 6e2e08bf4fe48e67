//! Text for a screen that is never wide enough.

use std::time::Duration;

use testsmith_control::{Status, Timestamp};
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use crate::output::escape;

/// Columns that text takes.
pub(crate) fn width(text: &str) -> usize {
    text.width()
}

/// The beginning of text, in at most this many columns.
pub(crate) fn head(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut shown = String::new();
    let mut used = 1;
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used > columns {
            break;
        }
        shown.push(c);
    }
    if columns > 0 {
        shown.push('…');
    }
    shown
}

/// The end of text, in at most this many columns: of a path, that is what tells it from others.
pub(crate) fn tail(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut shown = Vec::new();
    let mut used = 1;
    for c in text.chars().rev() {
        used += c.width().unwrap_or(0);
        if used > columns {
            break;
        }
        shown.push(c);
    }
    if columns > 0 {
        shown.push('…');
    }
    shown.into_iter().rev().collect()
}

/// Lines of at most this many columns, those that go on a line set in.
pub(crate) fn wrapped(lines: &[String], columns: usize) -> Vec<String> {
    const INDENT: &str = "    ";
    let columns = columns.max(INDENT.len() * 2);
    let mut out = Vec::new();
    for line in lines {
        let mut current = String::new();
        let mut used = 0;
        for c in line.chars() {
            let wide = c.width().unwrap_or(0);
            if used + wide > columns {
                // At a space where there is one not far back.
                let cut = current
                    .rfind(' ')
                    .filter(|at| *at > current.len() / 2)
                    .map_or(current.len(), |at| at + 1);
                let rest = current.split_off(cut);
                out.push(std::mem::replace(&mut current, format!("{INDENT}{rest}")));
                used = width(&current);
            }
            current.push(c);
            used += wide;
        }
        out.push(current);
    }
    out
}

/// A length of time in four columns or so: `12s`, `3m`, `2h`, `5d`.
pub(crate) fn short(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..=99 => format!("{seconds}s"),
        100..=5_999 => format!("{}m", seconds / 60),
        6_000..=172_799 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// How long ago it was.
pub(crate) fn age(now: Timestamp, then: Timestamp) -> Duration {
    now.0.duration_since(then.0).unwrap_or_default()
}

/// How long it is until then.
pub(crate) fn rest(now: Timestamp, then: Timestamp) -> Duration {
    then.0.duration_since(now.0).unwrap_or_default()
}

/// The time of day, of UTC.
pub(crate) fn clock(at: Timestamp) -> String {
    let text = at.to_string();
    text.get(11..19).unwrap_or(&text).to_owned()
}

/// What today's requests cost in billionths of a dollar; `None` if nobody knows.
pub(crate) fn cost_today(status: &Status) -> Option<u64> {
    let today = &status.usage.as_ref()?.today;
    (today.unpriced_requests < today.requests || today.requests == 0).then_some(today.cost_nano_usd)
}

/// What today's requests cost, for people.
pub(crate) fn cost_shown(status: &Status) -> String {
    let usage = status.usage.as_ref();
    usage.map_or_else(|| "?".to_owned(), |usage| escape(&usage.today.cost))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_by_columns() {
        assert_eq!(head("abcdef", 4), "abc…");
        assert_eq!(tail("src/cart.go", 6), "…rt.go");
        assert_eq!(tail("猫猫猫", 5), "…猫猫");
        assert_eq!(tail("abc", 3), "abc");
        assert_eq!(head("abc", 0), "");
        let lines = wrapped(&["one two three four".to_owned(), String::new()], 10);
        assert_eq!(lines, ["one two ", "    three ", "    four", ""]);
        assert_eq!(wrapped(&["猫".repeat(9)], 8).len(), 4);
    }

    #[test]
    fn lengths_of_time_are_short() {
        let shown = |seconds| short(Duration::from_secs(seconds));
        let lengths = [0, 99, 100, 6_000, 172_800].map(shown);
        assert_eq!(lengths, ["0s", "99s", "1m", "1h", "2d"]);
    }
}
