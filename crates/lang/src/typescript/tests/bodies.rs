use pretty_assertions::assert_eq;
use testsmith_domain::{
    BlockEdit, BlockKey, BlockState, BodyProblem, ComposeRequest, LanguageDriver, Project,
    Rejection, SourceFile,
};

use super::{TypeScriptDriver, member, read, read_in, tree};

const CART: &str = "\
export const RATE = 0.2;
export interface Item { price: number }
export function total(items: Item[]) { return items.length }
export class Cart { size() { return 0 } }
const hidden = () => 1;
export default hidden;
";

fn prepare(path: &str, source: &str, name: &str, code: &str) -> Result<String, BodyProblem> {
    let file = read(path, source);
    TypeScriptDriver.prepare_body(&file, member(&file, name), code)
}

#[test]
fn bodies_lose_what_is_added_by_rule() {
    let code = "\
```ts
import { describe, it, expect, vi, type Mock } from 'vitest';
import { total, RATE as rate } from '../src/cart';
import type { Item } from '@/cart';
import fs, { readFileSync } from 'fs';
import './setup';
import hidden from \"./cart.js\";

describe('total', () => {
  it.only('adds', () => { expect(total([])).toBe(0) });
});

export {};
```";
    let body = prepare("src/cart.ts", CART, "total", code).unwrap();
    let expected = "\
import './setup';
import fs, { readFileSync } from 'node:fs';
import { RATE as rate } from 'testsmith:subject';
import type { Mock } from 'vitest';

describe('total', () => {
  it('adds', () => { expect(total([])).toBe(0) });
});
";
    assert_eq!(body, expected);
}

#[test]
fn imports_of_the_module_are_known_in_any_form() {
    let own = [
        "import { total } from './cart'",
        "import { total } from \"./cart.js\"",
        "import { total } from '../src/cart'",
        "import { total } from '@/cart'",
        "import { total } from '~/src/cart.ts'",
        "import { total } from 'src/cart'",
        "import { total } from './index'",
        "import { total } from 'cart'",
        "import { total, Cart } from '@/shop'",
        "import type { Item } from '../cart'",
        "const { total } = require('./cart')",
        "const total = require('../src/cart').total",
    ];
    for import in own {
        let code = format!("{import};\nit('x', () => {{ total([]) }});\n");
        let body = prepare("src/cart.ts", CART, "total", &code).unwrap();
        assert!(
            !body.contains("import") && !body.contains("require"),
            "{import}\n{body}"
        );
    }
    let others = [
        "import { total } from 'lodash';",
        "import { render } from './render';",
        "import cart from '../models/cart';",
    ];
    for import in others {
        let code = format!("{import}\nit('x', () => {{ total([]) }});\n");
        let body = prepare("src/shop/cart.ts", CART, "total", &code).unwrap();
        assert!(body.starts_with(import), "{import}\n{body}");
    }
}

#[test]
fn a_body_is_one_suite() {
    let table = [
        (
            "it('a', () => {\n  expect(`x\ny`).toBe(1);\n});",
            "describe('total', () => {\n  it('a', () => {\n    expect(`x\ny`).toBe(1);\n  });\n});\n",
        ),
        (
            "const items = [];\n\ndescribe('total', () => {\n  it('a', () => {});\n});\n\nfunction help() {}\n",
            "describe('total', () => {\n  const items = [];\n\n  function help() {}\n\n  it('a', () => {});\n});\n",
        ),
        (
            "describe('one', () => { it('a', () => {}) });\ndescribe('two', () => {});",
            "describe('total', () => {\n  describe('one', () => { it('a', () => {}) });\n  describe('two', () => {});\n});\n",
        ),
        (
            "// All of it.\ndescribe('total', () => { it('a', () => {}) });",
            "// All of it.\ndescribe('total', () => { it('a', () => {}) });\n",
        ),
        (
            "vi.mock('./db');\nit('a', () => {});",
            "vi.mock('./db');\nit('a', () => {});\n",
        ),
    ];
    for (code, expected) in table {
        assert_eq!(
            prepare("src/cart.ts", CART, "total", code).unwrap(),
            expected
        );
    }
}

#[test]
fn bodies_that_cannot_be_used() {
    use BodyProblem::{Forbidden, NoTest, Syntax};
    let problem = |code: &str| prepare("src/cart.ts", CART, "total", code).unwrap_err();
    assert!(matches!(problem("it('a', () => {"), Syntax(_)));
    assert!(matches!(
        problem("Here you are:\n```ts\nit('a', () => {});\n```"),
        Syntax(_)
    ));
    let without = [
        "",
        "const a = 1;",
        "describe('total', () => {});",
        "it.todo('later');",
        "it.skip('later', () => {});",
        "describe.skip('x', () => { it('a', () => {}) });",
        "xit('later', () => {});",
        "it.each([1]);",
    ];
    for code in without {
        assert_eq!(problem(code), NoTest, "{code}");
    }
    assert!(matches!(problem("it('a', () => {});\0"), Forbidden(_)));
    assert!(matches!(
        problem("// testsmith:end total\nit('a', () => {});"),
        Forbidden(_)
    ));
    let copy = "function total(items) { return 0 }\nit('a', () => { total([]) });";
    assert!(matches!(problem(copy), Forbidden(_)));
    let runs = [
        "test('a', () => {});",
        "it.each([[1]])('a %i', (n) => {});",
        "it.each`a\n${1}`('a', () => {});",
        "it.concurrent('a', async () => {});",
        "describe('x', () => { test('a', fn) });",
    ];
    for code in runs {
        prepare("src/cart.ts", CART, "total", code).unwrap();
    }
}

#[test]
fn names_are_those_of_the_report() {
    let file = read("cart.ts", CART);
    let body = "describe('Cart', () => {\n  describe(\"it's\", () => {\n    it('a', () => {});\n  });\n  \
        it.each([1])('n %i', () => {});\n  test(`t`, () => {});\n});\nit('alone', () => {});\n";
    let names = TypeScriptDriver.test_names(&file, body);
    assert_eq!(names, ["Cart it's a", "Cart n %i", "Cart t", "alone"]);
}

fn put(member: &str, body: &str) -> BlockEdit {
    BlockEdit::Put {
        member: member.into(),
        key: BlockKey("0123abcd".into()),
        body: body.into(),
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

#[test]
fn scaffolds_wait() {
    let file = read("cart.ts", CART);
    let body = TypeScriptDriver.scaffold(&file, member(&file, "Cart.size"));
    let expected = "describe('Cart.size', () => {\n  it.todo('Cart.size: testsmith is waiting for a model');\n});\n";
    assert_eq!(body, expected);
    let names = TypeScriptDriver.test_names(&file, &body);
    assert_eq!(
        names,
        ["Cart.size Cart.size: testsmith is waiting for a model"]
    );
}

#[test]
fn the_prompt_s_context() {
    let money = "/** Cents. */\nexport function cents(n: number): number {\n  return n * 100;\n}\nexport class Money {\n  plus(o: Money) { return o }\n}\nfunction hidden() {}\nexport type Currency = 'EUR';\n";
    let test = "import { it, expect } from 'vitest';\nit('adds up what is in the cart, to the cent', () => {\n  expect(1 + 1).toBe(2);\n});\n// and so on, and so on\n";
    let long = format!("{test}{test}");
    let config = r#"{"compilerOptions":{"baseUrl":".","paths":{"@/*":["src/*"]}}}"#;
    let source = "import { cents } from './money.js';\nimport { tax } from '@/tax';\nimport x from 'react';\nexport const a = () => cents(tax());";
    let (_dir, project) = tree(&[
        ("src/money.ts", money),
        (
            "src/tax.ts",
            "export const tax = (n = 1) => {\n  return n;\n};\n",
        ),
        ("src/__tests__/long.test.ts", &long),
        ("src/__tests__/short.test.ts", test),
        ("src/__tests__/own.testsmith.test.ts", test),
        ("tsconfig.json", config),
    ]);
    let file = read_in(&project, "src/a.ts", source);
    let context = TypeScriptDriver.prompt_context(&project, &file, source);
    let texts: Vec<_> = context
        .related
        .iter()
        .map(|e| (e.path.as_str(), e.text.as_str()))
        .collect();
    let expected = [
        (
            "src/money.ts",
            "/** Cents. */\nexport function cents(n: number): number { … }\nexport class Money {\n  plus(o: Money) { … }\n}\nexport type Currency = 'EUR';\n",
        ),
        ("src/tax.ts", "export const tax = (n = 1) => { … };\n"),
    ];
    assert_eq!(texts, expected);
    let example = context.style_example.unwrap();
    assert_eq!(example.path.as_str(), "src/__tests__/short.test.ts");
}
