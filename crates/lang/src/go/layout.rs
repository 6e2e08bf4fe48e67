//! What gofmt changes, also with `-s`, beside what the tokens of sources let pass.

use tree_sitter::Node;

use crate::syntax::{Parsed, children, is_comment, named_children};
use crate::tokens::{Token, comment_text};

/// How a node of a block counts; `None` if as in sources.
pub(super) fn token<'t>(file: &Parsed<'t>, node: Node<'_>) -> Option<Token<'t>> {
    let skip = match node.kind() {
        "comment" => {
            return Some(Token::Comment {
                text: comment_words(file.of(node)),
                doc: false,
            });
        }
        "(" | ")" => {
            let parent = node.parent()?;
            parent.kind() == "parenthesized_type" || is_single_result(parent)
        }
        // `for i, _ := range x` is `for i := range x`.
        "identifier" => file.of(node) == "_" && is_unused_value(file, node),
        "," => node
            .next_named_sibling()
            .is_some_and(|next| file.of(next) == "_" && is_unused_value(file, next)),
        ":=" | "=" => node.parent().is_some_and(|clause| {
            clause.kind() == "range_clause"
                && clause.child_by_field_name("left").is_some_and(|left| {
                    named_children(left)
                        .into_iter()
                        .all(|name| file.of(name) == "_")
                })
        }),
        // `x[a:len(x)]` is `x[a:]`.
        "call_expression" => is_whole_length(file, node),
        // `[]*T{&T{}}` is `[]*T{{}}`.
        "unary_expression" if is_implied_pointer(file, node) => return Some(Token::Into),
        "&" => node
            .parent()
            .is_some_and(|parent| is_implied_pointer(file, parent)),
        "type_identifier" | "qualified_type" | "generic_type" => node
            .parent()
            .and_then(|literal| literal.parent())
            .is_some_and(|unary| {
                is_implied_pointer(file, unary)
                    && unary
                        .child_by_field_name("operand")
                        .and_then(|literal| literal.child_by_field_name("type"))
                        == Some(node)
            }),
        _ => false,
    };
    skip.then_some(Token::Skip)
}

/// The words of a comment, with the marks of lists as gofmt writes them.
fn comment_words(comment: &str) -> String {
    let text = comment_text(comment);
    let words = text.split(' ').map(|word| {
        let number = word.strip_suffix([')', '.']);
        match number {
            _ if matches!(word, "*" | "+" | "\u{2022}") => "-".to_owned(),
            Some(number) if !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) => {
                format!("{number}.")
            }
            _ => word.to_owned(),
        }
    });
    words.collect::<Vec<String>>().join(" ")
}

/// `func() (int)`: the brackets around a result that is only one, and has no name.
fn is_single_result(list: Node<'_>) -> bool {
    let is_result = || {
        list.parent()
            .is_some_and(|parent| parent.child_by_field_name("result") == Some(list))
    };
    let mut parameters = named_children(list);
    parameters.retain(|node| !is_comment(*node));
    list.kind() == "parameter_list"
        && is_result()
        && matches!(parameters.as_slice(), [one] if one.kind() == "parameter_declaration"
            && one.child_by_field_name("name").is_none())
}

/// A `_` at the end of what a `range` clause assigns to.
fn is_unused_value(file: &Parsed<'_>, name: Node<'_>) -> bool {
    let left = name
        .parent()
        .filter(|left| left.kind() == "expression_list");
    let Some(left) = left else {
        return false;
    };
    let in_range = left.parent().is_some_and(|clause| {
        clause.kind() == "range_clause" && clause.child_by_field_name("left") == Some(left)
    });
    in_range
        && named_children(left)
            .into_iter()
            .skip_while(|other| *other != name)
            .all(|other| file.of(other) == "_")
}

fn is_whole_length(file: &Parsed<'_>, call: Node<'_>) -> bool {
    let Some(slice) = call.parent().filter(|p| p.kind() == "slice_expression") else {
        return false;
    };
    let plain = slice
        .child_by_field_name("operand")
        .filter(|operand| operand.kind() == "identifier");
    plain.is_some_and(|operand| {
        slice.child_by_field_name("end") == Some(call)
            && slice.child_by_field_name("capacity").is_none()
            && file.of(call) == format!("len({})", file.of(operand))
    })
}

/// `&T{}` in a literal whose elements are of type `*T`.
fn is_implied_pointer(file: &Parsed<'_>, unary: Node<'_>) -> bool {
    let of = || {
        if unary.kind() != "unary_expression" {
            return None;
        }
        let literal = unary.child_by_field_name("operand")?;
        let own = literal.child_by_field_name("type")?;
        let address = children(unary)
            .first()
            .is_some_and(|first| first.kind() == "&");
        let element = unary.parent().filter(|p| p.kind() == "literal_element")?;
        let mut value = element.parent()?;
        let mut field = "element";
        if value.kind() == "keyed_element" {
            let key = value.named_child(0) == Some(element);
            field = if key { "key" } else { "value" };
            value = value.parent()?;
        }
        let outer = value.parent().filter(|p| p.kind() == "composite_literal")?;
        let outer = outer.child_by_field_name("type")?;
        let field = if outer.kind() == "map_type" {
            field
        } else {
            "element"
        };
        let element = outer.child_by_field_name(field)?;
        let pointer = element.kind() == "pointer_type";
        let target = pointer.then(|| element.named_child(0)).flatten()?;
        (address && literal.kind() == "composite_literal").then(|| file.of(target) == file.of(own))
    };
    of().unwrap_or(false)
}
