//! Reads a model's answer. Nothing in it is trusted.
//!
//! The answer should be `{"tests":[{"name":"…","code":"…"}]}`. What comes may be wrapped in prose,
//! fences or a chain of thought, cut anywhere, or something else altogether. The rules:
//!
//! - a byte order mark and a `<think>` section are taken off; fences and prose are not removed but
//!   passed over, by looking for the JSON value itself, so that fences inside code stay;
//! - the JSON is read strictly, but for two repairs that lose nothing (see `lexical`);
//! - a value that ends too early gives its complete elements; one that is wrong in its syntax gives
//!   nothing, since a stray quote in the code may have moved every border after it;
//! - an answer in the delimiter form gives its terminated blocks;
//! - every element must name a member that was asked for; others are dropped, and two different
//!   bodies for one member cancel each other.

mod delimited;
mod document;
mod lexical;
mod names;
mod value;

use std::fmt;

use testsmith_domain::MemberName;

/// The longest answer that is read, in bytes; as the provider clients' own bound.
const MAX_BYTES: usize = 8 << 20;

/// What was found in an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ParsedAnswer {
    /// Bodies found whole, in the order of the members asked for; at most one for each.
    pub bodies: Vec<ParsedBody>,
    /// The other members asked for, in order, and what is wrong.
    pub problems: Vec<(MemberName, AnswerProblem)>,
    /// Whether at least one test was read, be it for a member nobody asked for. If not, the model
    /// could not keep to the form, and another should be tried.
    pub readable: bool,
}

/// One member's code as the model wrote it; not yet known to parse in its language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParsedBody {
    /// The member, as it was asked for.
    pub member: MemberName,
    /// The code, never empty.
    pub code: String,
}

/// Why an answer has no body for a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AnswerProblem {
    /// The answer as a whole could not be read.
    Unreadable,
    /// The answer does not mention it, or was cut before its end.
    Absent,
    /// The answer has two different bodies for it.
    Conflicting,
    /// The answer mentions it without code, or so that the code cannot be told.
    NoCode,
}

impl fmt::Display for AnswerProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreadable => "the answer could not be read",
            Self::Absent => "the answer left it out",
            Self::Conflicting => "the answer had two different tests for it",
            Self::NoCode => "the answer had no code for it",
        })
    }
}

/// One test of an answer, before it is known whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Element {
    /// As the model wrote it; empty if it wrote none.
    name: String,
    /// `None` if there is none, or more than one.
    code: Option<String>,
}

/// Finds the tests for `members` in a model's answer.
///
/// `delimiter` is the token of the delimiter form if the answer was asked for in that form; an
/// answer in JSON is read all the same, and one in the delimiter form that nobody asked for is read
/// by the token it has. Takes time linear in the answer's length, and never gives
/// part of a body: for every cut of an answer, each body is the whole answer's or missing.
pub fn parse_answer(text: &str, members: &[MemberName], delimiter: Option<&str>) -> ParsedAnswer {
    let elements = if text.len() > MAX_BYTES {
        Vec::new()
    } else {
        let payload = without_reasoning(text);
        delimiter
            .and_then(|token| delimited::read(payload, token))
            .or_else(|| Some(document::read(payload, members)).filter(|found| !found.is_empty()))
            .or_else(|| {
                // Asked for by a token, another one is somebody else's: code in the answer, perhaps.
                let token = delimited::token_of(payload).filter(|_| delimiter.is_none())?;
                delimited::read(payload, token)
            })
            .unwrap_or_default()
    };
    names::assign(elements, members)
}

/// The answer without a byte order mark and without the model's reasoning.
///
/// Some servers drop the opening tag, because their template has it in the prompt; then a line of
/// only `</think>` ends the reasoning. No such line can be inside a JSON string.
fn without_reasoning(text: &str) -> &str {
    const CLOSING: &str = "</think>";
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.starts_with("<think>") {
        return text
            .split_once(CLOSING)
            .map_or("", |(_, rest)| rest.trim_start());
    }
    let mut end = 0;
    for line in text.split_inclusive('\n') {
        end += line.len();
        if line.trim() == CLOSING {
            return text.get(end..).unwrap_or_default().trim_start();
        }
    }
    text
}
