//! What a module gives to others, and under which names.

use std::collections::BTreeSet;

use tree_sitter::Node;

use super::definitions::DEFAULT;
use super::grammar::is_identifier;
use super::names::declared;
use crate::syntax::{Parsed, children, named_children};

/// One export.
#[derive(Debug, Clone)]
pub(super) struct Export<'n> {
    /// The name by which others import it; `default` for the default export.
    pub(super) name: String,
    /// What it is.
    pub(super) target: Target<'n>,
    /// Whether it is a type only.
    pub(super) type_only: bool,
}

/// What an export is.
#[derive(Debug, Clone)]
pub(super) enum Target<'n> {
    /// What has this name in the file.
    Local(String),
    /// What stands here.
    Node(Node<'n>),
    /// What another module exports.
    Elsewhere,
}

/// The exports of a file, ES modules' and CommonJS's, in file order. Those that cannot be imported
/// by name (`export *`, names that are keywords or strings) are left out.
pub(super) fn exports<'n>(file: &'n Parsed<'_>) -> Vec<Export<'n>> {
    let mut found = Vec::new();
    for statement in named_children(file.root()) {
        match statement.kind() {
            "export_statement" => exported(file, statement, &mut found),
            "expression_statement" => {
                if let Some(expression) = statement.named_child(0) {
                    commonjs(file, expression, &mut found);
                }
            }
            _ => {}
        }
    }
    found.retain(|export| export.name == DEFAULT || is_importable(&export.name));
    let types = types(file);
    for export in &mut found {
        // `export { Item }` does not say that an interface is meant.
        let of_type =
            matches!(&export.target, Target::Local(name) if types.contains(name.as_str()));
        export.type_only |= of_type;
    }
    found
}

/// The names that are types and nothing else.
fn types<'t>(file: &Parsed<'t>) -> BTreeSet<&'t str> {
    let mut types = BTreeSet::new();
    let mut values = BTreeSet::new();
    for statement in named_children(file.root()) {
        let declaration = statement
            .child_by_field_name("declaration")
            .unwrap_or(statement);
        let is_type = matches!(
            declaration.kind(),
            "interface_declaration" | "type_alias_declaration"
        );
        let names = if is_type { &mut types } else { &mut values };
        names.extend(declared(file, declaration));
        for child in named_children(declaration) {
            names.extend(declared(file, child));
        }
    }
    types.retain(|name| !values.contains(name));
    types
}

/// Whether the file is written as CommonJS: it exports that way, or requires and exports nothing.
pub(super) fn is_commonjs(file: &Parsed<'_>) -> bool {
    let mut requires = false;
    for statement in named_children(file.root()) {
        match statement.kind() {
            "import_statement" | "export_statement" => return false,
            "expression_statement" => {
                let expression = statement.named_child(0);
                if expression.is_some_and(|node| assigned(file, node).is_some()) {
                    return true;
                }
            }
            "lexical_declaration" | "variable_declaration" => {
                requires |= file.of(statement).contains("require(");
            }
            _ => {}
        }
    }
    requires
}

fn exported<'n>(file: &'n Parsed<'_>, statement: Node<'n>, found: &mut Vec<Export<'n>>) {
    let parts = children(statement);
    let has = |word| parts.iter().any(|child| child.kind() == word);
    let mut push = |name: &str, target: Target<'n>, type_only: bool| {
        found.push(Export {
            name: name.to_owned(),
            target,
            type_only,
        });
    };
    let clause = parts.iter().find(|child| child.kind() == "export_clause");
    let declaration = statement.child_by_field_name("declaration");
    if let Some(clause) = clause {
        for export in specified(file, statement, *clause) {
            push(&export.name, export.target, export.type_only || has("type"));
        }
    } else if has("default") {
        if let Some(inner) = declaration.or_else(|| statement.child_by_field_name("value")) {
            let type_only = inner.kind() == "interface_declaration";
            push(DEFAULT, named(file, inner), type_only);
        }
    } else if has("=") {
        // `export = x`, which a test imports as it does a default export.
        if let Some(value) = statement.named_child(0) {
            push(DEFAULT, named(file, value), false);
        }
    } else if let Some(declaration) = declaration {
        // The names of `const a = …, b = …` are those of its declarators.
        for node in std::iter::once(declaration).chain(named_children(declaration)) {
            let group = declaration.kind() == "lexical_declaration"
                || declaration.kind() == "variable_declaration";
            if node == declaration || group {
                for name in declared(file, node) {
                    push(name, Target::Local(name.to_owned()), false);
                }
            }
        }
    }
}

