//! What it costs to look at a running daemon, and what a day's work leaves in its memory and its log.
//!
//! `cargo bench -p testsmith-cli --bench service [-- [day] [known] [arenas] [JOBS]]`
//!
//! `day` measures the day's work only. With `known`, the day brings no new answer after its second
//! round; with `arenas`, memory is allocated as without the service's unit.

#![expect(
    clippy::unwrap_used,
    reason = "a measurement that cannot be set up has to fail"
)]
#![expect(
    clippy::disallowed_types,
    reason = "other processes are timed, in real time"
)]

#[path = "../../../tests/support.rs"]
mod support;

use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use support::daemon::Daemon;
use support::samples;
use support::world::{World, said};
use testsmith_control::{Client, Event};
use testsmith_simulator::Script;
use tokio::task::JoinSet;

/// Round trips of each kind.
const ASKED: usize = 1000;
const STARTED: usize = 40;
/// Who listens, and how often they are told something.
const READERS: usize = 100;
const TOLD: usize = 200;
/// The files of the day's work, all saved in each round.
const FILES: usize = 200;
const DAY: usize = 10_000;

fn main() -> std::io::Result<()> {
    let asked: Vec<String> = std::env::args().collect();
    let has = |word: &str| asked.iter().any(|arg| arg == word);
    let day = Day {
        jobs: asked.iter().find_map(|arg| arg.parse().ok()).unwrap_or(DAY),
        known: has("known"),
        arenas: has("arenas"),
    };
    let mut out = std::io::stdout();
    if !has("day") {
        looks(&mut out)?;
    }
    day.work(&mut out)
}

/// What it costs to look at a running daemon.
fn looks(out: &mut impl std::io::Write) -> std::io::Result<()> {
    let world = World::new(Script::default());
    world.save("go.mod", samples::GO_MOD);
    let mut daemon = watch(&world, false);
    let mut round = 0;
    save_all(&world, &mut daemon, &mut round);
    let client = Client::new(world.state());
    writeln!(out, "{}", in_a_runtime(round_trips(&client)))?;
    writeln!(out, "{}", commands(&world))?;
    writeln!(out, "{}", in_a_runtime(fan_out(&client)))?;
    let mut listened = Vec::new();
    for _ in 0..5 {
        listened.push(with_readers(&world, &mut daemon, &mut round));
    }
    let (alone, heard): (Vec<f64>, Vec<f64>) = listened.into_iter().unzip();
    let (alone, heard) = (middle(alone), middle(heard));
    writeln!(
        out,
        "processor time of a job: {alone:.1} ms with nobody listening, {heard:.1} ms with {READERS} \
         readers, {:.2} ×",
        heard / alone
    )
}

/// The daemon, with the environment of its unit in `systemd/` unless all `arenas` are wanted.
fn watch(world: &World, arenas: bool) -> Daemon {
    let mut command = world.command(&["watch", "--log-format", "json", "--state-dir"]);
    command
        .arg(world.state())
        .args(["--set", "watch.debounce=50ms", "--set", "log.files=always"]);
    if !arenas {
        command.env("MALLOC_ARENA_MAX", "2");
    }
    let mut daemon = Daemon::spawn(command);
    daemon.wait("`watching`", |line| line["message"] == "watching");
    daemon
}

/// Changes one function of every file and waits until each has been done.
fn save_all(world: &World, daemon: &mut Daemon, round: &mut usize) {
    for file in 0..FILES {
        let text = samples::GO
            .replace("a + b", &format!("a + b + {round}"))
            .replace("Add", &format!("Add{file}"))
            .replace("Twice", &format!("Twice{file}"));
        world.save(&format!("d{}/f{file}.go", file / 10), text);
    }
    for _ in 0..FILES {
        let ended = daemon.wait("end of a job", |line| {
            line["message"] == "job ended" && line["outcome"] != "superseded"
        });
        assert_eq!(ended["outcome"], "written", "{ended}");
    }
    *round += 1;
}

async fn round_trips(client: &Client) -> String {
    let mut times = Vec::with_capacity(ASKED);
    for _ in 0..ASKED {
        let begun = Instant::now();
        client.status().await.unwrap();
        times.push(begun.elapsed());
    }
    format!(
        "GET /v1/status, connection and all, {ASKED} times: {}",
        spread(times)
    )
}

