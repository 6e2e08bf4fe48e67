//! How many of each there are, for `status`.

use testsmith_control::{OutdatedTest, TestsInfo};
use testsmith_domain::ReviewTally;
use testsmith_queue::{Queue, QueueError};

/// Counts what of all tests is worth a look.
pub(crate) async fn tally(queue: &Queue) -> Result<TestsInfo, QueueError> {
    let ReviewTally {
        proposed,
        findings,
        quarantined,
        unverified,
        outdated,
    } = queue.review_tally().await?;
    let outdated = outdated.into_iter();
    Ok(TestsInfo {
        findings,
        quarantined,
        unverified,
        proposed,
        outdated: outdated
            .map(|(test_path, member)| OutdatedTest { test_path, member })
            .collect(),
    })
}
