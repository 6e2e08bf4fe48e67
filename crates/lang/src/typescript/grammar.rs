//! The three grammars, and how their nodes count for digests.

use std::borrow::Cow;

use testsmith_domain::RelPath;
use tree_sitter::{Language, Node};

use crate::syntax::{
    Descend, Parsed, children, is_comment, is_trailing_comma, named_children, walk,
};
use crate::tokens::{Token, comment_text};

/// Which grammar reads a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Grammar {
    /// `.ts`, `.mts`, `.cts`: `<T>x` is a type assertion there.
    TypeScript,
    /// `.tsx`
    Tsx,
    /// `.js`, `.mjs`, `.cjs`, `.jsx`, with JSX in all of them.
    JavaScript,
}

impl Grammar {
    /// The grammar of a file, by its extension.
    pub(super) fn of(path: &RelPath) -> Self {
        match path.extension() {
            "ts" | "mts" | "cts" => Self::TypeScript,
            "tsx" => Self::Tsx,
            _ => Self::JavaScript,
        }
    }

    /// tree-sitter's form of it.
    pub(super) fn language(self) -> Language {
        match self {
            Self::TypeScript => tree_sitter_typescript::LANGUAGE_TYPESCRIPT.into(),
            Self::Tsx => tree_sitter_typescript::LANGUAGE_TSX.into(),
            Self::JavaScript => tree_sitter_javascript::LANGUAGE.into(),
        }
    }
}

/// A copy of a file that does not parse in which the grammar can read more: without the variance
/// of type parameters (`interface Box<in out T>`, TypeScript 4.7), which it does not know. `None`
/// if there is none.
pub(super) fn readable(file: &Parsed<'_>) -> Option<String> {
    let mut blanks = Vec::new();
    if file.root().has_error() {
        walk(file.root(), |node| {
            if node.kind() == "type_parameters" && node.has_error() {
                let text = file.of(node);
                blanks.extend(variances(text).map(|at| node.start_byte() + at));
            }
            Descend::when(node.has_error())
        });
    }
    let mut bytes = file.text().as_bytes().to_vec();
    for at in &blanks {
        if let Some(byte) = bytes.get_mut(*at) {
            *byte = b' ';
        }
    }
    // Only letters were blanked out, so it is UTF-8 still.
    let text = String::from_utf8(bytes).ok()?;
    (!blanks.is_empty()).then_some(text)
}

/// Where the letters of `in` and `out` are that stand before the name of a type parameter.
fn variances(parameters: &str) -> impl Iterator<Item = usize> {
    let mut found = Vec::new();
    let mut starts = false;
    let mut at = 0;
    while let Some(rest) = parameters.get(at..).filter(|rest| !rest.is_empty()) {
        let word = rest.len() - rest.trim_start_matches(char::is_alphabetic).len();
        let step = match rest.chars().next() {
            Some('<' | ',') => {
                starts = true;
                1
            }
            Some(c) if c.is_whitespace() => c.len_utf8(),
            Some('/') if rest.starts_with("/*") => {
                rest.find("*/").map_or(rest.len(), |end| end + 2)
            }
            _ if word > 0 => {
                let (name, behind) = rest.split_at(word);
                let next = behind.trim_start();
                let named = next.len() < behind.len()
                    && next.starts_with(|c: char| c.is_alphabetic() || c == '_' || c == '$')
                    && !next.starts_with("extends ");
                if starts && named && matches!(name, "in" | "out") {
                    found.extend(at..at + word);
                } else {
                    // `const` may come before.
                    starts &= name == "const";
                }
                word
            }
            other => {
                starts = false;
                other.map_or(1, char::len_utf8)
            }
        };
        at += step;
    }
    found.into_iter()
}

/// How a node counts, so that what prettier and its like change does not: quotes, semicolons,
/// trailing commas, needless parentheses, the line breaks of JSX.
///
/// Every node that has children is a group, so that brackets can be left out where the structure
/// says what they say.
pub(super) fn token<'t>(file: &Parsed<'t>, node: Node<'_>) -> Token<'t> {
    match node.kind() {
        "comment" => {
            let text = file.of(node);
            Token::Comment {
                text: comment_text(text),
                doc: text.starts_with("/**"),
            }
        }
        "string" => string(file, node),
        "string_fragment" | "regex_pattern" => Token::Text(Cow::Borrowed(file.of(node))),
        "jsx_text" => jsx_text(file.of(node)),
        ";" | "," | "(" | ")" | "|" | "&" => punctuation(node),
        "empty_statement" if is_list(node.parent()) => Token::Skip,
        // `new Cart` is `new Cart()`.
        "arguments" if node.named_child_count() == 0 && parent_is(node, &["new_expression"]) => {
            Token::Skip
        }
        _ if node.child_count() == 0 => Token::Into,
        _ if is_transparent(node) => Token::Into,
        _ => Token::Group,
    }
}

/// Whether formatters add and take away the node around what is in it.
fn is_transparent(node: Node<'_>) -> bool {
    match node.kind() {
        // `(a?.b).c` is not `a?.b.c`.
        "parenthesized_expression" => {
            !(parent_is(
                node,
                &[
                    "member_expression",
                    "subscript_expression",
                    "call_expression",
                ],
            ) && has_optional_chain(node))
        }
        "parenthesized_type" => true,
        "formal_parameters" => parent_is(node, &["arrow_function"]),
        // A parameter that is only a name, as in `(x) => x`.
        "required_parameter" => node.child_count() == 1,
        // Of one type, behind the `|` that begins a list of several lines.
        "union_type" | "intersection_type" => {
            named_children(node)
                .iter()
                .filter(|child| !is_comment(**child))
                .count()
                == 1
        }
        _ => false,
    }
}

