//! Equal questions are asked once at a time.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};

use testsmith_domain::{CacheKey, Claim, Flight};
use tokio::sync::watch;

/// The keys that are being answered now. The sender of each lives as long as its leader.
#[derive(Debug, Clone, Default)]
pub(crate) struct Flights {
    open: Arc<Mutex<HashMap<CacheKey, Arc<watch::Sender<()>>>>>,
}

impl Flights {
    pub(crate) fn claim(&self, key: CacheKey) -> Claim {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        match open.entry(key) {
            Entry::Occupied(entry) => {
                let mut landing = entry.get().subscribe();
                // Nothing is ever sent: this ends when the sender is dropped.
                Claim::Follow(Box::pin(async move {
                    let _ = landing.changed().await;
                }))
            }
            Entry::Vacant(entry) => {
                let sender = Arc::new(watch::Sender::new(()));
                entry.insert(Arc::clone(&sender));
                Claim::Lead(Box::new(Leader {
                    key,
                    sender,
                    flights: self.clone(),
                }))
            }
        }
    }
}

#[derive(Debug)]
struct Leader {
    key: CacheKey,
    sender: Arc<watch::Sender<()>>,
    flights: Flights,
}

impl Flight for Leader {
    fn followers(&self) -> usize {
        self.sender.receiver_count()
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        // Off the list first: who comes now leads, and who followed wakes up after that.
        self.flights
            .open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.key);
    }
}

#[cfg(test)]
mod interleaved;

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use testsmith_domain::ContentHash;
    use tokio::task::JoinSet;

    use super::*;

    fn key(name: &str) -> CacheKey {
        CacheKey::from(ContentHash::of(name.as_bytes()))
    }

    #[tokio::test]
    async fn followers_are_counted_while_they_wait() {
        let flights = Flights::default();
        let Claim::Lead(leader) = flights.claim(key("a")) else {
            panic!("nobody else leads");
        };
        assert_eq!(leader.followers(), 0);
        let Claim::Follow(first) = flights.claim(key("a")) else {
            panic!("there is a leader");
        };
        let Claim::Follow(second) = flights.claim(key("a")) else {
            panic!("there is a leader");
        };
        assert_eq!(leader.followers(), 2);
        drop(first);
        assert_eq!(leader.followers(), 1);
        assert!(matches!(flights.claim(key("b")), Claim::Lead(_)));
        drop(leader);
        second.await;
        assert!(matches!(flights.claim(key("a")), Claim::Lead(_)));
    }

    #[tokio::test]
    async fn one_leads_at_a_time_and_a_failed_leader_is_followed_by_one() {
        let flights = Flights::default();
        let leading = Arc::new(AtomicUsize::new(0));
        let asked = Arc::new(AtomicUsize::new(0));
        let answered = Arc::new(watch::Sender::new(false));
        let mut tasks = JoinSet::new();
        for _ in 0..50 {
            let (flights, leading, asked, answered) = (
                flights.clone(),
                Arc::clone(&leading),
                Arc::clone(&asked),
                Arc::clone(&answered),
            );
            tasks.spawn(async move {
                while !*answered.borrow() {
                    match flights.claim(key("a")) {
                        Claim::Follow(landing) => landing.await,
                        Claim::Lead(flight) => {
                            assert_eq!(leading.fetch_add(1, Ordering::SeqCst), 0);
                            let attempt = asked.fetch_add(1, Ordering::SeqCst) + 1;
                            tokio::task::yield_now().await;
                            if attempt == 3 {
                                answered.send_replace(true); // the first two fail
                            }
                            leading.fetch_sub(1, Ordering::SeqCst);
                            drop(flight);
                        }
                    }
                }
            });
        }
        while let Some(result) = tasks.join_next().await {
            result.unwrap();
        }
        assert_eq!(asked.load(Ordering::SeqCst), 3);
    }
}
