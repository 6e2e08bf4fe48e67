//! The daemon as the demo runs it: this program as a child, its log read line by line.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};
use tokio::time::timeout;

/// The longest the demo waits for a line.
const PATIENCE: Duration = Duration::from_mins(3);

pub(super) struct Daemon {
    child: Child,
    log: Lines<BufReader<ChildStderr>>,
}

/// How a job ended, as the log tells it.
pub(super) struct Ended {
    pub(super) outcome: String,
    pub(super) calls: u64,
    pub(super) attempts: u64,
    pub(super) members: u64,
    pub(super) hits: u64,
    pub(super) test_path: Option<String>,
    pub(super) elapsed_ms: u64,
    /// Tests that were run and held.
    pub(super) verified: u64,
    /// Members whose tests did not, and why.
    pub(super) held_back: Option<String>,
}

impl Daemon {
    /// Starts it and waits until it watches.
    pub(super) async fn start(root: &Path, place: &Path, base_url: &str) -> anyhow::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["watch", "--verbose", "--log-format", "json", "--state-dir"])
            .arg(place.join("state"))
            .arg("--cache-dir")
            .arg(place.join("cache"))
            .arg("--set=llm.provider=openai")
            .arg("--set=llm.model=simulated")
            .arg(format!("--set=llm.base_url={base_url}"))
            .arg("--set=watch.debounce=200ms")
            .arg(root)
            .env_remove("OPENAI_API_KEY")
            .env("TESTSMITH_LOG", "testsmith=info")
            .env("XDG_CONFIG_HOME", place.join("config"))
            .env("XDG_STATE_HOME", place.join("state-home"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("cannot start the daemon")?;
        let stderr = child
            .stderr
            .take()
            .context("the daemon has no standard error")?;
        let mut daemon = Self {
            child,
            log: BufReader::new(stderr).lines(),
        };
        let watching = daemon.line(|line| line["message"] == "watching").await?;
        super::say(format_args!(
            "watching {} folder(s), {} file(s)",
            watching["directories"], watching["files"]
        ))?;
        Ok(daemon)
    }

    /// Waits for the end of a job on `path` that is no removal.
    pub(super) async fn ended(&mut self, path: &str) -> anyhow::Result<Ended> {
        let line = self
            .line(|line| {
                let of_path = line["spans"]
                    .as_array()
                    .is_some_and(|spans| spans.iter().any(|span| span["path"] == path));
                of_path && line["message"] == "job ended" && line["outcome"] != "superseded"
            })
            .await?;
        let number = |field: &str| line[field].as_u64().unwrap_or(0);
        Ok(Ended {
            outcome: line["outcome"].as_str().unwrap_or("?").to_owned(),
            calls: number("calls"),
            attempts: number("attempts"),
            members: number("members"),
            hits: number("cache_hits"),
            test_path: line["test_path"].as_str().map(str::to_owned),
            elapsed_ms: number("elapsed_ms"),
            verified: number("verified"),
            held_back: line["held_back"].as_str().map(str::to_owned),
        })
    }

    /// Kills it as the kernel would.
    pub(super) async fn kill(mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }

    /// Asks it to stop, and gives its last line: the cache's figures.
    pub(super) async fn stop(mut self) -> anyhow::Result<String> {
        let id = self
            .child
            .id()
            .and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        kill_process(id.context("the daemon has ended by itself")?, Signal::TERM)?;
        // Read to the end, or the daemon might wait for us to.
        while timeout(PATIENCE, self.log.next_line()).await??.is_some() {}
        let output = timeout(PATIENCE, self.child.wait_with_output()).await??;
        if !output.status.success() {
            bail!("the daemon ended with {}", output.status);
        }
        let text = String::from_utf8_lossy(&output.stdout);
        Ok(text.lines().last().unwrap_or_default().to_owned())
    }

    async fn line(&mut self, wanted: impl Fn(&Value) -> bool) -> anyhow::Result<Value> {
        let search = async {
            while let Some(text) = self.log.next_line().await? {
                let Ok(line) = serde_json::from_str::<Value>(&text) else {
                    crate::output::note(text);
                    continue;
                };
                if wanted(&line) {
                    return Ok(line);
                }
            }
            bail!("the daemon ended early")
        };
        timeout(PATIENCE, search)
            .await
            .context("the daemon said nothing for three minutes")?
    }
}
