//! The public members of a file.

use std::collections::{BTreeMap, BTreeSet};

use testsmith_domain::{Member, MemberImport, MemberKind, MemberName};
use tree_sitter::Node;

use super::definitions::{DEFAULT, Entry, Shape, callable, definitions, import_uses};
use super::exports::{Export, Target, exports, is_importable};
use super::script::Script;
use crate::syntax::{Descend, Parsed, children, is_comment, walk};
use crate::uses::Definitions;

/// The local name of a default export that has none. Not taken from the file's name: a cached body
/// uses it, and must stand when the file is renamed.
pub(super) const DEFAULT_LOCAL: &str = "defaultExport";

/// How many statements behind a definition an error may be to be taken for a sign that the
/// definition ended too soon.
const NEAR: usize = 8;

/// The members of a file, in file order. `components` tells whether there is a library to render
/// React's components with.
pub(super) fn members(script: &Script<'_>, file: &Parsed<'_>, components: bool) -> Vec<Member> {
    let entries = definitions(file);
    let found = candidates(file, &entries);
    let broken: Vec<bool> = entries
        .iter()
        .map(|entry| file.root().has_error() && is_broken(file, entry))
        .collect();
    let react = !components && imports_react(file);
    let all = entries
        .iter()
        .map(|entry| entry.definition.clone())
        .collect();
    let definitions = Definitions::new(script, file, all, import_uses(file));
    let mut names = BTreeSet::new();
    found
        .into_iter()
        .filter(|candidate| !(react && needs_rendering(file, &entries, candidate)))
        .filter_map(|candidate| {
            let dependencies = definitions.of(candidate.entry);
            let touched = dependencies.reached.iter().any(|index| broken[*index])
                || is_bodiless(&entries[candidate.entry]);
            if touched || !names.insert(candidate.name.clone()) {
                return None;
            }
            let entry = &entries[candidate.entry];
            let parts = parts(entry);
            Some(Member {
                name: MemberName(candidate.name),
                kind: if candidate.receiver.is_some() {
                    MemberKind::Method
                } else {
                    MemberKind::Function
                },
                signature: signature(file, entry, parts),
                doc: doc(file, entry),
                receiver: candidate.receiver,
                is_async: parts.iter().any(|part| is_async(file, *part)),
                lines: file.lines(&entry.definition.range()),
                text: dependencies.text,
                uses: dependencies.uses,
                digest: dependencies.digest,
                import: candidate.import,
            })
        })
        .collect()
}

/// A definition that is exported and can be called.
struct Candidate {
    entry: usize,
    name: String,
    receiver: Option<String>,
    import: MemberImport,
}

/// Each exported function and method once, however often it is exported: by its first name, or
/// as the default if it has no other.
fn candidates(file: &Parsed<'_>, entries: &[Entry<'_>]) -> Vec<Candidate> {
    let mut all = exports(file);
    all.retain(|export| !export.type_only);
    all.sort_by_key(|export| export.name == DEFAULT);
    let by_name = by_name(entries);
    let mut taken = BTreeSet::new();
    let mut found = Vec::new();
    for export in all {
        let index = match &export.target {
            Target::Local(local) => by_name.get(local.as_str()).copied(),
            Target::Node(node) => entries.iter().position(|entry| entry.node == *node),
            Target::Elsewhere => None,
        };
        let Some(index) = index else {
            continue;
        };
        if !taken.insert(index) {
            continue;
        }
        let (name, import) = naming(&export, &entries[index]);
        match &entries[index].shape {
            Shape::Function(_) => found.push(Candidate {
                entry: index,
                name,
                receiver: None,
                import,
            }),
            Shape::Class(class) => {
                for (method, entry) in entries.iter().enumerate() {
                    if let Shape::Method {
                        class: of, public, ..
                    } = &entry.shape
                        && of == class
                        && *public
                    {
                        found.push(Candidate {
                            entry: method,
                            name: format!("{name}.{}", entry.name),
                            receiver: Some(name.clone()),
                            import: import.clone(),
                        });
                    }
                }
            }
            Shape::Method { .. } | Shape::Type | Shape::Value => {}
        }
    }
    found.sort_by_key(|candidate| entries[candidate.entry].definition.range().start);
    found
}

