//! Repair by rule, from what the real Python, Node and vitest say. Go's is in `go/mend.rs`.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests; clippy knows only test functions themselves as tests"
)]

#[path = "support/node.rs"]
mod node;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use pretty_assertions::assert_eq;
use testsmith_domain::{
    Analysis, BlockEdit, BlockKey, ComposeRequest, LanguageDriver, Member, Project, RelPath,
    SourceFile,
};
use testsmith_lang::{PythonDriver, TypeScriptDriver};

/// A project with one source file.
struct Sample {
    _dir: tempfile::TempDir,
    root: PathBuf,
    driver: Box<dyn LanguageDriver>,
    file: SourceFile,
}

impl Sample {
    fn new(driver: Box<dyn LanguageDriver>, files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        for (path, text) in files {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let (path, source) = files.first().unwrap();
        let path = RelPath::new(*path).unwrap();
        let Analysis::Source(file) = driver.analyze(&Project::at(&root), &path, source) else {
            panic!("no source: {path}");
        };
        Self {
            _dir: dir,
            root,
            driver,
            file,
        }
    }

    fn member(&self) -> &Member {
        self.file.members.first().unwrap()
    }

    fn prepare(&self, code: &str) -> String {
        let prepared = self.driver.prepare_body(&self.file, self.member(), code);
        prepared.unwrap_or_else(|problem| panic!("{problem}: {code}"))
    }

    /// The body after `said`, prepared again.
    fn mend(&self, body: &str, said: &str) -> Option<String> {
        let mended = self.driver.mend(&self.file, self.member(), body, said)?;
        Some(self.prepare(&mended))
    }

    /// Writes the test file with this body only.
    fn write(&self, body: &str) -> String {
        let composed = self
            .driver
            .compose(&ComposeRequest {
                project: &Project::at(&self.root),
                file: &self.file,
                existing: None,
                edits: &[BlockEdit::Put {
                    member: self.member().name.clone(),
                    key: BlockKey("00000001".into()),
                    body: body.into(),
                    verified: true,
                }],
            })
            .unwrap();
        assert_eq!(composed.rejected, []);
        let text = composed.text.unwrap();
        let path = self.file.test_path.under(&self.root);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, &text).unwrap();
        text
    }

    /// Runs `code`, which has to fail with `words`; mends it, which has to give `expected`, and
    /// runs that, which has to pass.
    fn check(&self, run: &dyn Fn(&Self) -> (bool, String), case: (&str, &str, &str)) {
        let (code, words, expected) = case;
        let body = self.prepare(code);
        let text = self.write(&body);
        let (passes, said) = run(self);
        assert!(!passes && said.contains(words), "{words}\n{said}\n{text}");
        let mended = self.mend(&body, &said);
        let mended = mended.unwrap_or_else(|| panic!("no rule: {said}\n{body}"));
        assert!(mended.contains(expected), "{expected}\n---\n{mended}");
        let text = self.write(&mended);
        let (passes, said) = run(self);
        assert!(passes, "{said}\n{text}");
    }
}

