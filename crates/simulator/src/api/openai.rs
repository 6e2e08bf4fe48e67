//! OpenAI's chat completions.

use axum::body::Bytes;
use serde_json::{Value, json};

use super::{Encoded, pieces, told_usage};
use crate::answer::{Answer, Finish};
use crate::ask::Ask;
use crate::script::UsageFault;

/// Seconds since 1970 in every reply: fixed, so that replies can be compared.
const CREATED: u64 = 1_700_000_000;

pub(super) fn plain(ask: &Ask, answer: &Answer, fault: Option<UsageFault>, id: u64) -> Value {
    let mut message = json!({"role": "assistant", "content": answer.content});
    if let Some(refusal) = &answer.refusal {
        message["refusal"] = json!(refusal);
    }
    let mut value = json!({
        "id": name(id),
        "object": "chat.completion",
        "created": CREATED,
        "model": ask.model,
        "choices": [{
            "index": 0,
            "message": message,
            "logprobs": null,
            "finish_reason": finish(answer.finish),
        }],
    });
    if fault != Some(UsageFault::Missing) {
        value["usage"] = usage(ask, answer, fault);
    }
    value
}

pub(super) fn stream(ask: &Ask, answer: &Answer, fault: Option<UsageFault>, id: u64) -> Encoded {
    let frame = |delta: Value, finish: Value| {
        event(&json!({
            "id": name(id),
            "object": "chat.completion.chunk",
            "created": CREATED,
            "model": ask.model,
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
        }))
    };
    let mut chunks = vec![frame(
        json!({"role": "assistant", "content": ""}),
        Value::Null,
    )];
    if let Some(refusal) = &answer.refusal {
        chunks.push(frame(json!({"refusal": refusal}), Value::Null));
    }
    for piece in pieces(answer.content.as_deref().unwrap_or_default()) {
        chunks.push(frame(json!({"content": piece}), Value::Null));
    }
    chunks.push(frame(json!({}), json!(finish(answer.finish))));
    if ask.stream_usage && fault != Some(UsageFault::Missing) {
        chunks.push(event(&json!({
            "id": name(id),
            "object": "chat.completion.chunk",
            "created": CREATED,
            "model": ask.model,
            "choices": [],
            "usage": usage(ask, answer, fault),
        })));
    }
    chunks.push(Bytes::from_static(b"data: [DONE]\n\n"));
    Encoded {
        content_type: "text/event-stream",
        chunks,
        streamed: true,
    }
}

/// The reply to `GET /v1/models`.
pub(crate) fn models(names: &[String]) -> Value {
    let data: Vec<_> = names
        .iter()
        .map(|name| {
            json!({"id": name, "object": "model", "created": CREATED, "owned_by": "testsmith"})
        })
        .collect();
    json!({"object": "list", "data": data})
}

fn usage(ask: &Ask, answer: &Answer, fault: Option<UsageFault>) -> Value {
    told_usage(ask, answer, fault).map_or(Value::Null, |(prompt, completion)| {
        json!({
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
            "prompt_tokens_details": {"cached_tokens": 0},
        })
    })
}

fn event(value: &Value) -> Bytes {
    Bytes::from(format!("data: {value}\n\n"))
}

fn name(id: u64) -> String {
    format!("chatcmpl-sim-{id}")
}

const fn finish(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop | Finish::Refused => "stop",
        Finish::Length => "length",
        Finish::Filtered => "content_filter",
    }
}
