//! The definitions at a file's top level, taken apart as finely as tests may depend on them: a
//! class is its skeleton (head, fields, constructor) and each of its methods.

use tree_sitter::Node;

use super::classes::{class_members, skeleton};
use super::names::{declared, used};
use crate::syntax::{Parsed, comments_above, is_comment, named_children};
use crate::uses::{Definition, ImportUse};

/// The name of what is exported as default and has none of its own.
pub(super) const DEFAULT: &str = "default";

/// One definition.
#[derive(Debug)]
pub(super) struct Entry<'n> {
    /// Its name, or `default`. For a method, the method's.
    pub(super) name: String,
    /// What it is.
    pub(super) shape: Shape<'n>,
    /// What the digest covers.
    pub(super) definition: Definition<'n>,
    /// The node as a whole, as [`super::exports`] refers to it; for a class, the class.
    pub(super) node: Node<'n>,
}

/// What a definition is.
#[derive(Debug)]
pub(super) enum Shape<'n> {
    /// A function; the nodes from which its signature is read, overloads first.
    Function(Vec<Node<'n>>),
    /// A class without its methods.
    Class(Node<'n>),
    /// A method, getter and setter, or a field that holds a function.
    Method {
        /// The class.
        class: Node<'n>,
        /// As for functions.
        parts: Vec<Node<'n>>,
        /// Whether tests may call it.
        public: bool,
    },
    /// A type, which is nothing at run time.
    Type,
    /// Anything else.
    Value,
}

/// All definitions of a file, in file order.
pub(super) fn definitions<'n>(file: &'n Parsed<'_>) -> Vec<Entry<'n>> {
    let mut found = Collector {
        file,
        entries: Vec::new(),
    };
    for statement in named_children(file.root()) {
        found.statement(statement);
    }
    found.entries
}

/// The import statements of a source file, and what `require` gives, as digests see them.
pub(super) fn import_uses(file: &Parsed<'_>) -> Vec<ImportUse> {
    super::imports::statements(file)
        .into_iter()
        .flat_map(|statement| statement.imports)
        .map(|import| ImportUse {
            text: format!("{:?} of {}", import.item, import.module),
            locals: import.local.into_iter().collect(),
        })
        .collect()
}

struct Collector<'n, 't> {
    file: &'n Parsed<'t>,
    entries: Vec<Entry<'n>>,
}

impl<'n> Collector<'n, '_> {
    fn statement(&mut self, statement: Node<'n>) {
        let inner = match statement.kind() {
            "export_statement" => {
                let declaration = statement.child_by_field_name("declaration");
                match declaration.or_else(|| statement.child_by_field_name("value")) {
                    Some(inner) => inner,
                    None => return,
                }
            }
            _ => statement,
        };
        match inner.kind() {
            "function_declaration" | "generator_function_declaration" | "function_signature" => {
                let name = self.file.field(inner, "name").unwrap_or(DEFAULT);
                self.function(name, statement, inner, inner);
            }
            "class_declaration" | "abstract_class_declaration" => {
                let name = self.file.field(inner, "name").unwrap_or(DEFAULT);
                self.class(name, &[name.to_owned()], statement, (inner, inner));
            }
            "lexical_declaration" | "variable_declaration" => self.declarators(statement, inner),
            "interface_declaration" | "type_alias_declaration" => {
                self.plain(statement, inner, Shape::Type);
            }
            "expression_statement" => self.expression(inner),
            "ambient_declaration" => {
                for child in named_children(inner) {
                    self.plain(statement, child, Shape::Value);
                }
            }
            _ if statement.kind() == "export_statement" => {
                self.value(DEFAULT, &[], statement, inner);
            }
            _ => self.plain(statement, inner, Shape::Value),
        }
    }

    /// `a = …, b = …`
    fn declarators(&mut self, statement: Node<'n>, declaration: Node<'n>) {
        let all: Vec<Node<'n>> = named_children(declaration)
            .into_iter()
            .filter(|node| node.kind() == "variable_declarator")
            .collect();
        for declarator in &all {
            let outer = if all.len() == 1 {
                statement
            } else {
                *declarator
            };
            let from = self.entries.len();
            let name = declarator.child_by_field_name("name");
            let value = declarator.child_by_field_name("value");
            match (name, value) {
                (Some(name), Some(value)) if name.kind() == "identifier" => {
                    let name = self.file.of(name);
                    self.value(name, &[name.to_owned()], outer, value);
                }
                _ => self.plain(outer, *declarator, Shape::Value),
            }
            if all.len() > 1 {
                let lead = lead(self.file, statement, declaration);
                for entry in self.entries.iter_mut().skip(from) {
                    if !matches!(entry.shape, Shape::Method { .. } | Shape::Class(_)) {
                        entry.definition.lead = lead;
                    }
                }
            }
        }
    }

    /// What an expression gives, under a name.
    fn value(&mut self, name: &str, names: &[String], outer: Node<'n>, value: Node<'n>) {
        match callable(self.file, value) {
            Some(function) if super::names::is_function(function) => {
                self.function_named(name, names, outer, function, value);
            }
            Some(class) => self.class(name, names, outer, (class, value)),
            None => self.push(name, names, outer, value, Shape::Value),
        }
    }

    /// CommonJS: `module.exports = …`, `exports.a = …`.
    fn expression(&mut self, statement: Node<'n>) {
        let Some(expression) = statement.named_child(0) else {
            return;
        };
        if expression.kind() == "internal_module" {
            self.plain(statement, expression, Shape::Value);
            return;
        }
        let Some((target, value)) = super::exports::assigned(self.file, expression) else {
            return;
        };
        match (target, value.kind()) {
            (Some(name), kind) if kind != "identifier" => {
                self.value(name, &[format!("exports.{name}")], statement, value);
            }
            (None, "object") => {
                for property in named_children(value) {
                    self.property(property);
                }
            }
            (None, kind) if kind != "identifier" => {
                let name =
                    callable(self.file, value).and_then(|node| self.file.field(node, "name"));
                self.value(name.unwrap_or(DEFAULT), &[], statement, value);
            }
            _ => {}
        }
    }

    /// A property of the object that `module.exports` becomes.
    fn property(&mut self, property: Node<'n>) {
        let key = |field| {
            let key: Option<Node<'n>> = property.child_by_field_name(field);
            key.filter(|key| key.kind() == "property_identifier")
                .map(|key| self.file.of(key))
        };
        match property.kind() {
            "pair" => {
                if let (Some(name), Some(value)) =
                    (key("key"), property.child_by_field_name("value"))
                    && value.kind() != "identifier"
                {
                    self.value(name, &[format!("exports.{name}")], property, value);
                }
            }
            "method_definition" => {
                if let Some(name) = key("name") {
                    let names = [format!("exports.{name}")];
                    self.function_named(name, &names, property, property, property);
                }
            }
            _ => {}
        }
    }

    fn function(&mut self, name: &str, outer: Node<'n>, function: Node<'n>, node: Node<'n>) {
        self.function_named(name, &[name.to_owned()], outer, function, node);
    }

    /// A function; an overload joins those before it.
    fn function_named(
        &mut self,
        name: &str,
        names: &[String],
        outer: Node<'n>,
        function: Node<'n>,
        node: Node<'n>,
    ) {
        let uses = used(self.file, [outer]);
        let nodes = with_comments(self.file, outer);
        if let Some(entry) = self.entries.last_mut()
            && entry.name == name
            && let Shape::Function(parts) = &mut entry.shape
            && parts.iter().any(|part| part.kind() == "function_signature")
        {
            parts.push(function);
            entry.definition.nodes.extend(nodes);
            entry.definition.uses.extend(uses);
            entry.node = node;
            return;
        }
        self.push(name, names, outer, node, Shape::Function(vec![function]));
    }

    /// Something that is not taken apart, under the names it declares.
    fn plain(&mut self, outer: Node<'n>, inner: Node<'n>, shape: Shape<'n>) {
        let names: Vec<String> = declared(self.file, inner)
            .into_iter()
            .map(str::to_owned)
            .collect();
        if let Some(first) = names.first().cloned() {
            self.push(&first, &names, outer, inner, shape);
        }
    }

    fn push(
        &mut self,
        name: &str,
        names: &[String],
        outer: Node<'n>,
        node: Node<'n>,
        shape: Shape<'n>,
    ) {
        let nodes = with_comments(self.file, outer);
        self.entries.push(Entry {
            name: name.to_owned(),
            shape,
            definition: Definition {
                names: names.to_vec(),
                requires: None,
                uses: used(self.file, [outer]),
                nodes,
                lead: "",
            },
            node,
        });
    }

    /// A class, and the expression that gives it.
    fn class(
        &mut self,
        name: &str,
        names: &[String],
        outer: Node<'n>,
        (class, node): (Node<'n>, Node<'n>),
    ) {
        let Some(body) = class.child_by_field_name("body") else {
            return;
        };
        let members = class_members(self.file, body);
        let mut nodes = with_comments(self.file, outer);
        nodes.pop();
        skeleton(outer, body, &members, &mut nodes);
        self.entries.push(Entry {
            name: name.to_owned(),
            shape: Shape::Class(class),
            definition: Definition {
                names: names.to_vec(),
                requires: None,
                uses: used(self.file, nodes.iter().copied()),
                nodes,
                lead: "",
            },
            node,
        });
        let key = names.first().map_or(name, String::as_str).to_owned();
        for member in members {
            let mut uses = used(self.file, member.nodes.iter().copied());
            uses.insert(key.clone());
            self.entries.push(Entry {
                node: *member.parts.last().unwrap_or(&class),
                shape: Shape::Method {
                    class,
                    parts: member.parts,
                    public: member.public,
                },
                definition: Definition {
                    names: vec![format!(".{}", member.name)],
                    requires: Some(key.clone()),
                    nodes: member.nodes,
                    lead: "",
                    uses,
                },
                name: member.name,
            });
        }
    }
}

