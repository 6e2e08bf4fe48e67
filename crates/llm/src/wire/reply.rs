//! What a reply means: an answer, or an error whose kind says whether asking again can help.

use std::sync::atomic::Ordering;
use std::time::SystemTime;

use reqwest::StatusCode;
use serde_json::Value;
use testsmith_domain::{
    CompletionRequest, CompletionResponse, FinishReason, ProviderError, ProviderErrorKind,
    Retryability, Usage,
};

use super::{Found, HttpProvider, Protocol, prompt_bytes};
use crate::adapt::{Adapted, Shape};
use crate::classify::{self, ErrorBody};
use crate::hints;
use crate::http::Reply;

/// No text of a known language has more bytes to a token than this.
const MOST_BYTES_PER_TOKEN: u64 = 8;
/// Prompts shorter than this fit any model.
const SHORT_PROMPT_BYTES: u64 = 8 * 1024;

/// The mark on an error for an answer without text: the next attempt asks for free text.
#[derive(Debug, thiserror::Error)]
#[error("the answer has no text")]
pub(crate) struct BlankAnswer;

impl HttpProvider {
    /// Judges a reply of status 200: servers say many things under it.
    pub(super) fn answer(
        &self,
        request: &CompletionRequest,
        shape: &Shape,
        reply: &Reply,
    ) -> Result<CompletionResponse, ProviderError> {
        let Ok(value) = serde_json::from_slice::<Value>(&reply.body) else {
            let shown = self
                .endpoint
                .redactor()
                .clean(&plain_text(reply), Some(request));
            let message = if shown.is_empty() {
                format!("the reply of {} bytes is no whole JSON", reply.body.len())
            } else {
                format!("the reply is no JSON: `{shown}`")
            };
            return Err(fault(ProviderErrorKind::EmptyReply, message, reply));
        };
        let nested = value
            .pointer("/choices/0")
            .filter(|choice| choice.get("error").is_some());
        if ErrorBody::read(nested.unwrap_or(&value)).is_some() {
            return Err(self.refusal(request, shape, reply));
        }
        let Some(mut found) = self.protocol.find(&value) else {
            let message = "the reply has no answer in it".to_owned();
            return Err(fault(ProviderErrorKind::EmptyReply, message, reply));
        };
        let finish = finish_reason(&found.finish);
        self.check(request, shape, reply, &found, &finish)?;
        self.learned.answered(shape);
        self.look_for_cut_prompt(request, &found.usage);
        tracing::trace!(content = found.text, "answer");
        Ok(CompletionResponse {
            content: std::mem::take(&mut found.text),
            finish,
            usage: found.usage,
            model: found.model.unwrap_or_else(|| self.identity.model.clone()),
            request_id: self.request_id(reply),
            rate_limits: hints::rate_limits(&reply.headers, SystemTime::now()),
            attempts: 1,
            link: 0,
        })
    }

    /// Whether there is text in the answer, and if not, why.
    fn check(
        &self,
        request: &CompletionRequest,
        shape: &Shape,
        reply: &Reply,
        found: &Found,
        finish: &FinishReason,
    ) -> Result<(), ProviderError> {
        if let Some(refusal) = &found.refusal {
            let shown = self.endpoint.redactor().clean(refusal, Some(request));
            let message = format!("the model refuses to answer: {shown}");
            return Err(fault(ProviderErrorKind::ContentFilter, message, reply));
        }
        if !found.text.trim().is_empty() {
            return Ok(());
        }
        if matches!(found.finish.as_str(), "content_filter" | "refusal") {
            let message = "the server's filter held the answer back".to_owned();
            return Err(fault(ProviderErrorKind::ContentFilter, message, reply));
        }
        if *finish == FinishReason::Length && found.text.is_empty() {
            return Err(self.starved(request, shape, reply));
        }
        let message = "the answer is empty".to_owned();
        Err(fault(ProviderErrorKind::EmptyReply, message, reply).with_source(BlankAnswer))
    }

    /// The error for an answer whose tokens all went into thinking. Asked the same way it would
    /// end the same way: there is one more try with more tokens, and then it is up to the caller
    /// to ask for less at once.
    fn starved(&self, request: &CompletionRequest, shape: &Shape, reply: &Reply) -> ProviderError {
        let spent = self.max_tokens(request, shape.headroom);
        let error = fault(
            ProviderErrorKind::TooLong,
            format!(
                "the model spent all {spent} tokens of the answer before its first word; \
                 raise `llm.max_tokens_per_member` or take a model that thinks less"
            ),
            reply,
        );
        if self.max_tokens(request, true) > spent && self.learned.starved(shape) {
            error.with_source(Adapted)
        } else {
            error
        }
    }

