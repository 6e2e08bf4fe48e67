//! Which names a piece of code uses, and which it binds, by Python's rules of scope.
//!
//! What is inside a function, lambda or comprehension is resolved there: a parameter called
//! `total` is no use of the module's `total`. A class body is not: names bound in it are invisible
//! to its methods, so that a name is taken as used rather than missed.
//!
//! The functions here recurse; [`super::dialect`] refuses trees too deep for that.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use tree_sitter::Node;

use super::imports;
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

/// The names bound by the statements in `node`, without those of scopes inside it and without
/// imports.
pub(super) fn bound(file: &Parsed<'_>, node: Node<'_>) -> BTreeSet<String> {
    let mut out = Bound::default();
    bind(file, node, &mut out);
    out.names.retain(|name| !out.foreign.contains(name));
    out.names
}

/// The names that the statements at the top level of a module define, imports aside, each with the
/// byte where its first definition starts.
pub(super) fn defined(file: &Parsed<'_>) -> Vec<(String, usize)> {
    let mut found: Vec<(String, usize)> = Vec::new();
    for statement in named_children(file.root()) {
        for name in bound(file, statement) {
            if name != "_" && !found.iter().any(|(other, _)| *other == name) {
                found.push((name, statement.start_byte()));
            }
        }
    }
    found
}

/// The names that an assignment to `target` binds.
pub(super) fn targets(file: &Parsed<'_>, target: Node<'_>) -> Vec<String> {
    let mut names = Vec::new();
    walk(target, |node| match node.kind() {
        "identifier" => {
            names.push(file.of(node).to_owned());
            Descend::No
        }
        "attribute" | "subscript" | "call" => Descend::No,
        _ => Descend::Yes,
    });
    names
}

/// Every name bound in any scope, imports included.
pub(super) fn bound_anywhere(file: &Parsed<'_>) -> BTreeSet<String> {
    let mut out = Bound::default();
    walk(file.root(), |node| {
        match node.kind() {
            "module" => bind(file, node, &mut out),
            "function_definition" | "lambda" => {
                let parameters = parameter_names(node).into_iter();
                out.names
                    .extend(parameters.map(|name| file.of(name).to_owned()));
                if let Some(body) = node.child_by_field_name("body") {
                    bind(file, body, &mut out);
                }
            }
            "class_definition" => {
                if let Some(body) = node.child_by_field_name("body") {
                    bind(file, body, &mut out);
                }
            }
            "for_in_clause" => bind_field(file, node, "left", &mut out),
            _ => {}
        }
        Descend::Yes
    });
    out.names.extend(out.imported);
    out.names
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

/// The nodes that name a function's parameters.
pub(super) fn parameter_names(function: Node<'_>) -> Vec<Node<'_>> {
    let mut found = Vec::new();
    let Some(parameters) = function.child_by_field_name("parameters") else {
        return found;
    };
    for parameter in named_children(parameters) {
        let named = match parameter.kind() {
            "default_parameter" | "typed_default_parameter" => {
                parameter.child_by_field_name("name")
            }
            "typed_parameter" => parameter.named_child(0),
            _ => Some(parameter),
        };
        if let Some(named) = named {
            walk(named, |node| {
                if node.kind() == "identifier" {
                    found.push(node);
                }
                Descend::Yes
            });
        }
    }
    found
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

#[derive(Default)]
struct Bound {
    names: BTreeSet<String>,
    imported: BTreeSet<String>,
    /// Declared `global` or `nonlocal`: assigned here, but not of this scope.
    foreign: BTreeSet<String>,
}

fn bind(file: &Parsed<'_>, node: Node<'_>, out: &mut Bound) {
    walk(node, |node| match node.kind() {
        "function_definition" | "class_definition" => {
            out.names
                .extend(file.field(node, "name").map(str::to_owned));
            Descend::No
        }
        "lambda" | "future_import_statement" => Descend::No,
        "list_comprehension"
        | "set_comprehension"
        | "dictionary_comprehension"
        | "generator_expression" => {
            bind_walrus(file, node, out);
            Descend::No
        }
        "assignment" | "augmented_assignment" | "for_statement" | "type_alias_statement" => {
            bind_field(file, node, "left", out);
            Descend::Yes
        }
        "named_expression" => {
            bind_field(file, node, "name", out);
            Descend::Yes
        }
        "as_pattern" => {
            bind_field(file, node, "alias", out);
            if let Some(last) = node
                .named_child(1)
                .filter(|last| last.kind() == "identifier")
            {
                out.names.insert(file.of(last).to_owned());
            }
            Descend::Yes
        }
        "except_clause" => {
            bind_field(file, node, "alias", out);
            Descend::Yes
        }
        "dotted_name" if node.named_child_count() == 1 => {
            let in_case = node
                .parent()
                .is_some_and(|parent| parent.kind() != "class_pattern");
            if in_case {
                out.names.insert(file.of(node).to_owned());
            }
            Descend::No
        }
        "splat_pattern" => {
            out.names.extend(targets(file, node));
            Descend::No
        }
        "import_statement" | "import_from_statement" => {
            let imported = imports::read(file, node);
            out.imported
                .extend(imported.into_iter().filter_map(|import| import.local));
            Descend::No
        }
        "global_statement" | "nonlocal_statement" => {
            out.foreign.extend(targets(file, node));
            Descend::No
        }
        _ => Descend::Yes,
    });
}

fn bind_field(file: &Parsed<'_>, node: Node<'_>, field: &str, out: &mut Bound) {
    if let Some(target) = node.child_by_field_name(field) {
        out.names.extend(targets(file, target));
    }
}

/// A walrus inside a comprehension binds in the scope around it.
fn bind_walrus(file: &Parsed<'_>, node: Node<'_>, out: &mut Bound) {
    walk(node, |node| {
        if node.kind() == "named_expression" {
            bind_field(file, node, "name", out);
        }
        Descend::when(node.kind() != "lambda")
    });
}
