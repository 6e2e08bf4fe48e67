//! Reading what the runners tell.

use serde::Deserialize;
use serde_json::Value;
use testsmith_domain::{BuildError, RunReport, RunRequest, RunTranscript, TestOutcome, TestResult};

use super::super::manifest::Runner;
use crate::runner::{Results, placed};

/// Reads a report.
pub(in crate::typescript) fn read(
    request: &RunRequest<'_>,
    transcript: &RunTranscript<'_>,
) -> RunReport {
    let file_name = request.file.test_path.file_name();
    let mut reading = Reading {
        wanted: request.tests,
        file_name,
        results: Results::default(),
        build_errors: Vec::new(),
    };
    let understood = match Runner::of(&request.file.framework) {
        Runner::Vitest | Runner::Jest => reading.jest(transcript.report),
        Runner::Mocha | Runner::MochaChai => reading.mocha(transcript.report),
        Runner::Node => reading.node(transcript.report),
    };
    if !understood && !transcript.success {
        let said = [transcript.stdout, transcript.stderr].concat();
        reading.build_error(&said);
    }
    let (tests, others) = reading.results.split(request.tests);
    RunReport {
        tests,
        others,
        build_errors: reading.build_errors,
        unavailable: None,
    }
}

struct Reading<'a> {
    wanted: &'a [String],
    file_name: &'a str,
    results: Results,
    build_errors: Vec<BuildError>,
}

/// The JSON report of jest, which vitest's follows.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct JestReport {
    test_results: Vec<JestFile>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct JestFile {
    name: String,
    status: String,
    #[serde(default)]
    message: Option<String>,
    assertion_results: Vec<JestTest>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct JestTest {
    #[serde(default)]
    ancestor_titles: Vec<String>,
    title: String,
    status: String,
    #[serde(default)]
    failure_messages: Option<Vec<String>>,
}

/// One line of the reporter for `node --test`.
#[derive(Debug, Deserialize)]
struct NodeEvent {
    #[serde(rename = "event")]
    kind: String,
    titles: Vec<String>,
    #[serde(default)]
    file: Option<String>,
    #[serde(default)]
    suite: bool,
    #[serde(default)]
    outcome: String,
    #[serde(default)]
    failure: String,
    #[serde(default)]
    assertion: bool,
    #[serde(default)]
    text: String,
}

impl Reading<'_> {
    fn jest(&mut self, report: &str) -> bool {
        let Ok(report) = serde_json::from_str::<JestReport>(report) else {
            return false;
        };
        for file in report.test_results {
            let ours = file.name.ends_with(self.file_name);
            if ours && file.assertion_results.is_empty() && file.status == "failed" {
                self.build_error(file.message.as_deref().unwrap_or_default());
            }
            for test in file.assertion_results {
                let titles = test.ancestor_titles.iter().chain([&test.title]);
                let outcome = match test.status.as_str() {
                    "passed" => TestOutcome::Passed,
                    "failed" => TestOutcome::Failed,
                    _ => TestOutcome::Skipped,
                };
                let text = test.failure_messages.unwrap_or_default().join("\n");
                let assertion = text.starts_with("AssertionError") || text.contains("expect(");
                self.note(join(titles), outcome, assertion, &text, ours);
            }
        }
        true
    }

    fn mocha(&mut self, report: &str) -> bool {
        let Ok(report) = serde_json::from_str::<Value>(report) else {
            return false;
        };
        let lists = [
            ("passes", TestOutcome::Passed),
            ("failures", TestOutcome::Failed),
            ("pending", TestOutcome::Skipped),
        ];
        for (list, outcome) in lists {
            for test in report
                .get(list)
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
            {
                let field = |name: &str| test.get(name).and_then(Value::as_str).unwrap_or_default();
                let ours = field("file").ends_with(self.file_name);
                let error = test.get("err");
                let part = |name: &str| {
                    let part = error.and_then(|error| error.get(name));
                    part.and_then(Value::as_str).unwrap_or_default()
                };
                let text = if part("stack").is_empty() {
                    part("message")
                } else {
                    part("stack")
                };
                let assertion = text.starts_with("AssertionError");
                self.note(
                    field("fullTitle").to_owned(),
                    outcome,
                    assertion,
                    text,
                    ours,
                );
            }
        }
        true
    }

    fn node(&mut self, report: &str) -> bool {
        let mut heard = false;
        let mut open: Vec<String> = Vec::new();
        let mut said = String::new();
        for line in report.lines() {
            let Ok(event) = serde_json::from_str::<NodeEvent>(line) else {
                continue;
            };
            let file = event.file.as_deref().unwrap_or_default();
            let ours = file.ends_with(self.file_name);
            if event.kind == "stderr" {
                said.push_str(&event.text);
                continue;
            }
            // A file that cannot be loaded is a failed test by the file's own name.
            if event
                .titles
                .first()
                .is_some_and(|title| title.ends_with(self.file_name))
            {
                if event.kind == "end" && event.outcome == "failed" {
                    heard = true;
                    self.build_error(&said.clone());
                }
                continue;
            }
            let name = join(event.titles.iter());
            if event.kind == "start" {
                open.push(name);
                continue;
            }
            heard = true;
            open.retain(|open| *open != name);
            if event.suite {
                // The code around its tests threw, so that none of them is known.
                if ours && event.outcome == "failed" && event.failure == "testCodeFailure" {
                    self.build_error(&event.text);
                }
                continue;
            }
            let outcome = match event.outcome.as_str() {
                "skipped" => TestOutcome::Skipped,
                "passed" => TestOutcome::Passed,
                _ => TestOutcome::Failed,
            };
            self.note(name, outcome, event.assertion, &event.text, ours);
        }
        for name in open {
            let wanted = self.wanted.contains(&name);
            if wanted {
                self.note(name, TestOutcome::Unfinished, false, "", true);
            }
        }
        heard
    }

    fn note(
        &mut self,
        name: String,
        outcome: TestOutcome,
        assertion: bool,
        output: &str,
        ours: bool,
    ) {
        let expired =
            outcome == TestOutcome::Failed && TIMEOUTS.iter().any(|words| output.contains(words));
        let name = if ours {
            self.as_written(name)
        } else {
            format!("elsewhere: {name}")
        };
        self.results.add(TestResult {
            name,
            outcome: if expired {
                TestOutcome::TimedOut
            } else {
                outcome
            },
            assertion: assertion && !expired,
            output: output.replace(VITEST_TIMEOUT, "test timed out"),
        });
    }

    /// The name as the test file writes it, for a case of a parameterised test.
    fn as_written(&self, name: String) -> String {
        if self.wanted.contains(&name) {
            return name;
        }
        let written = self.wanted.iter().find(|wanted| stands_for(wanted, &name));
        written.cloned().unwrap_or(name)
    }

    fn build_error(&mut self, text: &str) {
        let line = placed(text, self.file_name)
            .first()
            .and_then(|error| error.line);
        self.build_errors.push(BuildError {
            line,
            message: text.trim().to_owned(),
        });
    }
}

