//! One program of the comparison in `bench/`: sends the requests of a file, a few at a time, and
//! says what that cost.
//!
//! `calls ours|uncached|plain BASE_URL REQUESTS PERMITS DIR`: `ours` is the stack as `daemon` has it,
//! with the cache around it; `uncached` is the same without the cache; `plain` is what one writes in
//! ten minutes: a client, a semaphore, no retry. REQUESTS has one request body a line. The figures
//! come as one line of JSON.

#![expect(clippy::disallowed_types, reason = "real time is what is measured")]

mod ours;
mod plain;

use std::io::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

/// What is to be done.
struct Order {
    base_url: String,
    /// Bodies of chat completions.
    requests: Vec<Value>,
    permits: usize,
    dir: PathBuf,
}

/// What came of it.
struct Figures {
    wall: Duration,
    processor: Duration,
    /// How long each answer took when it was asked for again; empty without a cache.
    again: Vec<Duration>,
}

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [client, base_url, requests, permits, dir] = arguments.as_slice() else {
        bail!("usage: calls ours|uncached|plain BASE_URL REQUESTS PERMITS DIR");
    };
    let text = std::fs::read_to_string(requests).with_context(|| format!("no `{requests}`"))?;
    let order = Order {
        base_url: base_url.clone(),
        requests: text
            .lines()
            .map(serde_json::from_str)
            .collect::<Result<_, _>>()?,
        permits: permits.parse()?,
        dir: dir.into(),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let figures = match client.as_str() {
        "ours" => runtime.block_on(ours::run(order, true))?,
        "uncached" => runtime.block_on(ours::run(order, false))?,
        "plain" => runtime.block_on(plain::run(order))?,
        other => bail!("`{other}` is none of `ours`, `uncached` and `plain`"),
    };
    let again: Vec<f64> = figures.again.iter().map(Duration::as_secs_f64).collect();
    let line = json!({
        "wall_s": figures.wall.as_secs_f64(),
        "processor_s": figures.processor.as_secs_f64(),
        "again_s": again,
        "peak_kib": peak_kib()?,
    });
    Ok(writeln!(std::io::stdout(), "{line}")?)
}

/// Time and processor time, from now.
struct Watch {
    begun: Instant,
    processor: Duration,
}

impl Watch {
    fn start() -> Self {
        Self {
            begun: Instant::now(),
            processor: processor_time(),
        }
    }

    fn stop(&self) -> (Duration, Duration) {
        (
            self.begun.elapsed(),
            processor_time().saturating_sub(self.processor),
        )
    }
}

/// Processor time of all threads, the kernel's share included.
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let (seconds, rest) = (time.tv_sec, time.tv_nsec);
    Duration::from_secs(seconds.try_into().unwrap_or(0))
        + Duration::from_nanos(rest.try_into().unwrap_or(0))
}

/// The most memory that was resident.
fn peak_kib() -> anyhow::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let figure = line.and_then(|line| line.split_whitespace().next());
    Ok(figure.context("no VmHWM")?.parse()?)
}
