//! Permits, holds, cancelled calls and probes, in every order of a few calls.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use testsmith_domain::{
    BoxFuture, CompletionRequest, CompletionResponse, ModelIdentity, Provider, ProviderError,
    ProviderErrorKind as Kind,
};
use tokio::time::Instant;

use self::interleave::{Bounds, Choices, Task, exhaustively, panic_on_purpose, pause};
use crate::testing::{failure, failure_after, request, response};
use crate::{Breaker, Circuit, Gate, Limited, Permits, Retry, StackSettings};

#[path = "../../../tests/support/interleave.rs"]
mod interleave;

/// What the provider and the test know of each other.
#[derive(Debug)]
struct World {
    open: usize,
    most: usize,
    /// How many attempts may still go wrong.
    faults: usize,
    /// Until when nothing may be sent.
    held: Option<Instant>,
    answered: usize,
    gave_up: usize,
}

type SharedWorld = Arc<Mutex<World>>;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A request is open until this is dropped.
struct Open(SharedWorld);

impl Open {
    fn new(world: &SharedWorld) -> Self {
        let mut state = lock(world);
        assert!(
            state.held.is_none_or(|until| until <= Instant::now()),
            "sent while the endpoint is on hold"
        );
        state.open += 1;
        assert!(state.open <= state.most, "{state:?}");
        drop(state);
        Self(world.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        lock(&self.0).open -= 1;
    }
}

/// A provider whose attempts end in each way that there is.
#[derive(Debug)]
struct Scripted {
    identity: ModelIdentity,
    world: SharedWorld,
    choices: Choices,
}

const HOLD: Duration = Duration::from_secs(7);

impl Scripted {
    async fn play(&self) -> Result<CompletionResponse, ProviderError> {
        let _open = Open::new(&self.world);
        pause().await;
        if lock(&self.world).faults == 0 {
            return Ok(response());
        }
        let chosen = self.choices.pick(4);
        lock(&self.world).faults -= usize::from(chosen > 0);
        match chosen {
            0 => Ok(response()),
            1 => Err(failure(Kind::Server, 500)),
            2 => {
                lock(&self.world).held = Some(Instant::now() + HOLD);
                Err(failure_after(429, HOLD))
            }
            _ => panic_on_purpose(),
        }
    }
}

impl Provider for Scripted {
    fn identity(&self) -> &ModelIdentity {
        &self.identity
    }

    fn max_output_tokens(&self) -> u32 {
        4096
    }

    fn complete<'a>(
        &'a self,
        _request: &'a CompletionRequest,
    ) -> BoxFuture<'a, Result<CompletionResponse, ProviderError>> {
        Box::pin(self.play())
    }
}

/// Calls through the whole stack, with so many permits and faults.
fn calls(count: usize, permits: usize, faults: usize, bounds: Bounds) -> usize {
    let outcomes = Arc::new(Mutex::new(BTreeSet::new()));
    let played = exhaustively(bounds, |choices| {
        let world = Arc::new(Mutex::new(World {
            open: 0,
            most: permits,
            faults,
            held: None,
            answered: 0,
            gave_up: 0,
        }));
        let scripted = Scripted {
            identity: ModelIdentity {
                provider: "scripted".into(),
                model: "m".into(),
                temperature: 0.0,
            },
            world: world.clone(),
            choices: choices.clone(),
        };
        let settings = StackSettings::default();
        let semaphore = Arc::new(Permits::new(permits, false));
        let gate = Arc::new(Gate::new("scripted"));
        let limited = Limited::new(scripted, semaphore, settings.timeouts.attempt, gate);
        let gauge = limited.gauge().clone();
        let stack = Arc::new(Retry::new(limited, &settings));
        let tasks = (0..count)
            .map(|_| {
                let (stack, world) = (stack.clone(), world.clone());
                Box::pin(async move {
                    let result = stack.complete(&request()).await;
                    let mut state = lock(&world);
                    match result {
                        Ok(_) => state.answered += 1,
                        Err(_) => state.gave_up += 1,
                    }
                }) as Task
            })
            .collect();
        let outcomes = outcomes.clone();
        (tasks, move |idle| {
            let state = lock(&world);
            let reading = gauge.read();
            assert_eq!(reading.open, state.open as u64);
            // Whoever got a permit and was not polled since can run.
            if idle {
                assert_eq!(gauge.permits().available(), permits - state.open);
            }
            assert!(reading.attempts <= (3 * count) as u64);
            lock(&outcomes).insert((state.answered, state.gave_up));
        })
    });
    let outcomes = lock(&outcomes);
    assert!(outcomes.contains(&(count, 0)), "{outcomes:?}");
    if bounds.cancels == 0 {
        // Whoever was not answered has panicked: two faults are no reason to give up.
        assert!(outcomes.iter().all(|(_, gave_up)| *gave_up == 0));
    }
    played
}

#[test]
fn no_order_of_calls_sends_in_a_hold_or_beyond_the_permits() {
    let bounds = Bounds {
        delays: 1,
        delay: Duration::from_millis(200),
        ..Bounds::default()
    };
    let played = calls(2, 1, 2, bounds);
    println!("{played} schedules of 2 calls");
    let played = calls(3, 2, 1, Bounds::default());
    println!("{played} schedules of 3 calls");
}

