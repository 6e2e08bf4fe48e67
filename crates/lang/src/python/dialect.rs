//! Python as the shared parts see it.
//!
//! Layout carries meaning in Python, and black moves a lot of it about, so tokens follow the syntax
//! tree: every node that holds others counts as a group, and what a formatter may add, take away
//! or write otherwise is left out: parentheses around an expression, commas, quotes, semicolons,
//! the empty brackets of `class A():`. A statement that leaves its block leaves its group.

use std::borrow::Cow;
use std::collections::BTreeSet;

use testsmith_domain::{ComposeRequest, MemberName, SyntaxProblem};
use tree_sitter::{Language, Node};

use super::layout::Layout;
use super::{bindings, imports, names, strings, test_file};
use crate::dialect::{Dialect, Import, ImportStatement, Item, TextEdit};
use crate::syntax::{Descend, Parsed, Visit, children, is_comment, named_children, walk_both};
use crate::tokens::{Token, comment_text};

/// The grammar of Python 3.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Python;

impl Dialect for Python {
    fn language(&self) -> Language {
        tree_sitter_python::LANGUAGE.into()
    }

    fn comment_leader(&self) -> &'static str {
        "#"
    }

    fn blank_lines(&self) -> usize {
        2
    }

    fn blank_lines_before_end(&self) -> usize {
        2
    }

    fn token<'t>(&self, file: &Parsed<'t>, node: Node<'_>) -> Token<'t> {
        token(file, node)
    }

    fn block_token<'t>(&self, file: &Parsed<'t>, node: Node<'_>) -> Token<'t> {
        block_token(file, node)
    }

    fn problems(&self, file: &Parsed<'_>) -> Vec<SyntaxProblem> {
        problems(file)
    }

    fn imports(&self, file: &Parsed<'_>) -> Vec<ImportStatement> {
        named_children(file.root())
            .into_iter()
            .filter(|node| imports::is_import(*node))
            .map(|node| ImportStatement {
                range: node.byte_range(),
                imports: imports::read(file, node),
            })
            .collect()
    }

    fn used_names(&self, file: &Parsed<'_>) -> BTreeSet<String> {
        names::free_names(file)
    }

    fn defined_names(&self, file: &Parsed<'_>) -> Vec<(String, usize)> {
        bindings::defined(file)
    }

    fn header(&self, request: &ComposeRequest<'_>) -> String {
        test_file::header(&Layout::of(&request.project.root, &request.file.path))
    }

    fn repair_header(&self, request: &ComposeRequest<'_>, file: &Parsed<'_>) -> Vec<TextEdit> {
        let layout = Layout::of(&request.project.root, &request.file.path);
        test_file::repair_header(&layout, file)
            .into_iter()
            .collect()
    }

    fn implied_imports(
        &self,
        request: &ComposeRequest<'_>,
        _member: &MemberName,
        code: &Parsed<'_>,
    ) -> Vec<Import> {
        test_file::implied_imports(request, &names::free_names(code))
    }

    fn edit_imports(
        &self,
        request: &ComposeRequest<'_>,
        file: &Parsed<'_>,
        add: &[Import],
        drop: &[Import],
    ) -> Vec<TextEdit> {
        test_file::edit_imports(request, file, (add, drop))
    }

    fn imports_clash(&self, one: &Import, other: &Import) -> bool {
        // `import os` and `import os.path` bind the same `os`.
        let plain = |import: &Import| {
            import.item == Item::Module
                && import.local.as_deref() == Some(imports::first_part(&import.module))
        };
        one.local.is_some()
            && one.local == other.local
            && (&one.module, &one.item) != (&other.module, &other.item)
            && !(plain(one) && plain(other))
    }
}

/// How a node of a block counts, where formatters change more than the tokens of sources let pass:
/// `for (x) in y` is `for x in y`, `case (1)` is `case 1`, `del (x,)` is `del x`, and `f(),` as a
/// statement is `(f(),)`.
fn block_token<'t>(file: &Parsed<'t>, node: Node<'_>) -> Token<'t> {
    let bracketed = |node: Node<'_>| {
        node.kind() == "tuple_pattern"
            && children(node)
                .into_iter()
                .filter(|child| !is_comment(*child))
                .count()
                == 3
    };
    match node.kind() {
        "tuple_pattern" if bracketed(node) => Token::Into,
        "tuple" | "expression_list"
            if node.parent().is_some_and(|parent| {
                parent.kind() == "delete_statement"
                    || (parent.kind() == "expression_statement" && node.named_child_count() == 1)
            }) =>
        {
            Token::Into
        }
        "case_pattern" if node.parent().is_some_and(bracketed) => Token::Into,
        _ => token(file, node),
    }
}

