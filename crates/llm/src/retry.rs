//! Retry: the one loop that asks again.

mod telling;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use testsmith_domain::{
    BoxFuture, CompletionRequest, CompletionResponse, ModelIdentity, OutOfBudget, PlannedRequest,
    Provider, ProviderError, ProviderErrorKind, RequestMeter, Reservation, ResponseFormat,
    Retryability, Spent, note,
};
use tokio::time::sleep;
use tracing::Instrument;
use tracing::field::Empty;

use self::telling::{asked, log, milliseconds};
use crate::adapt::Adapted;
use crate::limit::{self, Limited};
use crate::pace::{self, Pace};
use crate::retry_budget::RetryBudget;
use crate::settings::{RetrySettings, StackSettings};
use crate::wire::BlankAnswer;

/// The most times one call may be sent again because the server's wants were learned: each want
/// is learned once, so that more would be a fault of ours.
const MAX_ADAPTATIONS: u32 = 8;

/// Asks again when that can help, after the contract's waits, and holds no permit meanwhile.
///
/// - A wait is the larger of the backoff and what the server asks for. What servers ask for adds
///   up to at most [`StackSettings::max_inline_wait`] in one call; past that the call ends with
///   [`ProviderError::retry_after`] set, so that its job can wait on disk.
/// - The text of the last error is `after 3 attempts: <cause>`; [`source`] goes on from there with
///   what lies behind the cause. A call that was sent once fails with the plain cause.
/// - A request that taught the provider something about its server (see `adapt`) is sent again at
///   once and is no attempt.
///
/// [`source`]: std::error::Error::source
#[derive(Debug)]
pub struct Retry<P> {
    limited: Limited<P>,
    settings: RetrySettings,
    call_timeout: Duration,
    max_inline_wait: Duration,
    meter: Option<Arc<dyn RequestMeter>>,
    pace: Arc<Pace>,
    retries: RetryBudget,
}

/// One call on its way.
struct Call<'a> {
    request: Cow<'a, CompletionRequest>,
    /// Attempts that failed.
    failed: u32,
    /// Requests sent.
    sent: u32,
    adaptations: u32,
    /// Time spent in attempts and waits; not in the queue for a permit.
    spent: Duration,
    /// Time waited because a server asked.
    asked: Duration,
    /// The wait before the coming attempt.
    wait: Duration,
    /// Whether the coming attempt follows a failure.
    is_retry: bool,
    last: Option<ProviderError>,
    /// What is set aside for the coming attempt.
    reservation: Option<Box<dyn Reservation>>,
    /// With how many tokens the coming attempt is counted in the limits per minute, once it is.
    paced: Option<u64>,
    most_attempts: u32,
}

impl<P: Provider> Retry<P> {
    /// Retries by these settings.
    pub fn new(limited: Limited<P>, settings: &StackSettings) -> Self {
        Self {
            limited,
            settings: settings.retry,
            call_timeout: settings.timeouts.call,
            max_inline_wait: settings.max_inline_wait,
            meter: None,
            pace: Arc::new(Pace::new(settings.rates)),
            retries: RetryBudget::new(reserve(settings)),
        }
    }

    /// The same, with requests sent as fast as this one allows.
    #[must_use]
    pub fn paced(mut self, pace: Arc<Pace>) -> Self {
        self.pace = pace;
        self
    }

    /// The same, with each request reserved with `meter` before it is sent, and settled after it.
    #[must_use]
    pub fn metered(mut self, meter: Option<Arc<dyn RequestMeter>>) -> Self {
        self.meter = meter;
        self
    }

    async fn call(&self, request: &CompletionRequest) -> Result<CompletionResponse, ProviderError> {
        let gauge = self.limited.gauge();
        let pass = gauge.breaker().admit()?;
        let attempts = if pass.is_probe() {
            1
        } else {
            self.settings.max_attempts
        };
        let mut result = self.ask(Call::new(request, attempts)).await;
        pass.end(&mut result);
        result
    }

    /// Asks until there is an answer, or asking again is of no use.
    async fn ask(&self, mut call: Call<'_>) -> Result<CompletionResponse, ProviderError> {
        loop {
            self.wait_out_hold(&mut call).await?;
            self.reserve(&mut call).await?;
            self.wait_for_turn(&mut call).await?;
            let Some(result) = self.attempt(&mut call).await else {
                continue;
            };
            match result {
                Ok(mut response) => {
                    response.attempts = call.sent;
                    return Ok(response);
                }
                Err(error) => {
                    let wait = self.wait_after(&mut call, error)?;
                    if !wait.is_zero() {
                        call.wait += wait;
                        call.spent += wait;
                        sleep(wait).await;
                    }
                }
            }
        }
    }

