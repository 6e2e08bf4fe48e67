//! One candidate's way to its verdicts: which bodies run together, and what each run says of them.

mod again;
mod company;
mod progress;
mod settle;
mod tampering;

use std::sync::Arc;

use testsmith_domain::{
    BuildError, ComposeError, Rejection, RunReport, RunScope, TestOutcome, TestResult, Verdict,
};

use crate::candidate::{Candidate, MemberVerdict, Obstacle, Verification};
use crate::execute::{Executor, Ran, RunError, RunInput, Stop, execute};
use crate::ground::Ground;
use crate::words::{met_a_wall, trimmed};
use progress::Progress;

/// A candidate while it is verified.
#[derive(Debug)]
pub(crate) struct Session<'a> {
    executor: &'a Arc<dyn Executor>,
    ground: &'a Arc<Ground>,
    candidate: &'a Candidate,
    members: Vec<Progress>,
    /// The tests around, without any new body, once they were run.
    baseline: Option<Baseline>,
    runs: u32,
    blocked: Vec<String>,
    text: Option<String>,
    obstacle: Option<Obstacle>,
    /// Bodies that were run once more, since what kept them from being built was said of other files.
    doubted: Vec<usize>,
}

/// The tests around without the candidate.
#[derive(Debug)]
struct Baseline {
    passed: Vec<String>,
    /// Why nothing could be built.
    broken: Option<String>,
    /// What they tried and were kept from.
    blocked: Vec<String>,
    /// They end in failure although all of them hold.
    fails: bool,
}

/// Nothing more can be said about what is not decided yet.
#[derive(Debug)]
struct Abort(Obstacle);

impl Abort {
    fn project(reason: impl Into<String>) -> Self {
        Self(Obstacle::Project(reason.into()))
    }
}

/// One run of some bodies.
#[derive(Debug)]
struct Round {
    /// The bodies that were in it.
    group: Vec<usize>,
    text: String,
    ran: Ran,
}

impl From<RunError> for Abort {
    fn from(error: RunError) -> Self {
        Self(error.into())
    }
}

impl<'a> Session<'a> {
    pub(crate) fn new(
        executor: &'a Arc<dyn Executor>,
        ground: &'a Arc<Ground>,
        known: Vec<Option<MemberVerdict>>,
    ) -> Self {
        let candidate = &ground.candidate;
        let members = candidate.blocks.iter().zip(known).map(|(block, known)| {
            let tests = candidate.driver.test_names(&candidate.file, &block.body);
            Progress::new(&block.body, tests, known)
        });
        Self {
            executor,
            ground,
            candidate,
            members: members.collect(),
            baseline: None,
            runs: 0,
            blocked: Vec::new(),
            text: None,
            obstacle: None,
            doubted: Vec::new(),
        }
    }

    pub(crate) async fn judge(mut self) -> Verification {
        let ended = self.work().await;
        if let Err(Abort(obstacle)) = ended {
            let reason = obstacle.to_string();
            for member in &mut self.members {
                if !member.settled {
                    member.decide(Verdict::Unverified, &reason);
                }
            }
            self.obstacle = Some(obstacle);
        }
        self.finish().await
    }

    async fn work(&mut self) -> Result<(), Abort> {
        self.drop_empty().await;
        self.explore().await?;
        self.run_failures_again().await?;
        self.settle().await
    }

    /// Tests that say nothing hold for ever, and are no tests.
    async fn drop_empty(&mut self) {
        let empty = self.ground.with(|ground| {
            let Candidate {
                driver,
                file,
                blocks,
                ..
            } = &ground.candidate;
            let blocks = blocks.iter();
            let empty = blocks.map(|block| driver.empty_tests(file, &block.body));
            empty.collect::<Vec<_>>()
        });
        for (index, names) in empty.await.into_iter().enumerate() {
            for name in names {
                let words =
                    "it is empty: a test has to call what it tests, and check what comes of it";
                if let Some(member) = self.members.get_mut(index).filter(|m| m.is_open()) {
                    member.drop_test(self.candidate, &name, (Verdict::Fails, words, false));
                }
            }
        }
    }

    /// Runs all bodies, together as far as that tells them apart.
    async fn explore(&mut self) -> Result<(), Abort> {
        let mut groups = vec![self.open()];
        while let Some(group) = groups.pop() {
            if let Some(round) = self.round(group, RunScope::Tests).await? {
                groups.extend(self.take_in(round).await?);
            }
        }
        Ok(())
    }

