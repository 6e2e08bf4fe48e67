//! Why a request is not answered as asked.

use serde::{Deserialize, Serialize};

/// The body of every reply that is no success.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// What kind of refusal it is.
    pub code: RefusalCode,
    /// What is wrong, for people; a lower-case fragment.
    pub message: String,
}

/// The kinds of refusals, each with its HTTP status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalCode {
    /// The request makes no sense: 400.
    BadRequest,
    /// The socket belongs to another user: 403.
    Forbidden,
    /// There is no such route, root or file: 404.
    NotFound,
    /// There is such a route, and not with this method: 405.
    MethodNotAllowed,
    /// The body took too long: 408.
    TooSlow,
    /// The body is too large: 413.
    TooLarge,
    /// The daemon failed at it: 500.
    Failed,
    /// This daemon cannot do it: 501.
    NotImplemented,
    /// Not now: it stops, or has too many connections: 503.
    Unavailable,
}

impl RefusalCode {
    /// The HTTP status.
    pub const fn status(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::TooSlow => 408,
            Self::TooLarge => 413,
            Self::Failed => 500,
            Self::NotImplemented => 501,
            Self::Unavailable => 503,
        }
    }
}

impl Refusal {
    /// A refusal of this kind.
    pub fn new(code: RefusalCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    /// A request that makes no sense.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(RefusalCode::BadRequest, message)
    }

    /// Something that is not there.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(RefusalCode::NotFound, message)
    }

    /// Something that failed.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(RefusalCode::Failed, message)
    }
}
