//! From a model's code to a body.

use pretty_assertions::assert_eq;
use testsmith_domain::{BodyProblem, LanguageDriver};

use super::{file, member, unittest_file};
use crate::python::PythonDriver;

const SOURCE: &str = "\
RATE = 2


class CartError(Exception):
    pass


def total(xs):
    return sum(xs) * RATE


def fetch(url):
    return url


class Cart:
    def total(self):
        return 1
";

fn prepared(name: &str, code: &str) -> String {
    let file = file(SOURCE);
    PythonDriver
        .prepare_body(&file, member(&file, name), code)
        .unwrap()
}

#[test]
fn imports_of_the_module_under_test_go() {
    let expected = "def test_total():\n    assert total([1]) == 2\n";
    let table = [
        "def test_total():\n    assert total([1]) == 2\n",
        "```python\nfrom shop.cart import total\n\n\ndef test_total():\n    assert total([1]) == 2\n```",
        "from shop.cart import *\ndef test_total():\n    assert total([1]) == 2\n",
        "from cart import total\ndef test_total():\n    assert total([1]) == 2\n",
        "from shop.cart import Cart, total, RATE\ndef test_total():\n    assert total([1]) == 2\n",
        "from .cart import total\ndef test_total():\n    assert total([1]) == 2\n",
        "from your_module import total\ndef test_total():\n    assert total([1]) == 2\n",
        "from something_else import total\ndef test_total():\n    assert total([1]) == 2\n",
        "from shop import total\ndef test_total():\n    assert total([1]) == 2\n",
        "import shop.cart\ndef test_total():\n    assert shop.cart.total([1]) == 2\n",
        "import shop.cart as c\ndef test_total():\n    assert c.total([1]) == 2\n",
        "from shop import cart\ndef test_total():\n    assert cart.total([1]) == 2\n",
        "from shop.cart import total as t\ndef test_total():\n    assert t([1]) == 2\n",
        "def test_total():\n    from shop.cart import total\n    assert total([1]) == 2\n",
        "    from shop.cart import total\n\n    def test_total():\n        assert total([1]) == 2\n",
        "\"\"\"Tests.\"\"\"\nimport sys\nsys.path.insert(0, '.')\nimport os\n\nfrom shop.cart import total\n\
         def test_total():\n    assert total([1]) == 2\n\n\n\n\nif __name__ == '__main__':\n    pytest.main()\n",
        "def total(xs):\n    return sum(xs) * 2\n\ndef test_total():\n    assert total([1]) == 2\n",
    ];
    for code in table {
        assert_eq!(prepared("total", code), expected, "of\n{code}");
    }
}

