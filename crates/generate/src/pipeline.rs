//! Brings one file's tests up to date, as far as bodies go: plan, cache, ask.

mod follow_up;
mod progress;

use std::pin::pin;
use std::sync::Arc;

use futures_util::future::{join_all, poll_immediate};
use testsmith_domain::{
    BlockKey, BodyCache, BodyGenerator, BodyProblem, BodyRequest, CacheKey, CacheStats,
    CacheStatsReporter, CachedBody, Claim, Effort, FailedBody, GenerateError, KeyInputs, Lookup,
    Member, MemberName, ModelIdentity, PromptContext, Step, TestBody, note, shortened,
};
use tracing::{Instrument as _, Span, field};

use crate::plan::{self, FileRequest, Plan, PlannedMember, Wants};
use crate::prompt::PROMPT_VERSION;
pub use follow_up::Judged;
use progress::{Origin, Progress};

/// Finds or asks for the bodies that a file lacks.
///
/// It is shared by all workers; equal questions of two of them are asked once.
#[derive(Debug)]
pub struct Pipeline {
    generator: Arc<dyn BodyGenerator>,
    cache: Option<Arc<dyn BodyCache>>,
    /// Whose answers count, the preferred model's first.
    chain: Vec<ModelIdentity>,
    only_preferred: bool,
    batch_enabled: bool,
}

/// What was decided for a member, and came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Its block is up to date.
    Fresh,
    /// Its block was edited: it is the user's.
    Edited,
    /// Its block was deleted by the user.
    Deleted,
    /// Its block is older than its code, and stays since there is no model to write a better one.
    Kept,
    /// Its body was run and did not hold; it is kept out of the tree.
    Quarantined,
    /// Tests of its body fail in each run, in an assertion: the user hears of them.
    Finding,
    /// Its body waits for the user to accept it.
    Proposed,
    /// Its body came from the cache.
    Cached,
    /// Its body came from the model.
    Asked,
    /// A placeholder was drawn for it.
    Scaffolded,
    /// It was asked for, and there is no usable body.
    Missing {
        /// Why, for people.
        reason: String,
    },
    /// It could not be asked for; see [`FileResult::error`].
    Failed,
    /// It was not asked for, since a budget is used up or nobody can be asked just now; see
    /// [`FileResult::error`].
    Waits,
    /// It was not asked for, or no answer was awaited: a preview, or a cancelled run.
    Unanswered,
}

impl Decision {
    /// The decision's name in logs.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Edited => "edited",
            Self::Deleted => "deleted",
            Self::Kept => "kept",
            Self::Quarantined => "quarantined",
            Self::Finding => "finding",
            Self::Proposed => "proposed",
            Self::Cached => "cached",
            Self::Asked => "asked",
            Self::Scaffolded => "scaffolded",
            Self::Missing { .. } => "missing",
            Self::Failed => "failed",
            Self::Waits => "waits",
            Self::Unanswered => "unanswered",
        }
    }
}

/// What came of one file.
#[derive(Debug, Default)]
pub struct FileResult {
    /// Every member of the file, in its order, with the key of its answer.
    pub decisions: Vec<(MemberName, BlockKey, Decision)>,
    /// Bodies to write, in the members' order. They are good even if there is an `error`.
    pub bodies: Vec<(TestBody, BlockKey)>,
    /// What it cost, as far as calls have ended.
    pub effort: Effort,
    /// Members found in the cache.
    pub hits: u32,
    /// Members looked up and not found.
    pub misses: u32,
    /// Blocks that were written once and are gone: the ledger should note that the user deleted
    /// them.
    pub newly_deleted: Vec<(MemberName, BlockKey)>,
    /// Blocks that may be removed, see [`Plan::obsolete`].
    pub obsolete: Vec<MemberName>,
    /// Whether the run ended early because newer content superseded it.
    pub cancelled: bool,
    /// Why some members are [`Decision::Failed`].
    pub error: Option<GenerateError>,
}

