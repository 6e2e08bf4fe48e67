//! The word `unverified` in a mark, and marks that are taken out, for each language.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests; clippy knows only test functions themselves as tests"
)]

use pretty_assertions::assert_eq;
use testsmith_domain::{
    Analysis, Block, BlockEdit, BlockKey, BlockState, ComposeError, ComposeRequest, LanguageDriver,
    Project, RelPath, SourceFile,
};
use testsmith_lang::{GoDriver, PythonDriver, TypeScriptDriver};

struct Case {
    driver: Box<dyn LanguageDriver>,
    project: Project,
    file: SourceFile,
    body: &'static str,
}

fn cases() -> Vec<Case> {
    let case = |driver: Box<dyn LanguageDriver>, path: &str, source: &str, body| {
        let project = Project::at("/nowhere");
        let path = RelPath::new(path).unwrap();
        let Analysis::Source(file) = driver.analyze(&project, &path, source) else {
            panic!("no source: {path}");
        };
        Case {
            driver,
            project,
            file,
            body,
        }
    };
    vec![
        case(
            Box::new(GoDriver),
            "shop/cart.go",
            "package shop\n\nfunc Total(n int) int { return n }\n",
            "import \"testing\"\n\nfunc TestTotal(t *testing.T) {\n\tTotal(1)\n}\n",
        ),
        case(
            Box::new(PythonDriver),
            "cart.py",
            "def Total(n):\n    return n\n",
            "def test_total():\n    assert Total(1) == 1\n",
        ),
        case(
            Box::new(TypeScriptDriver),
            "src/cart.ts",
            "export function Total(n: number) { return n }\n",
            "test('Total', () => {\n  Total(1);\n});\n",
        ),
    ]
}

impl Case {
    fn compose(&self, existing: Option<&str>, verified: bool) -> String {
        let request = ComposeRequest {
            project: &self.project,
            file: &self.file,
            existing,
            edits: &[BlockEdit::Put {
                member: "Total".into(),
                key: BlockKey("00000001".into()),
                body: self.body.into(),
                verified,
            }],
        };
        let composed = self.driver.compose(&request).unwrap();
        assert_eq!(composed.rejected, []);
        composed.text.unwrap()
    }

    fn block(&self, text: &str) -> Block {
        let blocks = self.driver.blocks(&self.file.test_path, text).unwrap();
        let [block] = blocks.try_into().unwrap();
        assert_eq!(block.state, BlockState::Pristine);
        block
    }

    fn without_marks(&self, text: &str) -> Result<String, ComposeError> {
        self.driver.without_marks(&self.file.test_path, text)
    }
}

#[test]
fn a_mark_says_whether_its_block_is_verified() {
    for case in cases() {
        let plain = case.compose(None, true);
        assert!(!plain.contains("unverified"));
        assert!(case.block(&plain).verified);

        let unverified = case.compose(None, false);
        let begin = unverified.lines().find(|line| line.contains(":begin"));
        assert!(begin.unwrap().ends_with(" unverified"), "{unverified}");
        assert!(!case.block(&unverified).verified);

        assert_eq!(case.compose(Some(&unverified), true), plain);
        assert_eq!(case.compose(Some(&plain), false), unverified);
        assert_eq!(case.compose(Some(&unverified), false), unverified);
    }
}

#[test]
fn only_the_mark_of_a_block_that_was_laid_out_anew_is_changed() {
    for case in cases() {
        let text = case.compose(None, false).replace("Total(1)", "Total( 1 )");
        let text = text.replace('\n', "\r\n");
        let wanted = text.replace(" unverified\r\n", "\r\n");
        assert_ne!(text, wanted);
        assert_eq!(case.compose(Some(&text), true), wanted);
    }
}

#[test]
fn a_word_that_is_none_of_ours_breaks_a_mark() {
    for case in cases() {
        let text = case.compose(None, false);
        let text = text.replace(" unverified\n", " unverified really\n");
        let blocks = case.driver.blocks(&case.file.test_path, &text);
        assert!(matches!(blocks, Err(ComposeError::BadMarks { .. })));
        let bare = case.without_marks(&text);
        assert!(matches!(bare, Err(ComposeError::BadMarks { .. })));
    }
}

#[test]
fn without_marks_a_file_holds_its_tests_as_they_were() {
    let expected = [
        "package shop\n\nimport \"testing\"\n\nfunc TestTotal(t *testing.T) {\n\tTotal(1)\n}\n",
        "import sys\nfrom pathlib import Path\n\nif (_ROOT := str(Path(__file__).resolve().parents[2])) not in sys.path:\n    sys.path.append(_ROOT)\n\nfrom cart import Total\n\n\ndef test_total():\n    assert Total(1) == 1\n",
        "import { Total } from './cart';\nimport { test } from 'vitest';\n\ntest('Total', () => {\n  Total(1);\n});\n",
    ];
    for (case, expected) in cases().into_iter().zip(expected) {
        for verified in [true, false] {
            let bare = case.without_marks(&case.compose(None, verified)).unwrap();
            assert_eq!(bare, expected);
            assert_eq!(case.without_marks(&bare).unwrap(), bare);
        }
        let crlf = case.compose(None, true).replace('\n', "\r\n");
        let bare = case.without_marks(&crlf).unwrap();
        assert_eq!(bare, expected.replace('\n', "\r\n"));
    }
}

#[test]
fn an_edited_block_and_what_is_around_it_stay_byte_for_byte() {
    for case in cases() {
        let leader = if case.file.path.extension() == "py" {
            "#"
        } else {
            "//"
        };
        let mine = format!("{leader}   mine:  testsmith:begin is no mark here");
        let text = case.compose(None, true).replace("Total(1)", "Total(2)") + "\n" + &mine;
        let bare = case.without_marks(&text).unwrap();
        assert!(bare.contains("Total(2)") && bare.ends_with(&mine), "{bare}");
    }
}
