//! Where things belong, and test files as they are composed. Those that need a real Python are in
//! the crate's `tests/python.rs`.

use std::fs;
use std::path::Path;

use pretty_assertions::assert_eq;
use testsmith_domain::{
    BlockEdit, BlockKey, BlockState, ComposeRequest, LanguageDriver, MemberName, Project,
    Rejection, SourceFile,
};

use super::{analyze, rel};
use crate::python::PythonDriver;
use crate::python::layout::Layout;

/// Paths and texts.
type Files<'a> = &'a [(&'a str, &'a str)];

fn tree(files: Files<'_>) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    dir
}

const SETUP: &str = "[options]\npackage_dir =\n    = lib\n";

const LAYOUTS: &[(Files<'_>, &str, &str, &str)] = &[
    (
        &[],
        "shop/cart.py",
        "shop.cart",
        "tests/testsmith/test_shop_cart.py",
    ),
    (
        &[("shop/__init__.py", "")],
        "shop/cart.py",
        "shop.cart",
        "tests/testsmith/test_shop_cart.py",
    ),
    (
        &[],
        "src/shop/cart.py",
        "shop.cart",
        "tests/testsmith/test_shop_cart.py",
    ),
    (
        &[],
        "shop/__init__.py",
        "shop",
        "tests/testsmith/test_shop.py",
    ),
    (&[], "cart.py", "cart", "tests/testsmith/test_cart.py"),
    (
        &[],
        "cart_item.py",
        "cart_item",
        "tests/testsmith/test_cart__item.py",
    ),
    (
        &[],
        "cart/item.py",
        "cart.item",
        "tests/testsmith/test_cart_item.py",
    ),
    (
        &[],
        "cart/_item.py",
        "cart._item",
        "tests/testsmith/test_cart___item.py",
    ),
    (
        &[],
        "cart_/item.py",
        "cart_.item",
        "tests/testsmith/test_cart_0_item.py",
    ),
    (
        &[("setup.cfg", SETUP)],
        "lib/shop/cart.py",
        "shop.cart",
        "tests/testsmith/test_lib_shop_cart.py",
    ),
    (
        &[(
            "pyproject.toml",
            "[tool.setuptools.packages.find]\nwhere = [\"lib\"]\n",
        )],
        "lib/cart.py",
        "cart",
        "tests/testsmith/test_lib_cart.py",
    ),
    (
        &[(
            "pyproject.toml",
            "[tool.poetry]\npackages = [{include = \"shop\", from = \"python\"}]\n",
        )],
        "python/shop/cart.py",
        "shop.cart",
        "tests/testsmith/test_python_shop_cart.py",
    ),
    (
        &[("setup.py", "setup(package_dir={\"\": \"lib\"})\n")],
        "lib/cart.py",
        "cart",
        "tests/testsmith/test_lib_cart.py",
    ),
    // A monorepo.
    (
        &[("services/pay/pyproject.toml", "")],
        "services/pay/src/pay/api.py",
        "pay.api",
        "services/pay/tests/testsmith/test_pay_api.py",
    ),
    (
        &[("backend/app/__init__.py", "")],
        "backend/app/main.py",
        "app.main",
        "tests/testsmith/test_backend_app_main.py",
    ),
    (
        &[],
        "my-service/app/main.py",
        "app.main",
        "tests/testsmith/test_my_2dservice_app_main.py",
    ),
    // Two modules called `a`.
    (
        &[("src/a.py", "")],
        "a.py",
        "a",
        "tests/testsmith/test_a_1.py",
    ),
    (
        &[("src/a.py", "")],
        "src/a.py",
        "a",
        "tests/testsmith/test_a.py",
    ),
];

#[test]
fn modules_are_found_in_all_layouts() {
    for &(files, path, module, test_path) in LAYOUTS {
        let root = tree(files);
        let layout = Layout::of(root.path(), &rel(path));
        let found = (layout.module.as_deref(), layout.test_path.as_str());
        assert_eq!(found, (Some(module), test_path), "{path} with {files:?}");
    }
    for path in ["my-script.py", "class.py", "a/1.py"] {
        assert_eq!(
            Layout::of(Path::new("/nowhere"), &rel(path)).module,
            None,
            "{path}"
        );
    }
}

const UNITTEST: (&str, &str) = (
    "tests/test_a.py",
    "import unittest\nclass A(unittest.TestCase): pass\n",
);
const PYTEST: (&str, &str) = ("tests/x/test_b.py", "import pytest\n");

const FRAMEWORKS: &[(Files<'_>, &str)] = &[
    (&[], "pytest"),
    (&[UNITTEST], "unittest"),
    (&[UNITTEST, PYTEST], "pytest"),
    (
        &[UNITTEST, ("requirements-dev.txt", "pytest>=7\n")],
        "pytest",
    ),
    (
        &[
            UNITTEST,
            ("requirements.txt", "flask\n# pytest\nmypytest\n"),
        ],
        "unittest",
    ),
    (
        &[UNITTEST, ("requirements/test.in", "pytest-cov\n")],
        "pytest",
    ),
    (
        &[
            UNITTEST,
            (
                "pyproject.toml",
                "[project.optional-dependencies]\ntest = [\"pytest ~= 8.0\"]\n",
            ),
        ],
        "pytest",
    ),
    (
        &[
            UNITTEST,
            (
                "pyproject.toml",
                "[dependency-groups]\ndev = [\"PyTest\", {include-group = \"x\"}]\n",
            ),
        ],
        "pytest",
    ),
    (
        &[
            UNITTEST,
            (
                "pyproject.toml",
                "[tool.poetry.group.dev.dependencies]\npytest = \"^8\"\n",
            ),
        ],
        "pytest",
    ),
    (
        &[
            UNITTEST,
            (
                "pyproject.toml",
                "[tool.pytest.ini_options]\naddopts = \"-q\"\n",
            ),
        ],
        "pytest",
    ),
    (
        &[
            UNITTEST,
            (
                "pyproject.toml",
                "# pytest\n[tool.ruff.lint]\nselect = [\"PT\"]\n",
            ),
        ],
        "unittest",
    ),
    (
        &[UNITTEST, ("pyproject.toml", "not [ toml pytest")],
        "unittest",
    ),
    (
        &[
            UNITTEST,
            (
                "setup.cfg",
                "[options.extras_require]\ntest =\n    pytest\n",
            ),
        ],
        "pytest",
    ),
    (
        &[UNITTEST, ("tox.ini", "[testenv]\ndeps = pytest\n")],
        "pytest",
    ),
    (&[UNITTEST, ("pytest.ini", "")], "pytest"),
    (&[UNITTEST, ("tests/conftest.py", "")], "pytest"),
    (
        &[(
            "pyproject.toml",
            "[project]\ndependencies = [\"pytest-mock\"]\n",
        )],
        "pytest+mock",
    ),
];

#[test]
fn the_framework_is_found() {
    for (files, framework) in FRAMEWORKS {
        let root = tree(files);
        let file = analyze(root.path(), "shop/cart.py", "");
        assert_eq!(file.framework.0, *framework, "{files:?}");
    }
}

#[test]
fn the_prompt_shows_what_the_file_uses() {
    let root = tree(&[
        ("shop/__init__.py", ""),
        (
            "shop/models.py",
            "class Item:\n    \"\"\"A thing.\n\n    More.\n    \"\"\"\n    price: int\n    def cost(self, n: int) -> int:\n        return n\n    def _x(self):\n        return 1\n\n\ndef unrelated():\n    return 1\n",
        ),
        (
            "shop/money.py",
            "def cents(x: float) -> int:\n    return 1\n\n\ndef _hidden():\n    return 1\n",
        ),
        (
            "tests/test_long.py",
            "from shop.cart import total\n\n\ndef test_total():\n    assert total([]) == 0\n",
        ),
        ("tests/test_a.py", "def test_a():\n    pass\n"),
        ("tests/testsmith/test_b.py", "def test_cart():\n    pass\n"),
    ]);
    let source = "import os\nfrom .models import Item\nfrom shop import money\ndef total(xs):\n    return money.cents(1)\n";
    let file = analyze(root.path(), "shop/cart.py", source);
    let context = PythonDriver.prompt_context(&Project::at(root.path()), &file, source);
    let related: Vec<(&str, &str)> = context
        .related
        .iter()
        .map(|e| (e.path.as_str(), e.text.as_str()))
        .collect();
    let item = "class Item:\n    \"\"\"A thing.\"\"\"\n    price: int\n    def cost(self, n: int) -> int: ...\n";
    let money = "def cents(x: float) -> int: ...\n";
    assert_eq!(
        related,
        [("shop/models.py", item), ("shop/money.py", money)]
    );
    assert_eq!(
        context.style_example.unwrap().path,
        rel("tests/test_long.py")
    );
}

const SOURCE: &str = "\
from decimal import Decimal

from .models import Item

_RATE = 2


class CartError(Exception):
    pass


class Cart:
    def total(self):
        return 1

    def add(self, x):
        self.x = x


def total(xs):
    return sum(xs)
";

struct Case {
    root: tempfile::TempDir,
    file: SourceFile,
}

impl Case {
    fn new(path: &str) -> Self {
        let root = tree(&[(path, SOURCE), ("src/shop/models.py", "class Item: ...\n")]);
        let file = analyze(root.path(), path, SOURCE);
        Self { root, file }
    }

    fn compose(
        &self,
        existing: Option<&str>,
        edits: &[BlockEdit],
    ) -> (Option<String>, Vec<(MemberName, Rejection)>) {
        let project = Project::at(self.root.path());
        let request = ComposeRequest {
            project: &project,
            file: &self.file,
            existing,
            edits,
        };
        let composed = PythonDriver.compose(&request).unwrap();
        (composed.text, composed.rejected)
    }
}

fn put(member: &str, key: &str, body: &str) -> BlockEdit {
    BlockEdit::Put {
        member: MemberName::from(member),
        key: BlockKey(key.into()),
        body: body.into(),
    }
}

#[test]
fn a_test_file_comes_grows_shrinks_and_goes() {
    let case = Case::new("src/shop/cart.py");
    let first = put(
        "total",
        "00000001",
        "import pytest\n\n\ndef test_total():\n    with pytest.raises(CartError):\n        total([_RATE, Item, Decimal])\n",
    );
    let (text, rejected) = case.compose(None, &[first]);
    let text = text.unwrap();
    assert_eq!(rejected, []);
    let sum = PythonDriver
        .body_sum(&case.file.test_path, text_between(&text))
        .short();
    let expected = format!(
        "\
# Tests kept by testsmith. Blocks you edit or delete are yours.
import sys
from pathlib import Path

if (_ROOT := str(Path(__file__).resolve().parents[2] / \"src\")) not in sys.path:
    sys.path.append(_ROOT)

from decimal import Decimal

import pytest

from shop.cart import _RATE, CartError, total
from shop.models import Item


# testsmith:begin total key=00000001 sum={sum}
def test_total():
    with pytest.raises(CartError):
        total([_RATE, Item, Decimal])


# testsmith:end total
"
    );
    assert_eq!(text, expected);

    let second = put(
        "Cart.total",
        "00000002",
        "def test_cart_total():\n    assert Cart().total() == 1\n",
    );
    let (more, rejected) = case.compose(Some(&text), &[second]);
    let more = more.unwrap();
    assert_eq!(rejected, []);
    assert!(
        more.contains("from shop.cart import _RATE, Cart, CartError, total\n"),
        "{more}"
    );
    let members: Vec<String> = PythonDriver
        .blocks(&case.file.test_path, &more)
        .unwrap()
        .into_iter()
        .map(|block| {
            assert_eq!(block.state, BlockState::Pristine);
            block.member.0
        })
        .collect();
    assert_eq!(members, ["Cart.total", "total"]);

    let remove = |name: &str| BlockEdit::Remove {
        member: MemberName::from(name),
    };
    let (less, _) = case.compose(Some(&more), &[remove("total")]);
    let less = less.unwrap();
    assert!(
        less.contains("\n\nfrom shop.cart import Cart\n\n\n# testsmith:begin Cart.total"),
        "{less}"
    );
    assert!(!less.contains("pytest"), "{less}");
    let (gone, _) = case.compose(Some(&less), &[remove("Cart.total")]);
    assert_eq!(gone, None);
}

fn text_between(text: &str) -> &str {
    let start = text.find("def test_total").unwrap();
    let end = text.find("# testsmith:end").unwrap();
    &text[start..end]
}

#[test]
fn what_a_person_wrote_stays() {
    let case = Case::new("shop/cart.py");
    let (text, _) = case.compose(
        None,
        &[put(
            "total",
            "00000001",
            "def test_total():\n    assert total([1]) == 1\n",
        )],
    );
    let text = text.unwrap();
    // Their block, their import with a remark, their helper and comment.
    let theirs =
        text.replace(
            "assert total([1]) == 1",
            "assert total([1]) == 1  # checked by hand",
        )
        .replace(
            "from shop.cart import total\n",
            "import shop.settings  # noqa: F401\nfrom shop.cart import total\n",
        ) + "\n\n# Mine.\ndef helper():\n    return 1\n";
    let edit = put(
        "total",
        "00000009",
        "def test_total():\n    assert total([2]) == 2\n",
    );
    let other = put(
        "Cart.total",
        "00000002",
        "import json\n\n\ndef test_cart_total():\n    assert json.dumps(Cart().total()) == '1'\n",
    );
    let (after, rejected) = case.compose(Some(&theirs), &[edit, other]);
    let after = after.unwrap();
    assert_eq!(rejected, [(MemberName::from("total"), Rejection::Edited)]);
    for line in theirs.lines() {
        let import = line.starts_with("from shop.cart");
        assert!(import || after.contains(line), "`{line}` is gone:\n{after}");
    }
    assert!(
        after.contains("import shop.settings  # noqa: F401\nfrom shop.cart import Cart, total\n"),
        "{after}"
    );
    assert!(after.contains("\nimport json\n"), "{after}");
    // A name that is taken.
    let taken = put(
        "Cart.add",
        "00000003",
        "def helper():\n    pass\n\n\ndef test_cart_add():\n    Cart().add(1)\n",
    );
    let (_, rejected) = case.compose(Some(&after), &[taken]);
    assert!(
        matches!(&rejected[..], [(_, Rejection::DuplicateName { name, .. })] if name == "helper")
    );
}

#[test]
fn black_s_empty_lines_are_no_edit() {
    let case = Case::new("shop/cart.py");
    let (text, _) = case.compose(
        None,
        &[put(
            "total",
            "00000001",
            "def test_total():\n    assert total([1], 'a') == 1\n",
        )],
    );
    let formatted = text
        .unwrap()
        .replace("\n\n\n# testsmith:end", "\n# testsmith:end")
        .replace(
            "total([1], 'a')",
            "total(\n        [1],\n        \"a\",\n    )",
        );
    let blocks = PythonDriver
        .blocks(&case.file.test_path, &formatted)
        .unwrap();
    assert_eq!(blocks[0].state, BlockState::Pristine);
    let edited = formatted.replace("\"a\"", "\"b\"");
    let blocks = PythonDriver.blocks(&case.file.test_path, &edited).unwrap();
    assert_eq!(blocks[0].state, BlockState::Edited);
}

#[test]
fn the_same_body_serves_a_moved_file() {
    let body = "def test_total(monkeypatch):\n    monkeypatch.setattr(module_under_test, \"_RATE\", 3)\n    assert total([1]) == 1\n";
    let case = Case::new("shop/cart.py");
    let (text, _) = case.compose(None, &[put("total", "00000001", body)]);
    let text = text.unwrap();
    assert!(
        text.contains("from shop import cart as module_under_test\nfrom shop.cart import total\n"),
        "{text}"
    );
    let moved = Case::new("basket.py");
    let (text, rejected) = moved.compose(None, &[put("total", "00000001", body)]);
    assert_eq!(rejected, []);
    let text = text.unwrap();
    assert!(
        text.contains("import basket as module_under_test\nfrom basket import total\n"),
        "{text}"
    );
    assert!(text.contains("parents[2])) not in sys.path"), "{text}");
}

#[test]
fn future_imports_come_first() {
    let case = Case::new("shop/cart.py");
    let body =
        "from __future__ import annotations\n\n\ndef test_total():\n    assert total([1]) == 1\n";
    let (text, _) = case.compose(None, &[put("total", "00000001", body)]);
    let text = text.unwrap();
    assert!(
        text.contains("yours.\nfrom __future__ import annotations\nimport sys\n"),
        "{text}"
    );
    let (again, _) = case.compose(Some(&text), &[put("total", "00000002", body)]);
    assert_eq!(again.unwrap().matches("__future__").count(), 1);
}
