//! Writing a test file: the one algorithm all drivers share.
//!
//! 1. The file as it is must parse and its marks must pair.
//! 2. Each body is taken apart into imports and code.
//! 3. Which edits are carried out is settled: not on blocks edited by hand, and not where a name
//!    would be defined twice. A refused edit keeps its old block, whose names may refuse another
//!    edit, so this repeats until nothing changes. Of two new bodies that clash, the first in the
//!    request wins.
//! 4. Blocks are replaced in place, removed with their lines, or put in the members' order.
//! 5. Imports are added and dropped, the header brought up to date.
//! 6. The result must parse.
//!
//! Only lines of touched blocks, the import section, the header's own lines and empty lines next to
//! a block that comes or goes are ever changed.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use testsmith_domain::{
    BlockEdit, BlockKey, BlockState, ComposeError, ComposeRequest, Composed, MemberName, Rejection,
    RelPath,
};

use crate::dialect::{Dialect, Import, ImportStatement, TextEdit, apply, line_end_of};
use crate::marks::{FoundBlock, find, render};
use crate::syntax::Parsed;
use crate::tokens::{Comments, digest, unix};

/// Composes a test file, see the module's documentation.
pub(crate) fn compose(
    dialect: &dyn Dialect,
    request: &ComposeRequest<'_>,
) -> Result<Composed, ComposeError> {
    let header = dialect.header(request);
    let existing = request.existing.unwrap_or(&header);
    let line_end = line_end_of(existing);
    let before = Before::read(dialect, existing)?;
    let plan = Plan::settle(dialect, request, &before);

    let middle = apply(
        existing,
        before.block_edits(dialect, request, &plan),
        line_end,
    );
    let middle = dialect.parse(&middle);
    if let Some(problem) = middle.problems().into_iter().next() {
        return Err(ComposeError::ResultBroken(problem));
    }
    let (add, drop) = plan.import_changes(dialect, &middle);
    let mut edits = dialect.repair_header(request, &middle);
    if !add.is_empty() || !drop.is_empty() {
        edits.extend(dialect.edit_imports(request, &middle, &add, &drop));
    }
    let text = apply(middle.text(), edits, line_end);

    let result = dialect.parse(&text);
    if let Some(problem) = dialect.problems(&result).into_iter().next() {
        return Err(ComposeError::ResultBroken(problem));
    }
    let empty = find(dialect, &result)?.is_empty() && only_header(dialect, &result, &header);
    Ok(Composed {
        text: (!empty).then_some(text),
        rejected: plan.rejected,
    })
}

/// The file before the edits.
struct Before<'t> {
    file: Parsed<'t>,
    blocks: Vec<FoundBlock>,
}

impl<'t> Before<'t> {
    fn read(dialect: &dyn Dialect, text: &'t str) -> Result<Self, ComposeError> {
        let file = dialect.parse(text);
        if let Some(problem) = dialect.problems(&file).into_iter().next() {
            return Err(ComposeError::ExistingBroken(problem));
        }
        let blocks = find(dialect, &file)?;
        Ok(Self { file, blocks })
    }

    fn block(&self, member: &MemberName) -> Option<&FoundBlock> {
        self.blocks
            .iter()
            .find(|found| found.block.member == *member)
    }

    /// The edits to the text that carry out the plan, imports aside.
    fn block_edits(
        &self,
        dialect: &dyn Dialect,
        request: &ComposeRequest<'_>,
        plan: &Plan,
    ) -> Vec<TextEdit> {
        let mut edits = Vec::new();
        for member in &plan.removed {
            if let Some(found) = self.block(member) {
                edits.push(TextEdit::remove(self.with_blank_line(&found.lines)));
            }
        }
        let mut appended = Vec::new();
        for put in &plan.puts {
            match self.block(&put.member) {
                Some(found) => edits.extend(self.replace(dialect, found, put)),
                None => appended.push(put),
            }
        }
        let mut appended: Vec<&Put> = appended;
        appended.sort_by_key(|put| position(request, &put.member));
        edits.extend(self.insertions(dialect, request, plan, &appended));
        edits
    }

