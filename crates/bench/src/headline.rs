//! Calls, tokens and time for each kind of change, against the lower bound.

use std::fmt;
use std::fs;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use testsmith_config::{Settings, Sources};
use testsmith_daemon::{Mode, Progress, Selection, ServiceOptions, Totals};
use testsmith_simulator::{Fault, Latency, RetryAfter, Rule, Script, Simulator};
use tokio::time::Instant;

use crate::project;

/// How large the project is and how slow the model.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Go files.
    pub files: usize,
    /// Public functions in each.
    pub functions: usize,
    /// How long the model takes for each call.
    pub latency: Duration,
    /// Calls open at once.
    pub permits: usize,
}

impl Default for Size {
    fn default() -> Self {
        Self {
            files: 40,
            functions: 6,
            latency: Duration::from_millis(200),
            permits: 5,
        }
    }
}

/// One run's figures.
#[derive(Debug, Clone)]
pub struct Row {
    /// What was done.
    pub run: &'static str,
    /// Requests the model server received.
    pub calls: usize,
    /// What the contract says of the calls.
    pub expected: String,
    /// Whether it was so.
    pub as_expected: bool,
    /// Prompt tokens, as the server counts them.
    pub tokens_in: u64,
    /// Answer tokens, as the server counts them.
    pub tokens_out: u64,
    /// From the first file to the last.
    pub wall: Duration,
    /// Calls ÷ permits × latency.
    pub bound: Duration,
    /// Files that failed.
    pub failed: usize,
    /// The cache's line.
    pub cache: String,
}

impl Row {
    /// Time over the lower bound; `None` where there were no calls.
    pub fn ratio(&self) -> Option<f64> {
        (self.bound > Duration::ZERO).then(|| self.wall.as_secs_f64() / self.bound.as_secs_f64())
    }
}

/// The table.
#[derive(Debug, Clone)]
pub struct Table(pub Vec<Row>);

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<34} {:>6} {:>16} {:>10} {:>10} {:>9} {:>7}",
            "run", "calls", "expected", "tokens in", "tokens out", "wall", "bound×"
        )?;
        for row in &self.0 {
            let ratio = row
                .ratio()
                .map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.2}"));
            let mark = if row.as_expected && row.failed == 0 {
                ""
            } else {
                "  ✗"
            };
            writeln!(
                f,
                "{:<34} {:>6} {:>16} {:>10} {:>10} {:>8.2}s {:>7}{mark}",
                row.run,
                row.calls,
                row.expected,
                row.tokens_in,
                row.tokens_out,
                row.wall.as_secs_f64(),
                ratio
            )?;
        }
        Ok(())
    }
}

/// Measures all rows, telling each as it is done.
pub async fn measure(size: Size, mut tell: impl FnMut(&Row)) -> anyhow::Result<Table> {
    let mut bench = Bench::new(size).await?;
    let members = size.files * size.functions;
    let mut rows = Vec::new();
    let mut done = |row: Row| {
        tell(&row);
        rows.push(row);
    };

    bench.fresh_project()?;
    done(
        bench
            .run(
                "one call per member, no cache",
                exactly(members),
                &["batch.enabled=false"],
                Selection::All,
            )
            .await?,
    );
    bench.fresh_project()?;
    done(
        bench
            .run(
                "batch, cold cache",
                exactly(size.files),
                &[],
                Selection::All,
            )
            .await?,
    );
    bench.forget_tests()?;
    done(
        bench
            .run("again after a restart", exactly(0), &[], Selection::All)
            .await?,
    );
    let edited = bench.edit_one_function()?;
    done(
        bench
            .run("one function edited", exactly(1), &[], edited)
            .await?,
    );
    let reformatted = bench.reformat_one_file()?;
    done(
        bench
            .run("one file reformatted", exactly(0), &[], reformatted)
            .await?,
    );
    bench.fresh_project()?;
    bench.simulator.set_script(faulty(size));
    let (least, most) = (size.files, size.files * 3);
    let expected = Expected {
        least,
        most,
        words: format!("{least} to {most}"),
    };
    let timeouts = ["llm.timeouts.attempt=2s", "llm.retry.base_delay=100ms"];
    done(
        bench
            .run(
                "10 % of calls 429, 500, timeouts",
                expected,
                &timeouts,
                Selection::All,
            )
            .await?,
    );
    bench.simulator.shutdown().await;
    Ok(Table(rows))
}

struct Expected {
    least: usize,
    most: usize,
    words: String,
}

fn exactly(calls: usize) -> Expected {
    Expected {
        least: calls,
        most: calls,
        words: calls.to_string(),
    }
}

/// Five of 45 calls fail: by 429, by 500 and by hanging until the client gives up. They come close
/// together and then late, so that no file meets one at each of its three attempts.
fn faulty(size: Size) -> Script {
    let busy = Fault::status(429).retry_after(RetryAfter::Seconds(0.3));
    Script::default()
        .latency(Latency::fixed(size.latency))
        .rule(Rule::from(Fault::status(500)).every(28))
        .rule(Rule::from(Fault::status(500)).every(29))
        .rule(Rule::from(busy).every(30))
        .rule(Rule::from(Fault::Hang).every(31))
        .rule(Rule::from(Fault::status(500)).every(37))
}

