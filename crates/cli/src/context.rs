//! What every command begins with: where the project is, what is configured, where state is kept.

use std::env;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use testsmith_config::{
    ConfigError, Loaded, PROJECT_FILE, ProjectFile, Settings, Sources, TrustStore, user_config_path,
};
use testsmith_daemon::{DaemonError, find_root, state_dir};

use crate::args::Global;
use crate::{block_on, output};

/// The project of this run.
#[derive(Debug)]
pub(crate) struct Context {
    /// The project's root, free of links.
    pub(crate) root: PathBuf,
    /// Settings and where they come from.
    pub(crate) loaded: Loaded,
    /// Where queue, cache and ledger are kept.
    pub(crate) state_dir: PathBuf,
    /// Where build caches are kept.
    pub(crate) cache_dir: PathBuf,
}

impl Context {
    /// The project that holds `start`, by default the current folder.
    pub(crate) fn of(global: &Global, start: Option<&Path>) -> anyhow::Result<Self> {
        let start = start.unwrap_or(Path::new("."));
        let root = find_root(start).with_context(|| format!("cannot use `{}`", start.display()))?;
        Self::at(global, root)
    }

    /// The project at exactly `root`.
    pub(crate) fn at(global: &Global, root: PathBuf) -> anyhow::Result<Self> {
        let places = Places::of(global, &root)?;
        let loaded = places.load().map_err(DaemonError::Config)?;
        Self::with(global, root, loaded)
    }

    /// As [`Context::of`], for a command that asks a daemon: if the configuration cannot be used, but
    /// a daemon runs, it is asked all the same, for it goes on with the settings it had.
    pub(crate) fn to_ask(global: &Global, start: Option<&Path>) -> anyhow::Result<Self> {
        let broken = match Self::of(global, start) {
            Ok(context) => return context.where_watched(global, start),
            Err(broken) => broken,
        };
        let root = find_root(start.unwrap_or(Path::new(".")));
        let context = root.ok().and_then(|root| {
            let settings = Settings::load(&Sources::default()).ok()?;
            let context = Self::with(global, root, settings).ok()?;
            context.where_watched(global, start).ok()
        });
        match context {
            Some(context) if block_on(context.client().status())?.is_ok() => {
                output::note(format_args!(
                    "{broken:#}\nthe daemon goes on with its old settings"
                ));
                Ok(context)
            }
            _ => Err(broken),
        }
    }

    fn with(global: &Global, root: PathBuf, loaded: Loaded) -> anyhow::Result<Self> {
        let state_dir = state_dir_of(global, &root)?;
        let cache_dir = match &global.cache_dir {
            Some(dir) => std::path::absolute(dir)?,
            // Named as the state directory is: one project's builds are no other's.
            None => testsmith_daemon::state_dir(&base_dir("XDG_CACHE_HOME", ".cache")?, &root),
        };
        Ok(Self {
            root,
            loaded,
            state_dir,
            cache_dir,
        })
    }

    /// Tells what the user should know of the configuration.
    pub(crate) fn warn(&self) {
        for warning in self.warnings() {
            tracing::warn!(%warning, "part of the configuration is not used");
        }
    }

    /// What [`Context::warn`] tells.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let warnings = self.loaded.warnings.iter();
        warnings.map(ToString::to_string).collect()
    }

    /// The same project with the settings of its own root, for which another may have been found.
    pub(crate) fn with_own_settings(self, global: &Global) -> anyhow::Result<Self> {
        let state_dir = self.state_dir;
        let own = Self::at(global, self.root)?;
        Ok(Self { state_dir, ..own })
    }
}

/// Where a project's configuration is read from, again and again.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    user_file: PathBuf,
    project_file: ProjectFile,
    trust_list: PathBuf,
    environment: Vec<(String, String)>,
    flags: Vec<(String, String, String)>,
}

