//! What one run has found so far. It outlives the run's future, so that a run that is dropped
//! halfway still knows what it has.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use testsmith_domain::{
    BodyCache, BodySink, BoxFuture, CacheKey, CachedBody, Effort, Flight, GenerateError, Generated,
    MemberName, TestBody,
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
    keys: HashMap<MemberName, CacheKey>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    found: HashMap<MemberName, (TestBody, Origin)>,
    missing: HashMap<MemberName, String>,
    effort: Effort,
    hits: u32,
    misses: u32,
    flights: Vec<(CacheKey, Box<dyn Flight>)>,
    error: Option<GenerateError>,
}

impl Progress {
    pub(super) fn new(cache: Option<Arc<dyn BodyCache>>, plan: &Plan) -> Self {
        let wanted = plan.wanted().into_iter();
        Self {
            cache,
            keys: wanted
                .map(|planned| (planned.member.clone(), planned.key))
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

    pub(super) fn hit(&self, planned: &PlannedMember, body: CachedBody) {
        let mut state = self.state();
        state.hits += 1;
        let body = TestBody {
            member: planned.member.clone(),
            code: body.code,
            model: body.model,
        };
        state
            .found
            .insert(planned.member.clone(), (body, Origin::Cached));
        state.flights.retain(|(key, _)| *key != planned.key);
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
                    state.found.entry(member).or_insert((body, origin));
                }
                let missing = generated.missing.into_iter();
                state
                    .missing
                    .extend(missing.map(|missing| (missing.member, missing.reason)));
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
                block_key,
                step,
                ..
            } = planned;
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
                Step::Wanted => match state.found.remove(&member) {
                    Some((body, origin)) => {
                        result.bodies.push((body, block_key.clone()));
                        match origin {
                            Origin::Cached => Decision::Cached,
                            Origin::Asked => Decision::Asked,
                            Origin::Scaffolded => Decision::Scaffolded,
                        }
                    }
                    None => state.without_body(&member),
                },
            };
            result.decisions.push((member, block_key, decision));
        }
        result.error = state.error;
        result
    }
}

impl State {
    fn without_body(&mut self, member: &MemberName) -> Decision {
        match self.missing.remove(member) {
            Some(reason) => Decision::Missing { reason },
            None if self.error.is_some() => Decision::Failed,
            None => Decision::Unanswered,
        }
    }
}

impl BodySink for Progress {
    fn keep<'a>(&'a self, bodies: &'a [TestBody]) -> BoxFuture<'a, ()> {
        let known = || {
            let key_of = |body: &TestBody| self.keys.get(&body.member).copied();
            bodies
                .iter()
                .filter_map(move |body| Some((key_of(body)?, body)))
        };
        let entries: Vec<_> = known()
            .map(|(key, body)| {
                let kept = CachedBody {
                    code: body.code.clone(),
                    model: body.model.clone(),
                };
                (key, kept)
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
            for (key, body) in known() {
                let found = (body.clone(), Origin::Asked);
                state.found.insert(body.member.clone(), found);
                state.flights.retain(|(held, _)| *held != key);
            }
        })
    }

    fn spent(&self, effort: Effort) {
        self.state().effort.add(effort);
    }
}
