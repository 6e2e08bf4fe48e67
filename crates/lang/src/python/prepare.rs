//! From a model's code for one member to the body that is cached.
//!
//! The body must not depend on where the source file is, so that a renamed or copied file finds
//! its answers again: whatever way the model imported the module under test, the body uses its
//! names plainly, and its imports are written when the test file is composed. Where the module
//! itself is needed, to patch something in it, the body calls it [`MODULE`].

use std::collections::BTreeSet;

use testsmith_domain::{BodyProblem, Member, MemberImport, SourceFile};
use tree_sitter::Node;

use super::dialect::{Python, problems};
use super::framework::is_unittest;
use super::module_use::{self, OwnModule};
use super::outline::undecorated;
use super::{bindings, found_tests, imports, known_names, names, rename};
use crate::body::clean;
use crate::compose::{split_imports, trim_blank_lines};
use crate::dialect::{Dialect, Import, Item, TextEdit, apply};
use crate::syntax::{Parsed, is_comment, named_children};

/// What bodies call the module under test where they need it as an object.
pub(super) const MODULE: &str = "module_under_test";

/// See [`testsmith_domain::LanguageDriver::prepare_body`].
pub(super) fn prepare_body(
    file: &SourceFile,
    member: &Member,
    code: &str,
) -> Result<String, BodyProblem> {
    let own = OwnModule::of(file);
    let code = outdent(&clean(&Python, code)?);
    check(&code)?;
    let code = edited(&code, |body| without_leftovers(body, &own));
    let code = module_use::rewrite(&code, &own);
    let (code, statements) = split_imports(&Python, &code);
    let mut needed: Vec<Import> = statements
        .into_iter()
        .flat_map(|statement| statement.imports)
        .collect();
    let code = edited(&code, |body| plain_datetime(body, &mut needed));
    let code = edited(&code, rename::second_tests);
    let code = edited(&code, |body| rename::unique_names(body, &member.name));

    let body = Python.parse(&code);
    let used = names::free_names(&body);
    needed.retain(|import| import.local.is_none() || import.used_by(&used));
    let bound: BTreeSet<String> = needed
        .iter()
        .filter_map(|import| import.local.clone())
        .collect();
    let missing = used
        .iter()
        .filter(|name| !bound.contains(*name) && !own.names.contains(*name));
    needed.extend(missing.filter_map(|name| known_names::import(name)));

    let head = imports::render(&needed, |_| false, false);
    let code = trim_blank_lines(&space_statements(&code));
    let text = if head.is_empty() {
        code
    } else {
        format!("{head}\n\n\n{code}")
    };
    check(&text)?;
    let body = Python.parse(&text);
    if found_tests::tests(&body, is_unittest(&file.framework)).is_empty() {
        return Err(BodyProblem::NoTest);
    }
    Ok(text)
}

fn check(code: &str) -> Result<(), BodyProblem> {
    let problem = problems(&Python.parse(code)).into_iter().next();
    problem.map_or(Ok(()), |problem| Err(BodyProblem::Syntax(problem)))
}

/// `code` after the edits that `edits` finds in it.
pub(super) fn edited(code: &str, edits: impl FnOnce(&Parsed<'_>) -> Vec<TextEdit>) -> String {
    let parsed = Python.parse(code);
    let edits = edits(&parsed);
    apply(code, edits, "\n")
}

/// Takes off the indentation that all lines have.
fn outdent(code: &str) -> String {
    let filled = || code.lines().filter(|line| !line.trim().is_empty());
    let indent = |line: &str| line.len() - line.trim_start_matches([' ', '\t']).len();
    let common = filled().map(indent).min().unwrap_or(0);
    let lines: Vec<&str> = code
        .lines()
        .map(|line| line.get(common..).unwrap_or_default())
        .collect();
    lines.join("\n") + "\n"
}

/// Empty lines between statements as black has them: two around definitions, at most two anywhere.
fn space_statements(code: &str) -> String {
    edited(code, |body| {
        let statements = named_children(body.root());
        let pairs = statements.iter().zip(statements.iter().skip(1));
        pairs
            .filter_map(|(one, next)| {
                let range = one.end_byte()..next.start_byte();
                let gap = body.slice(range.clone());
                let lines = gap.matches('\n').count();
                let wanted = if is_comment(*one) || !(is_definition(*one) || is_definition(*next)) {
                    lines.min(3)
                } else {
                    3
                };
                (gap.trim().is_empty() && lines > 0 && lines != wanted).then(|| TextEdit {
                    range,
                    text: "\n".repeat(wanted),
                })
            })
            .collect()
    })
}

fn is_definition(node: Node<'_>) -> bool {
    matches!(
        undecorated(node).kind(),
        "function_definition" | "class_definition"
    )
}

/// Takes out what has no place in a block: a docstring for the whole, changes of `sys.path`, a call
/// of the test runner, and copies of the code under test, which would be tested in its place.
fn without_leftovers(body: &Parsed<'_>, own: &OwnModule) -> Vec<TextEdit> {
    named_children(body.root())
        .into_iter()
        .filter(|statement| is_leftover(body, *statement, own))
        .map(|statement| TextEdit::remove(body.whole_lines(&statement.byte_range())))
        .collect()
}

fn is_leftover(body: &Parsed<'_>, statement: Node<'_>, own: &OwnModule) -> bool {
    let text = body.of(statement);
    match statement.kind() {
        "expression_statement" => {
            let inner = statement.named_child(0).map_or("", |inner| inner.kind());
            inner == "string" || text.starts_with("sys.path.") || text.starts_with("unittest.main(")
        }
        "if_statement" => body
            .field(statement, "condition")
            .is_some_and(|condition| condition.contains("__main__")),
        "function_definition" | "class_definition" | "decorated_definition" => body
            .field(undecorated(statement), "name")
            .is_some_and(|name| own.names.contains(name)),
        _ => false,
    }
}

/// One body's `import datetime` and another's `from datetime import datetime` cannot stand in one
/// file: the module is always called `dt`.
fn plain_datetime(body: &Parsed<'_>, needed: &mut [Import]) -> Vec<TextEdit> {
    let plain = |import: &&mut Import| {
        import.item == Item::Module
            && import.module == "datetime"
            && import.local.as_deref() == Some("datetime")
    };
    if bindings::bound_anywhere(body).contains("dt") {
        return Vec::new();
    }
    let Some(import) = needed.iter_mut().find(plain) else {
        return Vec::new();
    };
    import.local = Some("dt".to_owned());
    let places = names::uses(body, body.root())
        .names
        .remove("datetime")
        .unwrap_or_default();
    let edit = |range| TextEdit {
        range,
        text: "dt".to_owned(),
    };
    places.into_iter().map(edit).collect()
}

/// The names that tests import from a file's module: functions, and the classes of methods.
pub(super) fn imported_names(file: &SourceFile) -> BTreeSet<String> {
    file.members
        .iter()
        .filter_map(|member| match &member.import {
            MemberImport::Named(name) => Some(name.clone()),
            MemberImport::SamePackage | MemberImport::Default(_) => None,
        })
        .collect()
}
