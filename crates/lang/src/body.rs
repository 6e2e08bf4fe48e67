//! What every driver does first with a model's code.

use testsmith_domain::BodyProblem;

use crate::marks::holds_mark;
use crate::tokens::unix;

/// `code` with LF line ends, without byte order mark and without a Markdown fence around the
/// whole. Fences inside stay: they may be part of a string.
pub(crate) fn clean(code: &str) -> Result<String, BodyProblem> {
    if code.contains('\0') {
        return Err(BodyProblem::Forbidden("a NUL byte"));
    }
    if holds_mark(code) {
        return Err(BodyProblem::Forbidden("one of testsmith's marks"));
    }
    let code = unix(code.trim_start_matches('\u{feff}'));
    Ok(strip_fence(&code).to_owned())
}

fn strip_fence(code: &str) -> &str {
    let trimmed = code.trim();
    let inner = || {
        let rest = trimmed.strip_prefix("```")?;
        let (language, rest) = rest.split_once('\n')?;
        let plain = |c: char| c.is_ascii_alphanumeric() || "+-_. ".contains(c);
        let rest = rest.trim_end().strip_suffix("```")?;
        let alone = rest.is_empty() || rest.ends_with('\n');
        (language.trim().chars().all(plain) && alone).then_some(rest)
    };
    inner().unwrap_or(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_fence_around_the_whole_goes() {
        assert_eq!(clean("```go\nx := 1\n```\n").unwrap(), "x := 1\n");
        assert_eq!(clean("\n```\r\nx\r\n``` \r\n").unwrap(), "x\n");
        let inside = "x := `\n```\n`\n";
        assert_eq!(clean(inside).unwrap(), inside);
        assert_eq!(clean("```go\nx").unwrap(), "```go\nx");
    }

    #[test]
    fn nul_and_marks_are_refused() {
        assert!(matches!(clean("a\0b"), Err(BodyProblem::Forbidden(_))));
        let marked = "// testsmith:end Cart.Total\n";
        assert!(matches!(clean(marked), Err(BodyProblem::Forbidden(_))));
    }
}
