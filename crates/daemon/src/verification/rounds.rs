//! Run, mend, ask, run again.

use std::collections::BTreeMap;
use std::sync::Arc;

use testsmith_config::{VerifyMode, VerifySettings};
use testsmith_control::JobPhase;
use testsmith_domain::{
    BlockEdit, BlockKey, BlockState, ContentHash, FailedBody, Member, MemberName, SCAFFOLD_NOTE,
    Step, TestBody, Verdict, note, shortened,
};
use testsmith_generate::{Decision, FileRequest, FileResult, Pipeline};
use testsmith_verify::{
    Candidate, CandidateBlock, MemberVerdict, Obstacle, Verification, Verifier,
};
use tokio_util::sync::CancellationToken;

use super::trial::{Delay, Trial};
use crate::calls::enter;
use crate::merge::taken_out;
use crate::model::Model;

/// How often in a row rules may change one round's bodies: each rule mends one thing.
const MOST_MENDS: u32 = 4;

/// The file whose bodies are tried.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Files<'a> {
    /// The model that wrote the bodies, and is asked to mend them.
    pub(crate) model: &'a Model,
    /// What runs them, if anything does.
    pub(crate) verifier: Option<&'a Verifier>,
    pub(crate) settings: &'a VerifySettings,
    /// How it is asked.
    pub(crate) pipeline: &'a Pipeline,
    pub(crate) request: &'a FileRequest,
    /// The test file as it is now.
    pub(crate) existing: Option<&'a str>,
    /// Members whose blocks cannot be written, whatever is in them.
    pub(crate) refused: &'a [MemberName],
}

/// A body on trial.
#[derive(Debug, Clone)]
pub(super) struct Body {
    pub(super) member: MemberName,
    pub(super) key: BlockKey,
    pub(super) code: String,
    pub(super) model: String,
    pub(super) source: ContentHash,
    /// As the cache has it.
    pub(super) found: String,
    /// Whether it is in the tree already, unverified.
    pub(super) in_tree: bool,
}

/// A body that did not hold.
#[derive(Debug)]
pub(super) struct Failing {
    pub(super) body: Body,
    pub(super) verdict: MemberVerdict,
    /// What of an earlier body or of this one holds.
    pub(super) holds: Option<String>,
    /// Whether a better one was asked for and fails in the same way, or there is none.
    pub(super) ended: bool,
}

/// The state of a trial.
pub(super) struct Rounds<'a> {
    pub(super) verifier: &'a Verifier,
    pub(super) files: Files<'a>,
    pub(super) superseded: &'a CancellationToken,
    pub(super) result: &'a mut FileResult,
    pub(super) held: Vec<Body>,
    pub(super) failing: BTreeMap<MemberName, Failing>,
    pub(super) trial: Trial,
}

/// Runs the bodies of `result`, and blocks of the test file that were never run; leaves in it those
/// that hold. `None` if a newer save came in between.
pub(crate) async fn try_bodies(
    files: Files<'_>,
    result: &mut FileResult,
    superseded: &CancellationToken,
) -> Option<Trial> {
    let Some(verifier) = files.verifier else {
        return Some(Trial::default());
    };
    let rounds = Rounds {
        verifier,
        files,
        superseded,
        result,
        held: Vec::new(),
        failing: BTreeMap::new(),
        trial: Trial::default(),
    };
    rounds.go().await
}

