//! What a verdict says is enough for the rules that mend bodies at no cost.

use std::process::Command;
use std::time::Duration;

use testsmith_domain::Verdict::Passed;

use crate::sample::{Sample, of, verdicts};

const LIMIT: Duration = Duration::from_mins(1);

fn found(program: &str, arguments: &[&str]) -> bool {
    let ran = Command::new(program).args(arguments).output();
    let found = ran.is_ok_and(|ran| ran.status.success());
    if !found {
        assert_ne!(
            std::env::var("CI").as_deref(),
            Ok("true"),
            "{program} not found"
        );
        println!("skipped: {program} not found");
    }
    found
}

/// Verifies the bodies, none of which holds, mends each by what is said of it, and verifies them
/// again.
async fn mends(sample: &Sample, source: &str, bodies: &[(&str, &str)]) {
    let candidate = sample.candidate(source, bodies);
    let (driver, file) = (candidate.driver.clone(), candidate.file.clone());
    let before: Vec<(String, String)> = candidate
        .blocks
        .iter()
        .map(|block| (block.member.to_string(), block.body.clone()))
        .collect();
    let verification = sample.verify(candidate, LIMIT).await;
    let mended: Vec<(String, String)> = before
        .into_iter()
        .map(|(name, body)| {
            let verdict = of(&verification, &name);
            assert_ne!(verdict.verdict, Passed, "{body}");
            let member = file.members.iter().find(|m| m.name.as_str() == name);
            let mended = driver.mend(&file, member.unwrap(), &body, &verdict.output);
            let mended = mended.unwrap_or_else(|| panic!("no rule: {}\n{body}", verdict.output));
            (name, mended)
        })
        .collect();
    let bodies: Vec<(&str, &str)> = mended
        .iter()
        .map(|(name, body)| (name.as_str(), body.as_str()))
        .collect();
    let verification = sample
        .verify(sample.candidate(source, &bodies), LIMIT)
        .await;
    assert!(
        verdicts(&verification)
            .iter()
            .all(|(_, verdict)| *verdict == Passed),
        "{verification:?}"
    );
}

#[tokio::test]
async fn go_bodies_are_mended_by_their_verdicts() {
    if !found("go", &["version"]) {
        return;
    }
    let sample = Sample::new(&[
        ("go.mod", "module example.com/shop\n\ngo 1.21\n"),
        (
            "shop.go",
            "package shop\n\nfunc Add(a, b int) int { return a + b }\n\nfunc Sub(a, b int) int { return a - b }\n\nfunc Neg(a int) int { return -a }\n",
        ),
        (
            "shop_test.go",
            "package shop\n\nimport \"testing\"\n\nfunc TestNeg(t *testing.T) {}\n",
        ),
    ]);
    let bodies = [
        (
            "Add",
            "func TestAdd(t *testing.T) { if Add(rand.Intn(1), 1) != 1 { t.Error(sha256.New()) } }",
        ),
        (
            "Sub",
            "func TestSub(t *testing.T) { if shop.Sub(2, 1) != 1 { t.Error() } }",
        ),
        (
            "Neg",
            "func TestNeg(t *testing.T) { if Neg(1) != -1 { t.Error() } }",
        ),
    ];
    mends(&sample, "shop.go", &bodies).await;
}

const SHOP_PY: &str = "def add(a, b):\n    return a + b\n\n\ndef sub(a, b):\n    return a - b\n\n\ndef neg(a):\n    return -a\n";

#[tokio::test]
async fn python_bodies_are_mended_by_their_verdicts() {
    if !found("python3", &["-c", "import pytest"]) {
        return;
    }
    for (frame, config) in [
        ("def {}():\n    ", "[tool.pytest.ini_options]\n"),
        ("class TestIt(TestCase):\n    def {}(self):\n        ", ""),
    ] {
        let mut files = vec![("shop.py", SHOP_PY), ("pyproject.toml", config)];
        if config.is_empty() {
            files.push((
                "tests/test_own.py",
                "import unittest\n\n\nclass TestOwn(unittest.TestCase):\n    def test_own(self):\n        pass\n",
            ));
        }
        let sample = Sample::new(&files);
        let body = |name: &str, code: &str| frame.replace("{}", name) + code + "\n";
        let add = body("test_add", "assert add(gcd(1, 1), 1) == 2");
        let sub = body("test_sub", "assert shop.sub(2, 1) == 1");
        let neg = body("test_neg", "assert neg(len(html.escape('a'))) == -1");
        let bodies = [
            ("add", add.as_str()),
            ("sub", sub.as_str()),
            ("neg", neg.as_str()),
        ];
        mends(&sample, "shop.py", &bodies).await;
    }
}

#[tokio::test]
async fn node_bodies_are_mended_by_their_verdicts() {
    if !found("node", &["--version"]) {
        return;
    }
    let sample = Sample::new(&[
        ("package.json", "{\"type\": \"module\"}\n"),
        (
            "shop.js",
            "export const add = (a, b) => a + b;\nexport const sub = (a, b) => a - b;\nexport const neg = (a) => -a;\n",
        ),
    ]);
    let bodies = [
        (
            "add",
            "it('adds', () => assert.equal(add(1, path.basename('a/b').length), 2));",
        ),
        (
            "sub",
            "it('subtracts', () => assert.equal(shop.sub(2, 1), 1));",
        ),
        (
            "neg",
            "describe('neg', () => { let a; beforeAll(() => { a = 1; }); it('negates', () => assert.equal(neg(a), -1)); });",
        ),
    ];
    mends(&sample, "shop.js", &bodies).await;
}
