//! Waits, permits and holds, on a paused clock: every time here is exact.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use testsmith_domain::ProviderErrorKind as Kind;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::*;
use crate::settings::{Jitter, Timeouts};
use crate::testing::{Fake, Shared, Step, chain, failure, failure_after, request, schema_request};
use crate::{Gate, Gauge, Permits};

mod spending;
mod storms;
mod waits;

type TestStack = Arc<Retry<Shared>>;

fn stack_of(fake: &Arc<Fake>, settings: &StackSettings) -> TestStack {
    let gate = Arc::new(Gate::new("fake"));
    let shared = Shared(fake.clone());
    let attempt = settings.timeouts.attempt;
    let permits = Permits::new(settings.max_concurrent_calls, settings.adaptive_concurrency);
    let permits = Arc::new(permits);
    let limited = Limited::new(shared, permits, attempt, gate);
    Arc::new(Retry::new(limited, settings))
}

fn stack(fake: &Arc<Fake>) -> TestStack {
    stack_of(fake, &StackSettings::default())
}

fn gauge(stack: &TestStack) -> &Gauge {
    stack.limited.gauge()
}

fn one_permit() -> StackSettings {
    StackSettings {
        max_concurrent_calls: 1,
        ..StackSettings::default()
    }
}

fn server_error() -> Step {
    Step::Fail(failure(Kind::Server, 503))
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// Starts a call on its own.
fn start(
    calls: &mut JoinSet<Result<CompletionResponse, ProviderError>>,
    stack: &TestStack,
) -> tokio::task::AbortHandle {
    let stack = stack.clone();
    calls.spawn(async move { stack.complete(&request()).await })
}

#[tokio::test(start_paused = true)]
async fn waits_are_200_and_400_ms() {
    let fake = Fake::new([server_error(), server_error()]);
    let stack = stack(&fake);
    let response = stack.complete(&request()).await.unwrap();
    assert_eq!(response.attempts, 3);
    assert_eq!(fake.times(), [0, 200, 600]);
    let reading = gauge(&stack).read();
    assert_eq!(
        (reading.calls, reading.attempts, reading.retries),
        (1, 3, 2)
    );
    assert_eq!((reading.open, reading.max_open), (0, 1));
    assert_eq!((reading.input_tokens, reading.output_tokens), (10, 2));
}

#[tokio::test(start_paused = true)]
async fn last_error_counts_attempts_and_keeps_the_chain() {
    let lost = || {
        let cause = std::io::Error::other("connection reset by peer");
        let error = ProviderError::new(Kind::Interrupted, "the connection to `h` broke");
        Step::Fail(error.with_source(cause))
    };
    let fake = Fake::new([server_error(), lost(), lost(), Step::Answer]);
    let stack = stack(&fake);
    let began = Instant::now();
    let error = stack.complete(&request()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "after 3 attempts: the connection to `h` broke"
    );
    assert_eq!(
        chain(&error),
        "after 3 attempts: the connection to `h` broke: connection reset by peer"
    );
    assert_eq!((error.kind, error.attempts), (Kind::Interrupted, 3));
    assert!(error.source().is_some());
    assert_eq!(began.elapsed(), Duration::from_millis(600));
    assert_eq!(fake.times().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn permanent_failures_are_sent_once_and_said_plainly() {
    for kind in [
        Kind::Billing,
        Kind::Auth,
        Kind::NotFound,
        Kind::TooLong,
        Kind::Rejected,
        Kind::ContentFilter,
    ] {
        let fake = Fake::new([Step::Fail(failure(kind, 400))]);
        let error = stack(&fake).complete(&request()).await.unwrap_err();
        assert_eq!(error.to_string(), "the server answered 400");
        assert_eq!((error.attempts, fake.times().len()), (1, 1));
    }
    let fake = Fake::new([server_error(), Step::Fail(failure(Kind::Auth, 401))]);
    let error = stack(&fake).complete(&request()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "after 2 attempts: the server answered 401"
    );
}

#[tokio::test(start_paused = true)]
async fn max_attempts_is_obeyed() {
    for (max_attempts, expected) in [(0, 1), (1, 1), (2, 2), (5, 5)] {
        let fake = Fake::new((0..9).map(|_| server_error()));
        let mut settings = StackSettings::default();
        settings.retry.max_attempts = max_attempts;
        let error = stack_of(&fake, &settings)
            .complete(&request())
            .await
            .unwrap_err();
        assert_eq!(
            (fake.times().len(), error.attempts),
            (expected, max_attempts.max(1))
        );
    }
}

#[tokio::test(start_paused = true)]
async fn jitter_only_shortens() {
    let mut settings = StackSettings::default();
    settings.retry.jitter = Jitter::Full;
    let mut totals = Vec::new();
    for _ in 0..50 {
        let fake = Fake::new([server_error(), server_error()]);
        stack_of(&fake, &settings)
            .complete(&request())
            .await
            .unwrap();
        totals.push(fake.times()[2]);
    }
    assert!(totals.iter().all(|total| *total <= 602), "{totals:?}");
    assert!(totals.iter().any(|total| *total < 500), "{totals:?}");
}

#[tokio::test(start_paused = true)]
async fn wait_is_the_larger_of_backoff_and_hint() {
    let hint = |ms| Step::Fail(failure_after(429, Duration::from_millis(ms)));
    let fake = Fake::new([hint(50), hint(2_500)]);
    stack(&fake).complete(&request()).await.unwrap();
    assert_eq!(fake.times(), [0, 200, 2_700]);
}

#[tokio::test(start_paused = true)]
async fn long_hints_end_the_call_at_once() {
    let fake = Fake::new([Step::Fail(failure_after(429, seconds(61)))]);
    let stack = stack(&fake);
    let began = Instant::now();
    let error = stack.complete(&request()).await.unwrap_err();
    assert_eq!(began.elapsed(), Duration::ZERO);
    assert_eq!(error.to_string(), "the server answered 429");
    assert_eq!(error.retry_after, Some(seconds(61)));
    assert_eq!(gauge(&stack).read().open, 0);

    // Who comes next need not ask to learn it.
    sleep(seconds(1)).await;
    let error = stack.complete(&request()).await;
    // 60 s may be waited out inline.
    assert!(error.is_ok());
    assert_eq!(fake.times(), [0, 61_000]);
}

#[tokio::test(start_paused = true)]
async fn others_fail_fast_during_a_long_hold() {
    let fake = Fake::new([Step::Fail(failure_after(503, seconds(600)))]);
    let stack = stack(&fake);
    stack.complete(&request()).await.unwrap_err();
    sleep(seconds(100)).await;
    let error = stack.complete(&request()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "`fake` asked to be left alone for another 8m 20s"
    );
    assert_eq!((error.kind, error.attempts), (Kind::RateLimited, 0));
    assert_eq!(error.retry_after, Some(seconds(500)));
    assert_eq!(fake.times().len(), 1);
    assert_eq!(gauge(&stack).read().held_for, Some(seconds(500)));
}

#[tokio::test(start_paused = true)]
async fn inline_waits_add_up_to_the_limit() {
    let fake = Fake::new([
        Step::Fail(failure_after(429, seconds(40))),
        Step::Fail(failure_after(429, seconds(21))),
    ]);
    let error = stack(&fake).complete(&request()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "after 2 attempts: the server answered 429"
    );
    assert_eq!(error.retry_after, Some(seconds(21)));
    assert_eq!(fake.times(), [0, 40_000]);

    let fake = Fake::new([
        Step::Fail(failure_after(429, seconds(40))),
        Step::Fail(failure_after(429, seconds(20))),
    ]);
    stack(&fake).complete(&request()).await.unwrap();
    assert_eq!(fake.times(), [0, 40_000, 60_000]);
}

#[tokio::test(start_paused = true)]
async fn one_hint_holds_everybody_and_no_permit() {
    for status in [429, 503, 529] {
        let fake = Fake::new([Step::Fail(failure_after(status, seconds(10)))]);
        let stack = stack(&fake);
        let mut calls = JoinSet::new();
        start(&mut calls, &stack);
        sleep(seconds(3)).await;
        for _ in 0..20 {
            start(&mut calls, &stack);
        }
        sleep(seconds(3)).await;
        assert_eq!(gauge(&stack).read().open, 0);
        assert_eq!(
            stack.limited.available_permits(),
            5,
            "none is held in a hold"
        );
        for result in calls.join_all().await {
            result.unwrap();
        }
        let times = fake.times();
        assert_eq!((times.len(), times[0]), (22, 0));
        assert!(
            times[1..].iter().all(|time| *time == 10_000),
            "{status}: {times:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn hold_reaches_who_queues_for_a_permit() {
    let fake = Fake::new([Step::FailAfter(seconds(1), failure_after(429, seconds(10)))]);
    let stack = stack_of(&fake, &one_permit());
    let mut calls = JoinSet::new();
    for _ in 0..4 {
        start(&mut calls, &stack);
    }
    for result in calls.join_all().await {
        result.unwrap();
    }
    assert_eq!(fake.times(), [0, 11_000, 11_000, 11_000, 11_000]);
}

#[tokio::test(start_paused = true)]
async fn other_failures_hold_nobody() {
    // No hint; a hint of a status that speaks of one request only; no money.
    let mut billing = failure_after(429, seconds(9));
    billing.kind = Kind::Billing;
    let script = [
        failure(Kind::Server, 503),
        failure_after(500, seconds(9)),
        billing,
    ];
    for error in script {
        let fake = Fake::new([Step::Fail(error)]);
        let stack = stack(&fake);
        let mut calls = JoinSet::new();
        start(&mut calls, &stack);
        sleep(Duration::from_millis(1)).await;
        // No money opens the circuit, which is not what is looked at here.
        gauge(&stack).breaker().reset();
        stack.complete(&request()).await.unwrap();
        assert_eq!(fake.times()[..2], [0, 1]);
        calls.join_all().await;
    }
}

#[tokio::test(start_paused = true)]
async fn at_most_five_are_open_under_a_hundred_callers() {
    let fake = Fake::with_latency([], seconds(1));
    let stack = stack(&fake);
    let mut calls = JoinSet::new();
    for _ in 0..100 {
        start(&mut calls, &stack);
    }
    let began = Instant::now();
    for result in calls.join_all().await {
        result.unwrap();
    }
    assert_eq!(fake.max_open.load(Ordering::SeqCst), 5);
    assert_eq!(gauge(&stack).read().max_open, 5);
    assert_eq!(began.elapsed(), seconds(20), "and never fewer than five");
}

#[tokio::test(start_paused = true)]
async fn backoff_holds_no_permit() {
    let fake = Fake::new([server_error(), Step::AnswerAfter(Duration::from_millis(50))]);
    let stack = stack_of(&fake, &one_permit());
    let mut calls = JoinSet::new();
    start(&mut calls, &stack);
    sleep(Duration::from_millis(20)).await;
    // A is in its backoff until 200 ms.
    let began = Instant::now();
    let b = stack.complete(&request()).await.unwrap();
    assert_eq!((b.attempts, began.elapsed().as_millis()), (1, 50));
    let a = calls.join_next().await.unwrap().unwrap().unwrap();
    assert_eq!(a.attempts, 2);
    assert_eq!(fake.times(), [0, 20, 200]);
}

#[tokio::test(start_paused = true)]
async fn no_permit_is_lost_by_error_panic_or_cancel() {
    let script = (0..3).flat_map(|_| {
        [
            Step::Fail(failure(Kind::Rejected, 400)),
            Step::Panic,
            Step::Hang,
        ]
    });
    let fake = Fake::new(script);
    let stack = stack_of(&fake, &one_permit());
    for _ in 0..3 {
        let mut calls = JoinSet::new();
        start(&mut calls, &stack);
        assert!(calls.join_next().await.unwrap().unwrap().is_err());
        start(&mut calls, &stack);
        assert!(calls.join_next().await.unwrap().unwrap_err().is_panic());
        let hanging = start(&mut calls, &stack);
        sleep(seconds(1)).await;
        assert_eq!(
            (gauge(&stack).read().open, stack.limited.available_permits()),
            (1, 0)
        );
        hanging.abort();
        assert!(calls.join_next().await.unwrap().unwrap_err().is_cancelled());
        assert_eq!(
            (gauge(&stack).read().open, stack.limited.available_permits()),
            (0, 1)
        );
    }
    stack.complete(&request()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn cancelling_in_queue_backoff_or_hold_frees_everything() {
    let fake = Fake::new([
        server_error(),
        Step::Fail(failure_after(429, seconds(30))),
        Step::Hang,
    ]);
    let stack = stack_of(&fake, &one_permit());
    let mut calls = JoinSet::new();
    // In its backoff, then in the wait of its hint, then in the hold.
    for pause in [100, 100, 100] {
        let call = start(&mut calls, &stack);
        sleep(Duration::from_millis(pause)).await;
        call.abort();
        calls.join_next().await.unwrap().unwrap_err();
        assert_eq!(stack.limited.available_permits(), 1);
    }
    assert_eq!(fake.times().len(), 2);
    sleep(seconds(30)).await;
    // In the queue behind a call that hangs.
    let hanging = start(&mut calls, &stack);
    sleep(Duration::from_millis(1)).await;
    let queued = start(&mut calls, &stack);
    sleep(Duration::from_millis(1)).await;
    queued.abort();
    calls.join_next().await.unwrap().unwrap_err();
    hanging.abort();
    calls.join_next().await.unwrap().unwrap_err();
    stack.complete(&request()).await.unwrap();
    assert_eq!(
        (fake.times().len(), stack.limited.available_permits()),
        (4, 1)
    );
}

#[tokio::test(start_paused = true)]
async fn attempts_and_calls_end_in_time() {
    let fake = Fake::new([Step::Hang, Step::Hang, Step::Hang]);
    let began = Instant::now();
    let error = stack(&fake).complete(&request()).await.unwrap_err();
    // 120 s, 0.2 s, 120 s, 0.4 s, and what is left of 300 s.
    assert_eq!(fake.times(), [0, 120_200, 240_600]);
    assert_eq!(began.elapsed(), seconds(300));
    assert_eq!(error.to_string(), "after 3 attempts: no reply within 59s");
    assert_eq!(error.kind, Kind::Timeout);

    // No attempt is begun that has no time left, and no wait that outlasts the call.
    let timeouts = Timeouts {
        call: seconds(60),
        attempt: seconds(60),
        ..Timeouts::default()
    };
    let settings = StackSettings {
        timeouts,
        ..StackSettings::default()
    };
    let fake = Fake::new([Step::FailAfter(
        seconds(30),
        failure_after(500, seconds(30)),
    )]);
    let error = stack_of(&fake, &settings)
        .complete(&request())
        .await
        .unwrap_err();
    assert_eq!(error.retry_after, Some(seconds(30)));
    assert_eq!(fake.times().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn time_in_the_queue_is_not_the_calls() {
    let fake = Fake::with_latency([], seconds(100));
    let stack = stack_of(&fake, &one_permit());
    let mut calls = JoinSet::new();
    for _ in 0..10 {
        start(&mut calls, &stack);
    }
    for result in calls.join_all().await {
        result.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn adaptation_is_at_once_and_no_attempt() {
    let adapted = || Step::Fail(failure(Kind::Rejected, 400).with_source(Adapted));
    let fake = Fake::new([
        adapted(),
        server_error(),
        adapted(),
        server_error(),
        server_error(),
    ]);
    let stack = stack(&fake);
    let error = stack.complete(&request()).await.unwrap_err();
    assert_eq!(fake.times(), [0, 0, 200, 200, 600]);
    assert_eq!(
        error.to_string(),
        "after 3 attempts: the server answered 503"
    );
    assert_eq!(error.attempts, 5, "requests sent");
    let reading = gauge(&stack).read();
    assert_eq!((reading.attempts, reading.retries), (5, 2));

    let fake = Fake::new((0..100).map(|_| adapted()));
    let error = self::stack(&fake).complete(&request()).await.unwrap_err();
    assert_eq!(
        (error.kind, fake.times().len()),
        (Kind::Rejected, 9),
        "bounded"
    );
}

#[tokio::test(start_paused = true)]
async fn free_text_is_asked_for_after_a_blank_answer() {
    let blank = failure(Kind::EmptyReply, 200).with_source(BlankAnswer);
    let fake = Fake::new([server_error(), Step::Fail(blank), Step::Answer]);
    stack(&fake).complete(&schema_request()).await.unwrap();
    let formats: Vec<ResponseFormat> = fake
        .log
        .lock()
        .unwrap()
        .iter()
        .map(|(_, format)| format.clone())
        .collect();
    let schema = schema_request().format;
    assert_eq!(formats, [schema.clone(), schema, ResponseFormat::Text]);
}

#[tokio::test(start_paused = true)]
async fn semaphore_alone_is_a_provider() {
    let fake = Fake::new([Step::Fail(failure_after(429, seconds(5)))]);
    let gate = Arc::new(Gate::new("fake"));
    let limited = Limited::new(
        Shared(fake.clone()),
        Arc::new(Permits::new(1, false)),
        seconds(1),
        gate,
    );
    assert_eq!(
        limited.complete(&request()).await.unwrap_err().status,
        Some(429)
    );
    let error = limited.complete(&request()).await.unwrap_err();
    assert_eq!((error.attempts, error.retry_after), (0, Some(seconds(5))));
    sleep(seconds(5)).await;
    limited.complete(&request()).await.unwrap();
    assert_eq!(limited.identity().provider, "fake");
    assert_eq!(limited.max_output_tokens(), 4096);
}
