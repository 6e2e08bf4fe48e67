//! Names in Go code: what is defined, what is used, what is exported, what is a test.

use std::collections::BTreeSet;

use tree_sitter::Node;

use crate::syntax::{Descend, Parsed, named_children, walk};

/// The identifier in the package clause.
pub(super) fn package_clause<'f>(file: &'f Parsed<'_>) -> Option<Node<'f>> {
    let clause = named_children(file.root())
        .into_iter()
        .find(|node| node.kind() == "package_clause")?;
    clause.named_child(0)
}

/// Whether a name is exported: it starts with an upper-case letter.
pub(super) fn is_exported(name: &str) -> bool {
    name.chars().next().is_some_and(char::is_uppercase)
}

/// Whether `name` is `prefix` and then nothing, or something that does not start with a
/// lower-case letter: the rule of `go test`.
fn follows(name: &str, prefix: &str) -> bool {
    name.strip_prefix(prefix)
        .is_some_and(|rest| !rest.chars().next().is_some_and(char::is_lowercase))
}

/// Whether `go test` would take a function of this name for a test, benchmark, fuzz test or
/// example.
pub(super) fn is_test_name(name: &str) -> bool {
    ["Test", "Benchmark", "Fuzz", "Example"]
        .iter()
        .any(|prefix| follows(name, prefix))
}

/// The name of the test that `function` is, if it is one: `func TestXxx(t *testing.T)`.
pub(super) fn test_name<'t>(file: &Parsed<'t>, function: Node<'_>) -> Option<&'t str> {
    if function.kind() != "function_declaration" {
        return None;
    }
    let name = file.field(function, "name")?;
    let parameters = function.child_by_field_name("parameters")?;
    let parameters = named_children(parameters);
    let mut declared = parameters
        .iter()
        .filter(|node| node.kind() == "parameter_declaration");
    let kind = file.field(*declared.next()?, "type")?;
    let fits = follows(name, "Test")
        && function.child_by_field_name("body").is_some()
        && kind.starts_with('*')
        && kind.rsplit_once('.').is_some_and(|(_, name)| name == "T")
        && declared.next().is_none()
        && function.child_by_field_name("type_parameters").is_none();
    fits.then_some(name)
}

/// The names of the tests that a file or body holds.
pub(super) fn tests(file: &Parsed<'_>) -> Vec<String> {
    named_children(file.root())
        .into_iter()
        .filter_map(|node| test_name(file, node))
        .map(str::to_owned)
        .collect()
}

/// Those of them whose function does nothing but talk to `testing`.
pub(super) fn empty_tests(file: &Parsed<'_>) -> Vec<String> {
    let idle = |node: &Node<'_>| {
        let body = node.child_by_field_name("body");
        body.is_some_and(|body| statements(body).all(|statement| is_idle(file, statement)))
    };
    named_children(file.root())
        .into_iter()
        .filter(idle)
        .filter_map(|node| test_name(file, node))
        .map(str::to_owned)
        .collect()
}

/// What is in a block, which the grammar may put into a list.
fn statements(block: Node<'_>) -> impl Iterator<Item = Node<'_>> {
    let children = named_children(block).into_iter();
    children.flat_map(|child| match child.kind() {
        "statement_list" => named_children(child),
        _ => vec![child],
    })
}

fn is_idle(file: &Parsed<'_>, statement: Node<'_>) -> bool {
    let called = statement
        .named_child(0)
        .filter(|child| child.kind() == "call_expression")
        .and_then(|call| file.field(call, "function"));
    match statement.kind() {
        "comment" | "empty_statement" => true,
        "return_statement" => statement.named_child_count() == 0,
        "assignment_statement" => file.of(statement) == "_ = t",
        "expression_statement" => {
            matches!(called, Some("t.Parallel" | "t.Helper" | "t.Log" | "t.Logf"))
        }
        _ => false,
    }
}

/// The type a method belongs to: `Cart` for `*Cart`, `List` for `List[T]`.
pub(super) fn receiver_type<'t>(file: &Parsed<'t>, method: Node<'_>) -> Option<&'t str> {
    let receiver = method.child_by_field_name("receiver")?;
    let mut found = None;
    walk(receiver, |node| {
        if found.is_none() && node.kind() == "type_identifier" {
            found = Some(file.of(node));
        }
        Descend::when(found.is_none())
    });
    found
}

/// What a file defines at its top level, methods as `Type.method`, each with its place. `init`
/// and `_` may be defined any number of times and are left out.
pub(super) fn defined(file: &Parsed<'_>) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    for node in named_children(file.root()) {
        let at = node.start_byte();
        match node.kind() {
            "function_declaration" => {
                if let Some(name) = file.field(node, "name")
                    && name != "init"
                {
                    found.push((name.to_owned(), at));
                }
            }
            "method_declaration" => {
                if let (Some(of), Some(name)) =
                    (receiver_type(file, node), file.field(node, "name"))
                {
                    found.push((format!("{of}.{name}"), at));
                }
            }
            "const_declaration" | "var_declaration" | "type_declaration" => {
                for spec in specs(node) {
                    let names = spec_names(file, spec);
                    found.extend(names.into_iter().map(|name| (name.to_owned(), at)));
                }
            }
            _ => {}
        }
    }
    found.retain(|(name, _)| name != "_");
    found
}

