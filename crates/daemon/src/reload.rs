//! Settings that change while the service runs: on SIGHUP, when a file of the configuration
//! changes, and when a client of the control socket asks for it.
//!
//! A configuration is read and checked whole before anything of it is in force. What a running
//! service cannot change is named, and waits for the next start.

mod files;
mod suspend;
mod swap;

use std::sync::{Arc, OnceLock};

use testsmith_config::Settings;
use tokio::sync::{Mutex, watch};

pub(crate) use files::reload_on_change;
pub(crate) use suspend::mind_suspend;
pub(crate) use swap::Swap;

use crate::error::DaemonError;
use crate::files::{blocking, chain};
use crate::host::Host;
use crate::model::Model;
use crate::notify::Notifier;
use crate::recheck::verify_anew;
use crate::service::Service;
use crate::spending::wake_for_budget;
use crate::told::{SaidOfSettings, Topic};
use crate::workers::wake_for_provider;

/// What a reload came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reload {
    /// Keys whose values are other than before, and in force.
    pub changed: Vec<String>,
    /// Keys whose values wait for the next start.
    pub restart: Vec<String>,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// What it takes to reload.
#[derive(Debug)]
pub(crate) struct Reloads {
    /// As the service was started: what cannot be changed is still so.
    started: Settings,
    outside: OnceLock<(Arc<dyn Host>, Arc<Notifier>)>,
    alone: Mutex<()>,
    /// Counts the settings of the watcher.
    watcher: watch::Sender<u64>,
}

impl Reloads {
    pub(crate) fn new(started: Settings) -> Self {
        Self {
            started,
            outside: OnceLock::new(),
            alone: Mutex::default(),
            watcher: watch::Sender::new(0),
        }
    }

    /// From here on the service can reload.
    pub(crate) fn begin(&self, host: Arc<dyn Host>, notifier: Arc<Notifier>) {
        // Set once: a service is run once.
        let _ = self.outside.set((host, notifier));
    }

    /// Changes when the watcher is to begin anew, with other settings.
    pub(crate) fn watcher(&self) -> watch::Receiver<u64> {
        self.watcher.subscribe()
    }
}

/// What it takes to put a changed key in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    /// It is looked up whenever it is needed.
    Live,
    /// The way to the model is built anew.
    Model,
    /// The watcher begins anew.
    Watcher,
    /// The verifier is set up anew.
    Verifier,
    /// The service has to be started again.
    Restart,
}

fn effect(key: &str) -> Effect {
    match key {
        "watch.max_file_size" | "service.shutdown_grace" => Effect::Live,
        "log.files" => Effect::Restart,
        _ => match key.split('.').next() {
            Some("llm" | "limits" | "batch" | "secrets") => Effect::Model,
            Some("watch") => Effect::Watcher,
            Some("verify") => Effect::Verifier,
            Some("log" | "budget" | "prices" | "notify" | "mode" | "queue" | "cache") => {
                Effect::Live
            }
            _ => Effect::Restart,
        },
    }
}

impl Service {
    /// Reads the configuration anew and puts in force what can be. If it cannot be used, all stays
    /// as it was.
    pub async fn reload(&self) -> Result<Reload, DaemonError> {
        let Some((host, notifier)) = self.reloads.outside.get() else {
            return Ok(Reload::default());
        };
        let _alone = self.reloads.alone.lock().await;
        notifier.reloading();
        let reloaded = self.reload_with(host).await;
        notifier.ready();
        match &reloaded {
            Ok(reload) => tell(reload, &self.told),
            Err(error) => tracing::error!(
                error = chain(error),
                "the configuration cannot be used; the settings stay as they were"
            ),
        }
        reloaded
    }

