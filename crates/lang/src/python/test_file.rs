//! The test file around the blocks: its first lines and its imports.
//!
//! The first lines put the import root on `sys.path`, at its end: a module that the project's own
//! set-up finds (installed, `pythonpath`, `python -m pytest`) is found that way, any other in the
//! tree beside the tests. They are worded so that linters accept imports below them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use testsmith_domain::{ComposeRequest, SourceFile};
use tree_sitter::Node;

use super::dialect::Python;
use super::imports;
use super::layout::{self, Layout};
use super::outline::Outline;
use super::prepare::{MODULE, imported_names};
use crate::dialect::{Dialect, Import, ImportStatement, Item, OWNER_LINE, TextEdit};
use crate::imports::edit_statements;
use crate::marks::{find, outside_blocks};
use crate::syntax::{Parsed, is_comment, named_children};

/// The text before all imports and blocks.
pub(super) fn header(layout: &Layout) -> String {
    format!(
        "# {OWNER_LINE}\nimport sys\nfrom pathlib import Path\n\n{}\n",
        path_lines(layout)
    )
}

/// The statement that makes the import root known.
fn path_lines(layout: &Layout) -> String {
    let Layout {
        subproject,
        import_root,
        ..
    } = layout;
    // The test file is two folders below the subproject.
    let (levels, below) = match layout::below(subproject, import_root) {
        _ if subproject == import_root => (2, ""),
        Some(below) => (2, below),
        None => (2 + folders_between(import_root, subproject), ""),
    };
    let below = match below {
        "" => String::new(),
        below => format!(
            " / \"{}\"",
            below.replace('\\', "\\\\").replace('"', "\\\"")
        ),
    };
    format!(
        "if (_ROOT := str(Path(__file__).resolve().parents[{levels}]{below})) not in sys.path:\n    \
         sys.path.append(_ROOT)"
    )
}

fn folders_between(above: &str, dir: &str) -> usize {
    layout::below(above, dir).map_or(0, |rest| rest.split('/').count())
}

/// Brings the statement up to date where it is; where it was taken out it is not put back.
pub(super) fn repair_header(layout: &Layout, file: &Parsed<'_>) -> Option<TextEdit> {
    let statement = path_statement(file)?;
    let wanted = path_lines(layout);
    let same = file.of(statement) == wanted;
    (!same).then(|| TextEdit {
        range: statement.byte_range(),
        text: wanted,
    })
}

pub(super) fn path_statement<'n>(file: &'n Parsed<'_>) -> Option<Node<'n>> {
    named_children(file.root()).into_iter().find(|node| {
        let text = file.of(*node);
        node.kind() == "if_statement"
            && text.starts_with("if (_ROOT := ")
            && text.ends_with("sys.path.append(_ROOT)")
            // With a line of the user's in it, it is theirs.
            && text.lines().count() == 2
    })
}

/// What a body may need of the module under test: everything at its top level, what it imports
/// itself included, and the module as an object.
pub(super) fn implied_imports(
    request: &ComposeRequest<'_>,
    used: &BTreeSet<String>,
) -> Vec<Import> {
    let file = request.file;
    let own = |name: &str| Import {
        module: file.module.clone(),
        item: Item::Name(name.to_owned()),
        local: Some(name.to_owned()),
        type_only: false,
    };
    let mut found: BTreeMap<String, Import> = imported_names(file)
        .into_iter()
        .map(|name| (name.clone(), own(&name)))
        .collect();
    found.insert(MODULE.to_owned(), module_import(&file.module));
    let known = |name: &String| found.contains_key(name) || is_builtin(name);
    if !used.iter().all(known) {
        let source = fs::read_to_string(file.path.under(&request.project.root)).unwrap_or_default();
        let parsed = Python.parse(&source);
        let outline = Outline::of(&parsed);
        let public = outline
            .tops
            .iter()
            .filter(|top| !top.typing_only && !is_builtin(&top.name));
        for top in public {
            found
                .entry(top.name.clone())
                .or_insert_with(|| own(&top.name));
        }
        for import in &outline.imports {
            if let Some(local) = &import.local {
                found.entry(local.clone()).or_insert_with(|| Import {
                    module: absolute(&import.module, file),
                    ..import.clone()
                });
            }
        }
    }
    found.into_values().collect()
}

/// The module under test as an object.
fn module_import(module: &str) -> Import {
    let (parent, item) = match module.rsplit_once('.') {
        Some((parent, name)) => (parent, Item::Name(name.to_owned())),
        None => (module, Item::Module),
    };
    Import {
        module: parent.to_owned(),
        item,
        local: Some(MODULE.to_owned()),
        type_only: false,
    }
}

/// The full name of a module that `file` imports, perhaps relative to itself.
pub(super) fn absolute(module: &str, file: &SourceFile) -> String {
    let rest = module.trim_start_matches('.');
    let dots = module.len() - rest.len();
    if dots == 0 {
        return module.to_owned();
    }
    let mut package: Vec<&str> = file.module.split('.').collect();
    if file.path.stem() != "__init__" {
        package.pop();
    }
    package.truncate(package.len().saturating_sub(dots - 1));
    package.extend(rest.split('.').filter(|part| !part.is_empty()));
    package.join(".")
}

