//! How a body uses the module under test, made independent of the module's name.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use testsmith_domain::SourceFile;
use tree_sitter::Node;

use super::names;
use super::outline::last_name;
use super::prepare::{MODULE, edited, imported_names};
use super::{bindings, imports, strings};
use crate::dialect::{Import, Item, TextEdit};
use crate::syntax::{Descend, Parsed, is_comment, named_children, walk};

/// The module under test, as far as its file tells.
#[derive(Debug)]
pub(super) struct OwnModule {
    /// Its dotted name.
    module: String,
    /// The folders that its file is in.
    folders: Vec<String>,
    /// The names that tests import from it.
    pub(super) names: BTreeSet<String>,
}

/// What models call a module whose name they were not told.
const PLACEHOLDERS: &[&str] = &[
    "your_module",
    "my_module",
    "yourmodule",
    "mymodule",
    "module",
    "module_under_test",
];

impl OwnModule {
    /// The module of `file`.
    pub(super) fn of(file: &SourceFile) -> Self {
        Self {
            module: file.module.clone(),
            folders: file.path.dir().split('/').map(str::to_owned).collect(),
            names: imported_names(file),
        }
    }

    /// Whether a model means this module by `name`: its full name, one that starts too far up
    /// (`src.`) or too far down, or a placeholder.
    fn is_called(&self, name: &str) -> bool {
        let name = name.trim_start_matches('.');
        let before = |long: &'_ str, short: &str| -> Option<String> {
            Some(long.strip_suffix(short)?.strip_suffix('.')?.to_owned())
        };
        let is_above = |folders: String| {
            folders
                .split('.')
                .all(|folder| self.folders.iter().any(|f| f == folder))
        };
        !name.is_empty()
            && (name == self.module
                || PLACEHOLDERS.contains(&name)
                || before(name, &self.module).is_some_and(is_above)
                || (before(&self.module, name).is_some() && !imports::is_standard(name)))
    }

    /// Whether `package` holds this module, and so may hand on its names.
    fn is_below(&self, package: &str) -> bool {
        let rest = self.module.strip_prefix(package);
        rest.is_some_and(|rest| rest.starts_with('.'))
    }

    /// What an import binds of this module; `None` if it is another's.
    fn meaning(&self, import: &Import, alone: bool) -> Option<Meaning> {
        match &import.item {
            Item::Module if self.is_called(&import.module) => Some(Meaning::Module),
            Item::Name(name) => {
                let whole = match import.module.trim_end_matches('.') {
                    "" => name.clone(),
                    parent => format!("{parent}.{name}"),
                };
                if self.is_called(&import.module) {
                    Some(Meaning::Name(name.clone()))
                } else if self.is_called(&whole) && !self.names.contains(name) {
                    Some(Meaning::Module)
                } else if (alone || self.is_below(&import.module)) && self.names.contains(name) {
                    Some(Meaning::Name(name.clone()))
                } else {
                    None
                }
            }
            Item::All if self.is_called(&import.module) => Some(Meaning::All),
            _ => None,
        }
    }
}

/// What a local name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Meaning {
    Module,
    Name(String),
    All,
}

/// `code` without imports of the module under test, its names used plainly or, where the module
/// itself is needed, through [`MODULE`].
pub(super) fn rewrite(code: &str, own: &OwnModule) -> String {
    let mut locals: BTreeMap<String, Meaning> = BTreeMap::new();
    let mut dotted: BTreeSet<String> = BTreeSet::new();
    let code = edited(code, |body| {
        let mut edits = Vec::new();
        walk(body.root(), |node| {
            if imports::is_import(node) {
                edits.extend(without_own(body, node, own, &mut locals, &mut dotted));
                return Descend::No;
            }
            Descend::Yes
        });
        edits
    });
    let code = edited(&code, |body| plain_names(body, own, &locals, &dotted));
    edited(&code, |body| patched_strings(body, own))
}

/// Takes what is the module's own out of an import statement.
fn without_own(
    body: &Parsed<'_>,
    node: Node<'_>,
    own: &OwnModule,
    locals: &mut BTreeMap<String, Meaning>,
    dotted: &mut BTreeSet<String>,
) -> Option<TextEdit> {
    let all = imports::read(body, node);
    // Names of ours under another module's name: a guess, unless other names come with them.
    let named = |import: &Import| matches!(&import.item, Item::Name(n) if own.names.contains(n));
    let alone = all.iter().all(named) && all.iter().all(|i| !imports::is_standard(&i.module));
    let mut rest = Vec::new();
    for import in &all {
        let Some(meaning) = own.meaning(import, alone) else {
            rest.push(import.clone());
            continue;
        };
        let whole = import.item == Item::Module && import.module.contains('.');
        match &import.local {
            Some(local) if whole && local == imports::first_part(&import.module) => {
                dotted.insert(import.module.clone());
            }
            Some(local) => {
                locals.insert(local.clone(), meaning);
            }
            None => {}
        }
    }
    if rest.len() == all.len() {
        return None;
    }
    if !rest.is_empty() {
        let indent = " ".repeat(node.start_position().column);
        let text = imports::render(&rest, |_| false, false).replace('\n', &format!("\n{indent}"));
        return Some(TextEdit {
            range: node.byte_range(),
            text,
        });
    }
    let alone_in_block = node.parent().is_some_and(|block| {
        block.kind() == "block"
            && named_children(block)
                .into_iter()
                .filter(|n| !is_comment(*n))
                .count()
                == 1
    });
    Some(if alone_in_block {
        TextEdit {
            range: node.byte_range(),
            text: "pass".to_owned(),
        }
    } else {
        TextEdit::remove(body.whole_lines(&node.byte_range()))
    })
}

