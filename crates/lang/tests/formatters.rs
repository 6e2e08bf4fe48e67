//! Blocks after the real formatters have been over them: still as they were written, whatever the
//! formatter made of their layout; and edited once a single token is another one.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests; clippy knows only test functions themselves as tests"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

use testsmith_domain::{BlockState, LanguageDriver, RelPath};
use testsmith_lang::{GoDriver, PythonDriver, TypeScriptDriver};

/// The token in each block that is changed to see an edit.
const EDITED: (&str, &str) = ("4711", "4712");

/// A test file with the sample's bodies in blocks.
fn blocks(
    driver: &dyn LanguageDriver,
    path: &RelPath,
    (head, leader): (&str, &str),
    sample: &str,
) -> String {
    let mut text = head.to_owned();
    for part in sample.split("==== ").skip(1) {
        let (name, body) = part.split_once('\n').unwrap();
        let sum = driver.body_sum(path, body).short();
        text += &format!(
            "\n{leader} testsmith:begin {name} key=00000001 sum={sum}\n{body}{leader} testsmith:end {name}\n"
        );
    }
    text
}

/// The members whose blocks are edited, and of all blocks.
fn edited(driver: &dyn LanguageDriver, path: &RelPath, text: &str) -> (Vec<String>, Vec<String>) {
    let blocks = driver.blocks(path, text);
    let blocks = blocks.unwrap_or_else(|error| panic!("{error}\n{text}"));
    let name = |block: &testsmith_domain::Block| block.member.to_string();
    let all = blocks.iter().map(name).collect();
    let edited = blocks
        .iter()
        .filter(|block| block.state == BlockState::Edited);
    (edited.map(name).collect(), all)
}

/// Formats the sample by each of these commands, with the file's path behind it, and looks at the
/// blocks.
fn check(
    driver: &dyn LanguageDriver,
    (path, head, leader, sample): (&str, &str, &str, &str),
    commands: &[&[&str]],
) {
    let dir = tempfile::tempdir().unwrap();
    let path = RelPath::new(path).unwrap();
    let file = path.under(dir.path());
    let text = blocks(driver, &path, (head, leader), sample);
    assert_eq!(edited(driver, &path, &text).0, Vec::<String>::new());
    for command in commands {
        fs::write(&file, &text).unwrap();
        let (program, arguments) = command.split_first().unwrap();
        let output = Command::new(program)
            .args(arguments)
            .arg(&file)
            .current_dir(dir.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(output.status.success(), "{command:?}: {said}");
        let formatted = fs::read_to_string(&file).unwrap();
        assert_ne!(formatted, text, "{command:?} changed nothing: {said}");
        let (touched, all) = edited(driver, &path, &formatted);
        assert!(
            touched.is_empty(),
            "{command:?} edited {touched:?}:\n{formatted}"
        );
        for name in all {
            let end = formatted.find(&format!("testsmith:end {name}\n")).unwrap();
            let at = formatted[..end].rfind(EDITED.0).unwrap();
            let mut by_hand = formatted.clone();
            by_hand.replace_range(at..at + EDITED.0.len(), EDITED.1);
            assert_eq!(edited(driver, &path, &by_hand).0, [name]);
        }
    }
}

/// Whether `program` is there to install formatters with. If not: `false` after a word on it, but a
/// failure where CI must not miss it.
fn found(program: &str, arguments: &[&str]) -> bool {
    let ran = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    let found = ran.is_ok_and(|status| status.success());
    if !found {
        assert_ne!(env::var("CI").as_deref(), Ok("true"), "{program} not found");
        println!("skipped: {program} not found");
    }
    found
}

/// A folder for what is installed, made by `install` once for each target directory; its name has
/// the versions in it, so that a change is a new one.
fn installed(name: &str, install: impl Fn(&Path)) -> PathBuf {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&home).unwrap();
    let lock = fs::File::create(home.join("lock")).unwrap();
    // Held until the file is closed at the end of this function, or of the process.
    lock.lock().unwrap();
    let complete = home.join("complete");
    if !complete.exists() {
        install(&home);
        fs::write(complete, "").unwrap();
    }
    home
}

