//! Classes, taken apart into their skeleton and their methods.

use tree_sitter::Node;

use super::definitions::callable;
use super::grammar::is_identifier;
use super::names::{is_function, string_text};
use crate::syntax::{Parsed, children, comments_above, is_comment, named_children};

/// A method and what belongs to it.
pub(super) struct ClassMember<'n> {
    pub(super) name: String,
    /// Comments and decorators first, for overloads and accessor pairs several times.
    pub(super) nodes: Vec<Node<'n>>,
    /// The methods themselves.
    pub(super) parts: Vec<Node<'n>>,
    /// Whether tests may call it.
    pub(super) public: bool,
}

/// What of a class body can be called by a name, in file order. One member for all overloads, for
/// getter and setter, and for a static method of the same name.
pub(super) fn class_members<'n>(file: &Parsed<'_>, body: Node<'n>) -> Vec<ClassMember<'n>> {
    let mut members: Vec<ClassMember<'n>> = Vec::new();
    let mut decorators: Vec<Node<'n>> = Vec::new();
    for node in named_children(body) {
        if node.kind() == "decorator" {
            decorators.push(node);
            continue;
        }
        if is_comment(node) {
            continue;
        }
        let above = std::mem::take(&mut decorators);
        let Some(name) = method_name(file, node) else {
            continue;
        };
        let mut nodes = comments_above(file, *above.first().unwrap_or(&node));
        nodes.extend(above);
        nodes.push(node);
        match members.iter_mut().find(|member| member.name == name) {
            Some(member) => {
                member.nodes.extend(nodes);
                member.parts.push(node);
                member.public &= is_public(file, node);
            }
            None => members.push(ClassMember {
                public: is_public(file, node),
                name,
                nodes,
                parts: vec![node],
            }),
        }
    }
    members
}

/// The name of a method, or of a field that holds a function; `None` for the rest of a class:
/// other fields, the constructor, static blocks, computed names.
fn method_name(file: &Parsed<'_>, node: Node<'_>) -> Option<String> {
    let name = match node.kind() {
        "method_definition" | "method_signature" | "abstract_method_signature" => {
            node.child_by_field_name("name")?
        }
        "public_field_definition" | "field_definition" => {
            let value = node.child_by_field_name("value")?;
            callable(file, value).filter(|value| is_function(*value))?;
            let name = node.child_by_field_name("name");
            name.or_else(|| node.child_by_field_name("property"))?
        }
        _ => return None,
    };
    let text = match name.kind() {
        "property_identifier" | "private_property_identifier" => file.of(name),
        "string" => string_text(file.of(name)),
        _ => return None,
    };
    let plain = is_identifier(text.trim_start_matches('#'));
    (plain && text != "constructor").then(|| text.to_owned())
}

fn is_public(file: &Parsed<'_>, node: Node<'_>) -> bool {
    !children(node).into_iter().any(|child| match child.kind() {
        "accessibility_modifier" => file.of(child) != "public",
        "private_property_identifier" | "abstract" => true,
        _ => false,
    }) && node.kind() != "abstract_method_signature"
}

/// The nodes of `outer` but for the methods of the class whose body is `body`.
pub(super) fn skeleton<'n>(
    outer: Node<'n>,
    body: Node<'n>,
    members: &[ClassMember<'n>],
    nodes: &mut Vec<Node<'n>>,
) {
    for child in children(outer) {
        let around = child.start_byte() <= body.start_byte() && body.end_byte() <= child.end_byte();
        if child == body {
            let left_out = |node: &Node<'_>| {
                node.is_error()
                    || members.iter().any(|member| member.nodes.contains(node))
                    || node.kind() == ";"
            };
            nodes.extend(children(body).into_iter().filter(|node| !left_out(node)));
        } else if around {
            skeleton(child, body, members, nodes);
        } else {
            nodes.push(child);
        }
    }
}
