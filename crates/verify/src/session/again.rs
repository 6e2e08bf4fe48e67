//! What runs again: what is left when errors of the build are traced, and what failed.

use testsmith_domain::{RunScope, TestOutcome, Verdict};

use super::{Abort, Round, Session};
use crate::blame::{Suspect, blamed};
use crate::words::met_a_wall;

impl Session<'_> {
    /// Traces what kept a run from being built to bodies; what cannot be traced is halved.
    pub(super) async fn not_built(&mut self, round: &Round) -> Result<Vec<Vec<usize>>, Abort> {
        let Round { group, ran, .. } = round;
        let errors = &ran.report.build_errors;
        let found = self.traced(round);
        if !found.is_empty() {
            for (index, message) in &found {
                self.decide(*index, verdict_of_build(message), message);
            }
            let rest = group.iter().copied();
            let rest = rest.filter(|index| found.iter().all(|(of, _)| of != index));
            return Ok(vec![rest.collect()]);
        }
        if let Some(reason) = self.baseline().await?.broken.clone() {
            return Err(Abort::project(format!(
                "the tests around it do not build as they are: {reason}"
            )));
        }
        if let [index] = group.as_slice() {
            // Errors in other files, and the tests around build without it: a name of theirs is taken,
            // or somebody has mended them just now.
            let elsewhere = errors.iter().all(|error| error.line.is_none());
            if elsewhere && !self.doubted.contains(index) {
                self.doubted.push(*index);
                return Ok(vec![group.clone()]);
            }
            let messages: Vec<&str> = errors.iter().map(|error| error.message.as_str()).collect();
            let message = messages.join("\n");
            self.decide(*index, verdict_of_build(&message), &message);
            return Ok(Vec::new());
        }
        let (one, other) = group.split_at(group.len() / 2);
        Ok(vec![one.to_vec(), other.to_vec()])
    }

    /// Decides on bodies of which no test ran for an error that can be traced to them, while those of
    /// others did run: a group of tests that throws as it is collected.
    pub(super) fn not_collected(&mut self, round: &Round) {
        for (index, message) in self.traced(round) {
            if self
                .member(index)
                .is_some_and(|m| m.is_open() && m.is_silent())
            {
                self.decide(index, verdict_of_build(&message), &message);
            }
        }
    }

    /// The bodies to which a run's build errors can be traced, with these.
    fn traced(&self, round: &Round) -> Vec<(usize, String)> {
        let suspects: Vec<Suspect<'_>> = round
            .group
            .iter()
            .filter_map(|index| {
                Some(Suspect {
                    index: *index,
                    member: self.candidate.blocks.get(*index)?.member.as_str(),
                    body: &self.member(*index)?.body,
                })
            })
            .collect();
        blamed(&round.text, &round.ran.report.build_errors, &suspects)
    }

    /// Runs what failed once more, without what passed.
    pub(super) async fn run_failures_again(&mut self) -> Result<(), Abort> {
        let failed: Vec<usize> = self
            .open()
            .into_iter()
            .filter(|index| self.member(*index).is_some_and(|m| !m.failed.is_empty()))
            .collect();
        let second = if self.ground.settings.runs > 1 {
            self.round(failed.clone(), RunScope::Tests).await?
        } else {
            None
        };
        for index in failed {
            let first = self
                .member(index)
                .map(|m| m.failed.clone())
                .unwrap_or_default();
            for failure in first {
                let again = second
                    .as_ref()
                    .and_then(|r| r.ran.report.test(&failure.name));
                let (verdict, finding) = match again.map(|test| test.outcome) {
                    Some(TestOutcome::Passed) => (Verdict::Flaky, false),
                    _ if met_a_wall(&failure.output) => (Verdict::Blocked, false),
                    Some(TestOutcome::Failed) => {
                        let same = again.is_some_and(|test| test.assertion);
                        (Verdict::Fails, same && failure.assertion)
                    }
                    _ => (Verdict::Fails, false),
                };
                let said = self.trim(&failure.output);
                if let Some(member) = self.members.get_mut(index) {
                    member.drop_test(self.candidate, &failure.name, (verdict, &said, finding));
                }
            }
        }
        Ok(())
    }
}

/// Code that reaches for what is forbidden while it is loaded is not bad code only.
fn verdict_of_build(message: &str) -> Verdict {
    if met_a_wall(message) {
        Verdict::Blocked
    } else {
        Verdict::DoesNotCompile
    }
}
