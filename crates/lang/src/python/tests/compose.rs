//! Test files as they are composed. That Python takes them is shown in the crate's
//! `tests/python.rs`.

use pretty_assertions::assert_eq;
use testsmith_domain::{
    BlockEdit, BlockKey, BlockState, ComposeRequest, LanguageDriver, MemberName, Project,
    Rejection, SourceFile,
};

use super::analyze;
use super::files::tree;
use crate::python::PythonDriver;

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
        verified: true,
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
