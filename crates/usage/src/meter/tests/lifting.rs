//! `resume --over-budget`: what it lifts, and what it does not.

use super::*;
use crate::Measure;

fn lifted(meter: &UsageMeter) -> Vec<String> {
    meter.lift(|_| true).iter().map(Limit::setting).collect()
}

#[tokio::test]
async fn the_user_lifts_a_budget_until_its_window_ends() {
    let dir = tempfile::tempdir().unwrap();
    let (at, clock) = clock();
    let meter = UsageMeter::with_clock(settings(calls(1)), Arc::clone(&clock));
    meter.open(dir.path()).unwrap();
    assert_eq!(meter.lift(|_| true), []);
    spend(&meter, used()).await.unwrap();
    spend(&meter, used()).await.unwrap_err();
    let lifted = meter.lift(|_| true);
    assert_eq!(lifted[0].window, Window::Day(Day(20_780)));
    assert_eq!((lifted[0].measure, lifted[0].amount), (Measure::Calls, 1));
    assert_eq!(meter.standing().lifted, lifted);
    assert_eq!(meter.lift(|_| true), [], "nothing more holds");
    spend(&meter, used()).await.unwrap();
    // Also after a kill.
    let again = UsageMeter::with_clock(settings(calls(1)), clock);
    again.open(dir.path()).unwrap();
    spend(&again, used()).await.unwrap();
    at.fetch_add(86_400, Ordering::SeqCst);
    spend(&again, used()).await.unwrap();
    spend(&again, used()).await.unwrap_err();
}

/// A limit that did not hold anything back is not lifted along, and neither is one that is set later.
#[tokio::test]
async fn other_limits_hold() {
    let (_, clock) = clock();
    let limits = |calls, tokens| {
        day(Allowance {
            calls: Some(calls),
            tokens,
            ..Allowance::default()
        })
    };
    let meter = UsageMeter::with_clock(settings(limits(1, Some(4000))), clock);
    spend(&meter, used()).await.unwrap();
    spend(&meter, used()).await.unwrap_err();
    assert_eq!(lifted(&meter), ["budget.day.calls"]);
    spend(&meter, used()).await.unwrap();
    let error = spend(&meter, used()).await.unwrap_err();
    assert!(error.message.contains("budget.day.tokens"), "{error:?}");

    meter.set(settings(limits(3, None)));
    assert_eq!(meter.standing().lifted, [], "another limit is in force");
    spend(&meter, used()).await.unwrap();
    spend(&meter, used()).await.unwrap_err();
    meter.set(settings(limits(1, None)));
    spend(&meter, used())
        .await
        .expect_err("what is set anew holds, though it was lifted before");
}

/// All that is used up is lifted in one go, not just what was met first.
#[tokio::test]
async fn everything_that_is_used_up_is_lifted_at_once() {
    let (_, clock) = clock();
    let one = Allowance {
        calls: Some(1),
        ..Allowance::default()
    };
    let limits = BudgetLimits {
        day: one,
        month: one,
        file_hour: one,
    };
    let meter = UsageMeter::with_clock(settings(limits), clock);
    let ask = |file| attribute(of_file(file), spend(&meter, used()));
    ask("a.go").await.0.unwrap();
    ask("a.go").await.0.unwrap_err();
    let lifted = meter.lift(|_| true);
    let settings: Vec<String> = lifted.iter().map(Limit::setting).collect();
    assert_eq!(
        settings,
        [
            "budget.day.calls",
            "budget.month.calls",
            "budget.file_hour.calls"
        ]
    );
    assert_eq!(lifted[2].file, Some(of_file("a.go")));
    ask("a.go").await.0.unwrap();
    ask("b.go").await.0.unwrap();
    let error = ask("b.go").await.0.expect_err("another file's hour");
    assert!(error.message.contains("budget.file_hour"), "{error:?}");
}

/// What no longer is in force when a process starts is forgotten.
#[tokio::test]
async fn a_limit_that_is_changed_before_a_start_holds() {
    let dir = tempfile::tempdir().unwrap();
    let (_, clock) = clock();
    let open = |limit| {
        let meter = UsageMeter::with_clock(settings(calls(limit)), Arc::clone(&clock));
        meter.open(dir.path()).unwrap();
        meter
    };
    let meter = open(1);
    spend(&meter, used()).await.unwrap();
    spend(&meter, used()).await.unwrap_err();
    assert_eq!(lifted(&meter), ["budget.day.calls"]);
    assert_eq!(open(2).standing().lifted, []);
    let again = open(1);
    assert_eq!(again.standing().lifted, []);
    spend(&again, used()).await.unwrap_err();
}

