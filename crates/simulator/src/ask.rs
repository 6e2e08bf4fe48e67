//! A request to a model, read from any endpoint's form.

use serde_json::Value;

use crate::prompt::Prompt;
use crate::record::Endpoint;
use crate::script::{Parameter, Script};

/// What is asked, and whether it can be.
#[derive(Debug)]
pub(crate) struct Ask {
    pub endpoint: Endpoint,
    pub model: String,
    pub prompt: Prompt,
    /// The last message of the user, which tells one request from another.
    pub text: String,
    pub max_tokens: Option<u64>,
    pub temperature: Option<f64>,
    pub stream: bool,
    /// Whether the client wants usage at the end of a stream (OpenAI's `stream_options`).
    pub stream_usage: bool,
    pub tokens_in: u64,
    pub body: Value,
    /// Why a real server would refuse the request.
    pub problem: Option<Problem>,
}

/// A refusal of the request as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    pub status: u16,
    pub message: String,
    /// OpenAI's `error.code`.
    pub code: Option<&'static str>,
    /// OpenAI's `error.param`.
    pub param: Option<&'static str>,
}

impl Problem {
    fn bad(message: impl Into<String>, param: Option<&'static str>) -> Self {
        Self {
            status: 400,
            message: message.into(),
            code: None,
            param,
        }
    }
}

impl Ask {
    /// Reads a request's body; `key` is the key it came with.
    pub(crate) fn read(
        endpoint: Endpoint,
        bytes: &[u8],
        key: Option<&str>,
        script: &Script,
    ) -> Self {
        let parsed = serde_json::from_slice::<Value>(bytes);
        let unreadable = parsed.is_err();
        let body = parsed.unwrap_or(Value::Null);
        let messages = texts(&body);
        let text = messages
            .iter()
            .rev()
            .find(|(role, _)| role == "user")
            .map(|(_, text)| text.clone())
            .unwrap_or_default();
        let characters: usize = messages.iter().map(|(_, text)| text.len()).sum();
        let options = &body["options"];
        let mut ask = Self {
            endpoint,
            model: body["model"].as_str().unwrap_or_default().to_owned(),
            prompt: Prompt::read(&text),
            text,
            max_tokens: body["max_tokens"]
                .as_u64()
                .or_else(|| body["max_completion_tokens"].as_u64())
                .or_else(|| options["num_predict"].as_u64()),
            temperature: body["temperature"]
                .as_f64()
                .or_else(|| options["temperature"].as_f64()),
            stream: body["stream"]
                .as_bool()
                .unwrap_or(endpoint == Endpoint::Ollama),
            stream_usage: body["stream_options"]["include_usage"] == Value::Bool(true),
            tokens_in: tokens(characters),
            body,
            problem: None,
        };
        ask.problem = if unreadable {
            Some(Problem::bad("the body is not valid JSON", None))
        } else {
            ask.find_problem(&messages, key, script)
        };
        ask
    }

    /// Whether the request carries `parameter`.
    pub(crate) fn carries(&self, parameter: Parameter) -> bool {
        let format = self.body["response_format"]["type"].as_str();
        match parameter {
            Parameter::ResponseFormat => format.is_some() || !self.body["format"].is_null(),
            Parameter::JsonObject => format == Some("json_object"),
            Parameter::JsonSchema => format == Some("json_schema"),
            Parameter::MaxTokens => !self.body["max_tokens"].is_null(),
            Parameter::Temperature => self.temperature.is_some(),
            Parameter::Stream => self.stream,
        }
    }

    /// The answer's form as it was asked for.
    pub(crate) fn format_name(&self) -> Option<String> {
        if self.prompt.delimiter.is_some() {
            return Some("delimiter".into());
        }
        let format = &self.body["response_format"]["type"];
        let format = format.as_str().or_else(|| self.body["format"].as_str());
        format.map(str::to_owned)
    }

    fn find_problem(
        &self,
        messages: &[(String, String)],
        key: Option<&str>,
        script: &Script,
    ) -> Option<Problem> {
        if script
            .api_key
            .as_deref()
            .is_some_and(|wanted| key != Some(wanted))
        {
            return Some(Problem {
                status: 401,
                message: "incorrect API key provided".into(),
                code: Some("invalid_api_key"),
                param: None,
            });
        }
        if self.model.is_empty() {
            return Some(Problem::bad(
                "you must provide a model parameter",
                Some("model"),
            ));
        }
        if messages.is_empty() {
            return Some(Problem::bad(
                "`messages` must not be empty",
                Some("messages"),
            ));
        }
        if self.endpoint == Endpoint::Anthropic && self.max_tokens.is_none() {
            return Some(Problem::bad(
                "max_tokens: Field required",
                Some("max_tokens"),
            ));
        }
        if !script.models.is_empty() && !script.models.contains(&self.model) {
            return Some(Problem {
                status: 404,
                message: format!("the model `{}` does not exist", self.model),
                code: Some("model_not_found"),
                param: Some("model"),
            });
        }
        if self.carries(Parameter::JsonObject)
            && !messages
                .iter()
                .any(|(_, text)| text.to_ascii_lowercase().contains("json"))
        {
            return Some(Problem::bad(
                "'messages' must contain the word 'json' in some form, to use \
                 'response_format' of type 'json_object'.",
                Some("messages"),
            ));
        }
        self.over_limit(script)
    }

    fn over_limit(&self, script: &Script) -> Option<Problem> {
        if let Some(limit) = script
            .context_tokens
            .filter(|limit| self.tokens_in > *limit)
        {
            return Some(Problem {
                status: 400,
                message: format!(
                    "This model's maximum context length is {limit} tokens. However, your \
                     messages resulted in {} tokens.",
                    self.tokens_in
                ),
                code: Some("context_length_exceeded"),
                param: Some("messages"),
            });
        }
        let wanted = self.max_tokens.unwrap_or(0);
        let limit = script.max_output_tokens.filter(|limit| wanted > *limit)?;
        Some(Problem::bad(
            format!("max_tokens is too large: {wanted}. This model supports at most {limit}."),
            Some("max_tokens"),
        ))
    }
}

/// Tokens in so many bytes: four to one, as a rule of thumb for English and code.
pub(crate) fn tokens(bytes: usize) -> u64 {
    bytes.div_ceil(4) as u64
}

/// Role and text of each message, the system prompt first.
fn texts(body: &Value) -> Vec<(String, String)> {
    let system = (!body["system"].is_null()).then(|| ("system".to_owned(), text(&body["system"])));
    let messages = body["messages"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    if messages.is_empty() {
        return Vec::new();
    }
    system
        .into_iter()
        .chain(messages.iter().map(|message| {
            let role = message["role"].as_str().unwrap_or_default().to_owned();
            (role, text(&message["content"]))
        }))
        .collect()
}

/// A content's text: a string, or the text parts of a list.
fn text(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts
            .iter()
            .filter_map(|part| part["text"].as_str())
            .collect::<Vec<_>>()
            .join("\n"),
        _ => String::new(),
    }
}
