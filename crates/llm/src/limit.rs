//! The semaphore: so many requests at once, and no more.

use std::sync::Arc;
use std::time::Duration;

use testsmith_domain::{
    BoxFuture, CompletionRequest, CompletionResponse, ModelIdentity, Provider, ProviderError,
    ProviderErrorKind, Retryability,
};
use tokio::time::{Instant, timeout};

use crate::gauge::Figures;
use crate::{Breaker, Gate, Gauge, Permits};

/// Lets only so many requests be open at once, each for only so long.
///
/// One attempt is one permit: taken when the attempt begins, given back when its future ends or
/// is dropped, so that neither an error, a panic nor a cancelled call can lose it.
#[derive(Debug)]
pub struct Limited<P> {
    provider: P,
    permits: Arc<Permits>,
    gate: Arc<Gate>,
    gauge: Arc<Gauge>,
    attempt_timeout: Duration,
}

/// What came of an attempt.
pub(crate) struct Attempt {
    /// The answer or the failure.
    pub(crate) result: Result<CompletionResponse, ProviderError>,
    /// How long it took from having a permit.
    pub(crate) elapsed: Duration,
}

impl<P: Provider> Limited<P> {
    /// At most as many requests at once as there are permits, each for at most this long.
    pub fn new(
        provider: P,
        permits: Arc<Permits>,
        attempt_timeout: Duration,
        gate: Arc<Gate>,
    ) -> Self {
        let breaker = Arc::new(Breaker::new(gate.endpoint()));
        let gauge = Gauge::new(gate.clone(), breaker, permits.clone());
        Self {
            provider,
            gauge: Arc::new(gauge),
            permits,
            gate,
            attempt_timeout,
        }
    }

    /// The same, counting on from these figures.
    pub(crate) fn counting_in(mut self, figures: Arc<Figures>) -> Self {
        let breaker = Arc::clone(self.gauge.breaker());
        let gauge = Gauge::new(self.gate.clone(), breaker, self.permits.clone());
        self.gauge = Arc::new(gauge.counting_in(figures));
        self
    }

    /// The hold on the endpoint.
    pub fn gate(&self) -> &Arc<Gate> {
        &self.gate
    }

    /// What went through.
    pub fn gauge(&self) -> &Arc<Gauge> {
        &self.gauge
    }

    #[cfg(test)]
    pub(crate) fn available_permits(&self) -> usize {
        self.permits.available()
    }

    /// One request, for at most `time`. `None`, and nothing sent, if the endpoint was put on hold
    /// while the attempt queued for its permit. `sending` is called right before it is sent.
    pub(crate) async fn attempt(
        &self,
        request: &CompletionRequest,
        time: Duration,
        sending: impl FnOnce() + Send,
    ) -> Option<Attempt> {
        let _permit = self.permits.acquire().await;
        if self.gate.rest().is_some() {
            return None;
        }
        let _open = self.gauge.open_request();
        sending();
        let began = Instant::now();
        let time = time.min(self.attempt_timeout);
        let result = match timeout(time, self.provider.complete(request)).await {
            Ok(result) => result,
            Err(_elapsed) => Err(ProviderError::new(
                ProviderErrorKind::Timeout,
                format!(
                    "no reply within {}",
                    humantime::format_duration(whole(time))
                ),
            )),
        };
        match &result {
            Ok(response) => {
                self.gauge.count_usage(&response.usage);
                self.permits.answered();
            }
            // Before the permit goes to the next in the queue.
            Err(error) => {
                if is_overload(error) {
                    self.permits.overloaded(began);
                }
                if let Some(wait) = hold_asked_for(error) {
                    self.gate.hold(wait);
                }
            }
        }
        Some(Attempt {
            result,
            elapsed: began.elapsed(),
        })
    }
}

/// How long a failure holds back everybody, not only the call that met it.
fn hold_asked_for(error: &ProviderError) -> Option<Duration> {
    error.retry_after.filter(|_| is_overload(error))
}

/// Whether the server says that it has too much to do.
fn is_overload(error: &ProviderError) -> bool {
    matches!(error.status, Some(429 | 503 | 529)) && error.retryability() == Retryability::Transient
}

/// Without the digits that nobody wants to read: seconds, or milliseconds below one.
pub(crate) fn whole(time: Duration) -> Duration {
    if time < Duration::from_secs(1) {
        Duration::from_millis(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
    } else {
        Duration::from_secs(time.as_secs())
    }
}

impl<P: Provider> Provider for Limited<P> {
    fn identity(&self) -> &ModelIdentity {
        self.provider.identity()
    }

    fn max_output_tokens(&self) -> u32 {
        self.provider.max_output_tokens()
    }

    fn most_output_tokens(&self, request: &CompletionRequest) -> u32 {
        self.provider.most_output_tokens(request)
    }

    fn is_free(&self) -> bool {
        self.provider.is_free()
    }

    /// One attempt. While the endpoint is on hold it fails at once, with the rest of the hold.
    fn complete<'a>(
        &'a self,
        request: &'a CompletionRequest,
    ) -> BoxFuture<'a, Result<CompletionResponse, ProviderError>> {
        Box::pin(async move {
            if let Some(rest) = self.gate.rest() {
                return Err(held(&self.gate, rest));
            }
            match self.attempt(request, self.attempt_timeout, || {}).await {
                Some(attempt) => attempt.result,
                None => Err(held(&self.gate, self.gate.rest().unwrap_or_default())),
            }
        })
    }
}

/// The error of a call for which nothing was sent, since the endpoint is on hold.
pub(crate) fn held(gate: &Gate, rest: Duration) -> ProviderError {
    let shown = humantime::format_duration(whole(rest));
    let mut error = ProviderError::new(
        ProviderErrorKind::RateLimited,
        format!(
            "`{}` asked to be left alone for another {shown}",
            gate.endpoint()
        ),
    );
    error.retry_after = Some(rest);
    error.attempts = 0;
    error
}