    /// Replaces a block, unless it is there as it would be written but for its layout.
    fn replace(&self, dialect: &dyn Dialect, found: &FoundBlock, put: &Put) -> Option<TextEdit> {
        let text = put.render(dialect);
        if self.is_same(dialect, found, put) {
            return None;
        }
        let open_end = !self.file.slice(found.lines.clone()).ends_with('\n');
        Some(TextEdit {
            range: found.lines.clone(),
            text: if open_end {
                text.trim_end().to_owned()
            } else {
                text
            },
        })
    }

    fn is_same(&self, dialect: &dyn Dialect, found: &FoundBlock, put: &Put) -> bool {
        let sum = |body: &str| crate::tokens::sum(dialect, body);
        found.block.key == put.key && sum(&found.block.body) == sum(&put.code)
    }

    /// New blocks: behind the block of the nearest member before theirs, else before that of the
    /// nearest behind, else at the end.
    fn insertions(
        &self,
        dialect: &dyn Dialect,
        request: &ComposeRequest<'_>,
        plan: &Plan,
        puts: &[&Put],
    ) -> Vec<TextEdit> {
        let gap = "\n".repeat(dialect.blank_lines());
        let mut at_end = String::new();
        let mut edits = Vec::new();
        for put in puts {
            let own = position(request, &put.member);
            let kept = || {
                self.blocks
                    .iter()
                    .filter(|found| !plan.removed.contains(&found.block.member))
                    .map(|found| (position(request, &found.block.member), found))
                    .filter(|(at, _)| *at != usize::MAX)
            };
            let text = put.render(dialect);
            let before = kept().filter(|(at, _)| *at < own).max_by_key(|(at, _)| *at);
            let behind = kept().filter(|(at, _)| *at > own).min_by_key(|(at, _)| *at);
            match (before, behind) {
                (Some((_, found)), _) if found.lines.end < self.file.text().len() => {
                    edits.push(TextEdit::insert(found.lines.end, format!("{gap}{text}")));
                }
                (None, Some((_, found))) => {
                    edits.push(TextEdit::insert(found.lines.start, format!("{text}{gap}")));
                }
                _ => {
                    at_end.push_str(&gap);
                    at_end.push_str(&text);
                }
            }
        }
        if !at_end.is_empty() {
            edits.push(self.append(dialect, &at_end));
        }
        edits
    }

    /// `text` at the end of the file, with as many empty lines before it as there should be.
    fn append(&self, dialect: &dyn Dialect, text: &str) -> TextEdit {
        let existing = self.file.text();
        let tail = existing.len() - existing.trim_end_matches(['\n', '\r']).len();
        let ends = self.file.slice(existing.len() - tail..existing.len());
        let ends = ends.bytes().filter(|b| *b == b'\n').count();
        let missing_end = if ends == 0 { "\n" } else { "" };
        let spare = ends.saturating_sub(1).min(dialect.blank_lines());
        let text = text.get(spare..).unwrap_or(text);
        TextEdit::insert(existing.len(), format!("{missing_end}{text}"))
    }

    /// A block's lines and the empty lines behind it, if an empty line is before it as well: the
    /// block's neighbours keep the distance that they had to it.
    fn with_blank_line(&self, lines: &Range<usize>) -> Range<usize> {
        let text = self.file.text();
        let blank = |range: &Range<usize>| {
            !range.is_empty() && self.file.slice(range.clone()).trim().is_empty()
        };
        let mut end = lines.end;
        let previous = self.file.line_start(lines.start.saturating_sub(1))..lines.start;
        if blank(&previous) {
            while end < text.len() {
                let next = end..self.file.line_end(end);
                if !blank(&next) {
                    break;
                }
                end = next.end;
            }
        }
        // The last block of a file takes the empty lines before it along.
        let mut start = lines.start;
        if end == text.len() {
            while start > 0 {
                let previous = self.file.line_start(start - 1)..start;
                if !blank(&previous) {
                    break;
                }
                start = previous.start;
            }
        }
        start..end
    }
}

/// A member's place in the source file; unknown members come last.
fn position(request: &ComposeRequest<'_>, member: &MemberName) -> usize {
    let mut members = request.file.members.iter();
    members
        .position(|m| m.name == *member)
        .unwrap_or(usize::MAX)
}

/// A body, taken apart.
#[derive(Debug, Clone)]
struct Put {
    member: MemberName,
    key: BlockKey,
    /// Without its imports, LF line ends.
    code: String,
    /// Those that the code uses.
    imports: Vec<Import>,
    /// The names it defines.
    names: BTreeSet<String>,
}