impl Rounds<'_> {
    async fn go(mut self) -> Option<Trial> {
        let mut open = self.take_bodies();
        let mut asked = 0;
        while !open.is_empty() {
            self.run(open, asked > 0).await?;
            for _ in 0..MOST_MENDS {
                let mended = self.mend();
                if mended.is_empty() {
                    break;
                }
                self.run(mended, false).await?;
            }
            if asked == self.files.settings.repair_rounds {
                break;
            }
            asked += 1;
            open = self.ask_for_better().await?;
        }
        self.conclude().await
    }

    /// What is to be run: new bodies, and blocks of the tree that were written without. Bodies that
    /// cannot be written anyway stay in the result, where that is told.
    fn take_bodies(&mut self) -> Vec<Body> {
        let Files {
            request, refused, ..
        } = self.files;
        let mut open = Vec::new();
        let mut kept = Vec::new();
        for (body, key) in std::mem::take(&mut self.result.bodies) {
            let source = request.file.members.iter().find(|m| m.name == body.member);
            match source {
                Some(member) if !refused.contains(&body.member) && !is_scaffold(&body.code) => {
                    open.push(Body {
                        member: body.member,
                        key,
                        found: body.code.clone(),
                        code: body.code,
                        model: body.model,
                        source: member.digest,
                        in_tree: false,
                    });
                }
                _ => kept.push((body, key)),
            }
        }
        self.result.bodies = kept;
        open.extend(self.unverified_blocks());
        open
    }

    fn unverified_blocks(&self) -> Vec<Body> {
        let fresh = |member: &Member| {
            let mut decisions = self.result.decisions.iter();
            decisions
                .any(|(name, _, decision)| *name == member.name && *decision == Decision::Fresh)
        };
        let blocks = self.files.request.blocks.iter();
        blocks
            .filter(|block| !block.verified && block.state == BlockState::Pristine)
            .filter(|block| !is_scaffold(&block.body))
            .filter_map(|block| {
                let mut members = self.files.request.file.members.iter();
                let member = members.find(|m| m.name == block.member && fresh(m))?;
                Some(Body {
                    member: block.member.clone(),
                    key: block.key.clone(),
                    code: block.body.clone(),
                    found: block.body.clone(),
                    model: String::new(),
                    source: member.digest,
                    in_tree: true,
                })
            })
            .collect()
    }

    /// Runs bodies beside those that hold already, and sorts them by what came of it.
    async fn run(&mut self, open: Vec<Body>, by_model: bool) -> Option<()> {
        let candidate = self.candidate(self.held.iter().chain(&open));
        let verification = self.verify(candidate).await?;
        for body in open {
            let verdict = verification
                .members
                .iter()
                .find(|m| m.member == body.member);
            match verdict {
                Some(verdict) => self.sort(body, verdict, &verification, by_model),
                None => self.not_run(body, "nothing was said of it", None),
            }
        }
        Some(())
    }

    pub(super) async fn verify(&mut self, candidate: Candidate) -> Option<Verification> {
        enter(JobPhase::WaitingToVerify);
        let verifying = self
            .verifier
            .verify_telling(candidate, || enter(JobPhase::Verifying));
        let verification = tokio::select! {
            biased;
            verification = verifying => verification,
            () = self.superseded.cancelled() => return None,
        };
        self.trial.runs += verification.runs;
        self.trial.elapsed += verification.elapsed;
        Some(verification)
    }

    pub(super) fn candidate<'b>(&self, bodies: impl Iterator<Item = &'b Body>) -> Candidate {
        let request = self.files.request;
        let obsolete = self.result.obsolete.iter();
        let test_path = &request.file.test_path;
        let gone = taken_out(request.ledger.as_ref(), test_path, &request.blocks);
        let gone = gone.filter(|_| self.files.existing.is_some());
        Candidate {
            project: Arc::new(request.project.clone()),
            driver: Arc::clone(&request.driver),
            file: Arc::clone(&request.file),
            source: Arc::clone(&request.source),
            existing: self.files.existing.map(str::to_owned),
            blocks: bodies
                .map(|body| CandidateBlock {
                    member: body.member.clone(),
                    key: body.key.clone(),
                    body: body.code.clone(),
                    source: body.source,
                })
                .collect(),
            edits: obsolete
                .map(|member| BlockEdit::Remove {
                    member: member.clone(),
                })
                .chain(gone)
                .collect(),
        }
    }

    fn sort(
        &mut self,
        body: Body,
        verdict: &MemberVerdict,
        verification: &Verification,
        by_model: bool,
    ) {
        tracing::debug!(
            path = %self.files.request.file.path, member = %body.member,
            verdict = verdict.verdict.as_str(), "verified"
        );
        note(|| Step::Verdict {
            member: body.member.clone(),
            verdict: verdict.verdict.as_str().to_owned(),
            reason: (!verdict.output.is_empty()).then(|| shortened(&verdict.output)),
        });
        match verdict.verdict {
            Verdict::Passed => {
                self.failing.remove(&body.member);
                self.held.push(body);
            }
            Verdict::Unverified => {
                self.failing.remove(&body.member);
                self.not_run(body, &verdict.output, verification.obstacle.as_ref());
            }
            Verdict::Flaky
            | Verdict::Fails
            | Verdict::TimedOut
            | Verdict::Blocked
            | Verdict::DoesNotCompile => self.fail(body, verdict, by_model),
        }
    }

    fn fail(&mut self, body: Body, verdict: &MemberVerdict, by_model: bool) {
        let before = self.failing.remove(&body.member);
        let same = before.as_ref().is_some_and(|before| {
            before.verdict.verdict == verdict.verdict
                && words(&before.verdict.output) == words(&verdict.output)
        });
        let known = before.as_ref().is_some_and(|before| before.ended);
        let failing = Failing {
            holds: verdict
                .holds
                .clone()
                .or(before.and_then(|before| before.holds)),
            verdict: verdict.clone(),
            ended: if by_model { same } else { known },
            body,
        };
        self.failing.insert(failing.body.member.clone(), failing);
    }

    /// Nothing can be said about it: by the mode it is written with a word about that, or not.
    fn not_run(&mut self, body: Body, reason: &str, obstacle: Option<&Obstacle>) {
        let delay = match obstacle {
            Some(Obstacle::Project(_)) => Some(Delay::Project),
            Some(Obstacle::Run(_)) => Some(Delay::Run),
            Some(Obstacle::Toolchain(_)) | None => None,
        };
        let reason = reason.to_owned();
        if delay.is_some() || self.files.settings.mode == VerifyMode::Required {
            self.trial.delay = delay.or(self.trial.delay);
            if !body.in_tree {
                self.trial.kept_back.insert(body.member, reason);
            }
            return;
        }
        self.trial.unverified.insert(body.member.clone(), reason);
        if !body.in_tree {
            let key = body.key.clone();
            self.result.bodies.push((body.into_test_body(), key));
        }
    }

    /// Bodies that a rule has mended, at no cost.
    fn mend(&mut self) -> Vec<Body> {
        let request = self.files.request;
        let mut mended = Vec::new();
        for failing in self.failing.values() {
            let Failing { body, verdict, .. } = failing;
            let mut members = request.file.members.iter();
            let Some(member) = members.find(|m| m.name == body.member) else {
                continue;
            };
            let driver = &request.driver;
            let better = driver
                .mend(&request.file, member, &body.code, &verdict.output)
                .and_then(|code| driver.prepare_body(&request.file, member, &code).ok())
                .filter(|code| *code != body.code);
            if let Some(code) = better {
                tracing::debug!(member = %body.member, "mended by rule");
                note(|| Step::Remark {
                    text: format!("{}: mended by rule", body.member),
                });
                mended.push(Body {
                    code,
                    ..body.clone()
                });
            }
        }
        mended
    }

    /// Bodies from the model in place of those that do not hold, all in one batch. `None` if a newer
    /// save came in between.
    async fn ask_for_better(&mut self) -> Option<Vec<Body>> {
        let failed: Vec<FailedBody> = self
            .failing
            .values()
            .filter(|failing| !failing.ended)
            .map(Failing::for_the_model)
            .collect();
        if failed.is_empty() || !self.files.model.exists || self.result.error.is_some() {
            return Some(Vec::new());
        }
        enter(JobPhase::Asking);
        let repaired = self
            .files
            .pipeline
            .repair(self.files.request, &failed, self.superseded.cancelled())
            .await;
        self.result.effort.add(repaired.effort);
        self.result.hits += repaired.hits;
        self.result.misses += repaired.misses;
        if repaired.cancelled {
            return None;
        }
        let mut better = Vec::new();
        for (body, key) in repaired.bodies {
            if let Some(failing) = self.failing.get(&body.member) {
                // Another model of the chain may have written it: then the block is that one's.
                for (member, of, _) in &mut self.result.decisions {
                    if *member == body.member {
                        of.clone_from(&key);
                    }
                }
                better.push(Body {
                    key,
                    code: body.code,
                    model: body.model,
                    ..failing.body.clone()
                });
            }
        }
        // Those that got no answer at all are asked about when the job is tried again.
        match repaired.error {
            Some(error) => self.result.error = Some(error),
            None => self.failing.values_mut().for_each(|f| f.ended = true),
        }
        Some(better)
    }
}

impl Body {
    /// As the cache keeps it.
    pub(super) fn with_key(&self) -> (TestBody, BlockKey) {
        (self.clone().into_test_body(), self.key.clone())
    }

    pub(super) fn into_test_body(self) -> TestBody {
        TestBody {
            member: self.member,
            code: self.code,
            model: self.model,
        }
    }

    /// Whether it is not what the cache has.
    pub(super) fn is_new(&self) -> bool {
        self.code != self.found
    }
}

impl Failing {
    pub(super) fn for_the_model(&self) -> FailedBody {
        FailedBody {
            member: self.body.member.clone(),
            code: self.body.code.clone(),
            verdict: self.verdict.verdict,
            output: self.verdict.output.clone(),
        }
    }
}

fn is_scaffold(code: &str) -> bool {
    code.contains(SCAFFOLD_NOTE)
}

/// A runner's words without numbers, which tell times and addresses.
fn words(output: &str) -> String {
    output.chars().filter(|c| !c.is_ascii_digit()).collect()
}
