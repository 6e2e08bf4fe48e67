//! Python: pytest and unittest.

use std::process::Command;
use std::time::Duration;

use testsmith_domain::Verdict::{
    Blocked, DoesNotCompile, Fails, Flaky, Passed, TimedOut, Unverified,
};
use testsmith_verify::Obstacle;

use crate::sample::{Sample, of, settings, verdicts};

const LIMIT: Duration = Duration::from_secs(6);

const SHOP: &str = "\
RATE = 2


def add(a, b):
    return a + b


def sub(a, b):
    return a - b


def mul(a, b):
    return a * b


def div(a, b):
    return a / b


def neg(a):
    return -a


def absolute(a):
    return a


def inc(a):
    return a + RATE


def dec(a):
    return a - 1


def idle(a):
    return a
";

fn has(module: &str) -> bool {
    let ran = Command::new("python3")
        .args(["-c", &format!("import {module}")])
        .output();
    let found = ran.is_ok_and(|ran| ran.status.success());
    if !found {
        assert_ne!(
            std::env::var("CI").as_deref(),
            Ok("true"),
            "{module} not found"
        );
        println!("skipped: {module} not found");
    }
    found
}

#[tokio::test]
async fn each_body_of_a_pytest_batch_gets_its_own_verdict() {
    if !has("pytest") {
        return;
    }
    let sample = Sample::new(&[
        ("pyproject.toml", "[tool.pytest.ini_options]\n"),
        ("shop.py", SHOP),
        (
            "tests/test_zz_human.py",
            "import shop\n\n\ndef test_human():\n    assert shop.inc(1) == 3\n",
        ),
    ]);
    let bodies = [
        (
            "add",
            "@pytest.mark.parametrize('a', [1, 2])\ndef test_add(a):\n    assert add(a, 2) == a + 2\n",
        ),
        (
            "sub",
            "import nothere\n\n\ndef test_sub():\n    assert nothere.x\n",
        ),
        (
            "mul",
            "@undefined_decorator\ndef test_mul():\n    assert mul(1, 2) == 2\n",
        ),
        (
            "div",
            "def test_div():\n    assert div(4, 2) == 2\n\n\ndef test_div_zero():\n    assert div(1, 0) == 0\n",
        ),
        (
            "neg",
            "import time\n\n\ndef test_neg():\n    while True:\n        time.sleep(1)\n\n\ndef test_neg_one():\n    assert neg(1) == -1\n",
        ),
        (
            "absolute",
            "class TestAbsolute:\n    def test_minus(self):\n        assert absolute(-1) == 1\n\n    def test_plus(self):\n        assert absolute(1) == 1\n",
        ),
        (
            "inc",
            "import socket\n\n\ndef test_inc():\n    socket.create_connection(('10.0.0.1', 80), timeout=1)\n",
        ),
        ("dec", "import os\n\n\ndef test_dec():\n    os._exit(3)\n"),
        ("idle", "def test_idle():\n    pytest.skip('later')\n"),
    ];
    let candidate = sample.candidate("shop.py", &bodies);
    let verification = sample.verify(candidate, LIMIT).await;
    println!("{verification:#?}");
    let expected = [
        ("add", Passed),
        ("sub", DoesNotCompile),
        ("mul", DoesNotCompile),
        ("div", Fails),
        ("neg", TimedOut),
        ("absolute", Fails),
        ("inc", Blocked),
        ("dec", Fails),
        ("idle", Fails),
    ];
    assert_eq!(verdicts(&verification), expected);
    let text = verification.text.as_deref().unwrap();
    assert!(
        text.contains("def test_div()") && !text.contains("test_div_zero"),
        "{text}"
    );
    assert!(
        text.contains("def test_neg_one()") && !text.contains("while True"),
        "{text}"
    );
    assert!(
        text.contains("def test_plus(self)") && !text.contains("test_minus"),
        "{text}"
    );
    assert!(of(&verification, "absolute").is_finding);
    assert!(
        !of(&verification, "div").is_finding,
        "an exception is no assertion"
    );
    assert!(of(&verification, "sub").output.contains("nothere"));
}

