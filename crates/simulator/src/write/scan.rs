//! What the scanners of all languages share: blanking, brackets, lists.

use std::ops::Range;

/// How strings and comments look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    Go,
    Python,
    /// TypeScript and JavaScript.
    Script,
}

/// A source text with a blanked twin: of the same length in bytes, strings and comments replaced
/// by spaces, line ends kept. What is found in one is taken from the other.
#[derive(Debug)]
pub(super) struct Source<'a> {
    pub text: &'a str,
    pub blank: String,
}

impl<'a> Source<'a> {
    pub(super) fn new(text: &'a str, dialect: Dialect) -> Self {
        Self {
            text,
            blank: blank(text, dialect),
        }
    }

    /// The text of a range, trimmed.
    pub(super) fn slice(&self, range: Range<usize>) -> &'a str {
        self.text.get(range).unwrap_or_default().trim()
    }

    /// The bracket that closes the one at `open`.
    pub(super) fn closing(&self, open: usize) -> Option<usize> {
        closing(&self.blank, open)
    }

    /// The parts of a range between separators outside of brackets, as ranges.
    pub(super) fn parts(&self, range: Range<usize>, separator: u8) -> Vec<Range<usize>> {
        parts(&self.blank, range, separator)
    }

    /// Whether the code, apart from strings and comments, holds any of `words` within `range`.
    pub(super) fn holds_any(&self, range: Range<usize>, words: &[&str]) -> bool {
        let code = self.blank.get(range).unwrap_or_default();
        words.iter().any(|word| has_word(code, word))
    }
}

/// Whether `code` holds `word` not as a part of a longer name.
fn has_word(code: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).any(|(at, _)| {
        let begins = word.starts_with(part);
        let ends = word.ends_with(part);
        let goes_on = (begins && code[..at].ends_with(part))
            || (ends && code[at + word.len()..].starts_with(part));
        !goes_on
    })
}

/// The bracket that closes the one at `open`, in blanked text.
pub(super) fn closing(blank: &str, open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, byte) in blank.bytes().enumerate().skip(open) {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

/// The parts of a range between separators outside of brackets. `<…>` counts as brackets, but for
/// the arrow `=>` and for comparisons, which stand between spaces.
pub(super) fn parts(blank: &str, range: Range<usize>, separator: u8) -> Vec<Range<usize>> {
    let bytes = blank.as_bytes();
    let mut found = Vec::new();
    let mut depth = 0_isize;
    let mut start = range.start;
    for at in range.clone() {
        let before = at.checked_sub(1).map(|at| bytes[at]);
        match bytes[at] {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth -= 1,
            b'<' if before != Some(b' ') => depth += 1,
            b'>' if before != Some(b'=') && before != Some(b' ') => depth -= 1,
            byte if byte == separator && depth == 0 => {
                found.push(start..at);
                start = at + 1;
            }
            _ => {}
        }
    }
    found.push(start..range.end);
    found.retain(|part| !blank[part.clone()].trim().is_empty());
    found
}

/// The length of the name at the start of `text`.
pub(super) fn name_length(text: &str) -> usize {
    text.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$'))
        .unwrap_or(text.len())
}

/// Replaces strings and comments by spaces.
fn blank(text: &str, dialect: Dialect) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let Some(end) = token_end(bytes, at, dialect, &out) else {
            // Letters beyond ASCII stay letters.
            out.push(if bytes[at].is_ascii() {
                bytes[at]
            } else {
                b'z'
            });
            at += 1;
            continue;
        };
        let end = end.min(bytes.len());
        // A string or regular expression is still something: quotes stay, so that `f("")` has an
        // argument.
        let comment = matches!(bytes[at..end], [b'#', ..] | [b'/', b'/' | b'*', ..]);
        out.extend(bytes[at..end].iter().map(|byte| match byte {
            b'\n' => b'\n',
            _ => b' ',
        }));
        if !comment && end > at + 1 {
            out[at] = b'"';
            out[end - 1] = b'"';
        }
        at = end;
    }
    String::from_utf8(out).unwrap_or_default()
}

