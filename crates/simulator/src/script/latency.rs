//! How long answers take.

use std::f64::consts::TAU;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ScriptError;
use crate::chance::Chance;

/// A distribution of answer times, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Latency {
    /// None but the machine's own.
    #[default]
    None,
    /// Always the same.
    Fixed {
        /// Milliseconds.
        ms: f64,
    },
    /// Evenly between two bounds.
    Uniform {
        /// The least, in milliseconds.
        min_ms: f64,
        /// The most, in milliseconds.
        max_ms: f64,
    },
    /// Log-normal: most answers near the median, some many times slower, as real servers do.
    LogNormal {
        /// Half of the answers are faster, in milliseconds.
        median_ms: f64,
        /// Standard deviation of the logarithm; 0.5 is mild, 1 wild.
        sigma: f64,
    },
}

impl Latency {
    /// Always `delay`.
    pub fn fixed(delay: Duration) -> Self {
        Self::Fixed {
            ms: delay.as_secs_f64() * 1e3,
        }
    }

    /// One draw. No answer takes longer than ten minutes.
    pub(crate) fn draw(self, chance: &Chance) -> Duration {
        let ms = match self {
            Self::None => return Duration::ZERO,
            Self::Fixed { ms } => ms,
            Self::Uniform { min_ms, max_ms } => min_ms + (max_ms - min_ms) * chance.unit("latency"),
            // Box–Muller: two even draws give one normal one.
            Self::LogNormal { median_ms, sigma } => {
                let radius = (-2.0 * (1.0 - chance.unit("radius")).ln()).sqrt();
                median_ms * (sigma * radius * (TAU * chance.unit("angle")).cos()).exp()
            }
        };
        Duration::from_secs_f64(ms.clamp(0.0, 600_000.0) / 1e3)
    }

    pub(super) fn check(self) -> Result<(), ScriptError> {
        let figures = match self {
            Self::None => [0.0, 0.0],
            Self::Fixed { ms } => [ms, 0.0],
            Self::Uniform { min_ms, max_ms } => [min_ms, max_ms - min_ms],
            Self::LogNormal { median_ms, sigma } => [median_ms, sigma],
        };
        if figures.iter().all(|figure| *figure >= 0.0) {
            Ok(())
        } else {
            Err(ScriptError::OutOfRange {
                what: "latency",
                range: "0 or more, the least before the most",
            })
        }
    }
}
