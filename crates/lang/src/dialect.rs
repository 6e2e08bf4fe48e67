//! What the shared parts ask of a language: the seam inside this crate.
//!
//! A driver implements [`Dialect`] for each grammar it uses (TypeScript: one value for `.ts`, one
//! for `.tsx` …) and gets from it:
//!
//! - [`crate::body::clean`] as the first step of `prepare_body`,
//! - [`crate::compose::body_sum`] for `body_sum`,
//! - [`crate::marks::blocks`] for `blocks`,
//! - [`crate::compose::compose`] for `compose`,
//! - [`crate::uses::Definitions`] for members' `uses` and `digest`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;

use testsmith_domain::{ComposeRequest, MemberName, RelPath, SyntaxProblem};
use tree_sitter::{Language, Node};

use crate::syntax::Parsed;
use crate::tokens::Token;

/// One grammar, and what the shared parts have to know of it.
pub(crate) trait Dialect: fmt::Debug {
    /// The grammar.
    fn language(&self) -> Language;

    /// What a line comment starts with: `//` or `#`.
    fn comment_leader(&self) -> &'static str;

    /// Empty lines between a block and its neighbours, as the language's formatter has them.
    fn blank_lines(&self) -> usize {
        1
    }

    /// Empty lines between a body and its end mark: as many as the language's formatter would put
    /// there, so that what is written passes its check.
    fn blank_lines_before_end(&self) -> usize {
        0
    }

    /// How a node counts for digests, see [`crate::tokens`].
    fn token<'t>(&self, file: &Parsed<'t>, node: Node<'_>) -> Token<'t>;

    /// How a node counts in the `sum` of a block: as in sources, but for more that formatters change.
    /// What a source's tokens are is part of the cache's keys, and so stays as it is.
    fn block_token<'t>(&self, file: &Parsed<'t>, node: Node<'_>) -> Token<'t> {
        self.token(file, node)
    }