/// The end of the string or comment that starts at `at`.
fn token_end(bytes: &[u8], at: usize, dialect: Dialect, before: &[u8]) -> Option<usize> {
    let rest = &bytes[at..];
    match (dialect, rest) {
        (Dialect::Python, [b'#', ..]) | (Dialect::Go | Dialect::Script, [b'/', b'/', ..]) => {
            Some(at + line_length(rest))
        }
        (Dialect::Go | Dialect::Script, [b'/', b'*', ..]) => {
            Some(at + 2 + find(&rest[2..], b"*/").map_or(rest.len(), |end| end + 2))
        }
        (Dialect::Python, [a @ (b'"' | b'\''), b, c, ..]) if a == b && b == c => {
            Some(at + 3 + find(&rest[3..], &[*a; 3]).map_or(rest.len(), |end| end + 3))
        }
        (Dialect::Go, [b'`', ..]) => {
            Some(at + 1 + find(&rest[1..], b"`").map_or(rest.len(), |end| end + 1))
        }
        (Dialect::Script, [b'`', ..]) => Some(template_end(bytes, at)),
        (_, [quote @ (b'"' | b'\''), ..]) => Some(string_end(bytes, at, *quote)),
        (Dialect::Script, [b'/', ..]) if regex_may_start(before) => Some(regex_end(bytes, at)),
        _ => None,
    }
}

fn line_length(rest: &[u8]) -> usize {
    find(rest, b"\n").unwrap_or(rest.len())
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

fn string_end(bytes: &[u8], at: usize, quote: u8) -> usize {
    let mut end = at + 1;
    while let Some(byte) = bytes.get(end) {
        match *byte {
            b'\\' => end += 2,
            b'\n' => return end,
            byte if byte == quote => return end + 1,
            _ => end += 1,
        }
    }
    bytes.len()
}

/// The end of a template literal, with what is nested in it.
fn template_end(bytes: &[u8], at: usize) -> usize {
    let mut end = at + 1;
    while let Some(byte) = bytes.get(end) {
        match (*byte, bytes.get(end + 1)) {
            (b'\\', _) => end += 2,
            (b'`', _) => return end + 1,
            (b'$', Some(b'{')) => {
                let mut depth = 1;
                end += 2;
                while depth > 0 && end < bytes.len() {
                    match bytes[end] {
                        b'{' => depth += 1,
                        b'}' => depth -= 1,
                        b'`' => end = template_end(bytes, end) - 1,
                        _ => {}
                    }
                    end += 1;
                }
            }
            _ => end += 1,
        }
    }
    bytes.len()
}

/// Whether a slash after this code starts a regular expression and is no division.
fn regex_may_start(before: &[u8]) -> bool {
    let code = before.trim_ascii_end();
    code.ends_with(b"return")
        || code
            .last()
            .is_none_or(|byte| b"(,=:[!&|?{};+-*%<>~^".contains(byte))
}

fn regex_end(bytes: &[u8], at: usize) -> usize {
    let mut end = at + 1;
    let mut class = false;
    while let Some(byte) = bytes.get(end) {
        match *byte {
            b'\\' => end += 1,
            b'[' => class = true,
            b']' => class = false,
            b'\n' => return end,
            b'/' if !class => return end + 1,
            _ => {}
        }
        end += 1;
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(dialect: Dialect, text: &str, expected: &str) {
        assert_eq!(blank(text, dialect), expected);
    }

    #[test]
    fn strings_and_comments_are_blanked() {
        check(
            Dialect::Go,
            "a(`{`, '}') // {\nb",
            "a(\" \", \" \")     \nb",
        );
        check(Dialect::Go, r#"f("\"{") /* { */"#, "f(\"   \")        ");
        check(Dialect::Python, "x = '''{\n'''# {", "x = \"   \n  \"   ");
        check(
            Dialect::Script,
            "`${ `{` }{` + /[/{]/ / 2",
            "\"         \" + \"    \" / 2",
        );
    }

    #[test]
    fn lists_are_split_outside_of_brackets() {
        let text = "a: Map<string, number>, b = (x, y) => [1, 2], c";
        let found: Vec<_> = parts(text, 0..text.len(), b',')
            .into_iter()
            .map(|part| text[part].trim())
            .collect();
        assert_eq!(
            found,
            ["a: Map<string, number>", "b = (x, y) => [1, 2]", "c"]
        );
    }

    #[test]
    fn names_are_found_whole() {
        let source = Source::new("strand(x) // rand", Dialect::Go);
        assert!(!source.holds_any(0..17, &["rand"]));
        assert!(source.holds_any(0..17, &["strand(", "x"]));
    }
}
