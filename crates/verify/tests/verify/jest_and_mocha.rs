//! JavaScript under jest and mocha, installed as a project has them.

use std::time::Duration;

use testsmith_domain::Verdict::{DoesNotCompile, Fails, Passed, TimedOut};

use crate::node::install;
use crate::sample::{Sample, of, verdicts};
use crate::vitest::in_place;

const LIMIT: Duration = Duration::from_secs(20);

const SHOP: &str = "\
function add(a, b) { return a + b; }
function sub(a, b) { return a - b; }
function mul(a, b) { return a * b; }
function neg(a) { return -a; }
function abs(a) { return a; }
module.exports = { add, sub, mul, neg, abs };
";

fn suite(member: &str, cases: &str) -> String {
    format!("describe('{member}', () => {{\n{cases}}});\n")
}

/// One candidate of each kind; `equal` is how the runner's users assert.
async fn each_gets_its_own_verdict(
    manifest: &str,
    packages: &[&str],
    equal: fn(&str, &str) -> String,
) {
    let sample = Sample::new(&[("package.json", manifest), ("shop.js", SHOP)]);
    if !install(&sample.root(), packages) {
        return;
    }
    in_place(&sample.root());
    let case = |title: &str, code: &str| format!("  it('{title}', () => {{ {code} }});\n");
    let bodies = [
        ("add", suite("add", &case("adds", &equal("add(1, 2)", "3")))),
        (
            "sub",
            suite(
                "sub",
                &format!("  const x = missing();\n{}", case("x", &equal("x", "1"))),
            ),
        ),
        (
            "mul",
            suite(
                "mul",
                "  it('multiplies', () => { setTimeout(mul, 1); return new Promise(() => {}); });\n",
            ),
        ),
        ("neg", suite("neg", &case("does nothing", ""))),
        (
            "abs",
            suite(
                "abs",
                &(case("minus", &equal("abs(-1)", "1")) + &case("plus", &equal("abs(1)", "1"))),
            ),
        ),
    ];
    let bodies: Vec<(&str, &str)> = bodies.iter().map(|(n, b)| (*n, b.as_str())).collect();
    let candidate = sample.candidate("shop.js", &bodies);
    let verification = sample.verify(candidate, LIMIT).await;
    println!("{verification:#?}");
    let expected = [
        ("add", Passed),
        ("sub", DoesNotCompile),
        ("mul", TimedOut),
        ("neg", Fails),
        ("abs", Fails),
    ];
    assert_eq!(verdicts(&verification), expected);
    assert!(of(&verification, "abs").is_finding);
    let text = verification.text.as_deref().unwrap();
    assert!(
        text.contains("'plus'") && !text.contains("'minus'"),
        "{text}"
    );
}

#[tokio::test]
async fn each_body_of_a_jest_batch_gets_its_own_verdict() {
    let manifest = "{\"devDependencies\":{\"jest\":\"30\"},\"jest\":{\"testTimeout\":1000}}\n";
    let equal = |got: &str, want: &str| format!("expect({got}).toBe({want});");
    each_gets_its_own_verdict(manifest, &["jest@30"], equal).await;
}

#[tokio::test]
async fn each_body_of_a_mocha_batch_gets_its_own_verdict() {
    let manifest = "{\"devDependencies\":{\"mocha\":\"11\"},\"mocha\":{\"timeout\":1000}}\n";
    let equal = |got: &str, want: &str| format!("assert.equal({got}, {want});");
    each_gets_its_own_verdict(manifest, &["mocha@11"], equal).await;
}
