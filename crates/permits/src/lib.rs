//! A semaphore whose size can change while it is in use.
//!
//! What a reload of the configuration makes smaller or larger is counted by one of these: requests
//! to the model, files in work, candidates on trial. The size is changed and not the semaphore, so
//! that those who hold a permit of before count under the new size too.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let permits = testsmith_permits::Permits::new(2);
//! let (first, second) = (permits.acquire().await, permits.acquire().await);
//! permits.set(1);
//! drop(first);
//! assert_eq!(permits.available(), 0); // the one that is left is taken
//! drop(second);
//! assert_eq!(permits.available(), 1);
//! # });
//! ```
//!
//! # Theory of operation
//!
//! tokio's semaphore can grow, but it can only forget permits that nobody holds. What is still too
//! much after that is noted as surplus, and goes as permits come back.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// So many permits and no more; the number can change. Cheap to clone; all clones are the same.
#[derive(Debug, Clone)]
pub struct Permits(Arc<Inner>);

/// A permit; it comes back when this is dropped.
#[derive(Debug)]
pub struct Permit {
    of: Arc<Inner>,
    inner: Option<OwnedSemaphorePermit>,
}

#[derive(Debug)]
struct Inner {
    semaphore: Arc<Semaphore>,
    size: Mutex<Size>,
}

#[derive(Debug)]
struct Size {
    /// Permits that exist, taken ones included.
    existing: usize,
    /// Of these, so many go when they come back.
    surplus: usize,
}

impl Permits {
    /// So many; 0 is taken for 1.
    pub fn new(count: usize) -> Self {
        let count = clamped(count);
        Self(Arc::new(Inner {
            semaphore: Arc::new(Semaphore::new(count)),
            size: Mutex::new(Size {
                existing: count,
                surplus: 0,
            }),
        }))
    }

    /// Changes the number; 0 is taken for 1. A smaller one takes effect as permits come back: none
    /// is taken away.
    pub fn set(&self, count: usize) {
        let Inner { semaphore, size } = &*self.0;
        let mut size = lock(size);
        let (wanted, now) = (clamped(count), size.existing - size.surplus);
        if wanted >= now {
            let kept = size.surplus.min(wanted - now);
            let added = wanted - now - kept;
            size.surplus -= kept;
            size.existing += added;
            semaphore.add_permits(added);
        } else {
            let gone = semaphore.forget_permits(now - wanted);
            size.existing -= gone;
            size.surplus += now - wanted - gone;
        }
    }

    /// The number in force.
    pub fn count(&self) -> usize {
        let size = lock(&self.0.size);
        size.existing - size.surplus
    }

    /// Those that nobody holds.
    pub fn available(&self) -> usize {
        self.0.semaphore.available_permits()
    }

    /// Waits for a permit. Those who wait get theirs in the order they came in.
    pub async fn acquire(&self) -> Permit {
        let taken = Arc::clone(&self.0.semaphore).acquire_owned().await;
        let Ok(inner) = taken else {
            // Nobody closes the semaphore; were it closed, to go on unlimited would be wrong.
            return std::future::pending().await;
        };
        Permit {
            of: Arc::clone(&self.0),
            inner: Some(inner),
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let Some(inner) = self.inner.take() else {
            return;
        };
        let mut size = lock(&self.of.size);
        if size.surplus > 0 {
            size.surplus -= 1;
            size.existing -= 1;
            inner.forget();
        }
    }
}

fn clamped(count: usize) -> usize {
    count.clamp(1, Semaphore::MAX_PERMITS)
}

/// Plain figures, right at any moment.
fn lock(size: &Mutex<Size>) -> MutexGuard<'_, Size> {
    size.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_size_changes_while_permits_are_taken() {
        let permits = Permits::new(3);
        let (a, b, c) = (
            permits.acquire().await,
            permits.acquire().await,
            permits.acquire().await,
        );
        permits.set(1);
        assert_eq!((permits.count(), permits.available()), (1, 0));
        drop(a);
        assert_eq!(permits.available(), 0, "one too many has gone");
        permits.set(2);
        assert_eq!(permits.available(), 0, "two are taken");
        drop(b);
        assert_eq!(permits.available(), 1);
        permits.set(5);
        assert_eq!(permits.available(), 4);
        permits.set(0);
        drop(c);
        assert_eq!((permits.count(), permits.available()), (1, 1));
        for count in [7, 2, 9, 1, 4] {
            permits.set(count);
            assert_eq!((permits.count(), permits.available()), (count, count));
        }
    }
}
