//! Giving what a body defines names that no other member's body has.
//!
//! All bodies of a source file share one test file, where a second `def cart()` would silently
//! take the place of the first. So tests start with the member's name, and helpers and fixtures end
//! with it. What cannot be renamed for sure is left; writing the file then refuses duplicates.

use std::collections::BTreeSet;
use std::ops::Range;

use testsmith_domain::MemberName;
use tree_sitter::Node;

use super::bindings::{self, parameter_names};
use super::found_tests::{is_fixture, is_test, is_test_class};
use super::names;
use super::outline::{body_of, decorators, last_name, undecorated};
use super::strings;
use crate::dialect::TextEdit;
use crate::syntax::{Descend, Parsed, named_children, walk};

/// The edits that rename what `file`, the body for `member`, defines at its top level.
pub(super) fn unique_names(file: &Parsed<'_>, member: &MemberName) -> Vec<TextEdit> {
    let snake = snake_case(member.as_str());
    let everything = identifiers(file);
    let mut taken: BTreeSet<String> = everything.iter().map(|(name, _)| name.clone()).collect();
    let mut edits = Vec::new();
    for (name, at) in bindings::defined(file) {
        let Some(statement) = statement_at(file, at) else {
            continue;
        };
        let new = new_name(file, statement, &name, member, &snake);
        if new == name || taken.contains(&new) {
            continue;
        }
        if let Some(places) = places(file, &name) {
            taken.insert(new.clone());
            edits.extend(places.into_iter().map(|range| TextEdit {
                range,
                text: new.clone(),
            }));
        }
    }
    edits
}

/// The edits that give what the file defines as `name` at its top level a name with a number behind
/// it; `None` if it cannot be renamed for sure.
pub(super) fn numbered(file: &Parsed<'_>, name: &str) -> Option<Vec<TextEdit>> {
    let defined = bindings::defined(file);
    defined.iter().find(|(other, _)| other == name)?;
    let all: BTreeSet<String> = identifiers(file)
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let stem = stem.strip_suffix('_').unwrap_or(name);
    let new = (2..1000)
        .map(|number| format!("{stem}_{number}"))
        .find(|new| !all.contains(new))?;
    let places = places(file, name)?;
    Some(
        places
            .into_iter()
            .map(|range| TextEdit::replace(range, new.clone()))
            .collect(),
    )
}

/// The edits that give each further test of one name in one scope a number: Python would silently
/// forget all but the last.
pub(super) fn second_tests(file: &Parsed<'_>) -> Vec<TextEdit> {
    let mut taken: BTreeSet<String> = identifiers(file)
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    let top = named_children(file.root());
    let classes = top
        .iter()
        .map(|statement| undecorated(*statement))
        .filter(|inner| inner.kind() == "class_definition")
        .map(body_of);
    let mut edits = Vec::new();
    for scope in std::iter::once(top.clone()).chain(classes) {
        let mut seen = BTreeSet::new();
        for statement in scope.into_iter().filter(|node| is_test(file, *node)) {
            let Some(name) = undecorated(statement).child_by_field_name("name") else {
                continue;
            };
            let text = file.of(name);
            if !seen.insert(text) {
                let numbers = (2..1000).map(|number| format!("{text}_{number}"));
                if let Some(new) = numbers.into_iter().find(|new| !taken.contains(new)) {
                    taken.insert(new.clone());
                    edits.push(TextEdit::replace(name.byte_range(), new));
                }
            }
        }
    }
    edits
}

/// `cart_total` for `Cart.total`.
pub(super) fn snake_case(name: &str) -> String {
    let mut out = String::new();
    let chars: Vec<char> = name.chars().collect();
    for (index, c) in chars.iter().enumerate() {
        let before = index.checked_sub(1).and_then(|at| chars.get(at));
        let behind = chars.get(index + 1);
        if *c == '.' {
            out.push('_');
        } else if c.is_uppercase() {
            let starts_word = before.is_some_and(|b| b.is_lowercase() || b.is_ascii_digit())
                || (before.is_some_and(|b| b.is_uppercase())
                    && behind.is_some_and(|b| b.is_lowercase()));
            if starts_word {
                out.push('_');
            }
            out.extend(c.to_lowercase());
        } else {
            out.push(*c);
        }
    }
    out
}