impl Pipeline {
    /// A pipeline that asks `generator`, whose answers are those of `identity`.
    ///
    /// `cache` is not used for a generator whose bodies are no answers. With `batch_enabled` off,
    /// every member is a call of its own.
    pub fn new(
        generator: Arc<dyn BodyGenerator>,
        cache: Option<Arc<dyn BodyCache>>,
        identity: ModelIdentity,
        batch_enabled: bool,
    ) -> Self {
        let cache = cache.filter(|_| generator.cacheable());
        Self {
            generator,
            cache,
            chain: vec![identity],
            only_preferred: false,
            batch_enabled,
        }
    }

    /// The same where answers of these models count as well: the generator asks them, in this order,
    /// while the preferred one cannot answer.
    #[must_use]
    pub fn with_fallback(mut self, models: impl IntoIterator<Item = ModelIdentity>) -> Self {
        self.chain.extend(models);
        self
    }

    /// The same where only the preferred model's answers will do, and `generator` asks no other. What
    /// others answered stays until there is one.
    #[must_use]
    pub fn only_preferred(mut self, generator: Arc<dyn BodyGenerator>) -> Self {
        self.generator = generator;
        self.only_preferred = true;
        self
    }

    /// What is to be done for a file: no call, no cache, no I/O.
    pub fn plan(&self, request: &FileRequest) -> Plan {
        let members = &request.file.members;
        let answers_of = |at: usize| Some(self.answers_of(request, members.get(at)?));
        let wants = Wants {
            replaces: self.generator.cacheable(),
            prefers: self.only_preferred,
        };
        plan::plan(request, answers_of, wants)
    }

    /// The keys of a member's answer, one for each model of the chain.
    fn answers_of(&self, request: &FileRequest, member: &Member) -> Vec<(CacheKey, BlockKey)> {
        let key_of = |model: &ModelIdentity| {
            CacheKey::derive(&KeyInputs {
                language: request.file.language,
                framework: &request.file.framework,
                member: &member.name,
                source: &member.digest,
                model,
                prompt_version: PROMPT_VERSION,
            })
        };
        let keys = self.chain.iter().map(key_of);
        keys.map(|key| (key, BlockKey(key.short()))).collect()
    }

    /// Of these keys, those whose answers will do.
    fn wanted_keys(&self, answers: &[(CacheKey, BlockKey)]) -> Vec<CacheKey> {
        let count = if self.only_preferred {
            1
        } else {
            answers.len()
        };
        answers.iter().take(count).map(|(key, _)| *key).collect()
    }

    /// The name of the model that the answer of this key is from.
    pub fn model_of(&self, request: &FileRequest, member: &MemberName, key: &BlockKey) -> &str {
        let members = &request.file.members;
        let member = members.iter().find(|known| known.name == *member);
        let answers = member.map(|member| self.answers_of(request, member));
        let at = answers.and_then(|all| all.iter().position(|(_, block)| block == key));
        &self.chain[at.unwrap_or_default()].model
    }

    /// Finds or asks for what is wanted.
    ///
    /// When `superseded` completes, the calls are dropped, unless somebody else waits for one of
    /// their answers; what was answered before is stored all the same. The future may be dropped
    /// at any time with the same effect.
    pub async fn run(
        &self,
        request: &FileRequest,
        superseded: impl Future<Output = ()>,
    ) -> FileResult {
        let plan = self.plan(request);
        self.work_off(request, plan, &Arc::default(), superseded)
            .await
    }

    /// Finds or asks for what a plan wants; `failed` are bodies that better ones are wanted for.
    async fn work_off(
        &self,
        request: &FileRequest,
        plan: Plan,
        failed: &Arc<[FailedBody]>,
        superseded: impl Future<Output = ()>,
    ) -> FileResult {
        let progress = Progress::new(self.cache.clone(), &plan);
        let wanted = plan.wanted();
        let mut cancelled = false;
        if !wanted.is_empty() {
            let span = tracing::info_span!(
                "member_batch",
                members = wanted.len(),
                calls = field::Empty,
                tokens_in = field::Empty,
                tokens_out = field::Empty,
            );
            let work = self.find_or_ask(request, wanted, failed, &progress);
            let work = work.instrument(span.clone());
            cancelled = !completes(work, superseded, &progress).await;
            record(&span, progress.effort());
        }
        report(progress.into_result(plan, cancelled))
    }

