//! The way in: candidates wait for a slot, known verdicts are looked up, the rest is run.

use std::sync::Arc;

use testsmith_domain::{RunScope, Verdict};
use testsmith_permits::Permits;
use tokio::time::Instant;

use crate::candidate::{Candidate, MemberVerdict, Obstacle, Verification};
use crate::execute::{Executor, RunError, RunInput, Sandbox, Scratch, plan};
use crate::session::Session;
use crate::settings::VerifySettings;
use crate::verdicts::{VerdictCache, VerdictKey};

/// Runs candidates and says what became of each.
#[derive(Debug)]
pub struct Verifier {
    pub(crate) settings: VerifySettings,
    pub(crate) executor: Arc<dyn Executor>,
    verdicts: Arc<dyn VerdictCache>,
    slots: Permits,
}

impl Verifier {
    /// A verifier that runs candidates in the sandbox.
    pub fn new(settings: VerifySettings, verdicts: Arc<dyn VerdictCache>) -> Self {
        Self::with_executor(settings, verdicts, Arc::new(Sandbox))
    }

    /// A verifier that runs candidates by other means.
    pub fn with_executor(
        settings: VerifySettings,
        verdicts: Arc<dyn VerdictCache>,
        executor: Arc<dyn Executor>,
    ) -> Self {
        Self {
            slots: Permits::new(settings.jobs),
            settings,
            executor,
            verdicts,
        }
    }

    /// The same, with slots that verifiers share which take each other's place: there are as many as
    /// this one's settings say from now on, for all of them together.
    #[must_use]
    pub fn sharing(mut self, slots: &Permits) -> Self {
        slots.set(self.settings.jobs);
        self.slots = slots.clone();
        self
    }

    /// Verifies a candidate. Nothing in the project's tree is touched. What keeps it from being run
    /// (no toolchain, no sandbox, a project that does not build by itself) makes its members
    /// unverified, with the reason.
    ///
    /// Waits for one of `jobs` slots first. Dropping the future ends what runs.
    pub async fn verify(&self, candidate: Candidate) -> Verification {
        let toolchain = match self.toolchain(&candidate) {
            Ok(toolchain) => toolchain,
            Err(error) => return unverified(&candidate, error.into()),
        };
        let mut known = Vec::with_capacity(candidate.blocks.len());
        let mut keys = Vec::with_capacity(candidate.blocks.len());
        for block in &candidate.blocks {
            let key = VerdictKey::of(&candidate, block, &toolchain, self.settings.runs);
            known.push(self.verdicts.get(key).await);
            keys.push(key);
        }
        let fresh: Vec<bool> = known.iter().map(Option::is_none).collect();
        let slot = self.slots.acquire().await;
        let started = Instant::now();
        let session = Session::new(self, &candidate, known);
        let mut verification = session.judge().await;
        drop(slot);
        verification.elapsed = started.elapsed();
        verification.toolchain = Some(toolchain);
        for ((key, verdict), fresh) in keys.into_iter().zip(&verification.members).zip(fresh) {
            if fresh && verdict.verdict != Verdict::Unverified {
                self.verdicts.put(key, verdict.clone()).await;
            }
        }
        verification
    }

    /// The identity of what would run the candidate, or why nothing would.
    fn toolchain(&self, candidate: &Candidate) -> Result<String, RunError> {
        let input = RunInput {
            text: None,
            tests: &[],
            scope: RunScope::Around,
        };
        let scratch = Scratch::new(&self.settings.scratch_dir)?;
        let plan = plan(&self.settings, candidate, input, &scratch.0)?;
        Ok(plan.toolchain)
    }
}

fn unverified(candidate: &Candidate, obstacle: Obstacle) -> Verification {
    let reason = obstacle.to_string();
    let members = candidate.blocks.iter().map(|block| MemberVerdict {
        member: block.member.clone(),
        verdict: Verdict::Unverified,
        holds: None,
        tests: Vec::new(),
        output: reason.clone(),
        is_finding: false,
    });
    Verification {
        members: members.collect(),
        obstacle: Some(obstacle),
        accepted: candidate.edits.clone(),
        text: None,
        toolchain: None,
        runs: 0,
        blocked: Vec::new(),
        elapsed: std::time::Duration::ZERO,
    }
}