    /// The error for a reply that says no, and what can be learned from it.
    pub(super) fn refusal(
        &self,
        request: &CompletionRequest,
        shape: &Shape,
        reply: &Reply,
    ) -> ProviderError {
        let json = serde_json::from_slice::<Value>(&reply.body).ok();
        let body = json.as_ref().and_then(|value| {
            let nested = value.pointer("/choices/0").and_then(ErrorBody::read);
            nested.or_else(|| ErrorBody::read(value))
        });
        let said = match &body {
            Some(body) => body.message.clone(),
            None => plain_text(reply),
        };
        let body = body.unwrap_or_default();
        let mut kind = classify::kind_of(reply.status, &body);
        let mut message = self.say(request, reply, kind, &said);
        if hints::forbids_retry(&reply.headers) && kind.retryability() == Retryability::Transient {
            kind = ProviderErrorKind::Rejected;
            message.push_str("; it says that asking again is of no use");
        }
        let mut error = fault(kind, message, reply);
        let now = SystemTime::now();
        error.retry_after = hints::retry_after(&reply.headers, now).or_else(|| {
            let limits = hints::rate_limits(&reply.headers, now);
            hints::until_reset(&limits).filter(|_| kind == ProviderErrorKind::RateLimited)
        });
        if self.learned.refused(reply.status, kind, &body, shape) {
            tracing::debug!(model = self.identity.model, error = %error, "request adapted");
            error = error.with_source(Adapted);
        }
        error
    }

    /// `the server answered 503 Service Unavailable: <its words> (request <id>)<remedy>`.
    fn say(
        &self,
        request: &CompletionRequest,
        reply: &Reply,
        kind: ProviderErrorKind,
        said: &str,
    ) -> String {
        let reason = StatusCode::from_u16(reply.status).ok();
        let reason = reason.and_then(|status| status.canonical_reason());
        let reason = reason.map_or_else(String::new, |reason| format!(" {reason}"));
        let said = match self.endpoint.redactor().clean(said, Some(request)) {
            said if said.is_empty() => said,
            said => format!(": {said}"),
        };
        let id = self.request_id(reply);
        let id = id.map_or_else(String::new, |id| format!(" (request {id})"));
        let remedy = match (reply.status, kind) {
            (300..400, _) => {
                "; redirects are not followed: set `llm.base_url` to where it leads".to_owned()
            }
            (_, ProviderErrorKind::NotFound) if self.protocol == Protocol::Ollama => {
                format!("; run `ollama pull {}`", self.identity.model)
            }
            _ => classify::remedy(kind).to_owned(),
        };
        format!(
            "the server answered {}{reason}{said}{id}{remedy}",
            reply.status
        )
    }

    fn request_id(&self, reply: &Reply) -> Option<String> {
        let id = ["x-request-id", "request-id", "apim-request-id"]
            .iter()
            .find_map(|name| reply.headers.get(*name)?.to_str().ok())?;
        let id = self.endpoint.redactor().clean(id, None);
        (!id.is_empty()).then_some(id)
    }

    /// Warns once if the server has counted far fewer tokens than the prompt can have: then it has
    /// cut it silently, as Ollama does at the end of its context.
    fn look_for_cut_prompt(&self, request: &CompletionRequest, usage: &Usage) {
        let bytes = prompt_bytes(request);
        let Some(tokens) = usage.input_tokens.filter(|tokens| *tokens > 0) else {
            return;
        };
        if bytes > SHORT_PROMPT_BYTES
            && tokens * MOST_BYTES_PER_TOKEN < bytes
            && !self.warned_of_cut_prompt.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(
                model = self.identity.model,
                prompt_bytes = bytes,
                prompt_tokens = tokens,
                "the server seems to have cut the prompt: give the model a larger context \
                 (`OLLAMA_CONTEXT_LENGTH`), or lower `llm.prompt_token_budget`"
            );
        }
    }
}

/// The body, if it is a page or a line of text. What looks like JSON or like a stream of events is
/// left out: it may repeat the prompt, or be the beginning of an answer.
fn plain_text(reply: &Reply) -> String {
    let text = String::from_utf8_lossy(&reply.body);
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let is_data = ["{", "[", "\"", "data:", "event:"]
        .iter()
        .any(|start| text.starts_with(start));
    if is_data {
        String::new()
    } else {
        text.to_owned()
    }
}

/// An error of a reply.
fn fault(kind: ProviderErrorKind, message: String, reply: &Reply) -> ProviderError {
    ProviderError::new(kind, message).with_status(reply.status)
}

/// The protocols' words for why an answer ends.
fn finish_reason(word: &str) -> FinishReason {
    match word {
        "stop" | "end_turn" | "stop_sequence" | "eos" => FinishReason::Stop,
        "length" | "max_tokens" | "model_context_window_exceeded" => FinishReason::Length,
        other => FinishReason::Other(
            other
                .chars()
                .take(64)
                .flat_map(char::escape_debug)
                .collect(),
        ),
    }
}
