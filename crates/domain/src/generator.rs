//! The seam to generation: members in, test code out.

use std::sync::Arc;

use crate::{
    BoxFuture, Judgement, Language, LanguageDriver, Member, MemberName, PromptContext,
    ProviderError, SourceFile, Usage, Verdict,
};

/// Test code for one member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestBody {
    /// The member it tests.
    pub member: MemberName,
    /// The prepared code, see [`LanguageDriver::prepare_body`].
    pub code: String,
    /// The model that wrote it.
    pub model: String,
}

/// Members of one file for which test code is wanted.
#[derive(Debug, Clone)]
pub struct BodyRequest {
    /// The file they are in.
    pub file: Arc<SourceFile>,
    /// The file's text.
    pub source: Arc<str>,
    /// The members; at least one, all of `file`.
    pub members: Vec<Member>,
    /// What the model should see beside the file.
    pub context: Arc<PromptContext>,
    /// The project's guidance for tests (`TESTSMITH.md`).
    pub guidance: Option<Arc<str>>,
    /// Bodies that were run and did not hold, at most one for each of `members`: better ones are
    /// wanted. Empty when the members are asked for first.
    pub failed: Arc<[FailedBody]>,
    /// The file's language.
    pub driver: Arc<dyn LanguageDriver>,
}

/// A body that was run and did not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedBody {
    /// The member it tests.
    pub member: MemberName,
    /// The body.
    pub code: String,
    /// What became of it.
    pub verdict: Verdict,
    /// What the runner said, trimmed, paths relative.
    pub output: String,
}

impl BodyRequest {
    /// The file's language.
    pub fn language(&self) -> Language {
        self.file.language
    }
}

/// What an answer cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Effort {
    /// Calls of which something was sent, each of one or more attempts.
    pub calls: u32,
    /// Requests sent.
    pub attempts: u32,
    /// Tokens used, as far as the server told.
    pub usage: Usage,
}

/// What came of a request.
#[derive(Debug, Default)]
pub struct Generated {
    /// Usable bodies, at most one for each member asked for.
    pub bodies: Vec<TestBody>,
    /// Members that were asked for and have no usable body, with the reason.
    pub missing: Vec<MissingBody>,
    /// What it cost, failed calls included.
    pub effort: Effort,
}

/// A member left without a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingBody {
    /// The member.
    pub member: MemberName,
    /// Why, for people.
    pub reason: String,
    /// Which model of the chain was asked last; 0 is the preferred one.
    pub link: usize,
}

/// Why a request came to nothing, beside the bodies that were stored before the failure.
#[derive(Debug, thiserror::Error)]
pub enum GenerateError {
    /// The model could not be asked.
    #[error("the model could not be asked")]
    Provider(#[from] ProviderError),
}

/// Who is wrong, member by member, and the place in the chain of the model that says so.
pub type Judgements = (usize, Vec<(MemberName, Judgement)>);

/// Where a generator puts the bodies of an answer as soon as it has read it, before anything else
/// is asked or done: an answer is durable before it is used.
pub trait BodySink: Send + Sync {
    /// Keeps `bodies`, which the model at place `link` of the chain wrote. Once called, dropping the future does not undo it. Trouble is the sink's
    /// own to report: the bodies are good all the same.
    fn keep<'a>(&'a self, link: usize, bodies: &'a [TestBody]) -> BoxFuture<'a, ()>;

    /// Notes what one call cost, failed or not, as soon as it has ended: so the cost is known even
    /// where the request fails later, or is dropped.
    fn spent(&self, effort: Effort) {
        let _ = effort;
    }
}

/// Writes test code for one member at a time.
pub trait BodyGenerator: Send + Sync + std::fmt::Debug {
    /// Asks for the first member of `request` only.
    fn generate<'a>(
        &'a self,
        request: &'a BodyRequest,
        sink: &'a dyn BodySink,
    ) -> BoxFuture<'a, Result<Generated, GenerateError>>;

    /// The generator's batched form, if it has one.
    fn as_batch(&self) -> Option<&dyn BatchBodyGenerator> {
        None
    }

    /// Asks who is wrong, for each of the request's failed bodies: the test or the code. One call, if
    /// any; members that the answer leaves out are left out here.
    fn judge<'a>(
        &'a self,
        request: &'a BodyRequest,
        sink: &'a dyn BodySink,
    ) -> BoxFuture<'a, Result<Judgements, GenerateError>> {
        let _ = (request, sink);
        Box::pin(std::future::ready(Ok((0, Vec::new()))))
    }

    /// Whether its bodies are answers, worth keeping in the cache. Scaffolds are not.
    fn cacheable(&self) -> bool {
        true
    }
}

/// Writes test code for all members of a request in one call.
pub trait BatchBodyGenerator: Send + Sync {
    /// Asks for all members of `request`.
    fn generate_batch<'a>(
        &'a self,
        request: &'a BodyRequest,
        sink: &'a dyn BodySink,
    ) -> BoxFuture<'a, Result<Generated, GenerateError>>;
}

impl Effort {
    /// What a call that failed took. One that was never sent is none.
    pub fn of_failed(error: &ProviderError) -> Self {
        Self {
            calls: u32::from(error.attempts > 0),
            attempts: error.attempts,
            ..Self::default()
        }
    }

    /// Adds another effort to this one.
    pub fn add(&mut self, other: Self) {
        let Self {
            calls,
            attempts,
            usage,
        } = other;
        self.calls += calls;
        self.attempts += attempts;
        self.usage.add(usage);
    }
}

impl Usage {
    /// Adds another call's usage; what neither told stays unknown.
    pub fn add(&mut self, other: Self) {
        let Self {
            input_tokens,
            cached_input_tokens,
            cache_write_tokens,
            output_tokens,
        } = other;
        let sum = |a: Option<u64>, b: Option<u64>| match (a, b) {
            (None, None) => None,
            (a, b) => Some(a.unwrap_or(0).saturating_add(b.unwrap_or(0))),
        };
        self.input_tokens = sum(self.input_tokens, input_tokens);
        self.cached_input_tokens = sum(self.cached_input_tokens, cached_input_tokens);
        self.cache_write_tokens = sum(self.cache_write_tokens, cache_write_tokens);
        self.output_tokens = sum(self.output_tokens, output_tokens);
    }
}
