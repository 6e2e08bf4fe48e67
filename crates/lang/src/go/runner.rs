//! Running Go tests: `go test -json`, one package at a time.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use testsmith_domain::{
    BuildError, RelPath, RunPlan, RunReport, RunRequest, RunScope, RunTranscript, RunUnavailable,
    TestOutcome, TestResult,
};

use super::dialect::GoDialect;
use super::files::Module;
use super::names;
use crate::dialect::Dialect;
use crate::runner::{Results, custom, cut_out, files_above, find_program, identity, line_named};
use crate::syntax::{comments_above, named_children};

/// Building with a cold cache compiles the standard library, which takes tens of seconds.
const COLD_BUILD: Duration = Duration::from_mins(5);
/// Building one package when the standard library is there.
const WARM_BUILD: Duration = Duration::from_mins(1);

/// How to run the tests of one file, or its package.
pub(super) fn plan(request: &RunRequest<'_>) -> Result<RunPlan, RunUnavailable> {
    let root = &request.project.root;
    let path = &request.file.test_path;
    let cwd = root.join(path.dir());
    if Module::of(request.project, path).is_none() {
        return Err(RunUnavailable("there is no `go.mod` above it".to_owned()));
    }
    let (program, mut args) = if let Some(command) = request.command {
        custom(command, request.search_path, &cwd)?
    } else {
        let found = find_program(request.search_path, "go");
        let program = found.ok_or_else(|| RunUnavailable("`go` is not installed".to_owned()))?;
        (program, vec!["test".into()])
    };
    // `-e` shows all type errors, not ten, so that one round finds every bad body.
    let fixed = ["-json", "-count=1", "-gcflags=-e"];
    args.extend(fixed.map(Into::into));
    args.push(format!("-timeout={}ms", request.time_limit.as_millis()).into());
    if request.scope == RunScope::Tests {
        args.push("-run".into());
        args.push(format!("^({})$", request.tests.join("|")).into());
    }
    args.push(".".into());
    let build = request.cache.join("go-build");
    // Go makes a folder for each first byte of a digest as soon as it uses the cache.
    let warm = build.join("trim.txt").exists();
    Ok(RunPlan {
        toolchain: format!("go {}", identity(&program)),
        program,
        args,
        cwd,
        env: vec![
            // The home is another one in there; what was downloaded is still to be found.
            ("GOPATH".into(), go_path()),
            ("GOCACHE".into(), build.clone().into()),
            ("GOTOOLCHAIN".into(), "local".into()),
            ("GOPROXY".into(), "off".into()),
            ("GOSUMDB".into(), "off".into()),
            ("GOTELEMETRY".into(), "off".into()),
        ],
        files: Vec::new(),
        report: None,
        caches: vec![build],
        build_time: if warm { WARM_BUILD } else { COLD_BUILD },
        settled_by: settled_by(root, path),
    })
}

/// What says which modules a package is built with.
fn settled_by(root: &Path, path: &RelPath) -> Vec<PathBuf> {
    const NAMES: [&str; 4] = ["go.mod", "go.sum", "go.work", "go.work.sum"];
    let mut files = files_above(root, &[path], |name| NAMES.contains(&name));
    let vendored: Vec<PathBuf> = files
        .iter()
        .filter(|file| file.ends_with("go.mod"))
        .map(|file| file.with_file_name("vendor").join("modules.txt"))
        .collect();
    files.extend(vendored);
    files
}

/// Where Go keeps the modules it has downloaded, by its own rule.
fn go_path() -> OsString {
    std::env::var_os("GOPATH").unwrap_or_else(|| {
        let home = std::env::var_os("HOME").unwrap_or_default();
        Path::new(&home).join("go").into()
    })
}

/// One line of `go test -json`, see `go doc test2json`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Event {
    action: String,
    #[serde(default)]
    test: Option<String>,
    #[serde(default)]
    output: Option<String>,
}

/// What is known of one top-level test while the report is read.
#[derive(Debug, Default)]
struct Seen {
    order: usize,
    outcome: Option<TestOutcome>,
    output: String,
}

/// Reads a report.
pub(super) fn read(request: &RunRequest<'_>, transcript: &RunTranscript<'_>) -> RunReport {
    let mut tests: BTreeMap<String, Seen> = BTreeMap::new();
    // Before Go 1.24 what the compiler says comes as plain text, on either stream.
    let mut build = transcript.stderr.to_owned();
    for line in transcript.report.lines() {
        let Ok(event) = serde_json::from_str::<Event>(line) else {
            build.push_str(line);
            build.push('\n');
            continue;
        };
        match (event.action.as_str(), event.test, event.output) {
            ("build-output", _, Some(output)) => build.push_str(&output),
            (action, Some(test), output) => note(&mut tests, action, &test, output),
            // A panic outside of any test: in `init`, `TestMain` or a goroutine.
            ("output", None, Some(output)) if !is_summary(&output) => build.push_str(&output),
            _ => {}
        }
    }
    let ran = !tests.is_empty();
    let (tests, others) = results(tests).split(request.tests);
    RunReport {
        tests,
        others,
        build_errors: if ran || transcript.success {
            Vec::new()
        } else {
            build_errors(&build, request.file.test_path.file_name())
        },
        unavailable: None,
    }
}

/// Lines that only say how it went.
fn is_summary(output: &str) -> bool {
    [
        "FAIL",
        "PASS",
        "ok ",
        "ok\t",
        "exit status",
        "?",
        "testing: warning",
        "coverage:",
    ]
    .iter()
    .any(|start| output.starts_with(start))
}