/// What vitest's report holds in place of the message, since it shows a stack that was taken
/// before the test started.
const VITEST_TIMEOUT: &str = "STACK_TRACE_ERROR";

/// How vitest, jest, mocha and Node say that a test took too long.
const TIMEOUTS: [&str; 6] = [
    VITEST_TIMEOUT,
    "Test timed out in ",
    "Hook timed out in ",
    "Exceeded timeout of ",
    "Timeout of ",
    "test timed out after ",
];

fn join<'a>(titles: impl Iterator<Item = &'a String>) -> String {
    let titles: Vec<&str> = titles
        .map(String::as_str)
        .filter(|title| !title.is_empty())
        .collect();
    titles.join(" ")
}

/// Whether `name` can come of the title `written`, in which `%d`, `$name` and `${…}` stand for
/// something.
fn stands_for(written: &str, name: &str) -> bool {
    let mut parts = fixed_parts(written).into_iter();
    let Some(first) = parts.next() else {
        return false;
    };
    let Some(mut rest) = name.strip_prefix(first.as_str()) else {
        return false;
    };
    let mut last: Option<String> = None;
    for part in parts {
        if let Some(previous) = last.replace(part) {
            match rest.find(&previous) {
                Some(at) => rest = rest.get(at + previous.len()..).unwrap_or_default(),
                None => return false,
            }
        }
    }
    last.is_some_and(|last| rest.ends_with(last.as_str()))
}

/// The text between the placeholders of a title. One part only if there is none.
fn fixed_parts(written: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut chars = written.chars().peekable();
    while let Some(c) = chars.next() {
        let next = chars.peek().copied();
        match c {
            '`' => {}
            '%' if next.is_some_and(|next| "sdifjoOpc#$%".contains(next)) => {
                chars.next();
                parts.push(String::new());
            }
            '$' if next == Some('{') => {
                let mut depth = 0_u32;
                for c in chars.by_ref() {
                    match c {
                        '{' => depth += 1,
                        '}' => depth -= 1,
                        _ => {}
                    }
                    if depth == 0 {
                        break;
                    }
                }
                parts.push(String::new());
            }
            '$' if next.is_some_and(|next| next.is_alphabetic() || matches!(next, '_' | '#')) => {
                while chars
                    .next_if(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '#'))
                    .is_some()
                {}
                parts.push(String::new());
            }
            c => {
                if let Some(part) = parts.last_mut() {
                    part.push(c);
                }
            }
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_stand_for_anything() {
        assert!(stands_for("total adds %d and %d", "total adds 1 and 2"));
        assert!(!stands_for("total adds %d and %d", "total takes 1 and 2"));
        assert!(stands_for("total of $a.b is $c", "total of 1 is 2"));
        assert!(stands_for("total `of ${x.y({})}!`", "total of 3!"));
        assert!(
            !stands_for("total", "total"),
            "no placeholder, so the name itself has to do"
        );
    }
}
