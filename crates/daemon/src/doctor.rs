//! What `doctor` asks: does this part work, here and now.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use testsmith_config::Settings;
use testsmith_domain::{CompletionRequest, Message, Provider, RelPath, ResponseFormat, Role};
use testsmith_store::FreeSpace;
use testsmith_watch::list_sources;
use tokio::time::Instant;

use crate::error::DaemonError;
use crate::files::{blocking, chain};
use crate::settings;

/// Room for the answer of a model that thinks first.
const TINY_ANSWER: u32 = 64;

/// How the model does.
#[derive(Debug, Clone)]
pub struct ModelCheck {
    /// Which provider and model, and why.
    pub description: String,
    /// `false` offline.
    pub exists: bool,
    /// How long a tiny call took, or why it failed; `None` if there was none.
    pub answer: Option<Result<Duration, String>>,
    /// The variable in which the settings have the key, if there is none in it: it is asked without.
    pub missing_key: Option<String>,
    /// The same of each fallback model.
    pub fallback: Vec<ModelCheck>,
}

/// Sets up the way to the model, and with `call` asks it something tiny, once.
pub async fn check_model(settings: &Settings, call: bool) -> Result<ModelCheck, DaemonError> {
    let mut stack = settings::stack(settings);
    stack.retry.max_attempts = 1;
    let env = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let stack = testsmith_llm::build(&stack, &env, None).await?;
    let mut checks = Vec::new();
    for link in &stack.links {
        checks.push(ModelCheck {
            description: link.description.clone(),
            exists: true,
            answer: if call {
                Some(ask_tiny(&*link.provider).await)
            } else {
                None
            },
            missing_key: link.missing_key.clone(),
            fallback: Vec::new(),
        });
    }
    let fallback = checks.split_off(checks.len().min(1));
    let first = checks.pop().unwrap_or(ModelCheck {
        description: stack.description,
        exists: false,
        answer: None,
        missing_key: None,
        fallback: Vec::new(),
    });
    Ok(ModelCheck { fallback, ..first })
}

async fn ask_tiny(provider: &dyn Provider) -> Result<Duration, String> {
    let request = CompletionRequest {
        system: "You answer with one word.".to_owned(),
        messages: vec![Message {
            role: Role::User,
            content: "Say: ok".to_owned(),
        }],
        max_tokens: TINY_ANSWER,
        format: ResponseFormat::Text,
    };
    let began = Instant::now();
    match provider.complete(&request).await {
        Ok(_) => Ok(began.elapsed()),
        Err(error) => Err(chain(&error)),
    }
}

/// A wall of the sandbox that does not stand.
#[derive(Debug, Clone)]
pub struct MissingWall {
    /// Its name.
    pub wall: &'static str,
    /// What the system said.
    pub reason: String,
    /// What to do about it.
    pub remedy: String,
}

/// The walls around tests that are run.
#[derive(Debug, Clone)]
pub struct SandboxCheck {
    /// Whether no sandbox is wanted.
    pub is_off: bool,
    /// Whether tests may be run as it is.
    pub is_enough: bool,
    /// The walls that stand.
    pub standing: Vec<&'static str>,
    /// Those that do not.
    pub missing: Vec<MissingWall>,
    /// How the project is staged for a run, and why so.
    pub staging: String,
}

/// Tries the walls that the settings ask for.
pub async fn check_sandbox(settings: &Settings) -> SandboxCheck {
    let mode = crate::verification::mode(settings.verify.sandbox);
    let report = blocking(move || testsmith_verify::walls(mode)).await;
    let missing = |missing: &testsmith_verify::Missing| MissingWall {
        wall: missing.wall,
        reason: missing.reason.clone(),
        remedy: missing.remedy.clone(),
    };
    let staging = match report.staging {
        testsmith_verify::Staging::Overlay => "runs see the project through an overlay".to_owned(),
        testsmith_verify::Staging::ShadowCopy => {
            "the project is copied for each run, since an overlay needs namespaces".to_owned()
        }
    };
    SandboxCheck {
        staging,
        is_off: mode == testsmith_verify::SandboxMode::Off,
        is_enough: report.is_enough(),
        missing: report.missing.iter().map(missing).collect(),
        standing: report.standing,
    }
}

/// What a tree holds.
#[derive(Debug, Clone, Default)]
pub struct Survey {
    /// Sources by their language's name.
    pub languages: BTreeMap<String, usize>,
    /// Folders on the way to them, the root included: each takes a watch.
    pub folders: usize,
    /// The sources, from the root.
    pub sources: Vec<RelPath>,
}

/// Looks through a tree for sources, by name.
pub async fn survey(root: &Path, settings: &Settings) -> Result<Survey, DaemonError> {
    let (root, exclude) = (root.to_owned(), settings.watch.exclude.clone());
    blocking(move || {
        let known = testsmith_lang::drivers();
        let claims: testsmith_watch::Claims = std::sync::Arc::new(move |path: &RelPath| {
            known
                .iter()
                .any(|driver| driver.claims(path) && !driver.owns(path))
        });
        let sources = list_sources(&root, &exclude, &claims, None).map_err(DaemonError::Watch)?;
        let mut languages = BTreeMap::new();
        let mut folders = BTreeSet::from([String::new()]);
        for path in &sources {
            *languages.entry(language(path).to_owned()).or_insert(0) += 1;
            let mut folder = path.dir();
            while !folder.is_empty() && folders.insert(folder.to_owned()) {
                folder = folder.rsplit_once('/').map_or("", |(above, _)| above);
            }
        }
        Ok(Survey {
            languages,
            folders: folders.len(),
            sources,
        })
    })
    .await
}

fn language(path: &RelPath) -> &'static str {
    let extension = path
        .as_str()
        .rsplit_once('.')
        .map_or("", |(_, extension)| extension);
    match extension {
        "go" => "go",
        "py" => "python",
        "ts" | "tsx" | "mts" | "cts" => "typescript",
        _ => "javascript",
    }
}

/// Bytes that an ordinary user may write where `path` is, and whether that is little.
pub fn free_space(path: &Path) -> Option<(u64, bool)> {
    let there = path.ancestors().find(|path| path.exists())?;
    let space = FreeSpace::of(there).ok()?;
    Some((space.available, space.is_low()))
}
