//! Running Python tests: pytest with a reporter of ours, or a runner of ours on unittest.
//!
//! Both tell of each test as it starts and as it ends. The XML of `--junitxml` is written at the end
//! only, so that a test that hangs could not be told from those before it.

use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use testsmith_domain::{
    BuildError, RunPlan, RunReport, RunRequest, RunScope, RunTranscript, RunUnavailable,
    TestOutcome, TestResult,
};

use super::dialect::Python;
use super::environment;
use super::found_tests::{is_test, is_test_class};
use super::framework::{human_tests, is_unittest};
use super::layout::Layout;
use super::outline::{body_of, undecorated};
use crate::dialect::Dialect;
use crate::runner::{Results, custom, cut_out, files_above, identity, placed, result};
use crate::syntax::{comments_above, named_children};

const PYTEST_REPORT: &str = include_str!("runner/pytest_report.py");
const UNITTEST_REPORT: &str = include_str!("runner/unittest_report.py");
/// The name of the module that [`PYTEST_REPORT`] is written to.
const PLUGIN: &str = "testsmith_report";
/// Where both report to, beside themselves.
const REPORT: &str = "report.jsonl";
/// Tests of other files that are run to see whether they still pass.
const MOST_AROUND: usize = 20;

/// How to run the tests of one file.
pub(super) fn plan(request: &RunRequest<'_>) -> Result<RunPlan, RunUnavailable> {
    let root = &request.project.root;
    let layout = Layout::of(root, &request.file.path);
    let cwd = root.join(&layout.subproject);
    let (program, mut args, identity) = if let Some(command) = request.command {
        let (program, args) = custom(command, request.search_path, &cwd)?;
        let identity = identity(&program);
        (program, args, identity)
    } else {
        let found = environment::find(root, &cwd, request.search_path)?;
        (found.python, Vec::new(), found.identity)
    };
    let scratch = request.scratch;
    let mut env = vec![("PYTHONDONTWRITEBYTECODE".into(), "1".into())];
    if let Some(home) = std::env::var_os("HOME") {
        // The home is another one in there; what was installed for the user is still to be found.
        env.push((
            "PYTHONUSERBASE".into(),
            Path::new(&home).join(".local").into(),
        ));
    }
    let file = if is_unittest(&request.file.framework) {
        let runner = scratch.join(format!("{PLUGIN}.py"));
        if request.command.is_none() {
            args.push(runner.clone().into());
        }
        args.push(request.file.test_path.under(root).into());
        if request.scope == RunScope::Tests {
            args.extend(request.tests.iter().map(Into::into));
        }
        (runner, UNITTEST_REPORT.to_owned())
    } else {
        if request.command.is_none() {
            args.extend(["-m", "pytest"].map(Into::into));
        }
        args.extend(["-p", PLUGIN, "-p", "no:cacheprovider", "-q"].map(Into::into));
        let own = test_path_below(&layout, request);
        if request.scope == RunScope::Tests {
            args.extend(
                request
                    .tests
                    .iter()
                    .map(|test| format!("{own}::{test}").into()),
            );
        } else {
            args.extend(around(request, &layout).into_iter().map(Into::into));
            args.push(own.into());
        }
        env.push(("PYTHONPATH".into(), scratch.into()));
        (
            scratch.join(format!("{PLUGIN}.py")),
            PYTEST_REPORT.to_owned(),
        )
    };
    Ok(RunPlan {
        toolchain: format!("python {identity}"),
        program,
        args,
        cwd,
        env,
        files: vec![file],
        report: Some(scratch.join(REPORT)),
        caches: Vec::new(),
        build_time: Duration::ZERO,
        settled_by: files_above(
            root,
            &[&request.file.path, &request.file.test_path],
            settles,
        ),
    })
}

/// Whether a file of this name says what is installed, or what pytest does before a test.
fn settles(name: &str) -> bool {
    const NAMES: [&str; 14] = [
        "pyproject.toml",
        "setup.cfg",
        "setup.py",
        "tox.ini",
        "pytest.ini",
        ".pytest.ini",
        "conftest.py",
        "uv.lock",
        "poetry.lock",
        "pdm.lock",
        "pylock.toml",
        "Pipfile",
        "Pipfile.lock",
        ".python-version",
    ];
    let extension = Path::new(name).extension();
    let is_list = name.starts_with("requirements") && extension.is_some_and(|e| e == "txt");
    is_list || NAMES.contains(&name)
}

/// The test file as seen from the subproject, where pytest runs.
fn test_path_below(layout: &Layout, request: &RunRequest<'_>) -> String {
    let path = request.file.test_path.as_str();
    super::layout::below(&layout.subproject, path)
        .unwrap_or(path)
        .to_owned()
}

/// The tests by people that name the module, before which or after which ours may run.
fn around(request: &RunRequest<'_>, layout: &Layout) -> Vec<String> {
    let root = &request.project.root;
    let module = &request.file.module;
    let last = module.rsplit('.').next().unwrap_or(module);
    human_tests(root, layout)
        .into_iter()
        .filter(|path| {
            let text = crate::read::shown(root, path).unwrap_or_default();
            !last.is_empty() && text.contains(last)
        })
        .take(MOST_AROUND)
        .map(|path| {
            super::layout::below(&layout.subproject, path.as_str())
                .unwrap_or(path.as_str())
                .to_owned()
        })
        .collect()
}

