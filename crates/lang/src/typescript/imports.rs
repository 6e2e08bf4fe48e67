//! Reading and writing imports, of ES modules and of CommonJS.

use tree_sitter::Node;

use super::names::string_text;
use crate::dialect::{Import, ImportStatement, Item};
use crate::syntax::{Parsed, children, named_children};

/// Modules that are part of Node, and may be named with or without `node:` in front.
const NODE_MODULES: [&str; 30] = [
    "assert",
    "assert/strict",
    "async_hooks",
    "buffer",
    "child_process",
    "crypto",
    "dns",
    "events",
    "fs",
    "fs/promises",
    "http",
    "http2",
    "https",
    "module",
    "net",
    "os",
    "path",
    "path/posix",
    "perf_hooks",
    "process",
    "querystring",
    "readline",
    "stream",
    "stream/promises",
    "timers",
    "timers/promises",
    "url",
    "util",
    "worker_threads",
    "zlib",
];

/// How a file writes its imports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Writing {
    /// `require` in place of `import`.
    pub(super) commonjs: bool,
    /// The quote around module names.
    pub(super) quote: char,
    /// Whether statements end with a semicolon.
    pub(super) semicolon: bool,
}

impl Writing {
    /// How most write, and prettier does.
    pub(super) const fn usual(commonjs: bool) -> Self {
        Self {
            commonjs,
            quote: '\'',
            semicolon: true,
        }
    }

    /// The same, in the way of an existing file's first import statement.
    pub(super) fn like(self, file: &Parsed<'_>, statements: &[ImportStatement]) -> Self {
        let Some(first) = statements.first() else {
            return self;
        };
        let text = file.slice(first.range.clone());
        Self {
            quote: if text.contains('"') { '"' } else { '\'' },
            semicolon: text.ends_with(';'),
            ..self
        }
    }

    /// Statements that import these things, all of one module: one on each line.
    pub(super) fn render(self, imports: &[Import]) -> String {
        let mut lines = Vec::new();
        let mut names: Vec<&Import> = Vec::new();
        let mut default: Option<&Import> = None;
        for import in imports {
            match &import.item {
                Item::Name(_) => names.push(import),
                Item::Default if default.is_none() && !import.type_only => default = Some(import),
                _ => lines.extend(self.single(import)),
            }
        }
        names.sort_by_key(|import| (&import.item, &import.local));
        names.dedup();
        let Some(module) = imports.first().map(|import| &import.module) else {
            return String::new();
        };
        if self.commonjs {
            lines.extend(default.and_then(|import| self.single(import)));
            names.retain(|import| !import.type_only);
            if !names.is_empty() {
                let list = list(&names, ": ", false);
                lines.push(format!("const {{ {list} }} = {}", self.require(module)));
            }
        } else if default.is_some() || !names.is_empty() {
            let all_types = default.is_none() && names.iter().all(|import| import.type_only);
            let mut clause: Vec<String> = Vec::new();
            clause.extend(default.and_then(|import| import.local.clone()));
            if !names.is_empty() {
                clause.push(format!("{{ {} }}", list(&names, " as ", !all_types)));
            }
            let keyword = if all_types { "import type" } else { "import" };
            let from = self.quoted(module);
            lines.push(format!("{keyword} {} from {from}", clause.join(", ")));
        }
        let end = if self.semicolon { ";" } else { "" };
        let lines: Vec<String> = lines.iter().map(|line| format!("{line}{end}")).collect();
        lines.join("\n")
    }

    /// An import that has a statement for itself.
    fn single(self, import: &Import) -> Option<String> {
        let module = self.quoted(&import.module);
        let local = import.local.as_deref().unwrap_or("_");
        let typed = if import.type_only { "type " } else { "" };
        Some(match (&import.item, self.commonjs) {
            (_, true) if import.type_only => return None,
            (Item::Nothing | Item::All, true) => self.require(&import.module),
            (_, true) => format!("const {local} = {}", self.require(&import.module)),
            (Item::Nothing | Item::All, false) => format!("import {module}"),
            (Item::Module, false) => format!("import {typed}* as {local} from {module}"),
            (_, false) => format!("import {typed}{local} from {module}"),
        })
    }

    fn quoted(self, module: &str) -> String {
        format!("{0}{module}{0}", self.quote)
    }

    fn require(self, module: &str) -> String {
        format!("require({})", self.quoted(module))
    }
}

/// The names between braces.
fn list(names: &[&Import], rename: &str, mark_types: bool) -> String {
    let names = names.iter().map(|import| {
        let Item::Name(name) = &import.item else {
            return String::new();
        };
        let typed = if import.type_only && mark_types {
            "type "
        } else {
            ""
        };
        match &import.local {
            Some(local) if local != name => format!("{typed}{name}{rename}{local}"),
            _ => format!("{typed}{name}"),
        }
    });
    names.collect::<Vec<String>>().join(", ")
}

