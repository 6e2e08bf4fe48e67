//! Composed test files under the real Python: pytest as `pytest` starts it, without the project's
//! folder on `sys.path`, and unittest.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests; clippy knows only test functions themselves as tests"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use testsmith_domain::{
    Analysis, BlockEdit, BlockKey, ComposeRequest, LanguageDriver, Project, RelPath, SourceFile,
};
use testsmith_lang::PythonDriver;

/// A project in a temporary folder.
struct Sample {
    _dir: tempfile::TempDir,
    root: PathBuf,
}

impl Sample {
    fn new(files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let sample = Self { _dir: dir, root };
        for (path, text) in files {
            sample.write(path, text);
        }
        sample
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn analyze(&self, path: &str) -> SourceFile {
        let source = fs::read_to_string(self.root.join(path)).unwrap();
        let path = RelPath::new(path).unwrap();
        match PythonDriver.analyze(&Project::at(&self.root), &path, &source) {
            Analysis::Source(file) => file,
            Analysis::NotSource(reason) => panic!("{path} is {reason}"),
        }
    }

    /// Writes the tests of a file, from code as a model would give it; its path is returned.
    fn add(&self, path: &str, code: &[(&str, &str)]) -> String {
        let file = self.analyze(path);
        let edits: Vec<BlockEdit> = code
            .iter()
            .map(|(name, code)| {
                let member = file.members.iter().find(|m| m.name.as_str() == *name);
                let member = member.unwrap_or_else(|| panic!("no {name} in {path}"));
                BlockEdit::Put {
                    member: member.name.clone(),
                    key: BlockKey("0123abcd".into()),
                    body: PythonDriver.prepare_body(&file, member, code).unwrap(),
                    verified: true,
                }
            })
            .collect();
        self.compose(&file, &edits)
    }

    /// Writes a scaffold for every member of a file.
    fn add_scaffolds(&self, path: &str) -> String {
        let file = self.analyze(path);
        let edits: Vec<BlockEdit> = file
            .members
            .iter()
            .map(|member| BlockEdit::Put {
                member: member.name.clone(),
                key: BlockKey("0123abcd".into()),
                body: PythonDriver.scaffold(&file, member),
                verified: true,
            })
            .collect();
        self.compose(&file, &edits)
    }

    fn compose(&self, file: &SourceFile, edits: &[BlockEdit]) -> String {
        let project = Project::at(&self.root);
        let test_path = file.test_path.under(&self.root);
        let existing = fs::read_to_string(&test_path).ok();
        let composed = PythonDriver
            .compose(&ComposeRequest {
                project: &project,
                file,
                existing: existing.as_deref(),
                edits,
            })
            .unwrap();
        assert_eq!(composed.rejected, []);
        self.write(file.test_path.as_str(), &composed.text.unwrap());
        file.test_path.to_string()
    }

    /// Runs a module of Python in a folder of the project; gives success and all output.
    fn python(&self, dir: &str, arguments: &[&str], env: &[(&str, &Path)]) -> (bool, String) {
        let output = Command::new("python3")
            .arg("-m")
            .args(arguments)
            .current_dir(self.root.join(dir))
            .env_remove("PYTHONPATH")
            .env_remove("PYTEST_ADDOPTS")
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        (
            output.status.success(),
            String::from_utf8_lossy(&text).into_owned(),
        )
    }

    /// Runs pytest like the command of that name, which leaves the working folder off `sys.path`.
    fn pytest(&self, dir: &str, arguments: &[&str]) -> String {
        let all = [&["pytest", "-q", "-p", "no:cacheprovider"], arguments].concat();
        let (success, output) = self.python(dir, &all, &[("PYTHONSAFEPATH", Path::new("1"))]);
        assert!(success, "{output}\n{}", self.written());
        output
    }

    /// All test files, for failure messages.
    fn written(&self) -> String {
        let dir = self.root.join("tests/testsmith");
        let mut files = BTreeMap::new();
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            let text = fs::read_to_string(entry.path()).unwrap_or_default();
            files.insert(entry.path(), text);
        }
        format!("{files:#?}")
    }
}

/// Whether Python has a module that can be run. If not: `false` after a word on it, but a failure
/// where CI must not miss it.
fn has(module: &str) -> bool {
    let ran = Command::new("python3")
        .args(["-c", &format!("import {module}")])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    let found = ran.is_ok_and(|status| status.success());
    if !found {
        assert_ne!(
            std::env::var("CI").as_deref(),
            Ok("true"),
            "{module} not found"
        );
        println!("skipped: {module} not found");
    }
    found
}

