//! What can go wrong with the queue.

use testsmith_store::StoreError;

/// A failed call to the queue.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// The store could not read or write. Nothing was taken in; ask again later if
    /// [`QueueError::is_temporary`].
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A job or a ledger entry could not be encoded.
    #[error("a record of the queue could not be encoded")]
    Encode(#[from] serde_json::Error),
}

impl QueueError {
    /// Whether the same call may succeed later, when the disk has recovered.
    pub const fn is_temporary(&self) -> bool {
        match self {
            Self::Store(error) => error.is_temporary(),
            Self::Encode(_) => false,
        }
    }
}
