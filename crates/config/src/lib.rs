//! Settings: raw TOML to validated values, and where each came from.
//!
//! ```
//! use testsmith_config::{Settings, Sources};
//!
//! let loaded = Settings::load(&Sources::default())?;
//! assert_eq!(loaded.settings.llm.max_concurrent_calls.get(), 5);
//! # Ok::<(), testsmith_config::ConfigError>(())
//! ```
//!
//! Settings are read in layers, later wins: built-in (`config/default.toml`, embedded) < user
//! file < project file < environment < flags. Each layer is read with the line of every key, its
//! keys are held against those that exist, and only then are the layers merged; so an error
//! names the file, the line and the nearest key, and every value in force knows its [`Origin`].
//!
//! A project file comes with a checkout, perhaps a stranger's. Its [`SENSITIVE_KEYS`] count only
//! if the [`TrustStore`] holds the file's digest.

mod difference;
mod error;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod keys;
mod layer;
mod load;
mod settings;
mod spending;
mod trust;
mod value;
mod wording;

pub use error::{ConfigError, Place};
pub use keys::{SENSITIVE_KEYS, schema_json};
pub use load::{Loaded, Origin, PROJECT_FILE, ProjectFile, Sources, Warning, user_config_path};
pub use settings::{
    AnswerFormat, BatchSettings, CacheSettings, CommandSettings, FallbackSettings,
    FrameworkSettings, Jitter, LlmSettings, LogFiles, LogLevel, LogSettings, MetricsSettings, Mode,
    ProviderKind, QueueSettings, RetrySettings, SandboxMode, SecretsSettings, ServiceSettings,
    Settings, TimeoutSettings, VerifyMode, VerifySettings, WatchSettings,
};
pub use spending::{AllowanceSettings, BudgetSettings, LimitSettings, PriceSettings, Prices, Usd};
pub use trust::{TrustError, TrustStore, TrustedFile};
pub use value::{ByteSize, Hidden, Period};

/// The commented default file, as embedded in the binary.
pub const DEFAULT_TOML: &str = include_str!("../../../config/default.toml");
