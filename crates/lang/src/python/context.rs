//! What a model sees beside the file: signatures of the project's own modules that it imports, and
//! one test a person wrote.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use testsmith_domain::{Excerpt, Project, PromptContext, RelPath, SourceFile};
use tree_sitter::Node;

use super::dialect::Python;
use super::framework::human_tests;
use super::imports::first_part;
use super::layout::{self, Layout};
use super::outline::{Outline, TopKind, body_of, doc, signature, undecorated};
use super::test_file::absolute;
use super::{found_tests, names};
use crate::dialect::{Dialect, Item};
use crate::syntax::{Parsed, is_comment, named_children};

/// Files whose signatures are given at most.
const MOST_RELATED: usize = 12;
/// Characters given of one file at most.
const MOST_TEXT: usize = 4_000;

/// See [`testsmith_domain::LanguageDriver::prompt_context`].
pub(super) fn prompt_context(project: &Project, file: &SourceFile, source: &str) -> PromptContext {
    let layout = Layout::of(&project.root, &file.path);
    PromptContext {
        related: related(&project.root, &layout, file, source),
        style_example: style_example(&project.root, &layout, file),
    }
}

/// What is wanted of a module: some names, or all.
#[derive(Debug, Default)]
struct Wanted {
    names: BTreeSet<String>,
    all: bool,
}

fn related(root: &Path, layout: &Layout, file: &SourceFile, source: &str) -> Vec<Excerpt> {
    let parsed = Python.parse(source);
    let mut wanted: BTreeMap<RelPath, Wanted> = BTreeMap::new();
    for import in Outline::of(&parsed).imports {
        let module = absolute(&import.module, file);
        let submodule = match &import.item {
            Item::Name(name) => find_module(root, layout, &format!("{module}.{name}")),
            _ => None,
        };
        let is_submodule = submodule.is_some();
        let Some(path) = submodule.or_else(|| find_module(root, layout, &module)) else {
            continue;
        };
        let wanted = wanted.entry(path).or_default();
        match import.item {
            Item::Name(name) if !is_submodule => {
                wanted.names.insert(name);
            }
            _ => wanted.all = true,
        }
    }
    wanted
        .into_iter()
        .filter(|(path, _)| *path != file.path)
        .filter_map(|(path, wanted)| {
            let text = crate::read::shown(root, &path)?;
            let text = signatures(&Python.parse(&text), &wanted);
            (!text.is_empty()).then_some(Excerpt { path, text })
        })
        .take(MOST_RELATED)
        .collect()
}

/// The file of a module of the project.
fn find_module(root: &Path, layout: &Layout, module: &str) -> Option<RelPath> {
    if module.is_empty() || first_part(module).is_empty() {
        return None;
    }
    let path = module.replace('.', "/");
    let folders = [layout.import_root.as_str(), layout.subproject.as_str(), ""];
    folders.into_iter().find_map(|folder| {
        let place = layout::join(folder, &path);
        let candidates = [format!("{place}.py"), format!("{place}/__init__.py")];
        let found = candidates
            .into_iter()
            .find(|path| root.join(path).is_file())?;
        RelPath::new(found).ok()
    })
}

/// The declarations of what is wanted, without bodies.
fn signatures(file: &Parsed<'_>, wanted: &Wanted) -> String {
    let outline = Outline::of(file);
    let mut parts: Vec<String> = Vec::new();
    for top in &outline.tops {
        let asked = if wanted.all {
            outline.is_public(&top.name)
        } else {
            wanted.names.contains(&top.name)
        };
        if asked {
            parts.push(match top.kind {
                TopKind::Function => declared(file, top.node, ""),
                TopKind::Class => class_signature(file, top.node),
                TopKind::Value => first_line(file.of(top.node)),
            });
        }
    }
    parts.dedup();
    let mut text = String::new();
    for part in parts {
        if text.len() + part.len() > MOST_TEXT {
            break;
        }
        text.push_str(&part);
        text.push('\n');
    }
    text
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

/// A function's declaration and the first line of its documentation.
fn declared(file: &Parsed<'_>, node: Node<'_>, indent: &str) -> String {
    let mut text = format!(
        "{indent}{}:",
        signature(file, node).replace('\n', &format!("\n{indent}"))
    );
    match doc(file, &body_of(undecorated(node))) {
        Some(doc) => {
            let first = first_line(&doc);
            let _ = write!(text, "\n{indent}    \"\"\"{first}\"\"\"");
        }
        None => text.push_str(" ..."),
    }
    text
}

fn class_signature(file: &Parsed<'_>, node: Node<'_>) -> String {
    let mut lines = vec![declared(file, node, "")];
    for statement in body_of(undecorated(node)) {
        let inner = undecorated(statement);
        match inner.kind() {
            "function_definition" => {
                let name = file.field(inner, "name").unwrap_or_default();
                if !name.starts_with('_') || name == "__init__" {
                    lines.push(declared(file, statement, "    "));
                }
            }
            "expression_statement"
                if inner
                    .named_child(0)
                    .is_some_and(|n| n.kind() == "assignment") =>
            {
                lines.push(format!("    {}", first_line(file.of(inner))));
            }
            _ => {}
        }
    }
    lines.join("\n")
}

/// A test of the project: the shortest that mentions the module, else the shortest.
fn style_example(root: &Path, layout: &Layout, file: &SourceFile) -> Option<Excerpt> {
    let module = file.module.rsplit('.').next().unwrap_or_default();
    human_tests(root, layout)
        .into_iter()
        .filter_map(|path| {
            let text = crate::read::shown(root, &path)?;
            let parsed = Python.parse(&text);
            let unittest = text.contains("TestCase");
            let has_tests = !found_tests::tests(&parsed, unittest).is_empty();
            let usable = has_tests && parsed.problems().is_empty();
            let mentions = names::mentions(&parsed, module);
            usable.then(|| (!mentions, text.len(), path, shortened(&parsed)))
        })
        .min_by(|a, b| (a.0, a.1, &a.2).cmp(&(b.0, b.1, &b.2)))
        .map(|(_, _, path, text)| Excerpt { path, text })
}

/// A whole test file if it is short, else its imports and first tests.
fn shortened(file: &Parsed<'_>) -> String {
    if file.text().len() <= MOST_TEXT {
        return file.text().to_owned();
    }
    let mut out = String::new();
    for node in named_children(file.root()) {
        let text = file.of(node);
        let fits = out.len() + text.len() <= MOST_TEXT;
        if fits && !is_comment(node) {
            out.push_str(text);
            out.push('\n');
        } else if found_tests::is_test(file, node) {
            break;
        }
    }
    out
}
