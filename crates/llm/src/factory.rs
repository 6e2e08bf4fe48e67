//! The one place where the stack is put together.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{fmt, io};

use reqwest::Url;
use secrecy::ExposeSecret;
use testsmith_domain::{ModelIdentity, Provider, RequestMeter};

use crate::chain::Chain;
use crate::choose::{self, Choice, Target};
use crate::gauge::Figures;
use crate::http::{self, Endpoint, SecretHeaders};
use crate::key::Key;
use crate::settings::{ProviderChoice, StackSettings};
use crate::wire::{HttpProvider, Protocol};
use crate::{Breaker, Gate, Gauge, Limited, Pace, Permits, Retry, models, redact};

/// Looks up an environment variable.
pub type Env<'a> = dyn Fn(&str) -> Option<String> + Send + Sync + 'a;

/// The version of Anthropic's interface that is spoken.
const ANTHROPIC_VERSION: &str = "2023-06-01";

/// A stack ready for use.
#[derive(Debug, Clone)]
pub struct Stack {
    /// The models, each behind retry and semaphore; `None` is offline.
    pub provider: Option<Arc<dyn Provider>>,
    /// What goes through the stack, over all links, and how the first stands.
    pub gauge: Arc<Gauge>,
    /// Which provider and model is preferred, and why, for the log.
    pub description: String,
    /// The models in the order in which they are asked; empty is offline.
    pub links: Vec<Link>,
}

/// What stacks share that take each other's place. The last calls of the old one keep to the same
/// limits as the first of the new one, together, and are counted together. Fallback models have the
/// permits in common with the preferred one; how fast each is asked is its own.
#[derive(Debug, Clone)]
pub struct Shared {
    permits: Arc<Permits>,
    pace: Arc<Pace>,
    fallback: Arc<FallbackPaces>,
    figures: Arc<Figures>,
    /// Addresses of which the log says that a key is sent to them in the clear.
    told: Arc<Mutex<BTreeSet<String>>>,
}

impl Shared {
    /// With the limits of the settings, and nothing counted yet.
    pub fn new(settings: &StackSettings) -> Self {
        Self {
            permits: Arc::new(Permits::new(
                settings.max_concurrent_calls,
                settings.adaptive_concurrency,
            )),
            pace: Arc::new(Pace::new(settings.rates)),
            fallback: Arc::default(),
            figures: Arc::default(),
            told: Arc::default(),
        }
    }

    /// Says once that a key is sent in the clear.
    fn tell_unencrypted(&self, url: &str) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.insert(url.to_owned()) {
            tracing::warn!(url, "the key is sent without encryption: use `https://`");
        }
    }

    /// Puts the limits of other settings in force. Open requests count under them; none is broken off.
    pub fn set(&self, settings: &StackSettings) {
        self.permits
            .set(settings.max_concurrent_calls, settings.adaptive_concurrency);
        self.pace.set(settings.rates);
        self.fallback.set(settings);
    }

    /// Another server is asked from now on: what the last one said of its own limits is forgotten.
    pub fn forget_server(&self) {
        self.permits.forget_overload();
        self.pace.forget_told();
    }
}

/// How fast each fallback model is asked, by what names it in the settings.
#[derive(Default)]
struct FallbackPaces(Mutex<Vec<(LinkName, Arc<Pace>)>>);

/// Whom a link asks, and as whom: a server has a limit for each key. It has secrets in it, and
/// therefore no `Debug`.
#[derive(PartialEq)]
struct LinkName {
    provider: ProviderChoice,
    base_url: Option<String>,
    model: Option<String>,
    api_key_env: Option<String>,
    api_key_file: Option<PathBuf>,
    headers: Vec<(String, String)>,
}

impl LinkName {
    fn of(link: &StackSettings) -> Self {
        Self {
            provider: link.provider,
            base_url: link.base_url.clone(),
            model: link.model.clone(),
            api_key_env: link.api_key_env.clone(),
            api_key_file: link.api_key_file.clone(),
            headers: link.headers.clone(),
        }
    }
}

impl FallbackPaces {
    /// The pace of a link that was there before, or a new one.
    fn of(&self, link: &StackSettings) -> Arc<Pace> {
        let mut paces = self.lock();
        let name = LinkName::of(link);
        if let Some((_, pace)) = paces.iter().find(|(known, _)| *known == name) {
            return Arc::clone(pace);
        }
        let pace = Arc::new(Pace::new(link.rates));
        paces.push((name, Arc::clone(&pace)));
        pace
    }

