use testsmith_domain::{JobCause, RelPath};

use super::*;

const MINUTE: Duration = Duration::from_mins(1);

/// One job that waits for so long.
fn waiting(wait: Duration) -> State {
    let mut state = State::default();
    let new = NewJob {
        path: RelPath::new("a.go").unwrap(),
        content: None,
        lane: Lane::Bulk,
        cause: JobCause::Changed,
    };
    let job = state.new_job("/p", new);
    state.enqueue(job);
    let (job, _) = state.claim().unwrap();
    let wait = Outcome::Wait {
        until: SystemTime::now() + wait,
        reason: "model".to_owned(),
        count_failure: true,
    };
    state.finish(&key_of(&job), job.id, wait);
    state
}

/// As if the time of day were so much later than the clock that counts knows, or earlier.
fn jump(state: &mut State, change: impl Fn(SystemTime) -> SystemTime) {
    for job in state.jobs.values_mut() {
        if let JobState::Waiting { until, .. } = &mut job.state {
            *until = change(*until);
        }
    }
}

fn rest(state: &State) -> Duration {
    state
        .next_due()
        .unwrap()
        .saturating_duration_since(Instant::now())
}

#[tokio::test(start_paused = true)]
async fn sleep_counts_as_waiting() {
    let mut state = waiting(10 * MINUTE);
    jump(&mut state, |until| until - 8 * MINUTE);
    assert!(rest(&state) > 9 * MINUTE, "it does not know yet");
    state.read_clock_again();
    assert!(rest(&state) <= 2 * MINUTE);
    assert!(!state.has_ready());
    jump(&mut state, |until| until - 8 * MINUTE);
    state.read_clock_again();
    assert!(state.has_ready());
    assert!(state.claim().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_back_makes_nobody_wait_longer() {
    let mut state = waiting(MINUTE);
    jump(&mut state, |until| until + Duration::from_hours(5));
    state.read_clock_again();
    assert!(rest(&state) <= MINUTE);
    tokio::time::advance(MINUTE).await;
    assert!(state.claim().is_some());
}
