//! What is asked next: the rules, without any call.

use testsmith_domain::{ProviderError, ProviderErrorKind};

use super::AnswerFormat;

/// The most tokens that the answer for one member is given when a smaller cap has cut it.
const LARGEST_CAP: u32 = 16_384;

/// How often a member was asked for because earlier answers lacked it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    First,
    /// Again, together with the others that were missing.
    Together,
    /// Alone, for the last time.
    Single,
}

/// One question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ask {
    /// The members, as indices into the request's.
    pub(super) members: Vec<usize>,
    pub(super) stage: Stage,
    pub(super) format: AnswerFormat,
    /// A cap on the answer other than the usual one.
    pub(super) max_tokens: Option<u32>,
    /// Only the members and what they use are shown, as a longer prompt was refused.
    pub(super) lean: bool,
    /// What was wrong with earlier answers, for the model.
    pub(super) remarks: Vec<(usize, String)>,
}

/// How large an answer may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Tokens for each member.
    pub(super) per_member: u32,
    /// Tokens in one answer, the model's own limit.
    pub(super) per_answer: u32,
}

/// What a call came to.
#[derive(Debug)]
pub(super) enum Reply {
    Answered {
        /// Members of the question without a usable body, and why.
        missing: Vec<(usize, String)>,
        /// Whether anything in it could be read.
        readable: bool,
        /// Whether it was cut at its cap.
        cut: bool,
    },
    Failed(ProviderError),
    /// Nothing was sent, since there was a secret in it.
    Withheld(String),
}

/// What a round of calls leads to.
#[derive(Debug, Default)]
pub(super) struct FollowUp {
    pub(super) asks: Vec<Ask>,
    /// Members that are given up, and why.
    pub(super) missing: Vec<(usize, String)>,
    /// The first failure that ends the request.
    pub(super) error: Option<ProviderError>,
}

impl Ask {
    pub(super) fn new(members: Vec<usize>, stage: Stage, format: AnswerFormat) -> Self {
        Self {
            members,
            stage,
            format,
            max_tokens: None,
            lean: false,
            remarks: Vec::new(),
        }
    }

    /// The cap on the answer, in tokens.
    pub(super) fn cap(&self, limits: Limits) -> u32 {
        let usual = || {
            let members = u32::try_from(self.members.len()).unwrap_or(u32::MAX);
            limits.per_member.saturating_mul(members)
        };
        self.max_tokens.unwrap_or_else(usual).min(limits.per_answer)
    }

    /// The same question for some of its members.
    fn about(&self, members: Vec<usize>) -> Self {
        let mut remarks = self.remarks.clone();
        remarks.retain(|(member, _)| members.contains(member));
        Self {
            members,
            remarks,
            ..self.clone()
        }
    }

    fn halves(&self, members: &[usize]) -> Vec<Self> {
        split_evenly(members, 2)
            .into_iter()
            .map(|half| self.about(half))
            .collect()
    }
}

impl Limits {
    /// How many calls `members` need at least, for their answers to fit the model's limit.
    pub(super) fn parts(self, members: usize) -> usize {
        let fitting = (self.per_answer / self.per_member).max(1);
        members.div_ceil(usize::try_from(fitting).unwrap_or(usize::MAX))
    }
}

impl FollowUp {
    /// Adds what follows from one call.
    pub(super) fn after(&mut self, ask: &Ask, reply: Reply, limits: Limits) {
        match reply {
            Reply::Failed(error) => self.after_failure(ask, error),
            // It may be in what belongs to one of the members.
            Reply::Withheld(reason) => match ask.members.as_slice() {
                [member] => self.missing.push((*member, reason)),
                members => self.asks.extend(ask.halves(members)),
            },
            Reply::Answered { missing, .. } if missing.is_empty() => {}
            Reply::Answered {
                missing,
                readable,
                cut,
            } => {
                // A model that could not keep to JSON is not asked for it again; nor is one that
                // filled its cap without writing a test, as servers' JSON modes can loop.
                let format = if readable {
                    ask.format
                } else {
                    AnswerFormat::Delimiter
                };
                let ask = Ask {
                    format,
                    ..ask.clone()
                };
                if cut {
                    self.after_cut(&ask, missing, limits);
                } else {
                    self.after_answer(&ask, missing);
                }
            }
        }
    }

    fn after_failure(&mut self, ask: &Ask, error: ProviderError) {
        let splits = match error.kind {
            ProviderErrorKind::TooLong | ProviderErrorKind::ContentFilter => true,
            ProviderErrorKind::Connect
            | ProviderErrorKind::Interrupted
            | ProviderErrorKind::Timeout
            | ProviderErrorKind::RateLimited
            | ProviderErrorKind::Server
            | ProviderErrorKind::EmptyReply
            | ProviderErrorKind::Billing
            | ProviderErrorKind::Auth
            | ProviderErrorKind::NotFound
            | ProviderErrorKind::Rejected
            | ProviderErrorKind::Budget
            | ProviderErrorKind::Unavailable => false,
        };
        let too_long = error.kind == ProviderErrorKind::TooLong;
        let next = Ask {
            lean: ask.lean || too_long,
            ..ask.clone()
        };
        match ask.members.as_slice() {
            _ if !splits => {
                self.error.get_or_insert(error);
            }
            [_] if next.lean != ask.lean => self.asks.push(next),
            [member] => self.missing.push((*member, error.to_string())),
            members => self.asks.extend(next.halves(members)),
        }
    }

    /// The answer reached its cap: the rest is asked for in halves, or with a larger cap, but never
    /// in the same way again.
    fn after_cut(&mut self, ask: &Ask, missing: Vec<(usize, String)>, limits: Limits) {
        if let [member] = ask.members.as_slice() {
            let cap = ask.cap(limits);
            let larger = cap
                .saturating_mul(4)
                .min(LARGEST_CAP)
                .min(limits.per_answer);
            if larger > cap {
                self.asks.push(Ask {
                    max_tokens: Some(larger),
                    ..ask.clone()
                });
            } else {
                let reason = format!("the answer did not fit into {cap} tokens");
                self.missing.push((*member, reason));
            }
            return;
        }
        let members: Vec<usize> = missing.into_iter().map(|(member, _)| member).collect();
        self.asks.extend(ask.halves(&members));
    }

    /// The answer was whole, but not all there: once more together, then each alone, then never.
    fn after_answer(&mut self, ask: &Ask, missing: Vec<(usize, String)>) {
        let members: Vec<usize> = missing.iter().map(|(member, _)| *member).collect();
        match (ask.stage, members.len()) {
            (Stage::Single, _) => self.missing.extend(missing),
            (Stage::First, 2..) => self.asks.push(Ask {
                stage: Stage::Together,
                remarks: missing,
                ..ask.about(members)
            }),
            (Stage::First | Stage::Together, _) => {
                self.asks.extend(missing.into_iter().map(|remark| Ask {
                    stage: Stage::Single,
                    remarks: vec![remark.clone()],
                    ..ask.about(vec![remark.0])
                }));
            }
        }
    }
}

/// Splits into `parts` runs whose lengths differ by one at most; no run is empty.
pub(super) fn split_evenly(members: &[usize], parts: usize) -> Vec<Vec<usize>> {
    let parts = parts.clamp(1, members.len().max(1));
    let (size, longer) = (members.len() / parts, members.len() % parts);
    let mut rest = members;
    (0..parts)
        .map(|part| {
            let (head, tail) = rest.split_at(size + usize::from(part < longer));
            rest = tail;
            head.to_vec()
        })
        .filter(|run| !run.is_empty())
        .collect()
}

#[cfg(test)]
mod tests;
