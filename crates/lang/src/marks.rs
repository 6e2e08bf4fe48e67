//! The marks around blocks, and finding blocks between them.
//!
//! A mark is a line comment that has its line for itself; the syntax tree tells, so the same words
//! in a string are no mark. Formatters may indent it. Anything that does not pair is an error:
//! nothing is guessed about a file in which blocks cannot be told from the rest.

use std::collections::BTreeSet;
use std::ops::Range;

use testsmith_domain::{Block, BlockKey, BlockState, ComposeError, ContentHash, MemberName};

use crate::dialect::{Dialect, OWNER_LINE, TextEdit, apply, line_end_of};
use crate::syntax::{Descend, Parsed, is_comment, line_number, walk};
use crate::tokens::{old_sum, sum};

/// A block and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FoundBlock {
    /// The block.
    pub(crate) block: Block,
    /// Its bytes, marks and the last line end included: whole lines.
    pub(crate) lines: Range<usize>,
    /// The bytes of its begin mark's line.
    pub(crate) begin: Range<usize>,
    /// The bytes of its end mark's line.
    pub(crate) end: Range<usize>,
}

/// The blocks of a test file, as `LanguageDriver::blocks` has to give them.
pub(crate) fn blocks(dialect: &dyn Dialect, text: &str) -> Result<Vec<Block>, ComposeError> {
    let file = dialect.parse(text);
    if let Some(problem) = dialect.problems(&file).into_iter().next() {
        return Err(ComposeError::ExistingBroken(problem));
    }
    let found = find(dialect, &file)?;
    Ok(found.into_iter().map(|found| found.block).collect())
}

/// The blocks of a file that parses.
pub(crate) fn find(
    dialect: &dyn Dialect,
    file: &Parsed<'_>,
) -> Result<Vec<FoundBlock>, ComposeError> {
    let mut found: Vec<FoundBlock> = Vec::new();
    let mut seen = BTreeSet::new();
    let mut open: Option<(Range<usize>, u32, Begin)> = None;
    for (range, row) in comment_lines(dialect, file) {
        let line = line_number(row);
        let bad = ComposeError::BadMarks { line };
        match (Mark::parse(dialect, file.slice(range.clone())), &open) {
            (None, _) => {}
            (Some(Mark::Begin(begin)), None) if seen.insert(begin.member.clone()) => {
                open = Some((range, line, begin));
            }
            (Some(Mark::End(member)), Some((start, _, begin))) if begin.member == member => {
                let body = start.end..range.start;
                found.push(FoundBlock {
                    block: begin.block(dialect, file.slice(body)),
                    lines: start.start..range.end,
                    begin: start.clone(),
                    end: range,
                });
                open = None;
            }
            (Some(_), _) => return Err(bad),
        }
    }
    match open {
        Some((_, line, _)) => Err(ComposeError::BadMarks { line }),
        None => Ok(found),
    }
}

/// Which of these places, by their first bytes, are in no block. What is in one is its owner's: where
/// imports are added and dropped, those in blocks are left alone.
pub(crate) fn outside_blocks<T>(
    dialect: &dyn Dialect,
    file: &Parsed<'_>,
    places: Vec<T>,
    start: impl Fn(&T) -> usize,
) -> Vec<T> {
    let blocks = find(dialect, file).unwrap_or_default();
    let is_outside = |place: &T| {
        let at = start(place);
        !blocks.iter().any(|found| found.lines.contains(&at))
    };
    places.into_iter().filter(is_outside).collect()
}

/// The text of a block: marks and body, with LF line ends.
pub(crate) fn render(
    dialect: &dyn Dialect,
    member: &MemberName,
    (key, verified): (&BlockKey, bool),
    body: &str,
) -> String {
    let leader = dialect.comment_leader();
    let sum = sum(dialect, body).short();
    let body = body.trim_end_matches('\n');
    let gap = "\n".repeat(dialect.blank_lines_before_end());
    let begin = remark(
        &format!("{leader} {BEGIN} {member} key={key} sum={sum}\n"),
        verified,
    );
    format!("{begin}{body}\n{gap}{leader} {END} {member}\n")
}

/// The line of a begin mark, so that it says whether the block is verified.
pub(crate) fn remark(line: &str, verified: bool) -> String {
    let words = line.trim_end();
    let line_end = line.get(words.len()..).unwrap_or_default();
    let plain = words.strip_suffix(UNVERIFIED).unwrap_or(words).trim_end();
    if verified {
        format!("{plain}{line_end}")
    } else {
        format!("{plain} {UNVERIFIED}{line_end}")
    }
}

