//! What prettier and biome change beside what the tokens of sources let pass.

use std::borrow::Cow;

use tree_sitter::Node;

use super::grammar::{is_identifier, is_key, parent_is};
use super::names::string_text;
use crate::syntax::{Parsed, named_children};
use crate::tokens::Token;

/// How a node of a block counts; `None` if as in sources.
pub(super) fn token<'t>(file: &Parsed<'t>, node: Node<'_>) -> Option<Token<'t>> {
    match node.kind() {
        "number" => Some(Token::Text(Cow::Owned(number(file.of(node))))),
        // The names of an enumeration's members.
        "string" if parent_is(node, &["enum_assignment", "enum_body"]) => {
            let text = string_text(file.of(node));
            let first = node.prev_named_sibling().is_none() || parent_is(node, &["enum_body"]);
            (first && is_identifier(text)).then_some(Token::Text(Cow::Borrowed(text)))
        }
        // Keys that are numbers.
        "string" if is_key(node) && is_number(string_text(file.of(node))) => {
            Some(Token::Text(Cow::Borrowed(string_text(file.of(node)))))
        }
        // The tables of `it.each`, whose columns are aligned.
        "string_fragment" if parent_is(node, &["template_string"]) && is_table(file, node) => {
            Some(Token::Text(Cow::Owned(one_space(file.of(node)))))
        }
        // `a && (b && c)` is `a && b && c`.
        "binary_expression" if continues(file, node) => Some(Token::Into),
        "jsx_text" => jsx_text(file, node),
        "jsx_expression" if is_space(file, node) => {
            let beside = [
                beside(file, node, Node::prev_sibling),
                beside(file, node, Node::next_sibling),
            ];
            let has_text = beside
                .into_iter()
                .flatten()
                .any(|other| is_text(file, other));
            Some(if has_text {
                Token::Skip
            } else {
                Token::Text(Cow::Borrowed(" "))
            })
        }
        _ => None,
    }
}

/// A number in lower case, with a digit before its point, none that says nothing behind it, and no
/// plus in its exponent.
fn number(text: &str) -> String {
    let text = text.to_lowercase();
    if text.starts_with("0x") || !text.contains(['.', 'e']) {
        return text;
    }
    let (digits, exponent) = match text.split_once('e') {
        Some((digits, exponent)) => (digits, Some(exponent.trim_start_matches('+'))),
        None => (text.as_str(), None),
    };
    let digits = match digits.split_once('.') {
        Some((whole, fraction)) => {
            let whole = if whole.is_empty() { "0" } else { whole };
            match fraction.trim_end_matches('0') {
                "" => whole.to_owned(),
                fraction => format!("{whole}.{fraction}"),
            }
        }
        None => digits.to_owned(),
    };
    exponent.map_or(digits.clone(), |exponent| format!("{digits}e{exponent}"))
}

/// Whether a number is written as JavaScript writes it itself.
fn is_number(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
        && text
            .parse()
            .is_ok_and(|number: f64| number.to_string() == text)
}

fn is_table(file: &Parsed<'_>, fragment: Node<'_>) -> bool {
    let call = fragment.parent().and_then(|template| template.parent());
    call.filter(|call| call.kind() == "call_expression")
        .and_then(|call| file.field(call, "function"))
        .is_some_and(|function| function.rsplit('.').next() == Some("each"))
}

/// White space of any kind as single spaces.
fn one_space(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    format!(" {} ", words.join(" "))
}

/// Whether a logical expression stands directly in one with the same operator.
fn continues(file: &Parsed<'_>, node: Node<'_>) -> bool {
    let operator = file.field(node, "operator");
    let mut above = node.parent();
    while let Some(brackets) = above.filter(|above| above.kind() == "parenthesized_expression") {
        above = brackets.parent();
    }
    matches!(operator, Some("&&" | "||" | "??"))
        && above.is_some_and(|above| {
            above.kind() == "binary_expression" && file.field(above, "operator") == operator
        })
}

/// Text between tags, with a space at an end where one is shown: `{' '}` is one.
fn jsx_text<'t>(file: &Parsed<'t>, node: Node<'_>) -> Option<Token<'t>> {
    let text = file.of(node);
    if text.trim().is_empty() {
        return None;
    }
    let edge = |space: &str| !space.is_empty() && !space.contains('\n');
    let head = text.len() - text.trim_start().len();
    let tail = text.trim_end().len();
    let spaced = |at: Option<Node<'_>>| at.is_some_and(|other| is_space(file, other));
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut out = words.join(" ");
    if edge(text.get(..head)?) || spaced(beside(file, node, Node::prev_sibling)) {
        out.insert(0, ' ');
    }
    if edge(text.get(tail..)?) || spaced(beside(file, node, Node::next_sibling)) {
        out.push(' ');
    }
    Some(Token::Text(Cow::Owned(out)))
}

/// The sibling on one side that shows something.
fn beside<'n>(
    file: &Parsed<'_>,
    node: Node<'n>,
    step: impl Fn(&Node<'n>) -> Option<Node<'n>>,
) -> Option<Node<'n>> {
    let mut next = step(&node);
    while let Some(blank) = next.filter(|next| {
        let text = file.of(*next);
        next.kind() == "jsx_text" && text.trim().is_empty() && text.contains('\n')
    }) {
        next = step(&blank);
    }
    next
}

fn is_text(file: &Parsed<'_>, node: Node<'_>) -> bool {
    node.kind() == "jsx_text" && !file.of(node).trim().is_empty()
}

/// `{' '}`
fn is_space(file: &Parsed<'_>, node: Node<'_>) -> bool {
    let inner = named_children(node);
    node.kind() == "jsx_expression"
        && matches!(inner.as_slice(), [one] if one.kind() == "string"
            && string_text(file.of(*one)) == " ")
}
