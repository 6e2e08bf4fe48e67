//! Which names a piece of code uses, by Python's rules of scope.
//!
//! What is inside a function, lambda or comprehension is resolved there: a parameter called
//! `total` is no use of the module's `total`. A class body is not: names bound in it are invisible
//! to its methods, so that a name is taken as used rather than missed.
//!
//! The functions here recurse; [`super::dialect`] refuses trees too deep for that.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use tree_sitter::Node;

use super::bindings::{Bound, bind, bound, parameter_names, targets};
use crate::syntax::{Descend, Parsed, children, named_children, walk};

/// What a piece of code uses and does not define itself.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Uses {
    /// Free names, each with the bytes where it stands.
    pub(super) names: BTreeMap<String, Vec<Range<usize>>>,
    /// The names after a dot, whatever they belong to.
    pub(super) attributes: BTreeSet<String>,
}

/// What `node` uses and does not bind in a scope of its own.
pub(super) fn uses(file: &Parsed<'_>, node: Node<'_>) -> Uses {
    let mut out = Uses::default();
    visit(file, node, &mut out);
    out
}

/// The free names of a whole module: used, and not defined at its top level, imports aside.
pub(super) fn free_names(file: &Parsed<'_>) -> BTreeSet<String> {
    let defined = bound(file, file.root());
    let names = uses(file, file.root()).names;
    names
        .into_keys()
        .filter(|name| !defined.contains(name))
        .collect()
}

/// Whether a word stands anywhere in the code as a name.
pub(super) fn mentions(file: &Parsed<'_>, name: &str) -> bool {
    let mut found = false;
    walk(file.root(), |node| {
        found |= node.kind() == "identifier" && file.of(node) == name;
        Descend::when(!found)
    });
    found
}

/// The identifier that an expression such as `a.b[0].c()` starts with.
pub(super) fn base_name<'t>(file: &Parsed<'t>, node: Node<'_>) -> Option<&'t str> {
    let mut node = node;
    loop {
        node = match node.kind() {
            "identifier" => return Some(file.of(node)),
            "attribute" => node.child_by_field_name("object")?,
            "subscript" => node.child_by_field_name("value")?,
            "call" => node.child_by_field_name("function")?,
            "await" | "parenthesized_expression" => node.named_child(0)?,
            _ => return None,
        };
    }
}

fn visit(file: &Parsed<'_>, node: Node<'_>, out: &mut Uses) {
    match node.kind() {
        "identifier" => {
            let places = out.names.entry(file.of(node).to_owned()).or_default();
            places.push(node.byte_range());
        }
        "attribute" => {
            visit_field(file, node, "object", out);
            if let Some(name) = file.field(node, "attribute") {
                out.attributes.insert(name.to_owned());
            }
        }
        "keyword_argument" => visit_field(file, node, "value", out),
        "function_definition" | "lambda" => visit_function(file, node, out),
        "class_definition" => visit_class(file, node, out),
        "list_comprehension"
        | "set_comprehension"
        | "dictionary_comprehension"
        | "generator_expression" => visit_comprehension(file, node, out),
        "assignment" | "for_statement" | "for_in_clause" => {
            visit_binding(file, node, "left", out);
        }
        "named_expression" => visit_binding(file, node, "name", out),
        "as_pattern" => visit_as_pattern(file, node, out),
        "keyword_pattern" => visit_all(file, named_children(node).into_iter().skip(1), out),
        "dotted_name" => visit_value_pattern(file, node, out),
        "class_pattern" => visit_class_pattern(file, node, out),
        "member_type" => visit_all(file, node.named_child(0), out),
        "import_statement"
        | "import_from_statement"
        | "future_import_statement"
        | "nonlocal_statement"
        | "splat_pattern"
        | "comment" => {}
        _ => visit_all(file, children(node), out),
    }
}

fn visit_all<'n>(file: &Parsed<'_>, nodes: impl IntoIterator<Item = Node<'n>>, out: &mut Uses) {
    for node in nodes {
        visit(file, node, out);
    }
}

fn visit_field(file: &Parsed<'_>, node: Node<'_>, field: &str, out: &mut Uses) {
    visit_all(file, node.child_by_field_name(field), out);
}

/// A node that binds what is in `field` and uses the rest.
fn visit_binding(file: &Parsed<'_>, node: Node<'_>, field: &str, out: &mut Uses) {
    let target = node.child_by_field_name(field);
    for child in children(node) {
        if Some(child) == target {
            visit_target(file, child, out);
        } else {
            visit(file, child, out);
        }
    }
}

