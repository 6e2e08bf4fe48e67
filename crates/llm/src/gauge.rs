//! What the stack has done and is doing, in figures.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use testsmith_domain::Usage;

use crate::{Breaker, Circuit, Gate, Permits};

/// Counts what goes through the stack, and knows how a link of it stands. Cheap to read at any time.
#[derive(Debug)]
pub struct Gauge {
    gate: Arc<Gate>,
    breaker: Arc<Breaker>,
    permits: Arc<Permits>,
    /// Over all links, and over the stacks that took each other's place.
    figures: Arc<Figures>,
}

/// What was counted.
#[derive(Debug, Default)]
pub(crate) struct Figures {
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
    /// Calls of which something was sent, to whichever link: one may take several attempts.
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
            figures: Arc::default(),
        }
    }

    /// The same, counting on from these.
    pub(crate) fn counting_in(mut self, figures: Arc<Figures>) -> Self {
        self.figures = figures;
        self
    }

    /// How long nothing is sent: the server wishes so, or its circuit is open.
    pub fn left_alone_for(&self) -> Option<Duration> {
        self.gate.rest().max(match self.breaker.circuit() {
            Circuit::Closed => None,
            Circuit::Open(rest) => Some(rest),
            Circuit::Probing => Some(Duration::ZERO),
        })
    }

    /// The hold on the endpoint.
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    /// The figures now.
    pub fn read(&self) -> GaugeReading {
        let get = |figure: &AtomicU64| figure.load(Ordering::Relaxed);
        let counted = &*self.figures;
        GaugeReading {
            calls: get(&counted.calls),
            attempts: get(&counted.attempts),
            retries: get(&counted.retries),
            open: get(&counted.open),
            max_open: get(&counted.max_open),
            input_tokens: get(&counted.input_tokens),
            cached_input_tokens: get(&counted.cached_input_tokens),
            output_tokens: get(&counted.output_tokens),
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
        self.figures.calls.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_retry(&self) {
        self.figures.retries.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_usage(&self, usage: &Usage) {
        let add = |figure: &AtomicU64, tokens: Option<u64>| {
            figure.fetch_add(tokens.unwrap_or(0), Ordering::Relaxed);
        };
        add(&self.figures.input_tokens, usage.input_tokens);
        add(&self.figures.cached_input_tokens, usage.cached_input_tokens);
        add(&self.figures.output_tokens, usage.output_tokens);
    }

    /// Counts a request as open until the guard is dropped, however that comes about.
    pub(crate) fn open_request(&self) -> OpenRequest<'_> {
        self.figures.attempts.fetch_add(1, Ordering::Relaxed);
        let open = self.figures.open.fetch_add(1, Ordering::Relaxed) + 1;
        self.figures.max_open.fetch_max(open, Ordering::Relaxed);
        OpenRequest(self)
    }
}

/// An open request, for the gauge.
#[derive(Debug)]
pub(crate) struct OpenRequest<'a>(&'a Gauge);

impl Drop for OpenRequest<'_> {
    fn drop(&mut self) {
        self.0.figures.open.fetch_sub(1, Ordering::Relaxed);
    }
}
