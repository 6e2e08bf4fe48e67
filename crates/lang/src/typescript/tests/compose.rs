use pretty_assertions::assert_eq;
use testsmith_domain::{
    BlockEdit, BlockKey, BlockState, ComposeRequest, LanguageDriver, Project, Rejection, SourceFile,
};

use super::{CART, TypeScriptDriver, read_in, tree};

fn put(member: &str, body: &str) -> BlockEdit {
    BlockEdit::Put {
        member: member.into(),
        key: BlockKey("0123abcd".into()),
        body: body.into(),
        verified: true,
    }
}

fn compose(
    project: &Project,
    file: &SourceFile,
    existing: Option<&str>,
    edits: &[BlockEdit],
) -> String {
    let request = ComposeRequest {
        project,
        file,
        existing,
        edits,
    };
    let composed = TypeScriptDriver.compose(&request).unwrap();
    assert_eq!(composed.rejected, []);
    composed.text.unwrap()
}

/// The composed text without marks, which hold digests.
fn unmarked(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.contains("testsmith:"));
    lines.fold(String::new(), |text, line| text + line + "\n")
}

#[test]
fn a_test_file_is_composed() {
    let (_dir, project) = tree(&[("src/cart.ts", CART)]);
    let file = read_in(&project, "src/cart.ts", CART);
    let bodies = [
        put(
            "total",
            "import fs from 'node:fs';\n\ndescribe('total', () => {\n  it('a', () => {\n    const i: Item[] = [];\n    expect(fs && total(i)).toBe(RATE);\n  });\n});\n",
        ),
        put(
            "hidden",
            "describe('hidden', () => {\n  it('a', () => expect(hidden()).toBe(vi.fn()));\n});\n",
        ),
        put(
            "Cart.size",
            "import { RATE as r, default as h } from 'testsmith:subject';\n\ndescribe('Cart.size', () => {\n  it('a', () => expect(new Cart().size()).toBe(r + h));\n});\n",
        ),
    ];
    let text = compose(&project, &file, None, &bodies);
    let expected = "\
// Tests kept by testsmith. Blocks you edit or delete are yours.
import h from './cart';
import hidden, { Cart, type Item, RATE, RATE as r, total } from './cart';
import fs from 'node:fs';
import { describe, expect, it, vi } from 'vitest';

describe('total', () => {
  it('a', () => {
    const i: Item[] = [];
    expect(fs && total(i)).toBe(RATE);
  });
});

describe('Cart.size', () => {
  it('a', () => expect(new Cart().size()).toBe(r + h));
});

describe('hidden', () => {
  it('a', () => expect(hidden()).toBe(vi.fn()));
});
";
    assert_eq!(unmarked(&text), expected);
    let blocks = TypeScriptDriver.blocks(&file.test_path, &text).unwrap();
    let states: Vec<_> = blocks
        .iter()
        .map(|b| (b.member.as_str(), b.state))
        .collect();
    let pristine = BlockState::Pristine;
    assert_eq!(
        states,
        [
            ("total", pristine),
            ("Cart.size", pristine),
            ("hidden", pristine)
        ]
    );
    assert_eq!(compose(&project, &file, Some(&text), &bodies), text);

    let removed = compose(
        &project,
        &file,
        Some(&text),
        &[
            BlockEdit::Remove {
                member: "total".into(),
            },
            BlockEdit::Remove {
                member: "Cart.size".into(),
            },
        ],
    );
    let expected = "\
// Tests kept by testsmith. Blocks you edit or delete are yours.
import hidden from './cart';
import { describe, expect, it, vi } from 'vitest';

describe('hidden', () => {
  it('a', () => expect(hidden()).toBe(vi.fn()));
});
";
    assert_eq!(unmarked(&removed), expected);
}

#[test]
fn a_file_that_holds_a_remark_of_the_user_s_stays() {
    let (_dir, project) = tree(&[("src/cart.ts", CART)]);
    let file = read_in(&project, "src/cart.ts", CART);
    let gone = [BlockEdit::Gone {
        member: "total".into(),
        body: "it('a', () => expect(total([])).toBe(0));\n".into(),
    }];
    let composed = |text: &str| {
        let composed = TypeScriptDriver.compose(&ComposeRequest {
            project: &project,
            file: &file,
            existing: Some(text),
            edits: &gone,
        });
        composed.unwrap().text
    };
    for remark in [
        "/* no tests here, please */\n",
        "// no tests here, please\n",
        "/** no tests here, please */\n",
        "<!-- no tests here, please -->\n",
    ] {
        assert_eq!(composed(remark).as_deref(), Some(remark));
    }
    let ours = "// Tests kept by testsmith. Blocks you edit or delete are yours.\n";
    assert_eq!(composed(ours), None);
    let noted = format!("{ours}/* no tests here, please */\n");
    assert_eq!(composed(&noted), Some(noted));
}

