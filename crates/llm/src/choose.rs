//! Which provider, which model, which address, which key: from the settings and the environment.

use std::time::Duration;

use reqwest::Url;
use serde_json::Value;

use crate::BuildError;
use crate::factory::Env;
use crate::http::{self, Endpoint, SecretHeaders};
use crate::key::{self, Key};
use crate::redact;
use crate::settings::{ProviderChoice, StackSettings};
use crate::wire::Protocol;

const OPENAI_URL: &str = "https://api.openai.com/v1";
const ANTHROPIC_URL: &str = "https://api.anthropic.com/v1";
const OLLAMA_PORT: u16 = 11_434;
/// Enough for a server on this machine; not a delay at the start.
const PROBE_TIME: Duration = Duration::from_millis(300);

// The vendors' own advice for new work at a low price, as of November 2026.
const OPENAI_MODEL: &str = "gpt-6-luna";
const ANTHROPIC_MODEL: &str = "claude-sonnet-5";
/// Small enough for most machines.
const OLLAMA_MODEL: &str = "qwen2.5-coder:7b";

/// What was chosen.
#[derive(Debug)]
pub(crate) enum Choice {
    /// No model; the reason is for the log.
    Offline(String),
    /// A model.
    Model(Target),
}

/// A model, its server and how to talk to it.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) protocol: Protocol,
    pub(crate) base: Url,
    pub(crate) model: String,
    pub(crate) key: Option<Key>,
    /// Why it was chosen, for the log.
    pub(crate) why: String,
}

/// Chooses by the settings.
pub(crate) async fn choose(settings: &StackSettings, env: &Env<'_>) -> Result<Choice, BuildError> {
    match settings.provider {
        ProviderChoice::Offline => Ok(Choice::Offline("as configured".to_owned())),
        ProviderChoice::OpenAi => hosted(Protocol::OpenAi, settings, env),
        ProviderChoice::Anthropic => hosted(Protocol::Anthropic, settings, env),
        ProviderChoice::Ollama => ollama(settings, env).await,
        ProviderChoice::Auto => auto(settings, env).await,
    }
}

async fn auto(settings: &StackSettings, env: &Env<'_>) -> Result<Choice, BuildError> {
    if let Some(url) = &settings.base_url {
        let host = parse(url)?.host_str().unwrap_or_default().to_owned();
        let is_anthropic = host == "anthropic.com" || host.ends_with(".anthropic.com");
        let protocol = if is_anthropic {
            Protocol::Anthropic
        } else {
            Protocol::OpenAi
        };
        return hosted(protocol, settings, env);
    }
    let named = settings
        .api_key_env
        .as_deref()
        .unwrap_or(variable(Protocol::OpenAi));
    let key = match key::in_variable(named, env)
        .or_else(|| key::in_variable(variable(Protocol::Anthropic), env))
    {
        Some(key) => Some(key),
        None => key::in_file(settings, env)?,
    };
    if let Some(key) = key {
        let anthropic = key.is_anthropic() || key.from.contains(variable(Protocol::Anthropic));
        let protocol = if anthropic {
            Protocol::Anthropic
        } else {
            Protocol::OpenAi
        };
        return target(protocol, settings, Some(key)).map(Choice::Model);
    }
    local(settings, env, named).await
}

/// The local Ollama if it answers and has a model, else none.
async fn local(
    settings: &StackSettings,
    env: &Env<'_>,
    key_variable: &str,
) -> Result<Choice, BuildError> {
    let no_key = format!("no key in `{key_variable}` or `ANTHROPIC_API_KEY`");
    let base = ollama_url(settings, env)?;
    let is_local = http::is_loopback(&base);
    let Some(models) = (if is_local {
        local_models(&base).await
    } else {
        None
    }) else {
        return Ok(Choice::Offline(format!(
            "{no_key}, and no Ollama answers on this machine"
        )));
    };
    let Some(model) = settings.model.clone().or(first_chat_model(models)) else {
        return Ok(Choice::Offline(format!(
            "{no_key}, and Ollama has no model: run `ollama pull {OLLAMA_MODEL}`"
        )));
    };
    let why = "it answers on this machine".to_owned();
    Ok(Choice::Model(Target {
        protocol: Protocol::Ollama,
        base,
        model,
        key: None,
        why,
    }))
}

async fn ollama(settings: &StackSettings, env: &Env<'_>) -> Result<Choice, BuildError> {
    let base = ollama_url(settings, env)?;
    let model = if let Some(model) = &settings.model {
        model.clone()
    } else {
        let models = local_models(&base).await.unwrap_or_default();
        first_chat_model(models).unwrap_or_else(|| OLLAMA_MODEL.to_owned())
    };
    // None is needed, but a proxy before it may want one. Only a key that is named for it: what
    // lies in `OPENAI_API_KEY` is not for this server.
    let key = match settings
        .api_key_env
        .as_deref()
        .and_then(|name| key::in_variable(name, env))
    {
        Some(key) => Some(key),
        None => key::in_file(settings, env)?,
    };
    let why = "as configured".to_owned();
    Ok(Choice::Model(Target {
        protocol: Protocol::Ollama,
        base,
        model,
        key,
        why,
    }))
}

