//! What a model should see beside the file: signatures of the project's modules that it imports,
//! and one test somebody wrote.

use std::path::{Path, PathBuf};

use testsmith_domain::{Excerpt, Project, PromptContext, RelPath, SourceFile};
use tree_sitter::Node;

use super::classify::{by_path, is_own, language};
use super::imports::statements;
use super::manifest::folders_up;
use super::script::Script;
use super::tsconfig::{TsConfig, inside};
use crate::dialect::Dialect;
use crate::syntax::{Descend, Parsed, comments_above, named_children, walk};

/// Bytes of declarations from all modules together.
const BUDGET: usize = 6 * 1024;
/// Bytes of one declaration; longer ones are left out.
const MAX_DECLARATION: usize = 1200;
/// Bytes of the style example.
const MAX_EXAMPLE: u64 = 3 * 1024;
/// Bytes below which a test is too short to show a style.
const MIN_EXAMPLE: u64 = 120;
/// Entries of a folder that are looked at for a style example.
const MAX_ENTRIES: usize = 500;
/// Bytes of a module above which it is not read: tables, not code.
const MAX_MODULE: u64 = 1024 * 1024;

/// See [`testsmith_domain::LanguageDriver::prompt_context`].
pub(super) fn prompt_context(project: &Project, file: &SourceFile, source: &str) -> PromptContext {
    let script = Script::reading(&file.path);
    let parsed = script.parse(source);
    let config = TsConfig::above(project, &file.path);
    let mut budget = BUDGET;
    let mut related: Vec<Excerpt> = Vec::new();
    for statement in statements(&parsed) {
        let Some(module) = statement.imports.first().map(|import| &import.module) else {
            continue;
        };
        let found = resolve(project, file, &config, module);
        let Some(path) = found.filter(|path| !related.iter().any(|r| r.path == *path)) else {
            continue;
        };
        related.extend(outline(project, path, &mut budget));
    }
    PromptContext {
        related,
        style_example: style_example(project, file),
    }
}

/// The project's file that `module` means, as `file` names it.
fn resolve(
    project: &Project,
    file: &SourceFile,
    config: &TsConfig,
    module: &str,
) -> Option<RelPath> {
    let dir = project.root.join(file.path.dir());
    let targets = if module.starts_with('.') {
        vec![dir.join(module)]
    } else {
        config.aliased(module)
    };
    targets
        .iter()
        .filter_map(|target| inside(&project.root, target))
        .flat_map(|target| candidates(&target))
        .filter_map(|path| RelPath::below(&project.root, &path).ok())
        .find(|path| {
            *path != file.path
                && language(path).is_some()
                && path.under(&project.root).is_file()
                && !path.as_str().contains("node_modules/")
        })
}

/// The files that a module's path may mean: as it is, with an extension, built from another, or a
/// folder's index.
fn candidates(target: &Path) -> Vec<PathBuf> {
    const ENDS: [&str; 9] = [
        "",
        ".ts",
        ".tsx",
        ".js",
        ".jsx",
        ".mjs",
        ".mts",
        "/index.ts",
        "/index.js",
    ];
    let text = target.to_string_lossy();
    let mut all: Vec<PathBuf> = ENDS
        .iter()
        .map(|end| format!("{text}{end}").into())
        .collect();
    for (built, source) in [
        (".js", ".ts"),
        (".js", ".tsx"),
        (".mjs", ".mts"),
        (".cjs", ".cts"),
    ] {
        if let Some(stem) = text.strip_suffix(built) {
            all.push(format!("{stem}{source}").into());
        }
    }
    all
}

/// What a module exports, without the bodies of functions.
fn outline(project: &Project, path: RelPath, budget: &mut usize) -> Option<Excerpt> {
    let text = read(project, &path, MAX_MODULE)?;
    let script = Script::reading(&path);
    let parsed = script.parse(&text);
    let exported = super::exports::exports(&parsed);
    let mut out = String::new();
    for statement in named_children(parsed.root()) {
        let declaration = statement
            .child_by_field_name("declaration")
            .unwrap_or(statement);
        let mut nodes = vec![declaration];
        nodes.extend(named_children(declaration));
        let names = nodes
            .iter()
            .flat_map(|node| super::names::declared(&parsed, *node));
        let is_exported = statement.kind() == "export_statement"
            || names
                .into_iter()
                .any(|name| exported.iter().any(|e| e.name == name));
        if !is_exported || statement.child_by_field_name("source").is_some() {
            continue;
        }
        let mut piece = String::new();
        for comment in comments_above(&parsed, statement) {
            piece.push_str(parsed.of(comment));
            piece.push('\n');
        }
        piece.push_str(&without_bodies(&parsed, statement));
        piece.push('\n');
        if piece.len() <= MAX_DECLARATION && piece.len() <= *budget {
            *budget -= piece.len();
            out.push_str(&piece);
        }
    }
    (!out.is_empty()).then_some(Excerpt { path, text: out })
}

/// The text of a declaration with `…` for the bodies of functions.
fn without_bodies(parsed: &Parsed<'_>, node: Node<'_>) -> String {
    let mut out = String::new();
    let mut at = node.start_byte();
    walk(node, |inner| {
        let body = super::names::is_function(inner)
            .then(|| inner.child_by_field_name("body"))
            .flatten()
            .filter(|body| body.kind() == "statement_block");
        if let Some(body) = body {
            out.push_str(parsed.slice(at..body.start_byte()));
            out.push_str("{ … }");
            at = body.end_byte();
        }
        Descend::when(body.is_none())
    });
    out.push_str(parsed.slice(at..node.end_byte()));
    out
}

/// The shortest test somebody wrote, from the nearest folder that has one.
fn style_example(project: &Project, file: &SourceFile) -> Option<Excerpt> {
    const FOLDERS: [&str; 4] = ["", "__tests__", "test", "tests"];
    folders_up(&project.root, &file.path)
        .flat_map(|dir| FOLDERS.map(|folder| dir.join(folder)))
        .find_map(|dir| shortest_test(project, &dir))
}

fn shortest_test(project: &Project, dir: &Path) -> Option<Excerpt> {
    let mut tests: Vec<(u64, RelPath)> = std::fs::read_dir(dir)
        .ok()?
        .flatten()
        .take(MAX_ENTRIES)
        .filter_map(|entry| {
            let path = RelPath::below(&project.root, &entry.path()).ok()?;
            let named = [".test", ".spec"]
                .iter()
                .any(|end| path.stem().ends_with(end))
                || path.dir().ends_with("__tests__");
            let is_test = language(&path).is_some() && named && by_path(&path).is_some();
            let meta = entry.metadata().ok().filter(std::fs::Metadata::is_file)?;
            let fits = (MIN_EXAMPLE..=MAX_EXAMPLE).contains(&meta.len());
            (is_test && fits && !is_own(&path)).then_some((meta.len(), path))
        })
        .collect();
    tests.sort();
    tests.into_iter().find_map(|(_, path)| {
        let text = read(project, &path, MAX_EXAMPLE)?;
        let calls = ["it(", "test("].iter().any(|call| text.contains(call));
        calls.then_some(Excerpt { path, text })
    })
}

fn read(project: &Project, path: &RelPath, limit: u64) -> Option<String> {
    let meta = std::fs::metadata(path.under(&project.root)).ok()?;
    (meta.len() <= limit).then(|| crate::read::shown(&project.root, path))?
}
