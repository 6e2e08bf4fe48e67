//! String literals: what they mean, apart from how they are quoted.

use tree_sitter::Node;

use crate::syntax::{Descend, Parsed, named_children, walk};
use crate::tokens::unix;

/// A literal's prefix in lower case, without the `u` that means nothing; never empty.
fn prefix(start: &str) -> String {
    let letters = start.trim_end_matches(['"', '\'']).to_lowercase();
    format!("{}\"", letters.replace('u', ""))
}

/// What a literal means, in a form that does not depend on quotes, on where formatters break it
/// into several side by side, or on whether it is raw. Values in it are their tokens.
pub(super) fn meaning(file: &Parsed<'_>, node: Node<'_>) -> String {
    let mut bytes = false;
    let mut out = String::new();
    let literals = if node.kind() == "concatenated_string" {
        named_children(node)
    } else {
        vec![node]
    };
    for literal in literals
        .into_iter()
        .filter(|literal| literal.kind() == "string")
    {
        let start = literal.child(0).map_or("", |start| file.of(start));
        let prefix = prefix(start);
        let quote = start.trim_start_matches(|c: char| c.is_ascii_alphabetic());
        bytes |= prefix.contains('b');
        for part in named_children(literal) {
            match part.kind() {
                "string_content" => out.push_str(&content(file.of(part), &prefix)),
                "interpolation" => out.push_str(&value_tokens(file, part)),
                // The grammar counts the backslash of `r"\""` as part of the end.
                "string_end" => {
                    let rest = file.of(part).strip_suffix(quote).unwrap_or_default();
                    out.push_str(&content(rest, &prefix));
                }
                _ => {}
            }
        }
    }
    format!("{}\"{out}", if bytes { "b" } else { "" })
}

/// The content of a literal as it would be written in one that is neither raw nor formatted, and
/// whose quotes do not occur in it.
fn content(text: &str, prefix: &str) -> String {
    let mut text = unix(text).into_owned();
    if prefix.contains('f') {
        text = text.replace("{{", "{").replace("}}", "}");
    }
    if prefix.contains('r') {
        return text.replace('\\', "\\\\");
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
            // A line that goes on.
            Some('\n') => {}
            Some(kind @ ('x' | 'u' | 'U')) => {
                let digits = match kind {
                    'x' => 2,
                    'u' => 4,
                    _ => 8,
                };
                out.extend(['\\', kind]);
                out.extend(chars.by_ref().take(digits).flat_map(char::to_lowercase));
            }
            next => {
                out.push('\\');
                out.extend(next);
            }
        }
    }
    out
}

/// The tokens of `{value!r:>8}`, each behind a character that no source text holds.
fn value_tokens(file: &Parsed<'_>, node: Node<'_>) -> String {
    let mut out = String::new();
    walk(node, |node| {
        let text = match node.kind() {
            "string" => meaning(file, node),
            // Its text is in no node of its own.
            "format_specifier" => file.of(node).to_owned(),
            _ if node.child_count() > 0 => return Descend::Yes,
            _ => file.of(node).to_owned(),
        };
        out.push('\u{1}');
        out.push_str(&text);
        Descend::No
    });
    out
}

/// The text of a literal that is one plain string and nothing else, as the program sees it as long
/// as there are no escapes in it.
pub(super) fn value<'t>(file: &Parsed<'t>, node: Node<'_>) -> Option<&'t str> {
    if node.kind() != "string" {
        return None;
    }
    let start = file.of(node.child(0)?);
    let letters = start.trim_end_matches(['"', '\'']);
    let literal = file.of(node);
    let quotes = start.len() - letters.len();
    let text = literal.get(start.len()..literal.len().checked_sub(quotes)?)?;
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
