mod lifting;

use std::sync::atomic::{AtomicU64, Ordering};

use testsmith_domain::{Spent, Usage};
use tokio::task::JoinSet;

use super::*;
use crate::money::Money;
use crate::{Allowance, By, read_report};

/// Noon of 2026-11-23.
const NOON: u64 = 1_795_435_200;

/// A clock that tests set.
fn clock() -> (Arc<AtomicU64>, Clock) {
    let at = Arc::new(AtomicU64::new(NOON));
    let told = Arc::clone(&at);
    let clock = move || SystemTime::UNIX_EPOCH + Duration::from_secs(told.load(Ordering::SeqCst));
    (at, Arc::new(clock))
}

/// $1 per million tokens of the prompt, $2 of the answer: a thousandth of a cent per 10 or 5.
fn settings(limits: BudgetLimits) -> UsageSettings {
    let price = Price {
        input: 1_000_000,
        cached_input: 100_000,
        cache_write: 1_000_000,
        output: 2_000_000,
    };
    UsageSettings {
        limits,
        prices: PriceTable::new([("m".to_owned(), price)]),
    }
}

fn model(name: &str) -> ModelIdentity {
    ModelIdentity {
        provider: "openai".into(),
        model: name.into(),
        temperature: 0.0,
    }
}

/// At most $0.003 with model `m`.
fn planned(model: &ModelIdentity) -> PlannedRequest<'_> {
    PlannedRequest {
        model,
        is_free: false,
        prompt_tokens: 1000,
        output_tokens: 1000,
        begins_call: true,
    }
}

/// $0.0014.
fn used() -> Spent {
    Spent::Used(Usage {
        input_tokens: Some(1000),
        cached_input_tokens: None,
        cache_write_tokens: None,
        output_tokens: Some(200),
    })
}

fn day(allowance: Allowance) -> BudgetLimits {
    BudgetLimits {
        day: allowance,
        ..BudgetLimits::default()
    }
}

fn dollars(micros: u64) -> BudgetLimits {
    day(Allowance {
        money: Some(Money::from_micros(micros)),
        ..Allowance::default()
    })
}

fn calls(count: u64) -> BudgetLimits {
    day(Allowance {
        calls: Some(count),
        ..Allowance::default()
    })
}

async fn spend(meter: &UsageMeter, spent: Spent) -> Result<(), OutOfBudget> {
    let model = model("m");
    let mut held = meter.reserve(planned(&model)).await?;
    held.sent();
    held.settle(spent);
    Ok(())
}

fn of_file(file: &str) -> Origin {
    Origin {
        project: "/p".into(),
        file: file.into(),
    }
}

#[tokio::test(start_paused = true)]
async fn two_hundred_at_once_never_go_over_and_use_all_there_is() {
    let (_, clock) = clock();
    // Room for 100 calls at $0.0014, and a little less than one reservation more.
    let meter = UsageMeter::with_clock(settings(dollars(140_000 + 2_999)), clock);
    let mut calls = JoinSet::new();
    for at in 0..200_u64 {
        let meter = meter.clone();
        calls.spawn(async move {
            let model = model("m");
            let mut held = meter.reserve(planned(&model)).await?;
            held.sent();
            let now = meter.standing();
            let most = now.today.cost + now.open.cost;
            assert!(most <= Money::from_micros(142_999), "{most}");
            tokio::time::sleep(Duration::from_millis(7 * at % 50)).await;
            held.settle(used());
            Ok::<(), OutOfBudget>(())
        });
    }
    let results = calls.join_all().await;
    let sent = results.iter().filter(|result| result.is_ok()).count();
    assert_eq!(
        sent, 100,
        "$0.002999 are left, and one more may take $0.003"
    );
    let standing = meter.standing();
    assert_eq!(standing.today.cost, Money::from_micros(100 * 1400));
    assert_eq!(standing.open, Figures::default());
    let error = results.into_iter().find_map(Result::err).unwrap();
    assert!(
        error.message.contains("`budget.day.usd`"),
        "{}",
        error.message
    );
    assert_eq!(error.wait, Duration::from_hours(12));
}

#[tokio::test(start_paused = true)]
async fn a_budget_of_calls_is_that_many_calls_and_retries_are_none() {
    let (_, clock) = clock();
    let meter = UsageMeter::with_clock(settings(calls(2)), clock);
    spend(&meter, Spent::Nothing).await.unwrap();
    spend(&meter, used()).await.unwrap();
    let model = model("m");
    let retry = PlannedRequest {
        begins_call: false,
        ..planned(&model)
    };
    let mut held = meter.reserve(retry).await.unwrap();
    held.sent();
    held.settle(used());
    let error = spend(&meter, used()).await.unwrap_err();
    assert_eq!(
        error.message,
        "2 calls of the 2 calls that `budget.day.calls` allows for the day 2026-11-23 are used; it \
         goes on when that is over, or after `testsmith resume --over-budget`"
    );
    let today = meter.standing().today;
    assert_eq!((today.calls, today.requests), (2, 3));
    assert_eq!(today.cost, Money::from_micros(2 * 1400));
}

