//! The last runs: what is left, as it would be written, beside the tests around it.

use testsmith_domain::{RunScope, TestOutcome, TestResult, Verdict};

use super::progress::Progress;
use super::{Abort, Baseline, Round, Session};
use crate::candidate::{Obstacle, Verification};
use crate::execute::RunInput;

/// What a run did to others than its own tests.
#[derive(Debug)]
struct Broken {
    words: String,
    /// Whether it is the whole group's doing if it is no single body's. An error that comes only now and then may be the
    /// project's own.
    by_the_group: bool,
}

impl Session<'_> {
    /// Runs what has passed until a run has nothing to say against it.
    pub(super) async fn settle(&mut self) -> Result<(), Abort> {
        let mut scope = RunScope::Around;
        let mut clean = 1;
        // Each run but the clean ones takes something away, or narrows the scope once.
        loop {
            let silent = self.open().into_iter();
            let silent: Vec<usize> = silent
                .filter(|index| self.member(*index).is_some_and(|m| !m.has_passed()))
                .collect();
            for index in silent {
                self.decide(index, Verdict::Fails, "none of its tests ran");
            }
            let Some(round) = self.round(self.open(), scope).await? else {
                return Ok(());
            };
            if round.is_unbuilt() {
                let halves = self.not_built(&round).await?;
                // Together they do not build, and each half was built before: the later half goes.
                if let [_, later] = halves.as_slice() {
                    for index in later {
                        let words = "it does not build together with the others";
                        self.decide(*index, Verdict::DoesNotCompile, words);
                    }
                }
                continue;
            }
            if self.take_away(&round, scope).await? {
                continue;
            }
            if round.is_incomplete() && scope == RunScope::Around {
                // The tests around do not get to an end: ours are run without them.
                scope = RunScope::Tests;
                continue;
            }
            clean += 1;
            if clean >= self.ground.settings.runs {
                self.text = Some(round.text);
                for index in round.group {
                    if let Some(member) = self.members.get_mut(index) {
                        member.settled = member.is_open();
                    }
                }
                return Ok(());
            }
            scope = RunScope::Tests;
        }
    }

    /// Takes away what this run speaks against. Whether there was anything.
    async fn take_away(&mut self, round: &Round, scope: RunScope) -> Result<bool, Abort> {
        if let Some((index, words)) = self.find_spoiler(round, scope).await? {
            self.decide(index, Verdict::Fails, &words);
            return Ok(true);
        }
        let mut found = false;
        let alone = round.is_incomplete() && scope == RunScope::Tests;
        for index in &round.group {
            for test in self
                .member(*index)
                .map(Progress::open_tests)
                .unwrap_or_default()
            {
                let outcome = round.ran.report.test(&test);
                let Some(words) = objection(outcome, alone) else {
                    continue;
                };
                let words = self.trim(&words);
                if let Some(member) = self.members.get_mut(*index).filter(|m| m.is_open()) {
                    member.drop_test(self.candidate, &test, (Verdict::Flaky, &words, false));
                    found = true;
                }
            }
        }
        if found || scope == RunScope::Tests || round.is_incomplete() {
            return Ok(found);
        }
        match self.broken_by(round).await? {
            Some(broken) => self.drop_breakers(&round.group, &broken).await,
            None => Ok(false),
        }
    }

    /// The tests around that fail in this run and pass without the candidate, or an error that no test is told of.
    async fn broken_by(&mut self, round: &Round) -> Result<Option<Broken>, Abort> {
        let failed = round.ran.report.others.iter();
        let failed: Vec<String> = failed
            .filter(|test| test.outcome > TestOutcome::Passed)
            .map(|test| test.name.clone())
            .collect();
        if failed.is_empty() {
            let stray = self.stray(round).await?;
            return Ok(stray.map(|words| Broken {
                words,
                by_the_group: false,
            }));
        }
        let passed = &self.baseline().await?.passed;
        let broken = failed.into_iter().filter(|name| passed.contains(name));
        let broken: Vec<String> = broken.collect();
        Ok((!broken.is_empty()).then(|| Broken {
            words: format!(
                "it breaks `{}`, which passes without it",
                broken.join("`, `")
            ),
            by_the_group: true,
        }))
    }

    /// Drops the bodies that break others: each runs alone beside the tests around. Whether there were any.
    async fn drop_breakers(&mut self, group: &[usize], broken: &Broken) -> Result<bool, Abort> {
        let mut found = false;
        if group.len() > 1 {
            for index in group {
                let Some(round) = self.round(vec![*index], RunScope::Around).await? else {
                    continue;
                };
                if let Some(broken) = self.broken_by(&round).await? {
                    self.decide(*index, Verdict::Fails, &broken.words);
                    found = true;
                }
            }
        }
        if !found && (broken.by_the_group || group.len() == 1) {
            for index in group {
                self.decide(*index, Verdict::Fails, &broken.words);
            }
            return Ok(true);
        }
        Ok(found)
    }

    /// The tests around without any of the new bodies; run once.
    pub(super) async fn baseline(&mut self) -> Result<&Baseline, Abort> {
        if self.baseline.is_none() {
            let text = self
                .ground
                .with(|ground| ground.candidate.without_bodies())
                .await;
            let text = text.map_err(|error| Abort::project(error.to_string()))?;
            let ran = self
                .execute(RunInput {
                    text,
                    tests: Vec::new(),
                    scope: RunScope::Around,
                })
                .await?;
            let fails = ran.fails_beside_its_tests();
            if let Some(reason) = ran.report.unavailable {
                return Err(Abort(Obstacle::Toolchain(reason)));
            }
            let passed = ran.report.others.iter();
            let passed = passed.filter(|test| test.outcome == TestOutcome::Passed);
            let errors = &ran.report.build_errors;
            let heard = !ran.report.others.is_empty();
            let broken = errors.first().filter(|_| !heard);
            let broken = broken.map(|error| self.trim(&error.message));
            self.baseline = Some(Baseline {
                passed: passed.map(|test| test.name.clone()).collect(),
                broken,
                blocked: ran.blocked,
                fails,
            });
        }
        // It was made just now, if not before.
        self.baseline
            .as_ref()
            .ok_or_else(|| Abort::project("no baseline"))
    }

    pub(super) async fn finish(self) -> Verification {
        let Self {
            ground,
            candidate,
            members,
            runs,
            blocked,
            text,
            obstacle,
            ..
        } = self;
        let members: Vec<_> = members
            .into_iter()
            .enumerate()
            .filter_map(|(index, member)| member.verdict(candidate, index))
            .collect();
        let holding: Vec<(usize, String)> = members
            .iter()
            .enumerate()
            .filter_map(|(index, member)| Some((index, member.holds.clone()?)))
            .collect();
        Verification {
            text: match text {
                // All that holds was known before, so that nothing was run.
                None if !holding.is_empty() => {
                    let composed = ground.compose(holding.clone()).await;
                    composed.ok().and_then(|composed| composed.text)
                }
                text => text,
            },
            accepted: candidate.edits_with(&holding, false),
            members,
            toolchain: None,
            obstacle,
            runs,
            blocked,
            elapsed: std::time::Duration::ZERO,
        }
    }
}

/// What a later run has to say against a test that passed before.
fn objection(result: Option<&TestResult>, incomplete: bool) -> Option<String> {
    let beside = "it passed before, and not beside the other tests";
    match result.map(|test| test.outcome) {
        Some(TestOutcome::Failed | TestOutcome::TimedOut) => {
            let output = result.map(|test| test.output.as_str()).unwrap_or_default();
            Some(format!("{beside}\n{output}"))
        }
        Some(TestOutcome::Unfinished) => Some(beside.to_owned()),
        None if incomplete => Some(beside.to_owned()),
        Some(TestOutcome::Passed | TestOutcome::Skipped) | None => None,
    }
}