/// The import statements at the top level, and the declarations that are nothing but `require`.
pub(super) fn statements(file: &Parsed<'_>) -> Vec<ImportStatement> {
    named_children(file.root())
        .into_iter()
        .filter_map(|node| {
            let imports = match node.kind() {
                "import_statement" => import_statement(file, node),
                "lexical_declaration" | "variable_declaration" => requires(file, node),
                "expression_statement" => required_module(file, node.named_child(0)?)
                    .map(|module| vec![import(module, Item::Nothing, None)]),
                _ => None,
            }?;
            Some(ImportStatement {
                range: node.byte_range(),
                imports,
            })
        })
        .collect()
}

/// The one name Node's own modules are known by here; others stay as they are.
pub(super) fn canonical(module: &str) -> String {
    if NODE_MODULES.contains(&module) {
        format!("node:{module}")
    } else {
        module.to_owned()
    }
}

/// An import that is no type's alone.
pub(super) fn import(module: &str, item: Item, local: Option<&str>) -> Import {
    Import {
        module: module.to_owned(),
        item,
        local: local.map(str::to_owned),
        type_only: false,
    }
}

fn import_statement(file: &Parsed<'_>, node: Node<'_>) -> Option<Vec<Import>> {
    let typed = children(node).iter().any(|child| child.kind() == "type");
    let clause = named_children(node);
    let mut found = Vec::new();
    let source = node.child_by_field_name("source");
    // `import fs = require('fs')` has its source in the clause.
    let require = clause
        .iter()
        .find(|child| child.kind() == "import_require_clause");
    let source = source.or_else(|| require?.child_by_field_name("source"))?;
    let module = string_text(file.of(source));
    if let Some(local) = require.and_then(|clause| clause.named_child(0)) {
        found.push(import(module, Item::Module, Some(file.of(local))));
    }
    let parts = clause.iter().find(|child| child.kind() == "import_clause");
    for part in parts
        .map(|clause| named_children(*clause))
        .unwrap_or_default()
    {
        match part.kind() {
            "identifier" => found.push(import(module, Item::Default, Some(file.of(part)))),
            "namespace_import" => {
                let local = part.named_child(0).map(|name| file.of(name));
                found.push(import(module, Item::Module, local));
            }
            "named_imports" => {
                let specifiers = named_children(part);
                found.extend(
                    specifiers
                        .iter()
                        .filter_map(|node| specifier(file, *node, module)),
                );
            }
            _ => {}
        }
    }
    if found.is_empty() && parts.is_none() {
        found.push(import(module, Item::Nothing, None));
    }
    for import in &mut found {
        import.type_only |= typed;
    }
    Some(found)
}

fn specifier(file: &Parsed<'_>, node: Node<'_>, module: &str) -> Option<Import> {
    let name = file.field(node, "name")?;
    let local = file.field(node, "alias").unwrap_or(name);
    let item = match name {
        "default" => Item::Default,
        _ => Item::Name(name.to_owned()),
    };
    let mut found = import(module, item, Some(local));
    found.type_only = children(node).iter().any(|child| child.kind() == "type");
    Some(found)
}

/// What a declaration requires; `None` if it does anything else as well.
fn requires(file: &Parsed<'_>, declaration: Node<'_>) -> Option<Vec<Import>> {
    let mut found = Vec::new();
    for declarator in named_children(declaration) {
        let name = declarator.child_by_field_name("name")?;
        let value = declarator.child_by_field_name("value")?;
        let (module, property) = match value.kind() {
            "member_expression" => {
                let object = value.child_by_field_name("object")?;
                (
                    required_module(file, object)?,
                    file.field(value, "property"),
                )
            }
            _ => (required_module(file, value)?, None),
        };
        match (name.kind(), property) {
            ("identifier", None | Some("default")) => {
                found.push(import(module, Item::Default, Some(file.of(name))));
            }
            ("identifier", Some(property)) => {
                let item = Item::Name(property.to_owned());
                found.push(import(module, item, Some(file.of(name))));
            }
            ("object_pattern", None) => {
                for part in named_children(name) {
                    found.push(required_name(file, part, module)?);
                }
            }
            _ => return None,
        }
    }
    (!found.is_empty()).then_some(found)
}

fn required_name(file: &Parsed<'_>, part: Node<'_>, module: &str) -> Option<Import> {
    let (name, local) = match part.kind() {
        "shorthand_property_identifier_pattern" => (file.of(part), file.of(part)),
        "pair_pattern" => {
            let value = part.child_by_field_name("value")?;
            let plain = value.kind() == "identifier";
            (file.field(part, "key")?, plain.then(|| file.of(value))?)
        }
        _ => return None,
    };
    let item = match name {
        "default" => Item::Default,
        _ => Item::Name(name.to_owned()),
    };
    Some(import(module, item, Some(local)))
}

/// The module that `require('…')` names, if `call` is that.
fn required_module<'t>(file: &Parsed<'t>, call: Node<'_>) -> Option<&'t str> {
    let is_call = call.kind() == "call_expression" && file.field(call, "function")? == "require";
    let arguments = is_call.then(|| call.child_by_field_name("arguments"))??;
    let argument = arguments.named_child(0)?;
    let alone = arguments.named_child_count() == 1 && argument.kind() == "string";
    alone.then(|| string_text(file.of(argument)))
}
