//! Verdicts that were reached before.

use std::collections::HashMap;
use std::fmt;
use std::sync::Mutex;

use serde::{Deserialize, Serialize};
use testsmith_domain::{BoxFuture, ContentHash, FieldHasher};

use crate::candidate::{Candidate, CandidateBlock, MemberVerdict};

/// Names one verdict: SHA-256 over what it depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct VerdictKey(pub ContentHash);

impl VerdictKey {
    /// Raise it when verdicts are reached by other rules.
    const VERSION: u32 = 1;

    pub(crate) fn of(
        candidate: &Candidate,
        block: &CandidateBlock,
        toolchain: &str,
        runs: u32,
    ) -> Self {
        let body = candidate
            .driver
            .body_sum(candidate.test_path(), &block.body);
        Self(
            FieldHasher::new()
                .field(Self::VERSION.to_be_bytes())
                .field(candidate.file.language.as_str())
                .field(&candidate.file.framework.0)
                .field(block.member.as_str())
                .field(body.as_bytes())
                .field(block.source.as_bytes())
                .field(toolchain)
                .field(runs.to_be_bytes())
                .finish(),
        )
    }
}

/// Where verdicts are kept, so that a restart or a branch switch verifies nothing again. Trouble
/// with it costs a run and nothing else, so it is its own to report.
pub trait VerdictCache: Send + Sync + fmt::Debug {
    /// The verdict of this key.
    fn get(&self, key: VerdictKey) -> BoxFuture<'_, Option<MemberVerdict>>;

    /// Keeps a verdict.
    fn put(&self, key: VerdictKey, verdict: MemberVerdict) -> BoxFuture<'_, ()>;
}

/// Verdicts of this process.
#[derive(Debug, Default)]
pub struct MemoryVerdicts(Mutex<HashMap<VerdictKey, MemberVerdict>>);

impl VerdictCache for MemoryVerdicts {
    fn get(&self, key: VerdictKey) -> BoxFuture<'_, Option<MemberVerdict>> {
        let found = self.lock().get(&key).cloned();
        Box::pin(std::future::ready(found))
    }

    fn put(&self, key: VerdictKey, verdict: MemberVerdict) -> BoxFuture<'_, ()> {
        self.lock().insert(key, verdict);
        Box::pin(std::future::ready(()))
    }
}

impl MemoryVerdicts {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<VerdictKey, MemberVerdict>> {
        // A map is whole after each call, whoever panicked in between.
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
