//! What is asked about bodies that were run and did not hold: for better ones, and who is wrong.

use std::sync::{Arc, Mutex, PoisonError};

use testsmith_domain::{
    BlockKey, BodyRequest, BodySink, BoxFuture, CacheKey, CachedBody, Effort, FailedBody,
    GenerateError, Judgement, Lookup, MemberName, TestBody,
};

use super::{FileResult, Pipeline, prompt_context};
use crate::plan::{FileRequest, Plan, PlannedMember, Step};

/// Who is wrong, as far as it was told.
#[derive(Debug, Default)]
pub struct Judged {
    /// For each member that was judged.
    pub judgements: Vec<(MemberName, Judgement)>,
    /// What it cost.
    pub effort: Effort,
    /// Why the rest was not.
    pub error: Option<GenerateError>,
}

impl Pipeline {
    /// Finds or asks for better bodies in place of those that did not hold, all in one batch, through
    /// the same cache and stack as the first ones. The same failure is asked about once, ever.
    pub async fn repair(
        &self,
        request: &FileRequest,
        failed: &[FailedBody],
        superseded: impl Future<Output = ()>,
    ) -> FileResult {
        let members = failed.iter().filter_map(|failed| {
            let mut answers = self.keys_of(request, &failed.member)?;
            let block_key = answers.first()?.1.clone();
            for (key, _) in &mut answers {
                *key = follow_up(request, *key, "repair", failed);
            }
            Some(PlannedMember {
                member: failed.member.clone(),
                answers,
                block_key,
                step: Step::Wanted,
            })
        });
        let plan = Plan {
            members: members.collect(),
            obsolete: Vec::new(),
        };
        let failed: Arc<[FailedBody]> = failed.into();
        self.work_off(request, plan, &failed, superseded).await
    }

    /// Asks who is wrong, once: for what was asked about before, the answer is remembered.
    pub async fn judge(&self, request: &FileRequest, failed: &[FailedBody]) -> Judged {
        let mut judged = Judged::default();
        let mut open = Vec::new();
        for failed in failed {
            let Some(answers) = self.keys_of(request, &failed.member) else {
                continue;
            };
            let keys = self.wanted_keys(&answers).into_iter();
            let keys: Vec<CacheKey> = keys
                .map(|key| follow_up(request, key, "judge", failed))
                .collect();
            match self.remembered(keys.clone()).await {
                Some(judgement) => judged.judgements.push((failed.member.clone(), judgement)),
                None => open.push((keys, failed.clone())),
            }
        }
        if open.is_empty() {
            return judged;
        }
        let asked = |member: &&testsmith_domain::Member| {
            open.iter().any(|(_, failed)| failed.member == member.name)
        };
        let bodies = BodyRequest {
            file: Arc::clone(&request.file),
            source: Arc::clone(&request.source),
            members: request.file.members.iter().filter(asked).cloned().collect(),
            context: prompt_context(request).await,
            guidance: request.guidance.clone(),
            failed: open.iter().map(|(_, failed)| failed.clone()).collect(),
            driver: Arc::clone(&request.driver),
        };
        let spent = Spent::default();
        let answer = self.generator.judge(&bodies, &spent).await;
        judged.effort = spent.effort();
        match answer {
            Ok((link, answer)) => {
                for (keys, failed) in &open {
                    let found = answer.iter().find(|(member, _)| *member == failed.member);
                    if let Some((member, judgement)) = found {
                        if let Some(key) = keys.get(link) {
                            self.remember(*key, judgement).await;
                        }
                        judged.judgements.push((member.clone(), judgement.clone()));
                    }
                }
            }
            Err(error) => judged.error = Some(error),
        }
        judged
    }

    /// Keeps bodies that were verified under the keys that their blocks have, in place of the first
    /// answers, so that nobody pays for the failures twice.
    pub async fn keep(&self, request: &FileRequest, bodies: &[(TestBody, BlockKey)]) {
        let Some(cache) = &self.cache else { return };
        let entries: Vec<(CacheKey, CachedBody)> = bodies
            .iter()
            .filter_map(|(body, block_key)| {
                let answers = self.keys_of(request, &body.member)?;
                let (key, _) = answers.into_iter().find(|(_, key)| key == block_key)?;
                let kept = CachedBody {
                    code: body.code.clone(),
                    model: body.model.clone(),
                };
                Some((key, kept))
            })
            .collect();
        if let Err(error) = cache.store(entries).await {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(error, "a verified body could not be kept in the cache");
        }
    }

    fn keys_of(
        &self,
        request: &FileRequest,
        member: &MemberName,
    ) -> Option<Vec<(CacheKey, BlockKey)>> {
        let member = request.file.members.iter().find(|m| m.name == *member)?;
        Some(self.answers_of(request, member))
    }

    async fn remembered(&self, keys: Vec<CacheKey>) -> Option<Judgement> {
        let found = self.cache.as_ref()?.lookup_first(&[keys]).await;
        match found.into_iter().next()?.1 {
            Lookup::Hit(kept) => serde_json::from_str(&kept.code).ok(),
            Lookup::Miss(_) => None,
        }
    }

    async fn remember(&self, key: CacheKey, judgement: &Judgement) {
        let (Some(cache), Ok(code)) = (&self.cache, serde_json::to_string(judgement)) else {
            return;
        };
        let kept = CachedBody {
            code,
            model: judgement.model.clone(),
        };
        if let Err(error) = cache.store(vec![(key, kept)]).await {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(error, "a judgement could not be kept in the cache");
        }
    }
}

fn follow_up(
    request: &FileRequest,
    key: CacheKey,
    question: &str,
    failed: &FailedBody,
) -> CacheKey {
    let test_path = &request.file.test_path;
    key.follow_up(question, &request.driver.body_sum(test_path, &failed.code))
}

/// Takes note of what a call cost; it brings no bodies.
#[derive(Debug, Default)]
struct Spent(Mutex<Effort>);

impl Spent {
    fn effort(&self) -> Effort {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BodySink for Spent {
    fn keep<'a>(&'a self, _: usize, _: &'a [TestBody]) -> BoxFuture<'a, ()> {
        Box::pin(std::future::ready(()))
    }

    fn spent(&self, effort: Effort) {
        let mut spent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        spent.add(effort);
    }
}
