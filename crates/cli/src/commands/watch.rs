//! `testsmith watch`.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use testsmith_config::{ConfigError, Loaded, PROJECT_FILE, Settings};
use testsmith_control::Signpost;
use testsmith_daemon::{Host, ServiceOptions};

use crate::args::{Global, WatchArgs};
use crate::context::{Context, Places, state_dir_of};
use crate::exit::UsageError;
use crate::logging::ServiceLog;
use crate::{block_on, exit, logging, output};

pub(crate) fn run(global: &Global, args: &WatchArgs) -> anyhow::Result<u8> {
    let roots = roots(args)?;
    let context = match roots.first() {
        Some(root) => Context::at(global, root.clone())?,
        None => Context::of(global, None)?,
    };
    let log = logging::start_service(
        global.log_format,
        global.verbose,
        &context.loaded.settings.log,
        &context.state_dir,
    );
    context.warn();
    tell_unread(&roots);
    let host = Arc::new(Program {
        places: Places::of(global, &context.root)?,
        warned: context.warnings(),
        log,
        elsewhere: elsewhere(global, &roots)?,
        signposts: Mutex::default(),
    });
    let options = ServiceOptions {
        roots: if roots.is_empty() {
            vec![context.root.clone()]
        } else {
            roots
        },
        state_dir: context.state_dir,
        cache_dir: context.cache_dir,
        settings: context.loaded.settings,
        restores: false,
        prefers: false,
    };
    let watched = block_on(testsmith_daemon::watch(options, host, args.until_idle))??;
    if global.verbose
        && let Some(cache) = watched.cache
    {
        output::line(cache)?;
    }
    // A daemon that is told to stop has done what it was asked, whatever waits for its next start.
    let failed = args.until_idle && watched.unfinished > 0;
    Ok(if failed { exit::FAILED } else { exit::OK })
}

/// The folders that are named, each once.
fn roots(args: &WatchArgs) -> anyhow::Result<Vec<PathBuf>> {
    let roots = args
        .roots
        .iter()
        .map(|root| {
            let real = root
                .canonicalize()
                .with_context(|| format!("cannot watch `{}`", root.display()))?;
            anyhow::ensure!(
                real.is_dir(),
                "cannot watch `{}`: it is no folder",
                root.display()
            );
            Ok(real)
        })
        .collect::<anyhow::Result<Vec<PathBuf>>>()?;
    distinct(roots)
}

/// This program, as the service needs it.
#[derive(Debug)]
struct Program {
    places: Places,
    warned: Vec<String>,
    log: ServiceLog,
    /// The roots that have their state in another root's directory, and their own ones.
    elsewhere: Vec<(PathBuf, PathBuf)>,
    signposts: Mutex<Vec<Signpost>>,
}

impl Program {
    /// Has this daemon be found from all its roots.
    fn put_signposts_up(&self, state_dir: &Path) {
        let mut signposts = self
            .signposts
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for (root, own) in &self.elsewhere {
            match Signpost::put(own, state_dir) {
                Ok(signpost) => signposts.push(signpost),
                Err(error) => tracing::warn!(
                    root = %root.display(),
                    %error,
                    "commands do not find this daemon from that root's folder; name its --state-dir"
                ),
            }
        }
    }
}

impl Host for Program {
    fn opened(&self, state_dir: &Path) {
        self.log.open_files(state_dir);
        self.put_signposts_up(state_dir);
    }

    fn closing(&self) {
        let mut signposts = self
            .signposts
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        signposts.drain(..).for_each(Signpost::remove);
    }

    fn warned(&self) -> &[String] {
        &self.warned
    }

    fn load(&self) -> Result<Loaded, ConfigError> {
        self.places.load()
    }

    fn config_files(&self) -> Vec<PathBuf> {
        self.places.files()
    }

    fn applied(&self, settings: &Settings) {
        self.log.apply(&settings.log);
    }
}

/// Says which project files are not read.
fn tell_unread(roots: &[PathBuf]) {
    let others = roots.iter().skip(1);
    for other in others.filter(|root| root.join(PROJECT_FILE).exists()) {
        tracing::warn!(
            root = %other.display(),
            "one daemon has one configuration: this root's own file is not read"
        );
    }
}

/// All roots but the first, with the state directories that they would have by themselves.
fn elsewhere(global: &Global, roots: &[PathBuf]) -> anyhow::Result<Vec<(PathBuf, PathBuf)>> {
    // Who names the state directory names it to the other commands too.
    if global.state_dir.is_some() {
        return Ok(Vec::new());
    }
    let others = roots.iter().skip(1);
    others
        .map(|root| Ok((root.clone(), state_dir_of(global, root)?)))
        .collect()
}

/// Each root once. One inside another would have its files worked on twice, by two names.
fn distinct(roots: Vec<PathBuf>) -> anyhow::Result<Vec<PathBuf>> {
    let mut distinct: Vec<PathBuf> = Vec::new();
    for root in roots {
        if distinct.contains(&root) {
            continue;
        }
        let nested = distinct
            .iter()
            .find(|other| root.starts_with(other) || other.starts_with(&root));
        if let Some(other) = nested {
            let (one, two) = (other.display(), root.display());
            let said =
                format!("`{one}` and `{two}` lie within one another; name the outer one only");
            return Err(UsageError(said).into());
        }
        distinct.push(root);
    }
    Ok(distinct)
}
