use pretty_assertions::assert_eq;
use testsmith_domain::{MemberImport, MemberKind};

use super::{member, names, read, read_in, tree};

#[test]
fn members_of_typescript() {
    let table: &[(&str, &[&str])] = &[
        ("export function total() {}", &["total"]),
        (
            "export async function total() {}\nexport function* all() {}",
            &["total", "all"],
        ),
        ("function hidden() {}", &[]),
        ("export const total = (a: number): number => a;", &["total"]),
        (
            "export const a = () => 1, b = 2, c = function () {};",
            &["a", "c"],
        ),
        (
            "export const total = memo((n: number) => n) as Fn;",
            &["total"],
        ),
        ("export const doubled = items.map((n) => n * 2);", &[]),
        (
            "export const guarded = withAuth(async (req) => req);",
            &["guarded"],
        ),
        ("export const RATE = 0.2;\nexport let n: number;", &[]),
        (
            "export interface A { b(): void }\nexport type B = () => void;\nexport enum C { D }",
            &[],
        ),
        ("export declare function ambient(): void;", &[]),
        (
            "export abstract class A { abstract b(): void; c() {} }",
            &["A.c"],
        ),
        (
            "export class Cart {\n  items = [];\n  constructor(private n: number) {}\n  total() {}\n  \
             private p() {}\n  protected q() {}\n  #r() {}\n  public s() {}\n  static of() {}\n  \
             get size() { return 1 }\n  set size(n) {}\n  pick = (n) => n;\n  [Symbol.iterator]() {}\n}",
            &["Cart.total", "Cart.s", "Cart.of", "Cart.size", "Cart.pick"],
        ),
        (
            "class Cart { total() {} }\nexport { Cart as Basket };",
            &["Basket.total"],
        ),
        (
            "function a() {}\nfunction b() {}\nexport { b, a as c };",
            &["c", "b"],
        ),
        ("function a() {}\nexport type { a };", &[]),
        (
            "export { a } from './a';\nexport * from './b';\nexport * as c from './c';",
            &[],
        ),
        ("import { a } from './a';\nexport { a };", &[]),
        (
            "export function over(a: string): string;\nexport function over(a: number): number;\n\
             export function over(a: any) { return a }",
            &["over"],
        ),
        (
            "export class A { f(a: string): void; f(a: number): void; f(a: any) {} }",
            &["A.f"],
        ),
        ("export default function total() {}", &["total"]),
        ("export default function () {}", &["default"]),
        ("export default () => 1", &["default"]),
        ("export default class { total() {} }", &["default.total"]),
        (
            "export default class Cart { total() {} }\nexport { Cart };",
            &["Cart.total"],
        ),
        ("const total = () => 1;\nexport default total;", &["total"]),
        ("export default { total() {} }", &[]),
        ("function total() {}\nexport = total;", &["total"]),
        (
            "export function total() {}\nexport default total;",
            &["total"],
        ),
        (
            "@Injectable()\nexport class S {\n  @Get() find() {}\n}",
            &["S.find"],
        ),
        ("export namespace N { export function total() {} }", &[]),
        ("function a() {}\nexport { a as delete, a as 'b c' };", &[]),
    ];
    for (source, expected) in table {
        assert_eq!(names(&read("a.ts", source)), *expected, "{source}");
    }
}

#[test]
fn members_of_javascript() {
    let table: &[(&str, &[&str])] = &[
        (
            "function a() {}\nconst b = () => 1;\nmodule.exports = { a, b, c: 3 };",
            &["a", "b"],
        ),
        ("function a() {}\nmodule.exports = { sum: a };", &["sum"]),
        (
            "module.exports = { a() {}, b: () => 1, c: function () {}, ...rest };",
            &["a", "b", "c"],
        ),
        ("function total() {}\nmodule.exports = total;", &["total"]),
        ("module.exports = function total() {};", &["total"]),
        ("module.exports = () => 1;", &["default"]),
        (
            "module.exports = class Cart { total() {} };",
            &["Cart.total"],
        ),
        (
            "exports.a = () => 1;\nmodule.exports.b = function () {};",
            &["a", "b"],
        ),
        (
            "class Cart { total() {} }\nexports.Cart = Cart;",
            &["Cart.total"],
        ),
        (
            "exports = module.exports = make;\nfunction make() {}",
            &["make"],
        ),
        ("exports.delete = () => 1;", &[]),
        ("const x = require('x');\nmodule.exports = x;", &[]),
        (
            "export class A { #p() {} static async *g() {} f = () => 1 }",
            &["A.g", "A.f"],
        ),
    ];
    for (source, expected) in table {
        assert_eq!(names(&read("a.js", source)), *expected, "{source}");
    }
}