struct Bench {
    size: Size,
    simulator: Simulator,
    place: tempfile::TempDir,
    round: usize,
}

impl Bench {
    async fn new(size: Size) -> anyhow::Result<Self> {
        let simulator =
            Simulator::start(Script::default().latency(Latency::fixed(size.latency))).await?;
        Ok(Self {
            size,
            simulator,
            place: tempfile::tempdir()?,
            round: 0,
        })
    }

    fn root(&self) -> std::path::PathBuf {
        self.place.path().join(format!("project{}", self.round))
    }

    /// A new project with a new, empty state.
    fn fresh_project(&mut self) -> anyhow::Result<()> {
        self.round += 1;
        let root = self.root();
        fs::create_dir_all(&root)?;
        Ok(project::write(&root, self.size.files, self.size.functions)?)
    }

    /// As on a new checkout: the sources are there, the tests are not, and nothing was deleted by
    /// hand. What is left is the cache.
    fn forget_tests(&self) -> anyhow::Result<()> {
        for file in 0..self.size.files {
            let test = project::name(file).replace(".go", "_testsmith_test.go");
            fs::remove_file(self.root().join(test))?;
        }
        Ok(fs::remove_dir_all(self.state().join("jobs.sled"))?)
    }

    fn state(&self) -> std::path::PathBuf {
        self.place.path().join(format!("state{}", self.round))
    }

    fn edit_one_function(&self) -> anyhow::Result<Selection> {
        self.rewrite(3, |text| {
            text.replacen("return price", "return 1 + price", 1)
        })
    }

    fn reformat_one_file(&self) -> anyhow::Result<Selection> {
        self.rewrite(4, |text| {
            text.replace("\treturn price", "\n\t    return   price")
        })
    }

    fn rewrite(&self, file: usize, change: impl Fn(String) -> String) -> anyhow::Result<Selection> {
        let path = self.root().join(project::name(file));
        let before = fs::read_to_string(&path)?;
        let after = change(before.clone());
        ensure!(before != after, "the change must change something");
        fs::write(&path, after)?;
        Ok(Selection::Paths(vec![path]))
    }

    /// One run of `generate` on its own process state: opened, worked off, closed.
    async fn run(
        &self,
        run: &'static str,
        expected: Expected,
        set: &[&str],
        selection: Selection,
    ) -> anyhow::Result<Row> {
        self.simulator.clear_log();
        let options = ServiceOptions {
            roots: vec![self.root().canonicalize()?],
            state_dir: self.state(),
            cache_dir: self.state().join("unused"),
            settings: self.settings(set)?,
            restores: true,
            prefers: false,
        };
        let started = Instant::now();
        let totals = testsmith_daemon::generate(options, selection, Mode::Write, |_: Progress| {});
        let totals = totals.await.with_context(|| format!("the run `{run}`"))?;
        let wall = started.elapsed();
        Ok(self.row(run, &expected, wall, &totals))
    }

    fn row(&self, run: &'static str, expected: &Expected, wall: Duration, totals: &Totals) -> Row {
        let log = self.simulator.log();
        let calls = log.len();
        let tokens =
            |count: fn(&testsmith_simulator::RequestRecord) -> u64| log.iter().map(count).sum();
        #[expect(clippy::cast_precision_loss, reason = "a few hundred calls")]
        let rounds = calls as f64 / self.size.permits as f64;
        Row {
            run,
            calls,
            expected: expected.words.clone(),
            as_expected: (expected.least..=expected.most).contains(&calls),
            tokens_in: tokens(|record| record.tokens_in),
            tokens_out: tokens(|record| record.tokens_out),
            wall,
            bound: self.size.latency.mul_f64(rounds),
            failed: totals.failed,
            cache: totals
                .cache
                .map(|cache| cache.to_string())
                .unwrap_or_default(),
        }
    }

    fn settings(&self, set: &[&str]) -> anyhow::Result<Settings> {
        let permits = format!("llm.max_concurrent_calls={}", self.size.permits);
        let url = format!("llm.base_url={}", self.simulator.openai_base_url());
        // Calls are what is counted here; the toolchain would be all that is timed.
        let own = [
            "llm.provider=openai",
            "llm.model=simulated",
            "verify.mode=off",
            &url,
            &permits,
        ];
        let flags = own
            .iter()
            .chain(set)
            .filter_map(|setting| setting.split_once('='))
            .map(|(key, value)| ("--set".to_owned(), key.to_owned(), value.to_owned()))
            .collect();
        Ok(Settings::load(&Sources {
            flags,
            ..Sources::default()
        })?
        .settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The contract's calls, on a project small enough for a test. Times are not looked at.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn every_row_takes_the_calls_it_should() {
        // The rows edit files 3 and 4 of the project: it needs five.
        let size = Size {
            files: 5,
            functions: 3,
            latency: Duration::from_millis(5),
            permits: 5,
        };
        let table = measure(size, |_| {}).await.unwrap();
        for row in &table.0 {
            assert!(row.as_expected, "{table}");
            assert_eq!(row.failed, 0, "{table}");
        }
        assert_eq!(table.0.len(), 6);
    }
}
