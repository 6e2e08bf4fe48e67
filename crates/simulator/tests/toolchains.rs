//! The tests that the simulator writes, run by the real toolchains.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests, helpers included"
)]

#[path = "support/client.rs"]
mod client;
#[path = "support/tool.rs"]
mod tool;

use std::fs;
use std::path::Path;
use std::process::Command;

use client::{Question, ask};
use testsmith_simulator::{BadBody, Fault, Rule, Script, Simulator};
use tool::{have, run};

const GO: &str = include_str!("samples/shop.go");
const PYTHON: &str = include_str!("samples/shop.py");
const MODULE: &str = include_str!("samples/shop.mjs");
const COMMON_JS: &str = include_str!("samples/shop.cjs");

const GO_MEMBERS: [&str; 33] = [
    "Add",
    "Divide",
    "Greet",
    "Max",
    "Map",
    "Keys",
    "Reverse",
    "IsEven",
    "Sum",
    "Average",
    "Clamp",
    "Now",
    "Serve",
    "Parse",
    "WithContext",
    "Cart",
    "Money",
    "Cart.Total",
    "Cart.Add",
    "Cart.Find",
    "Money.Double",
    "Stack.Push",
    "Stack.Len",
    "FizzBuzz",
    "Apply",
    "Explode",
    "Item.Cost",
    "NewCart",
    "Upper",
    "Fields",
    "cart.hidden",
    "Tags",
    "Join",
];
const PYTHON_MEMBERS: [&str; 34] = [
    "Color",
    "Color.label",
    "Item",
    "Item.cost",
    "Item.title",
    "Item.parse",
    "Item.free",
    "Point.norm",
    "Cart",
    "Cart.add",
    "Cart.total",
    "Cart.checkout",
    "Cart.Nested.hello",
    "Counter.bump",
    "add",
    "divide",
    "greet",
    "clamp",
    "average",
    "is_even",
    "squares",
    "word_count",
    "first",
    "fizzbuzz",
    "count_up",
    "fetch",
    "apply",
    "roll",
    "forever",
    "thing",
    "nothing",
    "quit_now",
    "Counter",
    "Cart.__len__",
];
const MODULE_MEMBERS: [&str; 31] = [
    "Item",
    "Item.cost",
    "Item.title",
    "Item.parse",
    "Item.label",
    "Item.load",
    "Item.secret",
    "Cart",
    "Cart.add",
    "Cart.total",
    "add",
    "subtract",
    "greet",
    "clamp",
    "sum",
    "sumTo",
    "double",
    "later",
    "fails",
    "count",
    "isEven",
    "slug",
    "tax",
    "pick",
    "roll",
    "forever",
    "nothing",
    "shout",
    "main",
    "nowhere",
    "Item.nowhere",
];
const COMMON_JS_MEMBERS: [&str; 7] = [
    "Stack",
    "Stack.push",
    "Stack.size",
    "area",
    "initials",
    "half",
    "negate",
];

/// The answers for all members, under two seeds.
async fn tests(question: &Question) -> [Vec<(String, String)>; 2] {
    let sim = Simulator::start(Script::default()).await.unwrap();
    let first = ask(&sim.openai_base_url(), question).await;
    sim.set_script(Script::default().seed(1));
    let second = ask(&sim.openai_base_url(), question).await;
    sim.shutdown().await;
    [first, second]
}

/// How many tests assert what is known to be the outcome.
fn asserted(tests: &[(String, String)], weak: &[&str]) -> usize {
    let is_weak = |code: &str| weak.iter().any(|word| code.contains(word));
    tests.iter().filter(|(_, code)| !is_weak(code)).count()
}

