//! The delimiter form: code between marks that hold a random token, so that no code can hold them.

use super::Element;

/// The token of the first opening mark in `text`.
pub(super) fn token_of(text: &str) -> Option<&str> {
    let mut marks = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("<<<TS:"));
    let (token, _name) = marks.next()?.strip_suffix(">>>")?.split_once(':')?;
    Some(token)
}

/// The blocks of `text`, or `None` if it has no opening mark at all.
///
/// A mark must be alone on its line. A block without its closing mark is dropped, whether the text
/// ends or the next block begins.
pub(super) fn read(text: &str, token: &str) -> Option<Vec<Element>> {
    let opening = format!("<<<TS:{token}:");
    let closing = format!("<<<END:{token}>>>");
    let mut elements = Vec::new();
    let mut seen = false;
    let mut block: Option<(&str, usize)> = None;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let start = at;
        at += line.len();
        let mark = line.trim();
        if let Some(name) = mark
            .strip_prefix(&opening)
            .and_then(|rest| rest.strip_suffix(">>>"))
        {
            seen = true;
            block = Some((name, at));
        } else if mark == closing
            && let Some((name, begin)) = block.take()
        {
            let code = text.get(begin..start).unwrap_or_default();
            elements.push(Element {
                name: name.to_owned(),
                code: Some(code.trim_end_matches(['\r', '\n']).to_owned()),
            });
        }
    }
    seen.then_some(elements)
}
