//! The watchdog: it is fed only while every part of the service moves.
//!
//! Each part is a task that beats a little more often than is asked for. The beat is part of the
//! task itself, so that a task whose thread hangs, or that goes round in circles, does not beat. A
//! task that waits beats on: a call to the model may take minutes.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::Notifier;

/// When each part was last known to move.
#[derive(Debug, Default)]
pub(crate) struct Heartbeats {
    /// How often a part must beat; `None` if nobody looks.
    every: Option<Duration>,
    beats: Mutex<HashMap<String, Instant>>,
}

impl Heartbeats {
    /// As the service manager asks for in `WATCHDOG_USEC`.
    pub(crate) fn new(env: &dyn Fn(&str) -> Option<String>) -> Arc<Self> {
        let limit = env("WATCHDOG_USEC").and_then(|micros| micros.parse().ok());
        let is_meant = env("WATCHDOG_PID").is_none_or(|pid| pid == std::process::id().to_string());
        Arc::new(Self {
            // Beats and the look at them: each may be late by one step before the limit is reached.
            every: limit
                .filter(|micros| is_meant && *micros > 0)
                .map(|micros| Duration::from_micros(micros) / 4),
            beats: Mutex::default(),
        })
    }

    /// Does `task`, and beats as long as it moves.
    pub(crate) async fn with<T>(self: Arc<Self>, name: String, task: impl Future<Output = T>) -> T {
        let Some(every) = self.every else {
            return task.await;
        };
        let beat = Beat {
            name,
            heartbeats: self,
        };
        let mut tick = interval(every);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tokio::pin!(task);
        loop {
            tokio::select! {
                done = &mut task => return done,
                _ = tick.tick() => beat.now(),
            }
        }
    }

    /// A part that has not moved for too long.
    fn late(&self, limit: Duration) -> Option<String> {
        let beats = self.lock();
        let late = beats.iter().find(|(_, at)| at.elapsed() > limit);
        late.map(|(name, _)| name.clone())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Instant>> {
        self.beats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A part's beat; it counts no more when the part has ended.
struct Beat {
    name: String,
    heartbeats: Arc<Heartbeats>,
}

impl Beat {
    fn now(&self) {
        self.heartbeats
            .lock()
            .insert(self.name.clone(), Instant::now());
    }
}

impl Drop for Beat {
    fn drop(&mut self) {
        self.heartbeats.lock().remove(&self.name);
    }
}

/// Feeds the service manager's watchdog.
#[derive(Debug)]
pub(crate) struct Watchdog {
    pub(crate) notifier: Arc<Notifier>,
    pub(crate) heartbeats: Arc<Heartbeats>,
}

impl Watchdog {
    /// Until told to stop. `store` asks the store something small.
    pub(crate) async fn run<F: Future>(self, store: impl Fn() -> F, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.feed(store) => {}
        }
    }

    async fn feed<F: Future>(&self, store: impl Fn() -> F) {
        let Some(every) = self.heartbeats.every else {
            return std::future::pending().await;
        };
        let mut tick = interval(every);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut late_before = None;
        loop {
            tick.tick().await;
            let late = match self.heartbeats.late(every * 2) {
                None => self.ask(store(), every).await,
                late => late,
            };
            if late.is_none() {
                self.notifier.alive();
            } else if late != late_before {
                // Once: the service manager ends this process soon.
                tracing::error!(part = late, "a part of the service hangs");
            }
            late_before = late;
        }
    }

    /// Waits for the store, however long that takes: as long as it does not answer nobody is told
    /// that all is well.
    async fn ask(&self, store: impl Future, every: Duration) -> Option<String> {
        tokio::pin!(store);
        if timeout(every * 2, &mut store).await.is_err() {
            tracing::error!(part = "store", "a part of the service hangs");
            store.await;
        }
        None
    }
}