    /// Waits while the endpoint is on hold, or fails if that takes too long.
    async fn wait_out_hold(&self, call: &mut Call<'_>) -> Result<(), ProviderError> {
        while let Some(rest) = self.limited.gate().rest() {
            if !self.may_wait(call, rest) {
                let Some(mut last) = call.last.take() else {
                    return Err(limit::held(self.limited.gate(), rest));
                };
                last.retry_after = Some(rest);
                return Err(call.finish(last));
            }
            call.asked += rest;
            call.spent += rest;
            call.wait += rest;
            sleep(rest).await;
        }
        Ok(())
    }

    /// Has the meter set aside what the coming attempt may cost. What was set aside for an attempt
    /// that was not sent still holds.
    async fn reserve(&self, call: &mut Call<'_>) -> Result<(), ProviderError> {
        let Some(meter) = self.meter.as_ref().filter(|_| call.reservation.is_none()) else {
            return Ok(());
        };
        let planned = PlannedRequest {
            model: self.limited.identity(),
            is_free: self.limited.is_free(),
            prompt_tokens: most_prompt_tokens(&call.request),
            output_tokens: self.limited.most_output_tokens(&call.request).into(),
            begins_call: call.sent == 0,
        };
        match meter.reserve(planned).await {
            Ok(reservation) => {
                call.reservation = Some(reservation);
                Ok(())
            }
            Err(out) => Err(call.out_of_budget(out)),
        }
    }

    /// Waits until the limits per minute let the coming attempt go out.
    async fn wait_for_turn(&self, call: &mut Call<'_>) -> Result<(), ProviderError> {
        if call.paced.is_some() {
            return Ok(());
        }
        let tokens = most_prompt_tokens(&call.request)
            .saturating_add(self.limited.most_output_tokens(&call.request).into());
        match self.pace.wait(tokens, pace::MOST_WAIT).await {
            Ok(()) => {
                call.paced = Some(tokens);
                Ok(())
            }
            Err(wait) => {
                let shown = humantime::format_duration(limit::whole(wait));
                let message =
                    format!("the limit of requests or tokens is used for another {shown}");
                let mut error = ProviderError::new(ProviderErrorKind::Unavailable, message);
                error.attempts = call.sent;
                error.retry_after = Some(wait);
                error.source = call.last.take().map(Into::into);
                Err(error)
            }
        }
    }

    /// Whether the call may wait this long because the server asks.
    fn may_wait(&self, call: &Call<'_>, wait: Duration) -> bool {
        call.asked.saturating_add(wait) <= self.max_inline_wait
            && call.spent.saturating_add(wait) < self.call_timeout
    }

    /// One attempt in its span; `None` if a hold began before it was sent.
    async fn attempt(
        &self,
        call: &mut Call<'_>,
    ) -> Option<Result<CompletionResponse, ProviderError>> {
        let identity = self.identity();
        let span = tracing::debug_span!(
            "attempt",
            attempt = call.failed + 1,
            wait_ms = milliseconds(call.wait),
            provider = identity.provider.as_str(),
            model = identity.model.as_str(),
            max_tokens = call.request.max_tokens,
            finish = Empty,
            status = Empty,
            elapsed_ms = Empty,
            tokens_in = Empty,
            tokens_out = Empty,
        );
        let time = self.call_timeout.saturating_sub(call.spent);
        let reservation = &mut call.reservation;
        let (is_first, gauge) = (call.sent == 0, self.limited.gauge());
        let sending = || {
            // What is never sent, as a budget has no room for it, is no call.
            if is_first {
                gauge.count_call();
            }
            if let Some(reservation) = reservation {
                reservation.sent();
            }
        };
        let attempt = self
            .limited
            .attempt(&call.request, time, sending)
            .instrument(span.clone())
            .await?;
        if let Some(reservation) = call.reservation.take() {
            reservation.settle(spent(&attempt.result));
        }
        self.tell_pace(call.paced.take(), &attempt.result);
        if !call.is_retry {
            self.retries.first();
        }
        call.sent += 1;
        call.spent += attempt.elapsed;
        let waited = std::mem::take(&mut call.wait);
        note(|| {
            asked(
                &self.limited.identity().model,
                call.failed + 1,
                waited,
                &attempt,
            )
        });
        if std::mem::take(&mut call.is_retry) {
            self.limited.gauge().count_retry();
        }
        span.in_scope(|| log(&span, &attempt));
        Some(attempt.result)
    }

    /// What an attempt says of the pace.
    fn tell_pace(&self, counted: Option<u64>, result: &Result<CompletionResponse, ProviderError>) {
        let Ok(response) = result else { return };
        let usage = response.usage;
        if let (Some(counted), Some(input), Some(output)) =
            (counted, usage.input_tokens, usage.output_tokens)
        {
            self.pace.used(counted, input.saturating_add(output));
        }
        let open = self.limited.gauge().read().open;
        self.pace.told(&response.rate_limits, open);
    }

