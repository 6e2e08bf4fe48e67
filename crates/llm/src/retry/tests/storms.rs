//! Providers that are sick for long, and many calls at once.

use super::*;
use crate::{Circuit, Rates};

fn failing(count: usize) -> impl Iterator<Item = Step> {
    std::iter::repeat_with(server_error).take(count)
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_is_down_for_a_day_costs_few_requests_and_then_all_is_done() {
    const JOBS: usize = 100;
    let day = seconds(86_400);
    let down: Vec<Step> = failing(1000).collect();
    let fake = Fake::new(down);
    let stack = stack(&fake);
    let mut jobs = JoinSet::new();
    let began = Instant::now();
    for _ in 0..JOBS {
        let stack = stack.clone();
        jobs.spawn(async move {
            // As the service does it: what failed waits as long as it is told, or half a minute.
            while began.elapsed() < day {
                let Err(error) = stack.complete(&request()).await else {
                    panic!("it is down");
                };
                sleep(error.retry_after.unwrap_or_default().max(seconds(30))).await;
            }
        });
    }
    while jobs.join_next().await.is_some() {}
    let sent = fake.times().len();
    // 100 calls that had begun with 5 permits, less what the retry budget held back; then a probe
    // at 30 s, 1, 2, 4 min and every 5 min.
    assert!(sent < 450, "{sent} requests");
    assert!(
        sent > 280,
        "{sent} requests: it is looked at every 5 minutes"
    );

    fake.recover();
    tokio::time::advance(seconds(300)).await;
    let before = fake.times().len();
    stack.complete(&request()).await.unwrap();
    assert_eq!(gauge(&stack).read().circuit, Circuit::Closed);
    assert_eq!(
        gauge(&stack).breaker().take_recovery(),
        Some(crate::Recovery::Outage)
    );
    let mut jobs = JoinSet::new();
    for _ in 1..JOBS {
        start(&mut jobs, &stack);
    }
    while let Some(done) = jobs.join_next().await {
        done.unwrap().unwrap();
    }
    assert_eq!(fake.times().len() - before, JOBS, "each once");
    assert!(fake.max_open.load(Ordering::SeqCst) <= 5);
}

/// Jobs wait as the service has them wait, a whole day; the first that is answered wakes all others.
#[tokio::test(start_paused = true)]
async fn when_it_is_back_all_that_waited_is_done_in_few_round_trips() {
    const JOBS: usize = 300;
    const WORKERS: usize = 7;
    let slots = Arc::new(tokio::sync::Semaphore::new(WORKERS));
    let (day, round_trip) = (seconds(86_400), seconds(1));
    let fake = Fake::with_latency(failing(10_000), round_trip);
    let stack = stack(&fake);
    let (wake, woken) = tokio::sync::watch::channel(());
    let wake = Arc::new(wake);
    let mut jobs = JoinSet::new();
    for _ in 0..JOBS {
        let (stack, wake, mut woken) = (stack.clone(), wake.clone(), woken.clone());
        let slots = slots.clone();
        let ask = async move |stack: &TestStack| {
            let _slot = slots.acquire().await;
            stack.complete(&request()).await
        };
        jobs.spawn(async move {
            while let Err(error) = ask(&stack).await {
                let wait = error.retry_after.unwrap_or(seconds(30));
                let _ = tokio::time::timeout(wait, woken.changed()).await;
            }
            if gauge(&stack).breaker().take_recovery().is_some() {
                wake.send_replace(());
            }
        });
    }
    sleep(day).await;
    let during = fake.times();
    // What the workers were at when the circuit opened; probes after 30 s, 1, 2 and 4 minutes; and one
    // every five minutes.
    let most = WORKERS * 3 + 4 + 288;
    assert!(during.len() <= most, "{} requests in a day", during.len());
    let late = during.iter().filter(|at| **at > 3_600_000).count();
    assert!((270..290).contains(&late), "{late}: one every five minutes");

    fake.recover();
    let back = Instant::now();
    while jobs.join_next().await.is_some() {}
    let after = fake.times().split_off(during.len());
    assert_eq!(after.len(), JOBS, "each once, the probe among them");
    // The next probe is five minutes away at most; then they go five at a time.
    let trips = u32::try_from(JOBS.div_ceil(5)).unwrap();
    assert!(back.elapsed() <= seconds(300) + round_trip * (trips + 2));
    let (first, last) = (after[0], after[JOBS - 1]);
    assert!(last - first <= (round_trip * (trips + 1)).as_millis());
    assert!(fake.max_open.load(Ordering::SeqCst) <= 5);
    for at in &after {
        let burst = after
            .iter()
            .filter(|other| (*at..*at + 1000).contains(*other));
        assert!(burst.count() <= 5, "no more in a round trip than permits");
    }
}

#[tokio::test(start_paused = true)]
async fn a_probe_is_one_request_and_a_lone_call_has_its_three() {
    let fake = Fake::new(failing(17));
    let stack = stack(&fake);
    for calls in 1..=5 {
        let error = stack.complete(&request()).await.unwrap_err();
        assert_eq!((error.attempts, fake.times().len()), (3, calls * 3));
        assert!(
            error.to_string().starts_with("after 3 attempts: "),
            "{error}"
        );
        // Calls a while apart: the retry budget is for storms.
        tokio::time::advance(seconds(5)).await;
    }
    assert!(matches!(gauge(&stack).read().circuit, Circuit::Open(_)));
    let error = stack.complete(&request()).await.unwrap_err();
    assert_eq!(
        (error.kind, error.attempts, fake.times().len()),
        (Kind::Unavailable, 0, 15)
    );
    assert!(error.retry_after > Some(seconds(20)));
    tokio::time::advance(seconds(30)).await;
    let error = stack.complete(&request()).await.unwrap_err();
    assert_eq!((error.attempts, fake.times().len()), (1, 16));
    assert_eq!(error.retry_after, Some(seconds(60)));
}

#[tokio::test(start_paused = true)]
async fn retries_of_a_storm_are_bounded() {
    let settings = StackSettings {
        max_concurrent_calls: 50,
        ..StackSettings::default()
    };
    let fake = Fake::new(failing(1000));
    let stack = stack_of(&fake, &settings);
    let mut calls = JoinSet::new();
    for _ in 0..200 {
        start(&mut calls, &stack);
    }
    while calls.join_next().await.is_some() {}
    let sent = fake.times().len();
    // The reserve is for 50 calls: 100 retries, and a fifth of all.
    assert!(sent <= 200 + 100 + (200 + 100) / 4 + 1, "{sent}");
    assert!(sent < 600);
}

#[tokio::test(start_paused = true)]
async fn attempts_keep_to_the_limit_per_minute_and_hold_no_permit_meanwhile() {
    let settings = StackSettings {
        max_concurrent_calls: 1,
        rates: Rates {
            rpm: Some(6),
            tpm: None,
        },
        ..StackSettings::default()
    };
    let fake = Fake::new([server_error()]);
    let stack = stack_of(&fake, &settings);
    stack.complete(&request()).await.unwrap();
    assert_eq!(fake.times(), [0, 10_000], "a retry counts as well");
    let mut calls = JoinSet::new();
    start(&mut calls, &stack);
    start(&mut calls, &stack);
    tokio::time::advance(seconds(1)).await;
    assert_eq!(stack.limited.available_permits(), 1);
    while let Some(done) = calls.join_next().await {
        done.unwrap().unwrap();
    }
    assert_eq!(fake.times(), [0, 10_000, 20_000, 30_000]);
}

#[tokio::test(start_paused = true)]
async fn permits_change_while_calls_run() {
    let fake = Fake::with_latency([], seconds(1));
    let stack = stack(&fake);
    let mut calls = JoinSet::new();
    for _ in 0..20 {
        start(&mut calls, &stack);
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(gauge(&stack).read().open, 5);
    gauge(&stack).permits().set(2, false);
    tokio::time::sleep(seconds(1)).await;
    assert_eq!(gauge(&stack).read().open, 2);
    gauge(&stack).permits().set(8, false);
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(gauge(&stack).read().open, 8);
    while let Some(done) = calls.join_next().await {
        done.unwrap().unwrap();
    }
    assert_eq!(stack.limited.available_permits(), 8);
}

#[tokio::test(start_paused = true)]
async fn overload_alone_lowers_the_permits() {
    let settings = StackSettings {
        adaptive_concurrency: true,
        max_concurrent_calls: 4,
        ..StackSettings::default()
    };
    let overloaded = Step::Fail(failure(Kind::Server, 529));
    let fake = Fake::new([Step::Fail(failure(Kind::Server, 500)), overloaded]);
    let stack = stack_of(&fake, &settings);
    stack.complete(&request()).await.unwrap();
    assert_eq!(gauge(&stack).read().permits, 2);
    for _ in 0..10 {
        stack.complete(&request()).await.unwrap();
    }
    assert_eq!(gauge(&stack).read().permits, 4);
}
