//! Events on their way from the daemon to whoever listens.

use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::Bytes;
use tokio::sync::broadcast;

use crate::protocol::{Event, Stamped, Timestamp};

/// Events that a reader may be behind before it loses some. At 300 bytes each, a reader that
/// stalls costs nothing and the buffer a third of a megabyte, shared by all.
const BACKLOG: usize = 1024;

/// Where the daemon says what happens. Never waits, and costs next to nothing while nobody
/// listens.
#[derive(Debug)]
pub struct Events {
    sender: broadcast::Sender<Frame>,
    next: AtomicU64,
}

/// One event as it is sent, encoded once for all readers.
#[derive(Debug, Clone)]
pub struct Frame(pub(crate) Bytes);

impl Events {
    /// Nothing has happened yet.
    pub fn new() -> Self {
        Self {
            sender: broadcast::Sender::new(BACKLOG),
            next: AtomicU64::new(1),
        }
    }

    /// Says that something happened.
    pub fn say(&self, event: Event) {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        if self.sender.receiver_count() > 0
            && let Some(frame) = Frame::new(Some(number), event)
        {
            // Fails only when the last reader has just left.
            let _ = self.sender.send(frame);
        }
    }

    /// Listens from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<Frame> {
        self.sender.subscribe()
    }
}

impl Default for Events {
    fn default() -> Self {
        Self::new()
    }
}

impl Frame {
    /// The event in the form of server-sent events.
    pub(crate) fn new(number: Option<u64>, event: Event) -> Option<Self> {
        let name = event.name();
        let stamped = Stamped {
            at: Timestamp::now(),
            event,
        };
        // JSON escapes line ends, so it is one line whatever is in it.
        let data = serde_json::to_string(&stamped).ok()?;
        let id = number.map(|number| format!("id: {number}\n"));
        let id = id.unwrap_or_default();
        Some(Self(format!("{id}event: {name}\ndata: {data}\n\n").into()))
    }
}
