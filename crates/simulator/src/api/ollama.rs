//! Ollama's chat.

use axum::body::Bytes;
use serde_json::{Value, json};

use super::{Encoded, pieces, told_usage};
use crate::answer::{Answer, Finish};
use crate::ask::Ask;
use crate::script::UsageFault;

pub(super) fn plain(ask: &Ask, answer: &Answer, fault: Option<UsageFault>) -> Value {
    let text = answer.content.as_ref().or(answer.refusal.as_ref());
    last(ask, answer, fault, json!(text))
}

pub(super) fn stream(ask: &Ask, answer: &Answer, fault: Option<UsageFault>) -> Encoded {
    let text = answer.content.as_deref().or(answer.refusal.as_deref());
    let mut chunks: Vec<_> = pieces(text.unwrap_or_default())
        .into_iter()
        .map(|piece| {
            line(&json!({
                "model": ask.model,
                "message": {"role": "assistant", "content": piece},
                "done": false,
            }))
        })
        .collect();
    chunks.push(line(&last(ask, answer, fault, json!(""))));
    Encoded {
        content_type: "application/x-ndjson",
        chunks,
        streamed: true,
    }
}

fn last(ask: &Ask, answer: &Answer, fault: Option<UsageFault>, content: Value) -> Value {
    let mut value = json!({
        "model": ask.model,
        "message": {"role": "assistant"},
        "done": true,
        "done_reason": if answer.finish == Finish::Length { "length" } else { "stop" },
    });
    value["message"]["content"] = content;
    if let Some((input, output)) = told_usage(ask, answer, fault) {
        value["prompt_eval_count"] = json!(input);
        value["eval_count"] = json!(output);
    }
    value
}

fn line(value: &Value) -> Bytes {
    Bytes::from(format!("{value}\n"))
}
