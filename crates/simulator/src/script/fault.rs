//! What can go wrong with a reply.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::ScriptError;

/// One fault. Those from [`Fault::MalformedJson`] on leave the reply's envelope well formed: it is
/// the model's text that is wrong.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// An error status in place of an answer.
    Status {
        /// The status; by default the one that goes with `body`.
        #[serde(default)]
        status: Option<u16>,
        /// How long the client is told to wait.
        #[serde(default)]
        retry_after: Option<RetryAfter>,
        /// What the reply says.
        #[serde(default)]
        body: Preset,
        /// More headers, for instance `x-should-retry`.
        #[serde(default)]
        headers: BTreeMap<String, String>,
    },
    /// No reply until the client leaves.
    Hang,
    /// The connection is reset.
    Reset {
        /// How far the reply gets.
        at: ResetPoint,
    },
    /// The reply's declared length is not reached: the connection ends within the body. A
    /// streamed reply ends without its last frames.
    Cut {
        /// Where.
        at: Cut,
    },
    /// A reply of status 200 that is an error object.
    #[serde(rename = "error_at_200")]
    ErrorAt200,
    /// A streamed reply that turns into an error object after its first pieces; a plain one is as
    /// [`Fault::ErrorAt200`].
    StreamError,
    /// A reply without choices.
    NoChoices,
    /// A reply whose envelope is no JSON.
    Garbage,
    /// The usage is not what was used.
    Usage {
        /// How so.
        usage: UsageFault,
    },
    /// The policy filter: no content, and the finish reason says why.
    ContentFilter,
    /// The model refuses.
    Refusal,
    /// No content, finished for want of tokens: a model that spent them all on thought.
    BudgetSpent,
    /// The content is `""`.
    EmptyContent,
    /// The content is white space, up to the last token.
    WhitespaceContent,
    /// The content is `null`.
    NullContent,
    /// The content is no JSON: a bracket is missing.
    MalformedJson,
    /// The content is fenced as in Markdown.
    Fenced,
    /// There is prose before and after the content.
    Prose,
    /// The model's thoughts come first.
    Think,
    /// The delimiter form, asked for or not.
    Delimiter,
    /// The answer stops at this share of its length, for want of tokens.
    Truncated {
        /// 0 to 1.
        fraction: f64,
    },
    /// The last members are left out.
    Missing {
        /// How many.
        #[serde(default = "one")]
        count: usize,
    },
    /// The last members are called by another name.
    Renamed {
        /// How many.
        #[serde(default = "one")]
        count: usize,
    },
    /// The first members come twice, with different code.
    Duplicate {
        /// How many.
        #[serde(default = "one")]
        count: usize,
    },
    /// There are members nobody asked for.
    Extra {
        /// How many.
        #[serde(default = "one")]
        count: usize,
    },
    /// Line breaks within strings are not escaped.
    RawNewlines,
    /// Quotes within strings are not escaped.
    UnescapedQuotes,
    /// Commas before closing brackets.
    TrailingComma,
    /// Two JSON objects, one after the other, that differ.
    TwoObjects,
    /// The answer is under other keys: `results`, `content` in place of `tests`, `code`.
    Aliases,
    /// Words without sense.
    Rubbish,
    /// Single members' test code is bad.
    Body {
        /// In which way.
        bad: BadBody,
        /// Whether the model mends it when it is told the failures.
        #[serde(default)]
        heals: bool,
    },
}

/// Ways for a member's test code to be bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BadBody {
    /// It does not parse.
    Syntax,
    /// It parses, but uses a name that does not exist (Python: at import).
    DoesNotCompile,
    /// An assertion fails, each time.
    Fails,
    /// It fails on every other run: by a flag in Go's build cache or in the folder for temporary
    /// files; in Python and JavaScript by the number that the name of that folder ends in (`-12`),
    /// if it does, since each run in a sandbox has a new one. It fails on each run where nothing is
    /// kept.
    Flaky,
    /// It never ends.
    Hangs,
    /// There is no test inside.
    NoTest,
    /// It writes to the source file under test, and passes if it may.
    EditsFiles,
    /// It connects to the simulator, which then knows ([`crate::Simulator::witnessed`]), and passes
    /// if it may.
    Network,
    /// It fails, and tells what is in `.env` and in `notes.txt` of the folder it runs in.
    Leaks,
}

/// Where a reset happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResetPoint {
    /// Before anything is sent.
    BeforeHeaders,
    /// After the headers and a first piece of the body.
    AfterHeaders,
}

/// Where a body is cut.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cut {
    /// After so many bytes.
    Bytes(usize),
    /// After this share of the bytes, 0 to 1.
    Fraction(f64),
}

