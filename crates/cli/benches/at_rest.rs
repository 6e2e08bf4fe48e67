//! What the program costs when nothing happens: memory and processor time on a large tree.
//!
//! `cargo bench -p testsmith-cli --bench at_rest [-- FILES]`

#![expect(
    clippy::unwrap_used,
    reason = "a measurement that cannot be set up has to fail"
)]
#![expect(clippy::disallowed_methods, reason = "rest is measured in real time")]
#![expect(clippy::disallowed_types, reason = "so is the start")]

#[path = "../../../tests/support.rs"]
mod support;

use std::io::Write as _;
use std::time::{Duration, Instant};

use support::samples;
use support::world::World;
use testsmith_simulator::Script;

/// How long it is left alone.
const REST: Duration = Duration::from_secs(20);

fn main() -> std::io::Result<()> {
    let wanted = std::env::args().find_map(|arg| arg.parse().ok());
    let files: usize = wanted.unwrap_or(100_000);
    let world = World::new(Script::default());
    world.save("go.mod", samples::GO_MOD);
    for number in 0..files {
        world.save(
            &format!("d{}/f{number}.go", number / 20),
            format!("package d\n\nfunc F{number}() {{}}\n"),
        );
    }
    let mut out = std::io::stdout();
    for start in ["first start", "second start"] {
        let begun = Instant::now();
        let daemon = world.watch(&["--set", "watch.rescan_every=0s"]);
        let ready = begun.elapsed();
        let before = ticks(daemon.id());
        std::thread::sleep(REST);
        let ticks = ticks(daemon.id()) - before;
        let memory = status(daemon.id(), "VmRSS:");
        let peak = status(daemon.id(), "VmHWM:");
        writeln!(
            out,
            "{start}, {files} files: watching after {ready:.2?}; at rest {} MiB (peak {} MiB), \
             {ticks} clock ticks in {REST:?}",
            memory / 1024,
            peak / 1024
        )?;
        daemon.stop();
    }
    Ok(())
}

/// Processor time so far, in the kernel's ticks of 10 ms.
fn ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .collect();
    // utime and stime, counted from the state field; see proc(5).
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

/// A figure of the process's status, in KiB.
fn status(pid: u32, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
