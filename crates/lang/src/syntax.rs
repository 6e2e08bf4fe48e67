//! Parsed text, and the questions every driver asks of it.
//!
//! A driver makes a [`Parsed`] once for a file and hands it around; nodes borrow from it. Columns
//! and lines are tree-sitter's, counted from 0, until they become a [`SyntaxProblem`].

use std::ops::Range;

use testsmith_domain::SyntaxProblem;
use tree_sitter::{Language, Node, Parser, Tree, TreeCursor};

/// A text and its syntax tree.
#[derive(Debug)]
pub(crate) struct Parsed<'t> {
    text: &'t str,
    tree: Tree,
}

impl<'t> Parsed<'t> {
    /// Parses `text`. Always gives a tree: what cannot be read becomes error nodes in it.
    pub(crate) fn new(language: &Language, text: &'t str) -> Self {
        Self::reading(language, text, text)
    }

    /// Parses `readable` in place of `text`: a copy, byte for byte in its place, in which what the
    /// grammar does not know is blanked out.
    pub(crate) fn reading(language: &Language, text: &'t str, readable: &str) -> Self {
        debug_assert_eq!(text.len(), readable.len(), "nodes are places in the text");
        let mut parser = Parser::new();
        let tree = parser
            .set_language(language)
            .ok()
            .and_then(|()| parser.parse(readable, None));
        #[expect(
            clippy::expect_used,
            reason = "fails only for a grammar of another ABI, which every test would show; \
                      no timeout or cancellation is set"
        )]
        let tree = tree.expect("a grammar of this tree-sitter's ABI");
        Self { text, tree }
    }

    /// The whole text.
    pub(crate) fn text(&self) -> &'t str {
        self.text
    }

    /// The root of the tree.
    pub(crate) fn root(&self) -> Node<'_> {
        self.tree.root_node()
    }

    /// The text of `node`.
    pub(crate) fn of(&self, node: Node<'_>) -> &'t str {
        self.slice(node.byte_range())
    }

    /// The text of a field of `node`, if it has that field.
    pub(crate) fn field(&self, node: Node<'_>, name: &str) -> Option<&'t str> {
        node.child_by_field_name(name).map(|child| self.of(child))
    }

    /// The text in a range of bytes; empty if the range is not one of this text.
    pub(crate) fn slice(&self, range: Range<usize>) -> &'t str {
        self.text.get(range).unwrap_or_default()
    }

    /// All places that do not parse, in file order: error nodes and missing tokens.
    pub(crate) fn problems(&self) -> Vec<SyntaxProblem> {
        let mut found = Vec::new();
        if self.root().has_error() {
            walk(self.root(), |node| {
                if node.is_error() || node.is_missing() {
                    found.push(self.problem_at(node));
                    return Descend::No;
                }
                Descend::when(node.has_error())
            });
        }
        found
    }

    /// A problem at the start of `node`.
    pub(crate) fn problem_at(&self, node: Node<'_>) -> SyntaxProblem {
        let start = node.start_byte();
        let line_start = self.line_start(start);
        SyntaxProblem {
            line: line_number(node.start_position().row),
            column: line_number(self.slice(line_start..start).chars().count()),
        }
    }

    /// First and last line of a range of bytes, counted from 1.
    pub(crate) fn lines(&self, range: &Range<usize>) -> (u32, u32) {
        let count = |to: usize| self.slice(0..to).bytes().filter(|b| *b == b'\n').count();
        let first = count(range.start);
        let inside = self.slice(range.clone()).trim_end();
        let last = first + inside.bytes().filter(|b| *b == b'\n').count();
        (line_number(first), line_number(last))
    }

    /// Where the line begins that holds the byte `at`.
    pub(crate) fn line_start(&self, at: usize) -> usize {
        self.slice(0..at).rfind('\n').map_or(0, |found| found + 1)
    }

    /// Where the line ends that holds the byte `at`: behind its line end, or the end of the text.
    pub(crate) fn line_end(&self, at: usize) -> usize {
        self.slice(at..self.text.len())
            .find('\n')
            .map_or(self.text.len(), |found| at + found + 1)
    }

    /// `range` grown to whole lines, if nothing but white space shares these lines with it.
    pub(crate) fn whole_lines(&self, range: &Range<usize>) -> Range<usize> {
        let lines = self.line_start(range.start)..self.line_end(range.end);
        let before = self.slice(lines.start..range.start);
        let after = self.slice(range.end..lines.end);
        if before.trim().is_empty() && after.trim().is_empty() {
            lines
        } else {
            range.clone()
        }
    }
}

