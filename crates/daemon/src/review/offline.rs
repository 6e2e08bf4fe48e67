//! The same answers without a service, from the state itself.

use std::path::{Path, PathBuf};

use testsmith_config::Settings;

use super::{Review, ReviewReply, ReviewRequest, findings, unknown_file};
use crate::error::DaemonError;
use crate::service::JOBS_DIR;

/// Answers one request. Fails if a service holds the state.
pub async fn review_offline(
    state_dir: &Path,
    root: PathBuf,
    settings: &Settings,
    request: ReviewRequest,
) -> Result<ReviewReply, DaemonError> {
    // A question must not leave a folder behind.
    if !state_dir.join(JOBS_DIR).exists() {
        return without_state(&request);
    }
    let review = Review::open(state_dir, root, settings).await?;
    let reply = review.answer(request).await;
    review.close().await?;
    reply
}

/// What is answered where nothing has been written down yet.
fn without_state(request: &ReviewRequest) -> Result<ReviewReply, DaemonError> {
    use ReviewRequest as Ask;
    match request {
        Ask::Findings { .. } => Ok(ReviewReply::Findings(Vec::new())),
        Ask::Quarantine => Ok(ReviewReply::Quarantine(Vec::new())),
        Ask::AcceptFinding { id } | Ask::DismissFinding { id } => Err(findings::unknown(id)),
        Ask::Adopt { path } | Ask::Diff { path } => Err(unknown_file(path)),
        Ask::Proposals { paths }
        | Ask::Release { paths }
        | Ask::Accept { paths }
        | Ask::Reject { paths } => match (paths.first(), request) {
            (Some(path), _) => Err(unknown_file(path)),
            (None, Ask::Proposals { .. }) => Ok(ReviewReply::Proposals(Vec::new())),
            (None, _) => Ok(ReviewReply::Settled(Vec::new())),
        },
    }
}
