//! Finds the one JSON value in an answer and the tests in it.

use serde_json::error::Category;
use testsmith_domain::MemberName;

use super::lexical::{self, Extent};
use super::value::{self, Value};
use super::{Element, names};

/// How many places that look like JSON are tried.
const MAX_CANDIDATES: u32 = 8;

/// The names that models give to the list of tests, to a test's member and to its code; the first
/// of each is the one that is asked for.
const LIST: &[&str] = &["tests", "items", "results"];
const NAME: &[&str] = &["name", "member", "id"];
const CODE: &[&str] = &["code", "content", "body", "test_code"];

/// The tests of an answer; none if it cannot be read or says two different things.
pub(super) fn read(text: &str, members: &[MemberName]) -> Vec<Element> {
    if let Ok(value) = value::strict(text) {
        return interpret(value, members, true).unwrap_or_default();
    }
    scan(text, members).unwrap_or_default()
}

/// What a place that looks like JSON turned out to be.
enum Candidate {
    /// Tests.
    Tests(Vec<Element>),
    /// Tests, the last of them cut.
    Cut(Vec<Element>),
    /// Something else: an example in the prose, a literal in code.
    Foreign,
    /// Meant to be tests, but wrong: nothing after it can be trusted either.
    Broken,
}

/// Looks for the tests in text that has something else around them. `None` if it is broken, or
/// there are two that differ.
fn scan(text: &str, members: &[MemberName]) -> Option<Vec<Element>> {
    let mut found: Option<Vec<Element>> = None;
    let mut at = 0;
    for _ in 0..MAX_CANDIDATES {
        let Some(start) = next_opening(text, at) else {
            break;
        };
        if found.is_some() && ends_a_string(text.get(at..start)?) {
            return None;
        }
        let rest = text.get(start..)?;
        let extent = lexical::extent(rest);
        let slice = match extent {
            Extent::Closed(length) => rest.get(..length)?,
            Extent::Open | Extent::Broken => rest,
        };
        let mut candidate = classify(slice, members);
        if matches!(candidate, Candidate::Tests(_)) && continues(rest.get(slice.len()..)?) {
            candidate = Candidate::Broken;
        }
        match candidate {
            Candidate::Tests(tests) if found.as_ref().is_none_or(|earlier| *earlier == tests) => {
                found = Some(tests);
            }
            Candidate::Cut(tests) if found.is_none() => return Some(tests),
            Candidate::Foreign => {}
            Candidate::Tests(_) | Candidate::Cut(_) | Candidate::Broken => return None,
        }
        at = match extent {
            Extent::Closed(length) => start + length,
            Extent::Open | Extent::Broken => start + 1,
        };
    }
    found.filter(|_| !ends_a_string(text.get(at..).unwrap_or_default()))
}

/// The next bracket at or after `from` that can begin an answer: `{"` or `[{"`, white space aside.
/// Prose and code are full of others.
fn next_opening(text: &str, from: usize) -> Option<usize> {
    let rest = text.get(from..)?;
    rest.match_indices(['{', '['])
        .map(|(at, _)| at)
        .find(|at| rest.get(*at..).and_then(first_key).is_some())
        .map(|at| from + at)
}

/// The text after the quote that opens the first key of an object or of a list's first object.
fn first_key(slice: &str) -> Option<&str> {
    let object = slice.strip_prefix('[').map_or(slice, str::trim_start);
    object.strip_prefix('{')?.trim_start().strip_prefix('"')
}

/// Whether what follows a value on its line shows that it did not end there, as when a quote in
/// code was not escaped.
fn continues(after: &str) -> bool {
    after
        .trim_start()
        .starts_with(['"', ',', ':', ']', '}', '\\'])
}

/// Whether text outside of all values has the end of one, `"}` or `"]`: then a value that seemed
/// whole ended in the middle of its code, and this is the rest of it.
fn ends_a_string(outside: &str) -> bool {
    outside.match_indices('"').any(|(at, _)| {
        let after = outside.get(at + 1..).unwrap_or_default();
        after.trim_start().starts_with(['}', ']'])
    })
}