/// The single specifications of a `const`, `var` or `type` declaration.
pub(super) fn specs(declaration: Node<'_>) -> Vec<Node<'_>> {
    let mut found = Vec::new();
    for child in named_children(declaration) {
        match child.kind() {
            "const_spec" | "var_spec" | "type_spec" | "type_alias" => found.push(child),
            "var_spec_list" => found.extend(specs(child)),
            _ => {}
        }
    }
    found
}

/// The names that a specification defines.
pub(super) fn spec_names<'t>(file: &Parsed<'t>, spec: Node<'_>) -> Vec<&'t str> {
    let mut cursor = spec.walk();
    // The grammar puts the commas of `a, b = 1, 2` under the field, too.
    spec.children_by_field_name("name", &mut cursor)
        .filter(Node::is_named)
        .map(|name| file.of(name))
        .collect()
}

/// The names before a `.` that may be package names.
pub(super) fn qualifiers(file: &Parsed<'_>, node: Node<'_>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    walk(node, |node| {
        if let Some(name) = qualifier(node) {
            found.insert(file.of(name).to_owned());
        }
        Descend::when(node.kind() != "import_declaration")
    });
    found
}

/// The name before the `.` of a selector or qualified type, if it is a plain name.
pub(super) fn qualifier(node: Node<'_>) -> Option<Node<'_>> {
    match node.kind() {
        "selector_expression" => node
            .child_by_field_name("operand")
            .filter(|operand| operand.kind() == "identifier"),
        "qualified_type" => node.child_by_field_name("package"),
        _ => None,
    }
}

/// The names that code declares for itself: parameters, variables, constants, results.
pub(super) fn declared_inside(file: &Parsed<'_>, node: Node<'_>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    walk(node, |node| {
        let names: Vec<Node<'_>> = match node.kind() {
            "parameter_declaration"
            | "variadic_parameter_declaration"
            | "var_spec"
            | "const_spec" => {
                let mut cursor = node.walk();
                node.children_by_field_name("name", &mut cursor).collect()
            }
            "short_var_declaration" | "range_clause" | "receive_statement" => {
                let left = node.child_by_field_name("left");
                left.map(named_children).unwrap_or_default()
            }
            "type_switch_statement" => {
                let alias = node.child_by_field_name("alias");
                alias.map(named_children).unwrap_or_default()
            }
            _ => Vec::new(),
        };
        found.extend(names.into_iter().map(|name| file.of(name).to_owned()));
        Descend::Yes
    });
    found
}

/// The names that a definition uses, as [`crate::uses::Definition`] wants them: plain names as
/// they are, what stands behind a `.` with that `.`, since only fields and methods do.
pub(super) fn used(file: &Parsed<'_>, nodes: &[Node<'_>]) -> BTreeSet<String> {
    // Dot imports: nothing tells whether they are used, so they count always.
    let mut found = BTreeSet::from([".".to_owned()]);
    for node in nodes {
        walk(*node, |node| {
            match node.kind() {
                "identifier" | "type_identifier" | "package_identifier" => {
                    found.insert(file.of(node).to_owned());
                }
                "selector_expression" => {
                    if let Some(field) = file.field(node, "field") {
                        found.insert(format!(".{field}"));
                    }
                }
                _ => {}
            }
            Descend::Yes
        });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::Dialect as _;
    use crate::go::dialect::GoDialect;

    #[test]
    fn tests_that_do_nothing_are_known() {
        let code = "func TestA(t *testing.T) {}\nfunc TestB(t *testing.T) {\n\t// Nothing.\n\tt.Parallel()\n\tt.Log(\"x\")\n\t_ = t\n\treturn\n}\nfunc TestC(t *testing.T) {\n\tAdd(1, 2)\n}\nfunc TestD(t *testing.T) {\n\tt.Run(\"x\", nil)\n}\nfunc helper() {}\n";
        assert_eq!(empty_tests(&GoDialect.parse(code)), ["TestA", "TestB"]);
    }
}
