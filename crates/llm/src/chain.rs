//! The chain: a call goes on to the next model when one cannot answer.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use testsmith_domain::{
    BoxFuture, CompletionRequest, CompletionResponse, ModelIdentity, Provider, ProviderError,
    ProviderErrorKind, Retryability,
};

/// Models in the order in which they are asked, the preferred one first.
#[derive(Debug)]
pub(crate) struct Chain {
    links: Vec<Arc<dyn Provider>>,
    /// The link that answered last, so that a change is told once.
    answering: AtomicUsize,
}

impl Chain {
    /// Of at least one link.
    pub(crate) fn new(links: impl IntoIterator<Item = Arc<dyn Provider>>) -> Self {
        Self {
            links: links.into_iter().collect(),
            answering: AtomicUsize::new(0),
        }
    }

    async fn ask(&self, request: &CompletionRequest) -> Result<CompletionResponse, ProviderError> {
        let mut failures: Vec<ProviderError> = Vec::new();
        let sent = |failures: &[ProviderError]| -> u32 {
            failures.iter().map(|error| error.attempts).sum()
        };
        for (at, link) in self.links.iter().enumerate() {
            match link.complete(request).await {
                Ok(mut response) => {
                    response.link = at;
                    response.attempts += sent(&failures);
                    self.tell(at, failures.first());
                    return Ok(response);
                }
                Err(error) if goes_on(at, error.kind) => {
                    tracing::debug!(
                        model = link.identity().model,
                        kind = error.kind.as_str(),
                        %error,
                        "this model cannot answer"
                    );
                    failures.push(error);
                }
                Err(mut error) => {
                    error.attempts += sent(&failures);
                    return Err(error);
                }
            }
        }
        Err(self.together(failures))
    }

    /// Says that another model answers than before.
    fn tell(&self, at: usize, why: Option<&ProviderError>) {
        if self.answering.swap(at, Ordering::Relaxed) == at {
            return;
        }
        let model = &self.links[at].identity().model;
        if let Some(error) = why {
            tracing::info!(model, why = %error, "a fallback model answers");
        } else {
            tracing::info!(model, "the preferred model answers again");
        }
    }

    /// The failures of all links as one. It may pass if one of them may.
    fn together(&self, mut failures: Vec<ProviderError>) -> ProviderError {
        let may_pass = |error: &ProviderError| error.retryability() == Retryability::Transient;
        let was_asked =
            |error: &ProviderError| may_pass(error) && error.kind != ProviderErrorKind::Unavailable;
        let decides = failures
            .iter()
            .position(was_asked)
            .or_else(|| failures.iter().position(may_pass))
            .unwrap_or_default();
        let mut message = String::new();
        for (at, error) in failures.iter().enumerate() {
            // Writing to a string cannot fail.
            let _ = match at {
                0 => write!(message, "{error}"),
                _ => write!(
                    message,
                    "; fallback `{}`: {error}",
                    self.links[at].identity().model
                ),
            };
        }
        let soonest = failures
            .iter()
            .filter(|error| may_pass(error))
            .map(|error| error.retry_after.unwrap_or_default())
            .min()
            .filter(|wait| *wait > Duration::ZERO);
        let attempts = failures.iter().map(|error| error.attempts).sum();
        let mut error = failures.swap_remove(decides);
        error.message = message;
        error.retry_after = soonest;
        error.attempts = attempts;
        error
    }
}

/// Whether the next link is asked after such a failure of the link `at`.
fn goes_on(at: usize, kind: ProviderErrorKind) -> bool {
    use ProviderErrorKind as Kind;
    match kind {
        Kind::Connect
        | Kind::Interrupted
        | Kind::Timeout
        | Kind::RateLimited
        | Kind::Server
        | Kind::EmptyReply
        | Kind::Unavailable
        | Kind::Billing
        | Kind::Auth
        | Kind::NotFound => true,
        // The preferred model has answered, if only to say no to this question. A fallback model
        // cannot say so for it.
        Kind::TooLong | Kind::Rejected | Kind::ContentFilter => at > 0,
        // The user's own word that no more be spent.
        Kind::Budget => false,
    }
}

impl Provider for Chain {
    fn identity(&self) -> &ModelIdentity {
        self.links[0].identity()
    }

    fn max_output_tokens(&self) -> u32 {
        self.links[0].max_output_tokens()
    }

    fn most_output_tokens(&self, request: &CompletionRequest) -> u32 {
        let links = self.links.iter();
        let each = links.map(|link| link.most_output_tokens(request));
        each.max().unwrap_or(request.max_tokens)
    }

    fn is_free(&self) -> bool {
        self.links.iter().all(|link| link.is_free())
    }

    fn complete<'a>(
        &'a self,
        request: &'a CompletionRequest,
    ) -> BoxFuture<'a, Result<CompletionResponse, ProviderError>> {
        Box::pin(self.ask(request))
    }
}

#[cfg(test)]
mod tests;
