//! What was learned of servers that take less than the protocol has.
//!
//! A server that rejects `response_format`, `max_tokens` or `temperature` is asked again at once
//! without it, and never asked that way again by this process. Whether a server rejects something
//! can depend on the model, so it is remembered for both together.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use serde_json::Value;
use testsmith_domain::{ProviderErrorKind, ResponseFormat};

use crate::classify::ErrorBody;

/// What is known of one model behind one endpoint. Only ever grows, so that a call is sent again
/// at most once for each of these.
#[derive(Debug, Default)]
pub(crate) struct Learned {
    refuses_schema: AtomicBool,
    refuses_object: AtomicBool,
    refuses_max_tokens: AtomicBool,
    refuses_temperature: AtomicBool,
    /// It spends tokens of the answer on thinking, and needs more of them.
    thinks: AtomicBool,
    /// It has answered a request with a schema.
    took_schema: AtomicBool,
}

/// How a request is put, given what is known.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Shape {
    pub(crate) format: Format,
    /// `max_completion_tokens` in place of `max_tokens`.
    pub(crate) renamed_cap: bool,
    pub(crate) temperature: bool,
    /// Whether there are tokens for thinking on top of those for the answer.
    pub(crate) headroom: bool,
}

/// The form of answer that a request asks for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Format {
    Text,
    Object,
    Schema { name: &'static str, schema: Value },
}

/// The mark on an error that taught something: the call can be sent again at once.
#[derive(Debug, thiserror::Error)]
#[error("asking again without what the server does not take")]
pub(crate) struct Adapted;

impl Learned {
    /// What this process knows of the model behind the endpoint.
    pub(crate) fn of(endpoint: &str, model: &str) -> Arc<Self> {
        type Known = HashMap<(String, String), Arc<Learned>>;
        static KNOWN: LazyLock<Mutex<Known>> = LazyLock::new(Mutex::default);
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (endpoint.to_owned(), model.to_owned());
        known.entry(key).or_default().clone()
    }

    /// How to put a request for an answer of this form.
    pub(crate) fn shape(&self, wanted: &ResponseFormat) -> Shape {
        Shape {
            format: self.format(wanted),
            renamed_cap: get(&self.refuses_max_tokens),
            temperature: !get(&self.refuses_temperature),
            headroom: get(&self.thinks),
        }
    }

    fn format(&self, wanted: &ResponseFormat) -> Format {
        let object = if get(&self.refuses_object) {
            Format::Text
        } else {
            Format::Object
        };
        match wanted {
            ResponseFormat::Text => Format::Text,
            ResponseFormat::JsonObject => object,
            ResponseFormat::JsonSchema { name, schema } => match serde_json::from_str(schema) {
                Ok(schema) if !get(&self.refuses_schema) => Format::Schema { name, schema },
                _ => object,
            },
        }
    }

    /// Remembers that a request of this shape was answered.
    pub(crate) fn answered(&self, sent: &Shape) {
        if matches!(sent.format, Format::Schema { .. }) {
            set(&self.took_schema);
        }
    }

    /// Remembers that the whole answer was spent on thinking. Whether that is news for a request
    /// of this shape.
    pub(crate) fn starved(&self, sent: &Shape) -> bool {
        set(&self.thinks);
        !sent.headroom
    }

    /// Learns from a refusal. Whether there is another way to put the request.
    pub(crate) fn refused(
        &self,
        status: u16,
        kind: ProviderErrorKind,
        body: &ErrorBody,
        sent: &Shape,
    ) -> bool {
        let what = match (status, kind) {
            (400 | 422, ProviderErrorKind::Rejected) => self.named(body, sent),
            (500, _) => self.failing_format(body, sent),
            _ => None,
        };
        what.map(set).is_some()
    }

    /// The parameter that a refusal names, if it was sent.
    fn named(&self, body: &ErrorBody, sent: &Shape) -> Option<&AtomicBool> {
        let unsupported = body.is_any(&["unsupported_parameter", "unsupported_value"]);
        if names_format(body) {
            self.refused_format(sent)
        } else if !sent.renamed_cap
            && (body.says_any(&["max_completion_tokens"])
                || body.param == "max_tokens" && unsupported)
        {
            Some(&self.refuses_max_tokens)
        } else if sent.temperature
            && (body.param == "temperature" || body.says_any(&["temperature"]))
        {
            Some(&self.refuses_temperature)
        } else {
            None
        }
    }

    /// llama-cpp-python and others fail with 500 each time they are given a schema. A 500 is put
    /// down to that if it says so, or if the server never yet answered a request with a schema.
    fn failing_format(&self, body: &ErrorBody, sent: &Shape) -> Option<&AtomicBool> {
        let schema = matches!(sent.format, Format::Schema { .. });
        (names_format(body) || schema && !get(&self.took_schema))
            .then(|| self.refused_format(sent))
            .flatten()
    }

    fn refused_format(&self, sent: &Shape) -> Option<&AtomicBool> {
        match sent.format {
            Format::Text => None,
            Format::Object => Some(&self.refuses_object),
            Format::Schema { .. } => Some(&self.refuses_schema),
        }
    }
}

/// Whether a refusal is about the form of the answer: `response_format`, Anthropic's
/// `output_config`, Ollama's `format`, or a grammar that cannot be made of the schema.
fn names_format(body: &ErrorBody) -> bool {
    let params = [
        "response_format",
        "output_config",
        "output_format",
        "format",
    ];
    params
        .iter()
        .any(|name| body.param.split('.').next() == Some(name))
        || body.says_any(&[
            "response_format",
            "response format",
            "output_config",
            "output_format",
            "json_schema",
            "json_object",
            "invalid format",
            "grammar",
        ])
}

fn get(fact: &AtomicBool) -> bool {
    fact.load(Ordering::Relaxed)
}

fn set(fact: &AtomicBool) {
    fact.store(true, Ordering::Relaxed);
}

#[cfg(test)]
mod tests;
