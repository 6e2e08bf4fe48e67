//! The wait is the larger of what the server asks for and the backoff, whatever the two are.

use std::time::SystemTime;

use proptest::prelude::*;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::*;
use crate::hints;

/// Thursday, 1 January 2026, 00:00:00 UTC.
fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_hours(20_454 * 24)
}

/// How a server asks to wait.
#[derive(Debug, Clone, Copy)]
enum Form {
    Milliseconds,
    Seconds,
    Date,
}

/// The header for about so long, and what it asks for.
fn header(form: Form, milliseconds: u64) -> (HeaderMap, Duration) {
    let whole = seconds(milliseconds.div_ceil(1000));
    let (name, text, wait) = match form {
        Form::Milliseconds => (
            "retry-after-ms",
            milliseconds.to_string(),
            Duration::from_millis(milliseconds),
        ),
        Form::Seconds => ("retry-after", whole.as_secs().to_string(), whole),
        Form::Date => ("retry-after", httpdate::fmt_http_date(now() + whole), whole),
    };
    let value = HeaderValue::from_str(&text).unwrap();
    let header = (HeaderName::from_static(name), value);
    (HeaderMap::from_iter([header]), wait)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_wait_is_the_larger_of_header_and_backoff_and_a_long_one_defers(
        form in prop::sample::select(vec![Form::Milliseconds, Form::Seconds, Form::Date]),
        asked in prop_oneof![1_u64..2_000, 1_u64..90_000, 59_000_u64..61_002],
        base in 1_u64..6_000,
        status in prop::sample::select(vec![429_u16, 500, 503, 529]),
    ) {
        let (headers, asked) = header(form, asked);
        let backoff = Duration::from_millis(2 * base).min(seconds(8));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let (result, times) = runtime.block_on(async {
            let mut error = failure(Kind::Server, status);
            error.retry_after = hints::retry_after(&headers, now());
            let fake = Fake::new([Step::Fail(error)]);
            let mut settings = StackSettings::default();
            settings.retry.base_delay = Duration::from_millis(base);
            let result = stack_of(&fake, &settings).complete(&request()).await;
            (result, fake.times())
        });
        let wait = asked.max(backoff);
        if wait > backoff && wait > Duration::from_mins(1) {
            prop_assert_eq!(result.unwrap_err().retry_after, Some(asked));
            prop_assert_eq!(times, [0]);
        } else {
            prop_assert!(result.is_ok());
            prop_assert_eq!(times, [0, wait.as_millis()]);
        }
    }
}
