//! What the simulator is to do: how fast it answers, whom it lets in, and which faults it plays.

mod fault;
mod latency;
mod selector;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use fault::{BadBody, Cut, Fault, Preset, ResetPoint, RetryAfter, UsageFault};
pub use latency::Latency;
pub use selector::{Parameter, Selector};

/// A simulator's whole behaviour. The default answers everything at once and well.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Script {
    /// All chance comes from this: the same requests under the same seed get the same answers,
    /// delays and faults, in whatever order they arrive.
    pub seed: u64,
    /// How long an answer takes, faults or none.
    pub latency: Latency,
    /// The key that requests must carry; without one, any request is let in.
    pub api_key: Option<String>,
    /// The models that exist; empty for "all".
    pub models: Vec<String>,
    /// The longest prompt taken, in tokens; a longer one gets 400 `context_length_exceeded`.
    pub context_tokens: Option<u64>,
    /// The most tokens one answer may ask for; more gets 400.
    pub max_output_tokens: Option<u64>,
    /// Headers added to each answer, for instance `x-ratelimit-remaining-requests`.
    pub headers: BTreeMap<String, String>,
    /// Whether the log keeps the requests' bodies. Off by default: a long run would fill memory.
    pub log_bodies: bool,
    /// The faults, in order. Of those that change the whole reply, the first whose selector fires
    /// is played; those that spoil single bodies ([`Fault::Body`]) are played beside it.
    pub rules: Vec<Rule>,
}

/// A fault, and when it is played.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// When; by default, always.
    #[serde(default)]
    pub when: Selector,
    /// What.
    pub fault: Fault,
}

/// Why a script cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    /// It is no TOML, or not of the script's form.
    #[error("the script cannot be read")]
    Toml(#[from] toml::de::Error),
    /// It is no JSON, or not of the script's form.
    #[error("the script cannot be read")]
    Json(#[from] serde_json::Error),
    /// A figure is out of its range.
    #[error("`{what}` must be {range}")]
    OutOfRange {
        /// The setting.
        what: &'static str,
        /// Its range.
        range: &'static str,
    },
}

impl Script {
    /// Reads a script from TOML.
    pub fn from_toml(text: &str) -> Result<Self, ScriptError> {
        toml::from_str::<Self>(text)?.checked()
    }

    /// Reads a script from JSON.
    pub fn from_json(text: &[u8]) -> Result<Self, ScriptError> {
        serde_json::from_slice::<Self>(text)?.checked()
    }

    /// Sets the seed.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Sets how long an answer takes.
    #[must_use]
    pub fn latency(mut self, latency: Latency) -> Self {
        self.latency = latency;
        self
    }

    /// Requires a key.
    #[must_use]
    pub fn api_key(mut self, key: impl Into<String>) -> Self {
        self.api_key = Some(key.into());
        self
    }

    /// Keeps the requests' bodies in the log.
    #[must_use]
    pub fn log_bodies(mut self) -> Self {
        self.log_bodies = true;
        self
    }

    /// Adds a rule: a [`Fault`] alone is played always.
    #[must_use]
    pub fn rule(mut self, rule: impl Into<Rule>) -> Self {
        self.rules.push(rule.into());
        self
    }

    fn checked(self) -> Result<Self, ScriptError> {
        for rule in &self.rules {
            rule.when.check()?;
            rule.fault.check()?;
        }
        self.latency.check()?;
        Ok(self)
    }
}

impl From<Fault> for Rule {
    fn from(fault: Fault) -> Self {
        Self {
            when: Selector::default(),
            fault,
        }
    }
}

impl Rule {
    /// Plays the fault for the `nth` matching request only, counted from 1.
    #[must_use]
    pub fn nth(mut self, nth: u64) -> Self {
        self.when.nth.push(nth);
        self
    }

    /// Plays the fault for every `every`th matching request.
    #[must_use]
    pub fn every(mut self, every: u64) -> Self {
        self.when.every = Some(every);
        self
    }

    /// Plays the fault for the first `first` matching requests, then never.
    #[must_use]
    pub fn first(mut self, first: u64) -> Self {
        self.when.first = Some(first);
        self
    }

    /// Plays the fault with this probability, 0 to 1.
    #[must_use]
    pub fn probability(mut self, probability: f64) -> Self {
        self.when.probability = Some(probability);
        self
    }

    /// Stops after the fault was played `times` times.
    #[must_use]
    pub fn times(mut self, times: u64) -> Self {
        self.when.times = Some(times);
        self
    }

    /// Plays the fault only where this member is asked for.
    #[must_use]
    pub fn member(mut self, member: impl Into<String>) -> Self {
        self.when.member = Some(member.into());
        self
    }

    /// Plays the fault only for this model.
    #[must_use]
    pub fn model(mut self, model: impl Into<String>) -> Self {
        self.when.model = Some(model.into());
        self
    }

    /// Plays the fault only where the source file's path contains this text.
    #[must_use]
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.when.path = Some(path.into());
        self
    }

    /// Plays the fault only where the request carries this parameter.
    #[must_use]
    pub fn carrying(mut self, parameter: Parameter) -> Self {
        self.when.parameter = Some(parameter);
        self
    }
}
