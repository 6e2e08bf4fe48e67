//! The reliability stack: retry, semaphore, provider.
