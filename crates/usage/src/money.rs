//! Money, in whole numbers.

use std::fmt;
use std::iter::Sum;
use std::ops::Add;

use serde::{Deserialize, Serialize};

/// US dollars, in billionths.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Money(u64);

impl Money {
    /// None.
    pub const ZERO: Self = Self(0);

    /// This many billionths of a dollar.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// This many millionths of a dollar.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros.saturating_mul(1000))
    }

    /// In billionths of a dollar.
    pub const fn nanos(self) -> u64 {
        self.0
    }

    /// In dollars, for charts and JSON; never to be reckoned with.
    #[expect(clippy::cast_precision_loss, reason = "only shown")]
    pub fn dollars(self) -> f64 {
        self.0 as f64 / 1e9
    }
}

impl Add for Money {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sum for Money {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        iter.fold(Self::ZERO, Add::add)
    }
}

/// `$12.34`; below a dollar with four decimals, below a cent with six. Rounded to the nearest.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals: u32 = match self.0 {
            0 | 1_000_000_000.. => 2,
            10_000_000.. => 4,
            _ => 6,
        };
        let unit = 10_u64.pow(9 - decimals);
        let rounded = self.0.saturating_add(unit / 2) / unit;
        let scale = 10_u64.pow(decimals);
        let (whole, part) = (rounded / scale, rounded % scale);
        write!(f, "${whole}.{part:0width$}", width = decimals as usize)
    }
}

/// What a model costs, each in millionths of a dollar per million tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Price {
    /// Tokens of the prompt.
    pub input: u64,
    /// Tokens of the prompt that the server had computed before.
    pub cached_input: u64,
    /// Tokens of the prompt that the server keeps for later calls.
    pub cache_write: u64,
    /// Tokens of the answer.
    pub output: u64,
}

/// Tokens of one request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tokens {
    /// All of the prompt.
    pub(crate) input: u64,
    pub(crate) cached: u64,
    /// `None`: not told. They are among `input`.
    pub(crate) written: Option<u64>,
    pub(crate) output: u64,
}

impl Price {
    /// Nothing.
    pub const FREE: Self = Self {
        input: 0,
        cached_input: 0,
        cache_write: 0,
        output: 0,
    };

    /// What the tokens cost, rounded up to a whole billionth.
    ///
    /// Where a server asks more for tokens that it keeps and does not tell how many these are, all
    /// that it had not computed before are taken to be kept.
    pub(crate) fn of(&self, tokens: Tokens) -> Money {
        let cached = tokens.cached.min(tokens.input);
        let fresh = tokens.input - cached;
        let written = tokens.written.unwrap_or(fresh).min(fresh);
        let times = |count: u64, rate: u64| u128::from(count) * u128::from(rate);
        // A millionth of a dollar per million tokens is 10^-12 dollars per token.
        let pico = times(cached, self.cached_input)
            + times(written, self.cache_write.max(self.input))
            + times(fresh - written, self.input)
            + times(tokens.output, self.output);
        Money(u64::try_from(pico.div_ceil(1000)).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_costs_what_its_tokens_cost_rounded_up() {
        // $2 and $10 per million, $0.20 cached, $2.50 written.
        let price = Price {
            input: 2_000_000,
            cached_input: 200_000,
            cache_write: 2_500_000,
            output: 10_000_000,
        };
        let cost = |input, cached, written, output| {
            let tokens = Tokens {
                input,
                cached,
                written,
                output,
            };
            price.of(tokens).nanos()
        };
        assert_eq!(cost(1000, 0, Some(0), 100), 2_000_000 + 1_000_000);
        assert_eq!(cost(1000, 400, Some(500), 0), 80_000 + 1_250_000 + 200_000);
        assert_eq!(cost(1000, 400, None, 0), 80_000 + 1_500_000, "all kept");
        assert_eq!(
            cost(10, 99, Some(99), 0),
            2_000,
            "more cached than there is"
        );
        let tiny = Price {
            input: 1,
            ..Price::FREE
        };
        let one = Tokens {
            input: 1,
            ..Tokens::default()
        };
        assert_eq!(tiny.of(one).nanos(), 1, "never rounded down to nothing");
        let most = Tokens {
            input: u64::MAX,
            output: u64::MAX,
            ..Tokens::default()
        };
        assert_eq!(price.of(most).nanos(), u64::MAX);
    }

    #[test]
    fn money_is_shown_as_people_write_it() {
        for (nanos, shown) in [
            (0, "$0.00"),
            (12_345_678_901, "$12.35"),
            (1_000_000_000, "$1.00"),
            (999_960_000, "$1.0000"),
            (123_456_789, "$0.1235"),
            (1_234_567, "$0.001235"),
            (7, "$0.000000"),
        ] {
            assert_eq!(Money::from_nanos(nanos).to_string(), shown);
        }
    }
}
