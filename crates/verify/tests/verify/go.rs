//! Go.

use std::time::Duration;

use testsmith_domain::Verdict::{
    Blocked, DoesNotCompile, Fails, Flaky, Passed, TimedOut, Unverified,
};

use crate::sample::{Sample, of, settings, verdicts};

const LIMIT: Duration = Duration::from_secs(8);

const SHOP: &str = "package shop

var Rate = 2

func Add(a, b int) int { return a + b }
func Sub(a, b int) int { return a - b }
func Mul(a, b int) int { return a * b }
func Div(a, b int) int { return a / b }
func Neg(a int) int { return -a }
func Abs(a int) int { return a }
func Inc(a int) int { return a + Rate }
func Dec(a int) int { return a - 1 }
";

const HUMAN: &str = "package shop

import \"testing\"

func TestZZHuman(t *testing.T) {
	if Inc(1) != 3 {
		t.Fatal(\"broken\")
	}
}
";

fn shop() -> Sample {
    Sample::new(&[
        ("go.mod", "module example.com/shop\n\ngo 1.21\n"),
        ("shop.go", SHOP),
        ("zz_human_test.go", HUMAN),
    ])
}

fn test(name: &str, code: &str) -> String {
    format!("func Test{name}(t *testing.T) {{\n\t{code}\n}}\n")
}

/// A test that holds when it runs for the first time and never again: it leaves a mark in the build
/// cache, which is all that runs share.
fn flaky(sample: &Sample) -> String {
    let mark = sample
        .root()
        .file_name()
        .unwrap()
        .to_string_lossy()
        .into_owned();
    let code = format!(
        "mark := os.Getenv(\"GOCACHE\") + \"/{mark}\"\n\t_, err := os.Stat(mark)\n\tos.WriteFile(mark, nil, 0o600)\n\tif err == nil {{ t.Fatal(\"again\") }}"
    );
    format!("import \"os\"\n\n{}", test("Dec", &code))
}

fn batch(sample: &Sample) -> [(&'static str, String); 8] {
    let two = |one: String, other: String| format!("{one}\n{other}");
    [
        ("Add", test("Add", "if Add(1, 2) != 3 { t.Fatal(\"no\") }")),
        ("Sub", test("Sub", "var x int = \"no\"")),
        (
            "Mul",
            two(
                "import \"nothere/atall\"\n".to_owned(),
                test("Mul", "atall.X()"),
            ),
        ),
        (
            "Div",
            two(
                test("Div", "if Div(4, 2) != 2 { t.Fatal() }"),
                test("Div_zero", "_ = Div(1, 0)"),
            ),
        ),
        (
            "Neg",
            two(
                format!(
                    "import \"time\"\n\n{}",
                    test("Neg", "for { time.Sleep(time.Second) }")
                ),
                test("Neg_one", "if Neg(1) != -1 { t.Fatal() }"),
            ),
        ),
        (
            "Abs",
            test(
                "Abs",
                "if got := Abs(-1); got != 1 { t.Errorf(\"Abs(-1) = %d, want 1\", got) }",
            ),
        ),
        ("Inc", test("Inc", "Rate = 5; if Inc(1) != 6 { t.Fatal() }")),
        ("Dec", flaky(sample)),
    ]
}

/// Whether there is Go here.
fn has_go() -> bool {
    let ran = std::process::Command::new("go").arg("version").output();
    let found = ran.is_ok_and(|ran| ran.status.success());
    if !found {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "go not found");
        println!("skipped: go not found");
    }
    found
}

#[tokio::test]
async fn each_body_of_a_batch_gets_its_own_verdict() {
    if !has_go() {
        return;
    }
    let sample = shop();
    let bodies = batch(&sample);
    let bodies: Vec<(&str, &str)> = bodies.iter().map(|(n, b)| (*n, b.as_str())).collect();
    let candidate = sample.candidate("shop.go", &bodies);
    let verification = sample.verify(candidate, LIMIT).await;
    println!("{verification:#?}");
    assert_eq!(
        verdicts(&verification),
        [
            ("Add", Passed),
            ("Sub", DoesNotCompile),
            ("Mul", DoesNotCompile),
            ("Div", Fails),
            ("Neg", TimedOut),
            ("Abs", Fails),
            ("Inc", Fails),
            ("Dec", Flaky),
        ]
    );
    let text = verification.text.as_deref().unwrap();
    assert!(text.contains("func TestAdd("), "{text}");
    assert!(
        text.contains("func TestDiv(") && !text.contains("TestDiv_zero"),
        "{text}"
    );
    assert!(
        text.contains("func TestNeg_one(") && !text.contains("time.Sleep"),
        "{text}"
    );
    assert!(
        !text.contains("TestAbs") && !text.contains("TestInc"),
        "{text}"
    );
    assert!(of(&verification, "Abs").is_finding);
    assert!(
        of(&verification, "Abs")
            .output
            .contains("Abs(-1) = -1, want 1")
    );
    assert!(
        !of(&verification, "Div").is_finding,
        "a panic is no assertion"
    );
    assert!(of(&verification, "Inc").output.contains("TestZZHuman"));
    assert!(
        of(&verification, "Sub")
            .output
            .contains("shop_testsmith_test.go:")
    );
    assert_eq!(verification.accepted.len(), 3);
}

#[tokio::test]
async fn a_package_that_does_not_build_says_nothing_about_the_candidate() {
    if !has_go() {
        return;
    }
    let sample = Sample::new(&[
        ("go.mod", "module example.com/shop\n\ngo 1.21\n"),
        (
            "shop.go",
            "package shop\n\nfunc Add(a, b int) int { return a + b }\n",
        ),
        (
            "other.go",
            "package shop\n\nfunc broken() int { return \"\" }\n",
        ),
    ]);
    let body = test("Add", "if Add(1, 2) != 3 { t.Fatal() }");
    let candidate = sample.candidate("shop.go", &[("Add", &body)]);
    let verification = sample.verify(candidate, LIMIT).await;
    assert_eq!(verdicts(&verification), [("Add", Unverified)]);
    assert!(
        verification.members[0].output.contains("other.go:3"),
        "{verification:?}"
    );
}

#[tokio::test]
async fn without_a_toolchain_all_is_unverified() {
    let sample = shop();
    let body = test("Add", "if Add(1, 2) != 3 { t.Fatal() }");
    let candidate = sample.candidate("shop.go", &[("Add", &body)]);
    let mut settings = settings(LIMIT);
    settings.search_path = "/nowhere".into();
    let verifier = testsmith_verify::Verifier::new(
        settings,
        std::sync::Arc::new(testsmith_verify::MemoryVerdicts::default()),
    );
    let verification = verifier.verify(candidate).await;
    assert_eq!(verdicts(&verification), [("Add", Unverified)]);
    assert_eq!(verification.members[0].output, "`go` is not installed");
    assert_eq!(verification.runs, 0);
}

#[tokio::test]
async fn what_passes_takes_two_runs_and_is_known_afterwards() {
    if !has_go() {
        return;
    }
    let sample = shop();
    let body = test("Add", "if Add(1, 2) != 3 { t.Fatal() }");
    let verifier = crate::sample::verifier(LIMIT);
    let once = verifier
        .verify(sample.candidate("shop.go", &[("Add", &body)]))
        .await;
    assert_eq!((verdicts(&once), once.runs), (vec![("Add", Passed)], 2));
    let again = verifier
        .verify(sample.candidate("shop.go", &[("Add", &body)]))
        .await;
    assert_eq!((verdicts(&again), again.runs), (vec![("Add", Passed)], 0));
    assert_eq!(once.text, again.text);
    assert_eq!(once.accepted, again.accepted);
}

#[tokio::test]
async fn what_a_body_leaves_behind_keeps_it_out_and_not_its_neighbours() {
    if !has_go() {
        return;
    }
    let sample = Sample::new(&[
        ("go.mod", "module example.com/shop\n\ngo 1.21\n"),
        (".git/HEAD", "ref: refs/heads/main\n"),
        (".git/hooks/sample", "true\n"),
        ("shop/shop.go", SHOP),
    ]);
    let hook = test(
        "Add",
        "if os.WriteFile(\"../.git/hooks/pre-commit\", []byte(\"true\"), 0o755) != nil { t.Fatal() }",
    );
    let process = test(
        "Sub",
        "c := exec.Command(\"sleep\", \"1000\")\n\tc.SysProcAttr = &syscall.SysProcAttr{Setsid: true}\n\tif c.Start() != nil { t.Fatal() }",
    );
    let file = test(
        "Mul",
        "if os.WriteFile(\"left.txt\", nil, 0o644) != nil { t.Fatal() }",
    );
    let clean = test(
        "Div",
        "if os.WriteFile(t.TempDir() + \"/x\", nil, 0o644) != nil || Div(4, 2) != 2 { t.Fatal() }",
    );
    let bodies = [
        ("Add", format!("import \"os\"\n\n{hook}")),
        (
            "Sub",
            format!("import (\n\t\"os/exec\"\n\t\"syscall\"\n)\n\n{process}"),
        ),
        ("Mul", format!("import \"os\"\n\n{file}")),
        ("Div", format!("import \"os\"\n\n{clean}")),
    ];
    let bodies: Vec<(&str, &str)> = bodies.iter().map(|(n, b)| (*n, b.as_str())).collect();
    let candidate = sample.candidate("shop/shop.go", &bodies);
    let verification = sample.verify(candidate, LIMIT).await;
    println!("{verification:#?}");
    let expected = [
        ("Add", Blocked),
        ("Sub", Blocked),
        ("Mul", Blocked),
        ("Div", Passed),
    ];
    assert_eq!(verdicts(&verification), expected);
    let output = |member| of(&verification, member).output.clone();
    assert!(output("Add").contains("made `.git/hooks/pre-commit`"));
    assert!(output("Sub").contains("left a process behind"));
    assert!(output("Mul").contains("made `shop/left.txt`"));
}
