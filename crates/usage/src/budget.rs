//! What may be spent, and whether a request fits: the rules, without any clock.

use std::fmt;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::book::Origin;
use crate::calendar::{Day, Month, hour_of, hour_start};
use crate::figures::Figures;
use crate::money::Money;

/// What may be used in one window. Nothing set: as much as you like.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Allowance {
    /// Calls.
    pub calls: Option<u64>,
    /// Tokens of prompts and answers.
    pub tokens: Option<u64>,
    /// Money.
    pub money: Option<Money>,
}

/// All that is limited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BudgetLimits {
    /// In a day.
    pub day: Allowance,
    /// In a month.
    pub month: Allowance,
    /// By each file, in an hour.
    pub file_hour: Allowance,
}

/// A stretch of time with an allowance of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Window {
    /// A day.
    Day(Day),
    /// A month.
    Month(Month),
    /// An hour, for each file; counted from 1970.
    FileHour(u64),
}

/// What is limited in a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Calls.
    Calls,
    /// Tokens.
    Tokens,
    /// Money.
    Money,
}

/// One limit in one window.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Limit {
    /// When.
    pub window: Window,
    /// What.
    pub measure: Measure,
    /// How much may be used, in the measure's unit; money in billionths of a dollar.
    #[serde(rename = "limit")]
    pub amount: u64,
    /// The file that it is for, where each has a window of its own.
    #[serde(default)]
    pub file: Option<Origin>,
}

/// Whether a request fits a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fit {
    /// It does.
    Yes,
    /// It may, once open requests have ended.
    Later,
    /// Not in this window.
    No,
}

impl Limit {
    /// Its key in the settings: `budget.day.calls`.
    pub fn setting(&self) -> String {
        format!("budget.{}.{}", self.window.key(), self.measure.key())
    }
}

impl BudgetLimits {
    /// Whether anything is limited.
    pub fn any(&self) -> bool {
        [self.day, self.month, self.file_hour]
            .iter()
            .any(Allowance::any)
    }

    /// Whether money is limited.
    pub fn limits_money(&self) -> bool {
        [self.day, self.month, self.file_hour]
            .iter()
            .any(|allowance| allowance.money.is_some())
    }

    /// Whether this limit is in force, whatever its window's time.
    pub(crate) fn has(&self, limit: &Limit) -> bool {
        let mut limits = self.of(limit.window).limits();
        limits.any(|set| set == (limit.measure, limit.amount))
    }

    pub(crate) fn of(&self, window: Window) -> &Allowance {
        match window {
            Window::Day(_) => &self.day,
            Window::Month(_) => &self.month,
            Window::FileHour(_) => &self.file_hour,
        }
    }
}

impl Allowance {
    pub(crate) fn any(&self) -> bool {
        self.calls.is_some() || self.tokens.is_some() || self.money.is_some()
    }

    /// What is limited: the measure, the limit, and a figure in its unit.
    pub(crate) fn limits(&self) -> impl Iterator<Item = (Measure, u64)> {
        [
            (Measure::Calls, self.calls),
            (Measure::Tokens, self.tokens),
            (Measure::Money, self.money.map(Money::nanos)),
        ]
        .into_iter()
        .filter_map(|(measure, limit)| Some((measure, limit?)))
    }
}

impl Measure {
    /// Whether `wanted` fits beside what is booked and what open requests may come to.
    pub(crate) fn fits(
        self,
        limit: u64,
        booked: &Figures,
        open: &Figures,
        wanted: &Figures,
    ) -> Fit {
        let wanted = self.of(wanted);
        let least = self.of(booked).saturating_add(wanted);
        if wanted == 0 {
            Fit::Yes
        } else if least > limit {
            Fit::No
        } else if least.saturating_add(self.of(open)) > limit {
            Fit::Later
        } else {
            Fit::Yes
        }
    }

    /// The figure that counts, in the measure's unit: calls, tokens, billionths of a dollar.
    pub(crate) fn of(self, figures: &Figures) -> u64 {
        match self {
            Self::Calls => figures.calls,
            Self::Tokens => figures.tokens(),
            Self::Money => figures.cost.nanos(),
        }
    }

    /// An amount with its unit, for people.
    pub(crate) fn show(self, amount: u64) -> String {
        match self {
            Self::Calls if amount == 1 => "1 call".to_owned(),
            Self::Calls => format!("{amount} calls"),
            Self::Tokens => format!("{amount} tokens"),
            Self::Money => Money::from_nanos(amount).to_string(),
        }
    }

    /// Its key below a window's in the settings.
    pub(crate) const fn key(self) -> &'static str {
        match self {
            Self::Calls => "calls",
            Self::Tokens => "tokens",
            Self::Money => "usd",
        }
    }
}

impl Window {
    /// When it ends.
    pub fn end(self) -> SystemTime {
        match self {
            Self::Day(day) => day.next().start(),
            Self::Month(month) => month.next().first_day().start(),
            Self::FileHour(hour) => hour_start(hour.saturating_add(1)),
        }
    }

    /// Whether it is now.
    pub(crate) fn contains(self, now: SystemTime) -> bool {
        match self {
            Self::Day(day) => day == Day::of(now),
            Self::Month(month) => month == Day::of(now).month(),
            Self::FileHour(hour) => hour == hour_of(now),
        }
    }

    /// Its key in the settings.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Day(_) => "day",
            Self::Month(_) => "month",
            Self::FileHour(_) => "file_hour",
        }
    }
}

/// `the day 2026-11-23`, `the month 2026-11`, `this file's hour`.
impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Day(day) => write!(f, "the day {day}"),
            Self::Month(month) => write!(f, "the month {month}"),
            Self::FileHour(_) => f.write_str("this file's hour"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(calls: u64, nanos: u64) -> Figures {
        Figures {
            calls,
            cost: Money::from_nanos(nanos),
            ..Figures::default()
        }
    }

    #[test]
    fn a_request_fits_up_to_the_last_nano_dollar() {
        let calls = |booked, open, wanted| Measure::Calls.fits(3, &booked, &open, &wanted);
        let money = |booked, open, wanted| Measure::Money.fits(100, &booked, &open, &wanted);
        let none = Figures::default();
        assert_eq!(calls(figures(2, 50), none, figures(1, 50)), Fit::Yes);
        assert_eq!(money(figures(2, 50), none, figures(1, 50)), Fit::Yes);
        assert_eq!(money(figures(2, 50), none, figures(1, 51)), Fit::No);
        assert_eq!(
            money(figures(1, 40), figures(1, 20), figures(1, 50)),
            Fit::Later
        );
        assert_eq!(calls(figures(3, 0), none, figures(1, 1)), Fit::No);
        assert_eq!(
            calls(figures(3, 0), none, figures(0, 1)),
            Fit::Yes,
            "a retry is no call"
        );
        assert_eq!(
            calls(figures(4, 0), none, figures(0, 0)),
            Fit::Yes,
            "limits were lowered"
        );
    }
}