/// The command, beside one that only prints its version.
fn commands(world: &World) -> String {
    let (mut asked, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..STARTED {
        for (args, times) in [
            (&["status"][..], &mut asked),
            (&["--version"][..], &mut bare),
        ] {
            let mut command = world.command(args);
            if args == ["status"] {
                command.arg("--state-dir").arg(world.state());
            }
            let begun = Instant::now();
            let done = command.output().unwrap();
            times.push(begun.elapsed());
            assert!(done.status.success(), "{}", said(&done));
        }
    }
    format!(
        "`testsmith status`, {STARTED} times: {}; `testsmith --version`: {}",
        spread(asked),
        spread(bare)
    )
}

/// From an order to pause or resume, until the first and the last of all readers have the event.
async fn fan_out(client: &Client) -> String {
    let mut readers = Vec::with_capacity(READERS);
    for _ in 0..READERS {
        readers.push(client.events().await.unwrap());
    }
    let (mut first, mut last) = (Vec::new(), Vec::new());
    for number in 0..TOLD {
        let begun = Instant::now();
        client.set_paused(number % 2 == 0).await.unwrap();
        for (place, reader) in readers.iter_mut().enumerate() {
            reader.next().await.unwrap().unwrap();
            if place == 0 {
                first.push(begun.elapsed());
            }
        }
        last.push(begun.elapsed());
    }
    format!(
        "an event to {READERS} readers, {TOLD} times, with the request that brought it about: at the \
         first {}; at all {}",
        spread(first),
        spread(last)
    )
}

/// The daemon's processor time in milliseconds for each of a round's jobs: alone, and listened to.
fn with_readers(world: &World, daemon: &mut Daemon, round: &mut usize) -> (f64, f64) {
    let begun = cpu_ms(daemon.id());
    save_all(world, daemon, round);
    let alone = cpu_ms(daemon.id()) - begun;

    let client = Client::new(world.state());
    let (ready, readers) = std::sync::mpsc::channel();
    let reading = std::thread::spawn({
        let client = client.clone();
        move || in_a_runtime(listen(client, ready))
    });
    readers.recv().unwrap();
    let begun = cpu_ms(daemon.id());
    save_all(world, daemon, round);
    let heard = cpu_ms(daemon.id()) - begun;
    in_a_runtime(async {
        client.set_paused(true).await.unwrap();
        client.set_paused(false).await.unwrap();
    });
    let heard_of = reading.join().unwrap();
    assert_eq!(
        heard_of,
        READERS * FILES,
        "each heard of the end of each job"
    );
    #[expect(clippy::cast_precision_loss, reason = "a few hundred")]
    let files = FILES as f64;
    (alone / files, heard / files)
}

/// Reads with all readers until each has heard of a pause. How many ends of jobs they heard of.
async fn listen(client: Client, ready: Sender<()>) -> usize {
    let mut readers = JoinSet::new();
    for _ in 0..READERS {
        let mut events = client.events().await.unwrap();
        readers.spawn(async move {
            let mut ends = 0;
            loop {
                match events.next().await.unwrap().unwrap().event {
                    Event::Ended(_) => ends += 1,
                    Event::Paused => return ends,
                    _ => {}
                }
            }
        });
    }
    ready.send(()).unwrap();
    readers.join_all().await.into_iter().sum()
}

/// A day's work.
struct Day {
    jobs: usize,
    /// Whether its texts are two that alternate.
    known: bool,
    arenas: bool,
}

impl Day {
    /// Done in a daemon of its own, looked at now and then.
    fn work(&self, out: &mut impl std::io::Write) -> std::io::Result<()> {
        let world = World::new(Script::default());
        world.save("go.mod", samples::GO_MOD);
        let mut daemon = watch(&world, self.arenas);
        let client = Client::new(world.state());
        let begun = Instant::now();
        let (mut round, mut done, mut logged) = (0, 0, 0);
        while done < self.jobs {
            save_all(&world, &mut daemon, &mut round);
            if self.known {
                round %= 2;
            }
            done += FILES;
            in_a_runtime(client.status()).unwrap();
            if done.is_multiple_of(1000) {
                let said: usize = daemon.said().iter().map(|line| line.len() + 1).sum();
                writeln!(
                    out,
                    "after {done:>6} jobs, {:>4.0} s: resident {:>6} KiB, anonymous {:>6} KiB; log {} \
                     bytes a job; state {} KiB",
                    begun.elapsed().as_secs_f64(),
                    memory(daemon.id(), "VmRSS:"),
                    memory(daemon.id(), "RssAnon:"),
                    (said - logged) / 1000,
                    size(&world.state()) / 1024,
                )?;
                logged = said;
            }
        }
        daemon.stop();
        Ok(())
    }
}

fn in_a_runtime<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(work)
}

fn spread(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let at = |share: usize| times[(times.len() - 1) * share / 100];
    format!("p50 {:.2?} p99 {:.2?}", at(50), at(99))
}

fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Processor time so far, by the kernel's ticks of 10 ms.
fn cpu_ms(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let after_name = stat.rsplit(')').next().unwrap();
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    // utime and stime, counted from the state field; see proc(5).
    10.0 * (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap())
}

/// A figure of the process's status, in KiB.
fn memory(pid: u32, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// What all files below a folder take up, in bytes.
fn size(dir: &std::path::Path) -> u64 {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(about) if about.is_dir() => size(&entry.path()),
        Ok(about) => about.len(),
        // Gone meanwhile.
        Err(_) => 0,
    });
    sizes.sum()
}
