//! JavaScript under Node's own runner.

use std::time::Duration;

use testsmith_domain::Verdict::{Blocked, DoesNotCompile, Fails, Passed, TimedOut};

use crate::node::found;
use crate::sample::{Sample, of, verdicts};

const SHOP: &str = "\
export function add(a, b) { return a + b; }
export function sub(a, b) { return a - b; }
export function mul(a, b) { return a * b; }
export function neg(a) { return -a; }
export function abs(a) { return a; }
export function dec(a) { return a - 1; }
";

fn it(member: &str, cases: &str) -> String {
    format!("describe('{member}', () => {{\n{cases}}});\n")
}

#[tokio::test]
async fn each_body_of_a_batch_gets_its_own_verdict() {
    if !found("node") {
        return;
    }
    let sample = Sample::new(&[
        ("package.json", "{\"type\":\"module\"}\n"),
        ("shop.js", SHOP),
    ]);
    let bodies = [
        (
            "add",
            it(
                "add",
                "  it('adds', () => { assert.equal(add(1, 2), 3); });\n",
            ),
        ),
        (
            "sub",
            format!(
                "import x from './nothere.js';\n\n{}",
                it("sub", "  it('x', () => { assert.equal(x, 1); });\n")
            ),
        ),
        (
            "mul",
            it(
                "mul",
                "  it('writes', () => { fs.writeFileSync('/etc/testsmith-was-here', ''); });\n",
            )
            .replace("describe", "import fs from 'node:fs';\n\ndescribe"),
        ),
        ("neg", it("neg", "  it('spins', () => { for (;;); });\n")),
        (
            "abs",
            it(
                "abs",
                "  it('minus', () => { assert.equal(abs(-1), 1); });\n  it('plus', () => { assert.equal(abs(1), 1); });\n",
            ),
        ),
        (
            "dec",
            it(
                "dec",
                "  it.skip('later', () => {});\n  it('skips', (t) => { t.skip('later'); });\n",
            ),
        ),
    ];
    let bodies: Vec<(&str, &str)> = bodies.iter().map(|(n, b)| (*n, b.as_str())).collect();
    let candidate = sample.candidate("shop.js", &bodies);
    let verification = sample.verify(candidate, Duration::from_secs(4)).await;
    println!("{verification:#?}");
    let expected = [
        ("add", Passed),
        ("sub", DoesNotCompile),
        ("mul", Blocked),
        ("neg", TimedOut),
        ("abs", Fails),
        ("dec", Fails),
    ];
    assert_eq!(verdicts(&verification), expected);
    let text = verification.text.as_deref().unwrap();
    assert!(
        text.contains("'plus'") && !text.contains("'minus'"),
        "{text}"
    );
    assert!(of(&verification, "abs").is_finding);
    assert!(!std::path::Path::new("/etc/testsmith-was-here").exists());
}

/// The runner has told of the test as passed when its error comes.
#[tokio::test]
async fn an_error_after_the_end_of_a_test_is_held_against_its_body() {
    if !found("node") {
        return;
    }
    let sample = Sample::new(&[
        ("package.json", "{\"type\":\"module\"}\n"),
        ("shop.js", SHOP),
    ]);
    let late = "  it('throws late', () => { assert.equal(add(1, 2), 3); setTimeout(() => { throw new Error('late'); }, 20); });\n";
    let rejects = "  it('rejects', () => { assert.equal(sub(2, 1), 1); Promise.reject(new Error('nobody waits')); });\n";
    let bodies = [
        ("add", it("add", late)),
        ("sub", it("sub", rejects)),
        (
            "mul",
            it(
                "mul",
                "  it('multiplies', () => { assert.equal(mul(2, 3), 6); });\n",
            ),
        ),
    ];
    let bodies: Vec<(&str, &str)> = bodies.iter().map(|(n, b)| (*n, b.as_str())).collect();
    let candidate = sample.candidate("shop.js", &bodies);
    let verification = sample.verify(candidate, Duration::from_secs(15)).await;
    let expected = [("add", Fails), ("sub", Fails), ("mul", Passed)];
    assert_eq!(verdicts(&verification), expected, "{verification:#?}");
    let said = &of(&verification, "add").output;
    assert!(
        said.contains("late") && said.contains("after the test ended"),
        "{said}"
    );
}
