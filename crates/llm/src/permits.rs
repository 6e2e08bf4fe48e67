//! How many requests may be open at once: what is configured, or less while the server is overloaded.

use std::sync::{Mutex, MutexGuard, PoisonError};

use testsmith_permits::Permit;
use tokio::time::Instant;

/// Permits for requests.
///
/// The number in force is the configured one, or less while the server says that it is overloaded
/// and the permits are to follow that (`llm.adaptive_concurrency`). A smaller number takes effect as
/// requests end: none is broken off.
#[derive(Debug)]
pub struct Permits {
    permits: testsmith_permits::Permits,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    configured: usize,
    adaptive: Option<Adaptive>,
}

/// Additive increase, multiplicative decrease, by overload only: unlike slow answers, which say
/// nothing of a model's server, a 429, 503 or 529 does. See Chiu and Jain, "Analysis of the
/// Increase and Decrease Algorithms for Congestion Avoidance" (1989).
#[derive(Debug)]
struct Adaptive {
    cap: usize,
    /// Answers since the cap last changed.
    answered: usize,
    /// Overload of requests that began before this says nothing new.
    since: Option<Instant>,
}

impl Adaptive {
    const fn new(cap: usize) -> Self {
        Self {
            cap,
            answered: 0,
            since: None,
        }
    }
}

impl Permits {
    /// So many; 0 is taken for 1. With `adaptive`, fewer while the server is overloaded.
    pub fn new(count: usize, adaptive: bool) -> Self {
        let permits = testsmith_permits::Permits::new(count);
        let configured = permits.count();
        Self {
            permits,
            state: Mutex::new(State {
                configured,
                adaptive: adaptive.then_some(Adaptive::new(configured)),
            }),
        }
    }

    /// Changes the configured number, 0 being taken for 1, and whether fewer are in force while the
    /// server is overloaded.
    pub fn set(&self, count: usize, adaptive: bool) {
        let count = count.max(1);
        let mut state = self.state();
        state.adaptive = match state.adaptive.take() {
            // It was overloaded a moment ago, and may still be.
            Some(before) if adaptive && before.cap < state.configured => Some(Adaptive {
                cap: before.cap.min(count),
                ..before
            }),
            _ => adaptive.then_some(Adaptive::new(count)),
        };
        state.configured = count;
        self.fit(&state);
    }

    /// Another server is asked from now on: that the last one was overloaded says nothing of it.
    pub(crate) fn forget_overload(&self) {
        let mut state = self.state();
        let configured = state.configured;
        if let Some(adaptive) = &mut state.adaptive {
            *adaptive = Adaptive::new(configured);
        }
        self.fit(&state);
    }

    /// The number in force.
    pub fn count(&self) -> usize {
        self.permits.count()
    }

    /// The configured number.
    pub fn configured(&self) -> usize {
        self.state().configured
    }

    /// Waits for a permit.
    pub(crate) async fn acquire(&self) -> Permit {
        self.permits.acquire().await
    }

    /// A request was answered.
    pub(crate) fn answered(&self) {
        let mut state = self.state();
        let configured = state.configured;
        let Some(adaptive) = &mut state.adaptive else {
            return;
        };
        adaptive.answered += 1;
        if adaptive.cap < configured && adaptive.answered >= adaptive.cap {
            adaptive.cap += 1;
            adaptive.answered = 0;
            tracing::debug!(permits = adaptive.cap, "more requests at once");
            self.fit(&state);
        }
    }

    /// A request that began then found the server overloaded.
    pub(crate) fn overloaded(&self, began: Instant) {
        let mut state = self.state();
        let Some(adaptive) = &mut state.adaptive else {
            return;
        };
        if adaptive.since.is_some_and(|since| began < since) {
            return;
        }
        adaptive.cap = (adaptive.cap / 2).max(1);
        adaptive.answered = 0;
        adaptive.since = Some(Instant::now());
        tracing::debug!(
            permits = adaptive.cap,
            "server overloaded; fewer requests at once"
        );
        self.fit(&state);
    }

    #[cfg(test)]
    pub(crate) fn available(&self) -> usize {
        self.permits.available()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fit(&self, state: &State) {
        let cap = state.adaptive.as_ref().map_or(usize::MAX, |a| a.cap);
        self.permits.set(state.configured.min(cap));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn overload_halves_and_answers_add_one_up_to_what_is_configured() {
        let permits = Permits::new(8, true);
        let began = Instant::now();
        tokio::time::advance(Duration::from_secs(1)).await;
        permits.overloaded(began);
        permits.overloaded(began);
        assert_eq!(permits.count(), 4, "one wave of requests halves once");
        permits.overloaded(Instant::now());
        assert_eq!(permits.count(), 2);
        for expected in [2, 3, 3, 3, 4] {
            permits.answered();
            assert_eq!(permits.count(), expected);
        }
        for _ in 0..100 {
            permits.answered();
        }
        assert_eq!(permits.count(), 8);
        for _ in 0..9 {
            tokio::time::advance(Duration::from_secs(1)).await;
            permits.overloaded(Instant::now());
        }
        assert_eq!((permits.count(), permits.available()), (1, 1));
        permits.set(2, true);
        assert_eq!(permits.count(), 1);
        permits.set(2, false);
        assert_eq!(permits.count(), 2);
        Permits::new(8, false).overloaded(Instant::now());
    }

    #[tokio::test(start_paused = true)]
    async fn the_configured_number_changes() {
        let permits = Permits::new(4, true);
        permits.set(6, true);
        assert_eq!(permits.count(), 6);
        permits.overloaded(Instant::now());
        permits.set(8, true);
        assert_eq!(permits.count(), 3, "overload is not over by that");
        permits.forget_overload();
        assert_eq!(permits.count(), 8);
        permits.set(0, false);
        assert_eq!((permits.count(), permits.configured()), (1, 1));
    }
}