#[test]
fn what_is_told_of_a_member() {
    let source = "\
import { tax } from './tax';

const RATE = 0.2;

/**
 * Sums up.
 *
 * @param items what is in it
 */
export const total = async (items: Item[]): Promise<number> => {
  return tax(items.length, RATE);
};

interface Item { price: number }

export class Cart<T> extends Base {
  /** What it costs. */
  @log()
  get cost(): number { return this.sum(RATE) }
  private sum(n: number) { return n }
  other() {}
}
";
    let file = read("src/cart.ts", source);
    assert_eq!(names(&file), ["total", "Cart.cost", "Cart.other"]);
    let total = member(&file, "total");
    assert_eq!(total.kind, MemberKind::Function);
    assert_eq!(
        total.signature,
        "export const total = async (items: Item[]): Promise<number> =>"
    );
    assert_eq!(
        total.doc.as_deref(),
        Some("Sums up.\n\n@param items what is in it")
    );
    assert!(total.is_async);
    assert!(total.text.starts_with("/**\n * Sums up.") && total.text.ends_with("};"));
    assert_eq!(
        total.uses,
        ["const RATE = 0.2;", "interface Item { price: number }"]
    );
    assert_eq!(total.lines, (5, 12));
    assert_eq!(total.import, MemberImport::Named("total".into()));

    let cost = member(&file, "Cart.cost");
    assert_eq!(cost.kind, MemberKind::Method);
    assert_eq!(cost.receiver.as_deref(), Some("Cart"));
    assert_eq!(cost.signature, "get cost(): number");
    assert_eq!(cost.doc.as_deref(), Some("What it costs."));
    assert!(!cost.is_async);
    assert!(cost.text.contains("@log()"));
    assert_eq!(
        cost.uses,
        [
            "const RATE = 0.2;",
            "export class Cart<T> extends Base {\n}",
            "private sum(n: number) { return n }"
        ]
    );
    assert_eq!(cost.import, MemberImport::Named("Cart".into()));
}

#[test]
fn signatures_and_default_imports() {
    let file = read(
        "a.ts",
        "export default function sum(a: number): number;\nexport default function sum(a: any) { return a }",
    );
    let sum = member(&file, "sum");
    assert_eq!(
        sum.signature,
        "export default function sum(a: number): number"
    );
    assert_eq!(sum.import, MemberImport::Default("sum".into()));

    let file = read("a.ts", "export default (a: number) => a;");
    let import = &member(&file, "default").import;
    assert_eq!(*import, MemberImport::Default("defaultExport".into()));

    let file = read("a.ts", "@Dec()\nexport class A { @b() c(): void {} }");
    assert_eq!(member(&file, "A.c").signature, "c(): void");
    assert!(member(&file, "A.c").uses[0].starts_with("@Dec()\nexport class A {"));
}

#[test]
fn an_error_costs_only_what_it_touches() {
    let broken = "function broken( { return 1 }\n";
    let table: &[(&str, &[&str])] = &[
        (
            "export function a() { return b( }\nexport function b() {}",
            &["b"],
        ),
        (
            "export function a() {}\nexport function b() { return 1",
            &["a"],
        ),
        (
            "export function a() {\n  if (x) {\n\nexport function b() {}",
            &[],
        ),
        (
            "export function a() { x } }\nexport function b() {}",
            &["b"],
        ),
        ("export class A { ok() {} bad( { } }", &[]),
        (
            "export class A {\n  ok() {}\n  bad() { return 1 + ; }\n  fine() {}\n}",
            &["A.ok", "A.fine"],
        ),
        (
            "export const a = (x) => y(x);\nfunction y(x) { return x + ; }\nexport const b = () => 1;",
            &["b"],
        ),
        ("export fun", &[]),
        ("export function total", &[]),
    ];
    for (source, expected) in table {
        let file = read("a.ts", source);
        assert_eq!(names(&file), *expected, "{source}");
        assert!(!file.problems.is_empty(), "{source}");
    }
    let file = read("a.ts", &format!("export function a() {{}}\n{broken}"));
    assert_eq!(file.problems[0].line, 2);
}