/// One line of a report.
#[derive(Debug, Deserialize)]
struct Event {
    #[serde(rename = "event")]
    kind: String,
    id: String,
    #[serde(default)]
    outcome: String,
    #[serde(default)]
    text: String,
    #[serde(default)]
    assertion: bool,
}

/// Reads a report.
pub(super) fn read(request: &RunRequest<'_>, transcript: &RunTranscript<'_>) -> RunReport {
    let file_name = request.file.test_path.file_name();
    let events = transcript
        .report
        .lines()
        .filter_map(|line| serde_json::from_str::<Event>(line).ok());
    let mut started: Vec<String> = Vec::new();
    let mut results = Results::default();
    let mut build_errors = Vec::new();
    let mut heard = false;
    for event in events {
        heard = true;
        let name = test_name(&event.id, file_name);
        match event.kind.as_str() {
            "start" => started.push(name),
            "end" => {
                started.retain(|started| *started != name);
                results.add(TestResult {
                    outcome: outcome(&event.outcome),
                    name,
                    assertion: event.assertion,
                    output: event.text,
                });
            }
            "collect" if event.id.ends_with(file_name) => {
                build_errors.push(collect_error(&event.text, file_name));
            }
            _ => {}
        }
    }
    for name in started {
        results.add(result(&name, TestOutcome::Unfinished));
    }
    let said = [transcript.stdout, transcript.stderr].concat();
    let mut unavailable = None;
    if !heard && !transcript.success {
        if said.contains("No module named pytest") {
            unavailable = Some("pytest is not installed".to_owned());
        }
        build_errors.push(collect_error(&said, file_name));
    }
    let (tests, others) = results.split(request.tests);
    RunReport {
        tests,
        others,
        build_errors,
        unavailable,
    }
}

fn outcome(word: &str) -> TestOutcome {
    match word {
        "passed" => TestOutcome::Passed,
        "skipped" => TestOutcome::Skipped,
        _ => TestOutcome::Failed,
    }
}

/// `test_x` for `tests/testsmith/test_a.py::test_x[1-2]`; the whole for a test of another file.
fn test_name(id: &str, file_name: &str) -> String {
    let (path, name) = id.split_once("::").unwrap_or(("", id));
    if path.is_empty() || path.ends_with(file_name) {
        name.split('[').next().unwrap_or(name).to_owned()
    } else {
        id.to_owned()
    }
}

/// The last line of our file that a traceback names is where the error was met.
fn collect_error(text: &str, file_name: &str) -> BuildError {
    let line = placed(text, file_name).last().and_then(|error| error.line);
    BuildError {
        line,
        message: text.trim().to_owned(),
    }
}

/// What is left of a body if only these tests stay. A class without tests goes.
pub(super) fn keep_tests(body: &str, keep: &[String], unittest: bool) -> Option<String> {
    let file = Python.parse(body);
    let separator = if unittest { "." } else { "::" };
    let mut cut: Vec<Range<usize>> = Vec::new();
    let mut kept = 0_usize;
    let range = |node: tree_sitter::Node<'_>| {
        let first = comments_above(&file, node)
            .first()
            .map_or(node.start_byte(), tree_sitter::Node::start_byte);
        file.whole_lines(&(first..node.end_byte()))
    };
    for node in named_children(file.root()) {
        let inner = undecorated(node);
        let name = file.field(inner, "name").unwrap_or_default();
        if inner.kind() == "function_definition" && !unittest && is_test(&file, node) {
            if keep.iter().any(|keep| keep == name) {
                kept += 1;
            } else {
                cut.push(range(node));
            }
        } else if inner.kind() == "class_definition" && is_test_class(&file, inner, unittest) {
            let (stay, go): (Vec<_>, Vec<_>) = body_of(inner)
                .into_iter()
                .filter(|method| is_test(&file, *method))
                .partition(|method| {
                    let method = file.field(undecorated(*method), "name").unwrap_or_default();
                    let full = format!("{name}{separator}{method}");
                    keep.contains(&full)
                });
            kept += stay.len();
            if stay.is_empty() && !go.is_empty() {
                cut.push(range(node));
            } else {
                cut.extend(go.into_iter().map(range));
            }
        }
    }
    (kept > 0).then(|| cut_out(body, cut))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keep(body: &str, names: &[&str], unittest: bool) -> Option<String> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        keep_tests(body, &names, unittest)
    }

    #[test]
    fn tests_are_cut_out_with_decorators_and_comments() {
        let body = "import os\n\n\n# One.\n@pytest.mark.x\ndef test_a():\n    os.x()\n\n\nclass TestC:\n    def test_b(self):\n        pass\n\n    def test_c(self):\n        pass\n";
        let left = "import os\n\n\nclass TestC:\n    def test_c(self):\n        pass\n";
        assert_eq!(keep(body, &["TestC::test_c"], false).as_deref(), Some(left));
        let left = "import os\n\n\n# One.\n@pytest.mark.x\ndef test_a():\n    os.x()\n";
        assert_eq!(keep(body, &["test_a"], false).as_deref(), Some(left));
        assert_eq!(keep(body, &[], false), None);
    }

    #[test]
    fn names_are_those_of_the_driver() {
        assert_eq!(
            test_name("tests/testsmith/test_a.py::test_x[1::2]", "test_a.py"),
            "test_x"
        );
        assert_eq!(
            test_name("tests/test_b.py::test_x[1]", "test_a.py"),
            "tests/test_b.py::test_x[1]"
        );
        assert_eq!(test_name("TestCart.test_x", "test_a.py"), "TestCart.test_x");
    }
}
