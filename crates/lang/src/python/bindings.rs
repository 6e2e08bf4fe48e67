//! Which names a piece of code binds.

use std::collections::BTreeSet;

use tree_sitter::Node;

use super::imports;
use crate::syntax::{Descend, Parsed, named_children, walk};

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

/// What the statements of one scope bind.
#[derive(Debug, Default)]
pub(super) struct Bound {
    /// Bound by anything but an import.
    pub(super) names: BTreeSet<String>,
    /// Bound by imports.
    pub(super) imported: BTreeSet<String>,
    /// Declared `global` or `nonlocal`: assigned here, but not of this scope.
    pub(super) foreign: BTreeSet<String>,
}

/// Adds what the statements in `node` bind.
pub(super) fn bind(file: &Parsed<'_>, node: Node<'_>, out: &mut Bound) {
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
