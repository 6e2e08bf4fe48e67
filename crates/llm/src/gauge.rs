//! What the stack has done and is doing, in figures.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use testsmith_domain::Usage;

use crate::{Breaker, Circuit, Gate, Permits};

/// Counts what goes through the stack. Cheap to read at any time.
#[derive(Debug)]
pub struct Gauge {
    gate: Arc<Gate>,
    breaker: Arc<Breaker>,
    permits: Arc<Permits>,
    calls: AtomicU64,
    attempts: AtomicU64,
    retries: AtomicU64,
    open: AtomicU64,
    max_open: AtomicU64,
    input_tokens: AtomicU64,
    cached_input_tokens: AtomicU64,
    output_tokens: AtomicU64,
}

/// The figures of a [`Gauge`] at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GaugeReading {
    /// Calls begun: one may take several attempts.
    pub calls: u64,
    /// Requests sent.
    pub attempts: u64,
    /// Of these, sent again after a failure; an adaptation to the server is none.
    pub retries: u64,
    /// Requests open now.
    pub open: u64,
    /// The most requests that were ever open at once.
    pub max_open: u64,
    /// Prompt tokens, as far as servers told.
    pub input_tokens: u64,
    /// Of these, tokens the server had computed before.
    pub cached_input_tokens: u64,
    /// Tokens of answers, as far as servers told.
    pub output_tokens: u64,
    /// How long the endpoint still wants to be left alone.
    pub held_for: Option<Duration>,
    /// Whether calls go through at all.
    pub circuit: Circuit,
    /// How many requests may be open at once, now.
    pub permits: u64,
}

impl Gauge {
    /// All at nought; what is not counted is read from these.
    pub fn new(gate: Arc<Gate>, breaker: Arc<Breaker>, permits: Arc<Permits>) -> Self {
        Self {
            gate,
            breaker,
            permits,
            calls: AtomicU64::default(),
            attempts: AtomicU64::default(),
            retries: AtomicU64::default(),
            open: AtomicU64::default(),
            max_open: AtomicU64::default(),
            input_tokens: AtomicU64::default(),
            cached_input_tokens: AtomicU64::default(),
            output_tokens: AtomicU64::default(),
        }
    }

    /// The hold on the endpoint.
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    /// The figures now.
    pub fn read(&self) -> GaugeReading {
        let get = |figure: &AtomicU64| figure.load(Ordering::Relaxed);
        GaugeReading {
            calls: get(&self.calls),
            attempts: get(&self.attempts),
            retries: get(&self.retries),
            open: get(&self.open),
            max_open: get(&self.max_open),
            input_tokens: get(&self.input_tokens),
            cached_input_tokens: get(&self.cached_input_tokens),
            output_tokens: get(&self.output_tokens),
            held_for: self.gate.rest(),
            circuit: self.breaker.circuit(),
            permits: self.permits.count() as u64,
        }
    }

    /// The circuit breaker.
    pub fn breaker(&self) -> &Arc<Breaker> {
        &self.breaker
    }

    /// The permits for requests.
    pub fn permits(&self) -> &Arc<Permits> {
        &self.permits
    }

    pub(crate) fn count_call(&self) {
        self.calls.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_retry(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_usage(&self, usage: &Usage) {
        let add = |figure: &AtomicU64, tokens: Option<u64>| {
            figure.fetch_add(tokens.unwrap_or(0), Ordering::Relaxed);
        };
        add(&self.input_tokens, usage.input_tokens);
        add(&self.cached_input_tokens, usage.cached_input_tokens);
        add(&self.output_tokens, usage.output_tokens);
    }

    /// Counts a request as open until the guard is dropped, however that comes about.
    pub(crate) fn open_request(&self) -> OpenRequest<'_> {
        self.attempts.fetch_add(1, Ordering::Relaxed);
        let open = self.open.fetch_add(1, Ordering::Relaxed) + 1;
        self.max_open.fetch_max(open, Ordering::Relaxed);
        OpenRequest(self)
    }
}

/// An open request, for the gauge.
#[derive(Debug)]
pub(crate) struct OpenRequest<'a>(&'a Gauge);

impl Drop for OpenRequest<'_> {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}
