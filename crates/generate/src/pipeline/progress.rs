//! What one run has found so far. It outlives the run's future, so that a run that is dropped
//! halfway still knows what it has.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use testsmith_domain::{
    BodyCache, BodySink, BoxFuture, CacheKey, CachedBody, Effort, Flight, GenerateError, Generated,
    MemberName, ProviderErrorKind, TestBody,
};

use super::{Decision, FileResult};
use crate::plan::{Plan, PlannedMember, Step};

/// Where a body came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    Cached,
    Asked,
    Scaffolded,
}

/// Collects what a run finds, stores answers, and holds the run's claims.
#[derive(Debug)]
pub(super) struct Progress {
    cache: Option<Arc<dyn BodyCache>>,
    /// For each model of the chain.
    keys: HashMap<MemberName, Vec<CacheKey>>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    found: HashMap<MemberName, Found>,
    /// Why, and which model was asked last.
    missing: HashMap<MemberName, (String, usize)>,
    effort: Effort,
    hits: u32,
    misses: u32,
    flights: Vec<(CacheKey, Box<dyn Flight>)>,
    error: Option<GenerateError>,
}

/// A body, and whose it is.
#[derive(Debug)]
struct Found {
    body: TestBody,
    origin: Origin,
    /// The place in the chain of the model that wrote it.
    link: usize,
}

impl Progress {
    pub(super) fn new(cache: Option<Arc<dyn BodyCache>>, plan: &Plan) -> Self {
        let wanted = plan.wanted().into_iter();
        Self {
            cache,
            keys: wanted
                .map(|planned| {
                    let keys = planned.answers.iter().map(|(key, _)| *key);
                    (planned.member.clone(), keys.collect())
                })
                .collect(),
            state: Mutex::default(),
        }
    }

    /// The state. A panic elsewhere cannot leave it half changed, so poison does not matter.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn hold(&self, key: CacheKey, flight: Box<dyn Flight>) {
        self.state().flights.push((key, flight));
    }

    pub(super) fn hit(&self, planned: &PlannedMember, link: usize, body: CachedBody) {
        let mut state = self.state();
        state.hits += 1;
        let body = TestBody {
            member: planned.member.clone(),
            code: body.code,
            model: body.model,
        };
        let found = Found {
            body,
            origin: Origin::Cached,
            link,
        };
        state.found.insert(planned.member.clone(), found);
        state.flights.retain(|(key, _)| *key != planned.question());
    }

    pub(super) fn miss(&self) {
        self.state().misses += 1;
    }

    /// Lets others have the keys that are claimed still.
    pub(super) fn release_all(&self) {
        self.state().flights.clear();
    }

    /// Whether others wait for an answer of this run.
    pub(super) fn is_followed(&self) -> bool {
        let state = self.state();
        state
            .flights
            .iter()
            .any(|(_, flight)| flight.followers() > 0)
    }

    pub(super) fn failed(&self) -> bool {
        self.state().error.is_some()
    }

    pub(super) fn effort(&self) -> Effort {
        self.state().effort
    }

    /// Notes what a generator gave back. Its cost is known from [`BodySink::spent`].
    pub(super) fn finish(&self, result: Result<Generated, GenerateError>, origin: Origin) {
        let mut state = self.state();
        match result {
            Ok(generated) => {
                for body in generated.bodies {
                    let member = body.member.clone();
                    let found = Found {
                        body,
                        origin,
                        link: 0,
                    };
                    // Answers are there already, by the sink.
                    state.found.entry(member).or_insert(found);
                }
                let missing = generated.missing.into_iter();
                state.missing.extend(
                    missing.map(|missing| (missing.member, (missing.reason, missing.link))),
                );
            }
            Err(error) => {
                state.error.get_or_insert(error);
            }
        }
    }

    pub(super) fn into_result(self, plan: Plan, cancelled: bool) -> FileResult {
        let mut state = self
            .state
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        let mut result = FileResult {
            effort: state.effort,
            hits: state.hits,
            misses: state.misses,
            obsolete: plan.obsolete,
            cancelled,
            ..FileResult::default()
        };
        for planned in plan.members {
            let PlannedMember {
                member,
                answers,
                mut block_key,
                step,
            } = planned;
            let key_of = |link: usize| answers.get(link).map(|(_, key)| key.clone());
            let decision = match step {
                Step::Fresh => Decision::Fresh,
                Step::Edited => Decision::Edited,
                Step::Kept => Decision::Kept,
                Step::Quarantined => Decision::Quarantined,
                Step::Finding => Decision::Finding,
                Step::Proposed => Decision::Proposed,
                Step::Deleted { newly } => {
                    if newly {
                        let deleted = (member.clone(), block_key.clone());
                        result.newly_deleted.push(deleted);
                    }
                    Decision::Deleted
                }
                Step::Wanted => {
                    if let Some(Found { body, origin, link }) = state.found.remove(&member) {
                        block_key = key_of(link).unwrap_or(block_key);
                        result.bodies.push((body, block_key.clone()));
                        match origin {
                            Origin::Cached => Decision::Cached,
                            Origin::Asked => Decision::Asked,
                            Origin::Scaffolded => Decision::Scaffolded,
                        }
                    } else {
                        let (decision, link) = state.without_body(&member);
                        block_key = link.and_then(key_of).unwrap_or(block_key);
                        decision
                    }
                }
            };
            result.decisions.push((member, block_key, decision));
        }
        result.error = state.error;
        result
    }
}

