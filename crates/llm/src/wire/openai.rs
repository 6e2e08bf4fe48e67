//! OpenAI's chat completions, as OpenAI, Azure, vLLM, llama.cpp, LM Studio, LiteLLM and
//! OpenRouter have them.

use serde_json::{Value, json};
use testsmith_domain::{Role, Usage};

use super::{Ask, Found, text_of};
use crate::adapt::Format;

pub(super) fn body(ask: &Ask<'_>) -> Value {
    let cap = if ask.shape.renamed_cap {
        "max_completion_tokens"
    } else {
        "max_tokens"
    };
    let mut body = json!({
        "model": ask.model,
        "messages": messages(ask),
        "stream": false,
        cap: ask.max_tokens,
    });
    if ask.shape.temperature {
        body["temperature"] = json!(ask.temperature);
    }
    match &ask.shape.format {
        Format::Text => {}
        Format::Object => body["response_format"] = json!({"type": "json_object"}),
        Format::Schema { name, schema } => {
            body["response_format"] = json!({
                "type": "json_schema",
                "json_schema": {"name": name, "schema": schema, "strict": true},
            });
        }
    }
    body
}

/// The conversation, with the system prompt as its first turn.
pub(super) fn messages(ask: &Ask<'_>) -> Vec<Value> {
    let system = Some(&ask.request.system).filter(|system| !system.is_empty());
    let system = system.map(|system| json!({"role": "system", "content": system}));
    system.into_iter().chain(turns(ask)).collect()
}

/// The conversation without the system prompt.
pub(super) fn turns(ask: &Ask<'_>) -> impl Iterator<Item = Value> {
    ask.request
        .messages
        .iter()
        .map(|message| json!({"role": role(message.role), "content": message.content}))
}

fn role(role: Role) -> &'static str {
    match role {
        Role::User => "user",
        Role::Assistant => "assistant",
    }
}

pub(super) fn find(reply: &Value) -> Option<Found> {
    let choice = reply.pointer("/choices/0")?;
    let message = &choice["message"];
    let usage = &reply["usage"];
    let refusal = message["refusal"].as_str().filter(|text| !text.is_empty());
    Some(Found {
        text: text_of(&message["content"]),
        finish: choice["finish_reason"]
            .as_str()
            .unwrap_or_default()
            .to_owned(),
        refusal: refusal.map(str::to_owned),
        usage: Usage {
            input_tokens: usage["prompt_tokens"].as_u64(),
            cached_input_tokens: usage["prompt_tokens_details"]["cached_tokens"].as_u64(),
            cache_write_tokens: None,
            output_tokens: usage["completion_tokens"].as_u64(),
        },
        model: reply["model"].as_str().map(str::to_owned),
    })
}
