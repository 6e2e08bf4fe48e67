//! The way in: candidates wait for a slot, known verdicts are looked up, the rest is run.

use std::sync::Arc;

use testsmith_domain::Verdict;
use testsmith_permits::Permits;
use tokio::time::Instant;

use crate::candidate::{Candidate, MemberVerdict, Obstacle, Verification};
use crate::execute::{Executor, RunError, Sandbox};
use crate::ground::Ground;
use crate::session::Session;
use crate::settings::VerifySettings;
use crate::verdicts::{VerdictCache, VerdictKey};

/// Runs candidates and says what became of each.
#[derive(Debug)]
pub struct Verifier {
    settings: Arc<VerifySettings>,
    executor: Arc<dyn Executor>,
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
            settings: Arc::new(settings),
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
        self.verify_telling(candidate, || {}).await
    }

    /// The same; `begins` is called once the candidate has its slot.
    pub async fn verify_telling(
        &self,
        candidate: Candidate,
        begins: impl FnOnce() + Send,
    ) -> Verification {
        let ground = Arc::new(Ground::new(Arc::clone(&self.settings), candidate));
        let candidate = &ground.candidate;
        let (toolchain, keys) = match ground.with(toolchain_and_keys).await {
            Ok(found) => found,
            Err(error) => return unverified(candidate, error.into()),
        };
        let mut known = Vec::with_capacity(keys.len());
        for key in &keys {
            known.push(self.verdicts.get(*key).await);
        }
        let fresh: Vec<bool> = known.iter().map(Option::is_none).collect();
        let slot = self.slots.acquire().await;
        begins();
        let started = Instant::now();
        let session = Session::new(&self.executor, &ground, known);
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
}

/// The identity of what would run the candidate, and the keys of its blocks' verdicts.
fn toolchain_and_keys(ground: &Ground) -> Result<(String, Vec<VerdictKey>), RunError> {
    let toolchain = ground.toolchain()?;
    let blocks = ground.candidate.blocks.iter();
    let keys = blocks.map(|block| VerdictKey::of(ground, block, &toolchain));
    let keys = keys.collect();
    Ok((toolchain.identity, keys))
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