/// `CartTotal` for `Cart.total`.
pub(super) fn camel_case(name: &str) -> String {
    name.split(['.', '_'])
        .map(|word| {
            let mut chars = word.chars();
            let first = chars.next().map(|c| c.to_uppercase().collect::<String>());
            first.unwrap_or_default() + chars.as_str()
        })
        .collect()
}

/// Names by which the frameworks find what concerns the whole file.
const HOOKS: &[&str] = &[
    "pytestmark",
    "pytest_plugins",
    "setup_module",
    "teardown_module",
    "setup_function",
    "teardown_function",
    "setUpModule",
    "tearDownModule",
];

fn new_name(
    file: &Parsed<'_>,
    statement: Node<'_>,
    name: &str,
    member: &MemberName,
    snake: &str,
) -> String {
    let inner = undecorated(statement);
    if HOOKS.contains(&name) || name.starts_with("__") {
        name.to_owned()
    } else if is_test(file, statement) {
        test_name(name, member, snake)
    } else if inner.kind() == "class_definition" {
        let camel = camel_case(member.as_str());
        if is_test_class(file, inner, false) {
            class_name(name, member, &camel)
        } else if name.contains(&camel) {
            name.to_owned()
        } else {
            format!("{name}For{camel}")
        }
    } else if name.to_lowercase().contains(snake) {
        name.to_owned()
    } else if name.contains(char::is_lowercase) {
        format!("{name}_for_{snake}")
    } else {
        format!("{name}_FOR_{}", snake.to_uppercase())
    }
}

/// `test_cart_total_empty` for `test_empty` and for `test_total_empty`.
fn test_name(name: &str, member: &MemberName, snake: &str) -> String {
    let rest = name
        .strip_prefix("test")
        .unwrap_or(name)
        .trim_start_matches('_');
    let own = member.as_str().rsplit('.').next().unwrap_or_default();
    // However the member is written in the test's name: `cart_total`, `Cart_total`, `CartTotal`,
    // `total`.
    let ways = [
        snake.to_owned(),
        member.as_str().replace('.', "_"),
        camel_case(member.as_str()),
        snake_case(own),
        own.to_owned(),
    ];
    match ways.iter().find_map(|way| without_word(rest, way)) {
        Some(tail) => format!("test_{snake}{tail}"),
        None if rest.is_empty() => format!("test_{snake}"),
        None => format!("test_{snake}_{rest}"),
    }
}

/// What follows `word`, in whatever case, at the start of `name`, if it ends there or at a `_`.
fn without_word<'n>(name: &'n str, word: &str) -> Option<&'n str> {
    let start = name.get(..word.len())?;
    let tail = name.get(word.len()..)?;
    let ends = tail.is_empty() || tail.starts_with('_');
    (ends && !word.is_empty() && start.eq_ignore_ascii_case(word)).then_some(tail)
}

/// `TestCartTotal` for `TestCart`, `TestTotal`, `CartTests`; `TestCartTotalEmpty` for `TestEmpty`.
fn class_name(name: &str, member: &MemberName, camel: &str) -> String {
    let rest = name.strip_prefix("Test").unwrap_or(name);
    if rest.starts_with(camel) {
        return format!("Test{rest}");
    }
    let rest = ["TestCase", "Tests", "Test"]
        .iter()
        .find_map(|suffix| rest.strip_suffix(suffix))
        .unwrap_or(rest);
    let known = member
        .as_str()
        .split('.')
        .map(camel_case)
        .any(|part| part == rest);
    let rest = if known || rest == camel { "" } else { rest };
    format!("Test{camel}{rest}")
}

fn statement_at<'n>(file: &'n Parsed<'_>, at: usize) -> Option<Node<'n>> {
    named_children(file.root())
        .into_iter()
        .find(|node| node.start_byte() == at)
}

/// Every identifier of the file, whatever it stands for.
fn identifiers(file: &Parsed<'_>) -> Vec<(String, Range<usize>)> {
    let mut found = Vec::new();
    walk(file.root(), |node| {
        if node.kind() == "identifier" {
            found.push((file.of(node).to_owned(), node.byte_range()));
        }
        Descend::Yes
    });
    found
}

