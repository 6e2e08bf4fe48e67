//! The file before the edits, and the edits that turn its blocks into those planned.

use std::ops::Range;

use testsmith_domain::{ComposeError, ComposeRequest, MemberName};

use super::plan::{Plan, Put};
use crate::dialect::{Dialect, TextEdit};
use crate::marks::{FoundBlock, find, remark};
use crate::syntax::Parsed;
use crate::tokens::{sum, unix};

/// The file before the edits.
pub(super) struct Before<'t> {
    pub(super) file: Parsed<'t>,
    pub(super) blocks: Vec<FoundBlock>,
}

impl<'t> Before<'t> {
    pub(super) fn read(dialect: &dyn Dialect, text: &'t str) -> Result<Self, ComposeError> {
        let file = dialect.parse(text);
        if let Some(problem) = dialect.problems(&file).into_iter().next() {
            return Err(ComposeError::ExistingBroken(problem));
        }
        let blocks = find(dialect, &file)?;
        Ok(Self { file, blocks })
    }

    pub(super) fn block(&self, member: &MemberName) -> Option<&FoundBlock> {
        self.blocks
            .iter()
            .find(|found| found.block.member == *member)
    }

    /// The edits to the text that carry out the plan, imports aside.
    pub(super) fn block_edits(
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
        appended.sort_by_key(|put| position(request, &put.member));
        edits.extend(self.insertions(dialect, request, plan, &appended));
        edits
    }

    /// Replaces a block, unless it is there as it would be written but for its layout. Where only
    /// its mark has to say something else, only the mark is changed.
    fn replace(&self, dialect: &dyn Dialect, found: &FoundBlock, put: &Put) -> Option<TextEdit> {
        let (now, wanted) = (&found.block.body, &put.code);
        if found.block.key == put.key && sum(dialect, now) == sum(dialect, wanted) {
            return (found.block.verified != put.verified).then(|| TextEdit {
                range: found.begin.clone(),
                text: remark(&unix(self.file.slice(found.begin.clone())), put.verified),
            });
        }
        let text = put.render(dialect);
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
