//! The settings, validated.
//!
//! Types hold what a single value must be; [`Settings::check`] holds what several must be
//! together. Meaning and defaults of each key are told in `config/default.toml`.

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::spending::{BudgetSettings, LimitSettings, Prices};
use crate::{ByteSize, Hidden, Period};

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

/// `[llm]`: the language model and how it is asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LlmSettings {
    /// Who writes the tests.
    pub provider: ProviderKind,
    /// The model's name.
    pub model: Option<String>,
    /// The server's address, up to and with `/v1`.
    pub base_url: Option<String>,
    /// The environment variable that holds the key.
    pub api_key_env: Option<String>,
    /// A file with the key.
    pub api_key_file: Option<PathBuf>,
    /// Headers sent with every request.
    pub headers: BTreeMap<String, Hidden>,
    /// Tokens asked for each member in a batch.
    pub max_tokens_per_member: NonZeroU32,
    /// The most tokens the model can write in one answer.
    pub max_output_tokens: Option<NonZeroU32>,
    /// Prompt tokens per call, estimated.
    pub prompt_token_budget: NonZeroU32,
    /// Sampling temperature, 0 to 2.
    pub temperature: f64,
    /// Calls open at once.
    pub max_concurrent_calls: NonZeroUsize,
    /// Fewer calls at once while the server says that it is overloaded.
    pub adaptive_concurrency: bool,
    /// How the answer is asked for.
    pub answer_format: AnswerFormat,
    /// Models that are asked, in this order, while the one above cannot answer.
    pub fallback: Vec<FallbackSettings>,
    /// Retries.
    pub retry: RetrySettings,
    /// Time limits.
    pub timeouts: TimeoutSettings,
}

/// `llm.provider`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ProviderKind {
    /// The key found in the environment decides.
    Auto,
    /// OpenAI's chat completions, by OpenAI or any other server.
    OpenAi,
    /// Anthropic's messages.
    Anthropic,
    /// Ollama.
    Ollama,
    /// No model: scaffolds.
    Offline,
}

/// `[[llm.fallback]]`: a model that is asked while those before it cannot answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FallbackSettings {
    /// Its provider; without it, that of `[llm]` with its address, key and headers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<ProviderKind>,
    /// The model's name.
    pub model: String,
    /// The server's address, up to and with `/v1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
    /// The environment variable that holds the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_key_env: Option<String>,
    /// A file with the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_key_file: Option<PathBuf>,
    /// Headers sent with every request.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, Hidden>,
    /// The most tokens the model can write in one answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_output_tokens: Option<NonZeroU32>,
    /// Requests per minute; by default `limits.rpm`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rpm: Option<NonZeroU32>,
    /// Tokens per minute; by default `limits.tpm`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tpm: Option<NonZeroU32>,
}

/// `llm.answer_format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AnswerFormat {
    /// `response_format: {"type":"json_object"}`.
    JsonObject,
    /// A JSON schema, where the server takes one.
    JsonSchema,
    /// Text with a delimited block for each member.
    Delimiter,
}

/// `[llm.retry]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RetrySettings {
    /// Requests for one call; 1 = no retry.
    pub max_attempts: NonZeroU32,
    /// The wait before attempt n+1 is this times 2^n.
    pub base_delay: Period,
    /// The longest such wait.
    pub max_delay: Period,
    /// Whether waits are drawn at random.
    pub jitter: Jitter,
    /// The longest "Retry-After" that is waited for with the job held.
    pub max_inline_wait: Period,
}

/// `llm.retry.jitter`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Jitter {
    /// Waits are exact.
    None,
    /// Each wait is drawn from 0 to its value.
    Full,
}

/// `[llm.timeouts]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TimeoutSettings {
    /// To connect.
    pub connect: Period,
    /// For one request.
    pub attempt: Period,
    /// For one call with its retries.
    pub call: Period,
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

