//! What the stack is to be: the settings, with the contract's figures as their defaults.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::Rates;

/// Everything the factory needs to know. [`Default`] is the contract.
#[derive(Clone)]
pub struct StackSettings {
    /// Which provider to ask.
    pub provider: ProviderChoice,
    /// The model's name; each provider has a default.
    pub model: Option<String>,
    /// The server's address, up to and with `/v1`; a query (`?api-version=…`) is kept.
    pub base_url: Option<String>,
    /// The environment variable that holds the key, in place of the provider's usual one.
    pub api_key_env: Option<String>,
    /// A file that holds the key, readable only by its owner.
    pub api_key_file: Option<PathBuf>,
    /// Whether the key that systemd hands over is for this provider.
    pub takes_credential: bool,
    /// Further headers of each request. Their values are treated as secrets.
    pub headers: Vec<(String, String)>,
    /// Sampling temperature.
    pub temperature: f64,
    /// The most tokens the model can write in one answer, in place of the table's figure.
    pub max_output_tokens: Option<u32>,
    /// How many requests may be open at once.
    pub max_concurrent_calls: usize,
    /// Whether fewer are, while the server says that it is overloaded.
    pub adaptive_concurrency: bool,
    /// How many requests and tokens may go out in a minute.
    pub rates: Rates,
    /// How often, and after which waits, a call is tried again.
    pub retry: RetrySettings,
    /// Models that are asked, in this order, while the one above cannot answer.
    pub fallback: Vec<LinkSettings>,
    /// How long things may take.
    pub timeouts: Timeouts,
    /// The longest that one call may wait, in total, because a server asked it to. A longer
    /// wait ends the call with [`retry_after`](testsmith_domain::ProviderError::retry_after) set.
    pub max_inline_wait: Duration,
}

/// A model that is asked while those before it cannot answer.
#[derive(Clone)]
pub struct LinkSettings {
    /// Which provider to ask; `None` is that of the preferred model, with its address, key and headers.
    pub provider: Option<ProviderChoice>,
    /// The model's name.
    pub model: String,
    /// As in [`StackSettings`].
    pub base_url: Option<String>,
    /// As in [`StackSettings`].
    pub api_key_env: Option<String>,
    /// As in [`StackSettings`].
    pub api_key_file: Option<PathBuf>,
    /// As in [`StackSettings`].
    pub headers: Vec<(String, String)>,
    /// As in [`StackSettings`].
    pub max_output_tokens: Option<u32>,
    /// How many requests and tokens may go out to it in a minute.
    pub rates: Rates,
}

/// Which provider to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ProviderChoice {
    /// What the environment suggests: a key, else a local Ollama, else none.
    #[default]
    Auto,
    /// Any server that speaks OpenAI's chat completions.
    OpenAi,
    /// Anthropic's messages.
    Anthropic,
    /// Ollama, by its own interface.
    Ollama,
    /// None.
    Offline,
}

/// How often, and after which waits, a call is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetrySettings {
    /// The most attempts for one call; 1 means no retry, and so does 0.
    pub max_attempts: u32,
    /// The wait before attempt n + 1 is `base_delay · 2^n`.
    pub base_delay: Duration,
    /// No wait is longer than this, but one a server asks for.
    pub max_delay: Duration,
    /// Whether waits are spread at random.
    pub jitter: Jitter,
}

/// Whether waits are spread at random.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Jitter {
    /// Waits are exact.
    #[default]
    None,
    /// A wait is anything between nothing and its full length: for many daemons on one key.
    /// See "Exponential Backoff And Jitter" in the AWS Architecture Blog (2015).
    Full,
}

/// How long things may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// To connect, name resolution and TLS included.
    pub connect: Duration,
    /// One attempt, from when it has a permit to the last byte of the reply.
    pub attempt: Duration,
    /// A call: its attempts and the waits between them, but not the time in the queue for a
    /// permit, which says nothing of the server.
    pub call: Duration,
}

impl Default for StackSettings {
    fn default() -> Self {
        Self {
            provider: ProviderChoice::default(),
            model: None,
            base_url: None,
            api_key_env: None,
            api_key_file: None,
            takes_credential: true,
            headers: Vec::new(),
            temperature: 0.0,
            max_output_tokens: None,
            max_concurrent_calls: 5,
            adaptive_concurrency: false,
            rates: Rates::default(),
            retry: RetrySettings::default(),
            fallback: Vec::new(),
            timeouts: Timeouts::default(),
            max_inline_wait: Duration::from_mins(1),
        }
    }
}