    /// How long to wait before asking again; or the error to end with.
    fn wait_after(
        &self,
        call: &mut Call<'_>,
        error: ProviderError,
    ) -> Result<Duration, ProviderError> {
        if is_caused_by::<Adapted>(&error) && call.adaptations < MAX_ADAPTATIONS {
            call.adaptations += 1;
            return Ok(Duration::ZERO);
        }
        call.failed += 1;
        if error.retryability() == Retryability::Permanent || call.failed >= call.most_attempts {
            return Err(call.finish(error));
        }
        let backoff = self.settings.backoff(call.failed);
        let wait = error
            .retry_after
            .map_or(backoff, |asked| asked.max(backoff));
        let of_server = wait > backoff;
        if of_server && !self.may_wait(call, wait) || call.spent + wait >= self.call_timeout {
            return Err(call.finish(error));
        }
        if !self.retries.try_retry() {
            tracing::debug!("not asked again: too many of the last requests were retries");
            return Err(call.finish(error));
        }
        if of_server {
            call.asked += wait;
        }
        if is_caused_by::<BlankAnswer>(&error) && call.request.format != ResponseFormat::Text {
            // A server can fall into white space when it is made to write JSON; the prompt asks
            // for JSON in any case.
            call.request.to_mut().format = ResponseFormat::Text;
        }
        call.last = Some(error);
        call.is_retry = true;
        Ok(wait)
    }
}

impl<'a> Call<'a> {
    fn new(request: &'a CompletionRequest, most_attempts: u32) -> Self {
        Self {
            request: Cow::Borrowed(request),
            failed: 0,
            sent: 0,
            adaptations: 0,
            spent: Duration::ZERO,
            asked: Duration::ZERO,
            wait: Duration::ZERO,
            is_retry: false,
            last: None,
            reservation: None,
            paced: None,
            most_attempts,
        }
    }

    /// The call's end when nothing more may be spent.
    fn out_of_budget(&mut self, out: OutOfBudget) -> ProviderError {
        let OutOfBudget { message, wait } = out;
        let mut error = ProviderError::new(ProviderErrorKind::Budget, message);
        error.attempts = self.sent;
        error.retry_after = Some(wait);
        error.source = self.last.take().map(Into::into);
        error
    }

    /// The call's last word. What lies behind the cause stays its source, so that a printed chain
    /// names nothing twice.
    fn finish(&self, mut error: ProviderError) -> ProviderError {
        error.attempts = self.sent;
        if self.failed > 1 {
            error.message = format!("after {} attempts: {}", self.failed, error.message);
        }
        error
    }
}

/// As many retries as the calls that can be open at once may need, each for itself.
fn reserve(settings: &StackSettings) -> usize {
    let each = settings.retry.max_attempts.saturating_sub(1);
    let each = usize::try_from(each).unwrap_or(usize::MAX);
    each.saturating_mul(settings.max_concurrent_calls.max(1))
}

/// What an attempt took. A server that says no asks nothing for it; where no whole answer came,
/// it may have written one all the same.
fn spent(result: &Result<CompletionResponse, ProviderError>) -> Spent {
    match result {
        Ok(response) => Spent::Used(response.usage),
        Err(error)
            if error
                .status
                .is_some_and(|status| !(200..300).contains(&status)) =>
        {
            Spent::Nothing
        }
        Err(error) if error.kind == ProviderErrorKind::Connect => Spent::Nothing,
        Err(_) => Spent::Unknown,
    }
}

/// The most tokens that the prompt may come to. No tokenizer makes one of less than two bytes, over
/// a whole prompt; and each message costs a few for its frame.
fn most_prompt_tokens(request: &CompletionRequest) -> u64 {
    let messages = request.messages.iter().map(|message| message.content.len());
    let bytes = messages.sum::<usize>().saturating_add(request.system.len());
    let frames = 16 * (request.messages.len() + 1);
    u64::try_from(bytes.div_ceil(2).saturating_add(frames)).unwrap_or(u64::MAX)
}

fn is_caused_by<E: std::error::Error + 'static>(error: &ProviderError) -> bool {
    error
        .source
        .as_deref()
        .is_some_and(<dyn std::error::Error + Send + Sync>::is::<E>)
}

impl<P: Provider> Provider for Retry<P> {
    fn identity(&self) -> &ModelIdentity {
        self.limited.identity()
    }

    fn max_output_tokens(&self) -> u32 {
        self.limited.max_output_tokens()
    }

    fn most_output_tokens(&self, request: &CompletionRequest) -> u32 {
        self.limited.most_output_tokens(request)
    }

    fn is_free(&self) -> bool {
        self.limited.is_free()
    }

    fn complete<'a>(
        &'a self,
        request: &'a CompletionRequest,
    ) -> BoxFuture<'a, Result<CompletionResponse, ProviderError>> {
        Box::pin(self.call(request))
    }
}

#[cfg(test)]
mod tests;
