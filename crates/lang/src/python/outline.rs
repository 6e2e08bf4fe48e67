//! What a module holds at its top level.
//!
//! Definitions inside `if` and `try` count, with the conditions they depend on; those of
//! `if TYPE_CHECKING:` are there for type checkers only, and `if __name__ == "__main__":` is no
//! part of the module for those who import it.

use std::collections::BTreeSet;

use tree_sitter::Node;

use super::{bindings, imports, names, strings};
use crate::dialect::Import;
use crate::syntax::{Parsed, children, named_children};

/// One definition at the top level.
#[derive(Debug, Clone)]
pub(super) struct Top<'n> {
    /// What it defines.
    pub(super) name: String,
    /// What kind of thing.
    pub(super) kind: TopKind,
    /// The statement, decorators included.
    pub(super) node: Node<'n>,
    /// Indices into [`Outline::guards`].
    pub(super) guards: Vec<usize>,
    /// Whether only type checkers see it.
    pub(super) typing_only: bool,
}

/// The kinds of [`Top`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum TopKind {
    /// `def`, `async def`.
    Function,
    /// `class`.
    Class,
    /// A statement that binds or changes the name.
    Value,
}

/// A module's top level.
#[derive(Debug, Default)]
pub(super) struct Outline<'n> {
    /// The definitions in file order; a name may be there more than once.
    pub(super) tops: Vec<Top<'n>>,
    /// The conditions around them.
    pub(super) guards: Vec<Node<'n>>,
    /// All imports at the top level.
    pub(super) imports: Vec<Import>,
    /// What `__all__` names, if it is there and can be read.
    pub(super) exported: Option<BTreeSet<String>>,
}

impl<'n> Outline<'n> {
    /// Reads a module.
    pub(super) fn of(file: &'n Parsed<'_>) -> Self {
        let mut outline = Self::default();
        outline.scan(file, file.root(), &Around::default());
        outline
    }

    /// Whether `name`, defined at the top level, is public.
    pub(super) fn is_public(&self, name: &str) -> bool {
        match &self.exported {
            Some(exported) => exported.contains(name),
            None => !name.starts_with('_'),
        }
    }

    fn scan(&mut self, file: &Parsed<'_>, block: Node<'n>, around: &Around) {
        for statement in named_children(block) {
            self.statement(file, statement, around);
        }
    }

    fn statement(&mut self, file: &Parsed<'_>, node: Node<'n>, around: &Around) {
        match node.kind() {
            "function_definition" | "class_definition" | "decorated_definition" => {
                self.definition(file, node, around);
            }
            "if_statement" => self.conditional(file, node, around),
            "try_statement" | "with_statement" | "except_clause" | "else_clause"
            | "finally_clause" => {
                if node.kind() == "with_statement" {
                    self.values(file, node, around);
                }
                for child in named_children(node) {
                    match child.kind() {
                        "block" => self.scan(file, child, around),
                        _ => self.clause(file, child, around),
                    }
                }
            }
            "for_statement" | "while_statement" | "match_statement" | "type_alias_statement" => {
                self.values(file, node, around);
            }
            "expression_statement" => self.expression(file, node, around),
            _ => self.imports.extend(imports::read(file, node)),
        }
    }

    fn clause(&mut self, file: &Parsed<'_>, node: Node<'n>, around: &Around) {
        if matches!(
            node.kind(),
            "except_clause" | "else_clause" | "finally_clause"
        ) {
            self.statement(file, node, around);
        }
    }

    fn definition(&mut self, file: &Parsed<'_>, node: Node<'n>, around: &Around) {
        let inner = undecorated(node);
        let kind = if inner.kind() == "class_definition" {
            TopKind::Class
        } else {
            TopKind::Function
        };
        if let Some(name) = file.field(inner, "name") {
            self.push(name, kind, node, around);
        }
    }

    fn push(&mut self, name: &str, kind: TopKind, node: Node<'n>, around: &Around) {
        self.tops.push(Top {
            name: name.to_owned(),
            kind,
            node,
            guards: around.guards.clone(),
            typing_only: around.typing_only,
        });
    }

    fn conditional(&mut self, file: &Parsed<'_>, node: Node<'n>, around: &Around) {
        let text = |node: Node<'_>| node.child_by_field_name("condition").map(|c| file.of(c));
        let condition = text(node).unwrap_or_default();
        if condition.contains("__name__") && condition.contains("__main__") {
            return;
        }
        let mut inside = around.clone();
        let mut cursor = node.walk();
        let alternatives: Vec<Node<'n>> = node
            .children_by_field_name("alternative", &mut cursor)
            .collect();
        for branch in std::iter::once(node).chain(alternatives) {
            if let Some(condition) = branch.child_by_field_name("condition") {
                inside.guards.push(self.guards.len());
                self.guards.push(condition);
            }
            let typing = text(branch)
                .is_some_and(|text| text == "TYPE_CHECKING" || text.ends_with(".TYPE_CHECKING"));
            let block = branch
                .child_by_field_name("consequence")
                .or_else(|| branch.child_by_field_name("body"));
            if let Some(block) = block {
                let typing_only = around.typing_only || typing;
                let inside = Around {
                    typing_only,
                    ..inside.clone()
                };
                self.scan(file, block, &inside);
            }
        }
    }

    /// A statement that binds names by other means than a definition.
    fn values(&mut self, file: &Parsed<'_>, node: Node<'n>, around: &Around) {
        for name in bindings::bound(file, node) {
            self.push(&name, TopKind::Value, node, around);
        }
    }

