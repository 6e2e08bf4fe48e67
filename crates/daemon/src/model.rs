//! The model as the settings ask for it, and what leads to it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use testsmith_cache::Cache;
use testsmith_config::Settings;
use testsmith_domain::{BodyGenerator, ModelIdentity, Provider, RequestMeter};
use testsmith_generate::{ModelGenerator, Pipeline, ScaffoldGenerator};
use testsmith_llm::{Gauge, Link, Shared, Stack};
use testsmith_usage::UsageMeter;

use crate::calls::Noting;
use crate::error::DaemonError;
use crate::settings;

/// The model, and what leads to it.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) pipeline: Pipeline,
    /// Asks the preferred model alone; `None` if there is no other.
    preferring: Option<Pipeline>,
    /// The models in the order in which they are asked; empty offline.
    pub(crate) links: Vec<Link>,
    pub(crate) gauge: Arc<Gauge>,
    /// `false` offline.
    pub(crate) exists: bool,
    /// Which provider and model, and why, for people.
    pub(crate) description: String,
    /// The files of keys as they were: where they are, and when they were written.
    keys: Vec<(PathBuf, Option<SystemTime>)>,
}

impl Model {
    /// Sets up what the settings ask for.
    pub(crate) async fn build(
        settings: &Settings,
        usage: &UsageMeter,
        shared: &Shared,
    ) -> Result<Stack, DaemonError> {
        let env = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let meter: Arc<dyn RequestMeter> = Arc::new(Noting(usage.clone()));
        let stack = settings::stack(settings);
        Ok(testsmith_llm::build_in_place(shared, &stack, &env, Some(meter)).await?)
    }

    /// Sets up what the settings ask for, in place of an earlier one.
    pub(crate) async fn open(
        settings: &Settings,
        usage: &UsageMeter,
        cache: &Arc<Cache>,
        shared: &Shared,
    ) -> Result<Self, DaemonError> {
        let stack = Self::build(settings, usage, shared).await?;
        Ok(Self::new(stack, settings, cache))
    }

    /// Whether the key's file is another than it was.
    pub(crate) fn key_has_changed(&self) -> bool {
        let mut keys = self.keys.iter();
        keys.any(|(path, written)| written_at(path) != *written)
    }

    /// What brings a file up to date; with `prefers`, by the preferred model's answers alone.
    pub(crate) fn pipeline(&self, prefers: bool) -> &Pipeline {
        let preferring = self.preferring.as_ref().filter(|_| prefers);
        preferring.unwrap_or(&self.pipeline)
    }

    /// Asks all links anew, whatever is known of them.
    pub(crate) fn reset_circuits(&self) {
        for link in &self.links {
            link.gauge.breaker().reset();
        }
    }

    /// Resolves once a refusal has kept a link's circuit open for its whole time.
    pub(crate) async fn refusal_over(&self) {
        any_of(
            self.links
                .iter()
                .map(|link| link.gauge.breaker().refusal_over()),
        )
        .await;
    }

    /// Resolves when a link's circuit opens, closes or is probed.
    pub(crate) async fn circuit_changed(&self) {
        any_of(self.links.iter().map(|link| link.gauge.breaker().changed())).await;
    }

    /// How long no link can be asked; `None` if one can.
    pub(crate) fn left_alone_for(&self) -> Option<Duration> {
        let rests = self.links.iter().map(|link| link.gauge.left_alone_for());
        rests.min().flatten()
    }

    pub(crate) fn new(stack: Stack, settings: &Settings, cache: &Arc<Cache>) -> Self {
        let asking = |provider: &Arc<dyn Provider>| -> Arc<dyn BodyGenerator> {
            Arc::new(
                ModelGenerator::new(Arc::clone(provider), settings::generator(settings))
                    .scanning_with(settings::scanner(settings)),
            )
        };
        let generator: Arc<dyn BodyGenerator> = match &stack.provider {
            Some(provider) => asking(provider),
            None => Arc::new(ScaffoldGenerator),
        };
        let identity = stack.provider.as_ref().map_or_else(
            || ModelIdentity {
                provider: "offline".to_owned(),
                model: ScaffoldGenerator::MODEL.to_owned(),
                temperature: 0.0,
            },
            |provider| provider.identity().clone(),
        );
        let pipeline = |generator| {
            let links = stack.links.iter().skip(1);
            let others = links.map(|link| link.provider.identity().clone());
            let batch = settings.batch.enabled;
            Pipeline::new(generator, Some(cache.clone()), identity.clone(), batch)
                .with_fallback(others)
        };
        let preferring = stack.links.first().filter(|_| stack.links.len() > 1);
        let preferring = preferring.map(|first| {
            let alone = asking(&first.provider);
            pipeline(Arc::clone(&alone)).only_preferred(alone)
        });
        Self {
            pipeline: pipeline(generator),
            preferring,
            links: stack.links,
            gauge: stack.gauge,
            exists: stack.provider.is_some(),
            description: stack.description,
            keys: key_files(settings)
                .map(|path| (path.clone(), written_at(path)))
                .collect(),
        }
    }
}

/// Where keys are that are read from files.
pub(crate) fn key_files(settings: &Settings) -> impl Iterator<Item = &PathBuf> {
    let llm = &settings.llm;
    let fallback = llm.fallback.iter();
    llm.api_key_file
        .iter()
        .chain(fallback.filter_map(|link| link.api_key_file.as_ref()))
}

/// The first of these to end; never, if there are none.
async fn any_of<F: Future<Output = ()>>(futures: impl Iterator<Item = F>) {
    let futures: Vec<_> = futures.map(Box::pin).collect();
    if futures.is_empty() {
        std::future::pending::<()>().await;
    }
    futures_util::future::select_all(futures).await;
}

fn written_at(path: &Path) -> Option<SystemTime> {
    path.metadata().and_then(|data| data.modified()).ok()
}
