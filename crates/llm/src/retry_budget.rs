//! The retry budget: when most calls fail, asking each of them again makes it worse.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// What is looked at.
const WINDOW: Duration = Duration::from_secs(10);
/// Of the requests in it, at most this share may be retries ...
const PERCENT: usize = 20;

/// Lets retries be a fifth of what is sent, after Finagle's and tower's retry budgets; beside a
/// reserve that lets as many calls as may be open at once have all of their attempts.
#[derive(Debug)]
pub(crate) struct RetryBudget {
    reserve: usize,
    /// When requests were sent, and whether they were retries.
    sent: Mutex<VecDeque<(Instant, bool)>>,
}

impl RetryBudget {
    /// With a reserve of this many retries.
    pub(crate) fn new(reserve: usize) -> Self {
        Self {
            reserve,
            sent: Mutex::default(),
        }
    }

    /// Notes a call's first request.
    pub(crate) fn first(&self) {
        let now = Instant::now();
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        sent.push_back((now, false));
        forget(&mut sent, now);
    }

    /// Whether a request may be sent again; it is noted then.
    pub(crate) fn try_retry(&self) -> bool {
        let now = Instant::now();
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        forget(&mut sent, now);
        let retries = sent.iter().filter(|(_, is_retry)| *is_retry).count();
        let allowed = retries * 100 < sent.len() * PERCENT + self.reserve * 100;
        if allowed {
            sent.push_back((now, true));
        }
        allowed
    }
}

fn forget(sent: &mut VecDeque<(Instant, bool)>, now: Instant) {
    while sent
        .front()
        .is_some_and(|(at, _)| now.duration_since(*at) >= WINDOW)
    {
        sent.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_fifth_and_the_reserve_in_ten_seconds() {
        let budget = RetryBudget::new(10);
        for _ in 0..100 {
            budget.first();
        }
        // r < (100 + r) / 5 + 10
        assert_eq!((0..100).filter(|_| budget.try_retry()).count(), 38);
        tokio::time::advance(WINDOW).await;
        let alone = (0..100).filter(|_| budget.try_retry()).count();
        assert_eq!(alone, 13, "the reserve, and a fifth of themselves");
    }
}