#[test]
fn commonjs_requires() {
    let source = "exports.total = () => 1;\nexports.RATE = 2;\n";
    let (_dir, project) = tree(&[("cart.js", source)]);
    let file = read_in(&project, "cart.js", source);
    let body = "import path, { join } from 'node:path';\n\ndescribe('total', () => {\n  it('a', () => assert.equal(total(RATE), path.sep + join('a')));\n});\n";
    let text = compose(&project, &file, None, &[put("total", body)]);
    let expected = "\
// Tests kept by testsmith. Blocks you edit or delete are yours.
const { RATE, total } = require('./cart');
const assert = require('node:assert/strict');
const path = require('node:path');
const { join } = require('node:path');
const { describe, it } = require('node:test');
";
    assert!(unmarked(&text).starts_with(expected), "{text}");
}

#[test]
fn the_framework_s_names_are_not_the_module_s() {
    let source = "export function before() {}\nexport function mock() {}\n";
    let (_dir, project) = tree(&[("when.js", source)]);
    let file = read_in(&project, "when.js", source);
    let body = "describe('mock', () => {\n  before(() => {});\n  it('a', () => mock());\n});\n";
    let text = compose(&project, &file, None, &[put("mock", body)]);
    assert!(text.contains("import { mock } from './when.js';"), "{text}");
    assert!(
        text.contains("import { before, describe, it } from 'node:test';"),
        "{text}"
    );
}

#[test]
fn a_moved_file_s_imports_follow() {
    let (_dir, project) = tree(&[("cart.ts", CART), ("basket.ts", CART)]);
    let body = "describe('total', () => {\n  it('a', () => expect(total([])).toBe(0));\n});\n";
    let old = read_in(&project, "cart.ts", CART);
    let text = compose(&project, &old, None, &[put("total", body)]);
    let new = read_in(&project, "basket.ts", CART);
    let text = compose(&project, &new, Some(&text), &[put("total", body)]);
    assert!(
        text.contains("import { total } from './basket';") && !text.contains("./cart"),
        "{text}"
    );
}

#[test]
fn prettier_does_not_make_a_block_the_user_s() {
    let (_dir, project) = tree(&[("cart.ts", CART)]);
    let file = read_in(&project, "cart.ts", CART);
    let body =
        "describe('total', () => {\n  it('a', x => { expect(total([\"a\"])).toBe(0) })\n})\n";
    let text = compose(&project, &file, None, &[put("total", body)]);
    let formatted = text
        .replace("\"a\"", "'a',")
        .replace("x =>", "(x) =>")
        .replace("})\n", "});\n");
    let state = |text: &str| TypeScriptDriver.blocks(&file.test_path, text).unwrap()[0].state;
    assert_ne!(formatted, text);
    assert_eq!(state(&formatted), BlockState::Pristine);
    assert_eq!(
        state(&text.replace("toBe(0)", "toBe(1)")),
        BlockState::Edited
    );
    assert_eq!(
        state(&text.replace("  it(", "  // mine\n  it(")),
        BlockState::Edited
    );
}

#[test]
fn names_at_the_top_must_be_unique() {
    let (_dir, project) = tree(&[("cart.ts", CART)]);
    let file = read_in(&project, "cart.ts", CART);
    let edits = [
        put(
            "total",
            "const x = 1;\nit('a', () => expect(x).toBe(await 1));\n",
        ),
        put("Cart.size", "function x() {}\nit('a', () => {});\n"),
    ];
    let request = ComposeRequest {
        project: &project,
        file: &file,
        existing: None,
        edits: &edits,
    };
    let composed = TypeScriptDriver.compose(&request).unwrap();
    let expected = Rejection::DuplicateName {
        name: "x".into(),
        path: file.test_path.clone(),
    };
    assert_eq!(composed.rejected, [("Cart.size".into(), expected)]);
}
