//! From the end of a save to the request on the wire, beyond the debounce: the real program.
//!
//! `cargo bench -p testsmith-cli --bench save_to_request`

#![expect(
    clippy::unwrap_used,
    reason = "a measurement that cannot be set up has to fail"
)]
#![expect(clippy::disallowed_methods, reason = "saves are spaced in real time")]

#[path = "../../../tests/support.rs"]
mod support;

use std::io::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use support::samples;
use support::world::World;
use testsmith_simulator::Script;

const SAVES: usize = 200;
const DEBOUNCE: Duration = Duration::from_millis(50);

fn main() -> std::io::Result<()> {
    let world = World::new(Script::default());
    world.save("go.mod", samples::GO_MOD);
    let setting = format!("watch.debounce={}ms", DEBOUNCE.as_millis());
    let mut daemon = world.watch(&["--set", &setting]);
    let mut beyond = Vec::with_capacity(SAVES);
    for number in 0..SAVES {
        let text = samples::GO.replace("a + b", &format!("a + b + {number}"));
        world.save("cart.go", text);
        let saved = unix_us();
        world.wait_for_requests(number + 1);
        let arrived = world.requests()[number].arrived_unix_us;
        let debounce = u64::try_from(DEBOUNCE.as_micros()).unwrap();
        beyond.push(arrived.saturating_sub(saved).saturating_sub(debounce));
        daemon.ended("cart.go");
        std::thread::sleep(Duration::from_millis(5));
    }
    beyond.sort_unstable();
    let at = |share: usize| Duration::from_micros(beyond[SAVES * share / 100]);
    writeln!(
        std::io::stdout(),
        "save → request, beyond a debounce of {DEBOUNCE:?}, over {SAVES} saves: \
         p50 {:?}  p90 {:?}  p99 {:?}",
        at(50),
        at(90),
        at(99)
    )
}

fn unix_us() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(now.as_micros()).unwrap()
}
