//! Error replies in the words that real servers use.

use serde_json::{Value, json};

use crate::ask::Problem;
use crate::record::Endpoint;
use crate::script::Preset;

/// Content type and text of an error reply.
pub(crate) fn error_body(
    endpoint: Endpoint,
    preset: &Preset,
    status: u16,
) -> (&'static str, String) {
    let words = match preset {
        Preset::Plain => Words::new("server_error", "something went wrong"),
        Preset::RateLimit => Words::new(
            "rate_limit_error",
            "Rate limit reached for requests per minute. Please slow down.",
        )
        .code("rate_limit_exceeded"),
        Preset::InsufficientQuota => Words::new(
            "insufficient_quota",
            "You exceeded your current quota, please check your plan and billing details.",
        )
        .code("insufficient_quota"),
        Preset::Overloaded => Words::new("overloaded_error", "Overloaded"),
        Preset::InvalidKey => Words::new("authentication_error", "Incorrect API key provided.")
            .code("invalid_api_key"),
        Preset::ContentFilter => Words::new(
            "invalid_request_error",
            "The response was filtered due to the prompt triggering the content management policy.",
        )
        .code("content_filter")
        .param("prompt"),
        Preset::ContextLengthExceeded => Words::new(
            "invalid_request_error",
            "This model's maximum context length is 8192 tokens. Please reduce the length of the \
             messages.",
        )
        .code("context_length_exceeded")
        .param("messages"),
        Preset::ResponseFormatRejected => Words::new(
            "invalid_request_error",
            "'response_format.type' must be 'json_schema' or 'text'",
        )
        .param("response_format"),
        Preset::MaxTokensRejected => Words::new(
            "invalid_request_error",
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use \
             'max_completion_tokens' instead.",
        )
        .code("unsupported_parameter")
        .param("max_tokens"),
        Preset::TemperatureRejected => Words::new(
            "invalid_request_error",
            "Unsupported value: 'temperature' does not support this value with this model. Only \
             the default (1) value is supported.",
        )
        .code("unsupported_value")
        .param("temperature"),
        Preset::Html => {
            return (
                "text/html",
                format!("<html><body><h1>{status} Bad Gateway</h1><hr>nginx</body></html>"),
            );
        }
        Preset::Empty => return ("text/plain", String::new()),
        Preset::Text(text) => return ("text/plain", text.clone()),
    };
    ("application/json", words.body(endpoint, status).to_string())
}

/// The reply to a request that is refused as it is.
pub(crate) fn problem_body(endpoint: Endpoint, problem: &Problem) -> Value {
    let kind = match problem.status {
        401 => "authentication_error",
        404 => "not_found_error",
        _ => "invalid_request_error",
    };
    Words {
        kind,
        message: problem.message.clone(),
        code: problem.code,
        param: problem.param,
    }
    .body(endpoint, problem.status)
}

struct Words {
    kind: &'static str,
    message: String,
    code: Option<&'static str>,
    param: Option<&'static str>,
}

impl Words {
    fn new(kind: &'static str, message: &str) -> Self {
        Self {
            kind,
            message: message.to_owned(),
            code: None,
            param: None,
        }
    }

    fn code(mut self, code: &'static str) -> Self {
        self.code = Some(code);
        self
    }

    fn param(mut self, param: &'static str) -> Self {
        self.param = Some(param);
        self
    }

    fn body(&self, endpoint: Endpoint, status: u16) -> Value {
        let Self {
            kind,
            message,
            code,
            param,
        } = self;
        match endpoint {
            Endpoint::OpenAi => json!({
                "error": {"message": message, "type": kind, "param": param, "code": code}
            }),
            Endpoint::Anthropic => {
                let (kind, message) = match (*kind, status) {
                    // Anthropic's words for a spent limit, and for a prompt that is too long.
                    ("insufficient_quota", _) => (
                        "rate_limit_error",
                        "This request would exceed your spend limit.",
                    ),
                    ("server_error", 529) => ("overloaded_error", "Overloaded"),
                    ("server_error", 429) => ("rate_limit_error", &**message),
                    ("server_error", _) => ("api_error", &**message),
                    (kind, _) => (kind, &**message),
                };
                let message = if *code == Some("context_length_exceeded") {
                    "prompt is too long: 210000 tokens > 200000 maximum"
                } else {
                    message
                };
                let mut error = json!({"type": kind, "message": message});
                if *code == Some("insufficient_quota") {
                    error["details"] = json!({"error_code": "enforced_spend_limit_reached"});
                }
                json!({"type": "error", "error": error})
            }
            Endpoint::Ollama => json!({ "error": message }),
        }
    }
}
