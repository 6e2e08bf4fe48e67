//! The seam to whoever counts what requests cost, and says when no more is to be spent.

use std::fmt;
use std::time::Duration;

use crate::{BoxFuture, ModelIdentity, Usage};

/// Counts requests to models, and sets aside beforehand what each may cost at most.
pub trait RequestMeter: Send + Sync + fmt::Debug {
    /// Sets aside what one request may cost. Waits where it would fit if requests that are open
    /// now turned out cheaper than was set aside for them.
    fn reserve<'a>(
        &'a self,
        request: PlannedRequest<'a>,
    ) -> BoxFuture<'a, Result<Box<dyn Reservation>, OutOfBudget>>;
}

/// What was set aside for one request. Dropped before [`Reservation::sent`], it is given back;
/// dropped after it, all of it counts as spent: nobody knows what the server did.
pub trait Reservation: Send + fmt::Debug {
    /// To be called right before the request goes out.
    fn sent(&mut self);

    /// The request ended, and this is what it took.
    fn settle(self: Box<Self>, spent: Spent);
}

/// A request about to be sent.
#[derive(Debug, Clone, Copy)]
pub struct PlannedRequest<'a> {
    /// Who is asked.
    pub model: &'a ModelIdentity,
    /// Whether it costs nothing: a model on the user's own machine.
    pub is_free: bool,
    /// Tokens of the prompt; an estimate that is rather too large than too small.
    pub prompt_tokens: u64,
    /// The most tokens that the answer may have.
    pub output_tokens: u64,
    /// Whether it is the first of its call: the others are retries.
    pub begins_call: bool,
}

/// What a request took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spent {
    /// Nothing: the server refused it, or was not reached.
    Nothing,
    /// What the server says.
    Used(Usage),
    /// Nobody knows: the reply was cut, or never came.
    Unknown,
}

/// A limit of the user's own is reached. Nothing was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutOfBudget {
    /// What is used up, when it goes on, and the remedy; a lower-case fragment.
    pub message: String,
    /// Until the limit starts anew.
    pub wait: Duration,
}
