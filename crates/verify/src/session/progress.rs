//! What is known of one body so far.

use testsmith_domain::{RunReport, TestOutcome, TestResult, Verdict};

use crate::candidate::{Candidate, MemberVerdict, TestVerdict};
use crate::words::{MOST_BYTES, trimmed};

/// One body on its way to a verdict.
#[derive(Debug)]
pub(super) struct Progress {
    /// What is left of the body.
    pub(super) body: String,
    /// All its tests.
    tests: Vec<String>,
    passed: Vec<String>,
    /// Tests that failed when they first ran.
    pub(super) failed: Vec<TestResult>,
    judged: Vec<TestVerdict>,
    /// Nothing of it holds, and why.
    over: Option<(Verdict, String)>,
    /// What is left of it ran as it would be written.
    pub(super) settled: bool,
    known: Option<MemberVerdict>,
}

impl Progress {
    pub(super) fn new(body: &str, tests: Vec<String>, known: Option<MemberVerdict>) -> Self {
        let holds = known.as_ref().and_then(|known| known.holds.clone());
        Self {
            body: holds.unwrap_or_else(|| body.to_owned()),
            tests,
            passed: Vec::new(),
            failed: Vec::new(),
            judged: Vec::new(),
            over: None,
            settled: known.is_some(),
            known,
        }
    }

    /// Whether more is to be found out about it.
    pub(super) fn is_open(&self) -> bool {
        self.over.is_none() && !self.settled
    }

    /// Whether it was known from before that it holds, or part of it.
    pub(super) fn settled_before(&self) -> bool {
        self.known
            .as_ref()
            .is_some_and(|known| known.holds.is_some())
    }

    /// The tests that are left of it.
    pub(super) fn open_tests(&self) -> Vec<String> {
        let judged = |name: &String| self.judged.iter().any(|test| test.name == *name);
        self.tests
            .iter()
            .filter(|name| !judged(name))
            .cloned()
            .collect()
    }

    /// Whether a test of this name is left of it.
    pub(super) fn has(&self, name: &str) -> bool {
        self.open_tests().iter().any(|test| test == name)
    }

    /// Whether none of its tests was heard of.
    pub(super) fn is_silent(&self) -> bool {
        self.passed.is_empty() && self.failed.is_empty() && self.judged.is_empty()
    }

    /// Whether a test that is left of it has held.
    pub(super) fn has_passed(&self) -> bool {
        let open = self.open_tests();
        self.passed.iter().any(|name| open.contains(name))
    }

    /// Notes the results of its tests, in place of earlier ones. Whether one of them is missing.
    pub(super) fn take_in(&mut self, report: &RunReport) -> bool {
        self.passed.clear();
        self.failed.clear();
        let mut missing = false;
        for name in self.open_tests() {
            match report.test(&name) {
                Some(test) if test.outcome == TestOutcome::Passed => self.passed.push(name),
                Some(test) if test.outcome == TestOutcome::Failed => {
                    self.failed.push(test.clone());
                }
                Some(test) if test.outcome == TestOutcome::Skipped => {}
                Some(_) | None => missing = true,
            }
        }
        missing
    }

    /// Nothing of it holds.
    pub(super) fn decide(&mut self, verdict: Verdict, words: &str) {
        if self.over.is_none() {
            self.over = Some((verdict, words.to_owned()));
            self.settled = false;
        }
    }

    /// Judges one test and cuts it out of the body.
    pub(super) fn drop_test(
        &mut self,
        candidate: &Candidate,
        name: &str,
        (verdict, words, is_finding): (Verdict, &str, bool),
    ) {
        if !self.has(name) {
            return;
        }
        self.judged.push(TestVerdict {
            name: name.to_owned(),
            verdict,
            output: words.to_owned(),
            is_finding,
        });
        self.failed.retain(|test| test.name != name);
        let left = self.open_tests();
        match candidate
            .driver
            .keep_tests(&candidate.file, &self.body, &left)
        {
            Some(body) if !left.is_empty() => self.body = body,
            _ => self.decide(verdict, words),
        }
    }

    /// The verdict, with what was found out.
    pub(super) fn verdict(self, candidate: &Candidate, index: usize) -> Option<MemberVerdict> {
        if let Some(known) = self.known {
            return Some(known);
        }
        let member = candidate.blocks.get(index)?.member.clone();
        let worst = self.judged.iter().map(|test| test.verdict).max();
        let holds = self.over.is_none() && self.settled;
        let verdict = match (&self.over, worst) {
            (Some((Verdict::Unverified, _)), _) => Verdict::Unverified,
            (Some((verdict, _)), worst) => worst.map_or(*verdict, |worst| worst.max(*verdict)),
            (None, Some(worst)) => worst,
            (None, None) => Verdict::Passed,
        };
        Some(MemberVerdict {
            member,
            verdict,
            holds: holds.then_some(self.body),
            is_finding: self.judged.iter().any(|test| test.is_finding),
            output: words(&self.judged, self.over.as_ref()),
            tests: all(&self.tests, &self.judged, holds),
        })
    }
}

/// What was said about the tests, each under its name; of a body as a whole, first.
fn words(judged: &[TestVerdict], over: Option<&(Verdict, String)>) -> String {
    let whole = over.filter(|(_, words)| judged.iter().all(|test| test.output != *words));
    let mut out = whole.map_or(String::new(), |(_, words)| format!("{words}\n"));
    let share = MOST_BYTES / judged.len().max(1);
    for test in judged {
        let part = test.output.get(..test.output.floor_char_boundary(share));
        out.push_str(&format!(
            "{} {}:\n{}\n",
            test.name,
            test.verdict,
            part.unwrap_or_default()
        ));
    }
    trimmed(&out, std::path::Path::new("/"), std::path::Path::new("/"))
}

/// The verdicts of the tests that were judged, and of the others if they hold.
fn all(tests: &[String], judged: &[TestVerdict], hold: bool) -> Vec<TestVerdict> {
    tests
        .iter()
        .filter_map(|name| {
            let known = judged.iter().find(|test| test.name == *name);
            let passed = || TestVerdict {
                name: name.clone(),
                verdict: Verdict::Passed,
                output: String::new(),
                is_finding: false,
            };
            known.cloned().or_else(|| hold.then(passed))
        })
        .collect()
}
