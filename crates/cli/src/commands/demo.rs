//! `testsmith demo`: the whole of it on a sample project, with no key and no network.
//!
//! The daemon is this very program, started as a user would; the model is the simulator, with
//! faults on.

mod daemon;
mod sample;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use anyhow::{Context as _, ensure};
use testsmith_bench::headline::{Size, measure};
use testsmith_simulator::{BadBody, Fault, Latency, RetryAfter, Rule, Script, Simulator};
use tokio::time::timeout;

use crate::args::DemoArgs;
use crate::output::counted;
use crate::{block_on, exit, output};
use daemon::{Daemon, Ended};

/// How long the daemon may take to ask the model.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long the simulated model takes for an answer.
const LATENCY: Duration = Duration::from_millis(400);

pub(crate) fn run(args: &DemoArgs) -> anyhow::Result<u8> {
    let place = tempfile::Builder::new()
        .prefix("testsmith-demo-")
        .tempdir()?;
    let shown = block_on(show(place.path()))?;
    if args.keep {
        let kept = place.keep();
        output::line(format_args!(
            "\nThe sample project stays in {}",
            kept.join("shop").display()
        ))?;
    }
    shown.map(|()| exit::OK)
}

async fn show(place: &Path) -> anyhow::Result<()> {
    let root = place.join("shop");
    sample::write_module(&root)?;
    title("A sample project in Go, and a simulated model that fails as real ones do")?;
    say(format_args!("project  {}", root.display()))?;
    let simulator = Simulator::start(faults()).await?;
    say(format_args!("model    {}", simulator.openai_base_url()))?;
    let story = story(&root, place, &simulator).await;
    simulator.shutdown().await;
    story?;
    show_tests(&root)?;
    title("The same in figures: 40 files × 6 functions, 200 ms a call, 5 at a time")?;
    let table = measure(Size::default(), |row| {
        output::note(format_args!("  measured: {}", row.run));
    });
    let table = table.await?;
    output::line(format_args!("{table}"))?;
    if let Some(row) = table.0.last() {
        output::line(&row.cache)?;
    }
    ensure!(
        table.0.iter().all(|row| row.as_expected && row.failed == 0),
        "the table is not as it should be"
    );
    Ok(())
}

/// The first call meets a 500, the second a 429 that asks for 600 ms; the answer to the next file
/// is wrapped in prose and lacks a member. Two tests of another file are bad: one does not compile,
/// and is mended when the model is told; one fails.
fn faults() -> Script {
    let broken = Fault::Body {
        bad: BadBody::DoesNotCompile,
        heals: true,
    };
    let busy = Fault::status(429).retry_after(RetryAfter::Seconds(0.6));
    Script::default()
        .latency(Latency::fixed(LATENCY))
        .rule(Rule::from(Fault::status(500)).nth(1))
        .rule(Rule::from(busy).nth(2))
        .rule(Rule::from(Fault::Missing { count: 1 }).nth(4))
        .rule(Rule::from(Fault::Prose).nth(5))
        .rule(Rule::from(broken).member("Reserve"))
        .rule(Rule::from(Fault::body(BadBody::Fails)).member("Short"))
}

