//! What it costs to run tests before they are written: the real program, real toolchains, a model that
//! answers at once.
//!
//! `cargo bench -p testsmith-cli --bench verification`

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

use std::io::Write as _;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use support::tools::packages_in_place;
use support::world::{World, build_caches, said};
use support::{node, samples};
use testsmith_simulator::{BadBody, Fault, Rule, Script};

const SAVES: usize = 15;
const DEBOUNCE: Duration = Duration::from_millis(50);
const FILES: usize = 40;
const FUNCTIONS: usize = 6;

fn main() -> std::io::Result<()> {
    let mut out = std::io::stdout();
    writeln!(
        out,
        "{:<8} {:>18} {:>12} {:>12} {:>12} {:>18}",
        "", "save → verified", "two runs", "plain, new", "plain, again", "overhead a run"
    )?;
    for language in languages() {
        writeln!(out, "{}", measure(&language))?;
    }
    for (what, bad) in [("240 good members", false), ("40 % of them bad", true)] {
        writeln!(out, "{what}: {}", throughput(bad))?;
    }
    Ok(())
}

/// A project of one source file.
struct Language {
    name: &'static str,
    world: World,
    source: (&'static str, &'static str),
    /// The runner as a user starts it.
    plain: Command,
}

fn languages() -> Vec<Language> {
    let go = World::verifying(Script::default());
    go.save("go.mod", samples::GO_MOD);
    let mut plain_go = Command::new("go");
    plain_go
        .args(["test", "-json", "-count=1", "."])
        .env("GOCACHE", build_caches().join("plain-go"));
    let python = World::verifying(Script::default());
    python.save(
        "pyproject.toml",
        "[tool.pytest.ini_options]\npythonpath = [\".\"]\n",
    );
    let mut plain_python = Command::new("python3");
    plain_python.args(["-m", "pytest", "-q", "tests/testsmith/test_shop.py"]);
    let vitest = World::verifying(Script::default());
    vitest.save(
        "package.json",
        "{\"type\":\"module\",\"devDependencies\":{\"vitest\":\"3\"}}\n",
    );
    let mut plain_vitest = Command::new("node");
    plain_vitest.args(["node_modules/vitest/vitest.mjs", "run", "--reporter=json"]);
    let all = [
        ("go", go, ("cart.go", samples::GO), plain_go),
        ("pytest", python, ("shop.py", samples::PYTHON), plain_python),
        (
            "vitest",
            vitest,
            ("shop.ts", samples::TYPESCRIPT),
            plain_vitest,
        ),
    ];
    all.into_iter()
        .map(|(name, world, source, mut plain)| {
            if name == "vitest" && node::install_vitest(&world.root()) {
                packages_in_place(&world.root());
            }
            plain.current_dir(world.root());
            Language {
                name,
                world,
                source,
                plain,
            }
        })
        .collect()
}

fn measure(language: &Language) -> String {
    let Language {
        name,
        world,
        source: (path, text),
        ..
    } = language;
    let setting = format!("watch.debounce={}ms", DEBOUNCE.as_millis());
    let mut daemon = world.watch(&["--set", &setting]);
    let (mut waits, mut runs, mut news, mut agains, mut overheads) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for number in 0..=SAVES {
        let text = text.replace("a + b", &format!("a + b + {number}"));
        let saved = Instant::now();
        world.save(path, text);
        let ended = daemon.ended(path);
        let waited = saved.elapsed().saturating_sub(DEBOUNCE);
        assert_eq!(ended["outcome"], "written", "{ended}");
        let ran = Duration::from_millis(ended["verify_ms"].as_u64().unwrap());
        let (new, again) = (time(&language.plain), time(&language.plain));
        // The first one warms caches.
        if number > 0 {
            waits.push(waited);
            runs.push(ran);
            news.push(new);
            agains.push(again);
            overheads.push(millis(ran) / 2.0 - f64::midpoint(millis(new), millis(again)));
        }
    }
    overheads.sort_by(f64::total_cmp);
    format!(
        "{name:<8} {:>15.0} ms {:>9.0} ms {:>9.0} ms {:>9.0} ms {:>15.0} ms",
        millis(median(waits)),
        millis(median(runs)),
        millis(median(news)),
        millis(median(agains)),
        overheads[overheads.len() / 2]
    )
}

fn time(command: &Command) -> Duration {
    let mut again = Command::new(command.get_program());
    again.args(command.get_args());
    again.current_dir(command.get_current_dir().unwrap());
    for (name, value) in command.get_envs() {
        again.env(name, value.unwrap_or_default());
    }
    let begun = Instant::now();
    let done = again.output().unwrap();
    assert!(done.status.success(), "{}", said(&done));
    begun.elapsed()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// All files of the generated project at once, with two verification jobs.
fn throughput(bad: bool) -> String {
    // Each is drawn among those that are left: a fifteenth of all each.
    let kinds = [
        (BadBody::Fails, 0.0667),
        (BadBody::DoesNotCompile, 0.0714),
        (BadBody::Flaky, 0.0769),
        (BadBody::EditsFiles, 0.0833),
        (BadBody::Network, 0.0909),
        (BadBody::Hangs, 0.1),
    ];
    let mut script = Script::default().seed(11);
    for (kind, share) in kinds.into_iter().filter(|_| bad) {
        script = script.rule(Rule::from(Fault::body(kind)).probability(share));
    }
    let world = World::verifying(script);
    testsmith_bench::project::write(&world.root(), FILES, FUNCTIONS).unwrap();
    let settings = ["--set", "verify.jobs=2", "--set", "verify.timeout=5s"];
    let generate = |more: &[&str]| -> (Output, Duration) {
        let begun = Instant::now();
        let run = world.run(&[&["generate", "--all"], &settings[..], more].concat());
        (run, begun.elapsed())
    };
    let (run, wall) = generate(&[]);
    assert!(run.status.success(), "{}", said(&run));
    let requests = world.requests().len();
    let mut plain = Command::new("go");
    plain.args(["test", "-count=1", "./..."]);
    plain.current_dir(world.root());
    let plain = time(&plain);
    let (again, second) = generate(&[]);
    assert!(again.status.success(), "{}", said(&again));
    let members = FILES * FUNCTIONS;
    #[expect(clippy::cast_precision_loss, reason = "a few hundred")]
    let rate = members as f64 / wall.as_secs_f64();
    format!(
        "{:.1} s, {rate:.1} members a second, {:.1} × one plain run of all ({:.2} s), {requests} \
         requests; a second run {:.2} s, {} requests",
        wall.as_secs_f64(),
        wall.as_secs_f64() / plain.as_secs_f64(),
        plain.as_secs_f64(),
        second.as_secs_f64(),
        world.requests().len() - requests
    )
}
