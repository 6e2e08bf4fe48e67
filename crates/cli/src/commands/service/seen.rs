//! What a service sees of what its user has set: not the shell's variables.

use std::collections::BTreeSet;
use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use testsmith_config::{ProviderKind, Settings};
use testsmith_daemon::DaemonError;

use super::shown;
use crate::args::Global;
use crate::context::{Places, state_dir_of};

/// Folders that are set by a variable here are the service's too.
const FOLDERS: [&str; 4] = [
    "XDG_STATE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_CACHE_HOME",
    "XDG_DATA_HOME",
];

/// The variables of the shell that go into the unit, with their values.
pub(super) fn carried_over() -> Vec<(&'static str, String)> {
    let set = FOLDERS.into_iter().filter_map(|name| {
        let value = env::var(name).ok()?;
        // Others are none, here as in the service.
        let counts = Path::new(&value).is_absolute() && !value.contains('\n');
        counts.then_some((name, value))
    });
    set.collect()
}

/// One project's service.
#[derive(Debug)]
pub(super) struct Seen {
    settings: Settings,
    files: Vec<PathBuf>,
    state_dir: PathBuf,
    /// The key that systemd hands over, or would if it were there.
    credential: PathBuf,
    /// What the user's manager gives to each service.
    given: BTreeSet<String>,
}

impl Seen {
    /// Reads the configuration as the service will. One that cannot be used is an error.
    pub(super) fn of(
        global: &Global,
        root: &Path,
        credential: &Path,
        given: BTreeSet<String>,
    ) -> anyhow::Result<Self> {
        let places = Places::of(global, root)?.of_files_alone();
        let loaded = places.load().map_err(DaemonError::Config)?;
        for warning in &loaded.warnings {
            tracing::warn!(%warning, "part of the configuration is not used");
        }
        Ok(Self {
            settings: loaded.settings,
            files: loaded.files,
            state_dir: state_dir_of(global, root)?,
            credential: credential.to_owned(),
            given,
        })
    }

    /// For people.
    pub(super) fn lines(&self) -> Vec<String> {
        let files: Vec<String> = self.files.iter().map(|path| shown(path)).collect();
        let settings = if files.is_empty() {
            "built-in values only".to_owned()
        } else {
            files.join(", ")
        };
        let mut lines = vec![
            format!("  settings  {settings}"),
            format!("  state     {}", shown(&self.state_dir)),
        ];
        let key = self.key().unwrap_or_else(Some);
        lines.extend(key.map(|key| format!("  key       {key}")));
        lines
    }

    /// Where the key of the preferred model comes from, if it needs one; an error if there is none.
    pub(super) fn key(&self) -> Result<Option<String>, String> {
        let llm = &self.settings.llm;
        let names = self.key_variables();
        if let Some(name) = names.iter().find(|name| self.given.contains(**name)) {
            return Ok(Some(format!("{name}, as your user manager has it")));
        }
        if self.credential.is_file() {
            let path = shown(&self.credential);
            return Ok(Some(format!("{path}, handed over by systemd")));
        }
        if let Some(file) = &llm.api_key_file {
            return Ok(Some(shown(file)));
        }
        if names.is_empty() {
            return Ok(None);
        }
        Err(format!("none: the service sees no {}", names.join(" nor ")))
    }

    /// The variables in which the preferred model's key is looked for.
    fn key_variables(&self) -> Vec<&str> {
        let llm = &self.settings.llm;
        let (named, address) = (llm.api_key_env.as_deref(), llm.base_url.as_deref());
        variables(llm.provider, named, address)
    }

    /// The variables that are set in this shell, would count, and do not reach the service.
    pub(super) fn unseen(&self) -> BTreeSet<String> {
        let llm = &self.settings.llm;
        // systemd's credential is the preferred model's alone.
        let mut keys = if self.credential.is_file() {
            Vec::new()
        } else {
            self.key_variables()
        };
        for link in &llm.fallback {
            if let Some(provider) = link.provider {
                let (named, address) = (link.api_key_env.as_deref(), link.base_url.as_deref());
                keys.extend(variables(provider, named, address));
            }
        }
        let counts = |name: &str, value: &OsStr| {
            // A key that is set to nothing is not set.
            name.starts_with("TESTSMITH_") || (keys.contains(&name) && !value.is_empty())
        };
        let set = env::vars_os().filter_map(|(name, value)| {
            let name = name.into_string().ok()?;
            counts(&name, &value).then_some(name)
        });
        set.filter(|name| !self.given.contains(name)).collect()
    }
}

/// The variables in which a provider's key is looked for. Without an address, any provider's will do
/// where none is named.
fn variables<'a>(
    provider: ProviderKind,
    named: Option<&'a str>,
    address: Option<&str>,
) -> Vec<&'a str> {
    match (named, provider) {
        (Some(name), ProviderKind::Auto) if address.is_none() => vec![name, "ANTHROPIC_API_KEY"],
        (Some(name), _) => vec![name],
        (None, ProviderKind::Auto) => vec!["OPENAI_API_KEY", "ANTHROPIC_API_KEY"],
        (None, ProviderKind::OpenAi) => vec!["OPENAI_API_KEY"],
        (None, ProviderKind::Anthropic) => vec!["ANTHROPIC_API_KEY"],
        (None, ProviderKind::Ollama | ProviderKind::Offline) => Vec::new(),
    }
}
