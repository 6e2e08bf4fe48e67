//! What can be told of JSON text without parsing it: where strings, brackets and commas are.
//!
//! All structure of JSON is ASCII, and no byte of a longer UTF-8 sequence is ASCII, so bytes are
//! looked at and every border found is one between characters.

use std::fmt::Write as _;

/// The deepest nesting that is followed, as `serde_json`'s own.
const MAX_DEPTH: usize = 128;

/// Where a bracketed value ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// After this many bytes.
    Closed(usize),
    /// The text ends first.
    Open,
    /// Brackets do not pair, or are too deep.
    Broken,
}

/// Follows the strings and brackets of JSON text.
#[derive(Debug, Default)]
struct Walker {
    in_string: bool,
    escaped: bool,
    open: Vec<u8>,
}

/// What one byte was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    /// Part of a string, or one of its quotes.
    InString,
    /// A bracket that closed what it should.
    Close,
    Comma,
    /// A bracket that does not pair, or one too many.
    Wrong,
    /// Anything else.
    Plain,
}

impl Walker {
    fn step(&mut self, byte: u8) -> Token {
        if self.in_string {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_string = false,
                _ => {}
            }
            return Token::InString;
        }
        match byte {
            b'"' => {
                self.in_string = true;
                Token::InString
            }
            b'{' | b'[' if self.open.len() == MAX_DEPTH => Token::Wrong,
            b'{' | b'[' => {
                self.open.push(byte);
                Token::Plain
            }
            b'}' | b']' => {
                let wanted = if byte == b'}' { b'{' } else { b'[' };
                if self.open.pop() == Some(wanted) {
                    Token::Close
                } else {
                    Token::Wrong
                }
            }
            b',' => Token::Comma,
            _ => Token::Plain,
        }
    }
}

/// Finds the end of the value that `text` begins with, which must be an opening bracket.
pub(super) fn extent(text: &str) -> Extent {
    let mut walker = Walker::default();
    for (at, byte) in text.bytes().enumerate() {
        match walker.step(byte) {
            Token::Wrong => return Extent::Broken,
            Token::Close if walker.open.is_empty() => return Extent::Closed(at + 1),
            _ => {}
        }
    }
    Extent::Open
}

/// The text with two faults mended that lose nothing: raw control characters in strings become
/// escapes, and a comma before a closing bracket goes. `None` if there is neither.
pub(super) fn mended(text: &str) -> Option<String> {
    let mut walker = Walker::default();
    let mut out = String::with_capacity(text.len() + text.len() / 16);
    let mut changed = false;
    for (at, c) in text.char_indices() {
        // A control character after a backslash is no escape and stays a fault: what it stands for
        // cannot be told.
        let escaped = walker.escaped;
        // Bytes above ASCII mean nothing to the walker, in a string or outside.
        let token = walker.step(u8::try_from(c).unwrap_or(b'x'));
        if token == Token::InString && c < ' ' && !escaped {
            changed = true;
            // Cannot fail: writing to a string never does.
            let _ = write!(out, "\\u{:04x}", u32::from(c));
        } else if token == Token::Comma && closes_next(text.get(at + 1..).unwrap_or_default()) {
            changed = true;
        } else {
            out.push(c);
        }
    }
    changed.then_some(out)
}

fn closes_next(rest: &str) -> bool {
    rest.trim_start().starts_with(['}', ']'])
}

/// A value that ends too early, closed after its last complete part: an element of a list at the
/// top or of one that the top object holds, or a pair of the top object or of one it holds.
///
/// Only for text that `serde_json` found correct as far as it goes. `None` if nothing is complete.
pub(super) fn completed(text: &str) -> Option<String> {
    let mut walker = Walker::default();
    let mut cut = None;
    for (at, byte) in text.bytes().enumerate() {
        let end = match walker.step(byte) {
            Token::Close => at + 1,
            Token::Comma => at,
            _ => continue,
        };
        let closers = match walker.open.as_slice() {
            b"[" => "]",
            b"{" => "}",
            b"{[" => "]}",
            b"{{" => "}}",
            _ => continue,
        };
        cut = Some((end, closers));
    }
    let (end, closers) = cut?;
    Some(format!("{}{closers}", text.get(..end)?))
}
