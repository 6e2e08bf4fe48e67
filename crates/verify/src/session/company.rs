//! What bodies do to those they run with: one that breaks what all stand on (`builtins`, a global), and errors that no
//! test is told of.

use testsmith_domain::{RunScope, TestOutcome, TestResult};

use super::progress::Progress;
use super::{Abort, Round, Session};
use crate::words::met_a_wall;

/// Groups larger than this are not run without each of their bodies in turn.
const MOST_TRIED: usize = 16;

impl Session<'_> {
    /// Whether a run ended in a test that ends well alone: what ended it was done by another body before.
    pub(super) async fn is_accused_wrongly(&mut self, round: &Round) -> Result<bool, Abort> {
        if round.ran.stop.is_some() || round.group.len() < 2 {
            return Ok(false);
        }
        let tests = round.ran.report.tests.iter();
        let mut unfinished = tests.filter(|test| test.outcome == TestOutcome::Unfinished);
        let (Some(test), None) = (unfinished.next(), unfinished.next()) else {
            return Ok(false);
        };
        let mut group = round.group.iter().copied();
        let accused = group.find(|index| self.member(*index).is_some_and(|m| m.has(&test.name)));
        let Some(accused) = accused.filter(|_| !names_itself(test)) else {
            return Ok(false);
        };
        let alone = self.round(vec![accused], RunScope::Tests).await?;
        Ok(alone.is_some_and(|alone| !alone.is_incomplete() && !alone.is_unbuilt()))
    }

    /// The body without which others hold that fail beside it, if so much fails, or in such a way, that one is to be
    /// suspected. Told with the tests that it sinks.
    pub(super) async fn find_spoiler(
        &mut self,
        round: &Round,
        scope: RunScope,
    ) -> Result<Option<(usize, String)>, Abort> {
        let sunk = self.sunk(round);
        if round.group.len() > MOST_TRIED || !self.is_suspicious(round, &sunk) {
            return Ok(None);
        }
        for index in &round.group {
            let saved = self.saved_without(*index, round, &sunk, scope).await?;
            // Once more: what fails by chance may have held by chance.
            if saved.is_empty() || saved != self.saved_without(*index, round, &sunk, scope).await? {
                continue;
            }
            let tests = saved.iter().filter_map(|of| self.member(*of));
            let tests: Vec<String> = tests.flat_map(Progress::open_tests).collect();
            let words = format!(
                "beside it `{}` fails, and not without it",
                tests.join("`, `")
            );
            return Ok(Some((*index, words)));
        }
        Ok(None)
    }

    /// Those of the `sunk` that hold in a run without this body, if they are enough to accuse it.
    async fn saved_without(
        &mut self,
        index: usize,
        round: &Round,
        sunk: &[usize],
        scope: RunScope,
    ) -> Result<Vec<usize>, Abort> {
        let others = |of: &usize| *of != index;
        let rest: Vec<usize> = round.group.iter().copied().filter(others).collect();
        let without = self.round(rest, scope).await?;
        let Some(without) = without.filter(|without| !without.is_unbuilt()) else {
            return Ok(Vec::new());
        };
        let still = self.sunk(&without);
        let saved = sunk.iter().copied().filter(others);
        let saved: Vec<usize> = saved.filter(|of| !still.contains(of)).collect();
        let is_enough = saved.len() >= 2 || (saved.len() == 1 && still.is_empty());
        Ok(if is_enough { saved } else { Vec::new() })
    }

    /// The bodies of which a test failed, or was met by the end of the process.
    fn sunk(&self, round: &Round) -> Vec<usize> {
        let report = &round.ran.report;
        let fails = |index: &&usize| {
            let member = self.member(**index);
            let mut tests = member.into_iter().flat_map(Progress::open_tests);
            tests.any(|test| {
                report
                    .test(&test)
                    .is_some_and(|test| test.outcome > TestOutcome::Passed)
            })
        };
        round.group.iter().filter(fails).copied().collect()
    }

    /// Whether all fail but perhaps one, or several in the same words, which assertions seldom do.
    fn is_suspicious(&self, round: &Round, sunk: &[usize]) -> bool {
        let report = &round.ran.report;
        let ended_early = report
            .tests
            .iter()
            .any(|test| test.outcome == TestOutcome::Unfinished);
        if ended_early && round.group.len() > 1 && round.ran.stop.is_none() {
            return true;
        }
        if sunk.len() < 2 {
            return false;
        }
        let mut last_words: Vec<&str> = report
            .tests
            .iter()
            .filter(|test| test.outcome == TestOutcome::Failed && !test.assertion)
            .filter(|test| !met_a_wall(&test.output))
            .filter(|test| {
                let mut members = sunk.iter().filter_map(|index| self.member(*index));
                members.any(|member| member.has(&test.name))
            })
            .filter_map(|test| {
                test.output
                    .lines()
                    .rev()
                    .find(|line| !line.trim().is_empty())
            })
            .collect();
        let all = last_words.len();
        last_words.sort_unstable();
        last_words.dedup();
        sunk.len() + 1 >= round.group.len() || last_words.len() < all
    }

    /// What was said by a run that failed although all its tests hold: an error after a test's end. Not if the tests
    /// around end so without any body.
    pub(super) async fn stray(&mut self, round: &Round) -> Result<Option<String>, Abort> {
        let members = round.group.iter().filter_map(|index| self.member(*index));
        let mut tests = members.flat_map(Progress::open_tests);
        let all_heard = tests.all(|test| round.ran.report.test(&test).is_some());
        if !all_heard || !round.ran.fails_beside_its_tests() {
            return Ok(None);
        }
        if self.baseline().await?.fails {
            return Ok(None);
        }
        let errors = round.ran.report.build_errors.iter();
        let said: Vec<&str> = errors.map(|error| error.message.as_str()).collect();
        let said = said.join("\n");
        let said = if said.trim().is_empty() {
            round.ran.words.as_str()
        } else {
            said.as_str()
        };
        Ok(Some(format!(
            "its tests hold, and the run fails all the same\n{said}"
        )))
    }
}

/// Whether the words of a crash name the function of the test in which it was met.
fn names_itself(test: &TestResult) -> bool {
    let call = [".", test.name.as_str()].concat();
    let mut places = test.output.match_indices(&call);
    places.any(|(at, _)| {
        let rest = test.output.get(at + call.len()..).unwrap_or_default();
        rest.starts_with('(') || rest.starts_with(".func")
    })
}
