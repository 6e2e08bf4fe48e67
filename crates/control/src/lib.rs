//! The daemon's control socket: what is said over it, the server's end and the client's.
//!
//! A Unix socket named [`SOCKET`] in the state directory, HTTP/1.1 with JSON over it, all routes
//! below `/v1`. `docs/control-api.md` is the reference for those who write clients of their own.
//!
//! ```no_run
//! # async fn example() -> Result<(), testsmith_control::ClientError> {
//! use testsmith_control::{Client, Jobs, JobsQuery};
//!
//! let client = Client::new("/home/me/.local/state/testsmith/shop-0a1b2c3d");
//! let jobs: Jobs = client.jobs(&JobsQuery::default()).await?;
//! println!("{} jobs", jobs.jobs.len());
//! # Ok(())
//! # }
//! ```
//!
//! # Theory of operation
//!
//! **The seam** is [`Control`]: what a daemon can be asked and told. The server turns requests
//! into its calls and knows nothing else of the daemon; the types of its answers are the protocol.
//!
//! **Who may.** The socket is for its owner alone by its mode, and the peer's user is asked of the
//! kernel for each connection as well, since a mode can be changed.
//!
//! **Nobody slows the daemon.** Events go out through a broadcast channel of bounded size: the
//! daemon never waits for a reader. One that falls behind is told how many it missed and goes on
//! from there; one that takes nothing for [`WRITE_LIMIT`] is dropped. Heads, bodies and
//! connections are bounded.
//!
//! **Several roots** have one daemon, whose state is in the directory of the first. A [`Signpost`] in
//! the directory of each other one leads there.
//!
//! **A socket left behind** by a killed process is replaced: whoever binds holds the lock of the
//! state directory, so nobody can be listening on it.

mod address;
mod client;
mod decode;
mod events;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod metrics;
mod protocol;
mod routes;
mod seam;
mod server;
mod signpost;
mod timed;

pub use address::SOCKET;
pub use client::{Client, ClientError, EventStream};
pub use events::{Events, Frame};
pub use metrics::MetricsListener;
pub use protocol::{
    BlockChange, BudgetUse, CacheEntries, CacheInfo, CallStage, CallsInfo, Cancelled, Cleared,
    DaemonInfo, ENTRY_BYTES, EnqueueRequest, Enqueued, EnqueuedJob, EntriesQuery, Event,
    FallbackInfo, FileQuery, FileRequest, FileStory, FindingReport, Gc, Health, HeldBack, Ignored,
    Imported, JobEnded, JobInfo, JobKind, JobPhase, Jobs, JobsQuery, LastError, LedgerMember,
    LiftedBudget, OpenCall, OutdatedTest, OverBudget, Pattern, Paused, Preview, PreviewRequest,
    ProposalReport, ProviderInfo, QuarantineReport, QueueInfo, Refusal, RefusalCode, Reloaded,
    Retried, ReviewReply, ReviewRequest, RootInfo, RunningJob, Selected, Selection, Settled, Spent,
    Stamped, Status, Stopping, TestsInfo, Timestamp, UsageInfo, UsedInfo, Warning,
};
pub use seam::{Answer, Control};
pub use server::{Listener, WRITE_LIMIT};
pub use signpost::Signpost;