    /// The bodies about which more is to be found out.
    fn open(&self) -> Vec<usize> {
        let indexes = 0..self.members.len();
        indexes
            .filter(|index| self.members.get(*index).is_some_and(Progress::is_open))
            .collect()
    }

    fn member(&self, index: usize) -> Option<&Progress> {
        self.members.get(index)
    }

    /// The bodies of `group` and those known to hold from before.
    fn bodies(&self, group: &[usize]) -> Vec<(usize, String)> {
        let all = self.members.iter().enumerate();
        all.filter(|(index, member)| member.settled_before() || group.contains(index))
            .map(|(index, member)| (index, member.body.clone()))
            .collect()
    }

    /// Composes and runs these bodies. `None` if nothing of them is left to run.
    async fn round(
        &mut self,
        mut group: Vec<usize>,
        scope: RunScope,
    ) -> Result<Option<Round>, Abort> {
        let text = loop {
            if group.is_empty() {
                return Ok(None);
            }
            let composed = match self.ground.compose(self.bodies(&group)).await {
                Ok(composed) => composed,
                Err(ComposeError::ResultBroken(problem)) => {
                    return Ok(Some(Round::broken(group, &problem.to_string())));
                }
                Err(error) => return Err(Abort::project(error.to_string())),
            };
            if composed.rejected.is_empty() {
                break composed.text.unwrap_or_default();
            }
            for (member, rejection) in composed.rejected {
                let index = self
                    .candidate
                    .blocks
                    .iter()
                    .position(|b| b.member == member);
                let verdict = match rejection {
                    Rejection::Edited => Verdict::Unverified,
                    Rejection::DuplicateName { .. } => Verdict::DoesNotCompile,
                };
                let before = group.len();
                group.retain(|of| Some(*of) != index);
                if let Some(index) = index.filter(|_| group.len() < before) {
                    self.decide(index, verdict, &rejection.to_string());
                } else {
                    // One that held before, or a removal: without it, the rest cannot be told.
                    return Err(Abort::project(rejection.to_string()));
                }
            }
        };
        let tests: Vec<String> = group
            .iter()
            .filter_map(|index| self.member(*index))
            .flat_map(Progress::open_tests)
            .collect();
        let input = RunInput {
            text: Some(text.clone()),
            tests,
            scope,
        };
        let ran = self.execute(input).await?;
        if ran.report.unavailable.is_some() {
            // So it is if the runner cannot work without them either. Else these are a body's own words, and no report.
            self.baseline().await?;
        }
        Ok(Some(Round { group, text, ran }))
    }

    async fn execute(&mut self, input: RunInput) -> Result<Ran, Abort> {
        self.runs += 1;
        let tests = input.tests.len();
        let ran = execute(self.executor, self.ground, input).await?;
        tracing::debug!(
            path = %self.candidate.test_path(),
            tests,
            heard = ran.report.tests.len(),
            build_errors = ran.report.build_errors.len(),
            stop = ?ran.stop,
            "tests run"
        );
        for blocked in &ran.blocked {
            if !self.blocked.contains(blocked) {
                self.blocked.push(blocked.clone());
            }
        }
        Ok(ran)
    }

    /// Notes what a run said; gives the groups that are to be run next.
    async fn take_in(&mut self, round: Round) -> Result<Vec<Vec<usize>>, Abort> {
        if round.is_unbuilt() {
            return self.not_built(&round).await;
        }
        let singly = |group: &[usize]| group.iter().map(|index| vec![*index]).collect();
        if self.is_accused_wrongly(&round).await? {
            return Ok(singly(&round.group));
        }
        let cut = self.cut_out(&round);
        if let Some(rest) = self.find_tampering(&round).await? {
            return Ok(rest);
        }
        if !round.is_incomplete()
            && let Some((index, words)) = self.find_spoiler(&round, RunScope::Tests).await?
        {
            self.decide(index, Verdict::Fails, &words);
            let rest = round.group.iter().copied();
            return Ok(vec![rest.filter(|of| *of != index).collect()]);
        }
        let mut again = Vec::new();
        for index in &round.group {
            let Some(member) = self.members.get_mut(*index).filter(|m| m.is_open()) else {
                continue;
            };
            let missing = member.take_in(&round.ran.report);
            if missing && round.is_incomplete() {
                again.push(*index);
            }
        }
        if !round.is_incomplete() {
            self.not_collected(&round);
            for index in &round.group {
                self.none_ran(*index);
            }
        }
        if again.is_empty() || cut {
            return Ok(vec![again]);
        }
        // It ended early, and it cannot be told by whom.
        if let [index] = round.group.as_slice() {
            let (verdict, words) = round.end();
            self.decide(*index, verdict, &words);
            return Ok(Vec::new());
        }
        Ok(singly(&round.group))
    }

