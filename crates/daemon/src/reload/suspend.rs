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
    let each = |slept| after_sleep(&service, &watcher, slept);
    tokio::select! {
        () = stop.cancelled() => {}
        () = each_sleep(slept_so_far, each) => {}
    }
    Ok(())
}

/// Calls `each` after each sleep, with its length. `clock` tells how long the machine has slept in all.
async fn each_sleep(clock: impl Fn() -> Duration, mut each: impl FnMut(Duration)) {
    let mut before = clock();
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let now = clock();
        if let Some(slept) = now.checked_sub(before).filter(|slept| *slept >= SHORTEST) {
            each(slept);
        }
        before = now;
    }
}

/// Waits go by the clock that stands still in sleep; what they wait for does not.
fn after_sleep(service: &Service, watcher: &WatchHandle, slept: Duration) {
    tracing::info!(
        slept_s = slept.as_secs(),
        "the machine has slept; clocks and trees are looked at again"
    );
    for link in &service.model().links {
        link.gauge.gate().shorten(slept);
        link.gauge.breaker().shorten(slept);
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

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use testsmith_watch::{RootSpec, WatchSettings, Watcher};
    use tokio::sync::mpsc;

    use super::*;
    use crate::run::claims;
    use crate::workers::tests::service;

    #[tokio::test(start_paused = true)]
    async fn each_sleep_is_seen_once_and_naps_are_not() {
        let slept = Cell::new(Duration::from_hours(1));
        let seen = RefCell::new(Vec::new());
        let set = |seconds| slept.set(Duration::from_hours(1) + Duration::from_secs(seconds));
        let life = async {
            for seconds in [0, 3, 6, 9, 39, 39, 20, 28_820] {
                set(seconds);
                tokio::time::sleep(LOOK_EVERY).await;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        };
        // In this order: each look is at what was set a step before.
        tokio::select! {
            biased;
            () = each_sleep(|| slept.get(), |length| seen.borrow_mut().push(length.as_secs())) => {}
            () = life => {}
        }
        assert_eq!(*seen.borrow(), [30, 28_800], "nor a clock that goes back");
    }

    #[tokio::test]
    async fn after_a_sleep_the_hold_is_shorter_and_the_tree_is_compared() {
        let dir = tempfile::tempdir().unwrap();
        let settings = [
            ("llm.provider", "openai"),
            ("llm.base_url", "http://127.0.0.1:1/v1"),
            ("llm.model", "m"),
            ("verify.mode", "off"),
        ];
        let service = service(dir.path(), &settings).await;
        let watcher = Watcher::new(WatchSettings::default(), claims(&service), None).unwrap();
        let handle = watcher.handle();
        let (sender, mut batches) = mpsc::channel(4);
        let stop = CancellationToken::new();
        let root = service.projects[0].root.clone();
        let running = watcher.run(vec![RootSpec::new(&root, None)], sender, stop.clone());
        let rescans = || handle.stats()[&root].rescans;
        let life = async {
            handle.ready().await;
            let before = rescans();
            service.gauge().gate().hold(Duration::from_mins(1));
            after_sleep(&service, &handle, Duration::from_hours(8));
            assert_eq!(service.gauge().gate().rest(), None);
            let compared = async {
                while rescans() == before {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            let patience = Duration::from_mins(1);
            tokio::time::timeout(patience, compared).await.unwrap();
            stop.cancel();
        };
        let receive = async { while batches.recv().await.is_some() {} };
        let (ended, (), ()) = tokio::join!(running, life, receive);
        ended.unwrap();
        service.close().await.unwrap();
    }
}
