//! String literals: what they mean, apart from how they are quoted.

use std::borrow::Cow;

use tree_sitter::Node;

use crate::syntax::{Parsed, is_comment, named_children};

/// A literal's prefix in lower case, without the `u` that means nothing; never empty.
pub(super) fn prefix(start: &str) -> String {
    let letters = start.trim_end_matches(['"', '\'']).to_lowercase();
    format!("{}\"", letters.replace('u', ""))
}

/// Whether `content` belongs to a raw string.
pub(super) fn is_raw(file: &Parsed<'_>, content: Node<'_>) -> bool {
    let start = content.parent().and_then(|string| string.child(0));
    start.is_some_and(|start| prefix(file.of(start)).contains('r'))
}

/// The content of a literal, without the backslashes that only its quotes made necessary.
pub(super) fn content(text: &str, raw: bool) -> Cow<'_, str> {
    if raw || !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some(quote @ ('"' | '\'')) => out.push(quote),
            next => {
                out.push('\\');
                out.extend(next);
            }
        }
    }
    Cow::Owned(out)
}

/// Prefix and content of a literal, or of several side by side that have the same prefix; `None`
/// if there are values in it.
pub(super) fn plain(file: &Parsed<'_>, node: Node<'_>) -> Option<String> {
    if node.kind() == "concatenated_string" {
        let parts: Vec<Node<'_>> = named_children(node)
            .into_iter()
            .filter(|part| !is_comment(*part))
            .collect();
        let mut out: Option<String> = None;
        for part in parts {
            let text = plain(file, part)?;
            match &mut out {
                None => out = Some(text),
                Some(all) => {
                    let at = text.find('"')? + 1;
                    if all.get(..at) != text.get(..at) {
                        return None;
                    }
                    all.push_str(text.get(at..)?);
                }
            }
        }
        return out;
    }
    let mut out = prefix(file.of(node.child(0)?));
    let raw = out.contains('r');
    for part in named_children(node) {
        match part.kind() {
            "string_content" => out.push_str(&content(file.of(part), raw)),
            "interpolation" => return None,
            _ => {}
        }
    }
    Some(out)
}

/// The text of a literal that is one plain string and nothing else, as the program sees it as long
/// as there are no escapes in it.
pub(super) fn value<'t>(file: &Parsed<'t>, node: Node<'_>) -> Option<&'t str> {
    if node.kind() != "string" {
        return None;
    }
    let start = file.of(node.child(0)?);
    let letters = start.trim_end_matches(['"', '\'']);
    let inner = named_children(node);
    let text = match inner.as_slice() {
        [_, content, _] if content.kind() == "string_content" => file.of(*content),
        [_, _] => "",
        _ => return None,
    };
    let simple = matches!(letters, "" | "r" | "R" | "u" | "U") && !text.contains('\\');
    simple.then_some(text)
}

/// The words of a docstring's literal: quotes gone, indentation taken off as `inspect.cleandoc`
/// does.
pub(super) fn docstring(literal: &str) -> String {
    let inner = literal.trim_start_matches(|c: char| c.is_ascii_alphabetic());
    let quotes = ["\"\"\"", "'''", "\"", "'"];
    let inner = quotes
        .iter()
        .find_map(|quote| inner.strip_prefix(quote)?.strip_suffix(quote))
        .unwrap_or(inner);
    let indent = inner
        .lines()
        .skip(1)
        .filter(|line| !line.trim().is_empty())
        .map(|line| line.len() - line.trim_start().len())
        .min()
        .unwrap_or(0);
    let lines: Vec<&str> = inner
        .lines()
        .enumerate()
        .map(|(index, line)| match index {
            0 => line.trim(),
            _ => line.get(indent..).unwrap_or_default().trim_end(),
        })
        .collect();
    lines.join("\n").trim().to_owned()
}
