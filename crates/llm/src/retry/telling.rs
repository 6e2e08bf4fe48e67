//! What is told of an attempt: in the log, and in the file's story.

use std::time::Duration;

use testsmith_domain::{FinishReason, Step, Usage, shortened};

use crate::limit::Attempt;

pub(super) fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The attempt as the file's story tells it.
pub(super) fn asked(model: &str, number: u32, waited: Duration, attempt: &Attempt) -> Step {
    let (status, error, usage) = match &attempt.result {
        Ok(response) => (Some(200), None, response.usage),
        Err(error) => (
            error.status,
            Some(shortened(&error.to_string())),
            Usage::default(),
        ),
    };
    Step::Asked {
        attempt: number,
        wait_ms: milliseconds(waited),
        elapsed_ms: milliseconds(attempt.elapsed),
        status,
        error,
        model: Some(model.to_owned()),
        tokens_in: usage.input_tokens,
        tokens_out: usage.output_tokens,
    }
}

/// Records the attempt in its span and says at debug how it went.
pub(super) fn log(span: &tracing::Span, attempt: &Attempt) {
    span.record("elapsed_ms", milliseconds(attempt.elapsed));
    match &attempt.result {
        Ok(response) => {
            span.record("status", 200);
            span.record("finish", finish(&response.finish));
            if let Some(tokens) = response.usage.input_tokens {
                span.record("tokens_in", tokens);
            }
            if let Some(tokens) = response.usage.output_tokens {
                span.record("tokens_out", tokens);
            }
            tracing::debug!(request_id = response.request_id, "attempt answered");
        }
        Err(error) => {
            if let Some(status) = error.status {
                span.record("status", status);
            }
            tracing::debug!(
                kind = error.kind.as_str(),
                retry_after_ms = error.retry_after.map(milliseconds),
                error = %error,
                "attempt failed"
            );
        }
    }
}

/// In one word; a server's own word for it can be anything.
const fn finish(reason: &FinishReason) -> &'static str {
    match reason {
        FinishReason::Stop => "stop",
        FinishReason::Length => "length",
        FinishReason::Other(_) => "other",
    }
}
