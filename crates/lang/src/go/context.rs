//! What a model should see beside the file: declarations it relies on, names that are taken, and
//! one test somebody wrote.

use std::collections::BTreeSet;

use testsmith_domain::{Excerpt, Project, PromptContext, RelPath, SourceFile};
use tree_sitter::Node;

use super::dialect::GoDialect;
use super::files::{Module, Package};
use super::source::signature;
use super::{imports, names};
use crate::dialect::{Dialect, Import};
use crate::syntax::{Parsed, comments_above, named_children};

/// Bytes of declarations from other files of the package.
const PACKAGE_BUDGET: usize = 3 * 1024;
/// Bytes of declarations from all other files together.
const BUDGET: usize = 6 * 1024;
/// Bytes of names that are taken.
const NAMES_BUDGET: usize = 1024;
/// Bytes of one declaration; longer ones (tables, mostly) are left out.
const MAX_DECLARATION: usize = 1200;
/// Bytes of the style example.
const MAX_EXAMPLE: usize = 3 * 1024;

/// See [`testsmith_domain::LanguageDriver::prompt_context`].
pub(super) fn prompt_context(project: &Project, file: &SourceFile, source: &str) -> PromptContext {
    let parsed = GoDialect.parse(source);
    let package = Package::of(project, &file.path);
    let imported = imported_packages(project, file, &parsed);

    let mut related = same_package(&package, file, &parsed);
    let spent: usize = related.iter().map(|excerpt| excerpt.text.len()).sum();
    let mut budget = BUDGET.saturating_sub(spent);
    for (import, package) in &imported {
        related.extend(exported(package, import, &parsed, &mut budget));
    }
    related.extend(taken_names(&package, file));
    let style_example = style_example(&package).or_else(|| {
        imported
            .iter()
            .find_map(|(_, package)| style_example(package))
    });
    PromptContext {
        related,
        style_example,
    }
}

/// The packages of the same module that the file imports.
fn imported_packages<'p>(
    project: &'p Project,
    file: &SourceFile,
    parsed: &Parsed<'_>,
) -> Vec<(Import, Package<'p>)> {
    let Some(module) = Module::of(project, &file.path) else {
        return Vec::new();
    };
    let statements = imports::statements(parsed);
    let all = statements
        .into_iter()
        .flat_map(|statement| statement.imports);
    all.filter_map(|import| {
        let folder = module.folder_of(&import.module)?;
        Some((import, Package::in_folder(project, &folder)))
    })
    .collect()
}

/// The declarations of other files of the package whose names the file uses.
fn same_package(package: &Package<'_>, file: &SourceFile, parsed: &Parsed<'_>) -> Vec<Excerpt> {
    let nodes = named_children(parsed.root());
    let mut used = names::used(parsed, &nodes);
    for (name, _) in names::defined(parsed) {
        used.remove(&name);
    }
    let wanted = |declared: &Declared<'_>| match declared.receiver {
        Some(of) => used.contains(of) && used.contains(&format!(".{}", declared.name)),
        None => used.contains(declared.name),
    };
    let mut budget = PACKAGE_BUDGET;
    let mut excerpts = Vec::new();
    for (path, text) in package.sources() {
        let other = GoDialect.parse(&text);
        let same = names::package_clause(&other).is_some_and(|n| other.of(n) == file.module);
        if same {
            excerpts.extend(outline(path, &other, &mut budget, &wanted));
        }
    }
    excerpts
}

