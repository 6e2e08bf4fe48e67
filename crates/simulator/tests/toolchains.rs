//! The tests that the simulator writes, run by the real toolchains.

#[path = "support/client.rs"]
mod client;
#[path = "support/tool.rs"]
mod tool;

use std::fs;
use std::path::Path;
use std::process::Command;

use client::{Question, ask};
use testsmith_simulator::{Script, Simulator};
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