#[tokio::test]
async fn go_tests_pass() {
    if !have("go", "version") {
        return;
    }
    let question = Question::new("go", "go-testing", "shop", "shop.go", GO, &GO_MEMBERS);
    for tests in tests(&question).await {
        assert!(asserted(&tests, &["outcome", "reflect.TypeOf", "zero values"]) >= 9);
        let dir = tempfile::tempdir().unwrap();
        let module = "module example.com/shop\n\ngo 1.21\n";
        fs::write(dir.path().join("go.mod"), module).unwrap();
        fs::write(dir.path().join("shop.go"), GO).unwrap();
        for (n, (_, code)) in tests.iter().enumerate() {
            let code = format!("package shop\n\n{code}");
            fs::write(dir.path().join(format!("t{n}_test.go")), code).unwrap();
        }
        let mut command = Command::new("go");
        command
            .args(["test", "-count=1", "-v", "./..."])
            .current_dir(dir.path())
            .env("GOTOOLCHAIN", "local")
            .env("GOPROXY", "off");
        let output = run(&mut command, dir.path());
        assert_eq!(
            output.matches("--- PASS").count(),
            GO_MEMBERS.len(),
            "{output}"
        );
    }
}

async fn python(framework: &str, arguments: &[&str]) {
    let question = Question::new(
        "python",
        framework,
        "shop",
        "shop.py",
        PYTHON,
        &PYTHON_MEMBERS,
    );
    for tests in tests(&question).await {
        assert!(asserted(&tests, &["outcome", "callable", "hasattr"]) >= 14);
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("shop.py"), PYTHON).unwrap();
        for (n, (_, code)) in tests.iter().enumerate() {
            fs::write(dir.path().join(format!("test_{n}.py")), code).unwrap();
        }
        let mut command = Command::new("python3");
        command
            .args(arguments)
            .current_dir(dir.path())
            .env("PYTHONDONTWRITEBYTECODE", "1");
        let output = run(&mut command, dir.path());
        let count = PYTHON_MEMBERS.len();
        let expected = [format!("{count} passed"), format!("Ran {count} tests")];
        assert!(
            expected.iter().any(|text| output.contains(text)),
            "{output}"
        );
    }
}

#[tokio::test]
async fn unittest_tests_pass() {
    if have("python3", "--version") {
        python("unittest", &["-m", "unittest"]).await;
    }
}

#[tokio::test]
async fn pytest_tests_pass() {
    if have("pytest", "--version") {
        python("pytest", &["-m", "pytest", "-q", "-p", "no:cacheprovider"]).await;
    }
}

async fn node(source: &str, extension: &str, members: &[&str], least: usize) {
    if !have("node", "--version") {
        return;
    }
    let name = format!("shop.{extension}");
    let module = format!("./{name}");
    let question = Question::new("javascript", "node", &module, &name, source, members);
    for tests in tests(&question).await {
        assert!(
            asserted(&tests, &["outcome", "is there"]) >= least,
            "{tests:?}"
        );
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(&name), source).unwrap();
        for (n, (_, code)) in tests.iter().enumerate() {
            fs::write(dir.path().join(format!("t{n}.test.{extension}")), code).unwrap();
        }
        node_run(dir.path(), members.len());
    }
}

fn node_run(dir: &Path, suites: usize) {
    let mut command = Command::new("node");
    command
        .args(["--test", "--test-reporter=tap"])
        .current_dir(dir);
    let output = run(&mut command, dir);
    assert!(output.contains(&format!("# suites {suites}")), "{output}");
    assert!(output.contains("# fail 0"), "{output}");
}

#[tokio::test]
async fn node_tests_of_modules_pass() {
    let members: Vec<_> = MODULE_MEMBERS
        .into_iter()
        .filter(|member| !member.contains("nowhere"))
        .collect();
    node(MODULE, "mjs", &members, 14).await;
}

#[tokio::test]
async fn node_tests_of_common_js_pass() {
    node(COMMON_JS, "cjs", &COMMON_JS_MEMBERS, 4).await;
}

/// One bad member of each kind that ends by itself, and a good one.
const KINDS: [(&str, Option<BadBody>); 7] = [
    ("good", None),
    ("wrong", Some(BadBody::Fails)),
    ("flaky", Some(BadBody::Flaky)),
    ("edits", Some(BadBody::EditsFiles)),
    ("network", Some(BadBody::Network)),
    ("broken", Some(BadBody::DoesNotCompile)),
    ("empty", Some(BadBody::NoTest)),
];

