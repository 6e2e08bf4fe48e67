//! What can go wrong when a model is asked, and whether asking again can help.

use std::error::Error;
use std::fmt;
use std::time::Duration;

/// A failed call. Its text is safe to show: no key, no prompt, no more than 512 bytes of a body.
#[derive(Debug)]
pub struct ProviderError {
    /// What kind of failure it is.
    pub kind: ProviderErrorKind,
    /// What happened, for people; a lower-case fragment.
    pub message: String,
    /// The HTTP status, if there was a reply.
    pub status: Option<u16>,
    /// How long the server asks us to wait.
    pub retry_after: Option<Duration>,
    /// How many requests were sent before giving up.
    pub attempts: u32,
    /// What lies behind it.
    pub source: Option<Box<dyn Error + Send + Sync>>,
}

/// The kinds of failure. Each is retried or not by [`ProviderErrorKind::retryability`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProviderErrorKind {
    /// No connection could be made.
    Connect,
    /// The connection broke before the reply was whole.
    Interrupted,
    /// No reply in time, or status 408.
    Timeout,
    /// The server asks for fewer requests: 429 that is not about money, 425, 409.
    RateLimited,
    /// The server is not well: 500, 502, 503, 504, 529.
    Server,
    /// A reply without content, or one that is no reply of this protocol.
    EmptyReply,
    /// The account has no money left, or its limit is spent: 402, billing 429.
    Billing,
    /// The key is missing, wrong or not allowed: 401, 403.
    Auth,
    /// No such model or address: 404.
    NotFound,
    /// The prompt is longer than the model takes, or 413.
    TooLong,
    /// The server refuses the request as it is: 400, 422 and other 4xx.
    Rejected,
    /// The server's policy filter, or the model, refuses to answer.
    ContentFilter,
    /// A budget of the user's own is used up; nothing was sent.
    Budget,
    /// Nothing was sent, since the server is known to be out of order.
    Unavailable,
}

/// Whether asking again can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retryability {
    /// It may pass: ask again after a wait.
    Transient,
    /// It will fail the same way until somebody changes something.
    Permanent,
}

impl ProviderErrorKind {
    /// Whether asking again can help. No wildcard: a new kind must decide.
    pub const fn retryability(self) -> Retryability {
        match self {
            Self::Connect
            | Self::Interrupted
            | Self::Timeout
            | Self::RateLimited
            | Self::Server
            | Self::EmptyReply
            | Self::Budget
            | Self::Unavailable => Retryability::Transient,
            Self::Billing
            | Self::Auth
            | Self::NotFound
            | Self::TooLong
            | Self::Rejected
            | Self::ContentFilter => Retryability::Permanent,
        }
    }

    /// The kind's name in logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Interrupted => "interrupted",
            Self::Timeout => "timeout",
            Self::RateLimited => "rate_limited",
            Self::Server => "server",
            Self::EmptyReply => "empty_reply",
            Self::Billing => "billing",
            Self::Auth => "auth",
            Self::NotFound => "not_found",
            Self::TooLong => "too_long",
            Self::Rejected => "rejected",
            Self::ContentFilter => "content_filter",
            Self::Budget => "budget",
            Self::Unavailable => "unavailable",
        }
    }
}

impl ProviderError {
    /// A failure of this kind, with nothing more known.
    pub fn new(kind: ProviderErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            status: None,
            retry_after: None,
            attempts: 1,
            source: None,
        }
    }

    /// Adds the HTTP status.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }

    /// Adds what lies behind it.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Whether asking again can help.
    pub const fn retryability(&self) -> Retryability {
        self.kind.retryability()
    }
}

impl fmt::Display for ProviderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for ProviderError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source
            .as_deref()
            .map(|source| source as &(dyn Error + 'static))
    }
}
