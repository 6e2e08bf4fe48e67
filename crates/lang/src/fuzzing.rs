//! What holds of every test file, whatever is in it. The fuzz targets and a test call these.
//!
//! An input is a test file; behind a line of `=====`, code that a model wrote. A line `%Total` or
//! `%Add` stands for the block of that member as it is written, since no fuzzer finds its `sum`.

use testsmith_domain::{
    Analysis, Block, BlockEdit, BlockKey, BlockState, ComposeError, ComposeRequest, Composed,
    LanguageDriver, MemberName, Project, Rejection, RelPath, SourceFile,
};

use crate::dialect::{Dialect, OWNER_LINE};
use crate::marks::find;
use crate::syntax::Parsed;
use crate::{GoDriver, PythonDriver, TypeScriptDriver, go, python, typescript};

/// The member that is written and removed.
const MEMBER: &str = "Total";
/// Longer inputs find nothing that shorter ones do not.
const LONGEST: usize = 4096;

/// A test file in Go.
pub fn blocks_go(data: &[u8]) {
    let source = "package shop\n\nfunc Add(a, b int) int { return a + b }\n\n\
                  func Total(n int) int { return n }\n";
    let body = "import \"testing\"\n\nfunc TestTotal(t *testing.T) {\n\tTotal(1)\n}\n";
    check(
        data,
        (&GoDriver, "shop/cart.go", source, body),
        go::dialect_of,
    );
}

/// A test file in Python.
pub fn blocks_python(data: &[u8]) {
    let source = "def Add(a, b):\n    return a + b\n\n\ndef Total(n):\n    return n\n";
    let body = "import os\n\n\ndef test_total():\n    assert Total(1) == 1, os.name\n";
    check(
        data,
        (&PythonDriver, "shop/cart.py", source, body),
        python::dialect_of,
    );
}

/// A test file in TypeScript.
pub fn blocks_typescript(data: &[u8]) {
    let source = "export function Add(a: number, b: number) { return a + b }\n\
                  export function Total(n: number) { return n }\n";
    check(
        data,
        (&TypeScriptDriver, "src/cart.ts", source, SCRIPT_BODY),
        typescript::dialect_of,
    );
}

/// A test file in JavaScript.
pub fn blocks_javascript(data: &[u8]) {
    let source = "export function Add(a, b) { return a + b }\n\
                  export function Total(n) { return n }\n";
    check(
        data,
        (&TypeScriptDriver, "src/cart.js", source, SCRIPT_BODY),
        typescript::dialect_of,
    );
}

const SCRIPT_BODY: &str =
    "import path from 'node:path';\n\ntest('Total', () => {\n  Total(path.sep.length);\n});\n";

struct Case<'a> {
    driver: &'a dyn LanguageDriver,
    dialect: Box<dyn Dialect>,
    project: Project,
    file: SourceFile,
}

fn check(
    data: &[u8],
    (driver, path, source, body): (&dyn LanguageDriver, &str, &str, &str),
    dialect: fn(&RelPath) -> Box<dyn Dialect>,
) {
    if data.len() > LONGEST {
        return;
    }
    let project = Project::at("/nowhere");
    let Ok(path) = RelPath::new(path) else { return };
    let Analysis::Source(file) = driver.analyze(&project, &path, source) else {
        unreachable!("it is a source");
    };
    let case = Case {
        driver,
        dialect: dialect(&file.test_path),
        project,
        file,
    };
    let input = String::from_utf8_lossy(data);
    let (text, code) = input.split_once("=====\n").unwrap_or((&input, body));
    let text = case.expand(text, body);
    let written = case.prepared(code);
    case.marks_are_taken_out(&text);
    case.a_block_is_put(&text, written.as_deref().unwrap_or(body));
}