#[tokio::test(start_paused = true)]
async fn what_was_not_sent_is_given_back_and_what_was_cut_counts_in_full() {
    let (_, clock) = clock();
    let meter = UsageMeter::with_clock(settings(dollars(6_000)), clock);
    let model = model("m");
    let held = meter.reserve(planned(&model)).await.unwrap();
    let second = meter.reserve(planned(&model)).await.unwrap();
    let third = meter.reserve(planned(&model));
    let mut third = std::pin::pin!(third);
    assert!(
        tokio::time::timeout(Duration::from_hours(1), &mut third)
            .await
            .is_err()
    );
    drop(held);
    let mut third = third.await.unwrap();
    third.sent();
    drop(third);
    assert_eq!(meter.standing().today.cost, Money::from_micros(3_000));
    assert_eq!(meter.standing().today.estimated_requests, 1);
    drop(second);
    spend(&meter, Spent::Used(Usage::default())).await.unwrap();
    assert_eq!(
        meter.standing().today.cost,
        Money::from_micros(6_000),
        "nobody told"
    );
    spend(&meter, used()).await.unwrap_err();
}

#[tokio::test]
async fn windows_turn_and_a_clock_that_jumps_allows_nothing_twice() {
    let (at, clock) = clock();
    let limits = BudgetLimits {
        month: Allowance {
            calls: Some(3),
            ..Allowance::default()
        },
        ..calls(1)
    };
    let meter = UsageMeter::with_clock(settings(limits), clock);
    spend(&meter, used()).await.unwrap();
    spend(&meter, used()).await.unwrap_err();
    assert!(meter.held_until(|_| true).is_some());
    at.fetch_add(86_400, Ordering::SeqCst);
    assert_eq!(meter.held_until(|_| true), None);
    spend(&meter, used()).await.unwrap();
    at.fetch_sub(86_400, Ordering::SeqCst);
    spend(&meter, used())
        .await
        .expect_err("this day's call is used");
    at.fetch_add(2 * 86_400, Ordering::SeqCst);
    spend(&meter, used()).await.unwrap();
    at.fetch_add(86_400, Ordering::SeqCst);
    let error = spend(&meter, used()).await.unwrap_err();
    assert!(
        error.message.contains("the month 2026-11"),
        "{}",
        error.message
    );
    at.fetch_add(7 * 86_400, Ordering::SeqCst);
    spend(&meter, used()).await.unwrap();
    assert_eq!(meter.standing().day.to_string(), "2026-12-03");
}

#[tokio::test]
async fn one_file_that_changes_all_the_time_leaves_the_others_alone() {
    let (at, clock) = clock();
    let limits = BudgetLimits {
        file_hour: Allowance {
            calls: Some(2),
            ..Allowance::default()
        },
        ..BudgetLimits::default()
    };
    let meter = UsageMeter::with_clock(settings(limits), clock);
    for _ in 0..2 {
        attribute(of_file("a.go"), spend(&meter, used()))
            .await
            .0
            .unwrap();
    }
    let error = attribute(of_file("a.go"), spend(&meter, used()))
        .await
        .0
        .unwrap_err();
    assert!(
        error.message.contains("`budget.file_hour.calls`"),
        "{}",
        error.message
    );
    assert_eq!(error.wait, Duration::from_hours(1));
    assert_eq!(meter.held_until(|_| true), None, "the others go on");
    attribute(of_file("b.go"), spend(&meter, used()))
        .await
        .0
        .unwrap();
    at.fetch_add(3600, Ordering::SeqCst);
    attribute(of_file("a.go"), spend(&meter, used()))
        .await
        .0
        .unwrap();
}

#[tokio::test]
async fn a_scope_knows_what_was_spent_in_it() {
    let (_, clock) = clock();
    let meter = UsageMeter::with_clock(settings(BudgetLimits::default()), clock);
    let twice = async {
        spend(&meter, used()).await?;
        spend(&meter, Spent::Unknown).await
    };
    let (done, spent) = attribute(of_file("a.go"), twice).await;
    done.unwrap();
    spend(&meter, used()).await.unwrap();
    assert_eq!((spent.calls, spent.estimated_requests), (2, 1));
    assert_eq!(spent.cost, Money::from_micros(1400 + 3000));
}

#[tokio::test]
async fn a_model_without_a_price_costs_an_unknown_amount_and_a_local_one_nothing() {
    let (_, clock) = clock();
    let meter = UsageMeter::with_clock(settings(dollars(1)), clock);
    let strange = model("strange");
    assert!(meter.cannot_price(&strange, false));
    assert!(!meter.cannot_price(&strange, true));
    assert!(!meter.cannot_price(&model("m"), false));
    let mut held = meter.reserve(planned(&strange)).await.unwrap();
    held.sent();
    held.settle(used());
    assert_eq!(meter.standing().today.cost(), crate::Cost::Unknown);
    let free = PlannedRequest {
        is_free: true,
        ..planned(&strange)
    };
    let other = UsageMeter::new(settings(dollars(1)));
    let mut held = other.reserve(free).await.unwrap();
    held.sent();
    held.settle(used());
    assert_eq!(
        other.standing().today.cost(),
        crate::Cost::Known(Money::ZERO)
    );
}