/// Replaces aliases and dotted uses. Only names that tests import become plain ones: `shop.__name__` is not the test
/// file's own `__name__`, nor `shop.len` the built-in.
fn plain_names(
    body: &Parsed<'_>,
    own: &OwnModule,
    locals: &BTreeMap<String, Meaning>,
    dotted: &BTreeSet<String>,
) -> Vec<TextEdit> {
    let mut free = names::uses(body, body.root()).names;
    let bound = bindings::bound_anywhere(body);
    let plain = |name: &str| !bound.contains(name) && own.names.contains(name);
    let mut edits = Vec::new();
    // The nodes that stand for the module itself.
    let mut modules: Vec<Range<usize>> = Vec::new();
    for (local, meaning) in locals {
        let places = free.remove(local).unwrap_or_default();
        match meaning {
            Meaning::All => {}
            Meaning::Module => modules.extend(places),
            Meaning::Name(name) if name == local && own.names.contains(name) => {}
            Meaning::Name(name) => edits.extend(places.into_iter().map(|range| TextEdit {
                range,
                text: if plain(name) {
                    name.clone()
                } else {
                    format!("{MODULE}.{name}")
                },
            })),
        }
    }
    walk(body.root(), |node| {
        let is_module = node.kind() == "attribute" && dotted.contains(body.of(node));
        if is_module {
            modules.push(node.byte_range());
        }
        Descend::when(!is_module)
    });
    edits.extend(module_edits(body, &modules, plain));
    edits
}

/// Each use of the module becomes a plain name; but once the module is used as an object, or
/// something in it is set, all do go through it: a plain name would not see what is patched.
fn module_edits(
    body: &Parsed<'_>,
    modules: &[Range<usize>],
    plain: impl Fn(&str) -> bool,
) -> Vec<TextEdit> {
    let node = |range: &Range<usize>| {
        body.root()
            .named_descendant_for_byte_range(range.start, range.end)
    };
    let attribute = |range: &Range<usize>| {
        let node = node(range)?;
        let parent = node
            .parent()
            .filter(|parent| parent.kind() == "attribute")?;
        (parent.child_by_field_name("object") == Some(node)).then_some(parent)
    };
    let needs_module = modules.iter().any(|range| {
        attribute(range).is_none_or(|attribute| {
            attribute.parent().is_some_and(|parent| {
                parent.kind() == "delete_statement"
                    || parent.child_by_field_name("left") == Some(attribute)
            })
        })
    });
    modules
        .iter()
        .map(|range| {
            let name =
                attribute(range).and_then(|node| Some((node, body.field(node, "attribute")?)));
            match name {
                Some((node, name)) if !needs_module && plain(name) => TextEdit {
                    range: node.byte_range(),
                    text: name.to_owned(),
                },
                _ => TextEdit {
                    range: range.clone(),
                    text: MODULE.to_owned(),
                },
            }
        })
        .collect()
}

/// `patch("shop.cart.fetch")` becomes `patch(f"{module_under_test.__name__}.fetch")`.
fn patched_strings(body: &Parsed<'_>, own: &OwnModule) -> Vec<TextEdit> {
    let mut edits = Vec::new();
    walk(body.root(), |node| {
        if node.kind() == "string"
            && is_patch_target(body, node)
            && let Some(text) = strings::value(body, node)
            && let Some(rest) = own.rest_of(text)
        {
            edits.push(TextEdit {
                range: node.byte_range(),
                text: format!("f\"{{{MODULE}.__name__}}{rest}\""),
            });
        }
        Descend::Yes
    });
    edits
}

impl OwnModule {
    /// What follows this module's name in a dotted path, dot included.
    fn rest_of<'t>(&self, path: &'t str) -> Option<&'t str> {
        let dotted = path
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '_' | '.'));
        // The longest prefix first: `shop.cart` before `shop`.
        let mut ends = path.rmatch_indices('.').map(|(at, _)| at);
        let at = ends.find(|at| path.get(..*at).is_some_and(|name| self.is_called(name)))?;
        path.get(at..).filter(|_| dotted)
    }
}

/// Whether a string is the first argument of something that patches by name.
fn is_patch_target(body: &Parsed<'_>, node: Node<'_>) -> bool {
    let Some(arguments) = node
        .parent()
        .filter(|parent| parent.kind() == "argument_list")
    else {
        return false;
    };
    let Some(call) = arguments.parent().filter(|call| call.kind() == "call") else {
        return false;
    };
    let function = body.field(call, "function").unwrap_or_default();
    arguments.named_child(0) == Some(node)
        && (matches!(last_name(body, call), "setattr" | "delattr")
            || function.split('.').any(|part| part == "patch"))
}