/// Of a target only what stands before a dot or bracket is used.
fn visit_target(file: &Parsed<'_>, node: Node<'_>, out: &mut Uses) {
    match node.kind() {
        "identifier" => {}
        "attribute" | "subscript" | "call" => visit(file, node, out),
        _ => children(node)
            .into_iter()
            .for_each(|child| visit_target(file, child, out)),
    }
}

/// `x as y`, in a `with`, an `except` or a `case`.
fn visit_as_pattern(file: &Parsed<'_>, node: Node<'_>, out: &mut Uses) {
    let alias = node.child_by_field_name("alias");
    let in_case = node
        .named_child(0)
        .is_some_and(|first| first.kind() == "case_pattern");
    for (index, child) in named_children(node).into_iter().enumerate() {
        if Some(child) == alias {
            visit_target(file, child, out);
        } else if !(in_case && index > 0) {
            visit(file, child, out);
        }
    }
}

/// In a pattern, a name alone is bound and a dotted one is looked up.
fn visit_value_pattern(file: &Parsed<'_>, node: Node<'_>, out: &mut Uses) {
    let parts = named_children(node);
    if let [first, rest @ ..] = parts.as_slice()
        && !rest.is_empty()
    {
        visit(file, *first, out);
        out.attributes
            .extend(rest.iter().map(|part| file.of(*part).to_owned()));
    }
}

fn visit_class_pattern(file: &Parsed<'_>, node: Node<'_>, out: &mut Uses) {
    let parts = named_children(node);
    if let [class, rest @ ..] = parts.as_slice() {
        visit_all(file, class.named_child(0), out);
        let attributes = named_children(*class).into_iter().skip(1);
        out.attributes
            .extend(attributes.map(|part| file.of(part).to_owned()));
        visit_all(file, rest.iter().copied(), out);
    }
}

fn visit_function(file: &Parsed<'_>, node: Node<'_>, out: &mut Uses) {
    let type_names = type_parameters(file, node);
    let mut outer = Uses::default();
    if let Some(parameters) = node.child_by_field_name("parameters") {
        for parameter in named_children(parameters) {
            visit_field(file, parameter, "type", &mut outer);
            visit_field(file, parameter, "value", &mut outer);
        }
    }
    visit_field(file, node, "return_type", &mut outer);

    let mut inner = Uses::default();
    let mut local: BTreeSet<String> = parameter_names(node)
        .into_iter()
        .map(|name| file.of(name).to_owned())
        .collect();
    if let Some(body) = node.child_by_field_name("body") {
        visit(file, body, &mut inner);
        let mut found = Bound::default();
        bind(file, body, &mut found);
        found.names.extend(found.imported);
        local.extend(
            found
                .names
                .into_iter()
                .filter(|name| !found.foreign.contains(name)),
        );
    }
    inner.names.retain(|name, _| !local.contains(name));
    outer.add(inner);
    outer.names.retain(|name, _| !type_names.contains(name));
    out.add(outer);
}

fn visit_class(file: &Parsed<'_>, node: Node<'_>, out: &mut Uses) {
    let type_names = type_parameters(file, node);
    let mut inner = Uses::default();
    visit_field(file, node, "superclasses", &mut inner);
    visit_field(file, node, "body", &mut inner);
    inner.names.retain(|name, _| !type_names.contains(name));
    out.add(inner);
}

fn visit_comprehension(file: &Parsed<'_>, node: Node<'_>, out: &mut Uses) {
    let mut inner = Uses::default();
    visit_all(file, children(node), &mut inner);
    for clause in named_children(node) {
        if clause.kind() == "for_in_clause"
            && let Some(left) = clause.child_by_field_name("left")
        {
            for name in targets(file, left) {
                inner.names.remove(&name);
            }
        }
    }
    out.add(inner);
}

/// The names in `def f[T: int]`, bounds included.
fn type_parameters(file: &Parsed<'_>, node: Node<'_>) -> BTreeSet<String> {
    node.child_by_field_name("type_parameters")
        .map(|parameters| targets(file, parameters).into_iter().collect())
        .unwrap_or_default()
}

impl Uses {
    /// Adds what another piece uses.
    pub(super) fn add(&mut self, other: Self) {
        for (name, mut places) in other.names {
            self.names.entry(name).or_default().append(&mut places);
        }
        self.attributes.extend(other.attributes);
    }
}
