//! What holds of every reply, whatever is in it. The fuzz targets and a test call these.

use std::fmt::Write as _;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime};

use reqwest::Client;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use testsmith_domain::{
    CompletionRequest, CompletionResponse, Message, ModelIdentity, Provider as _, ProviderError,
    ProviderErrorKind, RateLimits, ResponseFormat, Retryability, Role,
};

use crate::adapt::Learned;
use crate::hints;
use crate::http::{Endpoint, Reply, SecretHeaders, client};
use crate::wire::{HttpProvider, Protocol};

/// A key and a line of a prompt that must never be seen.
const CANARY: &str = "sk-canary-4242";
const PROMPT: &str = "func Canary(a, b int) int { return a + b }";
/// The longest wait that is believed.
const LONGEST: Duration = Duration::from_hours(31 * 24);

/// Thursday, 1 January 2026, 00:00:00 UTC.
fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_hours(20_454 * 24)
}

/// What headers say of waiting. `data` is header lines; its first bytes are also a wait, which is
/// written in each form and has to be read as it was meant.
pub fn rate_headers(data: &[u8]) {
    let headers = headers(data);
    let wait = hints::retry_after(&headers, now());
    assert!(wait.is_none_or(is_plausible), "{wait:?}");
    let limits = hints::rate_limits(&headers, now());
    for reset in [limits.reset_requests, limits.reset_tokens] {
        assert!(reset.is_none_or(is_plausible), "{reset:?}");
    }
    let reset = hints::until_reset(&limits);
    assert!(reset.is_none() || reset == limits.reset_requests || reset == limits.reset_tokens);
    let first = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(exact) = first("retry-after-ms").and_then(|text| text.trim().parse::<u32>().ok())
        && exact > 0
        && Duration::from_millis(exact.into()) <= LONGEST
    {
        assert_eq!(wait, Some(Duration::from_millis(exact.into())));
    }
    if let Some(start) = data.first_chunk() {
        each_form_is_read_as_meant(u64::from_le_bytes(*start) % LONGEST.as_secs() + 1);
    }
}

fn each_form_is_read_as_meant(seconds: u64) {
    let wait = Duration::from_secs(seconds);
    let milliseconds = wait.as_millis().to_string();
    let date = httpdate::fmt_http_date(now() + wait);
    for (name, text) in [
        ("retry-after", seconds.to_string()),
        ("retry-after-ms", milliseconds.clone()),
        ("x-ms-retry-after-ms", milliseconds),
        ("retry-after", date),
    ] {
        let headers = headers(format!("{name}: {text}").as_bytes());
        assert_eq!(hints::retry_after(&headers, now()), Some(wait), "{text}");
    }
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let go = format!("x-ratelimit-reset-tokens: {hours}h{minutes}m{rest}s");
    let time = humantime::format_rfc3339(now() + wait);
    let anthropic = format!("anthropic-ratelimit-tokens-reset: {time}");
    for line in [go, anthropic] {
        let limits = hints::rate_limits(&headers(line.as_bytes()), now());
        let wanted = RateLimits {
            reset_tokens: Some(wait),
            ..RateLimits::default()
        };
        assert_eq!(limits, wanted, "{line}");
    }
}

fn is_plausible(wait: Duration) -> bool {
    !wait.is_zero() && wait <= LONGEST
}

/// What a server replies: a line with the status, header lines, an empty line, the body.
pub fn provider_reply(data: &[u8]) {
    let (head, body) = match data.windows(2).position(|pair| pair == b"\n\n") {
        Some(at) => (&data[..at], &data[at + 2..]),
        None => (data, &b""[..]),
    };
    let (status, lines) = head.split_at(head.iter().position(|b| *b == b'\n').unwrap_or(0));
    let status = String::from_utf8_lossy(status)
        .trim()
        .parse()
        .unwrap_or(200);
    if !(100..=999).contains(&status) {
        return;
    }
    let reply = Reply {
        status,
        headers: headers(lines),
        body: body.to_vec(),
    };
    for protocol in [Protocol::OpenAi, Protocol::Anthropic, Protocol::Ollama] {
        // A server that has taught something is not the same any more: each time a new one.
        let result = judge(protocol, &reply);
        assert_eq!(show(&result), show(&judge(protocol, &reply)));
        match result {
            Ok(answer) => check_answer(&reply, &answer),
            Err(error) => check_error(&reply, &error),
        }
    }
}

