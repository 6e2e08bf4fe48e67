//! Verdicts that were reached before.

use std::collections::HashMap;
use std::fmt;
use std::sync::Mutex;

use serde::{Deserialize, Serialize};
use testsmith_domain::{BoxFuture, ContentHash, FieldHasher, Language};

use crate::candidate::{Candidate, CandidateBlock, MemberVerdict};
use crate::ground::{Ground, Toolchain};
use crate::sandbox::{Limits, SandboxMode};
use crate::settings::VerifySettings;

/// Names one verdict: SHA-256 over what it depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct VerdictKey(pub ContentHash);

impl VerdictKey {
    /// Raise it when verdicts are reached by other rules.
    const VERSION: u32 = 2;

    /// Parses the body, so it blocks for a moment.
    pub(crate) fn of(ground: &Ground, block: &CandidateBlock, toolchain: &Toolchain) -> Self {
        let Candidate {
            project,
            driver,
            file,
            // Told by the digest of the member: what it is, and what of its file it uses.
            source: _,
            // Verdicts are about bodies, whichever others stand beside them.
            existing: _,
            blocks: _,
            edits: _,
        } = &ground.candidate;
        let Toolchain {
            identity,
            manifests,
        } = toolchain;
        let body = driver.body_sum(&file.test_path, &block.body);
        let hasher = FieldHasher::new()
            .field(Self::VERSION.to_be_bytes())
            .field(project.root.as_os_str().as_encoded_bytes())
            .field(file.language.as_str())
            .field(&file.framework.0)
            .field(block.member.as_str())
            .field(body.as_bytes())
            .field(block.source.as_bytes())
            .field(identity)
            .field(manifests.as_bytes());
        Self(with_settings(hasher, &ground.settings, file.language).finish())
    }
}

/// Adds the settings that decide what is run and how it may end.
fn with_settings(
    mut hasher: FieldHasher,
    settings: &VerifySettings,
    language: Language,
) -> FieldHasher {
    let VerifySettings {
        runs,
        limits,
        sandbox,
        env,
        // How many at once decides nothing, nor where things are kept. The program that is found on the search path is
        // part of the toolchain.
        jobs: _,
        commands: _,
        hidden: _,
        shown: _,
        cache_dir: _,
        scratch_dir: _,
        search_path: _,
    } = settings;
    let Limits {
        wall,
        memory,
        output,
        processes,
        file_size,
    } = limits;
    hasher.add(runs.to_be_bytes());
    hasher.add(wall.as_millis().to_be_bytes());
    for limit in [memory, output, processes, file_size] {
        hasher.add(limit.to_be_bytes());
    }
    hasher.add(match sandbox {
        SandboxMode::Required => "required",
        SandboxMode::BestEffort => "best-effort",
        SandboxMode::Off => "off",
    });
    let command = settings.command_for(language).unwrap_or_default();
    hasher.add(command.len().to_be_bytes());
    for word in command {
        hasher.add(word);
    }
    for (name, value) in env {
        hasher.add(name.as_encoded_bytes());
        hasher.add(value.as_encoded_bytes());
    }
    hasher
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