/// A node with the comments above it.
fn with_comments<'n>(file: &Parsed<'_>, node: Node<'n>) -> Vec<Node<'n>> {
    let mut nodes = comments_above(file, node);
    nodes.push(node);
    nodes
}

/// What `value` is in the end: a function or a class, also behind a type assertion, or as the
/// argument of a call known to give back its function in a new coat.
pub(super) fn callable<'n>(file: &Parsed<'_>, value: Node<'n>) -> Option<Node<'n>> {
    let mut node = value;
    loop {
        node = match node.kind() {
            "arrow_function" | "function_expression" | "generator_function" | "class" => {
                return Some(node);
            }
            "parenthesized_expression"
            | "as_expression"
            | "satisfies_expression"
            | "non_null_expression" => node.named_child(0)?,
            "call_expression" => {
                let callee = file.field(node, "function")?;
                let callee = callee.rsplit('.').next().unwrap_or(callee);
                let arguments = node.child_by_field_name("arguments")?;
                let mut arguments = named_children(arguments).into_iter();
                let first = arguments.find(|node| !is_comment(*node))?;
                is_wrapper(callee).then_some(first)?
            }
            _ => return None,
        };
    }
}

/// Functions that give back the function they get, with something added. Any other call may give
/// anything: `items.map(x => …)` is no function.
fn is_wrapper(callee: &str) -> bool {
    const WRAPPERS: [&str; 16] = [
        "memo",
        "memoize",
        "memoizee",
        "memoizeOne",
        "once",
        "debounce",
        "throttle",
        "curry",
        "curryRight",
        "cache",
        "forwardRef",
        "promisify",
        "asyncHandler",
        "expressAsyncHandler",
        "catchAsync",
        "wrap",
    ];
    let higher_order = callee
        .strip_prefix("with")
        .is_some_and(|rest| rest.starts_with(char::is_uppercase));
    WRAPPERS.contains(&callee) || higher_order
}

fn lead(file: &Parsed<'_>, statement: Node<'_>, declaration: Node<'_>) -> &'static str {
    let kind = declaration.child(0).map_or("", |kind| file.of(kind));
    match (statement.kind() == "export_statement", kind) {
        (true, "let") => "export let ",
        (true, "var") => "export var ",
        (true, _) => "export const ",
        (false, "let") => "let ",
        (false, "var") => "var ",
        (false, _) => "const ",
    }
}
