//! TypeScript under vitest.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use testsmith_domain::Verdict::{DoesNotCompile, Fails, Flaky, Passed, TimedOut, Unverified};

use crate::node::{found, install_vitest};
use crate::sample::{Sample, of, verdicts};

const LIMIT: Duration = Duration::from_secs(15);

const SHOP: &str = "\
export const state = { rate: 2 };
export function add(a: number, b: number): number { return a + b; }
export function sub(a: number, b: number): number { return a - b; }
export function mul(a: number, b: number): number { return a * b; }
export function neg(a: number): number { return -a; }
export function abs(a: number): number { return a; }
export function dec(a: number): number { return a - 1; }
";

/// Makes the link to the installed packages a folder: the link leads to a place that is covered in the sandbox where
/// the target directory is below `/tmp`.
pub(crate) fn in_place(root: &Path) {
    let link = root.join("node_modules");
    let packages = link.canonicalize().unwrap();
    std::fs::remove_file(&link).unwrap();
    let copied = Command::new("cp")
        .arg("-al")
        .args([&packages, &link])
        .status();
    assert!(copied.unwrap().success());
}

fn it(member: &str, cases: &str) -> String {
    format!("describe('{member}', () => {{\n{cases}}});\n")
}

#[tokio::test]
async fn each_body_of_a_batch_gets_its_own_verdict() {
    let sample = Sample::new(&[
        (
            "package.json",
            "{\"type\":\"module\",\"devDependencies\":{\"vitest\":\"3\"}}\n",
        ),
        ("shop.ts", SHOP),
    ]);
    if !install_vitest(&sample.root()) {
        return;
    }
    in_place(&sample.root());
    let bodies = [
        (
            "add",
            it(
                "add",
                "  it.each([1, 2])('adds %d', (a) => { state.rate = 9; expect(add(a, 2)).toBe(a + 2); });\n",
            ),
        ),
        (
            "sub",
            format!(
                "import {{ x }} from './nothere';\n\n{}",
                it("sub", "  it('x', () => { expect(x).toBe(1); });\n")
            ),
        ),
        (
            "mul",
            it(
                "mul",
                "  const x = missing();\n  it('x', () => { expect(mul(1, x)).toBe(1); });\n",
            ),
        ),
        (
            "neg",
            it(
                "neg",
                "  it('waits', async () => { await new Promise(() => {}); }, 200);\n  it('one', () => { expect(neg(1)).toBe(-1); });\n",
            ),
        ),
        (
            "abs",
            it(
                "abs",
                "  it('minus', () => { expect(abs(-1)).toBe(1); });\n  it('plus', () => { expect(abs(1)).toBe(1); });\n  it('throws', () => { missing(); });\n",
            ),
        ),
        (
            "dec",
            it(
                "dec",
                "  it('alone', () => { expect(state.rate).toBe(2); });\n",
            ),
        ),
    ];
    let bodies: Vec<(&str, &str)> = bodies.iter().map(|(n, b)| (*n, b.as_str())).collect();
    let candidate = sample.candidate("shop.ts", &bodies);
    // The packages are shared with other tests, whose own runs of vitest may have left its cache.
    let cache = sample.root().join("node_modules/.vite");
    let before = files_below(&cache);
    let verification = sample.verify(candidate, LIMIT).await;
    println!("{verification:#?}");
    let expected = [
        ("add", Passed),
        ("sub", DoesNotCompile),
        ("mul", DoesNotCompile),
        ("neg", TimedOut),
        ("abs", Fails),
        ("dec", Flaky),
    ];
    assert_eq!(verdicts(&verification), expected);
    assert_eq!(
        files_below(&cache),
        before,
        "vitest's cache is not in the tree"
    );
    let text = verification.text.as_deref().unwrap();
    assert!(
        text.contains("'one'") && !text.contains("'waits'"),
        "{text}"
    );
    assert!(
        text.contains("'plus'") && !text.contains("'minus'"),
        "{text}"
    );
    assert!(of(&verification, "abs").is_finding);
    assert!(
        of(&verification, "abs")
            .output
            .contains("expected -1 to be 1")
    );
}

#[tokio::test]
async fn an_error_after_the_end_of_a_test_is_held_against_its_body() {
    let sample = Sample::new(&[
        (
            "package.json",
            "{\"type\":\"module\",\"devDependencies\":{\"vitest\":\"3\"}}\n",
        ),
        ("shop.ts", SHOP),
    ]);
    if !install_vitest(&sample.root()) {
        return;
    }
    in_place(&sample.root());
    let rejects = "  it('rejects', () => { Promise.reject(new Error('nobody waits')); expect(add(1, 1)).toBe(2); });\n";
    let bodies = [
        ("add", it("add", rejects)),
        (
            "sub",
            it(
                "sub",
                "  it('subtracts', () => { expect(sub(2, 1)).toBe(1); });\n",
            ),
        ),
    ];
    let bodies: Vec<(&str, &str)> = bodies.iter().map(|(n, b)| (*n, b.as_str())).collect();
    let candidate = sample.candidate("shop.ts", &bodies);
    let verification = sample.verify(candidate, LIMIT).await;
    let expected = [("add", Fails), ("sub", Passed)];
    assert_eq!(verdicts(&verification), expected, "{verification:#?}");
    let said = &of(&verification, "add").output;
    assert!(said.contains("nobody waits"), "{said}");
}

#[tokio::test]
async fn without_an_installed_runner_all_is_unverified() {
    if !found("node") {
        return;
    }
    let sample = Sample::new(&[
        ("package.json", "{\"devDependencies\":{\"vitest\":\"3\"}}\n"),
        ("shop.ts", SHOP),
    ]);
    let body = it(
        "add",
        "  it('adds', () => { expect(add(1, 2)).toBe(3); });\n",
    );
    let candidate = sample.candidate("shop.ts", &[("add", &body)]);
    let verification = sample.verify(candidate, LIMIT).await;
    assert_eq!(verdicts(&verification), [("add", Unverified)]);
    assert_eq!(
        verification.members[0].output,
        "`vitest` is not installed: run `npm install`"
    );
}

/// All files below a folder, with the time each was written.
fn files_below(dir: &std::path::Path) -> Vec<(std::path::PathBuf, std::time::SystemTime)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            found.extend(files_below(&entry.path()));
        } else {
            found.push((entry.path(), entry.metadata().unwrap().modified().unwrap()));
        }
    }
    found.sort();
    found
}
