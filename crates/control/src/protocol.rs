//! What is said over the socket, as JSON.
//!
//! Fields are only ever added; a reader passes over those it does not know. What cannot be kept so
//! becomes `/v2`.

mod entries;
mod event;
mod jobs;
mod preview;
mod refusal;
mod review;
mod status;
mod story;
mod usage;
mod verbs;

pub use entries::{CacheEntries, ENTRY_BYTES, EntriesQuery};
pub use event::{Event, HeldBack, JobEnded, Stamped};
pub use jobs::{JobInfo, JobKind, Jobs, JobsQuery, Pattern};
pub use preview::{Preview, PreviewRequest, Selected};
pub use refusal::{Refusal, RefusalCode};
pub use review::{
    BlockChange, FindingReport, ProposalReport, QuarantineReport, ReviewReply, ReviewRequest,
    Settled,
};
pub use status::{
    CacheInfo, CallStage, CallsInfo, DaemonInfo, FallbackInfo, Health, JobPhase, LastError,
    OpenCall, OutdatedTest, ProviderInfo, QueueInfo, RootInfo, RunningJob, Spent, Status,
    TestsInfo, Warning,
};
pub use story::{FileQuery, FileStory, Ignored, LedgerMember};
pub use testsmith_domain::{Imported, Timestamp};

pub use usage::{BudgetUse, LiftedBudget, UsageInfo, UsedInfo};
pub use verbs::{
    Cancelled, Cleared, EnqueueRequest, Enqueued, EnqueuedJob, FileRequest, Gc, OverBudget, Paused,
    Reloaded, Retried, Selection, Stopping,
};
