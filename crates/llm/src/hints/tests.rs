use proptest::prelude::*;
use reqwest::header::{HeaderName, HeaderValue};

use super::*;

/// Thursday, 1 January 2026, 00:00:00 UTC.
fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_hours(20_454 * 24)
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| {
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            (HeaderName::from_static(name), value)
        })
        .collect()
}

/// Headers, and the wait they ask for in milliseconds.
type Case = (&'static [(&'static str, &'static str)], Option<u64>);

#[test]
fn retry_after_table() {
    let table: &[Case] = &[
        // Seconds.
        (&[("retry-after", "7")], Some(7_000)),
        (&[("retry-after", " 2 ")], Some(2_000)),
        (&[("retry-after", "1.5")], Some(1_500)),
        (&[("retry-after", "86400")], Some(86_400_000)),
        // Milliseconds, which come first.
        (&[("retry-after-ms", "250")], Some(250)),
        (
            &[("retry-after-ms", "250"), ("retry-after", "9")],
            Some(250),
        ),
        (
            &[("x-ms-retry-after-ms", "40"), ("retry-after", "9")],
            Some(40),
        ),
        (
            &[("retry-after-ms", "soon"), ("retry-after", "9")],
            Some(9_000),
        ),
        (
            &[("retry-after-ms", "-1"), ("x-ms-retry-after-ms", "3")],
            Some(3),
        ),
        // Dates.
        (
            &[("retry-after", "Thu, 01 Jan 2026 00:00:30 GMT")],
            Some(30_000),
        ),
        (
            &[("retry-after", "Thursday, 01-Jan-26 00:00:05 GMT")],
            Some(5_000),
        ),
        (&[("retry-after", "Wed, 31 Dec 2025 23:59:59 GMT")], None),
        (&[("retry-after", "Thu, 01 Jan 2026 00:00:00 GMT")], None),
        (&[("retry-after", "Thu, 01 Jan 2099 00:00:00 GMT")], None),
        // Nonsense.
        (&[("retry-after", "0")], None),
        (&[("retry-after", "-5")], None),
        (&[("retry-after", "NaN")], None),
        (&[("retry-after", "inf")], None),
        (&[("retry-after", "1e309")], None),
        (&[("retry-after", "1e300")], None),
        (&[("retry-after", "1767225660")], None),
        (&[("retry-after", "soon")], None),
        (&[("retry-after", "")], None),
        (&[("retry-after", "\u{e9}")], None),
        (&[], None),
    ];
    for (pairs, expected) in table {
        let wait = retry_after(&headers(pairs), now());
        assert_eq!(wait, expected.map(Duration::from_millis), "{pairs:?}");
    }
}

#[test]
fn should_retry_is_read() {
    assert!(forbids_retry(&headers(&[("x-should-retry", "false")])));
    assert!(forbids_retry(&headers(&[("x-should-retry", "False")])));
    assert!(!forbids_retry(&headers(&[("x-should-retry", "true")])));
    assert!(!forbids_retry(&headers(&[])));
}

#[test]
fn openai_limits_serve_when_something_is_used_up() {
    let limits = rate_limits(
        &headers(&[
            ("x-ratelimit-remaining-requests", "0"),
            ("x-ratelimit-reset-requests", "12ms"),
            ("x-ratelimit-remaining-tokens", "0"),
            ("x-ratelimit-reset-tokens", "6m0s"),
        ]),
        now(),
    );
    assert_eq!(limits.reset_requests, Some(Duration::from_millis(12)));
    assert_eq!(until_reset(&limits), Some(Duration::from_mins(6)));
    let left = RateLimits {
        remaining_tokens: Some(1),
        ..limits
    };
    assert_eq!(until_reset(&left), Some(Duration::from_millis(12)));
    assert_eq!(until_reset(&RateLimits::default()), None);
}

#[test]
fn anthropic_limits_are_times() {
    let limits = rate_limits(
        &headers(&[
            ("anthropic-ratelimit-requests-remaining", "0"),
            ("anthropic-ratelimit-requests-reset", "2026-01-01T00:00:20Z"),
            ("anthropic-ratelimit-tokens-remaining", "8000"),
            ("anthropic-ratelimit-tokens-reset", "2025-12-31T00:00:20Z"),
        ]),
        now(),
    );
    assert_eq!(limits.remaining_tokens, Some(8000));
    assert_eq!(limits.reset_tokens, None);
    assert_eq!(until_reset(&limits), Some(Duration::from_secs(20)));
}

#[test]
fn go_durations() {
    let table = [
        ("12ms", Some(12_000_000)),
        ("6m0s", Some(360_000_000_000)),
        ("1h2m3.5s", Some(3_723_500_000_000)),
        ("7.66s", Some(7_660_000_000)),
        ("3", Some(3_000_000_000)),
        ("0s", None),
        ("-1", None),
        ("-1s", None),
        ("s", None),
        ("5 parsecs", None),
        ("1.2.3s", None),
    ];
    for (text, nanoseconds) in table {
        assert_eq!(
            go_duration(text),
            nanoseconds.map(Duration::from_nanos),
            "{text}"
        );
    }
}

proptest! {
    #[test]
    fn no_header_makes_it_panic_or_wait_for_ever(value in "\\PC{0,24}") {
        for name in ["retry-after", "retry-after-ms", "x-ratelimit-reset-requests"] {
            let Ok(header) = HeaderValue::from_str(&value) else { continue };
            let map: HeaderMap = [(HeaderName::from_static(name), header)].into_iter().collect();
            if let Some(wait) = retry_after(&map, now()) {
                prop_assert!(!wait.is_zero() && wait <= LONGEST);
            }
            if let Some(wait) = rate_limits(&map, now()).reset_requests {
                prop_assert!(!wait.is_zero() && wait <= LONGEST);
            }
        }
    }
}
