//! Which edits are carried out, and which imports that adds and drops.

use std::collections::{BTreeMap, BTreeSet};

use testsmith_domain::{
    BlockEdit, BlockKey, BlockState, ComposeRequest, MemberName, Rejection, RelPath,
};

use super::before::Before;
use super::split_imports;
use crate::dialect::{Dialect, Import, ImportStatement, TextEdit, apply};
use crate::marks::{FoundBlock, render};
use crate::syntax::{Parsed, has_comment};
use crate::tokens::unix;

/// What is to be done.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) puts: Vec<Put>,
    pub(super) removed: BTreeSet<MemberName>,
    pub(super) rejected: Vec<(MemberName, Rejection)>,
    /// Bodies of blocks that the user has taken out.
    pub(super) gone: Vec<String>,
    /// Imports of the file that only the touched blocks used, or those that are gone.
    loose: Vec<Import>,
}

impl Plan {
    pub(super) fn settle(
        dialect: &dyn Dialect,
        request: &ComposeRequest<'_>,
        before: &Before<'_>,
    ) -> Self {
        let mut plan = Self::default();
        for edit in request.edits {
            let member = edit.member();
            let found = before.block(member);
            if found.is_some_and(|found| found.block.state == BlockState::Edited) {
                plan.rejected.push((member.clone(), Rejection::Edited));
                continue;
            }
            match edit {
                BlockEdit::Put {
                    member,
                    key,
                    body,
                    verified,
                } => {
                    let mark = (member, key, *verified);
                    plan.puts.push(Put::new(dialect, request, mark, body));
                }
                BlockEdit::Remove { member } => {
                    plan.removed.insert(member.clone());
                }
                BlockEdit::Gone { body, .. } => plan.gone.push(body.clone()),
            }
        }
        let wanted = plan.puts.iter().flat_map(Put::all_names).cloned().collect();
        let elsewhere = dialect.defined_elsewhere(request, &wanted);
        while let Some((index, rejection)) = plan.clash(dialect, request, before, &elsewhere) {
            let put = plan.puts.remove(index);
            plan.rejected.push((put.member, rejection));
        }
        plan.make_room(dialect, request, before);
        plan
    }

    /// Removes blocks that are as they were written and not written anew, of which the user has
    /// taken a name since: the package would not compile with both.
    fn make_room(
        &mut self,
        dialect: &dyn Dialect,
        request: &ComposeRequest<'_>,
        before: &Before<'_>,
    ) {
        let is_touched = |member: &MemberName| {
            self.removed.contains(member) || self.puts.iter().any(|put| put.member == *member)
        };
        let defined: Vec<(&MemberName, BTreeSet<String>)> = before
            .blocks
            .iter()
            .map(|found| &found.block)
            .filter(|block| block.state == BlockState::Pristine && !is_touched(&block.member))
            .map(|block| {
                let names = dialect.defined_names(&dialect.parse(&block.body));
                let names = names.into_iter().map(|(name, _)| name);
                (&block.member, names.collect())
            })
            .collect();
        let all = defined
            .iter()
            .flat_map(|(_, names)| names)
            .cloned()
            .collect();
        let taken = dialect.defined_by_user(request, &all);
        if taken.is_empty() {
            return;
        }
        let gone = defined
            .into_iter()
            .filter(|(_, names)| !names.is_disjoint(&taken))
            .map(|(member, _)| member.clone());
        self.removed.extend(gone);
        self.loose = self.rest(dialect, before).loose;
    }

    /// The first put that cannot stand beside the rest of the file and the puts before it.
    fn clash(
        &mut self,
        dialect: &dyn Dialect,
        request: &ComposeRequest<'_>,
        before: &Before<'_>,
        elsewhere: &BTreeMap<String, RelPath>,
    ) -> Option<(usize, Rejection)> {
        let rest = self.rest(dialect, before);
        self.loose = rest.loose;
        let (mut names, mut imports) = (rest.names, rest.imports);
        for (index, put) in self.puts.iter().enumerate() {
            let here = || request.file.test_path.clone();
            let in_file = put.names.iter().find(|name| {
                let local = Some((*name).clone());
                names.contains(*name) || imports.iter().any(|import| import.local == local)
            });
            let in_imports = put.imports.iter().find(|import| {
                let taken = import
                    .local
                    .as_ref()
                    .is_some_and(|local| names.contains(local));
                taken
                    || imports
                        .iter()
                        .any(|other| dialect.imports_clash(import, other))
            });
            let in_imports = in_imports.and_then(|import| import.local.as_ref());
            let clash = in_file
                .or(in_imports)
                .map(|name| (name, here()))
                .or_else(|| {
                    let mut all = put.all_names();
                    all.find_map(|name| Some((name, elsewhere.get(name)?.clone())))
                });
            if let Some((name, path)) = clash {
                let name = name.clone();
                return Some((index, Rejection::DuplicateName { name, path }));
            }
            names.extend(put.names.iter().cloned());
            imports.extend(put.imports.iter().cloned());
        }
        None
    }

