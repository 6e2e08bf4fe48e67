//! How fast requests are sent: by the user's limits, and by what servers say of theirs.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use testsmith_domain::RateLimits;
use tokio::time::{Instant, sleep};

/// A reset further away than this is that of a day's limit: jobs wait for it on disk.
const NEAR_RESET: Duration = Duration::from_mins(2);

/// Requests and tokens per minute.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rates {
    /// Requests.
    pub rpm: Option<u32>,
    /// Tokens of prompts and answers.
    pub tpm: Option<u32>,
}

/// Spreads requests. In no minute are there more than the limits say, and no more than a tenth of
/// them goes out in one burst.
///
/// What a server says of its limits counts as well: when it has so many requests or tokens left, no
/// more are sent until it starts anew.
#[derive(Debug, Default)]
pub struct Pace {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    requests: Option<Bucket>,
    tokens: Option<Bucket>,
    told_requests: Option<Told>,
    told_tokens: Option<Told>,
}

/// A token bucket. Levels are in thousandths, so that slow rates add up.
#[derive(Debug)]
struct Bucket {
    capacity: i64,
    /// Below nothing, if one request took more than there ever is.
    level: i64,
    per_minute: i64,
    /// When the level was last right.
    at: Instant,
}

/// What a server has left, as it said.
#[derive(Debug, Clone, Copy)]
struct Told {
    left: u64,
    until: Instant,
}

impl Bucket {
    /// `limit` in a minute: as much as fits at once, and the rest as it comes.
    fn new(limit: u32) -> Self {
        let limit = i64::from(limit.max(1));
        let burst = (limit / 10).max(1);
        Self {
            capacity: burst * 1000,
            level: burst * 1000,
            per_minute: (limit - burst + 1) * 1000,
            at: Instant::now(),
        }
    }

    /// In place of another: what is missing there is missing here, but never more than comes in a
    /// minute.
    fn after(mut self, mut old: Self) -> Self {
        if (old.capacity, old.per_minute) == (self.capacity, self.per_minute) {
            return old;
        }
        old.refill(self.at);
        let missing = old.capacity.saturating_sub(old.level);
        self.level = (self.capacity - missing.min(self.per_minute)).min(self.capacity);
        self
    }

    fn refill(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.at);
        let micros = i128::try_from(elapsed.as_micros()).unwrap_or(i128::MAX);
        let gained = micros.saturating_mul(i128::from(self.per_minute)) / 60_000_000;
        let Ok(gained) = i64::try_from(gained.min(i128::from(i64::MAX / 2))) else {
            return;
        };
        if gained > 0 {
            self.level = self.level.saturating_add(gained).min(self.capacity);
            self.at = now;
        }
    }

    /// How long until so much may go out. More than there ever is may when the bucket is full.
    fn wait(&self, amount: u64) -> Duration {
        let needed = Self::needed(amount).min(self.capacity);
        let missing = needed.saturating_sub(self.level);
        if missing <= 0 {
            return Duration::ZERO;
        }
        let micros = u128::from(missing.unsigned_abs()) * 60_000_000;
        let micros = micros.div_ceil(u128::from(self.per_minute.unsigned_abs()));
        Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }

    fn needed(amount: u64) -> i64 {
        i64::try_from(amount)
            .unwrap_or(i64::MAX)
            .saturating_mul(1000)
            .min(i64::MAX / 4)
    }

    fn take(&mut self, amount: u64) {
        self.level = self.level.saturating_sub(Self::needed(amount));
    }

    fn give_back(&mut self, amount: u64) {
        self.level = self
            .level
            .saturating_add(Self::needed(amount))
            .min(self.capacity);
    }
}

impl Pace {
    /// By these limits.
    pub fn new(rates: Rates) -> Self {
        let pace = Self::default();
        pace.set(rates);
        pace
    }

    /// Takes other limits. What went out before counts under them too.
    pub fn set(&self, rates: Rates) {
        let mut state = self.state();
        let set = |bucket: &mut Option<Bucket>, limit: Option<u32>| {
            let new = limit.map(Bucket::new);
            *bucket = match (new, bucket.take()) {
                (Some(new), Some(old)) => Some(new.after(old)),
                (new, _) => new,
            };
        };
        set(&mut state.requests, rates.rpm);
        set(&mut state.tokens, rates.tpm);
    }

    /// Another server is asked from now on: what the last one had left says nothing of it.
    pub(crate) fn forget_told(&self) {
        let mut state = self.state();
        state.told_requests = None;
        state.told_tokens = None;
    }

    /// Waits until a request of at most so many tokens may go out, and counts it. `Err` tells how
    /// long that would take if it is longer than `most`.
    pub(crate) async fn wait(&self, tokens: u64, most: Duration) -> Result<(), Duration> {
        let began = Instant::now();
        loop {
            let wait = {
                let mut state = self.state();
                let wait = state.wait(tokens);
                if wait.is_zero() {
                    state.take(tokens);
                    return Ok(());
                }
                wait
            };
            if began.elapsed() + wait > most {
                return Err(wait);
            }
            sleep(wait).await;
        }
    }

    /// A request that was counted with so many tokens took only these.
    pub(crate) fn used(&self, counted: u64, tokens: u64) {
        if let Some(bucket) = &mut self.state().tokens {
            bucket.give_back(counted.saturating_sub(tokens));
        }
    }

    /// What a server says, while so many requests are open: they may not be in its count yet.
    pub(crate) fn told(&self, limits: &RateLimits, open: u64) {
        let now = Instant::now();
        let told = |left: Option<u64>, reset: Option<Duration>, pending: u64| {
            let until = now.checked_add(reset?)?;
            let left = left?.saturating_sub(pending);
            Some(Told { left, until })
        };
        let mut state = self.state();
        if let Some(told) = told(limits.remaining_requests, limits.reset_requests, open) {
            state.told_requests = Some(told);
        }
        if let Some(told) = told(limits.remaining_tokens, limits.reset_tokens, 0) {
            state.told_tokens = Some(told);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn wait(&mut self, tokens: u64) -> Duration {
        let now = Instant::now();
        for told in [&mut self.told_requests, &mut self.told_tokens] {
            told.take_if(|told| told.until <= now);
        }
        let of_bucket = |bucket: &mut Option<Bucket>, amount| {
            bucket.as_mut().map_or(Duration::ZERO, |bucket| {
                bucket.refill(now);
                bucket.wait(amount)
            })
        };
        // A server that says there are few tokens left may still take a short request: whether it
        // does is its own to say. Only nothing is nothing.
        let of_told = |told: &Option<Told>| {
            told.filter(|told| told.left == 0)
                .map_or(Duration::ZERO, |told| told.until - now)
        };
        of_bucket(&mut self.requests, 1)
            .max(of_bucket(&mut self.tokens, tokens))
            .max(of_told(&self.told_requests))
            .max(of_told(&self.told_tokens))
    }

    fn take(&mut self, tokens: u64) {
        if let Some(bucket) = &mut self.requests {
            bucket.take(1);
        }
        if let Some(bucket) = &mut self.tokens {
            bucket.take(tokens);
        }
        if let Some(told) = &mut self.told_requests {
            told.left = told.left.saturating_sub(1);
        }
        if let Some(told) = &mut self.told_tokens {
            told.left = told.left.saturating_sub(tokens);
        }
    }
}

/// The longest that a request waits for its turn with its job held.
pub(crate) const MOST_WAIT: Duration = NEAR_RESET;

#[cfg(test)]
mod tests;