/// Whether Python has pytest. If not: `false` after a word on it, but a failure where CI must not
/// miss it.
fn has_pytest() -> bool {
    let ran = Command::new("python3")
        .args(["-c", "import pytest"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    let found = ran.is_ok_and(|status| status.success());
    if !found {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "no pytest");
        println!("skipped: pytest not found");
    }
    found
}

fn pytest(sample: &Sample) -> (bool, String) {
    let output = Command::new("python3")
        .args(["-m", "pytest", "-q", "-p", "no:cacheprovider"])
        .arg(sample.file.test_path.as_str())
        .current_dir(&sample.root)
        .env_remove("PYTHONPATH")
        .env_remove("PYTEST_ADDOPTS")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

fn python() -> Sample {
    Sample::new(
        Box::new(PythonDriver),
        &[
            (
                "shop/cart.py",
                "RATE = 2\n\n\ndef total(n):\n    return n * RATE\n",
            ),
            ("shop/__init__.py", ""),
        ],
    )
}

/// Code as a model gives it, some words of the error, and what the repaired body holds.
const PYTHON: [(&str, &str, &str); 9] = [
    (
        "def test_total():\n    assert total(isclose(1, 1)) == operator.add(1, 1)\n",
        "NameError: name 'isclose' is not defined",
        "from math import isclose\n",
    ),
    (
        "@fixture\ndef cart():\n    return 1\n\n\ndef test_total(cart):\n    assert total(cart) == 2\n",
        "NameError: name 'fixture' is not defined",
        "from pytest import fixture\n",
    ),
    (
        "def test_total():\n    assert cart.total(1) == 2\n",
        "NameError: name 'cart' is not defined",
        "    assert total(1) == 2\n",
    ),
    (
        "def test_total():\n    assert shop.cart.total(1) == 2\n",
        "NameError: name 'shop' is not defined",
        "    assert total(1) == 2\n",
    ),
    (
        "import mock\n\n\ndef test_total():\n    assert total(mock.Mock(return_value=1)()) == 2\n",
        "No module named 'mock'",
        "from unittest import mock\n",
    ),
    (
        "from mock import patch\n\n\ndef test_total():\n    with patch(\"os.sep\"):\n        assert total(1) == 2\n",
        "No module named 'mock'",
        "from unittest.mock import patch\n",
    ),
    (
        "from app.cart import RATE, total\n\n\ndef test_total():\n    assert total(1) == RATE\n",
        "No module named 'app'",
        "def test_total():\n    assert total(1) == RATE\n",
    ),
    (
        "def test_total():\n    assert total(datetime.datetime(2020, 1, 2).month) == 2\n",
        "has no attribute 'datetime'",
        "import datetime as dt\n",
    ),
    (
        "def test_total():\n    assert total(len(html.escape(\"<\"))) == 8\n",
        "NameError: name 'html' is not defined",
        "import html\n",
    ),
];

#[test]
fn what_python_says_is_mended_until_the_test_passes() {
    if !has_pytest() {
        return;
    }
    let sample = python();
    for (code, words, expected) in PYTHON {
        // Two names are missing in the first: what is told of first is mended first.
        if words.contains("isclose") {
            let body = sample.prepare(code);
            let said = "E   NameError: name 'isclose' is not defined\nNameError: name 'operator' is not defined. Did you mean: 'x'?";
            let mended = sample.mend(&body, said).unwrap();
            assert!(mended.contains("import operator\nfrom math import isclose\n"));
            sample.write(&mended);
            let (passes, said) = pytest(&sample);
            assert!(passes, "{said}");
            continue;
        }
        sample.check(&pytest, (code, words, expected));
    }
}

#[test]
fn python_tests_of_one_name_are_told_apart() {
    let sample = python();
    let code = "def test_a():\n    assert total(1) == 2\n\n\ndef test_a():\n    assert total(2) == 4\n\n\nclass TestTotal:\n    def test_b(self):\n        pass\n\n    def test_b(self):\n        pass\n";
    let body = sample.prepare(code);
    assert_eq!(
        sample.driver.test_names(&sample.file, &body),
        [
            "test_total_a",
            "test_total_a_2",
            "TestTotal::test_b",
            "TestTotal::test_b_2"
        ]
    );
    assert_eq!(sample.prepare(&body), body);

    let said = "`test_total_a` is already defined in `tests/testsmith/test_shop_cart.py`";
    let mended = sample.mend(&body, said).unwrap();
    let names = sample.driver.test_names(&sample.file, &mended);
    assert_eq!(names.first().unwrap(), "test_total_a_3");
}

fn vitest(sample: &Sample) -> (bool, String) {
    let output = node::run(
        &sample.root,
        &["node_modules/vitest/vitest.mjs", "run", "--no-color"],
    );
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

fn node_test(sample: &Sample) -> (bool, String) {
    let output = node::run(&sample.root, &["--test"]);
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

const CART: &str = "export const RATE = 2;\nexport function total(n) {\n  return n * RATE;\n}\n";

/// As for Python, where both runners are asked.
const SCRIPTS: [(&str, &str, &str); 6] = [
    (
        "it('a', () => { total(path.join('a', tmpdir()).length); });\n",
        "is not defined",
        "from 'node:",
    ),
    (
        "it('a', () => { if (shoppingCart.total(1) !== 2) throw new Error(); });\n",
        "shoppingCart is not defined",
        "import * as shoppingCart from 'testsmith:subject';\n",
    ),
    (
        "describe('total', () => {\n  const cart = 1;\n  it('a', () => total(cart));\n  const cart = { n: 2 };\n  it('b', () => { if (total({ cart }.cart.n) !== 4) throw new Error(); });\n});\n",
        "has already been declared",
        "  const cart2 = { n: 2 };\n  it('b', () => { if (total({ cart: cart2 }.cart.n) !== 4)",
    ),
    (
        "describe('total', () => {\n  const cart = 1;\n  it('a', () => total(cart));\n  const cart = 1;\n});\n",
        "has already been declared",
        "  const cart = 1;\n  it('a', () => total(cart));\n});\n",
    ),
    (
        "import { RATE as rate } from './basket.js';\nit('a', () => { if (total(1) !== rate) throw new Error(); });\n",
        "basket",
        "import { RATE as rate } from 'testsmith:subject';\n",
    ),
    (
        "context('total', () => { specify('a', () => total(1)); it('b', () => {}); });\n",
        "context is not defined",
        "describe('total', () => { ",
    ),
];

fn script(driver: TypeScriptDriver, manifest: &str) -> Sample {
    Sample::new(
        Box::new(driver),
        &[("src/shopping-cart.js", CART), ("package.json", manifest)],
    )
}

/// Mends until nothing is left to mend: a runner names one missing name at a time.
fn mend_all(sample: &Sample, run: &dyn Fn(&Sample) -> (bool, String), case: (&str, &str, &str)) {
    let (code, words, expected) = case;
    let mut body = sample.prepare(code);
    let mut rounds = 0;
    loop {
        let text = sample.write(&body);
        let (passes, said) = run(sample);
        if passes {
            break;
        }
        assert!(rounds > 0 || said.contains(words), "{words}\n{said}");
        rounds += 1;
        assert!(rounds < 4, "{said}\n{text}");
        let mended = sample.mend(&body, &said);
        body = mended.unwrap_or_else(|| panic!("no rule: {said}\n{text}"));
    }
    assert!(
        rounds > 0 && body.contains(expected),
        "{expected}\n---\n{body}"
    );
}

#[test]
fn what_node_says_is_mended_until_the_test_passes() {
    if !node::found("node") {
        return;
    }
    let sample = script(TypeScriptDriver, "{\"type\": \"module\"}");
    assert_eq!(sample.file.framework.0, "node");
    for case in SCRIPTS {
        mend_all(&sample, &node_test, case);
    }
    let case = (
        "let n = 0;\nbeforeAll(() => { n = 1; });\nit('a', () => assert.equal(total(n), 2));\n",
        "beforeAll is not defined",
        "before(() => { n = 1; });",
    );
    mend_all(&sample, &node_test, case);
}

#[test]
fn what_vitest_says_is_mended_until_the_test_passes() {
    let manifest = "{\"type\": \"module\", \"devDependencies\": {\"vitest\": \"3\"}}";
    let sample = script(TypeScriptDriver, manifest);
    if !node::install_vitest(&sample.root) {
        return;
    }
    assert_eq!(sample.file.framework.0, "vitest");
    let case = (
        "it('a', () => { const f = jest.fn(() => 1); expect(total(f())).toBe(2); });\n",
        "jest is not defined",
        "const f = vi.fn(() => 1);",
    );
    // Those of which vitest and its tools say something of their own.
    let own_words = SCRIPTS
        .into_iter()
        .filter(|(_, words, after)| *words == "basket" || after.contains("cart2"));
    for case in own_words.chain([case]) {
        mend_all(&sample, &vitest, case);
    }
}

#[test]
fn what_typescript_says_is_understood() {
    let sample = Sample::new(
        Box::new(TypeScriptDriver),
        &[
            (
                "src/cart.ts",
                "export function total(n: number) { return n }\n",
            ),
            ("package.json", "{\"devDependencies\": {\"vitest\": \"3\"}}"),
        ],
    );
    let mend = |code: &str, said: &str| {
        let body = sample.prepare(code);
        let mended = sample.mend(&body, said);
        mended.unwrap_or_else(|| panic!("no rule: {said}"))
    };
    let code = "it('a', () => { fs.readFileSync('x'); const f: jest.Mock = jest.fn(); });\n";
    let said = "a.test.ts(4,19): error TS2304: Cannot find name 'fs'.\na.test.ts(6,29): error TS2708: Cannot use namespace 'jest' as a value.\n";
    let mended = mend(code, said);
    assert!(
        mended.starts_with("import * as fs from 'node:fs';\n"),
        "{mended}"
    );
    assert!(mended.contains("= vi.fn()"), "{mended}");

    let code = "describe('total', () => {\n  function h() { return 1 }\n  function h() { return 2 }\n  it('a', () => h());\n});\n";
    let said = "c.test.ts(5,12): error TS2393: Duplicate function implementation.\n";
    let mended = mend(code, said);
    assert!(mended.contains("function h2() { return 2 }\n  it('a', () => h2());"));

    let code = "import { join } from 'node:path';\nvi.mock('x');\nconst make = () => join('a', 'b');\nit('a', () => make());\n";
    let said = "`make` is already defined in `src/cart.testsmith.test.ts`; `join` is already defined in `x`";
    let mended = mend(code, said);
    assert!(
        mended.contains("import { join as joinForTotal } from 'node:path';\n"),
        "{mended}"
    );
    assert!(mended.contains(
        "const makeForTotal = () => joinForTotal('a', 'b');\nit('a', () => makeForTotal());"
    ));
}

#[test]
fn where_no_rule_helps_nothing_is_said_to_be_mended() {
    let python = python();
    let body = python.prepare("def test_total():\n    assert total(two()) == pathlib\n");
    let scripts = script(TypeScriptDriver, "{}");
    let code = scripts.prepare("it('a', () => { total(two()); });\n");
    for said in [
        "",
        "NameError: name 'two' is not defined",
        "NameError: name 'os' is not defined",
        "ReferenceError: two is not defined",
        "ReferenceError: fs is not defined",
        "SyntaxError: Identifier 'x' has already been declared",
        "Cannot find module './x'",
        "No module named 'x'",
        "AssertionError: 1 != 2",
    ] {
        assert_eq!(python.mend(&body, said), None, "{said}");
        assert_eq!(scripts.mend(&code, said), None, "{said}");
    }
}