/// `[verify]`: how candidates are run before they are written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VerifySettings {
    /// Whether candidates are run.
    pub mode: VerifyMode,
    /// How much of the sandbox has to stand.
    pub sandbox: SandboxMode,
    /// Candidates run at once; by default half the cores.
    pub jobs: Option<NonZeroUsize>,
    /// How many times a test has to hold.
    pub runs: NonZeroU32,
    /// How often the model is asked to mend a body, at most 2.
    #[schemars(range(max = 2))]
    pub repair_rounds: u32,
    /// How long the tests of one run may take, without the time to build them.
    pub timeout: Period,
    /// What all processes of a run may hold together.
    pub memory: ByteSize,
    /// What a run may print.
    pub output: ByteSize,
    /// The largest file that a run may write.
    pub file_size: ByteSize,
    /// How many processes and threads a run may have.
    pub processes: NonZeroU32,
    /// Commands in place of the runners found.
    pub commands: CommandSettings,
    /// Variables that a run sees.
    pub env: BTreeMap<String, String>,
}

/// `verify.mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum VerifyMode {
    /// What is not verified is not written.
    Required,
    /// Where the toolchain is missing, tests are written and marked as unverified.
    IfPossible,
    /// Nothing is run.
    Off,
}

/// `verify.sandbox`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SandboxMode {
    /// All walls, or nothing is run.
    Required,
    /// The walls that the system gives.
    BestEffort,
    /// No walls.
    Off,
}

/// `[verify.commands]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommandSettings {
    /// For Go.
    pub go: Option<Vec<String>>,
    /// For Python.
    pub python: Option<Vec<String>>,
    /// For TypeScript.
    pub typescript: Option<Vec<String>>,
    /// For JavaScript.
    pub javascript: Option<Vec<String>>,
}

/// No wait of ours is meant to be longer, and the sum of a moment and a much longer one does not
/// exist.
const LONGEST: Duration = Duration::from_hours(24);

/// A model that could not mend a body twice does not mend it the third time, and each round is a paid
/// call.
const MOST_REPAIRS: u32 = 2;

/// Each member's answer is looked for under one key for each model.
const MOST_FALLBACKS: usize = 7;

impl LlmSettings {
    /// What no single fallback model can tell.
    fn check_fallback(&self) -> Result<(), (&'static str, String)> {
        let key = "llm.fallback";
        if self.fallback.len() > MOST_FALLBACKS {
            return Err((
                key,
                format!("must not be more than {MOST_FALLBACKS} models"),
            ));
        }
        if !self.fallback.is_empty() && self.provider == ProviderKind::Offline {
            let message = "needs a model to fall back from: set `llm.provider`";
            return Err((key, message.to_owned()));
        }
        for (at, link) in self.fallback.iter().enumerate() {
            let fault = |text: String| Err((key, format!("`{}` {text}", link.model)));
            if let Some(message) = link.fault() {
                return fault(message);
            }
            let is_first =
                link.provider.is_none() && self.model.as_deref() == Some(link.model.as_str());
            if is_first || self.fallback[..at].contains(link) {
                return fault("is in the chain already, on the same server".to_owned());
            }
        }
        Ok(())
    }
}

impl FallbackSettings {
    /// What is wrong with it by itself.
    fn fault(&self) -> Option<String> {
        let own = [
            ("base_url", self.base_url.is_some()),
            ("api_key_env", self.api_key_env.is_some()),
            ("api_key_file", self.api_key_file.is_some()),
            ("headers", !self.headers.is_empty()),
        ];
        if self.model.trim().is_empty() {
            return Some("is no model's name".to_owned());
        }
        match self.provider {
            None => own.iter().find(|(_, is_set)| *is_set).map(|(name, _)| {
                format!("sets `{name}` and no `provider`: without one it is asked as [llm] is")
            }),
            Some(ProviderKind::Auto | ProviderKind::Offline) => {
                Some("must have `provider` openai, anthropic or ollama, or none".to_owned())
            }
            Some(ProviderKind::OpenAi | ProviderKind::Anthropic | ProviderKind::Ollama) => {
                let url = self.base_url.as_deref().unwrap_or("http://");
                let is_good = url.starts_with("http://") || url.starts_with("https://");
                (!is_good).then(|| "has a `base_url` without http:// or https://".to_owned())
            }
        }
    }
}

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