/// The functions and classes that others in the file know by a name.
fn by_name<'e>(entries: &'e [Entry<'_>]) -> BTreeMap<&'e str, usize> {
    let mut found = BTreeMap::new();
    for (index, entry) in entries.iter().enumerate() {
        if matches!(entry.shape, Shape::Function(_) | Shape::Class(_)) {
            for name in &entry.definition.names {
                found.entry(name.as_str()).or_insert(index);
            }
        }
    }
    found
}

/// The member's name, and how a test names it.
fn naming(export: &Export<'_>, entry: &Entry<'_>) -> (String, MemberImport) {
    if export.name != DEFAULT {
        let import = MemberImport::Named(export.name.clone());
        return (export.name.clone(), import);
    }
    if entry.name == DEFAULT || !is_importable(&entry.name) {
        let import = MemberImport::Default(DEFAULT_LOCAL.to_owned());
        return (DEFAULT.to_owned(), import);
    }
    let import = MemberImport::Default(entry.name.clone());
    (entry.name.clone(), import)
}

fn parts<'e, 'n>(entry: &'e Entry<'n>) -> &'e [Node<'n>] {
    match &entry.shape {
        Shape::Function(parts) | Shape::Method { parts, .. } => parts,
        Shape::Class(_) | Shape::Type | Shape::Value => &[],
    }
}

/// Whether an entry cannot be read whole: an error in it, or so close to it that it may have lost
/// a part of itself.
fn is_broken(file: &Parsed<'_>, entry: &Entry<'_>) -> bool {
    let mut nodes = entry.definition.nodes.iter();
    nodes.any(|node| node.has_error() || is_beside_error(file, *node))
}

/// Whether a function is only declared, for others to write.
fn is_bodiless(entry: &Entry<'_>) -> bool {
    parts(entry).iter().all(|part| {
        matches!(
            part.kind(),
            "function_signature" | "method_signature" | "abstract_method_signature"
        )
    })
}

/// Whether an error shares a line with the node's start or end, or the next one is a bracket too
/// many: then the node ended too soon.
fn is_beside_error(file: &Parsed<'_>, node: Node<'_>) -> bool {
    let before = node.prev_sibling().filter(Node::is_error);
    let same_line = |error: Node<'_>| error.end_position().row == node.start_position().row;
    if before.is_some_and(same_line) {
        return true;
    }
    let mut next = node.next_sibling();
    for _ in 0..NEAR {
        let Some(sibling) = next else {
            break;
        };
        if sibling.is_error() {
            let bracket = file.of(sibling).starts_with(['}', ')', ']']);
            return bracket || sibling.start_position().row == node.end_position().row;
        }
        let defines = sibling.kind().ends_with("_declaration")
            || matches!(sibling.kind(), "export_statement" | "method_definition");
        if defines {
            return false;
        }
        next = sibling.next_sibling();
    }
    false
}