#[tokio::test]
async fn a_secret_of_the_project_is_read_by_no_candidate() {
    const KEY: &str = "swordfish-4711";
    if !has("pytest") {
        return;
    }
    let sample = Sample::new(&[
        ("pyproject.toml", "[tool.pytest.ini_options]\n"),
        ("shop.py", SHOP),
        (".env", KEY),
        ("deploy/id_rsa", KEY),
    ]);
    let bodies = [
        (
            "add",
            "import pathlib\n\n\ndef test_add():\n    for name in ('.env', 'deploy/id_rsa'):\n        assert pathlib.Path(name).read_text() == 'nothing'\n",
        ),
        (
            "sub",
            "import pathlib\n\n\ndef test_sub():\n    assert pathlib.Path('.env').read_text() == ''\n    assert sub(2, 1) == 1\n",
        ),
    ];
    let candidate = sample.candidate("shop.py", &bodies);
    let verification = sample.verify(candidate, LIMIT).await;
    assert_eq!(
        verdicts(&verification),
        [("add", Fails), ("sub", Passed)],
        "{verification:#?}"
    );
    assert!(!format!("{verification:?}").contains(KEY));
}

/// pytest's own words for a missing module, by a body.
#[tokio::test]
async fn a_body_that_plays_a_missing_runner_is_no_missing_runner() {
    if !has("pytest") {
        return;
    }
    let sample = Sample::new(&[
        ("pyproject.toml", "[tool.pytest.ini_options]\n"),
        ("shop.py", SHOP),
    ]);
    // pytest keeps standard error elsewhere meanwhile.
    let play = "import os\n\nfor stream in range(1, 20):\n    try:\n        os.write(stream, b'python3: No module named pytest\\n')\n    except OSError:\n        pass\nos._exit(1)\n\n\ndef test_sub():\n    assert sub(2, 1) == 1\n";
    let bodies = [
        ("add", "def test_add():\n    assert add(1, 2) == 3\n"),
        ("sub", play),
    ];
    let candidate = sample.candidate("shop.py", &bodies);
    let verification = sample.verify(candidate, LIMIT).await;
    assert_eq!(
        verdicts(&verification),
        [("add", Passed), ("sub", DoesNotCompile)],
        "{verification:#?}"
    );
    assert_eq!(verification.obstacle, None);
}

#[tokio::test]
async fn without_pytest_all_is_unverified() {
    if !has("venv") {
        return;
    }
    let sample = Sample::new(&[
        ("pyproject.toml", "[tool.pytest.ini_options]\n"),
        ("shop.py", SHOP),
    ]);
    let made = Command::new("python3")
        .args(["-m", "venv", "--without-pip", ".venv"])
        .current_dir(sample.root())
        .status();
    assert!(made.unwrap().success());
    let body = "def test_add():\n    assert add(1, 2) == 3\n";
    let candidate = sample.candidate("shop.py", &[("add", body)]);
    let verification = sample.verify(candidate, LIMIT).await;
    assert_eq!(verdicts(&verification), [("add", Unverified)]);
    let missing = Obstacle::Toolchain("pytest is not installed".to_owned());
    assert_eq!(verification.obstacle, Some(missing));
}

/// pytest itself ends in the first test that runs after this one was loaded; `sorted` only our own bodies use.
#[tokio::test]
async fn a_body_that_breaks_the_built_ins_sinks_no_other() {
    if !has("pytest") {
        return;
    }
    let sample = Sample::new(&[
        ("pyproject.toml", "[tool.pytest.ini_options]\n"),
        ("shop.py", SHOP),
    ]);
    for broken in ["len", "sorted"] {
        let good = |name: &str| {
            format!("def test_{name}():\n    assert sorted([2, {name}(1, 1)])[-1] == 2\n")
        };
        let bad = format!(
            "import builtins\n\nbuiltins.{broken} = None\n\n\ndef test_neg():\n    assert neg(1) == -1\n"
        );
        let bodies = [
            ("add", good("add")),
            ("sub", good("sub")),
            ("mul", good("mul")),
            ("neg", bad),
            ("idle", "def test_idle():\n    pass\n".to_owned()),
        ];
        let bodies: Vec<(&str, &str)> = bodies.iter().map(|(n, b)| (*n, b.as_str())).collect();
        let candidate = sample.candidate("shop.py", &bodies);
        let verification = sample.verify(candidate, LIMIT).await;
        let found = verdicts(&verification);
        let held: Vec<&str> = found
            .iter()
            .filter(|(_, verdict)| *verdict == Passed)
            .map(|(name, _)| *name)
            .collect();
        assert_eq!(held, ["add", "sub", "mul"], "{broken}: {verification:#?}");
        assert_eq!(found[4], ("idle", Fails));
        assert!(of(&verification, "idle").output.contains("it is empty"));
    }
}