const CART: &str = "\
\"\"\"A cart.\"\"\"

from datetime import date

from .money import cents

_RATE = 2


class CartError(Exception):
    \"\"\"Nothing in the cart.\"\"\"


def fetch(name):
    raise OSError(name)


def total(prices):
    \"\"\"The sum of the prices, in cents.\"\"\"
    if not prices:
        raise CartError(\"empty\")
    return sum(cents(price) for price in prices) * _RATE


def load(name, today=None):
    return fetch(name), today or date(2020, 1, 2)


class Cart:
    def __init__(self):
        self.items = []

    @property
    def size(self):
        return len(self.items)

    async def add(self, item):
        self.items.append(item)
        return self
";

const MONEY: &str = "def cents(price):\n    return round(price * 100)\n";

/// As models write them: each with another habit.
const CODE: &[(&str, &str)] = &[
    (
        "total",
        "```python\nfrom shop.cart import total, CartError\n\n\ndef test_total_sums():\n    assert total([1, 2]) == 300 * _RATE\n\n\ndef test_empty():\n    with pytest.raises(CartError, match=\"empty\"):\n        total([])\n```",
    ),
    (
        "load",
        "import datetime\nfrom unittest.mock import patch\n\nimport shop.cart as cart\n\n\n@pytest.fixture\ndef day():\n    return datetime.date(2021, 1, 1)\n\n\n@patch(\"shop.cart.fetch\", return_value=1)\ndef test_load(fetch, day):\n    load = cart.load(\"a\", day)\n    assert load == (1, day)\n\n\ndef test_load_patched(monkeypatch):\n    monkeypatch.setattr(cart, \"fetch\", lambda name: name)\n    assert cart.load(\"a\") == (\"a\", datetime.date(2020, 1, 2))\n",
    ),
    (
        "Cart.size",
        "from cart import Cart\n\n@pytest.fixture\ndef cart():\n    return Cart()\n\nclass TestCart:\n    def test_empty(self, cart):\n        assert cart.size == 0\n",
    ),
    (
        "Cart.add",
        "from datetime import date\nfrom .cart import Cart\n\n@pytest.fixture\ndef cart():\n    return Cart()\n\ndef test_add(cart):\n    assert asyncio.run(cart.add(date(2020, 1, 1))).items == [date(2020, 1, 1)]\n",
    ),
];

const PYTHONPATH: (&str, &str) = (
    "pyproject.toml",
    "[tool.pytest.ini_options]\npythonpath = [\"src\"]\n",
);

#[test]
fn pytest_passes_in_all_layouts() {
    if !has("pytest") {
        return;
    }
    let regular = |at: &str| format!("{at}/__init__.py");
    for (at, files) in [
        ("shop", vec![]),
        ("shop", vec![(regular("shop"), "")]),
        ("src/shop", vec![(regular("src/shop"), "")]),
        (
            "src/shop",
            vec![
                (PYTHONPATH.0.to_owned(), PYTHONPATH.1),
                (regular("src/shop"), ""),
            ],
        ),
        (
            "lib/shop",
            vec![
                (
                    "setup.cfg".to_owned(),
                    "[options]\npackage_dir =\n    =lib\n",
                ),
                ("tests/__init__.py".to_owned(), ""),
            ],
        ),
        (
            "my-services/pay/shop",
            vec![("my-services/pay/setup.py".to_owned(), "")],
        ),
    ] {
        let sample = Sample::new(&[]);
        for (path, text) in files {
            sample.write(&path, text);
        }
        sample.write(&format!("{at}/money.py"), MONEY);
        let cart = format!("{at}/cart.py");
        sample.write(&cart, CART);
        sample.add(&cart, CODE);
        let output = sample.pytest("", &[]);
        assert!(output.contains("6 passed"), "{cart}: {output}");
        if at == "src/shop" {
            let output = sample.pytest("", &["--import-mode=importlib"]);
            assert!(output.contains("6 passed"), "{cart}: {output}");
        }
    }
}

#[test]
fn modules_of_one_base_name_have_their_own_tests() {
    if !has("pytest") {
        return;
    }
    let sample = Sample::new(&[]);
    let mut written = Vec::new();
    let modules = [
        "item.py",
        "a/item.py",
        "a_item.py",
        "b/item.py",
        "b/__init__.py",
        "a/_item.py",
    ];
    for (number, path) in modules.iter().enumerate() {
        sample.write(path, &format!("def number():\n    return {number}\n"));
        let code = format!("def test_number():\n    assert number() == {number}\n");
        written.push(sample.add(path, &[("number", &code)]));
    }
    written.sort();
    written.dedup();
    assert_eq!(written.len(), modules.len());
    let output = sample.pytest("", &[]);
    assert!(output.contains("6 passed"), "{output}");
    // From elsewhere as well.
    let output = sample.pytest("tests/testsmith", &[]);
    assert!(output.contains("6 passed"), "{output}");
}

#[test]
fn what_the_project_s_own_set_up_finds_comes_first() {
    if !has("pytest") {
        return;
    }
    let sample = Sample::new(&[
        ("src/shop.py", "def number():\n    return 1\n"),
        ("installed/shop.py", "def number():\n    return 2\n"),
    ]);
    sample.add(
        "src/shop.py",
        &[("number", "def test_number():\n    assert number() == 2\n")],
    );
    let installed = sample.root.join("installed");
    let (success, output) = sample.python("", &["pytest", "-q"], &[("PYTHONPATH", &installed)]);
    assert!(success, "{output}");
}

#[test]
fn pytest_names_tests_as_the_driver_does() {
    if !has("pytest") {
        return;
    }
    let sample = Sample::new(&[("shop/cart.py", CART), ("shop/money.py", MONEY)]);
    let test_path = sample.add("shop/cart.py", CODE);
    let output = sample.pytest("", &["--collect-only"]);
    let mut collected: Vec<&str> = output
        .lines()
        .filter_map(|line| line.split_once("::"))
        .map(|(_, name)| name)
        .collect();
    let file = sample.analyze("shop/cart.py");
    let text = fs::read_to_string(sample.root.join(test_path)).unwrap();
    let mut named = PythonDriver.test_names(&file, &text);
    collected.sort_unstable();
    named.sort_unstable();
    assert_eq!(collected, named);
}

#[test]
fn scaffolds_are_skipped_by_pytest() {
    if !has("pytest") {
        return;
    }
    let sample = Sample::new(&[("shop/cart.py", CART), ("shop/money.py", MONEY)]);
    sample.add_scaffolds("shop/cart.py");
    let output = sample.pytest("", &["-rs"]);
    assert!(output.contains("5 skipped"), "{output}");
    assert!(
        output.contains("testsmith: waiting for a model"),
        "{output}"
    );
}

#[test]
fn unittest_needs_nothing_installed() {
    if !has("unittest") {
        return;
    }
    let human = "import unittest\n\n\nclass TestIt(unittest.TestCase):\n    def test_it(self):\n        pass\n";
    let sample = Sample::new(&[
        ("src/shop/cart.py", CART),
        ("src/shop/money.py", MONEY),
        ("tests/test_it.py", human),
    ]);
    sample.add(
        "src/shop/cart.py",
        &[
            (
                "total",
                "from shop.cart import total\n\n\nclass TestTotal(unittest.TestCase):\n    def test_sums(self):\n        self.assertEqual(total([1]), 200)\n\n    def test_empty(self):\n        with self.assertRaises(CartError):\n            total([])\n",
            ),
            (
                "Cart.add",
                "class TestCart(unittest.IsolatedAsyncioTestCase):\n    async def test_add(self):\n        cart = await Cart().add(1)\n        self.assertEqual(cart.items, [1])\n",
            ),
        ],
    );
    let (success, output) =
        sample.python("", &["unittest", "discover", "-s", "tests/testsmith"], &[]);
    assert!(
        success && output.contains("Ran 3 tests"),
        "{output}\n{}",
        sample.written()
    );

    let file = sample.analyze("src/shop/cart.py");
    let text = fs::read_to_string(file.test_path.under(&sample.root)).unwrap();
    let names = PythonDriver.test_names(&file, &text);
    let expected = [
        "TestCartAdd.test_add",
        "TestTotal.test_sums",
        "TestTotal.test_empty",
    ];
    assert_eq!(names.len(), 3);
    assert!(
        expected.iter().all(|name| names.iter().any(|n| n == name)),
        "{names:?}"
    );

    sample.write("src/shop/other.py", "def other():\n    return 1\n");
    sample.add_scaffolds("src/shop/other.py");
    let (success, output) =
        sample.python("", &["unittest", "discover", "-s", "tests/testsmith"], &[]);
    assert!(success && output.contains("skipped=1"), "{output}");
}
