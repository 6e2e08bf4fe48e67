//! How many requests may be open at once: a semaphore whose size can change while it is in use.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

/// Permits for requests.
///
/// The number in force is the configured one, or less while the server says that it is overloaded
/// and the permits are to follow that (`llm.adaptive_concurrency`). A smaller number takes effect as
/// requests end: none is broken off.
#[derive(Debug)]
pub struct Permits {
    semaphore: Semaphore,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    configured: usize,
    /// Permits that exist, taken ones included.
    existing: usize,
    /// Of these, so many go when they come back.
    surplus: usize,
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

/// A permit; it comes back when this is dropped.
#[derive(Debug)]
pub(crate) struct Permit<'a> {
    permits: &'a Permits,
    inner: Option<SemaphorePermit<'a>>,
}

impl Permits {
    /// So many; 0 is taken for 1. With `adaptive`, fewer while the server is overloaded.
    pub fn new(count: usize, adaptive: bool) -> Self {
        let count = count.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            semaphore: Semaphore::new(count),
            state: Mutex::new(State {
                configured: count,
                existing: count,
                surplus: 0,
                adaptive: adaptive.then_some(Adaptive {
                    cap: count,
                    answered: 0,
                    since: None,
                }),
            }),
        }
    }

    /// Changes the configured number; 0 is taken for 1.
    pub fn set(&self, count: usize) {
        let count = count.clamp(1, Semaphore::MAX_PERMITS);
        let mut state = self.state();
        let was_full = state.adaptive.as_ref().map(|a| a.cap >= state.configured);
        state.configured = count;
        if let Some(adaptive) = &mut state.adaptive {
            adaptive.cap = match was_full {
                Some(true) => count,
                _ => adaptive.cap.min(count),
            };
        }
        self.fit(&mut state);
    }

    /// The number in force.
    pub fn count(&self) -> usize {
        self.state().wanted()
    }

    /// The configured number.
    pub fn configured(&self) -> usize {
        self.state().configured
    }

    /// Waits for a permit; `None` if the semaphore is closed, which nobody does.
    pub(crate) async fn acquire(&self) -> Option<Permit<'_>> {
        let inner = self.semaphore.acquire().await.ok()?;
        Some(Permit {
            permits: self,
            inner: Some(inner),
        })
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
            self.fit(&mut state);
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
        self.fit(&mut state);
    }

    #[cfg(test)]
    pub(crate) fn available(&self) -> usize {
        self.semaphore.available_permits()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Brings the permits that exist, without those that are to go, to the wanted number.
    fn fit(&self, state: &mut State) {
        let (wanted, now) = (state.wanted(), state.existing - state.surplus);
        if wanted >= now {
            let kept = state.surplus.min(wanted - now);
            let added = wanted - now - kept;
            state.surplus -= kept;
            state.existing += added;
            self.semaphore.add_permits(added);
        } else {
            let gone = self.semaphore.forget_permits(now - wanted);
            state.existing -= gone;
            state.surplus += now - wanted - gone;
        }
    }
}

impl State {
    fn wanted(&self) -> usize {
        let cap = self.adaptive.as_ref().map_or(usize::MAX, |a| a.cap);
        self.configured.min(cap)
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        let Some(inner) = self.inner.take() else {
            return;
        };
        let mut state = self.permits.state();
        if state.surplus > 0 {
            state.surplus -= 1;
            state.existing -= 1;
            inner.forget();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    async fn take(permits: &Permits) -> Permit<'_> {
        permits.acquire().await.unwrap()
    }

    #[tokio::test]
    async fn the_size_changes_while_permits_are_taken() {
        let permits = Permits::new(3, false);
        let (a, b, c) = (
            take(&permits).await,
            take(&permits).await,
            take(&permits).await,
        );
        permits.set(1);
        assert_eq!((permits.count(), permits.available()), (1, 0));
        drop(a);
        assert_eq!(permits.available(), 0, "one too many has gone");
        permits.set(2);
        assert_eq!(permits.available(), 0, "two are taken");
        drop(b);
        assert_eq!(permits.available(), 1);
        permits.set(5);
        assert_eq!(permits.available(), 4);
        permits.set(0);
        drop(c);
        assert_eq!((permits.count(), permits.available()), (1, 1));
        for count in [7, 2, 9, 1, 4] {
            permits.set(count);
            assert_eq!(permits.available(), count);
        }
    }

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
        permits.set(2);
        assert_eq!(permits.count(), 1);
        Permits::new(8, false).overloaded(Instant::now());
    }
}
