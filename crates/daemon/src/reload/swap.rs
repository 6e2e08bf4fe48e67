//! A value that a reload replaces while others use it.

use std::sync::{Arc, PoisonError, RwLock};

/// Whoever takes the value keeps it for as long as needed; the next taker gets the newest.
#[derive(Debug)]
pub(crate) struct Swap<T: ?Sized>(RwLock<Arc<T>>);

impl<T> Swap<T> {
    pub(crate) fn new(value: impl Into<Arc<T>>) -> Self {
        Self(RwLock::new(value.into()))
    }

    /// The value in force.
    pub(crate) fn get(&self) -> Arc<T> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts another in force.
    pub(crate) fn set(&self, value: impl Into<Arc<T>>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = value.into();
    }
}
