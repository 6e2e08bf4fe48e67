//! The tests that a piece of code defines, by the rules of the frameworks.

use tree_sitter::Node;

use super::outline::{bases, body_of, is_decorated_by, last_name, undecorated};
use crate::syntax::{Parsed, named_children};

/// The names of the tests at the top level of `file`: pytest's node names without the file,
/// `test_x` or `TestCart::test_x`; for unittest `TestCart.test_x`.
pub(super) fn tests(file: &Parsed<'_>, unittest: bool) -> Vec<String> {
    let all = named_tests(file, unittest).into_iter();
    all.map(|(name, _)| name).collect()
}

/// Those of them that do nothing, or assert a constant.
pub(super) fn empty_tests(file: &Parsed<'_>, unittest: bool) -> Vec<String> {
    let all = named_tests(file, unittest).into_iter();
    all.filter(|(_, test)| {
        let statements = body_of(undecorated(*test));
        statements
            .into_iter()
            .all(|statement| is_idle(file, statement))
    })
    .map(|(name, _)| name)
    .collect()
}

fn is_idle(file: &Parsed<'_>, statement: Node<'_>) -> bool {
    let inner = statement.named_child(0).map_or("", |inner| inner.kind());
    match statement.kind() {
        "comment" | "pass_statement" => true,
        "expression_statement" => {
            let text = file.of(statement);
            matches!(inner, "string" | "ellipsis") || text == "self.assertTrue(True)"
        }
        "return_statement" => matches!(inner, "" | "none"),
        "assert_statement" => {
            matches!(inner, "true" | "integer") && statement.named_child_count() == 1
        }
        _ => false,
    }
}

fn named_tests<'f>(file: &'f Parsed<'_>, unittest: bool) -> Vec<(String, Node<'f>)> {
    let mut found = Vec::new();
    for node in named_children(file.root()) {
        let inner = undecorated(node);
        let name = file.field(inner, "name").unwrap_or_default();
        match inner.kind() {
            "function_definition" if !unittest && is_test(file, node) => {
                found.push((name.to_owned(), node));
            }
            "class_definition" if is_test_class(file, inner, unittest) => {
                let methods = body_of(inner)
                    .into_iter()
                    .filter(|node| is_test(file, *node));
                let separator = if unittest { "." } else { "::" };
                found.extend(methods.map(|method| {
                    let own = file.field(undecorated(method), "name").unwrap_or_default();
                    (format!("{name}{separator}{own}"), method)
                }));
            }
            _ => {}
        }
    }
    found
}

/// Whether a statement defines a function that the frameworks take for a test by its name.
pub(super) fn is_test(file: &Parsed<'_>, node: Node<'_>) -> bool {
    let inner = undecorated(node);
    inner.kind() == "function_definition"
        && file
            .field(inner, "name")
            .is_some_and(|name| name.starts_with("test"))
        && !is_fixture(file, node)
}

/// Whether a statement defines a pytest fixture.
pub(super) fn is_fixture(file: &Parsed<'_>, node: Node<'_>) -> bool {
    is_decorated_by(file, node, &["fixture"])
}

/// Whether the framework looks for tests in a class: pytest takes classes called `Test…` that have
/// no constructor, and both take `TestCase` classes.
pub(super) fn is_test_class(file: &Parsed<'_>, class: Node<'_>, unittest: bool) -> bool {
    let is_case = bases(class)
        .into_iter()
        .any(|base| last_name(file, base).ends_with("TestCase"));
    let named = file
        .field(class, "name")
        .is_some_and(|name| name.starts_with("Test"));
    let constructs = || {
        body_of(class)
            .into_iter()
            .any(|node| file.field(undecorated(node), "name") == Some("__init__"))
    };
    class.kind() == "class_definition" && (is_case || (!unittest && named && !constructs()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::Dialect as _;
    use crate::python::dialect::Python;

    #[test]
    fn tests_that_do_nothing_are_known() {
        let code = "def test_a():\n    pass\n\n\n@pytest.mark.x\ndef test_b():\n    \"\"\"Adds.\"\"\"\n    ...\n    assert True\n    return None\n\n\ndef test_c():\n    add(1, 2)\n\n\ndef test_d():\n    assert add\n\n\nclass TestE:\n    def test_f(self):\n        # Later.\n        assert 1\n\n    def test_g(self):\n        assert 1 == add(0, 1)\n";
        let file = Python.parse(code);
        assert_eq!(
            empty_tests(&file, false),
            ["test_a", "test_b", "TestE::test_f"]
        );
    }
}
