//! A machine that has slept: clocks that stood still, and a tree that nobody watched.

use std::sync::Arc;
use std::time::Duration;

use testsmith_watch::WatchHandle;
use tokio_util::sync::CancellationToken;

use crate::error::DaemonError;
use crate::service::Service;

/// How often it is looked whether the machine has slept.
const LOOK_EVERY: Duration = Duration::from_secs(15);

/// A shorter sleep changes nothing that matters.
const SHORTEST: Duration = Duration::from_secs(5);

/// Looks from time to time whether the machine has slept, and puts right what that upset.
pub(crate) async fn mind_suspend(
    service: Arc<Service>,
    watcher: WatchHandle,
    stop: CancellationToken,
) -> Result<(), DaemonError> {
    let minding = async {
        let mut before = slept_so_far();
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let now = slept_so_far();
            if let Some(slept) = now.checked_sub(before).filter(|slept| *slept >= SHORTEST) {
                after_sleep(&service, &watcher, slept);
            }
            before = now;
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = minding => {}
    }
    Ok(())
}

/// Waits go by the clock that stands still in sleep; what they wait for does not.
fn after_sleep(service: &Service, watcher: &WatchHandle, slept: Duration) {
    tracing::info!(
        slept_s = slept.as_secs(),
        "the machine has slept; clocks and trees are looked at again"
    );
    for link in &service.model().links {
        link.gauge.gate().shorten(slept);
    }
    service.queue.read_clock_again();
    watcher.request_rescan();
}

/// How long the machine has slept since its start.
#[cfg(target_os = "linux")]
fn slept_so_far() -> Duration {
    use rustix::time::{ClockId, clock_gettime};
    let read = |clock| {
        let time = clock_gettime(clock);
        let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
        Duration::from_secs(seconds)
            + Duration::from_nanos(u64::try_from(time.tv_nsec).unwrap_or(0))
    };
    // This clock first: read the other way round, a nap between the two would seem one.
    let awake = read(ClockId::Monotonic);
    read(ClockId::Boottime).saturating_sub(awake)
}

/// Not known here: the slow comparison of the tree finds what was missed.
#[cfg(not(target_os = "linux"))]
fn slept_so_far() -> Duration {
    Duration::ZERO
}
