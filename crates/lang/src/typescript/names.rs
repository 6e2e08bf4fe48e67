//! Which names a piece of code uses from outside of itself.

use std::collections::BTreeSet;

use tree_sitter::Node;

use crate::syntax::{Descend, Parsed, Visit, named_children, walk, walk_both};

/// How deep patterns are read: more is not written by people.
const PATTERN_DEPTH: usize = 32;

/// The names that `nodes` use and do not bind themselves: `total` for a name, `.total` for a
/// property, `exports.total` for one of CommonJS's exports.
///
/// Scopes are taken as wide as the function they are in, also for `let` and `const`.
pub(super) fn used<'n>(
    file: &Parsed<'_>,
    nodes: impl IntoIterator<Item = Node<'n>>,
) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    for node in nodes {
        let mut scopes: Vec<BTreeSet<&str>> = Vec::new();
        walk_both(node, |visit| match visit {
            Visit::Enter(node) => {
                if is_function(node) {
                    scopes.push(bound_in(file, node));
                }
                if let Some(name) = use_of(file, node, &scopes) {
                    used.insert(name);
                }
                Descend::Yes
            }
            Visit::Leave(node) => {
                if is_function(node) {
                    scopes.pop();
                }
                Descend::No
            }
        });
    }
    used
}

fn use_of(file: &Parsed<'_>, node: Node<'_>, scopes: &[BTreeSet<&str>]) -> Option<String> {
    let text = file.of(node);
    match node.kind() {
        "identifier" | "type_identifier" | "shorthand_property_identifier" => {
            let bound = scopes.iter().any(|scope| scope.contains(text));
            (!bound).then(|| text.to_owned())
        }
        "property_identifier" | "private_property_identifier" => {
            // The keys of objects and the names of methods are no uses.
            let parent = node.parent()?;
            match (parent.kind(), file.field(parent, "object")) {
                (_, Some("exports" | "module.exports")) => Some(format!("exports.{text}")),
                ("member_expression" | "pair_pattern" | "binary_expression", _) => {
                    Some(format!(".{text}"))
                }
                _ => None,
            }
        }
        "shorthand_property_identifier_pattern" => Some(format!(".{text}")),
        "string" => {
            let parent = node.parent()?;
            let index = parent.child_by_field_name("index") == Some(node);
            index.then(|| format!(".{}", string_text(text)))
        }
        _ => None,
    }
}

/// A string without its quotes.
pub(super) fn string_text(literal: &str) -> &str {
    literal
        .get(1..literal.len().saturating_sub(1))
        .unwrap_or_default()
}

/// Whether `node` is a function of any form.
pub(super) fn is_function(node: Node<'_>) -> bool {
    matches!(
        node.kind(),
        "function_declaration"
            | "generator_function_declaration"
            | "function_expression"
            | "generator_function"
            | "arrow_function"
            | "method_definition"
            | "function_signature"
            | "method_signature"
    )
}

/// The names a function binds: parameters and all that is declared in its body, functions inside
/// of it aside.
fn bound_in<'t>(file: &Parsed<'t>, function: Node<'_>) -> BTreeSet<&'t str> {
    let mut bound = BTreeSet::new();
    for field in ["parameters", "parameter"] {
        if let Some(parameters) = function.child_by_field_name(field) {
            pattern_names(file, parameters, PATTERN_DEPTH, &mut |name| {
                bound.insert(name);
            });
        }
    }
    if let Some(body) = function.child_by_field_name("body") {
        walk(body, |node| {
            for name in declared(file, node) {
                bound.insert(name);
            }
            Descend::when(!is_function(node))
        });
    }
    bound
}

/// The names that `node` itself declares, if it is a declaration: a declarator, a function, a
/// class, a type, a loop's or a handler's variable.
pub(super) fn declared<'t>(file: &Parsed<'t>, node: Node<'_>) -> Vec<&'t str> {
    let field = match node.kind() {
        "variable_declarator"
        | "function_declaration"
        | "generator_function_declaration"
        | "function_signature"
        | "class_declaration"
        | "abstract_class_declaration"
        | "interface_declaration"
        | "type_alias_declaration"
        | "enum_declaration"
        | "internal_module"
        | "module" => "name",
        "for_in_statement" if node.child_by_field_name("kind").is_some() => "left",
        "catch_clause" => "parameter",
        _ => return Vec::new(),
    };
    let mut names = Vec::new();
    if let Some(pattern) = node.child_by_field_name(field) {
        if pattern.kind() == "type_identifier" {
            names.push(file.of(pattern));
        } else {
            pattern_names(file, pattern, PATTERN_DEPTH, &mut |name| names.push(name));
        }
    }
    names
}

/// The names bound by a pattern, or by a list of parameters. Default values and types bind none.
fn pattern_names<'t>(
    file: &Parsed<'t>,
    pattern: Node<'_>,
    depth: usize,
    found: &mut impl FnMut(&'t str),
) {
    if depth == 0 {
        return;
    }
    let inner = match pattern.kind() {
        "identifier" | "shorthand_property_identifier_pattern" => {
            found(file.of(pattern));
            return;
        }
        "assignment_pattern" | "object_assignment_pattern" => pattern.child_by_field_name("left"),
        "required_parameter" | "optional_parameter" => pattern.child_by_field_name("pattern"),
        "pair_pattern" => pattern.child_by_field_name("value"),
        "formal_parameters" | "object_pattern" | "array_pattern" | "rest_pattern" => {
            for child in named_children(pattern) {
                pattern_names(file, child, depth - 1, found);
            }
            return;
        }
        _ => return,
    };
    if let Some(inner) = inner {
        pattern_names(file, inner, depth - 1, found);
    }
}
