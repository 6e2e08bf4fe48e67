use pretty_assertions::assert_eq;
use testsmith_domain::{BodyProblem, LanguageDriver};

use super::{CART, TypeScriptDriver, member, read, read_in, tree};

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
            "Here you are:\n```ts\nit('a', () => {});\n```",
            "describe('total', () => {\n  it('a', () => {});\n});\n",
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
        problem("Here you are:\n```ts\nit('a', () => {\n```"),
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
