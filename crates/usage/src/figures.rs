//! Sums.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Money;

/// What some requests came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Figures {
    /// Calls: questions to a model, each of one or more requests.
    pub calls: u64,
    /// Requests sent.
    pub requests: u64,
    /// Tokens of prompts.
    pub input_tokens: u64,
    /// Of these, tokens the server had computed before.
    pub cached_input_tokens: u64,
    /// Tokens of answers.
    pub output_tokens: u64,
    /// What the requests with a known price cost, in billionths of a dollar.
    #[serde(rename = "cost_nano_usd")]
    pub cost: Money,
    /// Requests that used tokens of a model without a known price.
    pub unpriced_requests: u64,
    /// Requests whose use is not known, and was put down as the most it can have been.
    pub estimated_requests: u64,
}

/// What requests cost, as far as that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cost {
    /// All of it.
    Known(Money),
    /// This much, and what requests without a known price cost.
    AtLeast(Money),
    /// Nothing is known.
    Unknown,
}

impl Figures {
    /// Adds other figures to these.
    pub fn add(&mut self, other: &Self) {
        let Self {
            calls,
            requests,
            input_tokens,
            cached_input_tokens,
            output_tokens,
            cost,
            unpriced_requests,
            estimated_requests,
        } = *other;
        let add = |sum: &mut u64, more: u64| *sum = sum.saturating_add(more);
        add(&mut self.calls, calls);
        add(&mut self.requests, requests);
        add(&mut self.input_tokens, input_tokens);
        add(&mut self.cached_input_tokens, cached_input_tokens);
        add(&mut self.output_tokens, output_tokens);
        self.cost = self.cost + cost;
        add(&mut self.unpriced_requests, unpriced_requests);
        add(&mut self.estimated_requests, estimated_requests);
    }

    /// Tokens of prompts and answers.
    pub fn tokens(&self) -> u64 {
        self.input_tokens.saturating_add(self.output_tokens)
    }

    /// What they cost.
    pub fn cost(&self) -> Cost {
        match (self.unpriced_requests, self.cost) {
            (0, cost) => Cost::Known(cost),
            (_, Money::ZERO) => Cost::Unknown,
            (_, cost) => Cost::AtLeast(cost),
        }
    }
}

/// `$0.0123`, `$0.0123 + ?`, `?`.
impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(money) => write!(f, "{money}"),
            Self::AtLeast(money) => write!(f, "{money} + ?"),
            Self::Unknown => f.write_str("?"),
        }
    }
}
