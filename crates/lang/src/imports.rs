//! Adding and dropping imports where a language has one statement for each module.
//!
//! Statements that nothing changes for stay as they are, byte for byte. So does one that holds a
//! comment: what is new then gets a statement of its own, and what is unused stays.

use std::collections::BTreeMap;

use crate::dialect::{Import, ImportStatement, TextEdit};
use crate::syntax::{Parsed, has_comment};

/// The edits that add and drop these imports.
///
/// - `statements` are the file's import statements; `insert_at` is where the first statement goes
///   if there is none, the start of a line.
/// - `render` writes the imports of one module as statements, one for each line, without a line
///   end at the end. It may write several lines: `import type` beside `import`.
/// - `joins` tells whether an import may be written into a statement of the same module:
///   not into a side-effect import, say.
pub(crate) fn edit_statements(
    file: &Parsed<'_>,
    statements: &[ImportStatement],
    insert_at: usize,
    (add, drop): (&[Import], &[Import]),
    render: impl Fn(&[Import]) -> String,
    joins: impl Fn(&ImportStatement, &Import) -> bool,
) -> Vec<TextEdit> {
    let mut edits = Vec::new();
    let mut left: Vec<&Import> = add.iter().collect();
    for statement in statements {
        // Writing it anew would lose the comment.
        if has_comment(file, &statement.range) {
            continue;
        }
        let mut imports: Vec<Import> = statement.imports.clone();
        imports.retain(|import| !drop.contains(import));
        // A statement whose imports all go is taken out, not reused: its place may be anywhere.
        let dropped_all = imports.is_empty() && !statement.imports.is_empty();
        if !dropped_all {
            left.retain(|import| {
                let joined = joins(statement, import);
                if joined {
                    imports.push((*import).clone());
                }
                !joined
            });
        }
        if dropped_all {
            edits.push(TextEdit::remove(file.whole_lines(&statement.range)));
        } else if imports != statement.imports {
            edits.push(TextEdit {
                range: statement.range.clone(),
                text: render(&imports),
            });
        }
    }
    if !left.is_empty() {
        let at = statements
            .last()
            .map_or(insert_at, |last| file.line_end(last.range.end));
        let mut by_module: BTreeMap<&str, Vec<Import>> = BTreeMap::new();
        for import in left {
            let of_module = by_module.entry(&import.module).or_default();
            of_module.push(import.clone());
        }
        let lines: Vec<String> = by_module.values().map(|imports| render(imports)).collect();
        // The last statement may be the end of a file without a final line end.
        let open = at > 0 && !file.slice(0..at).ends_with('\n');
        let start = if open { "\n" } else { "" };
        edits.push(TextEdit::insert(
            at,
            format!("{start}{}\n", lines.join("\n")),
        ));
    }
    edits
}
