//! The end of a trial: what is written, what is kept, and what the user hears of.

use std::time::{SystemTime, UNIX_EPOCH};

use testsmith_control::JobPhase;
use testsmith_domain::{
    BlockKey, BlockState, FailedBody, Finding, FindingState, Judgement, MemberName, Quarantined,
    Step, TestBody, Verdict, note, shortened,
};
use testsmith_generate::Decision;

use super::rounds::{Body, Failing, Rounds};
use super::trial::Trial;
use crate::calls::enter;

impl Rounds<'_> {
    /// `None` if a newer save came in between.
    pub(super) async fn conclude(mut self) -> Option<Trial> {
        let mut ready = std::mem::take(&mut self.held);
        let offered = self.result.error.is_none();
        let failing = std::mem::take(&mut self.failing);
        let (settled, waiting): (Vec<_>, Vec<_>) = failing
            .into_values()
            // Without a model to say who is wrong, a finding waits for one too.
            .partition(|failing| offered || failing.ended && !failing.verdict.is_finding);
        for failing in &waiting {
            self.decide(&failing.body.member, &Decision::Failed);
        }
        self.find_stale(&settled).await?;
        let judgements = self.judge(&settled).await;
        let mut new: Vec<(TestBody, BlockKey)> = ready
            .iter()
            .filter(|body| body.is_new())
            .map(Body::with_key)
            .collect();
        let whole = ready.len();
        for failing in settled {
            // The cache keeps the whole body: what of it holds is known by its verdict, and the rest
            // is not forgotten.
            if failing.holds.is_some() && failing.body.is_new() {
                new.push(failing.body.with_key());
            }
            let judged = judgements.iter().find(|(m, _)| *m == failing.body.member);
            ready.extend(self.settle(failing, judged.map(|(_, judgement)| judgement)));
        }
        if ready.len() > whole {
            ready = self.together(ready).await?;
        }
        self.trial.passed = u32::try_from(ready.len()).unwrap_or(u32::MAX);
        let written = ready.into_iter().map(|body| {
            let key = body.key.clone();
            (body.into_test_body(), key)
        });
        self.result.bodies.extend(written);
        let pipeline = self.files.pipeline;
        pipeline.keep(self.files.request, &new).await;
        let members = &self.files.request.file.members;
        let place = |body: &TestBody| members.iter().position(|m| m.name == body.member);
        self.result.bodies.sort_by_key(|(body, _)| place(body));
        Some(self.trial)
    }

    /// Parts of bodies were run beside what was cut out of them, and not beside all that is written
    /// now: what does not hold in that company goes too.
    async fn together(&mut self, ready: Vec<Body>) -> Option<Vec<Body>> {
        let candidate = self.candidate(ready.iter());
        let verification = self.verify(candidate).await?;
        let mut kept = Vec::new();
        for body in ready {
            let mut verdicts = verification.members.iter();
            match verdicts.find(|verdict| verdict.member == body.member) {
                Some(verdict) if verdict.verdict == Verdict::Passed => kept.push(body),
                Some(verdict) => {
                    let known = self.trial.findings.contains_key(&body.member)
                        || self.trial.quarantined.contains_key(&body.member);
                    if !known {
                        self.quarantine(&body, verdict.verdict, &verdict.output);
                    }
                }
                None => {}
            }
        }
        Some(kept)
    }

    fn decide(&mut self, member: &MemberName, decision: &Decision) {
        for (name, _, decided) in &mut self.result.decisions {
            if name == member {
                decided.clone_from(decision);
            }
        }
    }

    /// Blocks of the tree that were written for older code, or never run, do not stay if they do not
    /// hold and nothing takes their place.
    async fn find_stale(&mut self, settled: &[Failing]) -> Option<()> {
        let mut older = Vec::new();
        for failing in settled.iter().filter(|failing| failing.holds.is_none()) {
            let member = &failing.body.member;
            if failing.body.in_tree {
                self.trial.stale.insert(member.clone());
                continue;
            }
            let blocks = self.files.request.blocks.iter();
            let block = blocks
                .filter(|block| block.state == BlockState::Pristine)
                .find(|block| block.member == *member);
            if let Some(block) = block {
                older.push(Body {
                    code: block.body.clone(),
                    key: block.key.clone(),
                    ..failing.body.clone()
                });
            }
        }
        if older.is_empty() {
            return Some(());
        }
        let candidate = self.candidate(older.iter());
        let verification = self.verify(candidate).await?;
        for verdict in verification.members {
            if !matches!(verdict.verdict, Verdict::Passed | Verdict::Unverified) {
                self.trial.stale.insert(verdict.member);
            }
        }
        Some(())
    }

    /// Asks who is wrong where a test fails in an assertion each time. Without an answer the finding
    /// stands all the same.
    async fn judge(&mut self, settled: &[Failing]) -> Vec<(MemberName, Judgement)> {
        let failed: Vec<FailedBody> = settled
            .iter()
            .filter(|failing| failing.verdict.is_finding)
            .map(Failing::for_the_model)
            .collect();
        if failed.is_empty() || !self.files.model.exists || self.result.error.is_some() {
            return Vec::new();
        }
        enter(JobPhase::Asking);
        let judged = self.files.pipeline.judge(self.files.request, &failed).await;
        self.result.effort.add(judged.effort);
        if let Some(error) = &judged.error {
            let error: &dyn std::error::Error = error;
            tracing::info!(error, "the model was asked who is wrong, and could not say");
        }
        for (member, judgement) in &judged.judgements {
            note(|| Step::Remark {
                text: format!(
                    "{member}: asked who is wrong: {}; {}",
                    judgement.wrong.as_str(),
                    shortened(&judgement.reason)
                ),
            });
        }
        judged.judgements
    }

    /// Notes what did not hold. Gives what of it does.
    fn settle(&mut self, failing: Failing, judgement: Option<&Judgement>) -> Option<Body> {
        let Failing {
            body,
            verdict,
            holds,
            ..
        } = failing;
        let findings = findings(self, &body, &verdict, judgement);
        if findings.is_empty() {
            self.quarantine(&body, verdict.verdict, &verdict.output);
        } else {
            self.decide(&body.member, &Decision::Finding);
            self.trial.findings.insert(body.member.clone(), findings);
        }
        holds.map(|code| Body { code, ..body })
    }

    fn quarantine(&mut self, body: &Body, verdict: Verdict, output: &str) {
        self.decide(&body.member, &Decision::Quarantined);
        let quarantined = Quarantined {
            key: body.key.clone(),
            body: body.code.clone(),
            verdict,
            output: output.to_owned(),
            since: unix_seconds(),
        };
        self.trial
            .quarantined
            .insert(body.member.clone(), quarantined);
    }
}

fn findings(
    rounds: &Rounds<'_>,
    body: &Body,
    verdict: &testsmith_verify::MemberVerdict,
    judgement: Option<&Judgement>,
) -> Vec<Finding> {
    let file = &rounds.files.request.file;
    let member = file.members.iter().find(|m| m.name == body.member);
    let passed = verdict.tests.iter();
    let beside: Vec<String> = passed
        .filter(|test| test.verdict == Verdict::Passed)
        .map(|test| test.name.clone())
        .collect();
    let tests = verdict.tests.iter().filter(|test| test.is_finding);
    tests
        .map(|test| Finding {
            id: Finding::id_of(&file.path, &body.member, &body.key, &test.name),
            key: body.key.clone(),
            test: test.name.clone(),
            beside: beside.clone(),
            body: body.code.clone(),
            output: test.output.clone(),
            judgement: judgement.cloned(),
            lines: member.map_or((0, 0), |member| member.lines),
            state: FindingState::Open,
            since: unix_seconds(),
        })
        .collect()
}

/// Seconds since the Unix epoch.
pub(crate) fn unix_seconds() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}
