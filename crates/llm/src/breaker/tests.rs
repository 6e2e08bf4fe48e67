use super::*;

fn fail(breaker: &Breaker, kind: ProviderErrorKind) -> ProviderError {
    let pass = breaker.admit().unwrap();
    let mut result = Err::<(), _>(ProviderError::new(kind, "the server answered 503"));
    pass.end(&mut result);
    result.unwrap_err()
}

fn answer(breaker: &Breaker) {
    breaker.admit().unwrap().end(&mut Ok(()));
}

const SERVER: ProviderErrorKind = ProviderErrorKind::Server;

#[tokio::test(start_paused = true)]
async fn five_failures_in_a_row_open_it_and_probes_wait_twice_as_long_each_time() {
    let breaker = Breaker::new("test");
    for _ in 0..4 {
        assert_eq!(fail(&breaker, SERVER).retry_after, None);
    }
    answer(&breaker);
    for _ in 0..4 {
        fail(&breaker, SERVER);
    }
    assert_eq!(breaker.circuit(), Circuit::Closed, "not in a row");
    assert_eq!(fail(&breaker, SERVER).retry_after, Some(FIRST_OPEN));
    let error = breaker.admit().unwrap_err();
    assert_eq!(
        error.to_string(),
        "`test` is not asked for another 30s, since it failed before: the server answered 503"
    );
    assert_eq!(
        (error.kind, error.attempts),
        (ProviderErrorKind::Unavailable, 0)
    );
    for seconds in [30, 60, 120, 240, 300, 300] {
        assert_eq!(
            breaker.circuit(),
            Circuit::Open(Duration::from_secs(seconds))
        );
        tokio::time::advance(Duration::from_secs(seconds)).await;
        let probe = breaker.admit().unwrap();
        assert!(probe.is_probe());
        assert_eq!(breaker.circuit(), Circuit::Probing);
        breaker.admit().expect_err("one probe at a time");
        let mut result = Err::<(), _>(ProviderError::new(SERVER, "still 503"));
        probe.end(&mut result);
        assert!(result.unwrap_err().retry_after.is_some());
    }
    tokio::time::advance(Duration::from_mins(5)).await;
    answer(&breaker);
    assert_eq!(
        (breaker.circuit(), breaker.last_error()),
        (Circuit::Closed, None)
    );
    assert_eq!(breaker.take_recovery(), Some(Recovery::Outage));
    assert_eq!(breaker.take_recovery(), None);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_opens_it_at_once_for_ten_minutes_or_until_reset() {
    let breaker = Breaker::new("test");
    for kind in [ProviderErrorKind::Auth, ProviderErrorKind::Billing] {
        assert_eq!(
            fail(&breaker, kind).retry_after,
            None,
            "the call itself will not mend"
        );
        assert_eq!(breaker.circuit(), Circuit::Open(REFUSED_OPEN));
        breaker.reset();
        assert_eq!(breaker.circuit(), Circuit::Closed);
    }
    fail(&breaker, ProviderErrorKind::Auth);
    tokio::time::advance(REFUSED_OPEN).await;
    fail(&breaker, ProviderErrorKind::Auth);
    assert_eq!(breaker.circuit(), Circuit::Open(REFUSED_OPEN));
    tokio::time::advance(REFUSED_OPEN).await;
    answer(&breaker);
    assert_eq!(breaker.take_recovery(), Some(Recovery::Refusal));
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_probe_leaves_its_place_and_an_answer_from_before_closes() {
    let breaker = Breaker::new("test");
    let before = breaker.admit().unwrap();
    for _ in 0..5 {
        fail(&breaker, SERVER);
    }
    tokio::time::advance(FIRST_OPEN).await;
    drop(breaker.admit().unwrap());
    assert!(breaker.admit().unwrap().is_probe());
    let mut held = Err::<(), _>(ProviderError::new(ProviderErrorKind::Budget, "no money"));
    breaker.admit().unwrap().end(&mut held);
    assert!(breaker.admit().unwrap().is_probe(), "nothing was sent");
    before.end(&mut Ok(()));
    assert_eq!(breaker.circuit(), Circuit::Closed);
    for _ in 0..4 {
        fail(&breaker, SERVER);
    }
    fail(&breaker, ProviderErrorKind::Rejected);
    fail(&breaker, SERVER);
    assert_eq!(
        breaker.circuit(),
        Circuit::Closed,
        "it answered, if only to say no"
    );
}

#[tokio::test(start_paused = true)]
async fn sleep_counts_as_waiting() {
    let breaker = Breaker::new("test");
    breaker.shorten(Duration::from_secs(10));
    assert_eq!(breaker.circuit(), Circuit::Closed);
    for _ in 0..5 {
        fail(&breaker, SERVER);
    }
    breaker.shorten(Duration::from_secs(10));
    assert_eq!(breaker.circuit(), Circuit::Open(Duration::from_secs(20)));
    breaker.shorten(Duration::from_hours(8));
    assert!(breaker.admit().unwrap().is_probe());
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_refusal_is_told_and_that_of_an_outage_is_not() {
    let breaker = Breaker::new("test");
    let began = Instant::now();
    let over = async {
        breaker.refusal_over().await;
        began.elapsed()
    };
    let refuse = async {
        for _ in 0..5 {
            fail(&breaker, SERVER);
        }
        tokio::time::sleep(FIRST_OPEN).await;
        fail(&breaker, ProviderErrorKind::Auth);
    };
    let (over, ()) = tokio::join!(over, refuse);
    assert_eq!(over, FIRST_OPEN + REFUSED_OPEN);
    breaker.refusal_over().await;
    answer(&breaker);
    let never = tokio::time::timeout(REFUSED_OPEN * 2, breaker.refusal_over());
    never.await.expect_err("it is closed");
}