impl Default for RetrySettings {
    fn default() -> Self {
        Self {
            max_attempts: 3,
            base_delay: Duration::from_millis(100),
            max_delay: Duration::from_secs(8),
            jitter: Jitter::None,
        }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            attempt: Duration::from_mins(2),
            call: Duration::from_mins(5),
        }
    }
}

impl StackSettings {
    /// The settings of each link by itself, the preferred model's first.
    pub(crate) fn links(&self) -> Vec<Self> {
        let first = Self {
            fallback: Vec::new(),
            ..self.clone()
        };
        let mut links = vec![first.clone()];
        links.extend(self.fallback.iter().map(|link| {
            let LinkSettings {
                provider,
                model,
                base_url,
                api_key_env,
                api_key_file,
                headers,
                max_output_tokens,
                rates,
            } = link.clone();
            let same = Self {
                model: Some(model),
                max_output_tokens,
                rates,
                ..first.clone()
            };
            match provider {
                None => same,
                // A key of one provider is never sent to another.
                Some(provider) => Self {
                    provider,
                    base_url,
                    api_key_env,
                    api_key_file,
                    takes_credential: false,
                    headers,
                    ..same
                },
            }
        }));
        links
    }
}

impl RetrySettings {
    /// The wait after the failed attempt of this number (from 1).
    pub fn backoff(&self, failed: u32) -> Duration {
        let factor = 1_u32.checked_shl(failed).unwrap_or(u32::MAX);
        let wait = self
            .base_delay
            .checked_mul(factor)
            .unwrap_or(Duration::MAX)
            .min(self.max_delay);
        match self.jitter {
            Jitter::None => wait,
            // Drawn from the capped wait, so that it is never longer than the cap.
            Jitter::Full => wait.mul_f64(rand::random::<f64>()),
        }
    }
}

impl fmt::Debug for LinkSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("LinkSettings")
            .field("provider", &self.provider)
            .field("model", &self.model)
            .field(
                "base_url",
                &self.base_url.as_deref().map(crate::redact::shown_url),
            )
            .field("api_key_env", &self.api_key_env)
            .field("api_key_file", &self.api_key_file)
            .field("headers", &headers)
            .field("max_output_tokens", &self.max_output_tokens)
            .field("rates", &self.rates)
            .finish()
    }
}

impl fmt::Debug for StackSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("StackSettings")
            .field("provider", &self.provider)
            .field("model", &self.model)
            .field(
                "base_url",
                &self.base_url.as_deref().map(crate::redact::shown_url),
            )
            .field("api_key_env", &self.api_key_env)
            .field("api_key_file", &self.api_key_file)
            .field("takes_credential", &self.takes_credential)
            .field("headers", &headers)
            .field("temperature", &self.temperature)
            .field("max_output_tokens", &self.max_output_tokens)
            .field("max_concurrent_calls", &self.max_concurrent_calls)
            .field("adaptive_concurrency", &self.adaptive_concurrency)
            .field("rates", &self.rates)
            .field("retry", &self.retry)
            .field("fallback", &self.fallback)
            .field("timeouts", &self.timeouts)
            .field("max_inline_wait", &self.max_inline_wait)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_from_200_ms_and_stop_at_the_cap() {
        let retry = RetrySettings::default();
        let waits: Vec<u128> = (1..=8).map(|n| retry.backoff(n).as_millis()).collect();
        assert_eq!(waits, [200, 400, 800, 1600, 3200, 6400, 8000, 8000]);
        assert_eq!(retry.backoff(31), retry.max_delay);
        assert_eq!(retry.backoff(u32::MAX), retry.max_delay);
    }

    #[test]
    fn full_jitter_stays_within_the_capped_wait_and_varies() {
        let retry = RetrySettings {
            jitter: Jitter::Full,
            ..RetrySettings::default()
        };
        let draws: Vec<Duration> = (0..1000).map(|_| retry.backoff(20)).collect();
        assert!(draws.iter().all(|wait| *wait <= retry.max_delay));
        assert!(draws.iter().any(|wait| *wait < Duration::from_secs(1)));
        assert!(draws.iter().any(|wait| *wait > Duration::from_secs(7)));
    }

    #[test]
    fn debug_shows_no_secret_of_headers_or_address() {
        let settings = StackSettings {
            base_url: Some("https://me:canary-1@example.com/v1?key=canary-2".into()),
            headers: vec![("api-key".into(), "canary-3".into())],
            ..StackSettings::default()
        };
        let shown = format!("{settings:?}");
        assert!(!shown.contains("canary"), "{shown}");
        assert!(
            shown.contains("example.com/v1") && shown.contains("api-key"),
            "{shown}"
        );
    }
}
