//! The circuit breaker: a provider that is down is left alone, and looked at now and then.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use testsmith_domain::{ProviderError, ProviderErrorKind, Retryability};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// So many calls that fail in a row, each after all its attempts, open the circuit.
const FAILURES: u32 = 5;
/// It stays open for this long at first, and twice as long after each probe that fails.
const FIRST_OPEN: Duration = Duration::from_secs(30);
const LONGEST_OPEN: Duration = Duration::from_mins(5);
/// After a refusal that only a person can mend: no money, or a wrong key.
const REFUSED_OPEN: Duration = Duration::from_mins(10);

/// Closed while the provider is well. Open, no call is sent; when its time is over, one call goes
/// out as a probe, with one attempt, and decides.
#[derive(Debug)]
pub struct Breaker {
    endpoint: String,
    state: Mutex<State>,
    /// Told when it opens, closes or is probed.
    changed: Notify,
}

/// How a circuit stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Circuit {
    /// Calls go through.
    #[default]
    Closed,
    /// None does, for this long.
    Open(Duration),
    /// One is on its way, and decides.
    Probing,
}

/// What ended when a circuit closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recovery {
    /// An outage.
    Outage,
    /// A refusal: the account has money again, or the key is right.
    Refusal,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    /// Calls that failed in a row.
    failures: u32,
    /// What it was opened by last.
    cause: String,
    refused: bool,
    period: Duration,
    recovery: Option<Recovery>,
    last_error: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Closed,
    Open { until: Instant },
    Probing,
}

/// A call's leave to be sent.
#[derive(Debug)]
pub(crate) struct Pass<'a> {
    breaker: &'a Breaker,
    is_probe: bool,
    ended: bool,
}

impl Breaker {
    /// A closed circuit. The endpoint's name is for the log.
    pub fn new(endpoint: impl Into<String>) -> Self {
        Self {
            endpoint: endpoint.into(),
            state: Mutex::new(State {
                phase: Phase::Closed,
                failures: 0,
                cause: String::new(),
                refused: false,
                period: FIRST_OPEN,
                recovery: None,
                last_error: None,
            }),
            changed: Notify::new(),
        }
    }

    /// How it stands.
    pub fn circuit(&self) -> Circuit {
        match self.state().phase {
            Phase::Closed => Circuit::Closed,
            Phase::Open { until } => Circuit::Open(until.saturating_duration_since(Instant::now())),
            Phase::Probing => Circuit::Probing,
        }
    }

    /// What the last failed call failed with; `None` once a call was answered.
    pub fn last_error(&self) -> Option<String> {
        self.state().last_error.clone()
    }

    /// Closes it, since something may have been mended: another key, other settings.
    pub fn reset(&self) {
        let mut state = self.state();
        if state.phase != Phase::Closed {
            tracing::info!(
                endpoint = self.endpoint,
                why = "reset",
                "provider circuit closes"
            );
        }
        state.close();
        self.changed.notify_waiters();
    }

