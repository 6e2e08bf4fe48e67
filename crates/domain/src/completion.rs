//! The seam to a language model.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{BoxFuture, ProviderError};

/// One language model behind one endpoint.
///
/// Retry and the semaphore are wrappers that implement this trait themselves, so a caller cannot
/// tell how many attempts an answer took but by [`CompletionResponse::attempts`].
pub trait Provider: Send + Sync + fmt::Debug {
    /// Who answers; part of every cache key.
    fn identity(&self) -> &ModelIdentity;

    /// The most tokens the model can write in one answer.
    fn max_output_tokens(&self) -> u32;

    /// The most tokens that the answer to `request` may have, with what the provider adds for
    /// models that think.
    fn most_output_tokens(&self, request: &CompletionRequest) -> u32 {
        request.max_tokens.min(self.max_output_tokens())
    }

    /// Whether asking costs nothing: a model on the user's own machine.
    fn is_free(&self) -> bool {
        false
    }

    /// Asks once. Dropping the future cancels the request and gives back whatever it held.
    fn complete<'a>(
        &'a self,
        request: &'a CompletionRequest,
    ) -> BoxFuture<'a, Result<CompletionResponse, ProviderError>>;
}

/// Who answers, and how it is asked, as far as that shapes the answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelIdentity {
    /// The provider's kind: `openai`, `anthropic`, `ollama`, `offline`.
    pub provider: String,
    /// The model's name as configured.
    pub model: String,
    /// Sampling temperature.
    pub temperature: f64,
}

/// A question to a model.
#[derive(Debug, Clone, PartialEq)]
pub struct CompletionRequest {
    /// Instructions that stay the same from call to call: first in the prompt, so that servers
    /// can reuse what they computed for it.
    pub system: String,
    /// The conversation; at least one message of the user.
    pub messages: Vec<Message>,
    /// The most tokens the answer may have.
    pub max_tokens: u32,
    /// The form the answer is asked to have.
    pub format: ResponseFormat,
}

/// One turn of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said.
    pub content: String,
}

/// Who speaks in a [`Message`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Us.
    User,
    /// The model, in an earlier answer.
    Assistant,
}

/// The form an answer is asked to have. No server is trusted to keep to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResponseFormat {
    /// Free text.
    Text,
    /// One JSON object (`response_format: {"type":"json_object"}`).
    JsonObject,
    /// One JSON object of this schema, for models that take one; others fall back.
    JsonSchema {
        /// The schema's name, as some servers require one.
        name: &'static str,
        /// The schema, as JSON text.
        schema: &'static str,
    },
}

/// A model's answer.
#[derive(Debug, Clone, PartialEq)]
pub struct CompletionResponse {
    /// The text; never empty or white space only.
    pub content: String,
    /// Why the model stopped.
    pub finish: FinishReason,
    /// What was used, as far as the server tells.
    pub usage: Usage,
    /// The model that answered, as the server names it.
    pub model: String,
    /// The server's name for the request, for its support.
    pub request_id: Option<String>,
    /// What the server says of its limits.
    pub rate_limits: RateLimits,
    /// How many requests were sent to get this answer.
    pub attempts: u32,
    /// Which model of the chain answered: 0 is the preferred one.
    pub link: usize,
}

/// Why a model stopped writing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FinishReason {
    /// It was done.
    Stop,
    /// It reached `max_tokens`: the answer may be cut anywhere.
    Length,
    /// Something else, as the server calls it. Not to be trusted as complete unless it parses.
    Other(String),
}

/// Tokens used by one call. Absent where the server does not tell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens of the prompt.
    pub input_tokens: Option<u64>,
    /// Of these, tokens the server had computed before.
    pub cached_input_tokens: Option<u64>,
    /// Of these, tokens that the server keeps for later calls: some ask more for them.
    pub cache_write_tokens: Option<u64>,
    /// Tokens of the answer.
    pub output_tokens: Option<u64>,
}

/// A server's words on its limits, from response headers. Advice, not truth.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RateLimits {
    /// Requests left in the current window.
    pub remaining_requests: Option<u64>,
    /// Tokens left in the current window.
    pub remaining_tokens: Option<u64>,
    /// Time until the window for requests starts anew.
    pub reset_requests: Option<Duration>,
    /// Time until the window for tokens starts anew.
    pub reset_tokens: Option<Duration>,
}
