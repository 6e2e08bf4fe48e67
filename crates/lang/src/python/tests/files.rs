//! Where things belong, and test files as they are composed. Those that need a real Python are in
//! the crate's `tests/python.rs`.

use std::fs;
use std::path::Path;

use pretty_assertions::assert_eq;
use testsmith_domain::{LanguageDriver, Project};

use super::{analyze, rel};
use crate::python::PythonDriver;
use crate::python::layout::Layout;

/// Paths and texts.
pub(super) type Files<'a> = &'a [(&'a str, &'a str)];

pub(super) fn tree(files: Files<'_>) -> tempfile::TempDir {
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