#[tokio::test]
async fn what_breaks_a_test_around_it_or_holds_only_sometimes_is_found() {
    if !has("pytest") {
        return;
    }
    let sample = Sample::new(&[
        ("pyproject.toml", "[tool.pytest.ini_options]\n"),
        ("shop.py", SHOP),
        (
            "tests/unit/test_zz_human.py",
            "import shop\n\n\ndef test_human():\n    assert shop.inc(1) == 3\n",
        ),
    ]);
    let bodies = [
        (
            "add",
            "import shop\n\n\ndef test_add():\n    shop.touched = True\n    assert add(1, 2) == 3\n",
        ),
        (
            "inc",
            "import shop\n\n\nshop.RATE = 5\n\n\ndef test_inc():\n    assert inc(1) == 6\n",
        ),
        (
            "dec",
            "import shop\n\n\ndef test_dec():\n    assert not hasattr(shop, 'touched')\n",
        ),
    ];
    let candidate = sample.candidate("shop.py", &bodies);
    let verification = sample.verify(candidate, LIMIT).await;
    println!("{verification:#?}");
    assert_eq!(
        verdicts(&verification),
        [("add", Passed), ("inc", Fails), ("dec", Flaky)]
    );
    assert!(of(&verification, "inc").output.contains("test_human"));
}

#[tokio::test]
async fn each_body_of_a_unittest_batch_gets_its_own_verdict() {
    if !has("unittest") {
        return;
    }
    let sample = Sample::new(&[
        ("shop.py", SHOP),
        (
            "tests/test_human.py",
            "import unittest\n\n\nclass T(unittest.TestCase):\n    def test(self):\n        pass\n",
        ),
    ]);
    let bodies = [
        (
            "add",
            "class TestAdd(unittest.TestCase):\n    def test_sum(self):\n        self.assertEqual(add(1, 2), 3)\n",
        ),
        (
            "sub",
            "class TestSub(unittest.TestCase):\n    x = missing_name\n\n    def test_sub(self):\n        self.assertEqual(sub(2, 1), 1)\n",
        ),
        (
            "mul",
            "class TestMul(unittest.TestCase):\n    def test_bad(self):\n        for i in (1, 2):\n            with self.subTest(i=i):\n                self.assertEqual(mul(i, 2), 3)\n\n    def test_good(self):\n        self.assertEqual(mul(1, 2), 2)\n",
        ),
        (
            "neg",
            "class TestNeg(unittest.TestCase):\n    def test_hang(self):\n        while True:\n            pass\n",
        ),
    ];
    let candidate = sample.candidate("shop.py", &bodies);
    let verification = sample.verify(candidate, Duration::from_secs(3)).await;
    println!("{verification:#?}");
    let expected = [
        ("add", Passed),
        ("sub", DoesNotCompile),
        ("mul", Fails),
        ("neg", TimedOut),
    ];
    assert_eq!(verdicts(&verification), expected);
    assert!(of(&verification, "mul").is_finding);
    let text = verification.text.as_deref().unwrap();
    assert!(
        text.contains("test_good") && !text.contains("test_bad"),
        "{text}"
    );
}

#[tokio::test]
async fn a_command_of_the_users_is_used() {
    if !has("pytest") {
        return;
    }
    let sample = Sample::new(&[
        ("pyproject.toml", "[tool.pytest.ini_options]\n"),
        ("shop.py", SHOP),
    ]);
    let mut settings = settings(LIMIT);
    settings.commands = vec![(
        testsmith_domain::Language::Python,
        ["python3", "-m", "pytest"].map(str::to_owned).to_vec(),
    )];
    // A stand-in of pyenv's does not work without its home.
    settings.search_path = std::env::split_paths(&settings.search_path)
        .filter(|dir| !dir.ends_with("shims"))
        .fold(std::ffi::OsString::new(), |mut all, dir| {
            all.push(dir);
            all.push(":");
            all
        });
    let verifier = testsmith_verify::Verifier::new(
        settings,
        std::sync::Arc::new(testsmith_verify::MemoryVerdicts::default()),
    );
    let candidate = sample.candidate(
        "shop.py",
        &[("add", "def test_add():\n    assert add(1, 2) == 3\n")],
    );
    let verification = verifier.verify(candidate).await;
    assert_ne!(verification.runs, 0, "{verification:?}");
}
