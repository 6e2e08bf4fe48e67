//! The nouns of testsmith and the seams between its crates.
//!
//! Everything else depends on this crate and it depends on nothing of ours: no async runtime, no
//! store, no HTTP. A crate that needs another's service asks for it through a trait defined here,
//! and only `daemon` puts the concrete types together.
//!
//! The seams are:
//!
//! - [`LanguageDriver`]: all that is known of one programming language;
//! - [`Provider`]: one language model behind one endpoint;
//! - [`BodyCache`]: answers already paid for;
//! - [`BodyGenerator`] and [`BatchBodyGenerator`]: members in, test code out;
//! - [`RequestMeter`]: what requests cost, and how much may be spent;
//! - [`CacheStatsReporter`]: the figures behind the cache line.

mod cache;
mod completion;
mod digest;
mod driver;
mod generator;
mod job;
mod ledger;
mod member;
mod meter;
mod path;
mod provider_error;
mod run;
mod secret_name;
mod snapshot;
mod story;
mod time;

pub use cache::{
    BodyCache, CacheEntry, CacheError, CacheKey, CacheStats, CacheStatsReporter, CachedBody, Claim,
    Flight, Imported, KeyInputs, Lookup, MissReason,
};
pub use completion::{
    CompletionRequest, CompletionResponse, FinishReason, Message, ModelIdentity, Provider,
    RateLimits, ResponseFormat, Role, Usage,
};
pub use digest::{ContentHash, FieldHasher, NotADigest};
pub use driver::{
    Analysis, Block, BlockEdit, BlockKey, BlockState, BodyProblem, ComposeError, ComposeRequest,
    Composed, Excerpt, LanguageDriver, NotSource, Project, PromptContext, Rejection, SCAFFOLD_NOTE,
    SourceFile, SyntaxProblem,
};
pub use generator::{
    BatchBodyGenerator, BodyGenerator, BodyRequest, BodySink, Effort, FailedBody, GenerateError,
    Generated, Judgements, MissingBody, TestBody,
};
pub use job::{Job, JobCause, JobId, JobState, Lane};
pub use ledger::{
    Finding, FindingState, Judgement, LedgerBlock, LedgerEntry, Proposal, Quarantined, ReviewTally,
    WrittenBlock, Wrong,
};
pub use member::{Framework, Language, Member, MemberImport, MemberKind, MemberName};
pub use meter::{OutOfBudget, PlannedRequest, RequestMeter, Reservation, Spent};
pub use path::{RelPath, RelPathError};
pub use provider_error::{ProviderError, ProviderErrorKind, Retryability};
pub use run::{
    BuildError, RunPlan, RunReport, RunRequest, RunScope, RunTranscript, RunUnavailable,
    TestOutcome, TestResult, Verdict,
};
pub use secret_name::{is_secret_folder, is_secret_name};
pub use snapshot::FileStamp;
pub use story::{CANCELLED, Step, Story, Tell, Told, note, shortened, tell};
pub use time::Timestamp;

/// A future that can be stored behind a trait object.
pub type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;
