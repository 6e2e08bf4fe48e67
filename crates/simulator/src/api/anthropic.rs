//! Anthropic's messages.

use axum::body::Bytes;
use serde_json::{Value, json};

use super::{Encoded, pieces, told_usage};
use crate::answer::{Answer, Finish};
use crate::ask::Ask;
use crate::script::UsageFault;

pub(super) fn plain(ask: &Ask, answer: &Answer, fault: Option<UsageFault>, id: u64) -> Value {
    let text = answer.content.as_ref().or(answer.refusal.as_ref());
    let content: Vec<_> = text
        .into_iter()
        .map(|text| json!({"type": "text", "text": text}))
        .collect();
    let mut value = json!({
        "id": name(id),
        "type": "message",
        "role": "assistant",
        "model": ask.model,
        "content": content,
        "stop_reason": finish(answer.finish),
        "stop_sequence": null,
    });
    if fault != Some(UsageFault::Missing) {
        value["usage"] = usage(ask, answer, fault);
    }
    value
}

pub(super) fn stream(ask: &Ask, answer: &Answer, fault: Option<UsageFault>, id: u64) -> Encoded {
    let mut start = plain(ask, answer, fault, id);
    start["content"] = json!([]);
    start["stop_reason"] = Value::Null;
    let mut chunks = vec![
        event(
            "message_start",
            &json!({"type": "message_start", "message": start}),
        ),
        event(
            "content_block_start",
            &json!({
                "type": "content_block_start",
                "index": 0,
                "content_block": {"type": "text", "text": ""},
            }),
        ),
        event("ping", &json!({"type": "ping"})),
    ];
    let text = answer.content.as_deref().or(answer.refusal.as_deref());
    for piece in pieces(text.unwrap_or_default()) {
        chunks.push(event(
            "content_block_delta",
            &json!({
                "type": "content_block_delta",
                "index": 0,
                "delta": {"type": "text_delta", "text": piece},
            }),
        ));
    }
    chunks.push(event(
        "content_block_stop",
        &json!({"type": "content_block_stop", "index": 0}),
    ));
    chunks.push(event(
        "message_delta",
        &json!({
            "type": "message_delta",
            "delta": {"stop_reason": finish(answer.finish), "stop_sequence": null},
            "usage": {"output_tokens": told_usage(ask, answer, fault).map(|(_, out)| out)},
        }),
    ));
    chunks.push(event("message_stop", &json!({"type": "message_stop"})));
    Encoded {
        content_type: "text/event-stream",
        chunks,
        streamed: true,
    }
}

fn usage(ask: &Ask, answer: &Answer, fault: Option<UsageFault>) -> Value {
    told_usage(ask, answer, fault).map_or(Value::Null, |(input, output)| {
        json!({
            "input_tokens": input,
            "output_tokens": output,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
        })
    })
}

fn event(kind: &str, value: &Value) -> Bytes {
    Bytes::from(format!("event: {kind}\ndata: {value}\n\n"))
}

fn name(id: u64) -> String {
    format!("msg_sim_{id}")
}

const fn finish(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop => "end_turn",
        Finish::Length => "max_tokens",
        Finish::Filtered | Finish::Refused => "refusal",
    }
}