#[test]
fn variance_is_no_error() {
    let source = "export interface Box<in out T, out U = never> { a: T }\n\
        export class C<\n  /** in */ out A extends B<in, out>,\n  const in K,\n> { f(a: A) { return a } }\n";
    let file = read("a.ts", source);
    assert_eq!(file.problems, []);
    assert_eq!(names(&file), ["C.f"]);
    assert!(member(&file, "C.f").uses[0].contains("out A extends B<in, out>"));
    assert_ne!(
        read("a.ts", "export class C<out of T> { f() {} }").problems,
        []
    );
}

/// Every prefix of a file is what somebody is typing: what is a member of it must be one of the
/// whole file as well, word for word.
#[test]
fn half_a_file_gives_no_half_member() {
    let source = "\
import { x } from './x';
/** Doc. */
export function total(items: Item[], rate = 0.2): number {
  const sum = items.reduce((a, b) => a + b.price, 0);
  if (sum > 10) {
    return sum * (1 + rate);
  }
  return `${sum}`.length;
}

export class Cart {
  constructor(private items: Item[]) {}
  size(): number { return this.items.length; }
  async load(url: string) { for (const i of await x(url)) { this.items.push(i); } }
}

export const half = (n: number) => n / 2;
";
    let whole = read("a.ts", source);
    assert_eq!(names(&whole), ["total", "Cart.size", "Cart.load", "half"]);
    for (at, _) in source.char_indices() {
        // Where only a semicolon or a line end lacks, nothing does.
        for found in read("a.ts", &source[..at]).members {
            let full = member(&whole, found.name.as_str());
            let text = |text: &str| text.trim_end_matches(';').to_owned();
            let complete = text(&found.text) == text(&full.text);
            let arrow = found.name.as_str() == "half" && full.text.starts_with(&found.text);
            assert!(complete || arrow, "at {at}: {}", found.text);
        }
    }
}

#[test]
fn components_are_members_where_they_can_be_rendered() {
    let source = "export function Button() { return <b>x</b> }\nexport const label = (s: string) => s;\n\
        export function useCart() { return 1 }";
    assert_eq!(names(&read("a.tsx", source)), ["label"]);
    let manifest = r#"{"devDependencies":{"@testing-library/react":"16"}}"#;
    let (_dir, project) = tree(&[("package.json", manifest)]);
    let file = read_in(&project, "src/a.tsx", source);
    assert_eq!(names(&file), ["Button", "label", "useCart"]);
    assert_eq!(file.test_path.as_str(), "src/a.testsmith.test.tsx");
}

/// Files of the project, the source's path and text, and the module specifier.
type Row<'a> = (&'a [(&'a str, &'a str)], &'a str, &'a str, &'a str);

#[test]
fn how_tests_name_the_module() {
    let esm = ("package.json", r#"{"type":"module"}"#);
    let node = (
        "tsconfig.json",
        r#"{"compilerOptions":{"module":"nodenext"}}"#,
    );
    let jest = ("package.json", r#"{"devDependencies":{"jest":"30"}}"#);
    let vitest = ("package.json", r#"{"devDependencies":{"vitest":"3"}}"#);
    let (es, cjs) = ("export function a() {}", "exports.a = () => 1");
    let table: [Row<'_>; 13] = [
        (&[], "cart.ts", es, "./cart"),
        (&[], "src/cart.tsx", es, "./cart"),
        (&[node], "cart.ts", es, "./cart.js"),
        (&[node], "cart.tsx", es, "./cart.js"),
        (&[node, jest], "cart.ts", es, "./cart"),
        (&[], "cart.mts", es, "./cart.mjs"),
        (&[], "cart.cts", es, "./cart.cjs"),
        (&[esm], "cart.js", es, "./cart.js"),
        (&[], "cart.js", es, "./cart.js"),
        (&[], "cart.js", cjs, "./cart"),
        (&[vitest], "cart.js", cjs, "./cart.js"),
        (&[], "cart.mjs", es, "./cart.mjs"),
        (&[esm], "cart.cjs", cjs, "./cart.cjs"),
    ];
    for (files, path, source, expected) in table {
        let (_dir, project) = tree(files);
        assert_eq!(
            read_in(&project, path, source).module,
            expected,
            "{path} {files:?}"
        );
    }
}
