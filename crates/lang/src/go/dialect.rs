//! Go for the shared parts: tokens, imports, names, header.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use testsmith_domain::{ComposeRequest, RelPath, SyntaxProblem};
use tree_sitter::{Language, Node};

use super::build::Constraint;
use super::files::{OWN_SUFFIX, Package};
use super::{imports, layout, names};
use crate::dialect::{Dialect, Import, ImportStatement, OWNER_LINE, TextEdit};
use crate::syntax::{Parsed, children, is_comment, is_trailing_comma};
use crate::tokens::{Token, comment_text};

/// Go's grammar.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GoDialect;

impl GoDialect {
    /// The test file's package: the source's, or if that is gone the one the file has.
    fn package(request: &ComposeRequest<'_>) -> String {
        let module = &request.file.module;
        let Some(existing) = request.existing.filter(|_| module.is_empty()) else {
            return module.clone();
        };
        let file = Self.parse(existing);
        names::package_clause(&file).map_or_else(String::new, |name| file.of(name).to_owned())
    }

    /// What keeps `body`, which has no package clause, from being part of a Go file.
    pub(super) fn body_problems(file: &Parsed<'_>) -> Vec<SyntaxProblem> {
        let mut problems = file.problems();
        if problems.is_empty() {
            // The grammar takes statements at the top level, Go does not.
            let stray = children(file.root())
                .into_iter()
                .filter(|node| node.is_named() && !is_top_level(*node));
            problems.extend(stray.map(|node| file.problem_at(node)));
        }
        problems
    }
}

fn is_top_level(node: Node<'_>) -> bool {
    matches!(
        node.kind(),
        "package_clause"
            | "import_declaration"
            | "function_declaration"
            | "method_declaration"
            | "const_declaration"
            | "var_declaration"
            | "type_declaration"
            | "comment"
    )
}

impl Dialect for GoDialect {
    fn language(&self) -> Language {
        tree_sitter_go::LANGUAGE.into()
    }

    fn comment_leader(&self) -> &'static str {
        "//"
    }

    fn blank_lines_before_end(&self) -> usize {
        1
    }

    fn token<'t>(&self, file: &Parsed<'t>, node: Node<'_>) -> Token<'t> {
        match node.kind() {
            "comment" => Token::Comment {
                text: comment_text(file.of(node)),
                doc: is_doc(node),
            },
            "," if is_trailing_comma(node) => Token::Skip,
            "empty_statement" => Token::Skip,
            ";" if !separates_clauses(node) => Token::Skip,
            // gofmt takes parentheses from around conditions.
            "(" | ")" if parent_is(node, "parenthesized_expression") => Token::Skip,
            // `return` and what stands on the next line are two statements.
            "binary_expression" | "unary_expression" | "return_statement" => Token::Group,
            "interpreted_string_literal" | "raw_string_literal" | "rune_literal" => {
                Token::Text(Cow::Borrowed(file.of(node)))
            }
            // gofmt writes `0xFF` for `0XFF` and `1e3` for `1E3`.
            "int_literal" | "float_literal" | "imaginary_literal" => {
                Token::Text(Cow::Owned(file.of(node).to_ascii_lowercase()))
            }
            _ if is_implied_type(file, node) => Token::Skip,
            _ => Token::Into,
        }
    }

    fn block_token<'t>(&self, file: &Parsed<'t>, node: Node<'_>) -> Token<'t> {
        layout::token(file, node).unwrap_or_else(|| self.token(file, node))
    }

    fn problems(&self, file: &Parsed<'_>) -> Vec<SyntaxProblem> {
        let mut problems = Self::body_problems(file);
        if problems.is_empty() {
            problems.extend(out_of_order(file));
        }
        problems
    }

    fn imports(&self, file: &Parsed<'_>) -> Vec<ImportStatement> {
        imports::statements(file)
    }

    fn used_names(&self, file: &Parsed<'_>) -> BTreeSet<String> {
        names::qualifiers(file, file.root())
    }

    fn defined_names(&self, file: &Parsed<'_>) -> Vec<(String, usize)> {
        names::defined(file)
    }

    fn header(&self, request: &ComposeRequest<'_>) -> String {
        let constraint = Constraint::of_source(request.project, &request.file.path);
        let build = constraint.map_or_else(String::new, |c| format!("{}\n\n", c.line()));
        format!(
            "{build}// {OWNER_LINE}\n\npackage {}\n",
            Self::package(request)
        )
    }

    fn repair_header(&self, request: &ComposeRequest<'_>, file: &Parsed<'_>) -> Vec<TextEdit> {
        let mut edits = Vec::new();
        if let Some(name) = names::package_clause(file) {
            let (now, wanted) = (file.of(name), Self::package(request));
            // A file that somebody made an external test is theirs to keep right.
            if now != wanted && !now.ends_with("_test") {
                edits.push(TextEdit {
                    range: name.byte_range(),
                    text: wanted,
                });
            }
        }
        if let Some(wanted) = Constraint::of_source(request.project, &request.file.path) {
            match Constraint::node(file) {
                Some(node) if !Constraint::read(file).is_some_and(|c| c.implies(&wanted)) => {
                    edits.push(TextEdit {
                        range: node.byte_range(),
                        text: wanted.line(),
                    });
                }
                Some(_) => {}
                None => edits.push(TextEdit::insert(0, format!("{}\n\n", wanted.line()))),
            }
        }
        edits
    }

    fn edit_imports(
        &self,
        _request: &ComposeRequest<'_>,
        file: &Parsed<'_>,
        add: &[Import],
        drop: &[Import],
    ) -> Vec<TextEdit> {
        imports::edit(file, add, drop)
    }

    fn defined_elsewhere(
        &self,
        request: &ComposeRequest<'_>,
        names: &BTreeSet<String>,
    ) -> BTreeMap<String, RelPath> {
        Package::of(request.project, &request.file.test_path).defining(&request.file.module, names)
    }

    fn defined_by_user(
        &self,
        request: &ComposeRequest<'_>,
        names: &BTreeSet<String>,
    ) -> BTreeSet<String> {
        self.defined_elsewhere(request, names)
            .into_iter()
            .filter(|(_, path)| !path.file_name().ends_with(OWN_SUFFIX))
            // A file for other systems may not be built together with ours.
            .filter(|(_, path)| Constraint::of_source(request.project, path).is_none())
            .map(|(name, _)| name)
            .collect()
    }
}

