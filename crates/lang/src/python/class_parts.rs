//! Classes, taken apart, and what of a definition can be tested.

use tree_sitter::Node;

use super::outline::{body_of, is_decorated_by, last_name, undecorated};
use crate::syntax::{Descend, Parsed, children, is_comment, walk};

/// Whether a function, perhaps decorated, has behaviour of its own that a test can reach.
pub(super) fn is_testable(file: &Parsed<'_>, node: Node<'_>) -> bool {
    const NOT_TESTABLE: &[&str] = &[
        "overload",
        "abstractmethod",
        "abstractproperty",
        "abstractclassmethod",
        "abstractstaticmethod",
        "fixture",
    ];
    !is_decorated_by(file, node, NOT_TESTABLE)
        && body_of(undecorated(node))
            .into_iter()
            .any(|statement| does_something(file, statement))
}

fn does_something(file: &Parsed<'_>, statement: Node<'_>) -> bool {
    match statement.kind() {
        "comment" | "pass_statement" => false,
        "expression_statement" => statement
            .named_child(0)
            .is_some_and(|value| !matches!(value.kind(), "string" | "ellipsis")),
        "raise_statement" => statement
            .named_child(0)
            .is_none_or(|error| last_name(file, error) != "NotImplementedError"),
        _ => true,
    }
}

/// A class, taken apart.
pub(super) struct ClassParts<'n> {
    /// Decorators, the line with its name and bases, and the body's statements but for methods
    /// that are not special.
    pub(super) frame: Vec<Node<'n>>,
    /// The special methods among them.
    special: Vec<(String, Node<'n>)>,
    /// The other methods: name, and all definitions of that name.
    pub(super) methods: Vec<(String, Vec<Node<'n>>)>,
}

impl<'n> ClassParts<'n> {
    /// Takes a class apart, given with its decorators.
    pub(super) fn of(file: &Parsed<'_>, node: Node<'n>) -> Self {
        let class = undecorated(node);
        let body = class.child_by_field_name("body");
        let mut parts = Self {
            frame: Vec::new(),
            special: Vec::new(),
            methods: Vec::new(),
        };
        if node != class {
            let above = children(node).into_iter().filter(|child| *child != class);
            parts
                .frame
                .extend(above.filter(|child| !is_comment(*child)));
        }
        let head = children(class)
            .into_iter()
            .filter(|child| Some(*child) != body);
        parts.frame.extend(head.filter(|child| !is_comment(*child)));
        for statement in body_of(class) {
            let inner = undecorated(statement);
            let name = file.field(inner, "name").unwrap_or_default().to_owned();
            match inner.kind() {
                "function_definition" if is_special(&name) => {
                    parts.frame.push(statement);
                    parts.special.push((name, inner));
                }
                "function_definition" => {
                    match parts.methods.iter_mut().find(|(other, _)| *other == name) {
                        Some((_, nodes)) => nodes.push(statement),
                        None => parts.methods.push((name, vec![statement])),
                    }
                }
                "comment" => {}
                _ => parts.frame.push(statement),
            }
        }
        parts
    }

    /// Whether the class behaves beyond its methods.
    pub(super) fn behaves(&self, file: &Parsed<'_>) -> bool {
        self.special
            .iter()
            .any(|(name, function)| match name.as_str() {
                "__init__" | "__new__" | "__post_init__" => decides(*function),
                _ => {
                    !INCIDENTAL.contains(&name.as_str())
                        && body_of(*function)
                            .into_iter()
                            .any(|node| does_something(file, node))
                }
            })
    }
}

/// Special methods that are there for debuggers, pickling and the like.
const INCIDENTAL: &[&str] = &[
    "__repr__",
    "__del__",
    "__dir__",
    "__sizeof__",
    "__init_subclass__",
    "__class_getitem__",
    "__set_name__",
    "__getnewargs__",
    "__getstate__",
    "__setstate__",
    "__reduce__",
];

fn is_special(name: &str) -> bool {
    name.len() > 4 && name.starts_with("__") && name.ends_with("__")
}

/// Whether a function takes a decision or refuses something.
fn decides(function: Node<'_>) -> bool {
    let mut found = false;
    walk(function, |node| {
        found |= matches!(
            node.kind(),
            "if_statement"
                | "for_statement"
                | "while_statement"
                | "try_statement"
                | "match_statement"
                | "raise_statement"
                | "assert_statement"
                | "conditional_expression"
        );
        Descend::when(!found)
    });
    found
}
