//! Running TypeScript and JavaScript tests with the project's own runner.
//!
//! The whole test file is run, whatever is asked for: these runners load a file as one, and give
//! each file a process or a realm of its own.

use std::ffi::OsString;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use testsmith_domain::{RelPath, RunPlan, RunRequest, RunUnavailable};

use super::cases;
use super::manifest::Runner;
use super::script::Script;
use crate::dialect::Dialect;
use crate::runner::{custom, cut_out, files_above, find_program, identity};
use crate::syntax::comments_above;

mod report;

pub(super) use report::read;

const NODE_REPORTER: &str = include_str!("runner/node_reporter.mjs");

/// How to run the tests of one file.
pub(super) fn plan(request: &RunRequest<'_>) -> Result<RunPlan, RunUnavailable> {
    let runner = Runner::of(&request.file.framework);
    let root = &request.project.root;
    let path = request.file.test_path.under(root);
    let cwd = package_dir(root, &path);
    let scratch = request.scratch;
    let report = scratch.join(match runner {
        Runner::Node => "report.jsonl",
        _ => "report.json",
    });
    let node = find_program(request.search_path, "node");
    let (program, mut args, package) = if let Some(command) = request.command {
        let (program, args) = custom(command, request.search_path, &cwd)?;
        (program, args, None)
    } else {
        let node = node.ok_or_else(|| RunUnavailable("`node` is not installed".to_owned()))?;
        match package_name(runner) {
            None => (node, Vec::new(), None),
            Some(name) => {
                let (script, package) = installed(&path, name).ok_or_else(|| {
                    RunUnavailable(format!("`{name}` is not installed: run `npm install`"))
                })?;
                (node, vec![script.into()], Some(package))
            }
        }
    };
    let below = path.strip_prefix(&cwd).unwrap_or(&path);
    args.extend(arguments(runner, request, below, &report));
    let packages = package.map(|path| identity(&path)).unwrap_or_default();
    Ok(RunPlan {
        toolchain: format!("{runner:?} {} {packages}", identity(&program)),
        program,
        args,
        cwd,
        env: [("NO_COLOR", "1"), ("CI", "1")]
            .map(|(name, value)| (name.into(), value.into()))
            .to_vec(),
        files: match runner {
            Runner::Node => vec![(scratch.join("reporter.mjs"), NODE_REPORTER.to_owned())],
            _ => Vec::new(),
        },
        report: Some(report),
        caches: vec![request.cache.join("jest")],
        build_time: Duration::ZERO,
        settled_by: settled_by(root, &request.file.test_path),
    })
}

/// What says which packages are there, and how the runner and its compilers are set up.
fn settled_by(root: &Path, path: &RelPath) -> Vec<PathBuf> {
    const NAMES: [&str; 9] = [
        "package.json",
        "package-lock.json",
        "npm-shrinkwrap.json",
        "yarn.lock",
        "pnpm-lock.yaml",
        "bun.lock",
        "bun.lockb",
        ".pnp.cjs",
        "jsconfig.json",
    ];
    /// Configurations, which end in one of many ways.
    const BEGINNINGS: [&str; 9] = [
        "tsconfig",
        "vitest.",
        "vite.config.",
        "jest.config.",
        ".mocharc",
        "babel.config.",
        ".babelrc",
        ".swcrc",
        "node_modules",
    ];
    /// Where npm, pnpm and yarn note what they have installed.
    const INSTALLED: [&str; 3] = [".package-lock.json", ".modules.yaml", ".yarn-integrity"];
    let is_meant = |name: &str| {
        NAMES.contains(&name) || BEGINNINGS.iter().any(|begin| name.starts_with(begin))
    };
    let found = files_above(root, &[path], is_meant).into_iter();
    found
        .flat_map(|file| {
            if file.ends_with("node_modules") {
                INSTALLED.map(|name| file.join(name)).to_vec()
            } else {
                vec![file]
            }
        })
        .collect()
}