fn run(program: impl AsRef<std::ffi::OsStr>, arguments: &[&str], dir: &Path) {
    let status = Command::new(program)
        .args(arguments)
        .current_dir(dir)
        .stdin(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success(), "{arguments:?}: {status}");
}

#[test]
fn gofmt_edits_no_block() {
    if !found("gofmt", &["-h"]) && !found("go", &["version"]) {
        return;
    }
    let sample = include_str!("formatters/sample.go.txt");
    check(
        &GoDriver,
        ("cart_testsmith_test.go", "package cart\n", "//", sample),
        &[&["gofmt", "-w"], &["gofmt", "-s", "-w"]],
    );
}

const PYTHON: [&str; 2] = ["black==25.9.0", "ruff==0.14.0"];

#[test]
fn black_and_ruff_edit_no_block() {
    if !found("python3", &["-c", "import ensurepip, venv"]) {
        return;
    }
    let home = installed(&PYTHON.join("-").replace("==", "-"), |home| {
        run("python3", &["-m", "venv", "."], home);
        let pip = [
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
        ];
        run(home.join("bin/python"), &[&pip[..], &PYTHON].concat(), home);
    });
    let bin = |name: &str| home.join("bin").join(name).display().to_string();
    let sample = include_str!("formatters/sample.py.txt");
    check(
        &PythonDriver,
        ("test_cart.py", "import pytest\n", "#", sample),
        &[
            &[&bin("black"), "--quiet", "--target-version=py312"],
            &[
                &bin("black"),
                "--quiet",
                "--preview",
                "--unstable",
                "--target-version=py312",
            ],
            &[
                &bin("ruff"),
                "format",
                "--no-cache",
                "--target-version=py312",
            ],
            &[
                &bin("ruff"),
                "format",
                "--no-cache",
                "--preview",
                "--target-version=py312",
            ],
            &[
                &bin("ruff"),
                "format",
                "--no-cache",
                "--config",
                "format.quote-style='single'",
            ],
        ],
    );
}

const NODE: [&str; 2] = ["prettier@3.6.2", "@biomejs/biome@2.3.4"];

#[test]
fn prettier_and_biome_edit_no_block() {
    if !found("node", &["--version"]) || !found("npm", &["--version"]) {
        return;
    }
    let name = NODE.join("-").replace(['@', '/'], "");
    let home = installed(&name, |home| {
        fs::write(home.join("package.json"), "{\"private\":true}\n").unwrap();
        let npm = [
            "install",
            "--no-audit",
            "--no-fund",
            "--ignore-scripts",
            "--silent",
        ];
        run("npm", &[&npm[..], &NODE].concat(), home);
    });
    let prettier = home
        .join("node_modules/prettier/bin/prettier.cjs")
        .display()
        .to_string();
    let biome = home
        .join("node_modules/@biomejs/biome/bin/biome")
        .display()
        .to_string();
    let head = "import { describe, it } from 'vitest'\n";
    let strip = [
        "--no-semi",
        "--single-quote",
        "--arrow-parens=avoid",
        "--trailing-comma=none",
    ];
    let strip = [
        &["node", &prettier, "--write"][..],
        &strip,
        &["--quote-props=consistent", "--print-width=60"],
    ]
    .concat();
    let biome_bare = [
        "--javascript-formatter-quote-style=single",
        "--semicolons=as-needed",
        "--arrow-parentheses=as-needed",
        "--trailing-commas=none",
    ];
    let biome_bare = [&["node", &biome, "format", "--write"][..], &biome_bare].concat();
    let commands: [&[&str]; 4] = [
        &["node", &prettier, "--write"],
        &strip,
        &["node", &biome, "format", "--write"],
        &biome_bare,
    ];
    let typescript = include_str!("formatters/sample.ts.txt");
    check(
        &TypeScriptDriver,
        ("cart.testsmith.test.ts", head, "//", typescript),
        &commands,
    );
    let jsx = include_str!("formatters/sample.jsx.txt");
    check(
        &TypeScriptDriver,
        ("cart.testsmith.test.jsx", head, "//", jsx),
        &commands,
    );
}

