//! The hold that an endpoint has asked for, shared by all who call it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Shut while an endpoint wants to be left alone.
///
/// Five workers that share an endpoint must not each learn by a 429 of their own that it is
/// overloaded: the first one's `Retry-After` holds all of them. The gate only tells; waiting,
/// without a permit, is up to [`Retry`](crate::Retry).
#[derive(Debug, Default)]
pub struct Gate {
    endpoint: String,
    until: Mutex<Option<Instant>>,
}

impl Gate {
    /// An open gate. The endpoint's name is for the log.
    pub fn new(endpoint: impl Into<String>) -> Self {
        Self {
            endpoint: endpoint.into(),
            until: Mutex::new(None),
        }
    }

    /// The endpoint's name.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Holds every attempt back for at least this long from now.
    pub fn hold(&self, wait: Duration) {
        let now = Instant::now();
        let Some(until) = now.checked_add(wait) else {
            return;
        };
        let mut held = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        let began = held.is_none_or(|earlier| earlier <= now);
        *held = (*held).max(Some(until));
        drop(held);
        if began {
            let hold_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
            tracing::info!(endpoint = self.endpoint, hold_ms, "provider hold begins");
        }
    }

    /// Ends the hold this much earlier: time that went by while the machine slept.
    pub fn shorten(&self, by: Duration) {
        let mut held = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        *held = held.map(|until| until.checked_sub(by).unwrap_or_else(Instant::now));
    }

    /// How long the gate stays shut; `None` if it is open.
    pub fn rest(&self) -> Option<Duration> {
        let mut held = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        let rest = (*held)?.saturating_duration_since(Instant::now());
        if !rest.is_zero() {
            return Some(rest);
        }
        *held = None;
        drop(held);
        tracing::info!(endpoint = self.endpoint, "provider hold ends");
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn holds_add_up_to_the_longest_and_end() {
        let gate = Gate::new("test");
        assert_eq!(gate.rest(), None);
        gate.hold(Duration::from_secs(10));
        gate.hold(Duration::from_secs(3));
        assert_eq!(gate.rest(), Some(Duration::from_secs(10)));
        tokio::time::advance(Duration::from_secs(4)).await;
        assert_eq!(gate.rest(), Some(Duration::from_secs(6)));
        gate.hold(Duration::from_secs(7));
        tokio::time::advance(Duration::from_secs(7)).await;
        assert_eq!(gate.rest(), None);
        gate.hold(Duration::from_secs(10));
        gate.shorten(Duration::from_secs(8));
        assert_eq!(gate.rest(), Some(Duration::from_secs(2)));
        gate.shorten(Duration::from_hours(8));
        assert_eq!(gate.rest(), None);
        gate.hold(Duration::MAX);
        assert_eq!(
            gate.rest(),
            None,
            "a time that cannot be reckoned with is no hold"
        );
    }
}