/// A simulator that gives each kind to the member of that name.
async fn spoiling() -> Simulator {
    let script = KINDS
        .iter()
        .fold(Script::default(), |script, (name, bad)| match bad {
            Some(bad) => script.rule(Rule::from(Fault::body(*bad)).member(*name)),
            None => script,
        });
    Simulator::start(script).await.unwrap()
}

/// Runs each test by itself, with a folder for temporary files of its own; gives the names of the
/// members whose command was good, run by run.
fn verdicts(
    tests: &[(String, String)],
    runs: usize,
    run: impl Fn(&str, &str, &Path) -> bool,
) -> Vec<Vec<String>> {
    let temporary = tempfile::tempdir().unwrap();
    (0..runs)
        .map(|_| {
            tests
                .iter()
                .filter(|(name, code)| run(name, code, temporary.path()))
                .map(|(name, _)| name.clone())
                .collect()
        })
        .collect()
}

fn good(command: &mut Command, temporary: &Path) -> bool {
    command
        .env("TMPDIR", temporary)
        .output()
        .unwrap()
        .status
        .success()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_python_is_as_bad_as_it_should_be() {
    if !have("python3", "--version") {
        return;
    }
    let source = KINDS
        .map(|(name, _)| format!("def {name}(x):\n    return x\n\n"))
        .concat();
    let sim = spoiling().await;
    let members = KINDS.map(|(name, _)| name);
    let question = Question::new("python", "unittest", "shop", "shop.py", &source, &members);
    let tests = ask(&sim.openai_base_url(), &question).await;
    let dir = tempfile::tempdir().unwrap();
    let shop = dir.path().join("shop.py");
    fs::write(&shop, &source).unwrap();
    let seen = verdicts(&tests, 2, |name, code, temporary| {
        let file = format!("test_{name}.py");
        fs::write(dir.path().join(&file), code).unwrap();
        let mut command = Command::new("python3");
        // `-m unittest` is content with no tests before Python 3.12.
        good(
            command
                .args(["-m", "unittest", &file])
                .current_dir(dir.path()),
            temporary,
        )
    });
    let without = |names: &[&str]| -> Vec<String> {
        seen[0]
            .iter()
            .filter(|name| !names.contains(&name.as_str()))
            .cloned()
            .collect()
    };
    assert_eq!(without(&["empty"]), ["good", "edits", "network"]);
    assert!(seen[1].contains(&"flaky".to_owned()), "{seen:?}");
    assert_eq!(
        fs::read_to_string(&shop)
            .unwrap()
            .matches("# edited by a test")
            .count(),
        2
    );
    assert_eq!(sim.witnessed(), ["network", "network"]);
    assert!(!tests[6].1.contains("def test"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_go_is_as_bad_as_it_should_be() {
    if !have("go", "version") {
        return;
    }
    let functions = KINDS
        .map(|(name, _)| format!("func {name}(x int) int {{ return x }}\n\n"))
        .concat();
    let source = format!("package shop\n\n{functions}");
    let sim = spoiling().await;
    let members = KINDS.map(|(name, _)| name);
    let question = Question::new("go", "go-testing", "shop", "shop.go", &source, &members);
    let tests = ask(&sim.openai_base_url(), &question).await;
    let dir = tempfile::tempdir().unwrap();
    fs::write(
        dir.path().join("go.mod"),
        "module example.com/shop\n\ngo 1.21\n",
    )
    .unwrap();
    let shop = dir.path().join("shop.go");
    fs::write(&shop, &source).unwrap();
    // One package for those that compile: building each by itself takes long.
    let (broken, compiling): (Vec<_>, Vec<_>) =
        tests.iter().partition(|(name, _)| name == "broken");
    for (name, code) in compiling {
        let code = format!("package shop\n\n{code}");
        fs::write(dir.path().join(format!("{name}_test.go")), code).unwrap();
    }
    let temporary = tempfile::tempdir().unwrap();
    let mut go = Command::new("go");
    go.args(["test", "-count=2", "-v", "."])
        .current_dir(dir.path());
    let output = go
        .env("TMPDIR", temporary.path())
        .env("GOTOOLCHAIN", "local")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let count = |verdict: &str, name: &str| {
        text.matches(&format!("--- {verdict}: Test_{name} "))
            .count()
    };
    for (name, passed, failed) in [
        ("good", 2, 0),
        ("wrong", 0, 2),
        ("flaky", 1, 1),
        ("edits", 2, 0),
        ("network", 2, 0),
        ("empty", 0, 0),
    ] {
        assert_eq!(
            (count("PASS", name), count("FAIL", name)),
            (passed, failed),
            "{name}: {text}"
        );
    }
    assert_eq!(
        fs::read_to_string(&shop)
            .unwrap()
            .matches("// edited by a test")
            .count(),
        2
    );
    assert_eq!(sim.witnessed(), ["network", "network"]);
    assert!(broken[0].1.contains("noSuchFunction()"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_javascript_is_as_bad_as_it_should_be() {
    if !have("node", "--version") {
        return;
    }
    let source = KINDS
        .map(|(name, _)| format!("export const {name} = (x) => x;\n"))
        .concat();
    let sim = spoiling().await;
    let members = KINDS.map(|(name, _)| name);
    let question = Question::new(
        "javascript",
        "node",
        "./shop.mjs",
        "shop.mjs",
        &source,
        &members,
    );
    let tests = ask(&sim.openai_base_url(), &question).await;
    let dir = tempfile::tempdir().unwrap();
    let shop = dir.path().join("shop.mjs");
    fs::write(&shop, &source).unwrap();
    let seen = verdicts(&tests[..6], 2, |name, code, temporary| {
        let file = format!("{name}.test.mjs");
        fs::write(dir.path().join(&file), code).unwrap();
        let mut command = Command::new("node");
        good(
            command.args(["--test", &file]).current_dir(dir.path()),
            temporary,
        )
    });
    assert_eq!(seen[0], ["good", "edits", "network"]);
    assert!(seen[1].contains(&"flaky".to_owned()), "{seen:?}");
    assert_eq!(
        fs::read_to_string(&shop)
            .unwrap()
            .matches("// edited by a test")
            .count(),
        2
    );
    assert_eq!(sim.witnessed(), ["network", "network"]);
    assert!(!tests[6].1.contains("describe"));
}

/// Seen to pass, and to hold strict types, under vitest 3, jest 30 with ts-jest, and mocha 11 with
/// tsx; none of them comes with Node, so what is checked here is the text.
#[tokio::test]
async fn typescript_is_written_for_each_runner() {
    let members = [
        "Account.deposit",
        "total",
        "Registry.get",
        "wait",
        "Shape.describe",
        "load",
    ];
    let source = include_str!("samples/shop.ts");
    for (framework, imports, assertion) in [
        (
            "vitest",
            "import { describe, expect, it } from 'vitest';\n",
            "expect(CALL).toEqual(",
        ),
        (
            "jest",
            "import { describe, expect, it } from '@jest/globals';\n",
            "expect(CALL).toEqual(",
        ),
        (
            "mocha",
            "import assert from 'node:assert/strict';\n",
            "assert.deepEqual(CALL, ",
        ),
        (
            "mocha+chai",
            "import { expect } from 'chai';\n",
            "expect(CALL).to.deep.equal(",
        ),
    ] {
        let question = Question::new(
            "typescript",
            framework,
            "./shop",
            "shop.ts",
            source,
            &members,
        );
        let [tests, _] = tests(&question).await;
        let code = |n: usize| tests[n].1.as_str();
        assert!(
            tests.iter().all(|(_, code)| code.starts_with(imports)),
            "{tests:?}"
        );
        assert!(code(0).contains("new Account("), "{}", code(0));
        let (before, after) = assertion.split_once("CALL").unwrap();
        let call = format!("{before}total({{ items: [{{ name: \"");
        assert!(
            code(1).contains(&call) && code(1).contains(after),
            "{}",
            code(1)
        );
        assert!(
            code(2).contains("import Registry from './shop';\n"),
            "{}",
            code(2)
        );
        assert!(code(3).contains("typeof wait"), "{}", code(3));
        assert!(code(4).contains("new (Shape as any)("), "{}", code(4));
        assert!(code(5).contains("async () => {"), "{}", code(5));
    }
}