#[tokio::test]
async fn a_kill_loses_no_ended_request_and_counts_open_ones_in_full() {
    let dir = tempfile::tempdir().unwrap();
    let (_, clock) = clock();
    let meter = UsageMeter::with_clock(settings(dollars(1_000_000)), Arc::clone(&clock));
    assert_eq!(meter.open(dir.path()).unwrap(), []);
    for _ in 0..3 {
        attribute(of_file("a.go"), spend(&meter, used()))
            .await
            .0
            .unwrap();
    }
    let model = model("m");
    let mut open = meter.reserve(planned(&model)).await.unwrap();
    open.sent();
    let unsent = meter.reserve(planned(&model)).await.unwrap();
    // Nothing is closed or dropped: so a killed process leaves it. A line is cut besides.
    let log = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let log = log
        .into_iter()
        .find(|path| path.extension().is_some_and(|e| e == "log"))
        .unwrap();
    let mut text = std::fs::read(&log).unwrap();
    text.extend_from_slice(b"{\"ended\":{\"id\":9");
    std::fs::write(&log, text).unwrap();
    let report = read_report(dir.path(), By::File, None).unwrap();
    assert_eq!(report.total.calls, 3, "beside a running process");
    assert_eq!(
        (report.rows[0].key.as_str(), report.rows.len()),
        ("a.go", 1)
    );

    let again = UsageMeter::with_clock(settings(dollars(1_000_000)), clock);
    assert_eq!(again.open(dir.path()).unwrap(), [OpenNote::Unfinished(1)]);
    let today = again.standing().today;
    assert_eq!((today.calls, today.estimated_requests), (4, 1));
    assert_eq!(today.cost, Money::from_micros(3 * 1400 + 3000));
    drop((open, unsent));
    again.close().unwrap();
    let report = read_report(dir.path(), By::Day, None).unwrap();
    assert_eq!(report.total, today);
    assert_eq!(report.rows[0].key, "2026-11-23");
    assert!(
        read_report(dir.path(), By::Day, Some(Day(20_781)))
            .unwrap()
            .rows
            .is_empty()
    );
}

#[tokio::test]
async fn logs_turn_and_damage_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let (_, clock) = clock();
    let meter = UsageMeter::with_clock(settings(BudgetLimits::default()), Arc::clone(&clock));
    meter.open(dir.path()).unwrap();
    for at in 0..2000 {
        spend(&meter, used()).await.unwrap();
        if at % 100 == 0 {
            meter.tend().unwrap();
        }
    }
    let size: u64 = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum();
    assert!(size < 400 * 1024, "{size} bytes for one row");
    assert_eq!(
        read_report(dir.path(), By::Model, None)
            .unwrap()
            .total
            .calls,
        2000
    );
    meter.close().unwrap();

    std::fs::write(dir.path().join("usage.json"), "{\"format\":9}").unwrap();
    let newer = UsageMeter::new(UsageSettings::default()).open(dir.path());
    assert!(matches!(newer, Err(UsageError::Newer { found: 9, .. })));
    std::fs::write(dir.path().join("usage.json"), "nonsense").unwrap();
    let notes = UsageMeter::new(UsageSettings::default())
        .open(dir.path())
        .unwrap();
    assert!(matches!(notes[..], [OpenNote::Damaged(_)]), "{notes:?}");
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_comes_back_is_told_everything() {
    let dir = tempfile::tempdir().unwrap();
    let (_, clock) = clock();
    let state = dir.path().join("state");
    std::fs::write(&state, "a file where the folder should be").unwrap();
    let meter = UsageMeter::with_clock(settings(calls(5)), clock);
    // A file in the way is no folder: nothing can be read or written there.
    let notes = meter.open(&state);
    assert!(notes.is_err() || matches!(notes.unwrap()[..], [OpenNote::Unwritable(_)]));
    let meter = {
        std::fs::remove_file(&state).unwrap();
        meter.open(&state).unwrap();
        meter
    };
    spend(&meter, used()).await.unwrap();
    meter.state().journal = Some(Journal::new(&state, &journal::peek(&state).unwrap()));
    meter.state().retry_disk_at = Some(Instant::now() + RETRY_DISK);
    spend(&meter, used()).await.unwrap();
    assert_eq!(read_report(&state, By::Day, None).unwrap().total.calls, 1);
    tokio::time::advance(RETRY_DISK).await;
    spend(&meter, used()).await.unwrap();
    assert_eq!(read_report(&state, By::Day, None).unwrap().total.calls, 3);
}