    /// Cuts out the tests by which a run ended early or that took too long, if they are known.
    fn cut_out(&mut self, round: &Round) -> bool {
        let report = &round.ran.report;
        let with = |outcome: TestOutcome| -> Vec<TestResult> {
            let tests = report.tests.iter();
            tests
                .filter(|test| test.outcome == outcome)
                .cloned()
                .collect()
        };
        let mut culprits = with(TestOutcome::TimedOut);
        let unfinished = with(TestOutcome::Unfinished);
        let (end, words) = round.end();
        let end = if round.ran.stop.is_none() {
            Verdict::Fails
        } else {
            end
        };
        if culprits.is_empty() && unfinished.len() == 1 {
            culprits = unfinished;
        }
        let mut cut = false;
        for test in culprits {
            let verdict = match test.outcome {
                TestOutcome::TimedOut => Verdict::TimedOut,
                _ if met_a_wall(&test.output) => Verdict::Blocked,
                _ => end,
            };
            let said = if test.output.is_empty() {
                &words
            } else {
                &test.output
            };
            let said = self.trim(said);
            for index in &round.group {
                let Some(member) = self.members.get_mut(*index) else {
                    continue;
                };
                if member.is_open() && member.has(&test.name) {
                    member.drop_test(self.candidate, &test.name, (verdict, &said, false));
                    cut = true;
                }
            }
        }
        cut
    }

    /// A body of which no test ran is no pass.
    fn none_ran(&mut self, index: usize) {
        if self
            .member(index)
            .is_some_and(|m| m.is_open() && m.is_silent())
        {
            self.decide(index, Verdict::Fails, "none of its tests ran");
        }
    }

    fn decide(&mut self, index: usize, verdict: Verdict, words: &str) {
        let words = self.trim(words);
        if let Some(member) = self.members.get_mut(index) {
            member.decide(verdict, &words);
        }
    }

    fn trim(&self, words: &str) -> String {
        trimmed(
            words,
            &self.candidate.project.root,
            &self.ground.settings.scratch_dir,
        )
    }
}

impl Round {
    /// Bodies that cannot stand in one file, as a run that could not be built.
    fn broken(group: Vec<usize>, problem: &str) -> Self {
        let mut report = RunReport::default();
        report.build_errors.push(BuildError {
            line: None,
            message: problem.to_owned(),
        });
        Self {
            group,
            text: String::new(),
            ran: Ran {
                report,
                stop: None,
                success: false,
                blocked: Vec::new(),
                words: String::new(),
            },
        }
    }

    fn is_unbuilt(&self) -> bool {
        let report = &self.ran.report;
        !report.build_errors.is_empty() && report.tests.is_empty() && self.ran.stop.is_none()
    }

    /// Whether it ended before all tests had run.
    fn is_incomplete(&self) -> bool {
        let early = [TestOutcome::Unfinished, TestOutcome::TimedOut];
        let report = &self.ran.report;
        let mut tests = report.tests.iter().chain(&report.others);
        self.ran.stop.is_some() || tests.any(|test| early.contains(&test.outcome))
    }

    /// What is to be said of the one by whom it ended early.
    fn end(&self) -> (Verdict, String) {
        let words = &self.ran.words;
        match self.ran.stop {
            Some(Stop::Time) => (Verdict::TimedOut, "it did not end in time".to_owned()),
            Some(Stop::Limit) => (
                Verdict::Blocked,
                "it went over a limit: memory, output or processes".to_owned(),
            ),
            Some(Stop::Signal) | None if met_a_wall(words) || !self.ran.blocked.is_empty() => {
                (Verdict::Blocked, words.clone())
            }
            Some(Stop::Signal) | None => (
                Verdict::Fails,
                format!("the process ended in the middle of it\n{words}"),
            ),
        }
    }
}
