//! The settings, validated.
//!
//! Types hold what a single value must be; [`Settings::check`] holds what several must be
//! together. Meaning and defaults of each key are told in `config/default.toml`.

mod llm;
mod verify;

use std::num::NonZeroUsize;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::spending::{BudgetSettings, LimitSettings, Prices};
use crate::{ByteSize, Period};

pub use self::llm::{
    AnswerFormat, FallbackSettings, Jitter, LlmSettings, ProviderKind, RetrySettings,
    TimeoutSettings,
};
pub use self::verify::{CommandSettings, SandboxMode, VerifyMode, VerifySettings};

/// Everything that can be set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Whether tests are written, or proposed.
    pub mode: Mode,
    /// The language model.
    pub llm: LlmSettings,
    /// Batching.
    pub batch: BatchSettings,
    /// Watching.
    pub watch: WatchSettings,
    /// The job queue.
    pub queue: QueueSettings,
    /// The cache of answers.
    pub cache: CacheSettings,
    /// What may be spent.
    pub budget: BudgetSettings,
    /// How fast requests are sent.
    pub limits: LimitSettings,
    /// What models cost, beside the built-in prices.
    pub prices: Prices,
    /// The service itself.
    pub service: ServiceSettings,
    /// The log.
    pub log: LogSettings,
    /// Figures for Prometheus.
    pub metrics: MetricsSettings,
    /// Notices.
    pub notify: NotifySettings,
    /// What the search for secrets lets pass.
    pub secrets: SecretsSettings,
    /// Test frameworks set by hand.
    pub frameworks: FrameworkSettings,
    /// Verification.
    pub verify: VerifySettings,
}

/// `mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Tests are written to the tree.
    Apply,
    /// They wait in the state directory until they are accepted.
    Propose,
}

/// `[batch]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BatchSettings {
    /// One call for each changed file; otherwise one for each member.
    pub enabled: bool,
}

/// `[watch]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WatchSettings {
    /// How long a file must be quiet.
    pub debounce: Period,
    /// The longest wait under constant writing.
    pub max_wait: Period,
    /// Globs of what is no source.
    pub exclude: Vec<String>,
    /// More changes at once than this are bulk work.
    pub bulk_threshold: NonZeroUsize,
    /// Larger files are no source.
    pub max_file_size: ByteSize,
    /// How often the tree is compared with what was last seen; zero: never.
    pub rescan_every: Period,
}

/// `[queue]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QueueSettings {
    /// Files worked on at once; by default `llm.max_concurrent_calls` + 2.
    pub workers: Option<NonZeroUsize>,
}

/// `[cache]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CacheSettings {
    /// The most bytes kept.
    pub max_size: ByteSize,
    /// The longest an answer is kept.
    pub max_age: Period,
    /// The most answers kept.
    pub max_entries: u64,
}

/// `[service]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceSettings {
    /// How long running calls may go on after SIGTERM.
    pub shutdown_grace: Period,
}

/// `[metrics]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MetricsSettings {
    /// The address of this machine at which they are offered; none by default.
    #[schemars(with = "Option<String>")]
    pub listen: Option<std::net::SocketAddr>,
}

/// `[notify]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NotifySettings {
    /// Whether findings and parked jobs are shown on the user's desktop.
    pub desktop: bool,
}

/// `[log]`: what the service says, and where it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogSettings {
    /// How much is said.
    pub level: LogLevel,
    /// Whether the service keeps log files.
    pub files: LogFiles,
    /// A log file as large as this is followed by another.
    pub max_size: ByteSize,
    /// So is one that was begun this long ago.
    pub max_age: Period,
    /// The most that all log files of a project may take.
    pub max_total: ByteSize,
}

/// `log.level`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// What could not be done.
    Error,
    /// Trouble as well.
    Warn,
    /// What became of each job as well.
    Info,
    /// Each attempt at the model as well.
    Debug,
    /// Prompts and answers as well.
    Trace,
}

impl LogLevel {
    /// Its name in filters.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// `log.files`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFiles {
    /// Unless the log goes to systemd's journal.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// `[secrets]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretsSettings {
    /// Ids of rules that do not count, and globs of files in which everything passes.
    pub allow: Vec<String>,
}