    fn expression(&mut self, file: &Parsed<'_>, node: Node<'n>, around: &Around) {
        let Some(inner) = node.named_child(0) else {
            return;
        };
        let changed = match inner.kind() {
            "assignment" | "augmented_assignment" => inner.child_by_field_name("left"),
            "call" => inner.child_by_field_name("function"),
            "await" => Some(inner),
            _ => None,
        };
        let base = changed.and_then(|target| names::base_name(file, target));
        if base == Some("__all__") {
            self.export(file, inner);
            return;
        }
        let mut bound = bindings::bound(file, node);
        // `REGISTRY["a"] = f`, `REGISTRY.append(f)`: those who use the name depend on it.
        bound.extend(
            base.filter(|_| inner.kind() != "call" || is_method_call(inner))
                .map(str::to_owned),
        );
        for name in bound {
            self.push(&name, TopKind::Value, node, around);
        }
    }

    fn export(&mut self, file: &Parsed<'_>, node: Node<'_>) {
        let (method, value) = match node.kind() {
            "call" => {
                let function = node.child_by_field_name("function");
                let method = function.and_then(|function| file.field(function, "attribute"));
                let value = node
                    .child_by_field_name("arguments")
                    .and_then(|a| a.named_child(0));
                (method, value)
            }
            _ => (None, node.child_by_field_name("right")),
        };
        let Some(value) = value else {
            return;
        };
        let mut listed = BTreeSet::new();
        let literal = string_list(file, value, &mut listed);
        match (method, &mut self.exported) {
            (Some("remove"), Some(exported)) => exported.retain(|name| !listed.contains(name)),
            (Some("remove"), None) => {}
            (_, Some(exported)) => exported.extend(listed),
            (_, exported @ None) if literal => *exported = Some(listed),
            // Computed: the underscore has to decide.
            (_, None) => {}
        }
    }
}

#[derive(Debug, Clone, Default)]
struct Around {
    guards: Vec<usize>,
    typing_only: bool,
}

/// The strings of a literal list; false if no part of it is a literal.
fn string_list(file: &Parsed<'_>, node: Node<'_>, out: &mut BTreeSet<String>) -> bool {
    match node.kind() {
        "list" | "tuple" | "set" | "expression_list" => {
            for item in named_children(node) {
                string_list(file, item, out);
            }
            true
        }
        "binary_operator" | "parenthesized_expression" => {
            let mut any = false;
            for part in named_children(node) {
                any |= string_list(file, part, out);
            }
            any
        }
        "string" => {
            out.extend(strings::value(file, node).map(str::to_owned));
            true
        }
        _ => false,
    }
}

fn is_method_call(call: Node<'_>) -> bool {
    call.child_by_field_name("function")
        .is_some_and(|function| function.kind() == "attribute")
}

/// The definition in a decorated definition, or the node itself.
pub(super) fn undecorated(node: Node<'_>) -> Node<'_> {
    node.child_by_field_name("definition").unwrap_or(node)
}

/// The expressions behind `@`.
pub(super) fn decorators(node: Node<'_>) -> Vec<Node<'_>> {
    named_children(node)
        .into_iter()
        .filter(|child| child.kind() == "decorator")
        .filter_map(|decorator| decorator.named_child(0))
        .collect()
}

/// The last part of a decorator's or base class's name: `overload` of `@typing.overload`.
pub(super) fn last_name<'t>(file: &Parsed<'t>, node: Node<'_>) -> &'t str {
    match node.kind() {
        "call" => node
            .child_by_field_name("function")
            .map_or("", |f| last_name(file, f)),
        "subscript" => node
            .child_by_field_name("value")
            .map_or("", |v| last_name(file, v)),
        "attribute" => file.field(node, "attribute").unwrap_or_default(),
        _ => file.of(node),
    }
}

/// Whether `node`, perhaps decorated, has a decorator of this name.
pub(super) fn is_decorated_by(file: &Parsed<'_>, node: Node<'_>, names: &[&str]) -> bool {
    decorators(node)
        .into_iter()
        .any(|decorator| names.contains(&last_name(file, decorator)))
}

/// A class definition's base classes, keyword arguments aside.
pub(super) fn bases(class: Node<'_>) -> Vec<Node<'_>> {
    class
        .child_by_field_name("superclasses")
        .map(named_children)
        .unwrap_or_default()
        .into_iter()
        .filter(|base| !matches!(base.kind(), "keyword_argument" | "comment"))
        .collect()
}

/// The statements of a definition's body.
pub(super) fn body_of(definition: Node<'_>) -> Vec<Node<'_>> {
    definition
        .child_by_field_name("body")
        .map(named_children)
        .unwrap_or_default()
}

/// A definition's declaration without its body and its decorators.
pub(super) fn declaration<'t>(file: &Parsed<'t>, definition: Node<'_>) -> &'t str {
    let colon = children(definition)
        .into_iter()
        .find(|child| child.kind() == ":");
    let end = colon.map_or(definition.end_byte(), |colon| colon.start_byte());
    file.slice(definition.start_byte()..end).trim_end()
}

/// Its declaration with decorators.
pub(super) fn signature(file: &Parsed<'_>, node: Node<'_>) -> String {
    let mut lines: Vec<String> = decorators(node)
        .into_iter()
        .map(|decorator| format!("@{}", file.of(decorator)))
        .collect();
    lines.push(declaration(file, undecorated(node)).to_owned());
    lines.join("\n")
}

/// The docstring of a module, class or function, given its body's statements.
pub(super) fn doc(file: &Parsed<'_>, body: &[Node<'_>]) -> Option<String> {
    let first = body.iter().find(|node| node.kind() != "comment")?;
    let literal = first
        .named_child(0)
        .filter(|_| first.kind() == "expression_statement")?;
    let text = strings::docstring(file.of(literal));
    (literal.kind() == "string" && !text.is_empty()).then_some(text)
}