    /// What the file defines and imports without the blocks this plan touches.
    fn rest(&self, dialect: &dyn Dialect, before: &Before<'_>) -> Rest {
        let touched = |found: &&FoundBlock| {
            let member = &found.block.member;
            self.removed.contains(member) || self.puts.iter().any(|put| put.member == *member)
        };
        let blocks: Vec<&FoundBlock> = before.blocks.iter().filter(touched).collect();
        let cuts = blocks
            .iter()
            .map(|found| TextEdit::remove(found.lines.clone()));
        let text = apply(before.file.text(), cuts.collect(), "\n");
        let rest = dialect.parse(&text);
        let used = dialect.used_names(&rest);
        let used_by_blocks = used_by(dialect, blocks.iter().map(|found| &found.block.body));
        let used_by_gone = used_by(dialect, self.gone.iter());
        let (mut loose, mut imports) = (Vec::new(), Vec::new());
        for statement in dialect.imports(&rest) {
            let bare = is_bare(&rest, &statement);
            for import in statement.imports {
                let is_loose = import.local.as_ref().is_some_and(|local| {
                    let ours =
                        used_by_blocks.contains(local) || bare && used_by_gone.contains(local);
                    ours && !used.contains(local)
                });
                let side = if is_loose { &mut loose } else { &mut imports };
                side.push(import);
            }
        }
        let names = dialect.defined_names(&rest);
        Rest {
            names: names.into_iter().map(|(name, _)| name).collect(),
            imports,
            loose,
        }
    }

    /// The imports to add to, and to drop from, a file whose blocks are as planned.
    pub(super) fn import_changes(
        &self,
        dialect: &dyn Dialect,
        file: &Parsed<'_>,
    ) -> (Vec<Import>, Vec<Import>) {
        let present: Vec<Import> = dialect
            .imports(file)
            .into_iter()
            .flat_map(|statement| statement.imports)
            .collect();
        let used = dialect.used_names(file);
        let mut add: Vec<Import> = Vec::new();
        let wanted = || self.puts.iter().flat_map(|put| &put.imports);
        for import in wanted() {
            if !present.iter().chain(&add).any(|other| other.covers(import)) {
                add.retain(|other| !import.covers(other));
                add.push(import.clone());
            }
        }
        let drop = present
            .into_iter()
            .filter(|import| {
                let unused = self.loose.contains(import) && !import.used_by(&used);
                let clashing = || add.iter().any(|new| dialect.imports_clash(new, import));
                unused
                    || (self.loose.contains(import) && clashing())
                    || add.iter().any(|new| new.covers(import))
            })
            .collect();
        (add, drop)
    }
}

/// The names that bodies use.
fn used_by<'b>(
    dialect: &dyn Dialect,
    bodies: impl Iterator<Item = &'b String>,
) -> BTreeSet<String> {
    bodies
        .flat_map(|body| dialect.used_names(&dialect.parse(body)))
        .collect()
}

/// Whether no remark stands beside a statement. Where the user was at work, one with a remark may be
/// theirs.
fn is_bare(file: &Parsed<'_>, statement: &ImportStatement) -> bool {
    let lines = file.line_start(statement.range.start)..file.line_end(statement.range.end);
    !has_comment(file, &lines)
}

/// A file without the blocks that a plan touches.
struct Rest {
    names: BTreeSet<String>,
    imports: Vec<Import>,
    /// Imports that only the touched blocks use.
    loose: Vec<Import>,
}

/// A body, taken apart.
#[derive(Debug, Clone)]
pub(super) struct Put {
    pub(super) member: MemberName,
    pub(super) key: BlockKey,
    /// Whether it was run.
    pub(super) verified: bool,
    /// Without its imports, LF line ends.
    pub(super) code: String,
    /// Those that the code uses.
    pub(super) imports: Vec<Import>,
    /// The names it defines.
    pub(super) names: BTreeSet<String>,
}

impl Put {
    pub(super) fn new(
        dialect: &dyn Dialect,
        request: &ComposeRequest<'_>,
        (member, key, verified): (&MemberName, &BlockKey, bool),
        body: &str,
    ) -> Self {
        let body = unix(body);
        let (code, statements) = split_imports(dialect, &body);
        let parsed = dialect.parse(&code);
        let used = dialect.used_names(&parsed);
        let own: Vec<Import> = statements.into_iter().flat_map(|s| s.imports).collect();
        let mut implied = dialect.implied_imports(request, member, &parsed);
        // A name that the body imports itself is not taken from elsewhere as well.
        implied.retain(|import| !own.iter().any(|other| other.local == import.local));
        let mut imports: Vec<Import> = Vec::new();
        for import in own.into_iter().chain(implied) {
            if import.used_by(&used) && !imports.contains(&import) {
                imports.push(import);
            }
        }
        let names = dialect.defined_names(&parsed);
        let names = names.into_iter().map(|(name, _)| name).collect();
        Self {
            member: member.clone(),
            key: key.clone(),
            verified,
            imports,
            names,
            code,
        }
    }

    pub(super) fn render(&self, dialect: &dyn Dialect) -> String {
        render(
            dialect,
            &self.member,
            (&self.key, self.verified),
            &self.code,
        )
    }

    /// The names it brings into the file.
    fn all_names(&self) -> impl Iterator<Item = &String> {
        let locals = self
            .imports
            .iter()
            .filter_map(|import| import.local.as_ref());
        self.names.iter().chain(locals)
    }
}
