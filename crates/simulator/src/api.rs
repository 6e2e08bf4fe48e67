//! Puts answers and errors into the forms of the endpoints.

mod anthropic;
mod error;
mod ollama;
mod openai;

use axum::body::Bytes;
use serde_json::Value;

use crate::answer::Answer;
use crate::ask::Ask;
use crate::record::Endpoint;
use crate::script::{Fault, UsageFault};

pub(crate) use error::{error_body, problem_body};
pub(crate) use openai::models;

/// A reply's body.
#[derive(Debug)]
pub(crate) struct Encoded {
    pub content_type: &'static str,
    /// The pieces, in order; one for a plain reply.
    pub chunks: Vec<Bytes>,
    /// Whether the length is not declared.
    pub streamed: bool,
}

impl Encoded {
    pub(crate) fn json(value: &Value) -> Self {
        Self {
            content_type: "application/json",
            chunks: vec![Bytes::from(value.to_string())],
            streamed: false,
        }
    }
}

/// Puts an answer into its endpoint's form.
pub(crate) fn encode(ask: &Ask, answer: &Answer, fault: Option<&Fault>, id: u64) -> Encoded {
    let usage = match fault {
        Some(Fault::Usage { usage }) => Some(*usage),
        _ => None,
    };
    let mut encoded = match (ask.endpoint, ask.stream) {
        (Endpoint::OpenAi, false) => Encoded::json(&openai::plain(ask, answer, usage, id)),
        (Endpoint::OpenAi, true) => openai::stream(ask, answer, usage, id),
        (Endpoint::Anthropic, false) => Encoded::json(&anthropic::plain(ask, answer, usage, id)),
        (Endpoint::Anthropic, true) => anthropic::stream(ask, answer, usage, id),
        (Endpoint::Ollama, false) => Encoded::json(&ollama::plain(ask, answer, usage)),
        (Endpoint::Ollama, true) => ollama::stream(ask, answer, usage),
    };
    match fault {
        Some(Fault::StreamError) if ask.stream => {
            let keep = encoded.chunks.len() / 2;
            encoded.chunks.truncate(keep);
            let (_, error) = error_body(ask.endpoint, &crate::script::Preset::Plain, 500);
            let frame = if ask.endpoint == Endpoint::Ollama {
                format!("{error}\n")
            } else {
                format!("event: error\ndata: {error}\n\n")
            };
            encoded.chunks.push(Bytes::from(frame));
        }
        Some(Fault::NoChoices) => encoded = Encoded::json(&without_choices(ask, answer, id)),
        Some(Fault::Garbage) => encoded.chunks = vec![Bytes::from_static(b"<<not json>>")],
        _ => {}
    }
    encoded
}

fn without_choices(ask: &Ask, answer: &Answer, id: u64) -> Value {
    match ask.endpoint {
        Endpoint::OpenAi => {
            let mut value = openai::plain(ask, answer, None, id);
            value["choices"] = Value::Array(Vec::new());
            value
        }
        Endpoint::Anthropic => {
            let mut value = anthropic::plain(ask, answer, None, id);
            value["content"] = Value::Array(Vec::new());
            value
        }
        Endpoint::Ollama => {
            let mut value = ollama::plain(ask, answer, None);
            value["message"] = Value::Null;
            value
        }
    }
}

/// Tokens in and out as the reply tells them; `None` if it does not.
fn told_usage(ask: &Ask, answer: &Answer, fault: Option<UsageFault>) -> Option<(u64, u64)> {
    match fault {
        None => Some((ask.tokens_in, answer.tokens)),
        Some(UsageFault::Huge) => Some((ask.tokens_in * 1_000_000, u64::from(u32::MAX))),
        Some(UsageFault::Zero) => Some((0, 0)),
        Some(UsageFault::Missing | UsageFault::Null) => None,
    }
}

/// A text in pieces of a few tokens, as models stream it.
fn pieces(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(rest.floor_char_boundary(rest.len().min(48)));
        pieces.push(piece);
        rest = after;
    }
    pieces
}