/// A provider that has a usual variable for its key.
fn hosted(
    protocol: Protocol,
    settings: &StackSettings,
    env: &Env<'_>,
) -> Result<Choice, BuildError> {
    let name = settings
        .api_key_env
        .as_deref()
        .unwrap_or(variable(protocol));
    let key = match key::in_variable(name, env) {
        Some(key) => Some(key),
        None => key::in_file(settings, env)?,
    };
    if key.is_none() && settings.base_url.is_none() {
        return Err(BuildError::NoKey {
            provider: protocol.name(),
            variable: name.to_owned(),
        });
    }
    target(protocol, settings, key).map(Choice::Model)
}

fn target(
    protocol: Protocol,
    settings: &StackSettings,
    key: Option<Key>,
) -> Result<Target, BuildError> {
    let (usual, model) = match protocol {
        Protocol::Anthropic => (ANTHROPIC_URL, ANTHROPIC_MODEL),
        Protocol::OpenAi | Protocol::Ollama => (OPENAI_URL, OPENAI_MODEL),
    };
    let usual = parse(usual)?;
    let base = settings
        .base_url
        .as_deref()
        .map_or(Ok(usual.clone()), parse)?;
    let model = match &settings.model {
        Some(model) => model.clone(),
        None if base.host_str() == usual.host_str() => model.to_owned(),
        None => {
            return Err(BuildError::NoModel {
                url: redact::shown(&base),
            });
        }
    };
    let why = key.as_ref().map_or_else(
        || "without a key".to_owned(),
        |key| format!("key from {}", key.from),
    );
    Ok(Target {
        protocol,
        base,
        model,
        key,
        why,
    })
}

fn variable(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Anthropic => "ANTHROPIC_API_KEY",
        Protocol::OpenAi | Protocol::Ollama => "OPENAI_API_KEY",
    }
}

fn parse(url: &str) -> Result<Url, BuildError> {
    parse_named("llm.base_url", url)
}

fn parse_named(setting: &'static str, url: &str) -> Result<Url, BuildError> {
    let bad = |reason: &str| BuildError::BadUrl {
        setting,
        url: redact::shown_url(url),
        reason: reason.to_owned(),
    };
    let url = Url::parse(url.trim()).map_err(|error| bad(&error.to_string()))?;
    match url.scheme() {
        "http" | "https" if url.has_host() => Ok(url),
        _ => Err(bad("it must begin with `https://` or `http://`")),
    }
}

/// The configured address, or that of `OLLAMA_HOST`, which takes a host, a port, both or a URL.
fn ollama_url(settings: &StackSettings, env: &Env<'_>) -> Result<Url, BuildError> {
    if let Some(url) = &settings.base_url {
        return parse(url);
    }
    let host = env("OLLAMA_HOST").unwrap_or_default();
    // Where a server listens on every address, a client calls it on this machine.
    let host = host.trim().replace("0.0.0.0", "127.0.0.1");
    if host.contains("://") {
        return parse_named("OLLAMA_HOST", &host);
    }
    let host = match host.as_str() {
        "" => "127.0.0.1".to_owned(),
        port if port.starts_with(':') => format!("127.0.0.1{port}"),
        host => host.to_owned(),
    };
    let mut url = parse_named("OLLAMA_HOST", &format!("http://{host}"))?;
    if url.port().is_none() && !host.ends_with(":80") {
        // Fails only for addresses without a host.
        let _ = url.set_port(Some(OLLAMA_PORT));
    }
    Ok(url)
}

/// The names of the models that an Ollama has, in its order; `None` if none answers.
async fn local_models(base: &Url) -> Option<Vec<String>> {
    let client = http::client(base, PROBE_TIME).ok()?;
    let url = ollama_path(base, "tags");
    let endpoint = Endpoint::new(client, url, SecretHeaders::default(), PROBE_TIME);
    let reply = tokio::time::timeout(PROBE_TIME, endpoint.get())
        .await
        .ok()?
        .ok()?;
    let value: Value = serde_json::from_slice(&reply.body)
        .ok()
        .filter(|_| reply.status == 200)?;
    let models = value["models"].as_array()?.iter();
    Some(
        models
            .filter_map(|model| model["name"].as_str().map(str::to_owned))
            .collect(),
    )
}

/// The first model that is not for embeddings only, which goes by the name.
fn first_chat_model(models: Vec<String>) -> Option<String> {
    models.into_iter().find(|name| !name.contains("embed"))
}

/// The address of Ollama's own interface, also where that of its OpenAI-compatible one is given.
pub(crate) fn ollama_path(base: &Url, what: &str) -> Url {
    extend(base, &["v1", "api"], &["api", what])
}

/// The address that requests go to.
pub(crate) fn request_url(protocol: Protocol, base: &Url) -> Url {
    match protocol {
        Protocol::OpenAi => extend(base, &[], &["chat", "completions"]),
        Protocol::Anthropic => extend(base, &["v1"], &["v1", "messages"]),
        Protocol::Ollama => ollama_path(base, "chat"),
    }
}

/// The address with its path extended, after one of `endings` is taken off its end. What is there
/// in full stays as it is; the query is kept.
fn extend(base: &Url, endings: &[&str], path: &[&str]) -> Url {
    let mut url = base.clone();
    let mut segments: Vec<&str> = base
        .path()
        .split('/')
        .filter(|segment| !segment.is_empty())
        .collect();
    if !segments.ends_with(path) {
        if segments.last().is_some_and(|last| endings.contains(last)) {
            segments.pop();
        }
        segments.extend(path);
        url.set_path(&segments.join("/"));
    }
    url
}

#[cfg(test)]
mod tests;