/// The declaration without its body: of each overload, or of getter and setter.
fn signature(file: &Parsed<'_>, entry: &Entry<'_>, parts: &[Node<'_>]) -> String {
    let signatures = parts.iter().map(|part| {
        let function = match part.kind() {
            "public_field_definition" | "field_definition" => part
                .child_by_field_name("value")
                .and_then(|value| callable(file, value)),
            _ => Some(*part),
        };
        let start = entry
            .definition
            .nodes
            .iter()
            .filter(|node| node.start_byte() <= part.start_byte() && !is_comment(**node))
            .filter(|node| part.end_byte() <= node.end_byte())
            .map(|node| undecorated(*node))
            .max()
            .unwrap_or(part.start_byte());
        let body = function.and_then(|function| function.child_by_field_name("body"));
        let end = body.map_or(part.end_byte(), |body| body.start_byte());
        let text = file.slice(start..end).trim();
        let text = text.trim_end_matches([';', '{']).trim_end();
        format!("{}{text}", entry.definition.lead)
    });
    // Overloads are what callers see, not the implementation behind them.
    let mut all: Vec<String> = signatures.collect();
    let is_overload = |part: &Node<'_>| part.kind().ends_with("_signature");
    if parts.len() > 1 && parts.iter().any(is_overload) {
        let mut keep = parts.iter().map(is_overload);
        all.retain(|_| keep.next().unwrap_or(true));
    }
    all.join("\n")
}

/// Where a definition starts behind its decorators.
fn undecorated(node: Node<'_>) -> usize {
    let first = children(node)
        .into_iter()
        .find(|child| child.kind() != "decorator" && !is_comment(*child));
    match first {
        Some(first) if node.kind() == "export_statement" => first.start_byte(),
        Some(first) if node.child(0).is_some_and(|c| c.kind() == "decorator") => first.start_byte(),
        _ => node.start_byte(),
    }
}

/// The words of the `JSDoc` comment.
fn doc(file: &Parsed<'_>, entry: &Entry<'_>) -> Option<String> {
    let comment = entry
        .definition
        .nodes
        .iter()
        .filter(|node| is_comment(**node))
        .map(|node| file.of(*node))
        .rfind(|text| text.starts_with("/**"))?;
    let inner = comment.trim_start_matches("/**").trim_end_matches("*/");
    let lines: Vec<&str> = inner
        .lines()
        .map(|line| {
            let line = line.trim();
            line.strip_prefix('*').unwrap_or(line).trim()
        })
        .collect();
    let text = lines.join("\n").trim().to_owned();
    (!text.is_empty()).then_some(text)
}

fn is_async(file: &Parsed<'_>, part: Node<'_>) -> bool {
    let function = match part.child_by_field_name("value") {
        Some(value) => callable(file, value).unwrap_or(part),
        None => part,
    };
    let marked = children(function)
        .iter()
        .any(|child| child.kind() == "async");
    let returned = file.field(function, "return_type");
    marked || returned.is_some_and(|of| of.trim_start_matches([':', ' ']).starts_with("Promise<"))
}

/// Whether only a rendering library could call it: it returns JSX, or is a hook, or a method of a
/// class component.
fn needs_rendering(file: &Parsed<'_>, entries: &[Entry<'_>], candidate: &Candidate) -> bool {
    let entry = &entries[candidate.entry];
    let hook = |name: &str| {
        name.strip_prefix("use")
            .is_some_and(|rest| rest.starts_with(char::is_uppercase))
    };
    match &entry.shape {
        Shape::Method { class, .. } => holds_jsx(*class) || extends_component(file, *class),
        _ => hook(&candidate.name) || entry.definition.nodes.iter().any(|node| holds_jsx(*node)),
    }
}

fn holds_jsx(node: Node<'_>) -> bool {
    let mut found = false;
    walk(node, |node| {
        found |= node.kind().starts_with("jsx_");
        Descend::when(!found)
    });
    found
}

fn extends_component(file: &Parsed<'_>, class: Node<'_>) -> bool {
    let heritage = children(class)
        .into_iter()
        .find(|child| child.kind() == "class_heritage");
    heritage.is_some_and(|node| {
        let text = file.of(node);
        text.contains("Component<") || text.trim_end().ends_with("Component")
    })
}

/// Whether React, or one of its kin, is in play: a file of JSX may leave its import out.
fn imports_react(file: &Parsed<'_>) -> bool {
    holds_jsx(file.root())
        || super::imports::statements(file)
            .iter()
            .flat_map(|statement| &statement.imports)
            .any(|import| matches!(import.module.as_str(), "react" | "preact" | "preact/hooks"))
}
