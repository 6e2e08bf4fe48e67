//! Composed test files under the real Node and the real vitest.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that cannot be set up has to fail, and one that is skipped has to say so"
)]

#[path = "support/node.rs"]
mod node;

use std::fs;
use std::path::PathBuf;

use testsmith_domain::{
    Analysis, BlockEdit, BlockKey, ComposeRequest, LanguageDriver, Project, RelPath, SourceFile,
};
use testsmith_lang::TypeScriptDriver;

/// A project in a temporary folder.
struct Sample {
    _dir: tempfile::TempDir,
    root: PathBuf,
    project: Project,
    /// The names of all tests written so far.
    names: Vec<String>,
}

impl Sample {
    fn new(files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let sample = Self {
            _dir: dir,
            project: Project::at(&root),
            root,
            names: Vec::new(),
        };
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

    fn analyze(&self, path: &str, source: &str) -> SourceFile {
        self.write(path, source);
        let path = RelPath::new(path).unwrap();
        match TypeScriptDriver.analyze(&self.project, &path, source) {
            Analysis::Source(file) => file,
            Analysis::NotSource(reason) => panic!("{path} is {reason}"),
        }
    }

    /// Writes the tests of a file: for each member the model's code given for it, else a scaffold.
    /// Returns the path of the test file.
    fn generate(&mut self, path: &str, source: &str, answers: &[(&str, &str)]) -> String {
        let file = self.analyze(path, source);
        for (name, _) in answers {
            let mut members = file.members.iter();
            assert!(
                members.any(|m| m.name.as_str() == *name),
                "no {name} in {path}"
            );
        }
        let edits: Vec<BlockEdit> = file
            .members
            .iter()
            .map(|member| {
                let mut answers = answers.iter();
                let answer = answers.find(|(name, _)| *name == member.name.as_str());
                let body = answer.map_or_else(
                    || TypeScriptDriver.scaffold(&file, member),
                    |(_, code)| TypeScriptDriver.prepare_body(&file, member, code).unwrap(),
                );
                self.names.extend(TypeScriptDriver.test_names(&file, &body));
                BlockEdit::Put {
                    member: member.name.clone(),
                    key: BlockKey("01234567".into()),
                    body,
                    verified: true,
                }
            })
            .collect();
        let request = ComposeRequest {
            project: &self.project,
            file: &file,
            existing: None,
            edits: &edits,
        };
        let composed = TypeScriptDriver.compose(&request).unwrap();
        assert_eq!(composed.rejected, []);
        self.write(file.test_path.as_str(), &composed.text.unwrap());
        file.test_path.to_string()
    }

    /// Runs test files with Node's own runner and checks that all tests passed.
    fn node_passes(&self, tests: &[String]) {
        let mut arguments = vec!["--test", "--test-reporter", "tap"];
        arguments.extend(tests.iter().map(String::as_str));
        let output = node::run(&self.root, &arguments);
        let report = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{report}");
        let count = format!("# tests {}", self.names.len());
        assert!(report.contains(&count), "{count} expected\n{report}");
    }
}

const CART_JS: &str = "\
export const RATE = 2;
export function total(prices) {
  return prices.reduce((a, b) => a + b, 0) * RATE;
}
export class Cart {
  items = [];
  add(item) {
    this.items.push(item);
    return this;
  }
}
export default async (x) => x + 1;
";

const CART_CJS: &str = "\
const RATE = 2;
const total = (prices) => prices.reduce((a, b) => a + b, 0) * RATE;
class Cart {
  items = [];
  add(item) {
    this.items.push(item);
    return this;
  }
}
module.exports = { total, Cart, RATE };
";

/// As a model may write it: own imports, imports it should have left out, code at the top level.
const TOTAL: &str = "\
```js
import { describe, it } from 'node:test';
import assert from 'node:assert';
import { total } from '../src/cart.js';
import { join } from 'path';

const prices = [1, 2];

describe('total', () => {
  it('adds up', () => {
    assert.strictEqual(total(prices), 3 * RATE);
    assert.equal(join('a', 'b'), 'a/b');
  });
});
```";

const ADD: &str = "\
const prices = ['x'];
it.only('keeps items', () => {
  const cart = new Cart().add(prices[0]);
  assert.deepEqual(cart.items, ['x']);
});
";

#[test]
fn javascript_with_node_s_runner() {
    if !node::found("node") {
        return;
    }
    let mut sample = Sample::new(&[("package.json", "{\"type\": \"module\"}")]);
    let default = "it('adds one', async () => assert.equal(await defaultExport(1), 2));";
    let answers = [("total", TOTAL), ("Cart.add", ADD), ("default", default)];
    let esm = sample.generate("src/cart.js", CART_JS, &answers);
    assert_eq!(esm, "src/cart.testsmith.test.js");
    let mjs = sample.generate("src/tax.mjs", "export const tax = (n) => n * 2;\n", &[(
        "tax",
        "describe('tax', () => { it('doubles', (t) => { t.mock.fn(); assert.equal(tax(2), 4); }); });",
    )]);
    let cjs = sample.generate("old/cart.cjs", CART_CJS, &[("total", TOTAL)]);
    let waiting = "Cart.add Cart.add: testsmith is waiting for a model";
    assert!(sample.names.iter().any(|name| name == waiting));
    sample.node_passes(&[esm, mjs, cjs]);
}

#[test]
fn commonjs_with_node_s_runner() {
    if !node::found("node") {
        return;
    }
    let mut sample = Sample::new(&[("package.json", "{}")]);
    let answers = [("total", TOTAL), ("Cart.add", ADD)];
    let cjs = sample.generate("cart.js", CART_CJS, &answers);
    let text = fs::read_to_string(sample.root.join(&cjs)).unwrap();
    assert!(
        text.contains("const { Cart, RATE, total } = require('./cart');"),
        "{text}"
    );
    let one = sample.generate("one.js", "module.exports = function one() { return 1; };\n", &[(
        "one",
        "const other = require('./one');\nit('is one', () => assert.equal(one() + other(), 2));",
    )]);
    // An ES module by its syntax alone.
    let esm = sample.generate(
        "tax.js",
        "export function tax(n) { return n * 2; }\n",
        &[(
            "tax",
            "import * as all from './tax';\nit('doubles', () => assert.equal(all.tax(1), tax(1)));",
        )],
    );
    sample.node_passes(&[cjs, one, esm]);
}

const CART_TS: &str = "\
export const RATE = 2;
export interface Item {
  price: number;
}
export function total(items: Item[]): number {
  return items.reduce((sum, item) => sum + item.price, 0) * RATE;
}
export abstract class Base {
  abstract size(): number;
  twice(): number {
    return this.size() * 2;
  }
}
class Cart extends Base {
  constructor(private readonly items: Item[]) {
    super();
  }
  size(): number {
    return this.items.length;
  }
}
export { Cart as default };
export const later = async (n: number) => n;
";

const TOTAL_TS: &str = "\
import { expect, test, type Mock } from 'vitest';
import { total, type Item } from '@/cart';
import { RATE as rate } from './cart';

function items(...prices: number[]): Item[] {
  return prices.map((price) => ({ price }));
}

describe('total', () => {
  it(\"adds what's in it\", () => {
    const seen: Mock = vi.fn();
    seen(total(items(1, 2)));
    expect(seen).toHaveBeenCalledWith(3 * rate);
  });
  test(`is 0 for an empty cart`, () => {
    expect(total([])).toBe(0);
  });
});
";

const SIZE_TS: &str = "\
import Basket from './cart';
function items(n: number): Item[] {
  return Array.from({ length: n }, () => ({ price: 1 }));
}
describe('Cart.size', () => {
  it('counts', () => {
    expect(new Basket(items(2)).size()).toBe(new Cart(items(2)).size());
  });
});
";

#[test]
fn typescript_with_vitest() {
    let config = r#"{"compilerOptions": {"strict": true, "noEmit": true, "target": "es2022",
        "module": "nodenext", "skipLibCheck": true, "verbatimModuleSyntax": true,
        "jsx": "react-jsx"}, "include": ["src"]}"#;
    let mut sample = Sample::new(&[
        (
            "package.json",
            r#"{"type": "module", "devDependencies": {"vitest": "3"}}"#,
        ),
        ("tsconfig.json", config),
    ]);
    if !node::install_vitest(&sample.root) {
        return;
    }
    let twice = "class Two extends Base { size() { return 2 } }\n\
        it('doubles', () => expect(new Two().twice()).toBe(4));";
    let answers = [
        ("total", TOTAL_TS),
        ("Base.twice", twice),
        ("Cart.size", SIZE_TS),
    ];
    sample.generate("src/cart.ts", CART_TS, &answers);
    let tax = "it('doubles', () => expect(tax(2)).toBe(4));";
    let source = "export const tax = (n: number) => n * 2;\n";
    sample.generate("src/tax.mts", source, &[("tax", tax)]);
    sample.generate("src/Tax.tsx", source, &[("tax", tax)]);
    sample.generate(
        "old/cart.cjs",
        CART_CJS,
        &[(
            "total",
            "it('adds up in CommonJS', () => expect(total([1])).toBe(RATE));",
        )],
    );
    sample.generate(
        "old/one.js",
        "export default function () { return 1; }\n",
        &[(
            "default",
            "it('is one', () => expect(defaultExport()).toBe(1));",
        )],
    );

    let vitest = "node_modules/vitest/vitest.mjs";
    let arguments = [vitest, "run", "--reporter=json", "--outputFile=report.json"];
    let output = node::run(&sample.root, &arguments);
    let said = String::from_utf8_lossy(&output.stderr);
    let report = fs::read_to_string(sample.root.join("report.json")).unwrap_or_default();
    assert!(output.status.success(), "{said}\n{report}");
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    let mut names = Vec::new();
    for file in report["testResults"].as_array().unwrap() {
        for result in file["assertionResults"].as_array().unwrap() {
            let status = result["status"].as_str().unwrap();
            assert!(["passed", "todo"].contains(&status), "{result}");
            names.push(result["fullName"].as_str().unwrap().to_owned());
        }
    }
    names.sort();
    sample.names.sort();
    assert_eq!(names, sample.names);

    let output = node::run(&sample.root, &["node_modules/typescript/bin/tsc"]);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
}