/// How a node counts.
fn token<'t>(file: &Parsed<'t>, node: Node<'_>) -> Token<'t> {
    match node.kind() {
        "comment" => Token::Comment {
            text: comment_text(file.of(node)),
            doc: false,
        },
        "line_continuation" | ";" => Token::Skip,
        "," if !is_single_index(node) => Token::Skip,
        "(" | ")" if has_optional_brackets(node.parent()) => Token::Skip,
        "argument_list" if is_empty_base_list(node) => Token::Skip,
        "tuple_pattern" if is_bracketed_pattern(node) => Token::Into,
        "tuple" | "expression_list" | "tuple_pattern" | "pattern_list" => Token::GroupAs("tuple"),
        // Transparent: the operators inside are groups of their own.
        "module" | "parenthesized_expression" | "with_clause" => Token::Into,
        "not in" | "is not" => Token::Text(Cow::Borrowed(if node.kind() == "not in" {
            "not in"
        } else {
            "is not"
        })),
        "integer" | "float" => Token::Text(Cow::Owned(number(file.of(node)))),
        "string" | "concatenated_string" => string_token(file, node),
        _ if node.child_count() > 0 && node.is_named() => Token::Group,
        _ => Token::Into,
    }
}

/// A number in lower case, with a digit on both sides of its point and no plus in its exponent.
fn number(text: &str) -> String {
    let text = text.to_lowercase().replace("e+", "e");
    match text.split_once('.') {
        Some((whole, rest)) => {
            let whole = if whole.is_empty() { "0" } else { whole };
            let fraction = if rest.starts_with(|c: char| c.is_ascii_digit()) {
                ""
            } else {
                "0"
            };
            format!("{whole}.{fraction}{rest}")
        }
        None => text,
    }
}

/// A string is one token: its words alone if it is documentation.
fn string_token<'t>(file: &Parsed<'t>, node: Node<'_>) -> Token<'t> {
    if is_docstring(node) {
        let text = strings::docstring(file.of(node));
        let words: Vec<&str> = text.split_whitespace().collect();
        return Token::Text(Cow::Owned(format!("\"{}", words.join(" "))));
    }
    Token::Text(Cow::Owned(strings::meaning(file, node)))
}

/// Whether a statement is a docstring.
pub(super) fn is_docstring_statement(statement: Node<'_>) -> bool {
    statement.named_child(0).is_some_and(is_docstring)
}

/// Whether `node` is the expression of the first statement of a module, class or function, and
/// nothing but a string.
fn is_docstring(node: Node<'_>) -> bool {
    if !matches!(node.kind(), "string" | "concatenated_string") {
        return false;
    }
    let Some(statement) = node.parent().filter(|parent| {
        parent.kind() == "expression_statement" && parent.named_child_count() == 1
    }) else {
        return false;
    };
    let Some(block) = statement.parent() else {
        return false;
    };
    let of_definition = block.kind() == "module"
        || (block.kind() == "block"
            && block.parent().is_some_and(|parent| {
                matches!(parent.kind(), "function_definition" | "class_definition")
            }));
    let first = named_children(block)
        .into_iter()
        .find(|child| !is_comment(*child));
    of_definition && first == Some(statement)
}

/// The comma of `a[1,]`, which makes the index a tuple.
fn is_single_index(comma: Node<'_>) -> bool {
    comma.parent().is_some_and(|parent| {
        parent.kind() == "subscript"
            && parent
                .children_by_field_name("subscript", &mut parent.walk())
                .count()
                == 1
    })
}

/// `(x)` in a `case`, which is no tuple.
fn is_bracketed_pattern(node: Node<'_>) -> bool {
    node.parent()
        .is_some_and(|parent| parent.kind() == "case_pattern")
        && children(node)
            .into_iter()
            .filter(|child| !is_comment(*child))
            .count()
            == 3
}

/// Whether brackets directly in this node say nothing that its kind does not.
fn has_optional_brackets(parent: Option<Node<'_>>) -> bool {
    parent.is_some_and(|parent| {
        matches!(
            parent.kind(),
            "parenthesized_expression"
                | "tuple"
                | "tuple_pattern"
                | "with_clause"
                | "import_from_statement"
                | "future_import_statement"
        )
    })
}

fn is_empty_base_list(node: Node<'_>) -> bool {
    node.named_child_count() == 0
        && node
            .parent()
            .is_some_and(|parent| parent.kind() == "class_definition")
}

/// Deeper nesting is no program that people write; Python itself gives up at about 200 brackets.
const DEEPEST: usize = 800;

/// The places that Python would not take: errors of the grammar, what it lets pass though only
/// Python 2 knew it, and blocks without a statement, as they stand while somebody types.
pub(super) fn problems(file: &Parsed<'_>) -> Vec<SyntaxProblem> {
    let found = file.problems();
    if !found.is_empty() {
        return found;
    }
    let mut found = Vec::new();
    let mut depth = 0_usize;
    walk_both(file.root(), |visit| match visit {
        Visit::Enter(node) => {
            depth += 1;
            let deep = depth > DEEPEST;
            if deep || is_foreign(node) || is_hollow(node) {
                found.push(file.problem_at(node));
            }
            if deep || node.child_count() == 0 {
                depth -= 1;
                return Descend::No;
            }
            Descend::Yes
        }
        Visit::Leave(_) => {
            depth -= 1;
            Descend::No
        }
    });
    found
}

fn is_foreign(node: Node<'_>) -> bool {
    matches!(node.kind(), "print_statement" | "exec_statement" | "<>")
}

fn is_hollow(node: Node<'_>) -> bool {
    node.kind() == "block" && named_children(node).into_iter().all(is_comment)
}