impl Put {
    fn new(
        dialect: &dyn Dialect,
        request: &ComposeRequest<'_>,
        (member, key, body): (&MemberName, &BlockKey, &str),
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
            imports,
            names,
            code,
        }
    }

    fn render(&self, dialect: &dyn Dialect) -> String {
        render(dialect, &self.member, &self.key, &self.code)
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

/// A body without its import statements, and these.
pub(crate) fn split_imports(dialect: &dyn Dialect, body: &str) -> (String, Vec<ImportStatement>) {
    let file = dialect.parse(body);
    let statements = dialect.imports(&file);
    let cuts = statements
        .iter()
        .map(|statement| TextEdit::remove(file.whole_lines(&statement.range)))
        .collect();
    let code = apply(body, cuts, "\n");
    (trim_blank_lines(&code), statements)
}

/// `text` without empty lines at its start and end, with one line end at its end.
pub(crate) fn trim_blank_lines(text: &str) -> String {
    let end = text.trim_end();
    let first = end.len() - end.trim_start().len();
    let start = end.get(..first).and_then(|lead| lead.rfind('\n'));
    let start = start.map_or(0, |at| at + 1);
    format!("{}\n", end.get(start..).unwrap_or_default())
}

/// What is to be done.
#[derive(Debug, Default)]
struct Plan {
    puts: Vec<Put>,
    removed: BTreeSet<MemberName>,
    rejected: Vec<(MemberName, Rejection)>,
    /// Imports of the file that only the touched blocks used.
    loose: Vec<Import>,
}

impl Plan {
    fn settle(dialect: &dyn Dialect, request: &ComposeRequest<'_>, before: &Before<'_>) -> Self {
        let mut plan = Self::default();
        for edit in request.edits {
            let (BlockEdit::Put { member, .. } | BlockEdit::Remove { member }) = edit;
            let found = before.block(member);
            if found.is_some_and(|found| found.block.state == BlockState::Edited) {
                plan.rejected.push((member.clone(), Rejection::Edited));
                continue;
            }
            match edit {
                BlockEdit::Put { member, key, body } => {
                    plan.puts
                        .push(Put::new(dialect, request, (member, key, body)));
                }
                BlockEdit::Remove { member } => {
                    plan.removed.insert(member.clone());
                }
            }
        }
        let wanted = plan.puts.iter().flat_map(Put::all_names).cloned().collect();
        let elsewhere = dialect.defined_elsewhere(request, &wanted);
        while let Some((index, rejection)) = plan.clash(dialect, request, before, &elsewhere) {
            let put = plan.puts.remove(index);
            plan.rejected.push((put.member, rejection));
        }
        plan
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
        let used_by_blocks: BTreeSet<String> = blocks
            .iter()
            .flat_map(|found| dialect.used_names(&dialect.parse(&found.block.body)))
            .collect();
        let all = dialect
            .imports(&rest)
            .into_iter()
            .flat_map(|statement| statement.imports);
        let (loose, imports) = all.partition(|import| {
            let local = import.local.as_ref();
            local.is_some_and(|local| used_by_blocks.contains(local) && !used.contains(local))
        });
        let names = dialect.defined_names(&rest);
        Rest {
            names: names.into_iter().map(|(name, _)| name).collect(),
            imports,
            loose,
        }
    }

    /// The imports to add to, and to drop from, a file whose blocks are as planned.
    fn import_changes(
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

/// A file without the blocks that a plan touches.
struct Rest {
    names: BTreeSet<String>,
    imports: Vec<Import>,
    /// Imports that only the touched blocks use.
    loose: Vec<Import>,
}

/// Whether a file holds nothing but our header and imports.
fn only_header(dialect: &dyn Dialect, file: &Parsed<'_>, header: &str) -> bool {
    let (rest, _) = split_imports(dialect, file.text());
    let (header, _) = split_imports(dialect, header);
    let (rest, header) = (dialect.parse(&rest), dialect.parse(&header));
    let same = |comments| {
        digest(dialect, &rest, [rest.root()], comments)
            == digest(dialect, &header, [header.root()], comments)
    };
    same(Comments::All) || (same(Comments::Doc) && !rest.text().contains(dialect.comment_leader()))
}