impl Case<'_> {
    /// The text with blocks in the place of their short forms.
    fn expand(&self, text: &str, body: &str) -> String {
        let mut out = String::new();
        for line in text.split_inclusive('\n') {
            match line.trim_end() {
                "%Total" => out.push_str(&self.block("Total", body)),
                "%Add" => out.push_str(&self.block("Add", &body.replace("otal", "dd"))),
                _ => out.push_str(line),
            }
        }
        out
    }

    /// A member's block as it is written.
    fn block(&self, member: &str, body: &str) -> String {
        let Ok(composed) = self.compose(None, &[put(member, body, true)]) else {
            unreachable!("a good body is written");
        };
        let text = composed.text.unwrap_or_default();
        let start = text
            .lines()
            .position(|line| line.contains("testsmith:begin"));
        let lines: Vec<&str> = text.lines().skip(start.unwrap_or_default()).collect();
        lines.join("\n") + "\n"
    }

    fn compose(
        &self,
        existing: Option<&str>,
        edits: &[BlockEdit],
    ) -> Result<Composed, ComposeError> {
        self.driver.compose(&ComposeRequest {
            project: &self.project,
            file: &self.file,
            existing,
            edits,
        })
    }

    fn blocks(&self, text: &str) -> Result<Vec<Block>, ComposeError> {
        self.driver.blocks(&self.file.test_path, text)
    }

    /// A model's code as it is cached: cleaning it once more changes nothing.
    fn prepared(&self, code: &str) -> Option<String> {
        let of_member = |member: &&testsmith_domain::Member| member.name.as_str() == MEMBER;
        let member = self.file.members.iter().find(of_member)?;
        let prepare = |code: &str| self.driver.prepare_body(&self.file, member, code);
        let body = prepare(code).ok()?;
        assert_eq!(prepare(&body).as_ref(), Ok(&body), "{code}");
        assert!(
            !self.driver.test_names(&self.file, &body).is_empty(),
            "{body}"
        );
        Some(body)
    }

    /// Without its marks a file has no block, and all of the user's lines.
    fn marks_are_taken_out(&self, text: &str) {
        let bare = self.driver.without_marks(&self.file.test_path, text);
        let bare = match (bare, self.blocks(text)) {
            (Ok(bare), Ok(_)) => bare,
            (bare, blocks) => {
                assert_eq!(bare.err(), blocks.err(), "{text}");
                return;
            }
        };
        let lines: Vec<&str> = text.lines().collect();
        let is_ours = |line: &&str| line.contains("testsmith:") || line.contains(OWNER_LINE);
        let kept = lines.iter().filter(|line| !is_ours(line));
        in_order(kept.copied().filter(|line| !line.trim().is_empty()), &bare);
        assert_eq!(self.blocks(&bare), Ok(Vec::new()), "{text}");
        let again = self.driver.without_marks(&self.file.test_path, &bare);
        // The line that says whose the file is may be there more than once.
        if text.matches(OWNER_LINE).count() < 2 {
            assert_eq!(again, Ok(bare));
        }
    }

    /// Writing a block leaves all else as it was, and writing it again changes nothing.
    fn a_block_is_put(&self, text: &str, body: &str) {
        let edit = [put(MEMBER, body, true)];
        let before = self.blocks(text);
        let composed = match (self.compose(Some(text), &edit), &before) {
            (Ok(composed), Ok(_)) => composed,
            // Refused: nothing is written.
            (Err(ComposeError::ResultBroken(_)), Ok(_)) => return,
            (composed, before) => {
                assert_eq!(composed.err().as_ref(), before.as_ref().err(), "{text}");
                return;
            }
        };
        let is_edited = Self::is_edited(before.as_deref().unwrap_or_default());
        let refused = composed.rejected.iter().map(|(_, why)| why).next();
        assert_eq!(refused == Some(&Rejection::Edited), is_edited, "{text}");
        let was_refused = refused.is_some();
        let Some(written) = composed.text else {
            assert!(was_refused, "{text}");
            return;
        };
        self.others_stay(text, &written, was_refused);
        if was_refused {
            return;
        }
        let blocks = self.blocks(&written).unwrap_or_default();
        let block = blocks.iter().find(|block| block.member.as_str() == MEMBER);
        let is_it = |block: &Block| {
            block.key == key() && block.state == BlockState::Pristine && block.verified
        };
        assert!(block.is_some_and(is_it), "{text}\nbecame\n{written}");
        let again = self.compose(Some(&written), &edit);
        assert_eq!(again.map(|again| again.text), Ok(Some(written.clone())));
        self.only_the_mark_changes(&written, body);
        self.it_is_removed(&written);
    }

    fn is_edited(blocks: &[Block]) -> bool {
        let mut edited = blocks.iter().filter(|b| b.state == BlockState::Edited);
        edited.any(|block| block.member.as_str() == MEMBER)
    }

    fn only_the_mark_changes(&self, written: &str, body: &str) {
        let unverified = self.compose(Some(written), &[put(MEMBER, body, false)]);
        let Ok(Some(unverified)) = unverified.map(|composed| composed.text) else {
            unreachable!("only a mark is to change:\n{written}");
        };
        let differ = |(one, other): &(&str, &str)| one != other;
        let pairs = written.lines().zip(unverified.lines());
        let changed: Vec<(&str, &str)> = pairs.filter(differ).collect();
        assert_eq!(written.lines().count(), unverified.lines().count());
        assert!(
            matches!(changed[..], [(one, _)] if one.contains("testsmith:begin")),
            "{changed:?}"
        );
    }

    fn it_is_removed(&self, written: &str) {
        let remove = BlockEdit::Remove {
            member: MEMBER.into(),
        };
        let composed = match self.compose(Some(written), &[remove]) {
            Ok(composed) => composed,
            Err(ComposeError::ResultBroken(_)) => return,
            Err(error) => unreachable!("{error}:\n{written}"),
        };
        assert_eq!(composed.rejected, []);
        let text = composed.text.unwrap_or_default();
        let blocks = self.blocks(&text).unwrap_or_default();
        assert!(blocks.iter().all(|block| block.member.as_str() != MEMBER));
        if !text.is_empty() {
            self.others_stay(written, &text, false);
        }
    }

    /// No line of the user's is lost or moved past another one, and no other block is touched.
    fn others_stay(&self, before: &str, after: &str, all: bool) {
        let parsed = self.dialect.parse(before);
        let others = |text: &str| -> Vec<(MemberName, BlockKey, BlockState, String)> {
            let blocks = self.blocks(text).unwrap_or_default();
            let others = blocks
                .into_iter()
                .filter(|block| all || block.member.as_str() != MEMBER);
            others
                .map(|block| (block.member, block.key, block.state, block.body))
                .collect()
        };
        assert_eq!(others(before), others(after), "{before}\nbecame\n{after}");
        in_order(self.users_lines(&parsed, all), after);
    }

    /// The lines that are neither of the block that is written, nor of an import, nor of the header.
    fn users_lines<'t>(&self, file: &Parsed<'t>, all: bool) -> impl Iterator<Item = &'t str> {
        let text = file.text();
        let mut ours: Vec<std::ops::Range<usize>> = self
            .dialect
            .imports(file)
            .into_iter()
            .map(|statement| statement.range)
            .collect();
        // It says where the project is, which is another place once the file has moved.
        if self.file.path.extension() == "py" {
            ours.extend(python::path_line(file));
        }
        for found in find(&*self.dialect, file).unwrap_or_default() {
            if !all && found.block.member.as_str() == MEMBER {
                ours.push(found.lines);
            }
        }
        let mut at = 0;
        let mut name_follows = false;
        text.split_inclusive('\n').filter_map(move |line| {
            let range = at..at + line.len();
            at = range.end;
            let overlaps = |other: &std::ops::Range<usize>| {
                other.start < range.end && range.start < other.end.max(other.start + 1)
            };
            // The package's name may stand below its keyword.
            let is_name = name_follows && !line.trim().is_empty();
            name_follows = line.trim() == "package" || (name_follows && !is_name);
            let headers = ["package", "//go:build", "// +build"];
            let is_header = is_name
                || headers
                    .iter()
                    .any(|start| line.trim_start().starts_with(start));
            let is_users = !ours.iter().any(overlaps) && !is_header && !line.trim().is_empty();
            is_users.then(|| line.trim_end_matches(['\r', '\n']))
        })
    }
}

