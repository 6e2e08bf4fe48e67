//! Settings about money and pace: `[budget]`, `[prices]`, `[limits]`.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// `[budget]`: what may be used. Nothing set: as much as you like.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BudgetSettings {
    /// In a day.
    pub day: AllowanceSettings,
    /// In a month.
    pub month: AllowanceSettings,
    /// By each file, in an hour.
    pub file_hour: AllowanceSettings,
}

/// `[budget.day]`, `[budget.month]`, `[budget.file_hour]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AllowanceSettings {
    /// Calls to the model.
    pub calls: Option<u64>,
    /// Tokens of prompts and answers.
    pub tokens: Option<u64>,
    /// US dollars.
    pub usd: Option<Usd>,
}

/// `[prices."model"]`: US dollars per million tokens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PriceSettings {
    /// Tokens of prompts.
    pub input: Usd,
    /// Tokens of answers.
    pub output: Usd,
    /// Tokens of prompts that the server had computed before; by default as `input`.
    pub cached_input: Option<Usd>,
    /// Tokens of prompts that the server keeps for later calls; by default as `input`.
    pub cache_write: Option<Usd>,
}

/// `[prices]`, by the model's name.
pub type Prices = BTreeMap<String, PriceSettings>;

/// `[limits]`: how fast requests are sent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LimitSettings {
    /// Requests per minute.
    pub rpm: Option<NonZeroU32>,
    /// Tokens per minute.
    pub tpm: Option<NonZeroU32>,
}

/// An amount of US dollars, kept in whole millionths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, JsonSchema)]
#[schemars(with = "f64")]
pub struct Usd(u64);

/// More than anybody spends, and few enough for every sum to be exact.
const MOST_DOLLARS: f64 = 1e9;

impl Usd {
    /// In millionths of a dollar.
    pub const fn micros(self) -> u64 {
        self.0
    }

    /// A number of dollars, rounded to millionths.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the range is checked, and rounding is meant"
    )]
    fn new(dollars: f64) -> Option<Self> {
        let micros = (dollars * 1e6).round();
        // What rounds to nothing would be a price of nothing.
        let is_lost = micros == 0.0 && dollars != 0.0;
        ((0.0..=MOST_DOLLARS).contains(&dollars) && !is_lost).then_some(Self(micros as u64))
    }
}

impl Serialize for Usd {
    #[expect(
        clippy::cast_precision_loss,
        reason = "at most a billion dollars: exact"
    )]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0 as f64 / 1e6)
    }
}

impl<'de> Deserialize<'de> for Usd {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Number;
        impl Visitor<'_> for Number {
            type Value = Usd;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of US dollars, such as 2 or 0.25")
            }

            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Usd, E> {
                Usd::new(value).ok_or_else(|| E::invalid_value(de::Unexpected::Float(value), &self))
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Usd, E> {
                let dollars = i32::try_from(value).ok().map(f64::from);
                let found = dollars.and_then(Usd::new);
                found.ok_or_else(|| E::invalid_value(de::Unexpected::Signed(value), &self))
            }
        }
        deserializer.deserialize_any(Number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize, Serialize)]
    struct Amount {
        usd: Usd,
    }

    #[test]
    fn dollars_are_read_exactly() {
        for (text, micros) in [
            ("2", 2_000_000),
            ("0.1", 100_000),
            ("1.25", 1_250_000),
            ("0.0375", 37_500),
            ("19.99", 19_990_000),
            ("0", 0),
            ("1000000", 1_000_000_000_000),
        ] {
            let amount: Amount = toml::from_str(&format!("usd = {text}")).unwrap();
            assert_eq!(amount.usd.micros(), micros, "{text}");
            let again: Amount = toml::from_str(&toml::to_string(&amount).unwrap()).unwrap();
            assert_eq!(again.usd, amount.usd);
        }
        for bad in ["-1", "nan", "inf", "\"2\"", "2e9", "0.0000001", "true"] {
            let read = toml::from_str::<Amount>(&format!("usd = {bad}"));
            assert!(read.is_err(), "{bad}");
        }
    }
}