/// The text without its marks and without the line that says whose it is, as
/// `LanguageDriver::without_marks` has to give it.
pub(crate) fn without_marks(dialect: &dyn Dialect, text: &str) -> Result<String, ComposeError> {
    let file = dialect.parse(text);
    if let Some(problem) = dialect.problems(&file).into_iter().next() {
        return Err(ComposeError::ExistingBroken(problem));
    }
    let mut cuts = Vec::new();
    for found in find(dialect, &file)? {
        let mut start = found.end.start;
        for _ in 0..dialect.blank_lines_before_end() {
            let previous = file.line_start(start.saturating_sub(1))..start;
            if !is_blank(&file, &previous) {
                break;
            }
            start = previous.start;
        }
        cuts.push(TextEdit::remove(found.begin));
        cuts.push(TextEdit::remove(start..found.end.end));
    }
    cuts.extend(owner_line(dialect, &file).map(TextEdit::remove));
    Ok(apply(text, cuts, line_end_of(text)))
}

/// The line that says that the file is ours, with the empty line behind it if it stands alone.
fn owner_line(dialect: &dyn Dialect, file: &Parsed<'_>) -> Option<Range<usize>> {
    let wanted = format!("{} {OWNER_LINE}", dialect.comment_leader());
    let mut found = None;
    walk(file.root(), |node| {
        if found.is_none() && is_comment(node) && file.of(node).trim_end() == wanted {
            found = Some(file.line_start(node.start_byte())..file.line_end(node.start_byte()));
        }
        Descend::when(!is_comment(node) && found.is_none())
    });
    let mut line = found?;
    let before = file.line_start(line.start.saturating_sub(1))..line.start;
    if line.start == 0 || is_blank(file, &before) {
        let next = line.end..file.line_end(line.end);
        if is_blank(file, &next) {
            line.end = next.end;
        }
    }
    Some(line)
}

fn is_blank(file: &Parsed<'_>, line: &Range<usize>) -> bool {
    !line.is_empty() && file.slice(line.clone()).trim().is_empty()
}

/// Whether `text` holds one of our marks, or what a reader would take for one.
pub(crate) fn holds_mark(text: &str) -> bool {
    text.contains(BEGIN) || text.contains(END)
}

const BEGIN: &str = "testsmith:begin";
const END: &str = "testsmith:end";
const UNVERIFIED: &str = "unverified";

enum Mark {
    Begin(Begin),
    End(MemberName),
    Broken,
}

struct Begin {
    member: MemberName,
    key: BlockKey,
    sum: String,
    verified: bool,
}

impl Mark {
    /// Reads a whole line; `None` if it is no mark.
    fn parse(dialect: &dyn Dialect, line: &str) -> Option<Self> {
        let words = line.trim().strip_prefix(dialect.comment_leader())?;
        let mut words = words.split_whitespace();
        let kind = words.next()?;
        let rest: Vec<&str> = words.collect();
        match (kind, rest.as_slice()) {
            (BEGIN, [member, key, sum, more @ ..]) if matches!(more, [] | [UNVERIFIED]) => {
                Some(match (short_hash(key, "key="), short_hash(sum, "sum=")) {
                    (Some(key), Some(sum)) => Self::Begin(Begin {
                        member: MemberName::from(*member),
                        key: BlockKey(key),
                        sum,
                        verified: more.is_empty(),
                    }),
                    _ => Self::Broken,
                })
            }
            (END, [member]) => Some(Self::End(MemberName::from(*member))),
            (BEGIN | END, _) => Some(Self::Broken),
            _ => None,
        }
    }
}

impl Begin {
    fn block(&self, dialect: &dyn Dialect, body: &str) -> Block {
        let is = |now: ContentHash| now.short() == self.sum;
        let state = if is(sum(dialect, body)) || is(old_sum(dialect, body)) {
            BlockState::Pristine
        } else {
            BlockState::Edited
        };
        Block {
            member: self.member.clone(),
            key: self.key.clone(),
            state,
            verified: self.verified,
            body: body.to_owned(),
        }
    }
}

/// The 8 hex digits behind `name`.
fn short_hash(word: &str, name: &str) -> Option<String> {
    let hash = word.strip_prefix(name)?;
    let fits = hash.len() == 8 && hash.bytes().all(|b| b.is_ascii_hexdigit());
    fits.then(|| hash.to_owned())
}

/// The lines that hold one comment and nothing else, each with its row.
fn comment_lines(dialect: &dyn Dialect, file: &Parsed<'_>) -> Vec<(Range<usize>, usize)> {
    let mut lines = Vec::new();
    if !holds_mark(file.text()) {
        return lines;
    }
    walk(file.root(), |node| {
        if is_comment(node) && file.of(node).starts_with(dialect.comment_leader()) {
            let start = file.line_start(node.start_byte());
            if file.slice(start..node.start_byte()).trim().is_empty() {
                let end = file.line_end(node.start_byte());
                lines.push((start..end, node.start_position().row));
            }
        }
        Descend::when(!is_comment(node))
    });
    lines
}