fn key() -> BlockKey {
    BlockKey("00000002".into())
}

fn put(member: &str, body: &str, verified: bool) -> BlockEdit {
    BlockEdit::Put {
        member: member.into(),
        key: key(),
        body: body.into(),
        verified,
    }
}

/// Each of `wanted` is a line of `text`, in this order.
fn in_order<'a>(wanted: impl Iterator<Item = &'a str>, text: &str) {
    // A line that ended with the file has a line end once something follows it.
    let mut lines = text.split('\n').map(|line| line.trim_end_matches('\r'));
    for line in wanted {
        let line = line.trim_end_matches(['\r', '\n']);
        assert!(lines.any(|other| other == line), "lost `{line}`:\n{text}");
    }
}

#[cfg(test)]
#[path = "../../../fuzz/replay.rs"]
mod replay;

#[cfg(test)]
mod tests {
    use super::replay::replay;

    #[test]
    fn the_corpus_of_go_files_holds() {
        replay("blocks_go", super::blocks_go);
    }

    #[test]
    fn the_corpus_of_python_files_holds() {
        replay("blocks_python", super::blocks_python);
    }

    #[test]
    fn the_corpus_of_typescript_files_holds() {
        replay("blocks_typescript", super::blocks_typescript);
    }

    #[test]
    fn the_corpus_of_javascript_files_holds() {
        replay("blocks_javascript", super::blocks_javascript);
    }
}