/// What was refused holds only what waits for it: neither a question that nobody asks any more, nor
/// what went through when it was tried again.
#[tokio::test]
async fn a_limit_that_nobody_waits_for_is_not_lifted() {
    let (_, clock) = clock();
    let few = Allowance {
        calls: Some(2),
        ..Allowance::default()
    };
    let little = Allowance {
        money: Some(Money::from_micros(6_000)),
        ..Allowance::default()
    };
    let limits = BudgetLimits {
        day: few,
        month: little,
        ..BudgetLimits::default()
    };
    let meter = UsageMeter::with_clock(settings(limits), clock);
    let model = model("m");
    let large = PlannedRequest {
        output_tokens: 4_000,
        ..planned(&model)
    };
    for file in ["gone.go", "smaller.go"] {
        let asked = attribute(of_file(file), meter.reserve(large)).await.0;
        let error = asked.expect_err("more than the month has");
        assert!(error.message.contains("budget.month.usd"), "{error:?}");
    }
    let waits = |of: &Origin| of.file != "gone.go";
    meter.forget_blocked(&of_file("smaller.go"));
    let ask = |file| attribute(of_file(file), spend(&meter, used()));
    ask("smaller.go").await.0.unwrap();
    ask("a.go").await.0.unwrap();
    ask("b.go").await.0.unwrap_err();
    let end_of_day = Window::Day(Day(20_780)).end();
    assert_eq!(meter.held_until(waits), Some(end_of_day));
    let lifted = meter.lift(waits);
    let lifted: Vec<String> = lifted.iter().map(Limit::setting).collect();
    assert_eq!(lifted, ["budget.day.calls"]);
    assert_eq!(meter.held_until(waits), None);
    meter.keep_blocked(waits);
    assert_eq!(meter.held_until(|_| true), None, "all is forgotten");
}

#[tokio::test]
async fn that_a_change_cannot_be_written_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let (_, clock) = clock();
    let meter = UsageMeter::with_clock(settings(calls(1)), clock);
    meter.open(dir.path()).unwrap();
    spend(&meter, used()).await.unwrap();
    spend(&meter, used()).await.unwrap_err();
    assert_eq!(lifted(&meter), ["budget.day.calls"]);
    let mut state = meter.state();
    state.journal.as_mut().unwrap().refuse_writes();
    state.settings.limits = calls(2);
    let notice = state.keep_limits_in_force(Day(20_780));
    assert!(matches!(notice, Some(Notice::DiskFailed(_))));
}

/// A reload that changes nothing else than a price does not forget what holds.
#[tokio::test]
async fn what_holds_is_known_after_a_reload() {
    let (_, clock) = clock();
    let meter = UsageMeter::with_clock(settings(calls(1)), clock);
    spend(&meter, used()).await.unwrap();
    spend(&meter, used()).await.unwrap_err();
    meter.set(settings(calls(1)));
    assert!(meter.held_until(|_| true).is_some());
    assert_eq!(lifted(&meter), ["budget.day.calls"]);
}

#[test]
fn nearly_used_up_and_used_up_are_told_once_each() {
    let (_, clock) = clock();
    let meter = UsageMeter::with_clock(settings(calls(5)), clock);
    let mut told = Vec::new();
    let mut state = meter.state();
    for _ in 0..6 {
        let entry = Entry {
            at: NOON,
            project: "/p".into(),
            model: "m".into(),
            file: "a.go".into(),
            figures: Figures {
                calls: 1,
                ..Figures::default()
            },
        };
        state.book.record(&entry);
        told.push(state.look_at(&entry));
    }
    let told: Vec<&str> = told
        .iter()
        .map(|notices| match notices[..] {
            [] => "nothing",
            [Notice::Warned { used: 4, .. }] => "nearly",
            [Notice::UsedUp(_)] => "used up",
            _ => "too much",
        })
        .collect();
    let nothing = "nothing";
    assert_eq!(
        told,
        [nothing, nothing, nothing, "nearly", "used up", nothing]
    );
}