/// Names that a body means Python's own by, even where a module has others of that name.
fn is_builtin(name: &str) -> bool {
    const COMMON: &str = "AssertionError AttributeError Exception False IndexError KeyError None \
        NotImplementedError OSError RuntimeError StopIteration True TypeError ValueError \
        ZeroDivisionError abs all any bool bytes callable dict enumerate filter float getattr \
        hasattr hash id int isinstance issubclass iter len list map max min next object open \
        print range repr reversed round set setattr sorted str sum super tuple type zip";
    COMMON.split_whitespace().any(|known| known == name)
}

/// Adds and drops imports. The imports below our first lines are written anew, sorted, unless
/// there are comments or other statements between them.
pub(super) fn edit_imports(
    request: &ComposeRequest<'_>,
    file: &Parsed<'_>,
    (add, drop): (&[Import], &[Import]),
) -> Vec<TextEdit> {
    let layout = Layout::of(&request.project.root, &request.file.path);
    let is_local = |module: &str| is_local(&request.project.root, &layout, request, module);
    let (future, add): (Vec<Import>, Vec<Import>) = add
        .iter()
        .cloned()
        .partition(|import| import.module == "__future__");
    let mut edits = Vec::new();
    if !future.is_empty() {
        let text = imports::render(&future, is_local, true);
        edits.push(TextEdit::insert(start_of_code(file), format!("{text}\n")));
    }
    let path = path_statement(file);
    let from = path.map_or(0, |node| node.end_byte());
    let statements = Python.imports(file);
    let mut section = outside_blocks(&Python, file, statements, |s| s.range.start);
    section.retain(|statement| {
        statement.range.start >= from
            && !statement
                .imports
                .iter()
                .any(|import| import.module == "__future__")
    });
    match section.as_slice() {
        [] => {
            let text = imports::render(&add, is_local, true);
            if !text.is_empty() {
                let at = path.map_or_else(|| start_of_code(file), |n| file.line_end(n.end_byte()));
                let text = match path {
                    Some(_) => format!("\n{text}\n"),
                    None => format!("{text}\n\n"),
                };
                edits.push(TextEdit::insert(at, text));
            }
        }
        [first, ..] => {
            let end = section_end(file, &section);
            if end == section.last().map(|last| last.range.end) {
                let range = first.range.start..end.unwrap_or(first.range.end);
                edits.push(written_anew(&section, range, (&add, drop), is_local));
            } else {
                let render = |imports: &[Import]| imports::render(imports, is_local, false);
                edits.extend(edit_statements(
                    file,
                    &section,
                    0,
                    (&add, drop),
                    render,
                    |into, new| {
                        matches!(new.item, Item::Name(_))
                            && into.imports.iter().all(|other| {
                                matches!(other.item, Item::Name(_)) && other.module == new.module
                            })
                    },
                ));
            }
        }
    }
    // Imports above our first lines are the user's, or what these lines need: nothing to drop.
    edits
}

/// Where the run of import statements ends that starts with the first, with nothing but white
/// space between them and no comment on their lines.
fn section_end(file: &Parsed<'_>, section: &[ImportStatement]) -> Option<usize> {
    let mut end = None;
    for statement in section {
        let gap = end.map_or("", |end| file.slice(end..statement.range.start));
        let line_end = file.line_end(statement.range.end);
        let behind = file.slice(statement.range.end..line_end);
        let inside = file.slice(statement.range.clone());
        if !gap.trim().is_empty() || !behind.trim().is_empty() || inside.contains('#') {
            return None;
        }
        end = Some(statement.range.end);
    }
    end
}

fn written_anew(
    section: &[ImportStatement],
    range: std::ops::Range<usize>,
    (add, drop): (&[Import], &[Import]),
    is_local: impl Fn(&str) -> bool,
) -> TextEdit {
    let kept = section.iter().flat_map(|statement| &statement.imports);
    let mut all: Vec<Import> = kept
        .filter(|import| !drop.contains(import))
        .cloned()
        .collect();
    all.extend(add.iter().cloned());
    TextEdit {
        range,
        text: imports::render(&all, is_local, true),
    }
}

/// The line of the first statement or block; the end of the file if there is none. A statement on the
/// docstring's line has that before it, so what goes before the code goes behind that line.
fn start_of_code(file: &Parsed<'_>) -> usize {
    let mut docstring = 0;
    let mut statement = file.text().len();
    for node in named_children(file.root()) {
        if super::dialect::is_docstring_statement(node) {
            docstring = node.end_byte();
        } else if !is_comment(node) {
            let line = file.line_start(node.start_byte());
            let is_shared = line < docstring;
            statement = if is_shared {
                file.line_end(node.end_byte())
            } else {
                line
            };
            break;
        }
    }
    let blocks = find(&Python, file).unwrap_or_default();
    let block = blocks.first().map(|found| found.lines.start);
    block.map_or(statement, |block| block.min(statement))
}

/// Whether a module is the project's own.
fn is_local(root: &Path, layout: &Layout, request: &ComposeRequest<'_>, module: &str) -> bool {
    let first = imports::first_part(module);
    let place = root.join(&layout.import_root).join(first);
    first == imports::first_part(&request.file.module)
        || (!imports::is_standard(module)
            && (place.is_dir() || place.with_extension("py").is_file()))
}
