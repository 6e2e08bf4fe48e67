//! Work that waits for the disk, on tokio's pool for that.

/// Runs `work` where blocking is allowed. A panic in it goes on here.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // Only a runtime that shuts down cancels blocking work that has not begun; nobody is left then to wait for it.
            Err(_) => std::future::pending().await,
        },
    }
}
