use super::*;

const MINUTE: Duration = Duration::from_mins(1);

async fn times(pace: &Pace, count: usize, tokens: u64) -> Vec<Duration> {
    let began = Instant::now();
    let mut times = Vec::new();
    for _ in 0..count {
        pace.wait(tokens, Duration::from_hours(24)).await.unwrap();
        times.push(began.elapsed());
    }
    times
}

/// The most that lies in any minute.
fn most_in_a_minute(times: &[Duration]) -> usize {
    let within = |from: &Duration| {
        let rest = times
            .iter()
            .filter(|time| *time >= from && **time < *from + MINUTE);
        rest.count()
    };
    times.iter().map(within).max().unwrap_or(0)
}

#[tokio::test(start_paused = true)]
async fn no_minute_has_more_requests_than_the_limit_and_none_is_wasted() {
    for rpm in [1, 2, 7, 60, 100, 600] {
        let rates = Rates {
            rpm: Some(rpm),
            tpm: None,
        };
        let count = usize::try_from(rpm).unwrap() * 5;
        let times = times(&Pace::new(rates), count, 0).await;
        let most = most_in_a_minute(&times);
        assert!(most <= usize::try_from(rpm).unwrap(), "{most} of {rpm}");
        let took = times.last().unwrap().as_secs_f64() / 60.0;
        assert!(took < 5.7, "{rpm} per minute took {took} minutes");
        let burst = times.iter().filter(|time| time.is_zero()).count();
        assert_eq!(
            burst,
            usize::try_from((rpm / 10).max(1)).unwrap(),
            "smoothed"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn tokens_are_counted_as_estimated_and_given_back() {
    let rates = Rates {
        rpm: None,
        tpm: Some(10_000),
    };
    let pace = Pace::new(rates);
    let spread = times(&pace, 20, 1000).await;
    assert!(most_in_a_minute(&spread) <= 10);
    pace.wait(5000, MINUTE).await.unwrap();
    let began = Instant::now();
    pace.used(5000, 1000);
    pace.wait(1000, MINUTE).await.unwrap();
    assert!(
        began.elapsed() < Duration::from_secs(8),
        "{:?}",
        began.elapsed()
    );
    // More than a minute has: alone, and after a rest.
    pace.wait(50_000, MINUTE).await.unwrap();
    let wait = pace.wait(1000, MINUTE).await.unwrap_err();
    assert!(wait > Duration::from_mins(4), "{wait:?}");
}

#[tokio::test(start_paused = true)]
async fn what_the_server_has_left_is_kept_to() {
    let pace = Pace::default();
    let limits = |left, reset| RateLimits {
        remaining_requests: Some(left),
        reset_requests: Some(Duration::from_secs(reset)),
        ..RateLimits::default()
    };
    pace.told(&limits(3, 20), 1);
    let seconds: Vec<u64> = times(&pace, 4, 0)
        .await
        .iter()
        .map(Duration::as_secs)
        .collect();
    assert_eq!(seconds, [0, 0, 20, 20]);
    let no_reset = RateLimits {
        remaining_requests: Some(0),
        ..RateLimits::default()
    };
    pace.told(&no_reset, 0);
    pace.wait(0, MOST_WAIT).await.unwrap();
    pace.told(&limits(0, 6 * 3600), 0);
    let wait = pace.wait(0, MOST_WAIT).await.unwrap_err();
    assert_eq!(wait, Duration::from_hours(6), "the job waits on disk");
}

#[tokio::test(start_paused = true)]
async fn what_went_out_counts_under_other_limits_too() {
    let rates = |rpm| Rates {
        rpm: Some(rpm),
        tpm: None,
    };
    let pace = Pace::new(rates(60));
    assert_eq!(times(&pace, 6, 0).await, [Duration::ZERO; 6]);
    pace.set(rates(60));
    let next = times(&pace, 1, 0).await;
    assert!(
        next[0] > Duration::from_secs(1),
        "no second burst: {next:?}"
    );
    pace.set(rates(20));
    let next = times(&pace, 1, 0).await;
    assert!(next[0] > Duration::from_secs(3), "{next:?}");
    let pace = Pace::new(rates(6000));
    times(&pace, 600, 0).await;
    pace.set(rates(1));
    let next = times(&pace, 1, 0).await;
    assert!(next[0] <= MINUTE, "not for hours: {next:?}");
}