const fn package_name(runner: Runner) -> Option<&'static str> {
    match runner {
        Runner::Vitest => Some("vitest"),
        Runner::Jest => Some("jest"),
        Runner::Mocha | Runner::MochaChai => Some("mocha"),
        Runner::Node => None,
    }
}

fn arguments(
    runner: Runner,
    request: &RunRequest<'_>,
    path: &Path,
    report: &Path,
) -> Vec<OsString> {
    let with = |option: &str, path: &Path| {
        let mut text = OsString::from(option);
        text.push(path);
        text
    };
    let mut args: Vec<OsString> = match runner {
        Runner::Vitest => vec![
            "run".into(),
            "--reporter=json".into(),
            with("--outputFile.json=", report),
            // Errors that no test is told of are in no JSON.
            "--reporter=dot".into(),
            "--coverage.enabled=false".into(),
        ],
        Runner::Jest => vec![
            "--json".into(),
            with("--outputFile=", report),
            "--ci".into(),
            "--coverage=false".into(),
            "--watchman=false".into(),
            "--runInBand".into(),
            with("--cacheDirectory=", &request.cache.join("jest")),
            "--runTestsByPath".into(),
        ],
        Runner::Mocha | Runner::MochaChai => vec![
            "--reporter=json".into(),
            with("--reporter-option=output=", report),
            "--exit".into(),
        ],
        Runner::Node => vec![
            "--test".into(),
            with("--test-reporter=", &request.scratch.join("reporter.mjs")),
            with("--test-reporter-destination=", report),
        ],
    };
    args.push(path.into());
    args
}

/// The folder of the nearest `package.json`, within the project: where people run their tests.
fn package_dir(root: &Path, path: &Path) -> PathBuf {
    path.ancestors()
        .skip(1)
        .take_while(|dir| dir.starts_with(root))
        .find(|dir| dir.join("package.json").is_file())
        .unwrap_or(root)
        .to_owned()
}

/// The script that an installed package starts under its own name, and its `package.json`. Not the
/// one in `.bin`, which pnpm makes a shell script.
fn installed(path: &Path, name: &str) -> Option<(PathBuf, PathBuf)> {
    path.ancestors().skip(1).find_map(|dir| {
        let package = dir.join("node_modules").join(name);
        let manifest = package.join("package.json");
        let text = std::fs::read_to_string(&manifest).ok()?;
        let value: Value = serde_json::from_str(&text).ok()?;
        let bin = value.get("bin")?;
        let script = bin.as_str().or_else(|| bin.get(name)?.as_str())?;
        Some((package.join(script.trim_start_matches("./")), manifest))
    })
}

/// What is left of a body if only these tests stay. A group without tests goes.
pub(super) fn keep_tests(script: &Script<'_>, body: &str, keep: &[String]) -> Option<String> {
    let file = script.parse(body);
    let (nodes, kept) = cases::not_kept(&file, keep);
    let cut: Vec<Range<usize>> = nodes
        .into_iter()
        .map(|node| {
            let first = comments_above(&file, node);
            let start = first
                .first()
                .map_or(node.start_byte(), tree_sitter::Node::start_byte);
            file.whole_lines(&(start..node.end_byte()))
        })
        .collect();
    (kept > 0).then(|| cut_out(body, cut))
}

#[cfg(test)]
mod tests {

    use super::*;

    #[test]
    fn tests_are_cut_out_and_groups_left_empty_go() {
        let body = "describe('a', () => {\n  // One.\n  it('x', () => {});\n\n  it('y', () => {});\n});\n\ndescribe('b', () => {\n  it('z', () => {});\n});\n";
        let path = RelPath::new("a.testsmith.test.ts").unwrap();
        let keep = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            keep_tests(&Script::reading(&path), body, &names)
        };
        let left = "describe('a', () => {\n  it('y', () => {});\n});\n";
        assert_eq!(keep(&["a y"]).as_deref(), Some(left));
        assert_eq!(keep(&["a x", "a y", "b z"]).as_deref(), Some(body));
        assert_eq!(keep(&[]), None);
    }
}