#[test]
fn the_module_as_an_object_has_a_name_of_its_own() {
    let code = "\
from unittest.mock import patch
from shop import cart


def test_total(monkeypatch):
    monkeypatch.setattr(cart, 'RATE', 5)
    assert cart.total([1]) == 5


@patch('shop.cart.fetch')
def test_total_fetches(fetch):
    total = cart.total([1])
    assert total == 2
";
    let expected = "\
from unittest.mock import patch


def test_total(monkeypatch):
    monkeypatch.setattr(module_under_test, 'RATE', 5)
    assert module_under_test.total([1]) == 5


@patch(f\"{module_under_test.__name__}.fetch\")
def test_total_fetches(fetch):
    total = module_under_test.total([1])
    assert total == 2
";
    assert_eq!(prepared("total", code), expected);
    // A local variable of the function's name must not hide it.
    let code = "import shop.cart\ndef test_total():\n    total = shop.cart.total([1])\n    assert total == 2\n";
    let expected =
        "def test_total():\n    total = module_under_test.total([1])\n    assert total == 2\n";
    assert_eq!(prepared("total", code), expected);
    // Set by hand: the function must see it.
    let code = "from shop import cart\ndef test_total():\n    cart.RATE = 3\n    assert cart.total([1]) == 3\n";
    let expected = "def test_total():\n    module_under_test.RATE = 3\n    assert module_under_test.total([1]) == 3\n";
    assert_eq!(prepared("total", code), expected);
}

#[test]
fn imports_are_put_in_order_and_completed() {
    let code = "\
import os, json
from typing import List
import datetime
@pytest.mark.parametrize('x', [math.pi, Decimal('1')])
def test_total(x, tmp_path):
    import re
    with patch.object(json, 'loads'), suppress(KeyError):
        assert total([x, datetime.datetime(2020, 1, 1), RATE, np.array([1])]) == re
    with pytest.raises(CartError):
        total(None)
";
    let expected = "\
import datetime as dt
import json
import math
from contextlib import suppress
from decimal import Decimal
from unittest.mock import patch
import numpy as np
import pytest


@pytest.mark.parametrize('x', [math.pi, Decimal('1')])
def test_total(x, tmp_path):
    import re
    with patch.object(json, 'loads'), suppress(KeyError):
        assert total([x, dt.datetime(2020, 1, 1), RATE, np.array([1])]) == re
    with pytest.raises(CartError):
        total(None)
";
    assert_eq!(prepared("total", code), expected);
    // A dotted import must not be taken for another.
    let code = "import os.path\ndef test_total():\n    assert os.path.join('a') == total([1])\n";
    assert!(prepared("total", code).starts_with("import os.path\n\n\ndef"));
}

#[test]
fn names_are_the_member_s_own() {
    let code = "\
import pytest

EMPTY = []


@pytest.fixture
def cart():
    return Cart()


def make(items=EMPTY):
    cart = Cart()
    return cart


class TestCart:
    def test_empty(self, cart):
        assert cart.total() == make(items=EMPTY).total()


def test_total_of_one(cart):
    assert cart.total() == 1


@pytest.mark.usefixtures('cart')
def test_empty():
    assert [cart for cart in ()] == EMPTY
";
    let expected = "\
import pytest


EMPTY_FOR_CART_TOTAL = []


@pytest.fixture
def cart_for_cart_total():
    return Cart()


def make_for_cart_total(items=EMPTY_FOR_CART_TOTAL):
    cart = Cart()
    return cart


class TestCartTotal:
    def test_empty(self, cart_for_cart_total):
        assert cart_for_cart_total.total() == make_for_cart_total(items=EMPTY_FOR_CART_TOTAL).total()


def test_cart_total_of_one(cart_for_cart_total):
    assert cart_for_cart_total.total() == 1


@pytest.mark.usefixtures('cart_for_cart_total')
def test_cart_total_empty():
    assert [cart for cart in ()] == EMPTY_FOR_CART_TOTAL
";
    assert_eq!(prepared("Cart.total", code), expected);
    // A fixture whose value a test replaces cannot be renamed for sure.
    let code = "\
import pytest


@pytest.fixture
def cart():
    return Cart()


@pytest.mark.parametrize('cart', [1], indirect=True)
def test_cart_total(cart):
    assert cart
";
    assert_eq!(prepared("Cart.total", code), code);
}

#[test]
fn a_prepared_body_stays_as_it_is() {
    let code = "from cart import Cart\n@pytest.fixture\ndef c():\n    return Cart()\ndef test_x(c):\n    assert c.total() == 1\n";
    let once = prepared("Cart.total", code);
    assert_eq!(prepared("Cart.total", &once), once);
}

#[test]
fn other_modules_are_left_alone() {
    let source = "def total(xs):\n    return sum(xs)\n";
    let root = std::path::Path::new("/nowhere");
    let prepare = |path: &str, head: &str| {
        let file = super::analyze(root, path, source);
        let code = format!("{head}\ndef test_total():\n    assert total([a]) == b\n");
        PythonDriver
            .prepare_body(&file, member(&file, "total"), &code)
            .unwrap()
    };
    let body = prepare(
        "src/utils.py",
        "from other.utils import a\nfrom src.utils import total, b",
    );
    assert!(
        body.starts_with("from other.utils import a\n\n\ndef test_total"),
        "{body}"
    );
    let body = prepare(
        "shop/utils.py",
        "from shop.other import a\nfrom shop import total, b",
    );
    let expected = "from shop import b\nfrom shop.other import a\n\n\ndef";
    assert!(body.starts_with(expected), "{body}");
    let body = prepare("shop/json.py", "import json\nfrom json import a, b");
    assert!(body.starts_with("from json import a, b\n\n\n"), "{body}");
}

#[test]
fn what_cannot_be_used_is_refused() {
    let file = file(SOURCE);
    let prepare = |code: &str| PythonDriver.prepare_body(&file, member(&file, "total"), code);
    for code in [
        "",
        "x = 1\n",
        "def check():\n    assert total([1])\n",
        "class TestA:\n    x = 1\n",
    ] {
        assert_eq!(prepare(code), Err(BodyProblem::NoTest), "of {code:?}");
    }
    assert!(matches!(
        prepare("def test_x(:\n    pass\n"),
        Err(BodyProblem::Syntax(_))
    ));
    assert!(matches!(
        prepare("def test_x():\n"),
        Err(BodyProblem::Syntax(_))
    ));
    let marked = "# testsmith:end total\ndef test_x():\n    pass\n";
    assert!(matches!(prepare(marked), Err(BodyProblem::Forbidden(_))));
}

#[test]
fn unittest_wants_test_cases() {
    let file = unittest_file(SOURCE);
    let prepare = |code: &str| PythonDriver.prepare_body(&file, member(&file, "total"), code);
    assert_eq!(
        prepare("def test_total():\n    assert total([1])\n"),
        Err(BodyProblem::NoTest)
    );
    let code = "class CartTests(TestCase):\n    def test_a(self):\n        self.assertEqual(total([1]), 2)\n";
    let body = prepare(code).unwrap();
    let expected = "from unittest import TestCase\n\n\nclass TestTotalCart(TestCase):\n    def test_a(self):\n        self.assertEqual(total([1]), 2)\n";
    assert_eq!(body, expected);
    assert_eq!(
        PythonDriver.test_names(&file, &body),
        ["TestTotalCart.test_a"]
    );
}

#[test]
fn tests_are_named_as_the_report_does() {
    let body = "def test_a():\n    pass\n\n\nclass TestB:\n    async def test_c(self):\n        pass\n\n    def help(self):\n        pass\n";
    assert_eq!(
        PythonDriver.test_names(&file(SOURCE), body),
        ["test_a", "TestB::test_c"]
    );
}

#[test]
fn scaffolds_are_bodies() {
    for file in [file(SOURCE), unittest_file(SOURCE)] {
        for member in &file.members {
            let scaffold = PythonDriver.scaffold(&file, member);
            let body = PythonDriver.prepare_body(&file, member, &scaffold).unwrap();
            assert_eq!(body, scaffold);
            assert!(body.contains("waiting for a model"));
        }
    }
}

#[test]
fn instructions_do_not_depend_on_the_file() {
    let one = PythonDriver.instructions(&file(SOURCE));
    let other = PythonDriver.instructions(&file("def other():\n    return 1\n"));
    assert_eq!(one, other);
    assert!(one.contains("pytest"));
    assert!(
        PythonDriver
            .instructions(&unittest_file(SOURCE))
            .contains("unittest.TestCase")
    );
}

#[test]
fn a_member_in_a_test_s_name_is_not_said_twice() {
    let file = file("class Cart:\n    def total(self):\n        return 1\n");
    let member = super::member(&file, "Cart.total");
    for (name, expected) in [
        ("test_Cart_total", "test_cart_total"),
        ("test_Cart_total_empty", "test_cart_total_empty"),
        ("test_CartTotal_empty", "test_cart_total_empty"),
        ("test_Total", "test_cart_total"),
        ("test_total_of_one", "test_cart_total_of_one"),
        ("test_totals", "test_cart_total_totals"),
        ("test_empty", "test_cart_total_empty"),
        ("test_", "test_cart_total"),
    ] {
        let code = format!("def {name}():\n    assert Cart().total() == 1\n");
        let body = PythonDriver.prepare_body(&file, member, &code).unwrap();
        assert_eq!(PythonDriver.test_names(&file, &body), [expected], "{name}");
    }
}

#[test]
fn what_only_the_module_has_stays_the_module_s() {
    let file = file(SOURCE);
    let prepare = |code: &str| {
        let body = PythonDriver.prepare_body(&file, member(&file, "total"), code);
        body.unwrap()
    };
    let module = &file.module;
    let body = prepare(&format!(
        "import {module} as m\n\n\ndef test_total():\n    assert m.__name__ != __name__\n    assert m.len is len\n    assert m.total([1]) == 1\n"
    ));
    assert!(
        body.contains("assert module_under_test.__name__ != __name__\n"),
        "{body}"
    );
    assert!(
        body.contains("assert module_under_test.len is len\n"),
        "{body}"
    );
    assert!(body.contains("assert total([1]) == 1\n"), "{body}");
}