/// `[frameworks]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FrameworkSettings {
    /// For Go.
    pub go: Option<String>,
    /// For Python.
    pub python: Option<String>,
    /// For TypeScript.
    pub typescript: Option<String>,
    /// For JavaScript.
    pub javascript: Option<String>,
}

/// No wait of ours is meant to be longer, and the sum of a moment and a much longer one does not
/// exist.
const LONGEST: Duration = Duration::from_hours(24);

/// A model that could not mend a body twice does not mend it the third time, and each round is a paid
/// call.
const MOST_REPAIRS: u32 = 2;

impl Settings {
    /// The number of workers in force.
    pub fn workers(&self) -> usize {
        self.queue
            .workers
            .map_or(self.llm.max_concurrent_calls.get() + 2, NonZeroUsize::get)
    }

    /// What no single value can tell. Gives the key at fault and what is wrong with it.
    pub(crate) fn check(&self) -> Result<(), (&'static str, String)> {
        let fault = |key, text: &str| Err((key, text.to_owned()));
        let Self { llm, watch, .. } = self;
        if !(0.0..=2.0).contains(&llm.temperature) {
            return fault("llm.temperature", "must be from 0 to 2");
        }
        if let Some(url) = &llm.base_url
            && !(url.starts_with("http://") || url.starts_with("https://"))
        {
            return fault("llm.base_url", "must begin with http:// or https://");
        }
        llm.check_fallback()?;
        if watch.max_wait.get() < watch.debounce.get() {
            return fault("watch.max_wait", "must not be shorter than watch.debounce");
        }
        if llm.timeouts.call.get() < llm.timeouts.attempt.get() {
            return fault(
                "llm.timeouts.call",
                "must not be shorter than llm.timeouts.attempt",
            );
        }
        if llm.retry.max_delay.get() < llm.retry.base_delay.get() {
            return fault(
                "llm.retry.max_delay",
                "must not be shorter than llm.retry.base_delay",
            );
        }
        let periods = [
            ("llm.retry.base_delay", llm.retry.base_delay),
            ("llm.retry.max_delay", llm.retry.max_delay),
            ("llm.retry.max_inline_wait", llm.retry.max_inline_wait),
            ("llm.timeouts.connect", llm.timeouts.connect),
            ("llm.timeouts.attempt", llm.timeouts.attempt),
            ("llm.timeouts.call", llm.timeouts.call),
            ("watch.debounce", watch.debounce),
            ("watch.max_wait", watch.max_wait),
            ("watch.rescan_every", watch.rescan_every),
            ("service.shutdown_grace", self.service.shutdown_grace),
            ("verify.timeout", self.verify.timeout),
        ];
        if let Some((key, _)) = periods.iter().find(|(_, period)| period.get() > LONGEST) {
            return fault(key, "must not be longer than a day");
        }
        if self.verify.repair_rounds > MOST_REPAIRS {
            return fault("verify.repair_rounds", "must not be more than 2");
        }
        let commands = &self.verify.commands;
        for (key, command) in [
            ("verify.commands.go", &commands.go),
            ("verify.commands.python", &commands.python),
            ("verify.commands.typescript", &commands.typescript),
            ("verify.commands.javascript", &commands.javascript),
        ] {
            if command.as_ref().is_some_and(Vec::is_empty) {
                return fault(
                    key,
                    "must name a program: [\"poetry\", \"run\", \"pytest\"]",
                );
            }
        }
        if self
            .metrics
            .listen
            .is_some_and(|address| !address.ip().is_loopback())
        {
            return fault(
                "metrics.listen",
                "must be an address of this machine alone, such as 127.0.0.1:9464",
            );
        }
        if self.log.max_total.get() < self.log.max_size.get() {
            return fault("log.max_total", "must not be less than log.max_size");
        }
        if self.log.max_size.get() == 0 {
            return fault("log.max_size", "must be more than nothing");
        }

        if let Err(error) = testsmith_secrets::Scanner::new(&self.secrets.allow) {
            return fault("secrets.allow", &error.to_string());
        }
        for glob in &watch.exclude {
            if let Err(error) = globset::Glob::new(glob) {
                return Err((
                    "watch.exclude",
                    format!("`{glob}` is no glob: {}", error.kind()),
                ));
            }
        }
        Ok(())
    }
}