impl State {
    /// Gives the model that was asked as well, if it has answered.
    fn without_body(&mut self, member: &MemberName) -> (Decision, Option<usize>) {
        match self.missing.remove(member) {
            Some((reason, link)) => (Decision::Missing { reason }, Some(link)),
            None => match &self.error {
                None => (Decision::Unanswered, None),
                Some(error) if was_not_sent(error) => (Decision::Waits, None),
                Some(_) => (Decision::Failed, None),
            },
        }
    }
}

/// Whether the question was only put off: what ended before a retry was sent, and may be paid for.
fn was_not_sent(GenerateError::Provider(error): &GenerateError) -> bool {
    let is_put_off = matches!(
        error.kind,
        ProviderErrorKind::Budget | ProviderErrorKind::Unavailable
    );
    is_put_off && error.attempts == 0
}

impl BodySink for Progress {
    fn keep<'a>(&'a self, link: usize, bodies: &'a [TestBody]) -> BoxFuture<'a, ()> {
        let known = || {
            let keys_of = |body: &TestBody| self.keys.get(&body.member);
            bodies
                .iter()
                .filter_map(move |body| Some((keys_of(body)?, body)))
        };
        let entries: Vec<_> = known()
            .filter_map(|(keys, body)| {
                let kept = CachedBody {
                    code: body.code.clone(),
                    model: body.model.clone(),
                };
                Some((*keys.get(link)?, kept))
            })
            .collect();
        // Called here and not in the future below, so that the write is under way whatever
        // becomes of that.
        let stored = self.cache.as_ref().map(|cache| cache.store(entries));
        Box::pin(async move {
            if let Some(stored) = stored
                && let Err(error) = stored.await
            {
                let error: &dyn std::error::Error = &error;
                tracing::warn!(error, "an answer could not be kept in the cache");
            }
            let mut state = self.state();
            for (keys, body) in known() {
                let found = Found {
                    body: body.clone(),
                    origin: Origin::Asked,
                    link,
                };
                state.found.insert(body.member.clone(), found);
                state.flights.retain(|(held, _)| !keys.contains(held));
            }
        })
    }

    fn spent(&self, effort: Effort) {
        self.state().effort.add(effort);
    }
}

#[cfg(test)]
mod tests {
    use testsmith_domain::ProviderError;

    use super::*;

    #[test]
    fn what_was_sent_once_was_asked_for() {
        let put_off = |kind, attempts| {
            let mut error = ProviderError::new(kind, "no retry");
            error.attempts = attempts;
            was_not_sent(&GenerateError::Provider(error))
        };
        for kind in [ProviderErrorKind::Budget, ProviderErrorKind::Unavailable] {
            assert!(put_off(kind, 0));
            assert!(!put_off(kind, 1));
        }
        assert!(!put_off(ProviderErrorKind::RateLimited, 0));
    }
}
