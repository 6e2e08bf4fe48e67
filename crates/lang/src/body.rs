//! What every driver does first with a model's code.

use testsmith_domain::BodyProblem;

use crate::dialect::Dialect;
use crate::marks::holds_mark;
use crate::tokens::unix;

/// `code` with LF line ends, without byte order mark and without a Markdown fence around the
/// whole, or around the code in an answer that does not parse with what is around it. Fences inside
/// of code that parses stay: they may be part of a string.
pub(crate) fn clean(dialect: &dyn Dialect, code: &str) -> Result<String, BodyProblem> {
    if code.contains('\0') {
        return Err(BodyProblem::Forbidden("a NUL byte"));
    }
    if holds_mark(code) {
        return Err(BodyProblem::Forbidden("one of testsmith's marks"));
    }
    let code = unix(code.trim_start_matches('\u{feff}'));
    if let Some(what) = code.chars().find_map(unseen) {
        return Err(BodyProblem::Forbidden(what));
    }
    let code = strip_fence(&code);
    let parses = |code: &str| dialect.parse(code).problems().is_empty();
    if code.contains(FENCE) && !parses(code) {
        let inner = [fenced(code), Some(without_stray_fences(code))];
        if let Some(inner) = inner.into_iter().flatten().find(|inner| parses(inner)) {
            return Ok(inner);
        }
    }
    Ok(code.to_owned())
}

const FENCE: &str = "```";

fn is_fence(line: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "+-_. ".contains(c);
    let language = line.trim().strip_prefix(FENCE);
    language.is_some_and(|language| language.chars().all(plain))
}

/// What stands between the only two fences, whatever is said around them.
fn fenced(code: &str) -> Option<String> {
    let lines: Vec<&str> = code.lines().collect();
    let mut fences = lines.iter().enumerate().filter(|(_, line)| is_fence(line));
    let (open, close) = (fences.next()?.0, fences.next()?.0);
    let inner = lines.get(open + 1..close)?.join("\n") + "\n";
    fences.next().is_none().then_some(inner)
}

/// Without fences in the first and in the last line: where only one of the two was left.
fn without_stray_fences(code: &str) -> String {
    let mut lines: Vec<&str> = code.trim().lines().collect();
    if lines.first().is_some_and(|line| is_fence(line)) {
        lines.remove(0);
    }
    if lines.last().is_some_and(|line| is_fence(line)) {
        lines.pop();
    }
    lines.join("\n") + "\n"
}

fn strip_fence(code: &str) -> &str {
    let trimmed = code.trim();
    let inner = || {
        let rest = trimmed.strip_prefix(FENCE)?;
        let (language, rest) = rest.split_once('\n')?;
        let plain = |c: char| c.is_ascii_alphanumeric() || "+-_. ".contains(c);
        let rest = rest.trim_end().strip_suffix(FENCE)?;
        let alone = rest.is_empty() || rest.ends_with('\n');
        (language.trim().chars().all(plain) && alone).then_some(rest)
    };
    inner().unwrap_or(code)
}

/// What is wrong with a character that is not seen in an editor, but does something in a terminal,
/// or makes code look like other code (CVE-2021-42574). A test that needs one writes an escape.
fn unseen(c: char) -> Option<&'static str> {
    match c {
        '\n' | '\t' => None,
        c if c.is_control() => Some("a control character; write it as an escape"),
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
            Some("a character that reorders text; write it as an escape")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::go::GoDialect;

    fn cleaned(code: &str) -> String {
        clean(&GoDialect, code).unwrap()
    }

    #[test]
    fn only_a_fence_around_the_whole_goes() {
        assert_eq!(cleaned("```go\nvar x = 1\n```\n"), "var x = 1\n");
        assert_eq!(cleaned("\n```\r\nvar x int\r\n``` \r\n"), "var x int\n");
        let inside = "var x = `\n```\n`\n";
        assert_eq!(cleaned(inside), inside);
    }

    #[test]
    fn fences_that_are_left_go_where_the_code_does_not_parse_with_them() {
        assert_eq!(cleaned("```go\nvar x = 1"), "var x = 1\n");
        assert_eq!(cleaned("var x = 1\n```\n"), "var x = 1\n");
        let told = "Here is the test:\n\n```go\nvar x = 1\n```\n\nIt adds up.\n";
        assert_eq!(cleaned(told), "var x = 1\n");
        // Nothing is guessed of two answers, nor of what does not parse without fences either.
        for broken in [
            "A:\n```go\nvar x = 1\n```\nB:\n```go\nvar x = 2\n```\n.\n",
            "A:\n```go\nvar x = (\n```\nB\n",
        ] {
            assert_eq!(cleaned(broken), broken);
        }
    }

    #[test]
    fn what_is_not_seen_is_refused() {
        for hidden in [
            "\u{1b}[2J",
            "\u{7}",
            "\u{8}",
            "\u{7f}",
            "\u{9b}31m",
            "a\rb",
            "\u{202e}",
            "\u{2066}",
        ] {
            let code = format!("x = \"{hidden}\"\n");
            assert!(
                matches!(clean(&GoDialect, &code), Err(BodyProblem::Forbidden(_))),
                "{hidden:?}"
            );
        }
        let seen = "x := \"\\x1b[0m é 日本 שלום\"\n\treturn\n";
        assert_eq!(clean(&GoDialect, seen).unwrap(), seen);
    }

    #[test]
    fn nul_and_marks_are_refused() {
        let refused = |code| clean(&GoDialect, code);
        assert!(matches!(refused("a\0b"), Err(BodyProblem::Forbidden(_))));
        let marked = "// testsmith:end Cart.Total\n";
        assert!(matches!(refused(marked), Err(BodyProblem::Forbidden(_))));
    }
}
