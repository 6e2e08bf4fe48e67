//! What response headers say of waiting: `Retry-After` in its forms, and rate limits.
//!
//! Header values are a stranger's words: only a finite, positive wait of at most
//! [`LONGEST`] counts, anything else is as if the header were not there.

use std::time::{Duration, SystemTime};

use reqwest::header::HeaderMap;
use testsmith_domain::RateLimits;

/// A longer wait is taken for nonsense: such as a Unix time where seconds were meant.
const LONGEST: Duration = Duration::from_hours(31 * 24);

/// How long the server asks to wait, from `retry-after-ms`, `x-ms-retry-after-ms` (Azure), or
/// `Retry-After` as seconds or as an HTTP date (RFC 9110 §10.2.3) against `now`.
pub(crate) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let milliseconds = |name| plausible(number(headers, name)? / 1000.0);
    milliseconds("retry-after-ms")
        .or_else(|| milliseconds("x-ms-retry-after-ms"))
        .or_else(|| plausible(number(headers, "retry-after")?))
        .or_else(|| {
            let date = httpdate::parse_http_date(text(headers, "retry-after")?).ok()?;
            plausible_duration(date.duration_since(now).ok()?)
        })
}

/// Whether the server says that asking again is of no use.
pub(crate) fn forbids_retry(headers: &HeaderMap) -> bool {
    text(headers, "x-should-retry").is_some_and(|value| value.eq_ignore_ascii_case("false"))
}

/// The limits the server tells of, in OpenAI's form (`x-ratelimit-…`, durations such as `6m0s`)
/// or Anthropic's (`anthropic-ratelimit-…`, RFC 3339 times).
pub(crate) fn rate_limits(headers: &HeaderMap, now: SystemTime) -> RateLimits {
    let remaining = |what: &str| {
        let value = text(headers, &format!("x-ratelimit-remaining-{what}"))
            .or_else(|| text(headers, &format!("anthropic-ratelimit-{what}-remaining")))?;
        value.parse().ok()
    };
    let reset = |what: &str| {
        text(headers, &format!("x-ratelimit-reset-{what}"))
            .and_then(go_duration)
            .or_else(|| {
                let time = text(headers, &format!("anthropic-ratelimit-{what}-reset"))?;
                let time = humantime::parse_rfc3339(time).ok()?;
                plausible_duration(time.duration_since(now).ok()?)
            })
    };
    RateLimits {
        remaining_requests: remaining("requests"),
        remaining_tokens: remaining("tokens"),
        reset_requests: reset("requests"),
        reset_tokens: reset("tokens"),
    }
}

/// The wait until every limit that is used up starts anew, for a 429 without `Retry-After`.
pub(crate) fn until_reset(limits: &RateLimits) -> Option<Duration> {
    let requests = limits
        .reset_requests
        .filter(|_| limits.remaining_requests == Some(0));
    let tokens = limits
        .reset_tokens
        .filter(|_| limits.remaining_tokens == Some(0));
    requests.max(tokens)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    Some(headers.get(name)?.to_str().ok()?.trim())
}

fn number(headers: &HeaderMap, name: &str) -> Option<f64> {
    text(headers, name)?.parse().ok()
}

fn plausible(seconds: f64) -> Option<Duration> {
    // Refuses NaN, what is negative and what is too large for a Duration.
    plausible_duration(Duration::try_from_secs_f64(seconds).ok()?)
}

fn plausible_duration(wait: Duration) -> Option<Duration> {
    (!wait.is_zero() && wait <= LONGEST).then_some(wait)
}

/// A duration as Go prints it: `1h2m3.5s`, `12ms`; or a bare number of seconds.
fn go_duration(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.parse() {
        return plausible(seconds);
    }
    let mut total = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let unit_at = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(unit_at);
        let unit_end = tail
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let seconds = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        total += number.parse::<f64>().ok()? * seconds;
        rest = tail;
    }
    plausible(total)
}

#[cfg(test)]
mod tests;