fn note(tests: &mut BTreeMap<String, Seen>, action: &str, test: &str, output: Option<String>) {
    let (top, is_sub) = match test.split_once('/') {
        Some((top, _)) => (top, true),
        None => (test, false),
    };
    let order = tests.len();
    let seen = tests.entry(top.to_owned()).or_insert_with(|| Seen {
        order,
        ..Seen::default()
    });
    let outcome = match action {
        "pass" => Some(TestOutcome::Passed),
        "fail" => Some(TestOutcome::Failed),
        "skip" => Some(TestOutcome::Skipped),
        _ => None,
    };
    if !is_sub && outcome.is_some() {
        seen.outcome = outcome;
    }
    if let Some(output) = output
        && !output.starts_with("=== ")
    {
        seen.output.push_str(&output);
    }
}

fn results(tests: BTreeMap<String, Seen>) -> Results {
    let mut ordered: Vec<(String, Seen)> = tests.into_iter().collect();
    ordered.sort_by_key(|(_, seen)| seen.order);
    let expired = expired(&ordered);
    let mut results = Results::default();
    for (name, seen) in ordered {
        let panicked = seen.output.contains("panic: ") && seen.output.contains("\ngoroutine ");
        let outcome = match seen.outcome {
            None | Some(TestOutcome::Failed) if expired.contains(&name) => TestOutcome::TimedOut,
            // It waited for the one that took too long: nothing is known of it.
            None if !expired.is_empty() => continue,
            None => TestOutcome::Unfinished,
            // A panic ends the process, and with it all tests after this one.
            Some(TestOutcome::Failed) if panicked => TestOutcome::Unfinished,
            Some(outcome) => outcome,
        };
        results.add(TestResult {
            name,
            outcome,
            assertion: outcome == TestOutcome::Failed,
            output: seen.output,
        });
    }
    results
}

const EXPIRED: &str = "panic: test timed out after ";

/// The tests that were running when time was up. Go lists them in the output of one of them.
fn expired(tests: &[(String, Seen)]) -> Vec<String> {
    let Some((name, seen)) = tests.iter().find(|(_, seen)| seen.output.contains(EXPIRED)) else {
        return Vec::new();
    };
    let listed = seen
        .output
        .lines()
        .skip_while(|line| line.trim() != "running tests:");
    let listed: Vec<String> = listed
        .skip(1)
        .take_while(|line| !line.trim().is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .filter_map(|test| test.split('/').next())
        .map(str::to_owned)
        .collect();
    if listed.is_empty() {
        vec![name.clone()]
    } else {
        listed
    }
}

/// The compiler's words by the lines they are about. A line that starts with white space goes on
/// with the one before; it may be the one that names our file.
fn build_errors(text: &str, file_name: &str) -> Vec<BuildError> {
    let mut errors: Vec<BuildError> = Vec::new();
    for line in text.lines() {
        if line.trim().is_empty() || line.starts_with("# ") || is_summary(line) {
            continue;
        }
        let named = line_named(line, file_name);
        match errors.last_mut() {
            Some(last) if line.starts_with(['\t', ' ']) => {
                last.message.push('\n');
                last.message.push_str(line.trim());
                last.line = last.line.or(named);
            }
            _ => errors.push(BuildError {
                line: named,
                message: line.trim().to_owned(),
            }),
        }
    }
    if errors.is_empty() {
        errors.push(BuildError {
            line: None,
            message: "the package could not be tested".to_owned(),
        });
    }
    errors
}

/// What is left of a body if only these tests stay.
pub(super) fn keep_tests(body: &str, keep: &[String]) -> Option<String> {
    let file = GoDialect.parse(body);
    let mut cut: Vec<Range<usize>> = Vec::new();
    let mut kept = false;
    for node in named_children(file.root()) {
        match names::test_name(&file, node) {
            Some(name) if keep.iter().any(|keep| keep == name) => kept = true,
            Some(_) => {
                let first = comments_above(&file, node).first().copied().unwrap_or(node);
                cut.push(file.whole_lines(&(first.start_byte()..node.end_byte())));
            }
            None => {}
        }
    }
    kept.then(|| cut_out(body, cut))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_cut_out_with_their_comments() {
        let body = "import \"os\"\n\nfunc helper() {}\n\n// TestA is one.\nfunc TestA(t *testing.T) {\n\t_ = os.Args\n}\n\nfunc TestB(t *testing.T) {}\n";
        let keep = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            keep_tests(body, &names)
        };
        let left = "import \"os\"\n\nfunc helper() {}\n\nfunc TestB(t *testing.T) {}\n";
        assert_eq!(keep(&["TestB"]).as_deref(), Some(left));
        assert_eq!(keep(&["TestA", "TestB"]).as_deref(), Some(body));
        assert_eq!(keep(&[]), None);
    }

    #[test]
    fn errors_that_go_on_belong_to_the_file_they_name() {
        let text = "# example.com/x\n./b_test.go:1:6: F redeclared in this block\n\t./a_test.go:9:6: other declaration of F\n./c.go:2:1: bad\n";
        let errors = build_errors(text, "a_test.go");
        let lines: Vec<Option<u32>> = errors.iter().map(|error| error.line).collect();
        assert_eq!(lines, [Some(9), None]);
        assert!(errors[0].message.ends_with("other declaration of F"));
    }

    #[test]
    fn go_says_who_was_running_when_time_was_up() {
        let seen = |output: &str| Seen {
            output: output.to_owned(),
            ..Seen::default()
        };
        let tests = [
            ("TestA".to_owned(), seen("")),
            (
                "TestC".to_owned(),
                seen(
                    "panic: test timed out after 2s\n\trunning tests:\n\t\tTestA (2s)\n\t\tTestB/x (1s)\n\ngoroutine 5\n",
                ),
            ),
        ];
        assert_eq!(expired(&tests), ["TestA", "TestB"]);
    }
}
