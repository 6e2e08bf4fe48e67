//! The verifier, from settings.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use testsmith_cache::Cache;
use testsmith_config::{CommandSettings, SandboxMode, Settings, VerifyMode};
use testsmith_domain::{BoxFuture, Language};
use testsmith_permits::Permits;
use testsmith_verify::{
    Limits, MemberVerdict, SandboxMode as Walls, Shown, VerdictCache, VerdictKey, Verifier,
    VerifySettings, walls,
};

use crate::files::blocking;
use crate::model::key_files;
use crate::settings::scanner;
use crate::told::{SaidOfSettings, Topic};

/// The verifier that the settings ask for, if any. `cache_dir` is where build caches are kept;
/// `slots` are shared with verifiers of before.
pub(crate) fn verifier(
    settings: &Settings,
    state_dir: &Path,
    cache_dir: &Path,
    verdicts: Arc<Cache>,
    slots: &Permits,
) -> Option<Verifier> {
    let verify = &settings.verify;
    if verify.mode == VerifyMode::Off {
        return None;
    }
    let base = VerifySettings::in_dir(cache_dir);
    let commands = commands(&verify.commands);
    let env = verify.env.iter();
    let hidden: Vec<PathBuf> = std::iter::once(state_dir.to_owned())
        .chain(key_files(settings).cloned())
        .collect();
    let scanner = scanner(settings);
    let settings = VerifySettings {
        jobs: verify.jobs.map_or(base.jobs, std::num::NonZeroUsize::get),
        runs: verify.runs.get(),
        limits: Limits {
            wall: verify.timeout.get(),
            memory: verify.memory.get(),
            output: verify.output.get(),
            processes: verify.processes.get().into(),
            file_size: verify.file_size.get(),
        },
        sandbox: mode(verify.sandbox),
        commands,
        env: env
            .map(|(name, value)| (OsString::from(name), OsString::from(value)))
            .collect(),
        hidden,
        // What the user lets be sent, a test may see.
        shown: Shown::new(move |path| path.to_str().is_some_and(|path| scanner.allows_path(path))),
        ..base
    };
    Some(Verifier::new(settings, Arc::new(Verdicts(verdicts))).sharing(slots))
}

pub(crate) fn mode(mode: SandboxMode) -> Walls {
    match mode {
        SandboxMode::Required => Walls::Required,
        SandboxMode::BestEffort => Walls::BestEffort,
        SandboxMode::Off => Walls::Off,
    }
}

fn commands(set: &CommandSettings) -> Vec<(Language, Vec<String>)> {
    [
        (Language::Go, &set.go),
        (Language::Python, &set.python),
        (Language::TypeScript, &set.typescript),
        (Language::JavaScript, &set.javascript),
    ]
    .into_iter()
    .filter_map(|(language, command)| Some((language, command.clone()?)))
    .collect()
}

/// Removes the scratch folders of processes that were killed.
fn clear_scratch(cache_dir: &Path) {
    let scratch = VerifySettings::in_dir(cache_dir).scratch_dir;
    for entry in std::fs::read_dir(scratch).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let process = name
            .strip_prefix("run-")
            .and_then(|rest| rest.split('-').next());
        let is_left = process.is_some_and(|pid| !Path::new("/proc").join(pid).exists());
        if is_left && let Err(error) = std::fs::remove_dir_all(entry.path()) {
            tracing::debug!(folder = %entry.path().display(), %error, "a scratch folder is left");
        }
    }
}

/// Says which walls of the sandbox do not stand here, if the log does not know yet.
pub(crate) async fn tell_walls(settings: &Settings, cache_dir: &Path, told: &SaidOfSettings) {
    let dir = cache_dir.to_owned();
    blocking(move || clear_scratch(&dir)).await;
    let mode = mode(settings.verify.sandbox);
    let report = blocking(move || walls(mode)).await;
    if !told.note_if_new(Topic::Walls, &[format!("{mode:?} {:?}", report.missing)]) {
        return;
    }
    if mode == Walls::Off {
        tracing::warn!(
            "verify.sandbox is off: tests that a model wrote run with your rights, network and files"
        );
        return;
    }
    if report.missing.is_empty() {
        tracing::debug!(walls = ?report.standing, staging = ?report.staging, "sandbox");
        return;
    }
    let missing: Vec<String> = report
        .missing
        .iter()
        .map(|missing| format!("{} ({}; {})", missing.wall, missing.reason, missing.remedy))
        .collect();
    let missing = missing.join(", ");
    if report.is_enough() {
        tracing::warn!(missing, standing = ?report.standing, "the sandbox is not complete");
    } else {
        tracing::warn!(
            missing,
            "the sandbox that verify.sandbox = \"required\" asks for cannot be had: no test is run"
        );
    }
}

/// Verdicts beside the answers, so that a restart or a branch switch verifies nothing again.
#[derive(Debug)]
struct Verdicts(Arc<Cache>);

impl VerdictCache for Verdicts {
    fn get(&self, key: VerdictKey) -> BoxFuture<'_, Option<MemberVerdict>> {
        Box::pin(async move { serde_json::from_slice(&self.0.note(key.0).await?).ok() })
    }

    fn put(&self, key: VerdictKey, verdict: MemberVerdict) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            // Plain data always serializes.
            if let Ok(note) = serde_json::to_vec(&verdict) {
                self.0.put_note(key.0, note).await;
            }
        })
    }
}
