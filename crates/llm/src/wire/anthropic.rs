//! Anthropic's messages.
//!
//! The system prompt, which stays the same from call to call, is marked for the server's cache.
//! There is no JSON mode without a schema; the prompt asks for JSON in any case.

use serde_json::{Value, json};
use testsmith_domain::Usage;

use super::{Ask, Found, openai, text_of};
use crate::adapt::Format;

pub(super) fn body(ask: &Ask<'_>) -> Value {
    let messages: Vec<Value> = openai::turns(ask).collect();
    let mut body = json!({
        "model": ask.model,
        "max_tokens": ask.max_tokens,
        "messages": messages,
    });
    if !ask.request.system.is_empty() {
        body["system"] = json!([{
            "type": "text",
            "text": ask.request.system,
            "cache_control": {"type": "ephemeral"},
        }]);
    }
    if ask.shape.temperature {
        // Its scale ends at 1.
        body["temperature"] = json!(ask.temperature.min(1.0));
    }
    if let Format::Schema { schema, .. } = &ask.shape.format {
        body["output_config"] = json!({"format": {"type": "json_schema", "schema": schema}});
    }
    body
}

pub(super) fn find(reply: &Value) -> Option<Found> {
    let content = reply["content"].as_array()?;
    let usage = &reply["usage"];
    let cached = usage["cache_read_input_tokens"].as_u64();
    let written = usage["cache_creation_input_tokens"].as_u64();
    // Its `input_tokens` are only those that went past the cache.
    let input = usage["input_tokens"].as_u64();
    let finish = reply["stop_reason"].as_str().unwrap_or_default();
    let text = text_of(&Value::Array(content.clone()));
    let refusal = (finish == "refusal" && !text.trim().is_empty()).then(|| text.clone());
    Some(Found {
        text,
        finish: finish.to_owned(),
        refusal,
        usage: Usage {
            input_tokens: input.map(|tokens| {
                tokens
                    .saturating_add(cached.unwrap_or(0))
                    .saturating_add(written.unwrap_or(0))
            }),
            cached_input_tokens: cached,
            cache_write_tokens: written,
            output_tokens: usage["output_tokens"].as_u64(),
        },
        model: reply["model"].as_str().map(str::to_owned),
    })
}