/// Bodies that are alike but for what somebody changed by hand, close to what formatters change.
const BY_HAND: [(&str, &str, &str); 22] = [
    ("a.go", "var a = b[1:len(b)]", "var a = b[1:len(c)]"),
    ("a.go", "var a = []*T{&T{}}", "var a = []*T{&U{}}"),
    ("a.go", "var a = []T{&T{}}", "var a = []T{T{}}"),
    (
        "a.go",
        "func f() { for _, b := range c {} }",
        "func f() { for b := range c {} }",
    ),
    ("a.go", "var f func() (a, b)", "var f func() a"),
    ("a.go", "var f func(a) (b)", "var f func(b) (a)"),
    ("a.go", "// 1. a\nvar a int", "// 2. a\nvar a int"),
    ("a.py", "for (x,) in y: pass", "for x in y: pass"),
    ("a.py", "for x in (y,): pass", "for x in y: pass"),
    ("a.py", "del (a), b", "del a"),
    (
        "a.py",
        "match a:\n    case (1, 2): pass",
        "match a:\n    case 1 | 2: pass",
    ),
    ("a.ts", "a && (b || c)", "a && b || c"),
    ("a.ts", "a && (b && c)", "a && (b && d)"),
    ("a.ts", "a + (b + c)", "a + b + c"),
    ("a.ts", "x = 1.05", "x = 1.5"),
    ("a.ts", "x = 10", "x = 1"),
    ("a.ts", "x = { '01': 1 }", "x = { 1: 1 }"),
    ("a.ts", "it.each`a\n${1}`", "it.each`b\n${1}`"),
    ("a.ts", "html`a  b`", "html`a b`"),
    ("a.ts", "enum E { 'A' = 'B' }", "enum E { 'A' = B }"),
    ("a.jsx", "x = <p>a{' '}<b/></p>", "x = <p>a<b/></p>"),
    ("a.jsx", "x = <p><i/>{' '}<b/></p>", "x = <p><i/><b/></p>"),
];

#[test]
fn what_no_formatter_would_do_is_an_edit() {
    for (path, one, other) in BY_HAND {
        let path = RelPath::new(path).unwrap();
        let drivers = testsmith_lang::drivers();
        let driver = drivers.iter().find(|driver| driver.claims(&path)).unwrap();
        let sum = |body| driver.body_sum(&path, body);
        assert_ne!(sum(one), sum(other), "{one}\n{other}");
    }
}

/// Bodies whose sum was another before it let pass what newer rules let pass, with that sum.
const OLD_SUMS: [(&str, &str, &str); 3] = [
    ("a_test.go", "325f93fd", "func f() (int) { return 1 }\n"),
    ("test_a.py", "ac219569", "for (x) in y:\n    pass\n"),
    ("a.test.ts", "8c481374", "x = a && (b && 1.50);\n"),
];

#[test]
fn sums_of_older_versions_hold() {
    for (name, old, body) in OLD_SUMS {
        let path = RelPath::new(name).unwrap();
        let drivers = testsmith_lang::drivers();
        let driver = drivers.iter().find(|driver| driver.claims(&path)).unwrap();
        assert_ne!(driver.body_sum(&path, body).short(), old);
        let (head, leader) = match path.extension() {
            "go" => ("package a\n\n", "//"),
            "py" => ("", "#"),
            _ => ("", "//"),
        };
        let text = |body: &str| {
            format!(
                "{head}{leader} testsmith:begin A key=00000001 sum={old}\n{body}{leader} testsmith:end A\n"
            )
        };
        assert_eq!(
            edited(&**driver, &path, &text(body)).0,
            Vec::<String>::new()
        );
        let by_hand = body.replace('1', "2").replace('y', "z");
        assert_eq!(edited(&**driver, &path, &text(&by_hand)).0, ["A"]);
    }
}
