//! What a refusal means: from the status and the words of its body to a kind of failure.
//!
//! The kind decides whether a call is tried again, so the words matter: servers say 429 both for
//! "not so fast" and for "no money left".

use serde_json::Value;
use testsmith_domain::ProviderErrorKind as Kind;

/// The words of an error body, as far as they were found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct ErrorBody {
    /// For people.
    pub(crate) message: String,
    /// `error.code`, in any of its places; a number is kept as text.
    pub(crate) code: String,
    /// `error.type`.
    pub(crate) kind: String,
    /// The parameter that is at fault.
    pub(crate) param: String,
}

impl ErrorBody {
    /// Reads the forms of OpenAI, Azure, vLLM, Anthropic, Ollama, `FastAPI` and Google. `None` if
    /// the value is none of them.
    pub(crate) fn read(value: &Value) -> Option<Self> {
        let value = value
            .as_array()
            .and_then(|list| list.first())
            .unwrap_or(value);
        if let Some(detail) = value.get("detail") {
            return Some(Self::of_detail(detail));
        }
        let error = match value.get("error").filter(|error| !error.is_null()) {
            Some(Value::String(message)) => {
                return Some(Self {
                    message: message.clone(),
                    ..Self::default()
                });
            }
            Some(error) => error,
            // vLLM has had it without the wrapper.
            None if value["object"] == "error" => value,
            None if value["message"].is_string() && value.get("choices").is_none() => value,
            None => return None,
        };
        let inner = ["/innererror/code", "/details/error_code"]
            .iter()
            .find_map(|path| error.pointer(path)?.as_str());
        Some(Self {
            message: text(&error["message"]),
            code: inner.map_or_else(|| text(&error["code"]), str::to_owned),
            kind: text(&error["type"]),
            param: text(&error["param"]),
        })
    }

    /// `FastAPI`'s: a text, or a list of places and complaints. The input that it repeats is left
    /// out, for it is the prompt.
    fn of_detail(detail: &Value) -> Self {
        let Some(list) = detail.as_array() else {
            return Self {
                message: text(detail),
                ..Self::default()
            };
        };
        let place = |item: &Value| -> String {
            let steps: Vec<String> = item["loc"]
                .as_array()
                .into_iter()
                .flatten()
                .map(text)
                .collect();
            steps.join(".")
        };
        let complaints: Vec<String> = list
            .iter()
            .map(|item| format!("{}: {}", place(item), text(&item["msg"])))
            .collect();
        let param = list
            .first()
            .and_then(|item| item.pointer("/loc/1"))
            .map(text);
        Self {
            message: complaints.join("; "),
            param: param.unwrap_or_default(),
            ..Self::default()
        }
    }

    /// Whether the code or the type is one of these.
    pub(crate) fn is_any(&self, names: &[&str]) -> bool {
        names
            .iter()
            .any(|name| self.code == *name || self.kind == *name)
    }

    /// Whether the message has one of these, whatever the case; they are lower-case.
    pub(crate) fn says_any(&self, words: &[&str]) -> bool {
        let message = self.message.to_lowercase();
        words.iter().any(|word| message.contains(word))
    }

    /// The status that an error body under status 200 stands for.
    fn status_meant(&self) -> Option<u16> {
        if let Ok(code) = self.code.parse() {
            return (400..600).contains(&code).then_some(code);
        }
        let table: [(&[&str], u16); 7] = [
            (
                &["rate_limit_exceeded", "rate_limit_error", "slow_down"],
                429,
            ),
            (&["insufficient_quota", "billing_error"], 402),
            (&["overloaded_error"], 529),
            (&["api_error", "server_error", "internal_server_error"], 500),
            (
                &[
                    "authentication_error",
                    "invalid_api_key",
                    "permission_error",
                ],
                401,
            ),
            (&["not_found_error", "model_not_found"], 404),
            (&["invalid_request_error"], 400),
        ];
        table
            .iter()
            .find(|(names, _)| self.is_any(names))
            .map(|(_, status)| *status)
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    }
}

/// What kind of failure a status is, given its body's words.
pub(crate) fn kind_of(status: u16, body: &ErrorBody) -> Kind {
    match status {
        200..300 => match body.status_meant() {
            Some(meant) => kind_of(meant, body),
            None => Kind::EmptyReply,
        },
        429 if is_billing(body) => Kind::Billing,
        402 => Kind::Billing,
        408 => Kind::Timeout,
        409 | 425 | 429 => Kind::RateLimited,
        // 520 to 524 are Cloudflare's for a server behind it that is not well.
        500 | 502 | 503 | 504 | 520..=524 | 529 => Kind::Server,
        400 | 403 | 422 if is_filter(body) => Kind::ContentFilter,
        400 | 403 if is_billing(body) => Kind::Billing,
        413 => Kind::TooLong,
        400 | 422 if is_too_long(body) => Kind::TooLong,
        // LiteLLM's proxy without a database, for a key that is not its master key.
        400 if body.says_any(&["no connected db"]) => Kind::Auth,
        401 | 403 => Kind::Auth,
        404 => Kind::NotFound,
        _ => Kind::Rejected,
    }
}

fn is_billing(body: &ErrorBody) -> bool {
    body.is_any(&[
        "billing_error",
        "billing_hard_limit_reached",
        "billing_not_active",
        "credit_balance_exhausted",
        "enforced_spend_limit_reached",
        "insufficient_quota",
        "organization_spend_limit_exceeded",
        "organization_usage_limit_exceeded",
        "project_spend_limit_exceeded",
    ]) || body.says_any(&["credit balance is too low"])
}

fn is_filter(body: &ErrorBody) -> bool {
    body.is_any(&[
        "content_filter",
        "content_policy_violation",
        "ResponsibleAIPolicyViolation",
    ])
}

fn is_too_long(body: &ErrorBody) -> bool {
    body.is_any(&[
        "context_length_exceeded",
        "exceed_context_size_error",
        "request_too_large",
        "string_above_max_length",
    ]) || body.says_any(&[
        "available context size",
        "maximum context length",
        "prompt is too long",
    ])
}

/// What the user can do about it; to be put after the server's words.
pub(crate) fn remedy(kind: Kind) -> &'static str {
    match kind {
        Kind::Auth => "; check the key that `llm.api_key_env` names",
        Kind::Billing => "; check the account's credit and limits",
        Kind::NotFound => "; check `llm.model` and `llm.base_url`",
        Kind::Connect
        | Kind::Interrupted
        | Kind::Timeout
        | Kind::RateLimited
        | Kind::Server
        | Kind::EmptyReply
        | Kind::TooLong
        | Kind::Rejected
        | Kind::ContentFilter
        | Kind::Budget
        | Kind::Unavailable => "",
    }
}

#[cfg(test)]
mod tests;
