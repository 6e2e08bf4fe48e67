//! Asks a language model.

mod ask;
mod call;
mod gate;
mod judge;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use futures_util::future::join_all;
use testsmith_domain::{
    BatchBodyGenerator, BodyGenerator, BodyRequest, BodySink, BoxFuture, GenerateError, Generated,
    Judgements, MissingBody, Provider,
};

use testsmith_secrets::Scanner;

use ask::{Ask, FollowUp, Limits, Reply, Stage};
use gate::{Gate, Screened};

/// The form a model is asked to answer in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AnswerFormat {
    /// A JSON object, with the server's JSON mode on.
    #[default]
    JsonObject,
    /// A JSON object of a schema that the server enforces.
    JsonSchema,
    /// Plain text, one marked block for each member. Some models write better code this way than
    /// inside JSON; it is also what any model is asked for after an answer that could not be read.
    Delimiter,
}

/// How a model is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GeneratorSettings {
    /// Tokens that the answer for one member may have; a batch may have as many times more.
    pub max_tokens_per_member: u32,
    /// Tokens that one call's prompt should have at most, as estimated from its bytes. Context is
    /// left out first, then the batch is split; a single member is asked for whatever its size.
    pub prompt_token_budget: u32,
    /// The form of the answer.
    pub format: AnswerFormat,
}

impl Default for GeneratorSettings {
    fn default() -> Self {
        Self {
            max_tokens_per_member: 1500,
            prompt_token_budget: 6000,
            format: AnswerFormat::default(),
        }
    }
}

/// A [`BodyGenerator`] that asks a language model; batched, one call for each file.
///
/// Beyond one call come only those that an answer makes necessary, and no more than twice the
/// members and four in all: members that were left out or whose code cannot be used are asked for
/// again together, then singly; a cut answer's rest in halves; a batch that is too long or was
/// refused by a filter in halves. Any other failed call ends the request.
///
/// What is sent is searched for secrets before: a member that holds one is not asked for.
#[derive(Debug)]
pub struct ModelGenerator {
    gate: Gate,
    settings: GeneratorSettings,
    /// Whether the user was told that the server seems to cut prompts.
    told_of_cut_prompts: AtomicBool,
}

impl ModelGenerator {
    /// A generator that asks `provider`, which is expected to retry and to keep to limits itself.
    pub fn new(provider: Arc<dyn Provider>, settings: GeneratorSettings) -> Self {
        Self {
            gate: Gate::new(provider),
            settings,
            told_of_cut_prompts: AtomicBool::new(false),
        }
    }

    /// Searches for secrets as `scanner` does. Without this, nothing that any rule finds passes.
    #[must_use]
    pub fn scanning_with(mut self, scanner: Scanner) -> Self {
        self.gate.scan_with(scanner);
        self
    }

    fn limits(&self) -> Limits {
        Limits {
            per_member: self.settings.max_tokens_per_member.max(1),
            per_answer: self.gate.max_output_tokens(),
        }
    }

    /// Asks for the first `wanted` members of `request`.
    async fn answer(
        &self,
        request: &BodyRequest,
        wanted: usize,
        sink: &dyn BodySink,
    ) -> Result<Generated, GenerateError> {
        let limits = self.limits();
        let mut out = Generated::default();
        let screened = self.gate.screen(request, wanted);
        let request = &screened.request;
        // Which model was asked last for each member.
        let mut links = vec![0; request.members.len()];
        for (member, reason) in &screened.withheld {
            out.missing
                .extend(missing(request, &[*member], reason, &links));
        }
        let mut asks = self.first_asks(&screened, wanted);
        let bound = 2 * wanted + 4;
        let mut calls = 0;
        while !asks.is_empty() {
            for ask in asks.split_off(asks.len().min(bound - calls)) {
                let reason = format!("gave up after {bound} calls");
                out.missing
                    .extend(missing(request, &ask.members, &reason, &links));
            }
            let outcomes = join_all(asks.iter().map(|ask| self.call(&screened, ask, sink))).await;
            let mut next = FollowUp::default();
            for (ask, outcome) in asks.iter().zip(outcomes) {
                // A question that was not sent is no call; it is only split, so that ends too.
                calls += usize::from(!matches!(outcome.reply, Reply::Withheld(_)));
                out.effort.add(outcome.effort);
                ask.members.iter().for_each(|at| links[*at] = outcome.link);
                out.bodies.extend(outcome.bodies);
                next.after(ask, outcome.reply, limits);
            }
            if let Some(error) = next.error {
                return Err(error.into());
            }
            for (member, reason) in next.missing {
                out.missing
                    .extend(missing(request, &[member], &reason, &links));
            }
            asks = next.asks;
        }
        Ok(out)
    }

    /// One question for all members, or as few as the limits allow.
    fn first_asks(&self, screened: &Screened, wanted: usize) -> Vec<Ask> {
        let mut fitting = Vec::new();
        let withheld = |at: &usize| screened.withheld.iter().any(|(member, _)| member == at);
        let members: Vec<usize> = (0..wanted.min(screened.request.members.len()))
            .filter(|at| !withheld(at))
            .collect();
        let mut waiting = ask::split_evenly(&members, self.limits().parts(members.len()));
        waiting.reverse();
        while let Some(members) = waiting.pop() {
            let ask = Ask::new(members, Stage::First, self.settings.format);
            if ask.members.len() > 1 && !self.fits(screened, &ask) {
                let halves = ask::split_evenly(&ask.members, 2);
                waiting.extend(halves.into_iter().rev());
            } else {
                fitting.push(ask);
            }
        }
        fitting
    }
}

fn missing(
    request: &BodyRequest,
    members: &[usize],
    reason: &str,
    links: &[usize],
) -> Vec<MissingBody> {
    members
        .iter()
        .filter_map(|at| {
            Some(MissingBody {
                member: request.members.get(*at)?.name.clone(),
                reason: reason.to_owned(),
                link: links.get(*at).copied().unwrap_or_default(),
            })
        })
        .collect()
}

impl BodyGenerator for ModelGenerator {
    fn generate<'a>(
        &'a self,
        request: &'a BodyRequest,
        sink: &'a dyn BodySink,
    ) -> BoxFuture<'a, Result<Generated, GenerateError>> {
        Box::pin(self.answer(request, 1, sink))
    }

    fn as_batch(&self) -> Option<&dyn BatchBodyGenerator> {
        Some(self)
    }

    fn judge<'a>(
        &'a self,
        request: &'a BodyRequest,
        sink: &'a dyn BodySink,
    ) -> BoxFuture<'a, Result<Judgements, GenerateError>> {
        Box::pin(self.ask_who_is_wrong(request, sink))
    }
}

impl BatchBodyGenerator for ModelGenerator {
    fn generate_batch<'a>(
        &'a self,
        request: &'a BodyRequest,
        sink: &'a dyn BodySink,
    ) -> BoxFuture<'a, Result<Generated, GenerateError>> {
        Box::pin(self.answer(request, request.members.len(), sink))
    }
}
