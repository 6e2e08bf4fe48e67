//! When a fault is played.

use serde::{Deserialize, Serialize};

use super::ScriptError;
use crate::ask::Ask;
use crate::record::Endpoint;

/// Which requests a fault is played for: those that meet every condition set.
///
/// The conditions on content (`endpoint`, `model`, `path`, `member`, `parameter`) decide which
/// requests *match*; those on counts are about matching requests only, since the script was set.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Selector {
    /// These requests, counted from 1.
    pub nth: Vec<u64>,
    /// Each request whose number is a multiple of this.
    pub every: Option<u64>,
    /// The first so many.
    pub first: Option<u64>,
    /// A share, 0 to 1. For a fault of the whole reply it is drawn for each request; for one of
    /// single bodies, once for each member, so that asking again gives the same body.
    pub probability: Option<f64>,
    /// At most so many times.
    pub times: Option<u64>,
    /// Where the request came in.
    pub endpoint: Option<Endpoint>,
    /// The model asked.
    pub model: Option<String>,
    /// A part of the source file's path.
    pub path: Option<String>,
    /// A member asked for.
    pub member: Option<String>,
    /// A parameter that the request carries.
    pub parameter: Option<Parameter>,
}

/// A parameter that some servers refuse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Parameter {
    /// `response_format` of any type.
    ResponseFormat,
    /// `response_format` of type `json_object`.
    JsonObject,
    /// `response_format` of type `json_schema`.
    JsonSchema,
    /// `max_tokens`, not `max_completion_tokens`.
    MaxTokens,
    /// `temperature`.
    Temperature,
    /// `stream: true`.
    Stream,
}

impl Selector {
    /// Whether the conditions on content hold.
    pub(crate) fn matches(&self, ask: &Ask) -> bool {
        let Self {
            nth: _,
            every: _,
            first: _,
            probability: _,
            times: _,
            endpoint,
            model,
            path,
            member,
            parameter,
        } = self;
        endpoint.is_none_or(|endpoint| endpoint == ask.endpoint)
            && model.as_ref().is_none_or(|model| *model == ask.model)
            && path
                .as_ref()
                .is_none_or(|path| ask.prompt.path.as_ref().is_some_and(|p| p.contains(path)))
            && member
                .as_ref()
                .is_none_or(|member| ask.prompt.members.contains(member))
            && parameter.is_none_or(|parameter| ask.carries(parameter))
    }

    /// Whether the conditions on counts hold for matching request number `number`, from 1, after
    /// the fault was played `played` times.
    pub(crate) fn counts(&self, number: u64, played: u64) -> bool {
        (self.nth.is_empty() || self.nth.contains(&number))
            && self.every.is_none_or(|every| number.is_multiple_of(every))
            && self.first.is_none_or(|first| number <= first)
            && self.times.is_none_or(|times| played < times)
    }

    pub(super) fn check(&self) -> Result<(), ScriptError> {
        let wrong = |what, range| Err(ScriptError::OutOfRange { what, range });
        if self.nth.contains(&0) {
            return wrong("nth", "1 or more");
        }
        if self.every == Some(0) {
            return wrong("every", "1 or more");
        }
        if self.probability.is_some_and(|p| !(0.0..=1.0).contains(&p)) {
            return wrong("probability", "between 0 and 1");
        }
        Ok(())
    }
}