#[test]
fn a_call_dropped_at_any_point_gives_its_permit_back() {
    let bounds = Bounds {
        cancels: 2,
        ..Bounds::default()
    };
    let played = calls(2, 1, 1, bounds);
    println!("{played} schedules of 2 calls");
    let bounds = Bounds {
        cancels: 1,
        ..Bounds::default()
    };
    let played = calls(3, 1, 1, bounds);
    println!("{played} schedules of 3 calls");
}

#[test]
fn permits_are_neither_lost_nor_made_up_while_their_number_changes() {
    /// What may be held: what was when nobody could run last, or the largest number since.
    #[derive(Debug)]
    struct Allowed {
        before: usize,
        most: usize,
    }
    struct Counted(Arc<Mutex<usize>>);
    impl Drop for Counted {
        fn drop(&mut self) {
            *lock(&self.0) -= 1;
        }
    }
    const A_WHILE: Duration = Duration::from_millis(1);
    let bounds = Bounds {
        cancels: 1,
        ..Bounds::default()
    };
    let played = exhaustively(bounds, |_| {
        let permits = Arc::new(Permits::new(2, false));
        let held = Arc::new(Mutex::new(0));
        let mut tasks: Vec<Task> = (0..3)
            .map(|_| {
                let (permits, held) = (permits.clone(), held.clone());
                Box::pin(async move {
                    let permit = permits.acquire().await;
                    *lock(&held) += 1;
                    let counted = Counted(held);
                    tokio::time::sleep(A_WHILE).await;
                    drop(counted);
                    drop(permit);
                }) as Task
            })
            .collect();
        let resized = permits.clone();
        tasks.push(Box::pin(async move {
            for count in [1, 3, 1] {
                resized.set(count, false);
                tokio::time::sleep(A_WHILE).await;
            }
        }));
        let mut allowed = Allowed { before: 0, most: 2 };
        (tasks, move |idle| {
            let held = *lock(&held);
            let (count, available) = (permits.count(), permits.available());
            allowed.most = allowed.most.max(count);
            assert!(
                held <= allowed.most.max(allowed.before),
                "{held}: {allowed:?}"
            );
            assert!(available <= count, "{available} of {count}");
            if idle {
                assert_eq!(available, count.saturating_sub(held));
                (allowed.before, allowed.most) = (held, count);
            }
        })
    });
    println!("{played} schedules");
}

#[test]
fn an_open_circuit_is_probed_by_one_call_at_a_time() {
    println!("{} schedules of 3 calls", probing(3, false));
    println!("{} schedules of 3 calls and a reset", probing(3, true));
}

/// Calls that come when the circuit's time is over. With `reset`, it is closed and opens again
/// meanwhile, and how each call ends is settled, so that there is an end to the schedules.
fn probing(calls: usize, reset: bool) -> usize {
    /// How often the circuit was seen closed; and the probes on their way, with that of when they
    /// began: a probe of before it was closed is none any more.
    type Probes = Arc<Mutex<(u32, BTreeSet<(u32, usize)>)>>;
    struct Probe(Probes, (u32, usize));
    impl Drop for Probe {
        fn drop(&mut self) {
            lock(&self.0).1.remove(&self.1);
        }
    }
    fn refused() -> ProviderError {
        let mut error = failure(Kind::Auth, 401);
        error.attempts = 1;
        error
    }
    // A call that panics is as good as one that is dropped.
    let bounds = Bounds {
        start: Duration::from_mins(10),
        cancels: 0,
        delays: usize::from(reset),
        delay: Duration::from_mins(11),
    };
    exhaustively(bounds, |choices| {
        let breaker = Arc::new(Breaker::new("scripted"));
        breaker.admit().unwrap().end::<()>(&mut Err(refused()));
        let world = Probes::default();
        let mut tasks: Vec<Task> = (0..calls)
            .map(|number| {
                let (breaker, world, choices) = (breaker.clone(), world.clone(), choices.clone());
                Box::pin(async move {
                    let Ok(pass) = breaker.admit() else { return };
                    let probe = pass.is_probe().then(|| {
                        let mut state = lock(&world);
                        let probe = (state.0, number);
                        state.1.insert(probe);
                        let here = state.1.iter().filter(|(when, _)| *when == probe.0);
                        assert_eq!(here.count(), 1, "probes: {:?}", state.1);
                        Probe(world.clone(), probe)
                    });
                    pause().await;
                    let end = if reset { number } else { choices.pick(3) };
                    let mut result = match end {
                        0 => panic_on_purpose(),
                        1 => Err(refused()),
                        _ => Ok(()),
                    };
                    pass.end(&mut result);
                    drop(probe);
                }) as Task
            })
            .collect();
        let mended = breaker.clone();
        if reset {
            tasks.push(Box::pin(async move {
                mended.reset();
                // And at once it is found out that nothing was mended.
                pause().await;
                let Ok(pass) = mended.admit() else { return };
                pass.end::<()>(&mut Err(refused()));
            }));
        }
        (tasks, move |_| {
            let mut state = lock(&world);
            match breaker.circuit() {
                Circuit::Closed => state.0 += 1,
                Circuit::Open(_) => {}
                Circuit::Probing => {
                    let probing = state.1.iter().any(|(when, _)| *when == state.0);
                    assert!(probing, "nobody probes: {state:?}");
                }
            }
        })
    })
}
