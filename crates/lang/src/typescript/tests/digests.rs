use pretty_assertions::assert_eq;
use testsmith_domain::ContentHash;

use super::{member, read};

fn digest(path: &str, source: &str, name: &str) -> ContentHash {
    member(&read(path, source), name).digest
}

#[test]
fn layout_and_prettier_do_not_count() {
    let pairs = [
        (
            "export function a(x) { return x }",
            "export function a(\n  x,\n) {\n  return x;\n}\n",
        ),
        (
            "export const a = x => x + 'b'",
            "export const a = (x) => x + \"b\";\n",
        ),
        (
            "export const a = () => 'it\\'s'",
            "export const a = () => \"it's\";",
        ),
        (
            "export const a = () => ({ 'k': [1, 2] })",
            "export const a = () => ({\n  k: [1, 2,],\n});",
        ),
        (
            "export const a = () => { return (1 + 2); }",
            "export const a = () => {\n  return 1 + 2\n}",
        ),
        (
            "export const a = (x, y) => x && y || x",
            "export const a = (x, y) => (x && y) || x;",
        ),
        (
            "export const a = async x => { await (x); ; }",
            "export const a = async (x) => { await x }",
        ),
        (
            "export const a = () => new Map",
            "export const a = () => new Map();",
        ),
        (
            "// note\nexport const a = () => 1 // one",
            "export const a = () => 1",
        ),
        (
            "export const a = (x: 'p' | 'q') => x",
            "export const a = (\n  x:\n    | 'p'\n    | 'q',\n) => x;",
        ),
        (
            "export const a = (x: 'p' /* P */ | 'q') => x",
            "export const a = (\n  x:\n    | 'p' // P\n    | 'q',\n) => x;",
        ),
        (
            "interface I { a: string, b: number }\nexport const a = (x: I) => x",
            "interface I {\n  a: string;\n  b: number\n}\nexport const a = (x: I) => x;",
        ),
        (
            "export const a = (x: (string)) => x",
            "export const a = (x: string) => x",
        ),
        (
            "export class A { f() { return g.f() } h() {} }\nconst g = { f: A }\nexport const a = () => g",
            "export class A { 'f'() { return g.f() } 'h'() {} }\nconst g = { 'f': A }\nexport const a = () => g",
        ),
        (
            "import { b } from './b'\nexport const a = () => b",
            "import {\n  b,\n} from \"./b\";\nexport const a = () => b;",
        ),
        (
            "export const a = () => 1\n// x\nconst z = 2",
            "const z = 3\nexport const a = () => 1",
        ),
        (
            "export const a = (z) => z\nconst z = 2",
            "export const a = (z) => z\nconst z = 3",
        ),
        (
            "/** Doc. */\nexport const a = () => 1",
            "/**\n * Doc.\n */\nexport const a = () => 1",
        ),
    ];
    for (one, other) in pairs {
        assert_eq!(
            digest("a.ts", one, "a"),
            digest("a.ts", other, "a"),
            "{one}\n{other}"
        );
    }
    let one = "export const a = () => <b x='y'>Hello <i>you</i></b>";
    let other = "export const a = () => (\n  <b x=\"y\">\n    Hello <i>you</i>\n  </b>\n);\n";
    let tested = |source| {
        let manifest = r#"{"devDependencies":{"@testing-library/react":"16"}}"#;
        let (_dir, project) = super::tree(&[("package.json", manifest)]);
        member(&super::read_in(&project, "a.tsx", source), "a").digest
    };
    assert_eq!(tested(one), tested(other));
}

#[test]
fn meaning_counts() {
    let pairs = [
        (
            "export const a = () => (1 + 2) * 3",
            "export const a = () => 1 + 2 * 3",
        ),
        ("export const a = () => 'x'", "export const a = () => x"),
        ("export const a = () => ' x'", "export const a = () => 'x'"),
        ("export const a = () => ` `", "export const a = () => ``"),
        ("export const a = () => [,]", "export const a = () => []"),
        (
            "export const a = (x) => (x?.y).z",
            "export const a = (x) => x?.y.z",
        ),
        (
            "export const a = (x): T => x",
            "export const a = (x: T) => x",
        ),
        (
            "export const a = () => { for (; b; ) c() }",
            "export const a = () => { for (b; ; ) c() }",
        ),
        ("export const a = () => / /", "export const a = () => /  /"),
        (
            "/** One. */\nexport const a = () => 1",
            "/** Two. */\nexport const a = () => 1",
        ),
        ("export const a = async () => 1", "export const a = () => 1"),
        (
            "export const a = () => b()\nconst b = () => c\nconst c = 1",
            "export const a = () => b()\nconst b = () => c\nconst c = 2",
        ),
        (
            "import { b } from './b'\nexport const a = () => b",
            "import { b } from './c'\nexport const a = () => b",
        ),
        (
            "type T = { x: string }\nexport const a = (t: T) => t",
            "type T = { x: number }\nexport const a = (t: T) => t",
        ),
        (
            "const { b } = require('./b')\nexports.a = () => b",
            "const { b } = require('./c')\nexports.a = () => b",
        ),
        (
            "exports.b = () => 1\nexports.a = () => exports.b()",
            "exports.b = () => 2\nexports.a = () => exports.b()",
        ),
    ];
    for (one, other) in pairs {
        assert_ne!(
            digest("a.ts", one, "a"),
            digest("a.ts", other, "a"),
            "{one}\n{other}"
        );
    }
}

#[test]
fn one_changed_method_is_one_changed_member() {
    let class = |total: &str, helper: &str, field: &str| {
        format!(
            "export class C {{\n  n = {field};\n  total() {{ return {total} }}\n  \
             size() {{ return this.help() }}\n  help() {{ return {helper} }}\n  other() {{}}\n}}\n\
             export function use(c: C) {{ return c.total() }}\n"
        )
    };
    let changed = |one: &str, other: &str| {
        let (one, other) = (read("a.ts", one), read("a.ts", other));
        let pairs = one.members.iter().zip(&other.members);
        let changed = pairs.filter(|(one, other)| one.digest != other.digest);
        changed
            .map(|(one, _)| one.name.to_string())
            .collect::<Vec<_>>()
    };
    let base = class("1", "1", "1");
    assert_eq!(changed(&base, &class("2", "1", "1")), ["C.total", "use"]);
    assert_eq!(changed(&base, &class("1", "2", "1")), ["C.size", "C.help"]);
    let all = ["C.total", "C.size", "C.help", "C.other", "use"];
    assert_eq!(changed(&base, &class("1", "1", "2")), all);
}

#[test]
fn a_file_s_name_does_not_count() {
    let source = "export default () => 1;\nexport const a = () => 1;";
    for name in ["default", "a"] {
        assert_eq!(
            digest("src/a.ts", source, name),
            digest("lib/b.ts", source, name)
        );
    }
}
