//! A provider over HTTP: one request, one reply, in the protocol of its server.
//!
//! The protocols differ in how a request is put and where the answer is found; each has its
//! module for that. What makes an answer good, and what a refusal means, is the same for all: that
//! is in `reply`.

mod anthropic;
mod ollama;
mod openai;
mod reply;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use serde_json::Value;
use testsmith_domain::{
    BoxFuture, CompletionRequest, CompletionResponse, ModelIdentity, Provider, ProviderError, Usage,
};

pub(crate) use self::reply::BlankAnswer;
use crate::adapt::{Learned, Shape};
use crate::http::{Endpoint, Reply};

/// The tokens added for a model that thinks, at least; twice the answer's if that is more.
const THINKING_TOKENS: u32 = 4_096;
/// Not more in all, unless more were asked for to begin with.
const MOST_WITH_THINKING: u32 = 16_384;
/// How a server is talked to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// OpenAI's chat completions.
    OpenAi,
    /// Anthropic's messages.
    Anthropic,
    /// Ollama's own chat interface, which unlike its OpenAI-compatible one lets the client say
    /// how large a context it needs.
    Ollama,
}

/// One model behind one endpoint.
#[derive(Debug)]
pub(crate) struct HttpProvider {
    protocol: Protocol,
    endpoint: Endpoint,
    identity: ModelIdentity,
    max_output_tokens: u32,
    is_free: bool,
    learned: Arc<Learned>,
    /// The largest context asked of Ollama so far: each change makes it load the model anew.
    context: AtomicU32,
    warned_of_cut_prompt: AtomicBool,
}

/// A request as it is to be put.
struct Ask<'a> {
    request: &'a CompletionRequest,
    shape: &'a Shape,
    model: &'a str,
    temperature: f64,
    max_tokens: u32,
    context: u32,
}

/// What a protocol's module finds in a reply.
#[derive(Debug, Default)]
struct Found {
    text: String,
    /// As the server calls it.
    finish: String,
    /// The model's words where it refuses.
    refusal: Option<String>,
    usage: Usage,
    model: Option<String>,
}

impl Protocol {
    /// The provider's name in settings, logs and cache keys.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Anthropic => "anthropic",
            Self::Ollama => "ollama",
        }
    }

    fn body(self, ask: &Ask<'_>) -> Value {
        match self {
            Self::OpenAi => openai::body(ask),
            Self::Anthropic => anthropic::body(ask),
            Self::Ollama => ollama::body(ask),
        }
    }

    fn find(self, reply: &Value) -> Option<Found> {
        match self {
            Self::OpenAi => openai::find(reply),
            Self::Anthropic => anthropic::find(reply),
            Self::Ollama => ollama::find(reply),
        }
    }
}

impl HttpProvider {
    /// The model behind the endpoint.
    pub(crate) fn new(
        protocol: Protocol,
        endpoint: Endpoint,
        identity: ModelIdentity,
        max_output_tokens: u32,
        is_free: bool,
    ) -> Self {
        let learned = Learned::of(endpoint.shown(), &identity.model);
        Self::knowing(
            protocol,
            endpoint,
            identity,
            max_output_tokens,
            is_free,
            learned,
        )
    }

    /// The same, with this knowledge of the server.
    pub(crate) fn knowing(
        protocol: Protocol,
        endpoint: Endpoint,
        identity: ModelIdentity,
        max_output_tokens: u32,
        is_free: bool,
        learned: Arc<Learned>,
    ) -> Self {
        Self {
            protocol,
            endpoint,
            identity,
            max_output_tokens,
            is_free,
            learned,
            context: AtomicU32::new(0),
            warned_of_cut_prompt: AtomicBool::new(false),
        }
    }

    async fn ask(&self, request: &CompletionRequest) -> Result<CompletionResponse, ProviderError> {
        let shape = self.learned.shape(&request.format);
        let max_tokens = self.max_tokens(request, shape.headroom);
        let needed = ollama::context(prompt_bytes(request), max_tokens);
        let ask = Ask {
            request,
            shape: &shape,
            model: &self.identity.model,
            temperature: self.identity.temperature,
            max_tokens,
            context: self
                .context
                .fetch_max(needed, Ordering::Relaxed)
                .max(needed),
        };
        let json = self.protocol.body(&ask).to_string().into_bytes();
        tracing::trace!(request = %String::from_utf8_lossy(&json), "request");
        let reply = self.endpoint.post(json).await?;
        self.judge(request, &shape, &reply)
    }

    /// What a reply to a request of this shape means.
    pub(crate) fn judge(
        &self,
        request: &CompletionRequest,
        shape: &Shape,
        reply: &Reply,
    ) -> Result<CompletionResponse, ProviderError> {
        if (200..300).contains(&reply.status) {
            self.answer(request, shape, reply)
        } else {
            Err(self.refusal(request, shape, reply))
        }
    }

    /// The cap on the answer, with room for thinking if the model is known to think.
    fn max_tokens(&self, request: &CompletionRequest, headroom: bool) -> u32 {
        let asked = request.max_tokens.min(self.max_output_tokens);
        if !headroom {
            return asked;
        }
        let more = asked.saturating_add(asked.max(THINKING_TOKENS));
        more.min(MOST_WITH_THINKING.max(asked))
            .min(self.max_output_tokens)
    }
}

/// The bytes of text in a prompt.
fn prompt_bytes(request: &CompletionRequest) -> u64 {
    let messages = request.messages.iter().map(|message| message.content.len());
    let bytes: usize = messages.chain([request.system.len()]).sum();
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// A text, wherever the protocols put one: plain, or in parts.
fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts
            .iter()
            .filter_map(|part| part["text"].as_str())
            .collect(),
        _ => String::new(),
    }
}

impl Provider for HttpProvider {
    fn identity(&self) -> &ModelIdentity {
        &self.identity
    }

    fn max_output_tokens(&self) -> u32 {
        self.max_output_tokens
    }

    fn most_output_tokens(&self, request: &CompletionRequest) -> u32 {
        // As it would be sent now, and if it turns out that the model thinks, reserved anew.
        self.max_tokens(request, self.learned.shape(&request.format).headroom)
    }

    fn is_free(&self) -> bool {
        self.is_free
    }

    fn complete<'a>(
        &'a self,
        request: &'a CompletionRequest,
    ) -> BoxFuture<'a, Result<CompletionResponse, ProviderError>> {
        Box::pin(self.ask(request))
    }
}

#[cfg(test)]
mod tests;
