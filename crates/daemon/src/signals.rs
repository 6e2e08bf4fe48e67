//! SIGTERM and SIGINT: the first asks, the second insists. SIGHUP has the configuration read anew,
//! SIGUSR1 the status logged.

use std::io;
use std::thread::JoinHandle;
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::iterator::{Handle, Signals};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Exit code of a process that was interrupted a second time.
const INTERRUPTED: i32 = 130;

/// A signal that follows the first this closely is the same one: `timeout`, for instance, sends
/// its own to the process and then to the whole group.
const SAME_SIGNAL: Duration = Duration::from_millis(100);

/// What a signal asks the service for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask {
    /// Read the configuration anew.
    Reload,
    /// Log how it stands.
    Status,
}

/// Signals are watched as long as this lives.
///
/// By a thread of its own, so that a second signal ends even a process whose event loop hangs.
#[derive(Debug)]
pub(crate) struct SignalWatch {
    handle: Handle,
    thread: Option<JoinHandle<()>>,
}

impl SignalWatch {
    /// Cancels `stop` at the first signal to end. The second ends the process at once. With `asks`,
    /// SIGHUP and SIGUSR1 are asks; what is asked while several asks wait is the same again.
    pub(crate) fn start(
        stop: CancellationToken,
        asks: Option<mpsc::Sender<Ask>>,
    ) -> io::Result<Self> {
        let mut signals = Signals::new([SIGTERM, SIGINT])?;
        let handle = signals.handle();
        if asks.is_some() {
            handle.add_signal(SIGHUP)?;
            handle.add_signal(SIGUSR1)?;
        }
        let had_terminal = has_terminal();
        let watch = move || {
            let mut first = None;
            for signal in &mut signals {
                let ask = match signal {
                    // The terminal is gone that this was started in: that ends other programs too.
                    SIGHUP if had_terminal && !has_terminal() => None,
                    SIGHUP => Some(Ask::Reload),
                    SIGUSR1 => Some(Ask::Status),
                    _ => None,
                };
                if let Some(ask) = ask {
                    let _ = asks.as_ref().map(|asks| asks.try_send(ask));
                    continue;
                }
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

/// Whether this process has a controlling terminal that is still there.
fn has_terminal() -> bool {
    std::fs::File::open("/dev/tty").is_ok()
}

/// Waits for SIGTERM or SIGINT; a second one ends the process at once.
pub async fn stop_signal() -> io::Result<()> {
    let stop = CancellationToken::new();
    let _signals = SignalWatch::start(stop.clone(), None)?;
    stop.cancelled().await;
    Ok(())
}