    /// Parses `text` by this grammar.
    fn parse<'t>(&self, text: &'t str) -> Parsed<'t> {
        Parsed::new(&self.language(), text)
    }

    /// What keeps `file`, a whole test file, from being one.
    fn problems(&self, file: &Parsed<'_>) -> Vec<SyntaxProblem> {
        file.problems()
    }

    /// The import statements at the top level of a file or body, in file order.
    fn imports(&self, file: &Parsed<'_>) -> Vec<ImportStatement>;

    /// The names through which the code of a file or body, import statements aside, may use what
    /// is imported. Too many keeps an import that is unused; too few drops one that is used.
    fn used_names(&self, file: &Parsed<'_>) -> BTreeSet<String>;

    /// The names a file or body defines at its top level, other than by imports, each with the
    /// byte where its definition starts. Only what must be unique (not Go's `init` and `_`).
    fn defined_names(&self, file: &Parsed<'_>) -> Vec<(String, usize)>;

    /// The text of a test file before any import or block: the line that says whose it is
    /// ([`OWNER_LINE`]), Go's package clause … Ends with a line end.
    fn header(&self, request: &ComposeRequest<'_>) -> String;

    /// Changes that bring an existing file's header up to date with its source file, for instance
    /// Go's package clause. Must not overlap the import statements.
    fn repair_header(&self, _request: &ComposeRequest<'_>, _file: &Parsed<'_>) -> Vec<TextEdit> {
        Vec::new()
    }

    /// Imports that a body needs beside those at its top: the module under test, the test
    /// framework. `code` is the body without its import statements. Those whose local name the
    /// code does not use are left out by the caller.
    fn implied_imports(
        &self,
        _request: &ComposeRequest<'_>,
        _member: &MemberName,
        _code: &Parsed<'_>,
    ) -> Vec<Import> {
        Vec::new()
    }

    /// The changes to `file` that add and drop these imports. Line ends are LF here; the caller
    /// turns them into the file's. See [`crate::imports::edit_statements`] for languages with a
    /// statement for each module.
    fn edit_imports(
        &self,
        request: &ComposeRequest<'_>,
        file: &Parsed<'_>,
        add: &[Import],
        drop: &[Import],
    ) -> Vec<TextEdit>;

    /// Whether two imports cannot stand in one file.
    fn imports_clash(&self, one: &Import, other: &Import) -> bool {
        one.local.is_some()
            && one.local == other.local
            && (&one.module, &one.item) != (&other.module, &other.item)
    }

    /// Those of `names` that another file defines which shares the test file's name space, with
    /// that file. Empty where each file has its own name space. The test file itself is not
    /// looked at.
    fn defined_elsewhere(
        &self,
        _request: &ComposeRequest<'_>,
        _names: &BTreeSet<String>,
    ) -> BTreeMap<String, RelPath> {
        BTreeMap::new()
    }

    /// Those of `names` that the user defines in another file that shares the test file's name
    /// space: what of ours has them has to make room.
    fn defined_by_user(
        &self,
        _request: &ComposeRequest<'_>,
        _names: &BTreeSet<String>,
    ) -> BTreeSet<String> {
        BTreeSet::new()
    }
}

/// First words of every file of ours, behind the comment leader. Not worded as a generated file:
/// linters skip those, and so does testsmith itself.
pub(crate) const OWNER_LINE: &str = "Tests kept by testsmith. Blocks you edit or delete are yours.";

/// One imported thing: the least that can be added or dropped.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Import {
    /// The module as the statement names it, without quotes.
    pub(crate) module: String,
    /// What of it.
    pub(crate) item: Item,
    /// The name it has in the file; `None` if it has none of its own (side effects, `*`, Go's `.`
    /// and `_`): such an import always counts as used.
    pub(crate) local: Option<String>,
    /// TypeScript: imported for its type only.
    pub(crate) type_only: bool,
}

/// What of a module is imported.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Item {
    /// The module as a whole, under a name: `import os`, `import * as fs from 'fs'`.
    Module,
    /// Its default export.
    Default,
    /// One exported name.
    Name(String),
    /// All of its names, unqualified: `from x import *`, Go's `import . "x"`.
    All,
    /// Nothing: it is loaded for its side effects.
    Nothing,
}

impl Import {
    /// Whether `self` gives what `wanted` asks for.
    pub(crate) fn covers(&self, wanted: &Self) -> bool {
        (&self.module, &self.item, &self.local) == (&wanted.module, &wanted.item, &wanted.local)
            && (wanted.type_only || !self.type_only)
    }

    /// Whether code that uses `names` uses this import.
    pub(crate) fn used_by(&self, names: &BTreeSet<String>) -> bool {
        self.local
            .as_ref()
            .is_none_or(|local| names.contains(local))
    }
}

/// An import statement (in Go: one import specification of a declaration).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ImportStatement {
    /// Its bytes, without line end. For a body, what is cut out when its imports are hoisted.
    pub(crate) range: Range<usize>,
    /// What it imports.
    pub(crate) imports: Vec<Import>,
}

/// A change to a text: these bytes become this text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TextEdit {
    /// The bytes; empty to insert.
    pub(crate) range: Range<usize>,
    /// What stands there afterwards, with LF line ends.
    pub(crate) text: String,
}

impl TextEdit {
    /// Puts `text` before the byte `at`.
    pub(crate) fn insert(at: usize, text: impl Into<String>) -> Self {
        Self {
            range: at..at,
            text: text.into(),
        }
    }

    /// Puts `text` in the place of `range`.
    pub(crate) fn replace(range: Range<usize>, text: impl Into<String>) -> Self {
        Self {
            range,
            text: text.into(),
        }
    }

    /// Takes out `range`.
    pub(crate) fn remove(range: Range<usize>) -> Self {
        Self {
            range,
            text: String::new(),
        }
    }
}

/// `text` after `edits`, whose line ends become `line_end`. What several edits take out goes once; of
/// other edits that overlap, the first wins.
pub(crate) fn apply(text: &str, mut edits: Vec<TextEdit>, line_end: &str) -> String {
    edits.sort_by_key(|edit| (edit.range.start, edit.range.end));
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for edit in edits {
        if edit.range.start < at {
            if edit.text.is_empty() {
                at = at.max(edit.range.end);
            }
            continue;
        }
        out.push_str(text.get(at..edit.range.start).unwrap_or_default());
        out.push_str(&edit.text.replace('\n', line_end));
        at = edit.range.end;
    }
    out.push_str(text.get(at..).unwrap_or_default());
    out
}

/// The line end a text uses: that of its first line, LF if it has none.
pub(crate) fn line_end_of(text: &str) -> &'static str {
    match text.find('\n') {
        Some(at) if text.get(..at).is_some_and(|line| line.ends_with('\r')) => "\r\n",
        _ => "\n",
    }
}