fn classify(slice: &str, members: &[MemberName]) -> Candidate {
    let mended;
    let (text, result) = match value::strict(slice) {
        Err(error) if error.classify() != Category::Eof => match lexical::mended(slice) {
            Some(text) => {
                mended = text;
                (mended.as_str(), value::strict(&mended))
            }
            None => (slice, Err(error)),
        },
        result => (slice, result),
    };
    match result {
        Ok(value) => interpret(value, members, true).map_or(Candidate::Foreign, Candidate::Tests),
        Err(_) if !looks_like_tests(slice, members) => Candidate::Foreign,
        Err(error) if error.classify() == Category::Eof => {
            let elements = lexical::completed(text)
                .and_then(|text| value::strict(&text).ok())
                .and_then(|value| interpret(value, members, false));
            Candidate::Cut(elements.unwrap_or_default())
        }
        Err(_) => Candidate::Broken,
    }
}

/// Whether a value that does not parse was meant to be the answer: its first key is one of ours or
/// a member.
fn looks_like_tests(slice: &str, members: &[MemberName]) -> bool {
    let Some(key) = first_key(slice).and_then(|text| text.split('"').next()) else {
        return false;
    };
    [LIST, NAME, CODE].iter().any(|table| is_one_of(key, table))
        || names::resolve(key, members).is_some()
}

/// Reads a value as tests. `whole` is false for one that was cut: a lone test is not taken from it
/// then, as its end was not seen.
fn interpret(value: Value, members: &[MemberName], whole: bool) -> Option<Vec<Element>> {
    match value {
        Value::List(items) => elements(items),
        Value::Object(mut pairs) => match field(&pairs, LIST) {
            Field::One(at) => match pairs.swap_remove(at).1 {
                Value::List(items) => elements(items),
                Value::Object(pairs) => by_name(pairs, members),
                Value::Text(_) | Value::Other => None,
            },
            Field::Many => None,
            Field::None => {
                let lone = |table| !matches!(field(&pairs, table), Field::None);
                if lone(NAME) && lone(CODE) {
                    whole.then(|| vec![element(pairs)])
                } else {
                    by_name(pairs, members)
                }
            }
        },
        Value::Text(_) | Value::Other => None,
    }
}

/// The tests of a list; all of its items must be objects.
fn elements(items: Vec<Value>) -> Option<Vec<Element>> {
    let elements: Vec<Element> = items
        .into_iter()
        .map(|item| match item {
            Value::Object(pairs) => Some(element(pairs)),
            Value::Text(_) | Value::List(_) | Value::Other => None,
        })
        .collect::<Option<_>>()?;
    let named = elements.iter().any(|element| !element.name.is_empty());
    named.then_some(elements)
}

fn element(mut pairs: Vec<(String, Value)>) -> Element {
    let mut take = |table| match field(&pairs, table) {
        Field::One(at) => match pairs.swap_remove(at).1 {
            Value::Text(text) => Some(text),
            Value::List(_) | Value::Object(_) | Value::Other => None,
        },
        Field::None | Field::Many => None,
    };
    Element {
        name: take(NAME).unwrap_or_default(),
        code: take(CODE),
    }
}

/// An object from members to code. All of its keys must be members that were asked for, or it is
/// something else.
fn by_name(pairs: Vec<(String, Value)>, members: &[MemberName]) -> Option<Vec<Element>> {
    if pairs.is_empty() {
        return None;
    }
    pairs
        .into_iter()
        .map(|(name, value)| match value {
            Value::Text(code) if names::resolve(&name, members).is_some() => Some(Element {
                name,
                code: Some(code),
            }),
            _ => None,
        })
        .collect()
}

/// Where an object has a field, under any of its names.
enum Field {
    None,
    One(usize),
    /// More than once, so that it cannot be told which is meant.
    Many,
}

fn field(pairs: &[(String, Value)], table: &[&str]) -> Field {
    let mut found = pairs
        .iter()
        .enumerate()
        .filter(|(_, (key, _))| is_one_of(key, table));
    match (found.next(), found.next()) {
        (None, _) => Field::None,
        (Some((at, _)), None) => Field::One(at),
        (Some(_), Some(_)) => Field::Many,
    }
}

fn is_one_of(key: &str, table: &[&str]) -> bool {
    table.iter().any(|name| key.eq_ignore_ascii_case(name))
}
