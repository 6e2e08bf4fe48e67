//! SIGTERM and SIGINT: the first asks, the second insists.

use std::io;
use std::thread::JoinHandle;
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Exit code of a process that was interrupted a second time.
const INTERRUPTED: i32 = 130;

/// A signal that follows the first this closely is the same one: `timeout`, for instance, sends
/// its own to the process and then to the whole group.
const SAME_SIGNAL: Duration = Duration::from_millis(100);

/// Signals are watched as long as this lives.
///
/// By a thread of its own, so that a second signal ends even a process whose event loop hangs.
#[derive(Debug)]
pub(crate) struct SignalWatch {
    handle: Handle,
    thread: Option<JoinHandle<()>>,
}

impl SignalWatch {
    /// Cancels `stop` at the first signal. The second ends the process at once.
    pub(crate) fn start(stop: CancellationToken) -> io::Result<Self> {
        let mut signals = Signals::new([SIGTERM, SIGINT])?;
        let handle = signals.handle();
        let watch = move || {
            let mut first = None;
            for signal in &mut signals {
                let now = Instant::now();
                if now.duration_since(*first.get_or_insert(now)) > SAME_SIGNAL {
                    signal_hook::low_level::exit(INTERRUPTED);
                }
                if !stop.is_cancelled() {
                    let name = signal_hook::low_level::signal_name(signal).unwrap_or("signal");
                    tracing::info!(signal = name, "stopping; once more to stop at once");
                    stop.cancel();
                }
            }
        };
        let thread = std::thread::Builder::new()
            .name("signals".to_owned())
            .spawn(watch)?;
        Ok(Self {
            handle,
            thread: Some(thread),
        })
    }
}

impl Drop for SignalWatch {
    fn drop(&mut self) {
        self.handle.close();
        if let Some(thread) = self.thread.take() {
            // It holds nothing that a panic could have left half done.
            let _ = thread.join();
        }
    }
}

/// Waits for SIGTERM or SIGINT; a second one ends the process at once.
pub async fn stop_signal() -> io::Result<()> {
    let stop = CancellationToken::new();
    let _signals = SignalWatch::start(stop.clone())?;
    stop.cancelled().await;
    Ok(())
}