/// Comments outside of function bodies document what they stand at.
fn is_doc(comment: Node<'_>) -> bool {
    let mut node = comment;
    while let Some(parent) = node.parent() {
        if parent.kind() == "block" {
            return false;
        }
        node = parent;
    }
    true
}

fn parent_is(node: Node<'_>, kind: &str) -> bool {
    node.parent().is_some_and(|parent| parent.kind() == kind)
}

/// Whether a semicolon is one that no line end can stand for.
fn separates_clauses(semicolon: Node<'_>) -> bool {
    semicolon.parent().is_some_and(|parent| {
        matches!(
            parent.kind(),
            "for_clause" | "if_statement" | "expression_switch_statement" | "type_switch_statement"
        )
    })
}

/// Whether `node` is the type of a composite literal that its place in another one implies, so
/// that `gofmt -s` takes it away: the second `T` in `[]T{T{1}}`.
fn is_implied_type(file: &Parsed<'_>, node: Node<'_>) -> bool {
    let outer = || {
        let literal = node.parent().filter(|p| p.kind() == "composite_literal")?;
        if literal.child_by_field_name("type") != Some(node) {
            return None;
        }
        let element = literal.parent().filter(|p| p.kind() == "literal_element")?;
        let mut value = element.parent()?;
        let mut field = "element";
        if value.kind() == "keyed_element" {
            let is_key = value.child_by_field_name("key") == Some(element);
            field = if is_key { "key" } else { "value" };
            value = value.parent()?;
        }
        let of = value.parent().filter(|p| p.kind() == "composite_literal")?;
        let of = of.child_by_field_name("type")?;
        let field = if of.kind() == "map_type" {
            field
        } else {
            "element"
        };
        of.child_by_field_name(field)
    };
    // Cheap test first: this runs for each node of a file.
    matches!(
        node.kind(),
        "type_identifier" | "qualified_type" | "generic_type" | "slice_type" | "map_type"
    ) && outer().is_some_and(|implied| file.of(implied) == file.of(node))
}

/// The first declaration that Go wants elsewhere: the package clause comes first, then imports.
fn out_of_order(file: &Parsed<'_>) -> Option<SyntaxProblem> {
    let rank = |node: &Node<'_>| match node.kind() {
        "package_clause" => 0,
        "import_declaration" => 1,
        _ => 2,
    };
    let declarations = || {
        children(file.root())
            .into_iter()
            .filter(|node| node.is_named() && !is_comment(*node))
    };
    let mut highest = 0;
    let mut clauses = 0;
    for node in declarations() {
        let rank = rank(&node);
        clauses += usize::from(rank == 0);
        if rank < highest || clauses != 1 {
            return Some(file.problem_at(node));
        }
        highest = rank;
    }
    (clauses == 0).then(|| file.problem_at(file.root()))
}