    async fn reload_with(&self, host: &Arc<dyn Host>) -> Result<Reload, DaemonError> {
        let loaded = {
            let host = Arc::clone(host);
            blocking(move || host.load()).await?
        };
        let old = self.settings();
        let mut new = loaded.settings;
        let restart = self.reloads.started.differences(&new);
        let restart: Vec<String> = restart
            .into_iter()
            .filter(|key| effect(key) == Effect::Restart)
            .collect();
        keep_unchangeable(&mut new, &self.reloads.started);
        let changed = old.differences(&new);
        let has = |wanted: Effect| changed.iter().any(|key| effect(key) == wanted);
        let is_changed = |prefix: &str| changed.iter().any(|key| key.starts_with(prefix));
        // May fail, and nothing must be in force by then.
        let model = if has(Effect::Model) || self.model().key_has_changed() {
            Some(Model::open(&new, &self.usage, &self.cache, self.shared()).await?)
        } else {
            None
        };
        let has_model = model.is_some();
        // The verifier hides the files of keys from what it runs, and what looks like a secret.
        let hides = ["llm.api_key_file", "llm.fallback", "secrets."];
        let verifies = has(Effect::Verifier) || hides.iter().any(|key| is_changed(key));
        self.put_in_force(new, model, verifies);
        if has(Effect::Watcher) {
            self.reloads.watcher.send_modify(|count| *count += 1);
        }
        host.applied(&self.settings());
        if has_model {
            crate::run::take_up_again(self).await;
        } else {
            // What was wrong may have been mended elsewhere: the account has money again.
            self.model().reset_circuits();
            wake_for_provider(self, true).await;
            if is_changed("budget.") {
                wake_for_budget(self).await;
            }
        }
        if verifies {
            self.tell_walls().await;
            verify_anew(self).await;
        }
        if is_changed("cache.") {
            self.fit_cache().await;
        }
        let warnings = loaded.warnings.iter().map(ToString::to_string);
        Ok(Reload {
            changed,
            restart,
            warnings: warnings.collect(),
        })
    }
}

/// Leaves what only a start can change as it was, so that the settings in force are those that act.
fn keep_unchangeable(new: &mut Settings, started: &Settings) {
    new.log.files = started.log.files;
    new.metrics = started.metrics.clone();
    new.frameworks = started.frameworks.clone();
}

fn tell(reload: &Reload, told: &SaidOfSettings) {
    let Reload {
        changed,
        restart,
        warnings,
    } = reload;
    if told.note_if_new(Topic::Warnings, warnings) {
        for warning in warnings {
            tracing::warn!(%warning, "part of the configuration is not used");
        }
    }
    if told.note_if_new(Topic::Restart, restart) {
        let keys = restart.join(", ");
        tracing::warn!(keys, "some settings wait for a restart of the service");
    }
    let keys = changed.join(", ");
    tracing::info!(keys, "configuration reloaded");
}

#[cfg(test)]
mod tests {
    use testsmith_config::Sources;

    use super::*;

    fn with(flags: &[(&str, &str)]) -> Settings {
        let flag = |(key, value): &(&str, &str)| {
            ("--set".to_owned(), (*key).to_owned(), (*value).to_owned())
        };
        let sources = Sources {
            flags: flags.iter().map(flag).collect(),
            ..Sources::default()
        };
        Settings::load(&sources).unwrap().settings
    }

    /// A key that is said to wait for a restart must be kept as it was, and no other.
    #[test]
    fn what_needs_a_restart_is_kept_and_nothing_else() {
        let started = with(&[]);
        let flags = [
            ("llm.model", "m"),
            ("llm.max_concurrent_calls", "3"),
            ("batch.enabled", "false"),
            ("watch.debounce", "1s"),
            ("watch.exclude", "[\"x\"]"),
            ("watch.max_file_size", "2MiB"),
            ("budget.day.calls", "5"),
            ("prices.m.input", "1.5"),
            ("prices.m.output", "1.5"),
            ("log.level", "debug"),
            ("log.max_size", "1MiB"),
            ("log.files", "never"),
            ("metrics.listen", "127.0.0.1:1"),
            ("queue.workers", "3"),
            ("cache.max_size", "1MiB"),
            ("service.shutdown_grace", "1s"),
            ("frameworks.go", "testify"),
            ("verify.mode", "off"),
            ("mode", "propose"),
        ];
        let mut new = with(&flags);
        keep_unchangeable(&mut new, &started);
        let changed = started.differences(&new);
        for (key, _) in flags {
            let is_changed = changed.iter().any(|changed| changed == key);
            assert_eq!(is_changed, effect(key) != Effect::Restart, "{key}");
        }
    }
}
