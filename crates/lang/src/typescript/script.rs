//! The dialect: what the shared parts of this crate ask of TypeScript and JavaScript.

use std::collections::BTreeSet;

use testsmith_domain::{ComposeRequest, Member, MemberImport, MemberName, RelPath};
use tree_sitter::{Language, Node};

use super::grammar::{Grammar, readable, token};
use super::imports::{Writing, statements};
use super::layout;
use super::names::declared;
use crate::dialect::{Dialect, Import, ImportStatement, Item, OWNER_LINE, TextEdit};
use crate::imports::edit_statements;
use crate::marks::outside_blocks;
use crate::syntax::{Descend, Parsed, named_children, walk};
use crate::tokens::Token;

/// The module under test in cached bodies, which do not know the name of its file.
pub(super) const SUBJECT: &str = "testsmith:subject";

/// One grammar, and what is known of the module under test.
#[derive(Debug)]
pub(super) struct Script<'a> {
    grammar: Grammar,
    /// Whether imports are written with `require`.
    commonjs: bool,
    /// How a test names the module under test; `None` leaves [`SUBJECT`] as it is.
    module: Option<&'a str>,
    /// What any body may use without importing it: the framework's functions, and the other
    /// exports of the module under test.
    implied: &'a [Import],
}

impl<'a> Script<'a> {
    /// For reading a file.
    pub(super) fn reading(path: &RelPath) -> Self {
        Self {
            grammar: Grammar::of(path),
            commonjs: false,
            module: None,
            implied: &[],
        }
    }

    /// For writing a test file.
    pub(super) fn writing(
        path: &RelPath,
        commonjs: bool,
        module: &'a str,
        implied: &'a [Import],
    ) -> Self {
        Self {
            grammar: Grammar::of(path),
            commonjs,
            module: Some(module),
            implied,
        }
    }
}

/// The import by which a test gets at a member.
pub(super) fn member_import(module: &str, import: &MemberImport) -> Option<Import> {
    let (item, local) = match import {
        MemberImport::Named(name) => (Item::Name(name.clone()), name),
        MemberImport::Default(local) => (Item::Default, local),
        MemberImport::SamePackage => return None,
    };
    Some(Import {
        module: module.to_owned(),
        item,
        local: Some(local.clone()),
        type_only: false,
    })
}

impl Dialect for Script<'_> {
    fn language(&self) -> Language {
        self.grammar.language()
    }

    fn parse<'t>(&self, text: &'t str) -> Parsed<'t> {
        let language = self.language();
        let parsed = Parsed::new(&language, text);
        match readable(&parsed) {
            Some(readable) => Parsed::reading(&language, text, &readable),
            None => parsed,
        }
    }

    fn comment_leader(&self) -> &'static str {
        "//"
    }

    fn token<'t>(&self, file: &Parsed<'t>, node: Node<'_>) -> Token<'t> {
        token(file, node)
    }

    fn block_token<'t>(&self, file: &Parsed<'t>, node: Node<'_>) -> Token<'t> {
        layout::token(file, node).unwrap_or_else(|| token(file, node))
    }

    fn imports(&self, file: &Parsed<'_>) -> Vec<ImportStatement> {
        let mut found = statements(file);
        if let Some(module) = self.module {
            let all = found
                .iter_mut()
                .flat_map(|statement| &mut statement.imports);
            for import in all.filter(|import| import.module == SUBJECT) {
                module.clone_into(&mut import.module);
            }
        }
        found
    }

    fn used_names(&self, file: &Parsed<'_>) -> BTreeSet<String> {
        let skipped: Vec<_> = statements(file).into_iter().map(|s| s.range).collect();
        let mut used = BTreeSet::new();
        walk(file.root(), |node| {
            match node.kind() {
                "identifier" | "type_identifier" | "shorthand_property_identifier" => {
                    used.insert(file.of(node).to_owned());
                }
                _ => {}
            }
            Descend::when(!skipped.contains(&node.byte_range()))
        });
        used
    }

    fn defined_names(&self, file: &Parsed<'_>) -> Vec<(String, usize)> {
        let skipped: Vec<_> = statements(file).into_iter().map(|s| s.range).collect();
        let mut found = Vec::new();
        for statement in named_children(file.root()) {
            if skipped.contains(&statement.byte_range()) {
                continue;
            }
            let declaration = statement.child_by_field_name("declaration");
            let declaration = declaration.unwrap_or(statement);
            let mut nodes = vec![declaration];
            nodes.extend(named_children(declaration));
            // What a loop or a handler binds is known only inside of it.
            nodes.retain(|node| !matches!(node.kind(), "for_in_statement" | "catch_clause"));
            for node in nodes {
                let names = declared(file, node);
                found.extend(
                    names
                        .iter()
                        .map(|name| ((*name).to_owned(), node.start_byte())),
                );
            }
        }
        found
    }

    fn header(&self, _request: &ComposeRequest<'_>) -> String {
        format!("// {OWNER_LINE}\n")
    }

    fn implied_imports(
        &self,
        request: &ComposeRequest<'_>,
        member: &MemberName,
        _code: &Parsed<'_>,
    ) -> Vec<Import> {
        let module = self.module.unwrap_or(SUBJECT);
        // Where names are alike: the member under test, then the framework's functions, which
        // are the first of the implied, then the rest of the module.
        let (own, others): (Vec<&Member>, Vec<&Member>) = request
            .file
            .members
            .iter()
            .partition(|other| other.name == *member);
        let import = |of: &Member| member_import(module, &of.import);
        let own = own.into_iter().filter_map(import);
        let others = others.into_iter().filter_map(import);
        let mut found: Vec<Import> = Vec::new();
        for import in own.chain(self.implied.iter().cloned()).chain(others) {
            if !found.iter().any(|other| other.local == import.local) {
                found.push(import);
            }
        }
        found
    }

    fn edit_imports(
        &self,
        _request: &ComposeRequest<'_>,
        file: &Parsed<'_>,
        add: &[Import],
        drop: &[Import],
    ) -> Vec<TextEdit> {
        let statements = outside_blocks(self, file, self.imports(file), |s| s.range.start);
        let writing = Writing::usual(self.commonjs).like(file, &statements);
        edit_statements(
            file,
            &statements,
            behind_head(file),
            (add, drop),
            |imports| writing.render(imports),
            |statement, import| self.joins(statement, import),
        )
    }
}

impl Script<'_> {
    /// Whether an import may be written into a statement.
    fn joins(&self, statement: &ImportStatement, import: &Import) -> bool {
        let others = &statement.imports;
        let listed = |import: &Import| match import.item {
            Item::Name(_) => true,
            Item::Default => !self.commonjs && !import.type_only,
            Item::Module | Item::All | Item::Nothing => false,
        };
        let one_default =
            import.item != Item::Default || !others.iter().any(|other| other.item == Item::Default);
        !others.is_empty()
            && others
                .iter()
                .all(|other| other.module == import.module && listed(other))
            && listed(import)
            && one_default
    }
}

/// Where the first import goes: behind our line, a `#!` line and directives.
fn behind_head(file: &Parsed<'_>) -> usize {
    let mut at = 0;
    for node in named_children(file.root()) {
        let text = file.of(node);
        let head = match node.kind() {
            "hash_bang_line" => true,
            "comment" => text.contains(OWNER_LINE),
            "expression_statement" => node.named_child(0).is_some_and(|n| n.kind() == "string"),
            _ => false,
        };
        if !head {
            break;
        }
        at = file.line_end(node.end_byte().saturating_sub(1));
    }
    at
}
