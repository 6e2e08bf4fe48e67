//! `[llm]`: the language model and how it is asked.

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Hidden, Period};

/// `[llm]`: the language model and how it is asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LlmSettings {
    /// Who writes the tests.
    pub provider: ProviderKind,
    /// The model's name.
    pub model: Option<String>,
    /// The server's address, up to and with `/v1`.
    pub base_url: Option<String>,
    /// The environment variable that holds the key.
    pub api_key_env: Option<String>,
    /// A file with the key.
    pub api_key_file: Option<PathBuf>,
    /// Headers sent with every request.
    pub headers: BTreeMap<String, Hidden>,
    /// Tokens asked for each member in a batch.
    pub max_tokens_per_member: NonZeroU32,
    /// The most tokens the model can write in one answer.
    pub max_output_tokens: Option<NonZeroU32>,
    /// Prompt tokens per call, estimated.
    pub prompt_token_budget: NonZeroU32,
    /// Sampling temperature, 0 to 2.
    pub temperature: f64,
    /// Calls open at once.
    pub max_concurrent_calls: NonZeroUsize,
    /// Fewer calls at once while the server says that it is overloaded.
    pub adaptive_concurrency: bool,
    /// How the answer is asked for.
    pub answer_format: AnswerFormat,
    /// Models that are asked, in this order, while the one above cannot answer.
    pub fallback: Vec<FallbackSettings>,
    /// Retries.
    pub retry: RetrySettings,
    /// Time limits.
    pub timeouts: TimeoutSettings,
}

/// `llm.provider`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ProviderKind {
    /// The key found in the environment decides.
    Auto,
    /// OpenAI's chat completions, by OpenAI or any other server.
    OpenAi,
    /// Anthropic's messages.
    Anthropic,
    /// Ollama.
    Ollama,
    /// No model: scaffolds.
    Offline,
}

/// `[[llm.fallback]]`: a model that is asked while those before it cannot answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FallbackSettings {
    /// Its provider; without it, that of `[llm]` with its address, key and headers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<ProviderKind>,
    /// The model's name.
    pub model: String,
    /// The server's address, up to and with `/v1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
    /// The environment variable that holds the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_key_env: Option<String>,
    /// A file with the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_key_file: Option<PathBuf>,
    /// Headers sent with every request.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, Hidden>,
    /// The most tokens the model can write in one answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_output_tokens: Option<NonZeroU32>,
    /// Requests per minute; by default `limits.rpm`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rpm: Option<NonZeroU32>,
    /// Tokens per minute; by default `limits.tpm`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tpm: Option<NonZeroU32>,
}

/// `llm.answer_format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AnswerFormat {
    /// `response_format: {"type":"json_object"}`.
    JsonObject,
    /// A JSON schema, where the server takes one.
    JsonSchema,
    /// Text with a delimited block for each member.
    Delimiter,
}

/// `[llm.retry]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RetrySettings {
    /// Requests for one call; 1 = no retry.
    pub max_attempts: NonZeroU32,
    /// The wait before attempt n+1 is this times 2^n.
    pub base_delay: Period,
    /// The longest such wait.
    pub max_delay: Period,
    /// Whether waits are drawn at random.
    pub jitter: Jitter,
    /// The longest "Retry-After" that is waited for with the job held.
    pub max_inline_wait: Period,
}

/// `llm.retry.jitter`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Jitter {
    /// Waits are exact.
    None,
    /// Each wait is drawn from 0 to its value.
    Full,
}

/// `[llm.timeouts]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TimeoutSettings {
    /// To connect.
    pub connect: Period,
    /// For one request.
    pub attempt: Period,
    /// For one call with its retries.
    pub call: Period,
}

/// Each member's answer is looked for under one key for each model.
const MOST_FALLBACKS: usize = 7;

impl LlmSettings {
    /// What no single fallback model can tell.
    pub(super) fn check_fallback(&self) -> Result<(), (&'static str, String)> {
        let key = "llm.fallback";
        if self.fallback.len() > MOST_FALLBACKS {
            return Err((
                key,
                format!("must not be more than {MOST_FALLBACKS} models"),
            ));
        }
        if !self.fallback.is_empty() && self.provider == ProviderKind::Offline {
            let message = "needs a model to fall back from: set `llm.provider`";
            return Err((key, message.to_owned()));
        }
        for (at, link) in self.fallback.iter().enumerate() {
            let fault = |text: String| Err((key, format!("`{}` {text}", link.model)));
            if let Some(message) = link.fault() {
                return fault(message);
            }
            let is_first =
                link.provider.is_none() && self.model.as_deref() == Some(link.model.as_str());
            if is_first || self.fallback[..at].contains(link) {
                return fault("is in the chain already, on the same server".to_owned());
            }
        }
        Ok(())
    }
}

impl FallbackSettings {
    /// What is wrong with it by itself.
    fn fault(&self) -> Option<String> {
        let own = [
            ("base_url", self.base_url.is_some()),
            ("api_key_env", self.api_key_env.is_some()),
            ("api_key_file", self.api_key_file.is_some()),
            ("headers", !self.headers.is_empty()),
        ];
        if self.model.trim().is_empty() {
            return Some("is no model's name".to_owned());
        }
        match self.provider {
            None => own.iter().find(|(_, is_set)| *is_set).map(|(name, _)| {
                format!("sets `{name}` and no `provider`: without one it is asked as [llm] is")
            }),
            Some(ProviderKind::Auto | ProviderKind::Offline) => {
                Some("must have `provider` openai, anthropic or ollama, or none".to_owned())
            }
            Some(ProviderKind::OpenAi | ProviderKind::Anthropic | ProviderKind::Ollama) => {
                let url = self.base_url.as_deref().unwrap_or("http://");
                let is_good = url.starts_with("http://") || url.starts_with("https://");
                (!is_good).then(|| "has a `base_url` without http:// or https://".to_owned())
            }
        }
    }
}