/// What is wrong with a reply's usage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UsageFault {
    /// There is none.
    Missing,
    /// It is `null`.
    Null,
    /// It is far too high.
    Huge,
    /// It is zero.
    Zero,
}

/// How a reply asks for a wait.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryAfter {
    /// `retry-after` in seconds, perhaps with a fraction.
    Seconds(f64),
    /// `retry-after-ms`.
    Ms(u64),
    /// `retry-after` as an HTTP date so many seconds from now; negative for the past.
    DateIn(i64),
    /// `retry-after` with this text.
    Raw(String),
}

/// What an error reply says: real servers' words.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// An error object of the endpoint's form that names no cause.
    #[default]
    Plain,
    /// 429: slow down.
    RateLimit,
    /// 429: no money left.
    InsufficientQuota,
    /// 529: `overloaded_error`.
    Overloaded,
    /// 401: no such key.
    InvalidKey,
    /// 400: the policy filter, as Azure says it.
    ContentFilter,
    /// 400: the prompt is too long.
    ContextLengthExceeded,
    /// 400: `response_format` is not taken.
    ResponseFormatRejected,
    /// 400: `max_tokens` is not taken, `max_completion_tokens` is.
    MaxTokensRejected,
    /// 400: only the default `temperature` is taken.
    TemperatureRejected,
    /// 502: a proxy's page.
    Html,
    /// Nothing at all, 500.
    Empty,
    /// This text, 500.
    Text(String),
}

const fn one() -> usize {
    1
}

impl Fault {
    /// An error status with no more than that.
    pub fn status(status: u16) -> Self {
        Self::Status {
            status: Some(status),
            retry_after: None,
            body: Preset::Plain,
            headers: BTreeMap::new(),
        }
    }

    /// An error as real servers word it, with its usual status.
    pub fn preset(body: Preset) -> Self {
        Self::Status {
            status: None,
            retry_after: None,
            body,
            headers: BTreeMap::new(),
        }
    }

    /// Bad test code that stays bad.
    pub const fn body(bad: BadBody) -> Self {
        Self::Body { bad, heals: false }
    }

    /// Adds a wish to wait to an error status; other faults are left as they are.
    #[must_use]
    pub fn retry_after(mut self, wait: RetryAfter) -> Self {
        if let Self::Status { retry_after, .. } = &mut self {
            *retry_after = Some(wait);
        }
        self
    }

    /// The fault's name in the log.
    pub fn name(&self) -> String {
        let kind = serde_json::to_value(self)
            .ok()
            .and_then(|value| value["kind"].as_str().map(str::to_owned))
            .unwrap_or_default();
        match self {
            Self::Status { status, body, .. } => {
                format!("{kind} {}", status.unwrap_or_else(|| body.status()))
            }
            _ => kind,
        }
    }

    pub(super) fn check(&self) -> Result<(), ScriptError> {
        let wrong = |what, range| Err(ScriptError::OutOfRange { what, range });
        match self {
            Self::Status {
                status: Some(status),
                ..
            } if !(200..600).contains(status) => wrong("status", "between 200 and 599"),
            Self::Truncated { fraction }
            | Self::Cut {
                at: Cut::Fraction(fraction),
            } if !(0.0..=1.0).contains(fraction) => wrong("fraction", "between 0 and 1"),
            _ => Ok(()),
        }
    }
}

impl From<Fault> for super::Script {
    /// A script that always plays this fault.
    fn from(fault: Fault) -> Self {
        Self::default().rule(fault)
    }
}

impl Preset {
    /// The status that goes with these words.
    pub const fn status(&self) -> u16 {
        match self {
            Self::Plain | Self::Empty | Self::Text(_) => 500,
            Self::RateLimit | Self::InsufficientQuota => 429,
            Self::Overloaded => 529,
            Self::InvalidKey => 401,
            Self::ContentFilter
            | Self::ContextLengthExceeded
            | Self::ResponseFormatRejected
            | Self::MaxTokensRejected
            | Self::TemperatureRejected => 400,
            Self::Html => 502,
        }
    }
}

impl RetryAfter {
    /// The header's name and value.
    pub(crate) fn header(&self) -> (&'static str, String) {
        match self {
            Self::Seconds(seconds) => ("retry-after", seconds.to_string()),
            Self::Ms(ms) => ("retry-after-ms", ms.to_string()),
            Self::DateIn(seconds) => {
                let away = Duration::from_secs(seconds.unsigned_abs());
                let now = SystemTime::now();
                let date = if *seconds < 0 {
                    now.checked_sub(away)
                } else {
                    now.checked_add(away)
                };
                ("retry-after", httpdate::fmt_http_date(date.unwrap_or(now)))
            }
            Self::Raw(text) => ("retry-after", text.clone()),
        }
    }
}