    /// What [`Pipeline::run`] would find without asking a model: for `--dry-run`. Members that
    /// would be asked for are [`Decision::Unanswered`].
    pub async fn preview(&self, request: &FileRequest) -> FileResult {
        let plan = self.plan(request);
        let progress = Progress::new(self.cache.clone(), &plan);
        if let Some(cache) = &self.cache {
            self.look_up(request, &**cache, plan.wanted(), &progress)
                .await;
        } else if !self.generator.cacheable() {
            self.ask(request, &plan.wanted(), &Arc::default(), &progress)
                .await;
        }
        report(progress.into_result(plan, false))
    }

    async fn find_or_ask(
        &self,
        request: &FileRequest,
        mut wanted: Vec<&PlannedMember>,
        failed: &Arc<[FailedBody]>,
        progress: &Progress,
    ) {
        let Some(cache) = &self.cache else {
            return self.ask(request, &wanted, failed, progress).await;
        };
        while !wanted.is_empty() {
            let mut ours = Vec::new();
            let mut others = Vec::new();
            let mut waits = Vec::new();
            for member in wanted {
                match cache.claim(member.question()) {
                    Claim::Lead(flight) => {
                        progress.hold(member.question(), flight);
                        ours.push(member);
                    }
                    Claim::Follow(wait) => {
                        others.push(member);
                        waits.push(wait);
                    }
                }
            }
            // Looked up only while we hold the claim: nobody else can store the answer between
            // our lookup and our question, and each lookup counts once.
            let missing = self.look_up(request, &**cache, ours, progress).await;
            self.ask(request, &missing, failed, progress).await;
            // What we hold goes before we wait for others, who may wait for us.
            progress.release_all();
            if progress.failed() {
                return;
            }
            join_all(waits).await;
            wanted = others;
        }
    }

    /// Looks up the answers of `members` and gives back those that have none.
    async fn look_up<'a>(
        &self,
        request: &FileRequest,
        cache: &dyn BodyCache,
        members: Vec<&'a PlannedMember>,
        progress: &Progress,
    ) -> Vec<&'a PlannedMember> {
        if members.is_empty() {
            return members;
        }
        let keys = members.iter();
        let keys: Vec<_> = keys.map(|m| self.wanted_keys(&m.answers)).collect();
        let mut found = cache.lookup_first(&keys).await.into_iter();
        let mut missing = Vec::new();
        for member in members {
            match found.next() {
                Some((link, Lookup::Hit(body))) => match prepared(request, member, body) {
                    Ok(body) => progress.hit(member, link, body),
                    Err(problem) => {
                        tracing::warn!(member = %member.member, %problem, "a cached answer is unusable");
                        progress.miss();
                        missing.push(member);
                    }
                },
                Some((_, Lookup::Miss(reason))) => {
                    tracing::debug!(member = %member.member, cache = reason.as_str(), "not in the cache");
                    progress.miss();
                    missing.push(member);
                }
                None => missing.push(member),
            }
        }
        missing
    }

    async fn ask(
        &self,
        request: &FileRequest,
        wanted: &[&PlannedMember],
        failed: &Arc<[FailedBody]>,
        progress: &Progress,
    ) {
        let members = wanted
            .iter()
            .filter_map(|planned| planned.member_of(request));
        let mut bodies = BodyRequest {
            file: Arc::clone(&request.file),
            source: Arc::clone(&request.source),
            members: members.cloned().collect(),
            context: Arc::default(),
            guidance: request.guidance.clone(),
            failed: Arc::clone(failed),
            driver: Arc::clone(&request.driver),
        };
        if bodies.members.is_empty() {
            return;
        }
        let origin = if self.generator.cacheable() {
            bodies.context = prompt_context(request).await;
            Origin::Asked
        } else {
            Origin::Scaffolded
        };
        let batch = self.generator.as_batch();
        if let Some(batch) = batch.filter(|_| self.batch_enabled && request.driver.supports_batch())
        {
            progress.finish(batch.generate_batch(&bodies, progress).await, origin);
            return;
        }
        let singles = bodies.members.iter().map(|member| {
            let single = BodyRequest {
                members: vec![member.clone()],
                ..bodies.clone()
            };
            async move { progress.finish(self.generator.generate(&single, progress).await, origin) }
        });
        join_all(singles).await;
    }
}