    fn set(&self, settings: &StackSettings) {
        let links = settings.links();
        let fallback = || links.iter().skip(1);
        self.lock().retain(|(name, pace)| {
            let link = fallback().find(|link| LinkName::of(link) == *name);
            link.inspect(|link| pace.set(link.rates)).is_some()
        });
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(LinkName, Arc<Pace>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Addresses can have secrets in them.
impl fmt::Debug for FallbackPaces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FallbackPaces")
            .field(&self.lock().len())
            .finish()
    }
}

/// One model of the chain, and what stands before it.
#[derive(Debug, Clone)]
pub struct Link {
    /// The model alone, behind retry and semaphore.
    pub provider: Arc<dyn Provider>,
    /// Which provider and model, and why, for the log.
    pub description: String,
    /// How it stands: its hold, its circuit, and the permits of all.
    pub gauge: Arc<Gauge>,
    /// How many requests may go out to it in a minute.
    pub pace: Arc<Pace>,
    /// The variable that the settings name for the key, if no key was found there or elsewhere.
    pub missing_key: Option<String>,
}

/// Why no stack could be built. No text has a key in it.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The provider needs a key and none was found.
    #[error(
        "no key for provider `{provider}`; set `{variable}` in the environment, or name another \
         variable in `llm.api_key_env` or a file in `llm.api_key_file`"
    )]
    NoKey {
        /// The provider.
        provider: &'static str,
        /// The variable that was looked at.
        variable: String,
    },
    /// The key's file cannot be read.
    #[error("cannot read the key in `{}`", path.display())]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others can read the key's file.
    #[error("others can read the key in `{path}` (mode {mode:03o}); run `chmod 600 {path}`", path = path.display())]
    KeyFileOpen {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// The key cannot be sent in a header.
    #[error("the key in {from} is empty or has characters that no key has")]
    BadKey {
        /// Where the key was found.
        from: String,
    },
    /// A header is not one.
    #[error("`{name}` in `llm.headers` is no valid header")]
    BadHeader {
        /// The header's name.
        name: String,
    },
    /// The address is not one.
    #[error("`{setting}` (`{url}`) is no valid address: {reason}")]
    BadUrl {
        /// Where the address is from.
        setting: &'static str,
        /// The address, without secrets.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Which models a server has is not known.
    #[error("no model for the server at `{url}`; set `llm.model`")]
    NoModel {
        /// The address, without secrets.
        url: String,
    },
    /// A fallback model cannot be used.
    #[error("the fallback model `{model}` (`llm.fallback[{at}]`) cannot be set up")]
    Fallback {
        /// Its place in the list.
        at: usize,
        /// Its name.
        model: String,
        /// Why.
        source: Box<BuildError>,
    },
    /// There is no HTTP client to be had, as on a machine without certificate authorities.
    #[error("no HTTP client for `{url}`; are certificates installed (`ca-certificates`)?")]
    Client {
        /// The address, without secrets.
        url: String,
        /// Why.
        source: reqwest::Error,
    },
}

/// Builds the stack: for each link retry around the semaphore around the provider, and the chain
/// around all if there are several.
///
/// The environment is asked for keys and for `OLLAMA_HOST`. With
/// [`Auto`](crate::ProviderChoice::Auto) an Ollama on this machine may be asked for its models;
/// nothing else is sent anywhere.
///
/// Each request is reserved with `meter` before it is sent, and settled after it.
pub async fn build(
    settings: &StackSettings,
    env: &Env<'_>,
    meter: Option<Arc<dyn RequestMeter>>,
) -> Result<Stack, BuildError> {
    build_in_place(&Shared::new(settings), settings, env, meter).await
}

/// As [`build`], to take the place of another. The limits of the settings are not in force before
/// [`Shared::set`] says so.
pub async fn build_in_place(
    shared: &Shared,
    settings: &StackSettings,
    env: &Env<'_>,
    meter: Option<Arc<dyn RequestMeter>>,
) -> Result<Stack, BuildError> {
    let mut links: Vec<Link> = Vec::new();
    let mut offline = None;
    for (at, settings) in settings.links().iter().enumerate() {
        let pace = if at == 0 {
            Arc::clone(&shared.pace)
        } else {
            shared.fallback.of(settings)
        };
        let chosen = match choose::choose(settings, env).await {
            Ok(Choice::Model(target)) => link(shared, settings, target, meter.clone(), pace),
            Ok(Choice::Offline(why)) => {
                offline.get_or_insert(why);
                continue;
            }
            Err(error) => Err(error),
        };
        links.push(chosen.map_err(|source| match at.checked_sub(1) {
            None => source,
            Some(at) => BuildError::Fallback {
                at,
                model: settings.model.clone().unwrap_or_default(),
                source: Box::new(source),
            },
        })?);
    }
    let Some(first) = links.first() else {
        return Ok(Stack {
            provider: None,
            gauge: Arc::new(
                Gauge::new(
                    Arc::new(Gate::new("offline")),
                    Arc::new(Breaker::new("offline")),
                    Arc::clone(&shared.permits),
                )
                .counting_in(Arc::clone(&shared.figures)),
            ),
            description: format!("offline: {}", offline.unwrap_or_default()),
            links,
        });
    };
    let provider: Arc<dyn Provider> = if links.len() == 1 {
        first.provider.clone()
    } else {
        Arc::new(Chain::new(links.iter().map(|link| link.provider.clone())))
    };
    Ok(Stack {
        provider: Some(provider),
        gauge: first.gauge.clone(),
        description: first.description.clone(),
        links,
    })
}

/// One link. Its permits are those of all.
fn link(
    shared: &Shared,
    settings: &StackSettings,
    target: Target,
    meter: Option<Arc<dyn RequestMeter>>,
    pace: Arc<Pace>,
) -> Result<Link, BuildError> {
    let shown = redact::shown(&target.base);
    let description = format!(
        "{}, model `{}` at `{shown}`: {}",
        target.protocol.name(),
        target.model,
        target.why
    );
    let missing_key = settings.api_key_env.clone();
    let missing_key = missing_key.filter(|_| target.key.is_none());
    let limited = Limited::new(
        provider(shared, settings, target)?,
        Arc::clone(&shared.permits),
        settings.timeouts.attempt,
        Arc::new(Gate::new(shown)),
    )
    .counting_in(Arc::clone(&shared.figures));
    let gauge = limited.gauge().clone();
    let retry = Retry::new(limited, settings)
        .metered(meter)
        .paced(Arc::clone(&pace));
    Ok(Link {
        pace,
        missing_key,
        provider: Arc::new(retry),
        description,
        gauge,
    })
}

fn provider(
    shared: &Shared,
    settings: &StackSettings,
    target: Target,
) -> Result<HttpProvider, BuildError> {
    let connect_timeout = settings.timeouts.connect;
    let client =
        http::client(&target.base, connect_timeout).map_err(|source| BuildError::Client {
            url: redact::shown(&target.base),
            source,
        })?;
    let headers = headers(settings, &target)?;
    if target.key.is_some() && target.base.scheme() == "http" && !http::is_loopback(&target.base) {
        shared.tell_unencrypted(&redact::shown(&target.base));
    }
    let url = choose::request_url(target.protocol, &target.base);
    let max_output_tokens = settings
        .max_output_tokens
        .unwrap_or_else(|| models::max_output_tokens(&target.model));
    let is_free = is_free(&target);
    let identity = ModelIdentity {
        provider: target.protocol.name().to_owned(),
        model: target.model,
        temperature: settings.temperature,
    };
    let endpoint = Endpoint::new(client, url, headers, connect_timeout);
    Ok(HttpProvider::new(
        target.protocol,
        endpoint,
        identity,
        max_output_tokens,
        is_free,
    ))
}

/// A model on this machine costs nothing to ask. Those that Ollama only passes on to its cloud do.
fn is_free(target: &Target) -> bool {
    target.protocol == Protocol::Ollama
        && http::is_loopback(&target.base)
        && !target.model.ends_with("cloud")
}

/// The user's headers first, so that they win over ours.
fn headers(settings: &StackSettings, target: &Target) -> Result<SecretHeaders, BuildError> {
    let mut headers = SecretHeaders::default();
    for (name, value) in &settings.headers {
        let bad = || BuildError::BadHeader { name: name.clone() };
        headers.add(name, "", value).ok_or_else(bad)?;
    }
    if target.protocol == Protocol::Anthropic {
        let added = headers.add("anthropic-version", "", ANTHROPIC_VERSION);
        debug_assert!(added.is_some(), "a valid header");
    }
    if let Some(Key { secret, from }) = &target.key {
        let (name, prefix) = key_header(target.protocol, &target.base);
        if !headers.has(name) {
            let bad = || BuildError::BadKey { from: from.clone() };
            headers
                .add(name, prefix, secret.expose_secret())
                .ok_or_else(bad)?;
        }
    }
    Ok(headers)
}

/// The header that takes the key, and what stands before it.
fn key_header(protocol: Protocol, base: &Url) -> (&'static str, &'static str) {
    let is_azure = base
        .host_str()
        .is_some_and(|host| host.ends_with(".azure.com"))
        || base.query_pairs().any(|(name, _)| name == "api-version");
    match protocol {
        Protocol::Anthropic => ("x-api-key", ""),
        Protocol::OpenAi if is_azure => ("api-key", ""),
        Protocol::OpenAi | Protocol::Ollama => ("authorization", "Bearer "),
    }
}

#[cfg(test)]
mod tests;