/// The exported declarations of an imported package: first those that the file names.
fn exported(
    package: &Package<'_>,
    import: &Import,
    parsed: &Parsed<'_>,
    budget: &mut usize,
) -> Vec<Excerpt> {
    let text_uses = |name: &str| {
        let local = import.local.as_deref().unwrap_or_default();
        parsed.text().contains(&format!("{local}.{name}"))
    };
    let exported =
        |d: &Declared<'_>| names::is_exported(d.name) && d.receiver.is_none_or(names::is_exported);
    let named = |d: &Declared<'_>| exported(d) && text_uses(d.receiver.unwrap_or(d.name));
    let others = |d: &Declared<'_>| exported(d) && !named(d);
    let mut excerpts = Vec::new();
    let files: Vec<(&RelPath, String)> = package.sources().collect();
    let passes: [&dyn Fn(&Declared<'_>) -> bool; 2] = [&named, &others];
    for wanted in passes {
        for (path, text) in &files {
            let other = GoDialect.parse(text);
            excerpts.extend(outline(path, &other, budget, wanted));
        }
    }
    excerpts
}

/// What one declaration declares.
struct Declared<'t> {
    name: &'t str,
    receiver: Option<&'t str>,
}

/// The wanted declarations of a file without function bodies, as far as the budget goes.
fn outline(
    path: &RelPath,
    file: &Parsed<'_>,
    budget: &mut usize,
    wanted: &dyn Fn(&Declared<'_>) -> bool,
) -> Option<Excerpt> {
    let mut text = String::new();
    let mut add = |piece: String| {
        if piece.len() <= MAX_DECLARATION && piece.len() < *budget {
            *budget -= piece.len() + 1;
            text.push('\n');
            text.push_str(&piece);
        }
    };
    for node in named_children(file.root()) {
        match node.kind() {
            "function_declaration" | "method_declaration" => {
                let receiver = names::receiver_type(file, node);
                let declared = file.field(node, "name").map(|name| Declared {
                    name,
                    receiver: receiver.filter(|_| node.kind() == "method_declaration"),
                });
                if declared.is_some_and(|declared| wanted(&declared)) {
                    add(documented(file, node, "", signature(file, node)));
                }
            }
            "const_declaration" | "var_declaration" | "type_declaration" => {
                for spec in names::specs(node) {
                    let declared = names::spec_names(file, spec);
                    let mut declared = declared.into_iter().map(|name| Declared {
                        name,
                        receiver: None,
                    });
                    if declared.any(|declared| wanted(&declared)) {
                        add(specification(file, node, spec));
                    }
                }
            }
            _ => {}
        }
    }
    let package = names::package_clause(file).map_or("", |name| file.of(name));
    (!text.is_empty()).then(|| Excerpt {
        path: path.clone(),
        text: format!("package {package}\n{text}"),
    })
}

fn specification(file: &Parsed<'_>, declaration: Node<'_>, spec: Node<'_>) -> String {
    let keyword = file.of(declaration).split_whitespace().next();
    let lead = format!("{} ", keyword.unwrap_or_default());
    // The comment of `type X …` is above `type`; that of a line in a group above the line.
    let own = comments_above(file, spec);
    if own.is_empty()
        && file
            .slice(declaration.start_byte()..spec.start_byte())
            .trim()
            == lead.trim()
    {
        return documented(file, declaration, "", file.of(declaration));
    }
    documented(file, spec, &lead, file.of(spec))
}

fn documented(file: &Parsed<'_>, node: Node<'_>, lead: &str, text: &str) -> String {
    let mut out = String::new();
    for comment in comments_above(file, node) {
        out.push_str(file.of(comment).trim_end());
        out.push('\n');
    }
    format!("{out}{lead}{text}\n")
}

/// The names that the package's tests define: a new test may define none of them.
fn taken_names(package: &Package<'_>, file: &SourceFile) -> Vec<Excerpt> {
    let mut budget = NAMES_BUDGET;
    let mut excerpts = Vec::new();
    for (path, text) in package.human_tests() {
        let parsed = GoDialect.parse(&text);
        let same = names::package_clause(&parsed).is_some_and(|n| parsed.of(n) == file.module);
        let names: BTreeSet<String> = names::defined(&parsed)
            .into_iter()
            .map(|(name, _)| name)
            .filter(|name| !name.contains('.'))
            .collect();
        let names: Vec<String> = names.into_iter().collect();
        let text = format!(
            "// Defines, so these names are taken: {}\n",
            names.join(", ")
        );
        if same && !names.is_empty() && text.len() <= budget {
            budget -= text.len();
            excerpts.push(Excerpt {
                path: path.clone(),
                text,
            });
        }
    }
    excerpts
}

/// The shortest test, of three lines or more, in the shortest file of tests that people wrote.
fn style_example(package: &Package<'_>) -> Option<Excerpt> {
    let mut files: Vec<(&RelPath, String)> = package.human_tests().collect();
    files.sort_by_key(|(_, text)| text.len());
    files.iter().find_map(|(path, text)| {
        let parsed = GoDialect.parse(text);
        let test = named_children(parsed.root())
            .into_iter()
            .filter(|node| names::test_name(&parsed, *node).is_some())
            .filter(|node| parsed.of(*node).lines().count() >= 3)
            .filter(|node| parsed.of(*node).len() <= MAX_EXAMPLE)
            .min_by_key(|node| parsed.of(*node).len())?;
        let used = names::qualifiers(&parsed, test);
        let all = imports::statements(&parsed)
            .into_iter()
            .flat_map(|s| s.imports);
        let needed: Vec<Import> = all
            .filter(|i| i.local.is_some() && i.used_by(&used))
            .collect();
        let imports = match needed.as_slice() {
            [] => String::new(),
            needed => format!("{}\n\n", imports::render(needed)),
        };
        Some(Excerpt {
            path: (*path).clone(),
            text: format!(
                "{imports}{}",
                documented(&parsed, test, "", parsed.of(test))
            ),
        })
    })
}
