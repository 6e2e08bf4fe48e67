//! Writing a test file: the one algorithm all drivers share.
//!
//! 1. The file as it is must parse and its marks must pair.
//! 2. Each body is taken apart into imports and code.
//! 3. Which edits are carried out is settled: not on blocks edited by hand, and not where a name
//!    would be defined twice. A refused edit keeps its old block, whose names may refuse another
//!    edit, so this repeats until nothing changes. Of two new bodies that clash, the first in the
//!    request wins.
//! 4. Blocks of which the user has taken a name since, in another file of the same name space, go.
//! 5. Blocks are replaced in place, removed with their lines, or put in the members' order.
//! 6. Imports are added and dropped, those too that only blocks used which the user has taken out; the
//!    header is brought up to date.
//! 7. The result must parse.
//!
//! Only lines of touched blocks, the import section, the header's own lines and empty lines next to
//! a block that comes or goes are ever changed.

mod before;
mod plan;

use testsmith_domain::{ComposeError, ComposeRequest, Composed, ContentHash};

use crate::dialect::{Dialect, ImportStatement, TextEdit, apply, line_end_of};
use crate::marks::find;
use crate::syntax::{Parsed, has_comment};
use crate::tokens::{Comments, digest, sum, unix};
use before::Before;
use plan::Plan;

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
    // Where the user was at work, an import that is left is theirs.
    let may_go = plan.gone.is_empty() || dialect.imports(&result).is_empty();
    let empty =
        may_go && find(dialect, &result)?.is_empty() && only_header(dialect, &result, &header);
    Ok(Composed {
        text: (!empty).then_some(text),
        rejected: plan.rejected,
    })
}

/// The `sum` of a body as `LanguageDriver::body_sum` has to give it: that of the block the body
/// becomes, so without the imports at its top.
pub(crate) fn body_sum(dialect: &dyn Dialect, body: &str) -> ContentHash {
    let body = unix(body);
    sum(dialect, &split_imports(dialect, &body).0)
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

/// Whether a file holds nothing but our header and imports.
fn only_header(dialect: &dyn Dialect, file: &Parsed<'_>, header: &str) -> bool {
    let (rest, statements) = split_imports(dialect, file.text());
    // Not even between the names of an import is a remark ours.
    if statements.iter().any(|s| has_comment(file, &s.range)) {
        return false;
    }
    let (header, _) = split_imports(dialect, header);
    let (rest, header) = (dialect.parse(&rest), dialect.parse(&header));
    let same = |comments| {
        digest(dialect, &rest, [rest.root()], comments)
            == digest(dialect, &header, [header.root()], comments)
    };
    // Every remark counts here, not only those that are documentation.
    let is_bare = !has_comment(&rest, &(0..rest.text().len()));
    same(Comments::All) || (same(Comments::Doc) && is_bare)
}
