//! Ollama's chat interface.
//!
//! Ollama cuts a prompt that is longer than the context without a word, and the context is small
//! unless the client asks for more: so each request says how much it needs.

use serde_json::{Value, json};
use testsmith_domain::Usage;

use super::{Ask, Found, openai};
use crate::adapt::Format;

/// The contexts that are asked for, in tokens: few sizes, since Ollama loads the model anew for
/// each. It takes no more than the model was made for, whatever is asked.
const CONTEXTS: [u32; 5] = [8_192, 16_384, 32_768, 65_536, 131_072];
/// Source code has about this many bytes to a token; less is the careful figure.
const BYTES_PER_TOKEN: u64 = 3;

/// The context that a prompt and its answer need.
pub(super) fn context(prompt_bytes: u64, max_tokens: u32) -> u32 {
    let needed = prompt_bytes / BYTES_PER_TOKEN + u64::from(max_tokens);
    let fits = |size: &u32| u64::from(*size) >= needed;
    CONTEXTS
        .into_iter()
        .find(fits)
        .unwrap_or(CONTEXTS[CONTEXTS.len() - 1])
}

pub(super) fn body(ask: &Ask<'_>) -> Value {
    let mut body = json!({
        "model": ask.model,
        "messages": openai::messages(ask),
        "stream": false,
        "options": {"num_ctx": ask.context, "num_predict": ask.max_tokens},
    });
    if ask.shape.temperature {
        body["options"]["temperature"] = json!(ask.temperature);
    }
    match &ask.shape.format {
        Format::Text => {}
        Format::Object => body["format"] = json!("json"),
        Format::Schema { schema, .. } => body["format"] = schema.clone(),
    }
    body
}

pub(super) fn find(reply: &Value) -> Option<Found> {
    let message = reply.get("message").filter(|message| message.is_object())?;
    Some(Found {
        text: message["content"].as_str().unwrap_or_default().to_owned(),
        finish: reply["done_reason"].as_str().unwrap_or_default().to_owned(),
        refusal: None,
        usage: Usage {
            input_tokens: reply["prompt_eval_count"].as_u64(),
            cached_input_tokens: None,
            cache_write_tokens: None,
            output_tokens: reply["eval_count"].as_u64(),
        },
        model: reply["model"].as_str().map(str::to_owned),
    })
}