impl Places {
    pub(crate) fn of(global: &Global, root: &Path) -> anyhow::Result<Self> {
        let state_home = base_dir("XDG_STATE_HOME", ".local/state")?;
        Ok(Self {
            user_file: user_config_path(&base_dir("XDG_CONFIG_HOME", ".config")?),
            project_file: match &global.config {
                Some(file) => ProjectFile::Named(std::path::absolute(file)?),
                None => ProjectFile::Found(root.join(PROJECT_FILE)),
            },
            trust_list: TrustStore::default_path(&state_home),
            // Names and values that are not UTF-8 are no settings of ours.
            environment: env::vars_os()
                .filter_map(|(name, value)| {
                    Some((name.into_string().ok()?, value.into_string().ok()?))
                })
                .collect(),
            flags: global
                .set
                .iter()
                .map(|(key, value)| (format!("--set {key}"), key.clone(), value.clone()))
                .collect(),
        })
    }

    /// As a process sees them that has neither this one's variables nor its flags.
    pub(crate) fn of_files_alone(self) -> Self {
        Self {
            environment: Vec::new(),
            flags: Vec::new(),
            ..self
        }
    }

    /// Reads all layers.
    pub(crate) fn load(&self) -> Result<Loaded, ConfigError> {
        Settings::load(&Sources {
            user_file: Some(self.user_file.clone()),
            project_file: self.project_file.clone(),
            environment: self.environment.clone(),
            flags: self.flags.clone(),
            trust: TrustStore::open(self.trust_list.clone())?,
        })
    }

    /// The files that it is read from, whether they are there or not.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let project = match &self.project_file {
            ProjectFile::None => None,
            ProjectFile::Found(path) | ProjectFile::Named(path) => Some(path.clone()),
        };
        let fixed = [self.user_file.clone(), self.trust_list.clone()];
        fixed.into_iter().chain(project).collect()
    }
}

pub(crate) fn config_error(error: impl Into<ConfigError>) -> DaemonError {
    DaemonError::Config(error.into())
}

/// The state directory of the project at `root`: the one that is named, or its own.
pub(crate) fn state_dir_of(global: &Global, root: &Path) -> anyhow::Result<PathBuf> {
    Ok(match &global.state_dir {
        Some(dir) => std::path::absolute(dir)?,
        None => state_dir(&base_dir("XDG_STATE_HOME", ".local/state")?, root),
    })
}

/// An XDG base directory: the variable if it is an absolute path, else its default below home.
pub(crate) fn base_dir(variable: &str, default: &str) -> anyhow::Result<PathBuf> {
    if let Some(dir) = env::var_os(variable).map(PathBuf::from)
        && dir.is_absolute()
    {
        return Ok(dir);
    }
    match env::var_os("HOME").map(PathBuf::from) {
        Some(home) if home.is_absolute() => Ok(home.join(default)),
        _ => bail!("neither {variable} nor HOME is set; set one, or name --state-dir"),
    }
}

/// Whether a person looks at standard error.
pub(crate) fn on_terminal() -> bool {
    std::io::stderr().is_terminal()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_root_has_settings_of_its_own_and_the_state_where_it_was_found() {
        let world = tempfile::tempdir().unwrap();
        let inner = world.path().join("inner");
        std::fs::create_dir(&inner).unwrap();
        std::fs::write(inner.join(PROJECT_FILE), "[watch]\nmax_wait = \"7s\"\n").unwrap();
        let global = Global {
            config: None,
            state_dir: None,
            cache_dir: None,
            set: Vec::new(),
            log_format: crate::args::LogFormat::Human,
            verbose: false,
        };
        let outer = Context::at(&global, world.path().to_owned()).unwrap();
        let found = Context {
            root: inner.clone(),
            state_dir: PathBuf::from("/state/of/another"),
            ..outer
        };
        let own = found.with_own_settings(&global).unwrap();
        assert_eq!(own.state_dir, Path::new("/state/of/another"));
        let at = Context::at(&global, inner).unwrap();
        assert_eq!(own.cache_dir, at.cache_dir);
        assert_eq!(own.loaded.settings, at.loaded.settings);
        let wait = own.loaded.settings.watch.max_wait;
        assert_eq!(wait.get(), std::time::Duration::from_secs(7));
    }
}