fn has_optional_chain(node: Node<'_>) -> bool {
    let mut next = node.named_child(0);
    while let Some(inner) = next {
        if children(inner)
            .iter()
            .any(|child| child.kind() == "optional_chain")
        {
            return true;
        }
        next = inner
            .child_by_field_name("object")
            .or_else(|| inner.child_by_field_name("function"));
    }
    false
}

pub(super) fn parent_is(node: Node<'_>, kinds: &[&str]) -> bool {
    node.parent()
        .is_some_and(|parent| kinds.contains(&parent.kind()))
}

/// Whether statements stand one after the other in `node`, so that an empty one says nothing.
fn is_list(node: Option<Node<'_>>) -> bool {
    node.is_some_and(|node| {
        matches!(
            node.kind(),
            "program" | "statement_block" | "class_body" | "switch_case" | "switch_default"
        )
    })
}

fn punctuation<'t>(node: Node<'_>) -> Token<'t> {
    let skip = match node.kind() {
        ";" => !in_loop_head(node),
        "," => {
            parent_is(node, &["object_type", "interface_body"])
                || (is_trailing_comma(node) && !makes_hole(node))
        }
        "(" | ")" => node.parent().is_some_and(|parent| {
            matches!(
                parent.kind(),
                "parenthesized_expression" | "parenthesized_type" | "formal_parameters"
            ) && is_transparent(parent)
        }),
        _ => parent_is(node, &["union_type", "intersection_type"]) && is_first(node),
    };
    if skip { Token::Skip } else { Token::Into }
}

/// Whether nothing but comments is before `node` in its parent.
fn is_first(node: Node<'_>) -> bool {
    let mut previous = node.prev_sibling();
    while let Some(comment) = previous.filter(|node| is_comment(*node)) {
        previous = comment.prev_sibling();
    }
    previous.is_none()
}

/// `for (;;)`: the semicolons no one may leave out.
fn in_loop_head(semicolon: Node<'_>) -> bool {
    let Some(parent) = semicolon.parent() else {
        return false;
    };
    if parent.kind() == "for_statement" {
        return true;
    }
    parent.parent().is_some_and(|above| {
        above.kind() == "for_statement" && above.child_by_field_name("body") != Some(parent)
    })
}

/// The last comma of `[,]` and `[a,,]` makes an element.
fn makes_hole(comma: Node<'_>) -> bool {
    let mut previous = comma.prev_sibling();
    while let Some(node) = previous.filter(|node| is_comment(*node)) {
        previous = node.prev_sibling();
    }
    previous.is_some_and(|node| matches!(node.kind(), "," | "["))
}

/// A string without regard to its quotes; a key that needs none as the bare name.
fn string<'t>(file: &Parsed<'t>, node: Node<'_>) -> Token<'t> {
    let text = file.of(node);
    let inner = text
        .get(1..text.len().saturating_sub(1))
        .unwrap_or_default();
    if is_key(node) && is_identifier(inner) {
        return Token::Text(Cow::Borrowed(inner));
    }
    let mut out = String::with_capacity(text.len());
    out.push('"');
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match (c, chars.clone().next()) {
            ('\\', Some(quote @ ('\'' | '"'))) => {
                out.push(quote);
                chars.next();
            }
            ('\\', Some(escaped)) => {
                out.extend(['\\', escaped]);
                chars.next();
            }
            _ => out.push(c),
        }
    }
    Token::Text(Cow::Owned(out))
}

pub(super) fn is_key(node: Node<'_>) -> bool {
    let field = |name| {
        node.parent()
            .and_then(|parent| parent.child_by_field_name(name))
    };
    match node.parent().map(|parent| parent.kind()) {
        Some("pair" | "pair_pattern") => field("key") == Some(node),
        Some(
            "property_signature"
            | "method_signature"
            | "abstract_method_signature"
            | "method_definition"
            | "public_field_definition",
        ) => field("name") == Some(node),
        Some("field_definition") => field("property") == Some(node),
        _ => false,
    }
}

/// Whether `text` is a name as JavaScript has them. Names with escapes are not.
pub(super) fn is_identifier(text: &str) -> bool {
    let mut chars = text.chars();
    let starts = |c: char| c.is_alphabetic() || c == '_' || c == '$';
    chars.next().is_some_and(starts) && chars.all(|c| starts(c) || c.is_alphanumeric())
}

/// Text between tags as it is shown: line breaks with their indentation are a space between words
/// and nothing at the ends.
fn jsx_text<'t>(text: &str) -> Token<'t> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let trimmed = text.trim();
    let edge = |space: &str| !space.is_empty() && !space.contains('\n');
    let (head, tail) = text.split_at(text.len() - text.trim_start().len());
    let tail = tail.strip_prefix(trimmed).unwrap_or_default();
    let mut out = words.join(" ");
    if edge(head) {
        out.insert(0, ' ');
    }
    if edge(tail) {
        out.push(' ');
    }
    if out.is_empty() {
        Token::Skip
    } else {
        Token::Text(Cow::Owned(out))
    }
}