/// A number of lines or columns counted from 0, as one counted from 1.
pub(crate) fn line_number(from_zero: usize) -> u32 {
    u32::try_from(from_zero).map_or(u32::MAX, |n| n.saturating_add(1))
}

/// Whether [`walk`] goes into a node's children.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Descend {
    /// Into the children.
    Yes,
    /// Past them.
    No,
}

impl Descend {
    /// `Yes` if `condition` holds.
    pub(crate) fn when(condition: bool) -> Self {
        if condition { Self::Yes } else { Self::No }
    }
}

/// Visits `node` and all below it in file order. Not recursive: nesting cannot exhaust the stack.
pub(crate) fn walk<'t>(node: Node<'t>, mut visit: impl FnMut(Node<'t>) -> Descend) {
    walk_both(node, |event| match event {
        Visit::Enter(node) => visit(node),
        Visit::Leave(_) => Descend::No,
    });
}

/// One step of [`walk_both`].
#[derive(Debug, Clone, Copy)]
pub(crate) enum Visit<'t> {
    /// Before the node's children. What the visitor answers decides whether they are visited.
    Enter(Node<'t>),
    /// After the node's children; only for nodes whose children were visited. The answer is not
    /// read.
    Leave(Node<'t>),
}

/// Like [`walk`], and tells as well when a node is left.
pub(crate) fn walk_both<'t>(node: Node<'t>, mut visit: impl FnMut(Visit<'t>) -> Descend) {
    let mut cursor: TreeCursor<'t> = node.walk();
    let mut depth = 0_usize;
    loop {
        let here = cursor.node();
        if visit(Visit::Enter(here)) == Descend::Yes {
            if cursor.goto_first_child() {
                depth += 1;
                continue;
            }
            visit(Visit::Leave(here));
        }
        loop {
            if depth == 0 {
                return;
            }
            if cursor.goto_next_sibling() {
                break;
            }
            cursor.goto_parent();
            depth -= 1;
            visit(Visit::Leave(cursor.node()));
        }
    }
}

/// The children of `node`, anonymous ones included.
pub(crate) fn children(node: Node<'_>) -> Vec<Node<'_>> {
    node.children(&mut node.walk()).collect()
}

/// The named children of `node`, comments included.
pub(crate) fn named_children(node: Node<'_>) -> Vec<Node<'_>> {
    node.named_children(&mut node.walk()).collect()
}

/// Whether `node` is a comment; all grammars used here call it so.
pub(crate) fn is_comment(node: Node<'_>) -> bool {
    node.kind() == "comment"
}

/// Whether there is a comment in a range of bytes, or one that reaches into it.
pub(crate) fn has_comment(file: &Parsed<'_>, range: &Range<usize>) -> bool {
    let mut found = false;
    walk(file.root(), |node| {
        let is_in = node.start_byte() < range.end && range.start < node.end_byte();
        found |= is_in && is_comment(node);
        Descend::when(is_in && !found)
    });
    found
}

/// Whether `node` is a comma that nothing follows before the closing bracket, which formatters
/// add and take away as lines are broken.
pub(crate) fn is_trailing_comma(node: Node<'_>) -> bool {
    if node.kind() != "," {
        return false;
    }
    let mut next = node.next_sibling();
    while let Some(sibling) = next {
        if !is_comment(sibling) {
            return matches!(sibling.kind(), ")" | "]" | "}" | ">");
        }
        next = sibling.next_sibling();
    }
    true
}

/// The comments that stand directly above `node`, one below the other, with no empty line between
/// them or before `node`, and that share their line with nothing else.
pub(crate) fn comments_above<'t>(file: &Parsed<'_>, node: Node<'t>) -> Vec<Node<'t>> {
    let mut above = Vec::new();
    let mut row = node.start_position().row;
    let mut previous = node.prev_sibling();
    while let Some(comment) = previous {
        let line = file.slice(file.line_start(comment.start_byte())..comment.start_byte());
        if !is_comment(comment) || comment.end_position().row + 1 != row || !line.trim().is_empty()
        {
            break;
        }
        row = comment.start_position().row;
        above.push(comment);
        previous = comment.prev_sibling();
    }
    above.reverse();
    above
}