    /// Resolves once a refusal has kept it open for its whole time: then somebody has to ask, or
    /// nobody would ever learn that it was mended.
    pub async fn refusal_over(&self) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let until = {
                let state = self.state();
                match state.phase {
                    Phase::Open { until } if state.refused => Some(until),
                    Phase::Open { .. } | Phase::Closed | Phase::Probing => None,
                }
            };
            match until {
                None => changed.await,
                Some(until) if until <= Instant::now() => return,
                Some(until) => tokio::select! {
                    () = sleep_until(until) => {}
                    () = changed => {}
                },
            }
        }
    }

    /// Resolves when it opens, closes or is probed.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Lets the next call through this much earlier: time that went by while the machine slept.
    pub fn shorten(&self, by: Duration) {
        if let Phase::Open { until } = &mut self.state().phase {
            *until = until.checked_sub(by).unwrap_or_else(Instant::now);
        }
        self.changed.notify_waiters();
    }

    /// What ended when it last closed; told once.
    pub fn take_recovery(&self) -> Option<Recovery> {
        self.state().recovery.take()
    }

    /// Leave for a call, or the error it ends with.
    pub(crate) fn admit(&self) -> Result<Pass<'_>, ProviderError> {
        let mut state = self.state();
        let now = Instant::now();
        let is_probe = match state.phase {
            Phase::Closed => false,
            Phase::Open { until } if until <= now => {
                state.phase = Phase::Probing;
                self.changed.notify_waiters();
                tracing::info!(endpoint = self.endpoint, "provider is probed");
                true
            }
            Phase::Open { until } => return Err(self.refuse(&state, until - now)),
            Phase::Probing => return Err(self.refuse(&state, state.period)),
        };
        Ok(Pass {
            breaker: self,
            is_probe,
            ended: false,
        })
    }

    fn refuse(&self, state: &State, rest: Duration) -> ProviderError {
        let shown = humantime::format_duration(crate::limit::whole(rest));
        let mut error = ProviderError::new(
            ProviderErrorKind::Unavailable,
            format!(
                "`{}` is not asked for another {shown}, since it failed before: {}",
                self.endpoint, state.cause
            ),
        );
        error.retry_after = Some(rest);
        error.attempts = 0;
        error
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answered(&self) {
        let mut state = self.state();
        state.last_error = None;
        if state.phase != Phase::Closed {
            tracing::info!(
                endpoint = self.endpoint,
                why = "answered",
                "provider circuit closes"
            );
            state.recovery = Some(if state.refused {
                Recovery::Refusal
            } else {
                Recovery::Outage
            });
            self.changed.notify_waiters();
        }
        state.close();
    }

    /// A call failed. If that leaves the circuit open, the error says for how long.
    fn failed(&self, is_probe: bool, error: &mut ProviderError) {
        let mut state = self.state();
        let refused = matches!(
            error.kind,
            ProviderErrorKind::Auth | ProviderErrorKind::Billing
        );
        state.last_error = Some(error.to_string());
        state.failures = state.failures.saturating_add(1);
        match state.phase {
            Phase::Probing if is_probe => {
                state.period = match (refused, state.refused) {
                    (true, _) => REFUSED_OPEN,
                    (false, true) => FIRST_OPEN,
                    (false, false) => (state.period * 2).min(LONGEST_OPEN),
                };
                self.open(&mut state, refused, error);
            }
            Phase::Closed if refused || state.failures >= FAILURES => {
                state.period = if refused { REFUSED_OPEN } else { FIRST_OPEN };
                self.open(&mut state, refused, error);
            }
            // A call from before it opened tells nothing new.
            Phase::Closed | Phase::Open { .. } | Phase::Probing => {}
        }
        let rest = match state.phase {
            Phase::Closed => return,
            Phase::Open { until } => until.saturating_duration_since(Instant::now()),
            Phase::Probing => state.period,
        };
        if error.retryability() == Retryability::Transient {
            error.retry_after = error.retry_after.max(Some(rest));
        }
    }

    fn open(&self, state: &mut State, refused: bool, error: &ProviderError) {
        state.refused = refused;
        state.cause = error.to_string();
        state.phase = Phase::Open {
            until: Instant::now() + state.period,
        };
        self.changed.notify_waiters();
        tracing::info!(
            endpoint = self.endpoint,
            kind = error.kind.as_str(),
            failures = state.failures,
            open_ms = u64::try_from(state.period.as_millis()).unwrap_or(u64::MAX),
            "provider circuit opens"
        );
    }
}

impl State {
    fn close(&mut self) {
        self.phase = Phase::Closed;
        self.failures = 0;
        self.refused = false;
        self.period = FIRST_OPEN;
    }
}

impl Pass<'_> {
    /// Whether the call is a probe, and has one attempt.
    pub(crate) fn is_probe(&self) -> bool {
        self.is_probe
    }

    /// What came of the call. An error may be told how long the circuit stays open.
    pub(crate) fn end<T>(mut self, result: &mut Result<T, ProviderError>) {
        match result {
            Ok(_) => self.breaker.answered(),
            Err(error) => match error.kind {
                ProviderErrorKind::Connect
                | ProviderErrorKind::Interrupted
                | ProviderErrorKind::Timeout
                | ProviderErrorKind::RateLimited
                | ProviderErrorKind::Server
                | ProviderErrorKind::EmptyReply
                | ProviderErrorKind::Billing
                | ProviderErrorKind::Auth
                    if error.attempts > 0 =>
                {
                    self.breaker.failed(self.is_probe, error);
                }
                // It answers, if only to say no to this one question.
                ProviderErrorKind::NotFound
                | ProviderErrorKind::TooLong
                | ProviderErrorKind::Rejected
                | ProviderErrorKind::ContentFilter => self.breaker.answered(),
                // Nothing was sent: as if the call had not been.
                ProviderErrorKind::Connect
                | ProviderErrorKind::Interrupted
                | ProviderErrorKind::Timeout
                | ProviderErrorKind::RateLimited
                | ProviderErrorKind::Server
                | ProviderErrorKind::EmptyReply
                | ProviderErrorKind::Billing
                | ProviderErrorKind::Auth
                | ProviderErrorKind::Budget
                | ProviderErrorKind::Unavailable => return,
            },
        }
        self.ended = true;
    }
}

impl Drop for Pass<'_> {
    /// A probe that came to nothing leaves its place to the next call.
    fn drop(&mut self) {
        if !self.is_probe || self.ended {
            return;
        }
        let mut state = self.breaker.state();
        if state.phase == Phase::Probing {
            state.phase = Phase::Open {
                until: Instant::now(),
            };
        }
    }
}

#[cfg(test)]
mod tests;