fn judge(protocol: Protocol, reply: &Reply) -> Result<CompletionResponse, ProviderError> {
    let provider = provider(protocol);
    let request = CompletionRequest {
        system: String::new(),
        messages: vec![Message {
            role: Role::User,
            content: PROMPT.into(),
        }],
        max_tokens: provider.max_output_tokens(),
        format: ResponseFormat::JsonObject,
    };
    let shape = Learned::default().shape(&request.format);
    provider.judge(&request, &shape, reply)
}

fn provider(protocol: Protocol) -> HttpProvider {
    static CLIENT: LazyLock<Option<Client>> = LazyLock::new(|| {
        let url = "http://127.0.0.1/".parse().ok()?;
        client(&url, Duration::from_secs(1)).ok()
    });
    let mut headers = SecretHeaders::default();
    let added = headers.add("authorization", "Bearer ", CANARY);
    assert!(added.is_some(), "it is a header");
    let (Some(client), Ok(url)) = (CLIENT.clone(), "http://127.0.0.1/v1".parse()) else {
        unreachable!("nothing is asked of the system for an address of this machine");
    };
    let endpoint = Endpoint::new(client, url, headers, Duration::from_secs(1));
    let identity = ModelIdentity {
        provider: protocol.name().into(),
        model: "m".into(),
        temperature: 0.0,
    };
    HttpProvider::knowing(protocol, endpoint, identity, 4096, false, Arc::default())
}

fn show(result: &Result<CompletionResponse, ProviderError>) -> String {
    let mut shown = String::new();
    match result {
        Ok(answer) => write!(shown, "{answer:?}"),
        Err(error) => write!(shown, "{error:?}"),
    }
    .unwrap_or_default();
    shown
}

fn check_answer(reply: &Reply, answer: &CompletionResponse) {
    assert!((200..300).contains(&reply.status));
    assert!(!answer.content.trim().is_empty());
    assert!(serde_json::from_slice::<serde_json::Value>(&reply.body).is_ok());
    let id = answer.request_id.as_deref().unwrap_or_default();
    assert!(!id.contains(CANARY) && !id.contains(char::is_control));
}

fn check_error(reply: &Reply, error: &ProviderError) {
    let shown = error.to_string();
    assert!(!shown.trim().is_empty());
    assert!(!shown.contains(char::is_control), "{shown:?}");
    assert!(
        !shown.contains(CANARY) && !shown.contains(PROMPT),
        "{shown}"
    );
    assert_eq!(error.status, Some(reply.status));
    assert!(error.retry_after.is_none_or(is_plausible));
    let transient = error.retryability() == Retryability::Transient;
    match reply.status {
        400..=404 | 413 | 422 => assert!(!transient, "{error:?}"),
        408 | 409 | 425 | 500 | 502..=504 | 529 => {
            assert!(
                transient || hints::forbids_retry(&reply.headers),
                "{error:?}"
            );
        }
        429 => assert!(
            transient
                || hints::forbids_retry(&reply.headers)
                || error.kind == ProviderErrorKind::Billing
        ),
        _ => {}
    }
    // A stream that nobody asked for is no answer, and may hold one: nothing of it is shown.
    if (200..300).contains(&reply.status) && reply.body.starts_with(b"data:") {
        assert_eq!(error.kind, ProviderErrorKind::EmptyReply);
        let bytes = reply.body.len();
        assert_eq!(
            shown,
            format!("the reply of {bytes} bytes is no whole JSON")
        );
    }
}

/// Those lines that are headers.
fn headers(lines: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in lines.split(|byte| *byte == b'\n').take(32) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            continue;
        };
        let (name, value) = line.split_at(colon);
        if let Ok(name) = HeaderName::from_bytes(name)
            && let Ok(value) = HeaderValue::from_bytes(&value[1..])
        {
            headers.append(name, value);
        }
    }
    headers
}

#[cfg(test)]
#[path = "../../../fuzz/replay.rs"]
mod replay;

#[cfg(test)]
mod tests {
    use super::replay::replay;
    use super::*;

    #[test]
    fn the_corpus_of_headers_holds() {
        replay("rate_headers", rate_headers);
    }

    #[test]
    fn the_corpus_of_replies_holds() {
        replay("provider_reply", provider_reply);
    }
}
