//! What holds of every answer, whatever is in it. The fuzz targets and a test call these.

use std::fmt::Write as _;

use testsmith_domain::MemberName;

use crate::parse::{ParsedAnswer, parse_answer};

/// The members that are asked for.
const NAMES: [&str; 2] = ["Cart.Total", "Add"];
/// The token of the delimiter form.
const TOKEN: &str = "n0nce";
/// How many cuts of an answer are looked at.
const CUTS: usize = 24;

fn members() -> [MemberName; 2] {
    NAMES.map(MemberName::from)
}

/// A model's answer in JSON, or meant to be: `data` is once the answer, and once the code in a good
/// one.
pub fn batch_answer(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for delimiter in [None, Some(TOKEN)] {
        check(&text, &parse_answer(&text, &members(), delimiter));
    }
    let Some(codes) = codes(&text) else { return };
    let tests: Vec<_> = NAMES
        .iter()
        .zip(codes)
        .map(|(name, code)| serde_json::json!({"name": name, "code": code}))
        .collect();
    let object = serde_json::json!({ "tests": tests });
    let answers = [
        object.to_string(),
        serde_json::to_string_pretty(&object).unwrap_or_default(),
        format!("Sure:\n```json\n{object}\n```\n"),
    ];
    for answer in answers {
        assert_eq!(read(&answer, None), wanted(codes), "{answer}");
        no_cut_gives_half(&answer, None, codes);
    }
}

/// A model's answer in the delimiter form, or meant to be: `data` is once the answer, and once the
/// code in a good one.
pub fn delimiter_form(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    check(&text, &parse_answer(&text, &members(), Some(TOKEN)));
    check(&text, &parse_answer(&text, &members(), None));
    let Some(codes) = codes(&text) else { return };
    // The token is drawn at random, so that no code has it. A line of only `</think>` is taken for
    // the end of a model's thoughts.
    if text.contains(TOKEN) || text.lines().any(|line| line.trim() == "</think>") {
        return;
    }
    let mut answer = String::new();
    for (name, code) in NAMES.iter().zip(codes) {
        let _ = write!(
            answer,
            "<<<TS:{TOKEN}:{name}>>>\n{code}\n<<<END:{TOKEN}>>>\n"
        );
    }
    let codes = codes.map(|code| code.trim_end_matches(['\r', '\n']));
    assert_eq!(read(&answer, Some(TOKEN)), wanted(codes), "{answer}");
    no_cut_gives_half(&answer, Some(TOKEN), codes);
}

/// `text` as two pieces of code, if it has two that are not empty.
fn codes(text: &str) -> Option<[&str; 2]> {
    let (first, second) = text.split_once('\0')?;
    let codes = [first, second];
    codes
        .iter()
        .all(|code| !code.trim().is_empty())
        .then_some(codes)
}

fn wanted(codes: [&str; 2]) -> Vec<(String, String)> {
    let pairs = NAMES.iter().zip(codes);
    pairs
        .map(|(name, code)| ((*name).to_owned(), code.to_owned()))
        .collect()
}

fn read(answer: &str, delimiter: Option<&str>) -> Vec<(String, String)> {
    parse_answer(answer, &members(), delimiter)
        .bodies
        .into_iter()
        .map(|body| (body.member.to_string(), body.code))
        .collect()
}

/// Each member has one body or one reason, and no code is made up.
fn check(text: &str, answer: &ParsedAnswer) {
    let mut named: Vec<&str> = answer.bodies.iter().map(|b| b.member.as_str()).collect();
    named.extend(answer.problems.iter().map(|(member, _)| member.as_str()));
    named.sort_unstable();
    assert_eq!(named, ["Add", "Cart.Total"]);
    for body in &answer.bodies {
        assert!(answer.readable && !body.code.trim().is_empty());
        // Every escape is longer than what it stands for.
        assert!(body.code.len() <= text.len());
        let plain = body.code.split(|c: char| !c.is_ascii_alphanumeric());
        let longest = plain.max_by_key(|word| word.len()).unwrap_or_default();
        assert!(text.contains(longest) || text.contains("\\u"));
    }
}

/// Wherever an answer is cut, each body is whole or missing, and a longer piece gives no fewer.
fn no_cut_gives_half(answer: &str, delimiter: Option<&str>, codes: [&str; 2]) {
    let wanted = wanted(codes);
    let mut most = 0;
    for step in 0..CUTS {
        let end = answer.floor_char_boundary(answer.len() * step / CUTS);
        let Some(cut) = answer.get(..end) else { return };
        let found = read(cut, delimiter);
        assert!(found.iter().all(|body| wanted.contains(body)), "{cut}");
        assert!(found.len() >= most, "{cut}");
        most = found.len();
    }
}

#[cfg(test)]
#[path = "../../../fuzz/replay.rs"]
mod replay;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_corpus_of_batch_answers_holds() {
        super::replay::replay("batch_answer", batch_answer);
    }

    #[test]
    fn the_corpus_of_the_delimiter_form_holds() {
        super::replay::replay("delimiter_form", delimiter_form);
    }
}
