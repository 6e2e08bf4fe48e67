//! Import declarations in Go: reading them, and adding and dropping specifications.
//!
//! A declaration with brackets is kept in the groups its author made (groups are parted by empty
//! lines): a new path joins the first group of its kind, standard library or not, and that group
//! is sorted as gofmt would.

use tree_sitter::Node;

use super::dialect::GoDialect;
use crate::dialect::{Import, ImportStatement, Item, TextEdit};
use crate::marks::outside_blocks;
use crate::syntax::{Descend, Parsed, has_comment, named_children, walk};

/// The import declarations of a file or body.
pub(super) fn statements(file: &Parsed<'_>) -> Vec<ImportStatement> {
    declarations(file)
        .into_iter()
        .map(|node| ImportStatement {
            range: node.byte_range(),
            imports: specs(node)
                .into_iter()
                .filter_map(|spec| read(file, spec))
                .collect(),
        })
        .collect()
}

fn declarations<'f>(file: &'f Parsed<'_>) -> Vec<Node<'f>> {
    let mut all = named_children(file.root());
    all.retain(|node| node.kind() == "import_declaration");
    all
}

fn specs(declaration: Node<'_>) -> Vec<Node<'_>> {
    let mut found = Vec::new();
    walk(declaration, |node| {
        if node.kind() == "import_spec" {
            found.push(node);
        }
        Descend::when(node.kind() != "import_spec")
    });
    found
}

/// One specification.
pub(super) fn read(file: &Parsed<'_>, spec: Node<'_>) -> Option<Import> {
    let path = file.field(spec, "path")?.trim_matches(['"', '`']);
    let (item, local) = match file.field(spec, "name") {
        None => (Item::Module, Some(package_name(path))),
        Some("_") => (Item::Nothing, None),
        Some(".") => (Item::All, None),
        Some(name) => (Item::Module, Some(name.to_owned())),
    };
    Some(Import {
        module: path.to_owned(),
        item,
        local,
        type_only: false,
    })
}

/// An import of a package under its own name.
pub(super) fn plain(path: &str) -> Import {
    Import {
        module: path.to_owned(),
        item: Item::Module,
        local: Some(package_name(path)),
        type_only: false,
    }
}

/// The name that the package of this path most likely has. Only its source tells for sure, but
/// nearly all keep to these rules: the last element, without a major version, `go-`, `-go`.
pub(super) fn package_name(path: &str) -> String {
    let mut elements = path.rsplit('/');
    let last = elements.next().unwrap_or(path);
    let name = if is_major_version(last) {
        elements.next().unwrap_or(last)
    } else {
        last
    };
    let name = match name.rsplit_once('.') {
        Some((stem, version)) if is_major_version(version) => stem,
        _ => name,
    };
    let name = name.strip_prefix("go-").unwrap_or(name);
    let name = name.strip_suffix("-go").unwrap_or(name);
    let name = name.strip_suffix(".go").unwrap_or(name);
    name.replace(['-', '.'], "")
}

fn is_major_version(element: &str) -> bool {
    element
        .strip_prefix('v')
        .is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
}

/// Whether a path is the standard library's: the first element of others holds a dot.
fn is_standard(path: &str) -> bool {
    !path.split('/').next().unwrap_or(path).contains('.')
}

/// A specification as gofmt writes it.
pub(super) fn render_spec(import: &Import) -> String {
    let path = &import.module;
    match (&import.item, &import.local) {
        (Item::Nothing, _) => format!("_ \"{path}\""),
        (Item::All, _) => format!(". \"{path}\""),
        (_, Some(local)) if *local != package_name(path) => format!("{local} \"{path}\""),
        _ => format!("\"{path}\""),
    }
}

/// A declaration of these imports, without a line end.
pub(super) fn render(imports: &[Import]) -> String {
    let lines: Vec<Line> = imports.iter().map(Line::new).collect();
    let (standard, other) = lines.into_iter().partition(|line| is_standard(&line.path));
    render_groups(vec![standard, other])
}

/// One line of a declaration.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    path: String,
    text: String,
}

impl Line {
    fn new(import: &Import) -> Self {
        Self {
            path: import.module.clone(),
            text: render_spec(import),
        }
    }
}

fn render_groups(groups: Vec<Vec<Line>>) -> String {
    let mut groups: Vec<Vec<Line>> = groups.into_iter().filter(|g| !g.is_empty()).collect();
    if let [group] = groups.as_slice()
        && let [line] = group.as_slice()
    {
        return format!("import {}", line.text);
    }
    let texts: Vec<String> = groups
        .iter_mut()
        .map(|group| {
            let lines = group.iter().map(|line| format!("\t{}\n", line.text));
            lines.collect()
        })
        .collect();
    format!("import (\n{})", texts.join("\n"))
}

fn sort(group: &mut [Line]) {
    group.sort_by(|a, b| (&a.path, &a.text).cmp(&(&b.path, &b.text)));
}

/// The edits that add and drop these imports.
pub(super) fn edit(file: &Parsed<'_>, add: &[Import], drop: &[Import]) -> Vec<TextEdit> {
    let declarations = declarations(file);
    let declarations = outside_blocks(&GoDialect, file, declarations, Node::start_byte);
    let target = target(file, &declarations);
    let mut edits = Vec::new();
    for declaration in &declarations {
        let add = if Some(*declaration) == target {
            add
        } else {
            &[]
        };
        edits.extend(edit_declaration(file, *declaration, add, drop));
    }
    if target.is_none() && !add.is_empty() {
        let text = render(&sorted(add));
        let end = super::names::package_clause(file).map_or(0, |name| name.end_byte());
        let (at, open) = behind(file, end);
        edits.push(TextEdit::insert(at, format!("{open}\n{text}\n")));
    }
    edits
}