/// The names between the braces of `export { a, b as c }`.
fn specified<'n>(file: &Parsed<'_>, statement: Node<'n>, clause: Node<'n>) -> Vec<Export<'n>> {
    let elsewhere = statement.child_by_field_name("source").is_some();
    let specifiers = named_children(clause).into_iter();
    specifiers
        .filter_map(|specifier| {
            let local = file.field(specifier, "name")?;
            let parts = children(specifier);
            Some(Export {
                name: file.field(specifier, "alias").unwrap_or(local).to_owned(),
                target: if elsewhere {
                    Target::Elsewhere
                } else {
                    Target::Local(local.to_owned())
                },
                type_only: parts.iter().any(|child| child.kind() == "type"),
            })
        })
        .collect()
}

/// What stands at `node`: by its name if it has one that the file knows.
fn named<'n>(file: &Parsed<'_>, node: Node<'n>) -> Target<'n> {
    let declares = node.kind().ends_with("_declaration") || node.kind() == "function_signature";
    match node.kind() {
        "identifier" => Target::Local(file.of(node).to_owned()),
        _ if declares => file
            .field(node, "name")
            .map_or(Target::Node(node), |name| Target::Local(name.to_owned())),
        _ => Target::Node(node),
    }
}

fn commonjs<'n>(file: &'n Parsed<'_>, expression: Node<'n>, found: &mut Vec<Export<'n>>) {
    let mut push = |name: &str, value: Node<'n>| {
        found.push(Export {
            name: name.to_owned(),
            target: named(file, value),
            type_only: false,
        });
    };
    match assigned(file, expression) {
        // Of code that was compiled from ES modules; it is not what a test would name.
        Some((Some(DEFAULT), _)) | None => {}
        Some((Some(name), value)) => push(name, value),
        Some((None, value)) if value.kind() == "object" => {
            for property in named_children(value) {
                let value = property.child_by_field_name("value");
                let name = file
                    .field(property, "key")
                    .or_else(|| file.field(property, "name"));
                match (property.kind(), name) {
                    ("shorthand_property_identifier", _) => {
                        let name = file.of(property).to_owned();
                        found.push(Export {
                            target: Target::Local(name.clone()),
                            name,
                            type_only: false,
                        });
                    }
                    ("pair" | "method_definition", Some(name)) => {
                        found.push(Export {
                            name: name.to_owned(),
                            target: value.map_or(Target::Node(property), |v| named(file, v)),
                            type_only: false,
                        });
                    }
                    _ => {}
                }
            }
        }
        Some((None, value)) => push(DEFAULT, value),
    }
}

/// What an expression assigns to CommonJS's exports: to one name of them, or (`None`) to the whole.
pub(super) fn assigned<'n, 't>(
    file: &Parsed<'t>,
    expression: Node<'n>,
) -> Option<(Option<&'t str>, Node<'n>)> {
    if expression.kind() != "assignment_expression" {
        return None;
    }
    let left = expression.child_by_field_name("left")?;
    let right = expression.child_by_field_name("right")?;
    let name = match left.kind() {
        "identifier" if file.of(left) == "exports" => None,
        "member_expression" => match (file.field(left, "object"), file.field(left, "property")) {
            (Some("module"), Some("exports")) => None,
            (Some("exports" | "module.exports"), Some(name)) => Some(name),
            _ => return None,
        },
        _ => return None,
    };
    // `exports = module.exports = …`; alone, `exports = …` exports nothing.
    match assigned(file, right) {
        Some((None, value)) if name.is_none() => Some((None, value)),
        Some((_, value)) => Some((name, value)),
        None if left.kind() == "identifier" => None,
        None => Some((name, right)),
    }
}

/// Whether `import { name }` can be written: it must be a name, and not a reserved word.
pub(super) fn is_importable(name: &str) -> bool {
    const RESERVED: [&str; 46] = [
        "arguments",
        "await",
        "break",
        "case",
        "catch",
        "class",
        "const",
        "continue",
        "debugger",
        "default",
        "delete",
        "do",
        "else",
        "enum",
        "eval",
        "export",
        "extends",
        "false",
        "finally",
        "for",
        "function",
        "if",
        "implements",
        "import",
        "in",
        "instanceof",
        "interface",
        "let",
        "new",
        "null",
        "package",
        "private",
        "protected",
        "public",
        "return",
        "static",
        "super",
        "switch",
        "this",
        "throw",
        "true",
        "try",
        "typeof",
        "var",
        "void",
        "while",
    ];
    is_identifier(name) && !RESERVED.contains(&name) && !["with", "yield"].contains(&name)
}