/// Everywhere that `name`, defined at the top level, is meant; `None` if that cannot be told.
fn places(file: &Parsed<'_>, name: &str) -> Option<Vec<Range<usize>>> {
    let mut places = names::uses(file, file.root())
        .names
        .remove(name)
        .unwrap_or_default();
    let mut fixture = false;
    for statement in named_children(file.root()) {
        fixture |=
            is_fixture(file, statement) && file.field(undecorated(statement), "name") == Some(name);
        places.extend(bindings_in(file, statement, name)?);
    }
    if fixture {
        for function in injected(file) {
            places.extend(injected_places(file, function, name)?);
        }
        places.extend(named_in_strings(file, name)?);
    }
    places.sort_by_key(|range| range.start);
    places.dedup();
    Some(places)
}

/// Where a top-level statement binds `name`; `None` if it does so in a way not understood.
fn bindings_in(file: &Parsed<'_>, statement: Node<'_>, name: &str) -> Option<Vec<Range<usize>>> {
    if !bindings::bound(file, statement).contains(name) {
        return Some(Vec::new());
    }
    let inner = undecorated(statement);
    let target = match inner.kind() {
        "function_definition" | "class_definition" => inner.child_by_field_name("name")?,
        "expression_statement" => {
            let assignment = inner
                .named_child(0)
                .filter(|node| node.kind() == "assignment")?;
            assignment
                .child_by_field_name("left")
                .filter(|left| left.kind() == "identifier")?
        }
        _ => return None,
    };
    (file.of(target) == name).then(|| vec![target.byte_range()])
}

/// The functions whose parameters pytest fills with fixtures.
fn injected<'n>(file: &'n Parsed<'_>) -> Vec<Node<'n>> {
    let mut found = Vec::new();
    for statement in named_children(file.root()) {
        let inner = undecorated(statement);
        let candidates = match inner.kind() {
            "class_definition" => body_of(inner),
            _ => vec![statement],
        };
        found.extend(candidates.into_iter().filter(|node| {
            is_test(file, *node)
                || is_fixture(file, *node)
                || file
                    .field(undecorated(*node), "name")
                    .is_some_and(|n| n.starts_with("setup"))
        }));
    }
    found
}

fn injected_places(file: &Parsed<'_>, function: Node<'_>, name: &str) -> Option<Vec<Range<usize>>> {
    let inner = undecorated(function);
    let mut places: Vec<Range<usize>> = parameter_names(inner)
        .into_iter()
        .filter(|parameter| file.of(*parameter) == name)
        .map(|parameter| parameter.byte_range())
        .collect();
    if places.is_empty() {
        return Some(places);
    }
    let body = inner.child_by_field_name("body")?;
    if bindings::bound(file, body).contains(name) || is_parametrized(file, function, name) {
        return None;
    }
    places.extend(
        names::uses(file, body)
            .names
            .remove(name)
            .unwrap_or_default(),
    );
    Some(places)
}

/// Whether `@pytest.mark.parametrize` gives the parameter its values.
fn is_parametrized(file: &Parsed<'_>, function: Node<'_>, name: &str) -> bool {
    decorators(function)
        .into_iter()
        .filter(|decorator| last_name(file, *decorator) == "parametrize")
        .any(|decorator| file.of(decorator).contains(name))
}

/// Where `usefixtures("name")` and `getfixturevalue("name")` name a fixture.
fn named_in_strings(file: &Parsed<'_>, name: &str) -> Option<Vec<Range<usize>>> {
    let mut found = Some(Vec::new());
    walk(file.root(), |node| {
        if node.kind() == "string" && strings::value(file, node) == Some(name) {
            let call = node.parent().and_then(|arguments| arguments.parent());
            let by_name = call.is_some_and(|call| {
                call.kind() == "call"
                    && matches!(last_name(file, call), "usefixtures" | "getfixturevalue")
            });
            let content = node.named_child(1).map(|content| content.byte_range());
            match (by_name, content, &mut found) {
                (true, Some(content), Some(places)) => places.push(content),
                (true, None, _) => found = None,
                _ => {}
            }
        }
        Descend::Yes
    });
    found
}