/// Where the line after what ends at `end` begins, and the line end that is missing there. After a
/// semicolon that is at once: what follows may go on over several lines.
fn behind(file: &Parsed<'_>, end: usize) -> (usize, &'static str) {
    let rest = file.slice(end..file.text().len());
    let blanks = rest.len() - rest.trim_start_matches([' ', '\t']).len();
    let at = if rest[blanks..].starts_with(';') {
        end + blanks + 1
    } else {
        file.line_end(end)
    };
    let is_open = !file.slice(0..at).ends_with('\n');
    (at, if is_open { "\n" } else { "" })
}

fn sorted(imports: &[Import]) -> Vec<Import> {
    let mut imports = imports.to_vec();
    imports.sort_by(|a, b| a.module.cmp(&b.module));
    imports
}

/// The declaration that takes new imports: the first with brackets, else the first; never that of
/// `C`, whose comment is code.
fn target<'f>(file: &Parsed<'_>, declarations: &[Node<'f>]) -> Option<Node<'f>> {
    let usable = || {
        declarations
            .iter()
            .filter(|node| !file.of(**node).contains("\"C\""))
    };
    usable()
        .find(|node| has_brackets(**node))
        .or_else(|| usable().next())
        .copied()
}

fn has_brackets(declaration: Node<'_>) -> bool {
    named_children(declaration)
        .iter()
        .any(|child| child.kind() == "import_spec_list")
}

fn edit_declaration(
    file: &Parsed<'_>,
    declaration: Node<'_>,
    add: &[Import],
    drop: &[Import],
) -> Vec<TextEdit> {
    let specs = specs(declaration);
    let dropped = |spec: &Node<'_>| read(file, *spec).is_some_and(|i| drop.contains(&i));
    let drops = specs.iter().filter(|spec| dropped(spec)).count();
    if add.is_empty() && drops == 0 {
        return Vec::new();
    }
    if has_comment(file, &declaration.byte_range()) {
        return edit_lines(file, declaration, add, &specs, &dropped);
    }
    if add.is_empty() && drops == specs.len() {
        return vec![remove_declaration(file, declaration)];
    }
    let mut groups = groups(file, &specs, &dropped);
    for import in add {
        insert(&mut groups, Line::new(import));
    }
    // Brackets stay where they are: somebody may want them.
    let mut text = render_groups(groups);
    if has_brackets(declaration) && !text.starts_with("import (") {
        text = format!("import (\n\t{}\n)", text.trim_start_matches("import "));
    }
    vec![TextEdit {
        range: declaration.byte_range(),
        text,
    }]
}

/// The lines that stay, in their groups.
fn groups(
    file: &Parsed<'_>,
    specs: &[Node<'_>],
    dropped: &dyn Fn(&Node<'_>) -> bool,
) -> Vec<Vec<Line>> {
    let mut groups: Vec<Vec<Line>> = Vec::new();
    let mut last_row = None;
    for spec in specs {
        let row = spec.start_position().row;
        if last_row.is_none_or(|last| row > last + 1) {
            groups.push(Vec::new());
        }
        last_row = Some(row);
        if let (false, Some(group), Some(import)) =
            (dropped(spec), groups.last_mut(), read(file, *spec))
        {
            group.push(Line {
                path: import.module,
                text: file.of(*spec).to_owned(),
            });
        }
    }
    groups
}

fn insert(groups: &mut Vec<Vec<Line>>, line: Line) {
    let standard = is_standard(&line.path);
    let of_kind = |group: &&mut Vec<Line>| {
        group
            .first()
            .is_some_and(|first| is_standard(&first.path) == standard)
    };
    if let Some(group) = groups.iter_mut().find(of_kind) {
        group.push(line);
        sort(group);
    } else if standard {
        groups.insert(0, vec![line]);
    } else {
        groups.push(vec![line]);
    }
}

/// A declaration with comments keeps its lines: only whole lines come and go.
fn edit_lines(
    file: &Parsed<'_>,
    declaration: Node<'_>,
    add: &[Import],
    specs: &[Node<'_>],
    dropped: &dyn Fn(&Node<'_>) -> bool,
) -> Vec<TextEdit> {
    let mut edits: Vec<TextEdit> = specs
        .iter()
        .filter(|spec| dropped(spec))
        .map(|spec| {
            let (start, end) = (
                file.line_start(spec.start_byte()),
                file.line_end(spec.end_byte()),
            );
            TextEdit::remove(start..end)
        })
        .collect();
    if !add.is_empty() {
        if has_brackets(declaration) {
            let lines: Vec<String> = sorted(add).iter().map(render_spec).collect();
            let lines = format!("\t{}\n", lines.join("\n\t"));
            let at = file.line_start(declaration.end_byte().saturating_sub(1));
            edits.push(TextEdit::insert(at, format!("\n{lines}")));
        } else {
            let (at, open) = behind(file, declaration.end_byte());
            let text = render(&sorted(add));
            edits.push(TextEdit::insert(at, format!("{open}{text}\n")));
        }
    }
    edits
}

/// Takes out a declaration and, if it stands between two empty lines, one of these.
fn remove_declaration(file: &Parsed<'_>, declaration: Node<'_>) -> TextEdit {
    let lines = file.whole_lines(&declaration.byte_range());
    let blank =
        |range: std::ops::Range<usize>| !range.is_empty() && file.slice(range).trim().is_empty();
    let before = file.line_start(lines.start.saturating_sub(1))..lines.start;
    let next = lines.end..file.line_end(lines.end);
    if blank(before) && blank(next.clone()) {
        return TextEdit::remove(lines.start..next.end);
    }
    TextEdit::remove(lines)
}
