//! SIGTERM and SIGINT: the first asks, the second insists.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use futures_util::StreamExt as _;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook_tokio::Signals;
use tokio_util::sync::CancellationToken;

/// Exit code of a process that was interrupted a second time.
const INTERRUPTED: i32 = 130;

/// Cancels `stop` at the first signal. The second ends the process at once.
///
/// Handlers are in place when this returns, and stay; the future is the task that waits for the
/// first signal, and ends when `stop` is cancelled by anybody.
pub(crate) fn watch_signals(
    stop: CancellationToken,
) -> std::io::Result<impl Future<Output = ()> + Send + 'static> {
    let asked = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        // In this order: the shutdown looks at the flag before the same signal sets it.
        signal_hook::flag::register_conditional_shutdown(signal, INTERRUPTED, Arc::clone(&asked))?;
        signal_hook::flag::register(signal, Arc::clone(&asked))?;
    }
    let mut signals = Signals::new([SIGTERM, SIGINT])?;
    Ok(async move {
        let signal = tokio::select! {
            signal = signals.next() => signal,
            () = stop.cancelled() => None,
        };
        if let Some(signal) = signal {
            let name = signal_hook::low_level::signal_name(signal).unwrap_or("signal");
            tracing::info!(signal = name, "stopping; once more to stop at once");
            stop.cancel();
        }
        signals.handle().close();
    })
}

/// Waits for SIGTERM or SIGINT; a second one ends the process at once.
pub async fn stop_signal() -> std::io::Result<()> {
    watch_signals(CancellationToken::new())?.await;
    Ok(())
}