async fn story(root: &Path, place: &Path, simulator: &Simulator) -> anyhow::Result<()> {
    title("1. The daemon starts and watches")?;
    let mut daemon = Daemon::start(root, place, &simulator.openai_base_url()).await?;

    title("2. You save cart.go; the model answers 500, then 429, then well")?;
    say("the first tests that run take longer: Go builds its own packages for them once")?;
    sample::save(root, "cart.go", sample::CART)?;
    tell(&daemon.ended("cart.go").await?)?;

    title("3. You save text.go twice in a row; one call, and the answer lacks a member")?;
    sample::save(root, "text.go", "package shop\n")?;
    sample::save(root, "text.go", sample::TEXT)?;
    tell(&daemon.ended("text.go").await?)?;

    title("4. You save price.go, and the daemon is killed (-9) in the middle of the call")?;
    let before = simulator.counts().arrived;
    sample::save(root, "price.go", sample::PRICE)?;
    let asked = simulator.until(|counts| counts.arrived > before);
    timeout(PATIENCE, asked)
        .await
        .context("the daemon did not ask the model in time")?;
    daemon.kill().await?;
    say("killed; started again: the job was on disk")?;
    let mut daemon = Daemon::start(root, place, &simulator.openai_base_url()).await?;
    tell(&daemon.ended("price.go").await?)?;

    title("5. You reformat cart.go: nothing is asked, for nothing has changed")?;
    sample::save(root, "cart.go", &sample::reformatted(sample::CART))?;
    tell(&daemon.ended("cart.go").await?)?;

    title("6. You change one of its functions: one call, for that one")?;
    sample::save(root, "cart.go", &sample::edited(sample::CART))?;
    tell(&daemon.ended("cart.go").await?)?;

    title("7. You rename price.go to pricing.go: its tests move along, at no cost")?;
    std::fs::rename(root.join("price.go"), root.join("pricing.go"))?;
    tell(&daemon.ended("pricing.go").await?)?;

    title("8. The model writes a test that does not compile, and one that fails")?;
    sample::save(root, "stock.go", sample::STOCK)?;
    tell(&daemon.ended("stock.go").await?)?;
    say("the tree holds only what compiled and passed; see `testsmith findings`")?;

    title("9. You stop the daemon")?;
    say(daemon.stop().await?)
}

fn tell(ended: &Ended) -> anyhow::Result<()> {
    let Ended {
        outcome,
        calls,
        attempts,
        members,
        hits,
        test_path,
        elapsed_ms,
        verified,
        held_back,
    } = ended;
    let place = test_path
        .as_ref()
        .map(|path| format!(" → {path}"))
        .unwrap_or_default();
    say(format_args!(
        "{outcome}{place}: {}, {hits} from the cache, {} in {}, {verified} verified, {elapsed_ms} ms",
        counted(*members, "member"),
        counted(*calls, "call"),
        counted(*attempts, "attempt")
    ))?;
    held_back.as_ref().map_or(Ok(()), |text| {
        say(format_args!("kept out of the tree: {text}"))
    })
}

/// One of the tests, and all of them run by the project's own toolchain.
fn show_tests(root: &Path) -> anyhow::Result<()> {
    title("A test that was written")?;
    let text = std::fs::read_to_string(root.join("cart_testsmith_test.go"))
        .context("cannot read the tests of cart.go")?;
    for line in text.lines().take(24) {
        say(line)?;
    }
    title("All of them, run by the real toolchain")?;
    let go = Command::new("go")
        .args(["test", "-count=1", "-v", "./..."])
        .current_dir(root)
        .env("GOFLAGS", "-mod=mod")
        .env("GOPROXY", "off")
        .env("GOTOOLCHAIN", "local")
        .stdin(Stdio::null())
        .output();
    let Ok(go) = go else {
        return say("skipped: go not found");
    };
    let out = String::from_utf8_lossy(&go.stdout);
    let passed = out
        .lines()
        .filter(|line| line.starts_with("--- PASS"))
        .count();
    let last = out.lines().last().unwrap_or_default();
    say(format_args!("go test: {passed} tests passed; {last}"))?;
    ensure!(
        go.status.success(),
        "the tests do not pass:\n{out}{}",
        String::from_utf8_lossy(&go.stderr)
    );
    Ok(())
}

fn title(text: &str) -> anyhow::Result<()> {
    let style = Style::new().bold().fg_color(Some(AnsiColor::Cyan.into()));
    output::line(format_args!("\n{style}{text}{style:#}"))
}

fn say(text: impl std::fmt::Display) -> anyhow::Result<()> {
    output::line(format_args!("  {text}"))
}
