//! The end of a trial: what is written, what is kept, and what the user hears of.

use std::time::{SystemTime, UNIX_EPOCH};

use testsmith_domain::{
    BlockState, FailedBody, Finding, FindingState, Judgement, MemberName, Quarantined, Step,
    TestBody, Verdict, note, shortened,
};
use testsmith_generate::Decision;

use super::rounds::{Body, Failing, Rounds};
use super::trial::Trial;

impl Rounds<'_> {
    /// `None` if a newer save came in between.
    pub(super) async fn conclude(mut self) -> Option<Trial> {
        let mut new = Vec::new();
        for body in std::mem::take(&mut self.held) {
            self.trial.passed += 1;
            self.accept(body, &mut new);
        }
        let offered = self.result.error.is_none();
        let failing = std::mem::take(&mut self.failing);
        let (settled, waiting): (Vec<_>, Vec<_>) = failing
            .into_values()
            .partition(|failing| offered || failing.ended);
        for failing in &waiting {
            self.decide(&failing.body.member, &Decision::Failed);
        }
        self.find_stale(&settled).await?;
        let judgements = self.judge(&settled).await;
        for failing in settled {
            let judged = judgements.iter().find(|(m, _)| *m == failing.body.member);
            self.settle(failing, judged.map(|(_, judgement)| judgement), &mut new);
        }
        self.files
            .model
            .pipeline
            .keep(self.files.request, &new)
            .await;
        let members = &self.files.request.file.members;
        let place = |body: &TestBody| members.iter().position(|m| m.name == body.member);
        self.result.bodies.sort_by_key(|(body, _)| place(body));
        Some(self.trial)
    }

    /// Takes a body that holds; `new` are those that the cache has in another form.
    fn accept(&mut self, body: Body, new: &mut Vec<TestBody>) {
        let key = body.key.clone();
        let is_new = body.is_new();
        let body = body.into_test_body();
        if is_new {
            new.push(body.clone());
        }
        self.result.bodies.push((body, key));
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
        let judged = self
            .files
            .model
            .pipeline
            .judge(self.files.request, &failed)
            .await;
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

    /// Notes what did not hold; what of it holds is written.
    fn settle(&mut self, failing: Failing, judgement: Option<&Judgement>, new: &mut Vec<TestBody>) {
        let Failing {
            body,
            verdict,
            holds,
            ..
        } = failing;
        let member = body.member.clone();
        let findings = findings(self, &body, &verdict, judgement);
        if findings.is_empty() {
            self.decide(&member, &Decision::Quarantined);
            let quarantined = Quarantined {
                key: body.key.clone(),
                body: body.code.clone(),
                verdict: verdict.verdict,
                output: verdict.output,
                since: now(),
            };
            self.trial.quarantined.insert(member, quarantined);
        } else {
            self.decide(&member, &Decision::Finding);
            self.trial.findings.insert(member, findings);
        }
        if let Some(code) = holds {
            self.accept(Body { code, ..body }, new);
        }
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
    let tests = verdict.tests.iter().filter(|test| test.is_finding);
    tests
        .map(|test| Finding {
            id: Finding::id_of(&file.path, &body.member, &body.key, &test.name),
            key: body.key.clone(),
            test: test.name.clone(),
            body: body.code.clone(),
            output: test.output.clone(),
            judgement: judgement.cloned(),
            lines: member.map_or((0, 0), |member| member.lines),
            state: FindingState::Open,
            since: now(),
        })
        .collect()
}

/// Unix seconds.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}
