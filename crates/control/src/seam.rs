//! The seam to the daemon.

use testsmith_domain::BoxFuture;
use tokio::sync::broadcast;

use crate::events::Frame;
use crate::protocol::{
    CacheEntries, CacheInfo, Cancelled, Cleared, EnqueueRequest, Enqueued, EntriesQuery, FileQuery,
    FileRequest, FileStory, Gc, Imported, Jobs, JobsQuery, OverBudget, Paused, Preview,
    PreviewRequest, Refusal, Reloaded, Retried, ReviewReply, ReviewRequest, Selected, Status,
    Stopping, UsageInfo,
};

/// What comes of a question or an order.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, Refusal>>;

/// What a daemon can be asked and told. A route for each is in `routes.rs`.
pub trait Control: Send + Sync + 'static {
    /// The whole picture.
    fn status(&self) -> Answer<'_, Status>;

    /// The jobs in the queue.
    fn jobs(&self, query: JobsQuery) -> Answer<'_, Jobs>;

    /// All that is known of a file.
    fn file(&self, query: FileQuery) -> Answer<'_, FileStory>;

    /// The cache of answers.
    fn cache(&self) -> Answer<'_, CacheInfo>;

    /// A page of the answers in the cache.
    fn cache_entries(&self, query: EntriesQuery) -> Answer<'_, CacheEntries>;

    /// Takes in answers of another cache.
    fn add_cache_entries(&self, request: CacheEntries) -> Answer<'_, Imported>;

    /// Makes jobs of files.
    fn enqueue(&self, request: EnqueueRequest) -> Answer<'_, Enqueued>;

    /// The files that [`Control::enqueue`] would make jobs of.
    fn select(&self, request: EnqueueRequest) -> Answer<'_, Selected>;

    /// What bringing a file up to date would write.
    fn preview(&self, request: PreviewRequest) -> Answer<'_, Preview>;

    /// Makes waiting and parked jobs ready.
    fn retry(&self, request: FileRequest) -> Answer<'_, Retried>;

    /// Drops jobs.
    fn cancel(&self, request: FileRequest) -> Answer<'_, Cancelled>;

    /// What models cost, against the budgets.
    fn usage(&self) -> Answer<'_, UsageInfo>;

    /// Lets workers take up nothing, or go on.
    fn set_paused(&self, paused: bool) -> Answer<'_, Paused>;

    /// Lifts the budgets that hold jobs back, each until its window's end.
    fn resume_over_budget(&self) -> Answer<'_, OverBudget>;

    /// The user's word on what was found out.
    fn review(&self, request: ReviewRequest) -> Answer<'_, ReviewReply>;

    /// Reads the configuration anew.
    fn reload(&self) -> Answer<'_, Reloaded>;

    /// Removes what is too old or too much from the cache.
    fn gc(&self) -> Answer<'_, Gc>;

    /// Empties the cache.
    fn clear(&self) -> Answer<'_, Cleared>;

    /// Ends the daemon, as SIGTERM does.
    fn stop(&self) -> Answer<'_, Stopping>;

    /// What happens from now on.
    fn events(&self) -> broadcast::Receiver<Frame>;
}
