//! The model as the settings ask for it, and what leads to it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use testsmith_cache::Cache;
use testsmith_config::Settings;
use testsmith_domain::{BodyGenerator, ModelIdentity, RequestMeter};
use testsmith_generate::{ModelGenerator, Pipeline, ScaffoldGenerator};
use testsmith_llm::{Gauge, Shared, Stack};
use testsmith_usage::UsageMeter;

use crate::calls::Noting;
use crate::error::DaemonError;
use crate::settings;
use crate::spending::check_price;

/// The model, and what leads to it.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) pipeline: Pipeline,
    pub(crate) gauge: Arc<Gauge>,
    /// `false` offline.
    pub(crate) exists: bool,
    /// Which provider and model, and why, for people.
    pub(crate) description: String,
    /// The file of the key as it was, if there is one: where it is, and when it was written.
    key: Option<(PathBuf, Option<SystemTime>)>,
}

impl Model {
    /// Sets up the way to what the settings ask for.
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
        check_price(usage, stack.provider.as_ref());
        Ok(Self::new(stack, settings, cache))
    }

    /// Whether the key's file is another than it was.
    pub(crate) fn key_has_changed(&self) -> bool {
        self.key
            .as_ref()
            .is_some_and(|(path, written)| written_at(path) != *written)
    }

    pub(crate) fn new(stack: Stack, settings: &Settings, cache: &Arc<Cache>) -> Self {
        let generator: Arc<dyn BodyGenerator> = match &stack.provider {
            Some(provider) => Arc::new(
                ModelGenerator::new(Arc::clone(provider), settings::generator(settings))
                    .scanning_with(settings::scanner(settings)),
            ),
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
        let pipeline = Pipeline::new(
            generator,
            Some(cache.clone()),
            identity,
            settings.batch.enabled,
        );
        Self {
            pipeline,
            gauge: stack.gauge,
            exists: stack.provider.is_some(),
            description: stack.description,
            key: settings
                .llm
                .api_key_file
                .clone()
                .map(|path| (path.clone(), written_at(&path))),
        }
    }
}

fn written_at(path: &Path) -> Option<SystemTime> {
    path.metadata().and_then(|data| data.modified()).ok()
}