/// A cached answer, held to what a model's is: it may have been imported.
fn prepared(
    request: &FileRequest,
    planned: &PlannedMember,
    body: CachedBody,
) -> Result<CachedBody, BodyProblem> {
    let Some(member) = planned.member_of(request) else {
        return Ok(body);
    };
    let code = request
        .driver
        .prepare_body(&request.file, member, &body.code)?;
    Ok(CachedBody { code, ..body })
}

impl CacheStatsReporter for Pipeline {
    fn cache_stats(&self) -> Option<CacheStats> {
        self.cache.as_ref()?.cache_stats()
    }
}

impl PlannedMember {
    /// The member itself.
    fn member_of<'r>(&self, request: &'r FileRequest) -> Option<&'r Member> {
        let mut members = request.file.members.iter();
        members.find(|member| member.name == self.member)
    }

    /// What names the question, whoever answers it.
    fn question(&self) -> CacheKey {
        self.answers[0].0
    }
}

impl Plan {
    /// The members whose bodies are to be found.
    fn wanted(&self) -> Vec<&PlannedMember> {
        let members = self.members.iter();
        members
            .filter(|member| member.step == plan::Step::Wanted)
            .collect()
    }
}

/// What the model should see beside the file, which takes reading other files.
async fn prompt_context(request: &FileRequest) -> Arc<PromptContext> {
    let (project, file) = (request.project.clone(), Arc::clone(&request.file));
    let (source, driver) = (Arc::clone(&request.source), Arc::clone(&request.driver));
    let read = tokio::task::spawn_blocking(move || driver.prompt_context(&project, &file, &source));
    match read.await {
        Ok(context) => Arc::new(context),
        Err(error) => {
            tracing::warn!(%error, "context for the prompt could not be read; asking without");
            Arc::default()
        }
    }
}

/// Drives `work` to its end, or until it is superseded. Whether it came to its end.
async fn completes(
    work: impl Future<Output = ()>,
    superseded: impl Future<Output = ()>,
    progress: &Progress,
) -> bool {
    let mut work = pin!(work);
    let mut superseded = pin!(superseded);
    if poll_immediate(&mut superseded).await.is_some() {
        return false;
    }
    // The work comes first: an answer that is there is read before anything is dropped.
    tokio::select! {
        biased;
        () = &mut work => return true,
        () = superseded => {}
    }
    if !progress.is_followed() {
        return false;
    }
    tracing::debug!("superseded, but others wait for the answer");
    work.await;
    true
}

fn record(span: &Span, effort: Effort) {
    span.record("calls", effort.calls);
    if let Some(tokens) = effort.usage.input_tokens {
        span.record("tokens_in", tokens);
    }
    if let Some(tokens) = effort.usage.output_tokens {
        span.record("tokens_out", tokens);
    }
}

fn report(result: FileResult) -> FileResult {
    for step in decided(&result) {
        note(|| step);
    }
    for (member, key, decision) in &result.decisions {
        let reason = match decision {
            Decision::Missing { reason } => Some(reason.as_str()),
            _ => None,
        };
        tracing::debug!(%member, %key, decision = decision.as_str(), reason, "decided");
    }
    result
}

/// What was decided, for the file's story: members of one decision together.
fn decided(result: &FileResult) -> Vec<Step> {
    let mut groups: Vec<(&Decision, Vec<MemberName>)> = Vec::new();
    for (member, _, decision) in &result.decisions {
        match groups.iter_mut().find(|(of, _)| *of == decision) {
            Some((_, members)) => members.push(member.clone()),
            None => groups.push((decision, vec![member.clone()])),
        }
    }
    let step = |(decision, members): (&Decision, _)| Step::Decided {
        decision: decision.as_str().to_owned(),
        members,
        reason: match decision {
            Decision::Missing { reason } => Some(shortened(reason)),
            _ => None,
        },
    };
    groups.into_iter().map(step).collect()
}
