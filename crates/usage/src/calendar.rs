//! Days, months and hours of UTC.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

const SECONDS_PER_DAY: u64 = 86_400;

/// A day of UTC, counted from 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Day(pub u32);

/// A month of UTC, counted from January of the year 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Month(pub u32);

/// An hour of UTC, counted from 1970.
pub(crate) fn hour_of(time: SystemTime) -> u64 {
    seconds(time) / 3600
}

/// When an hour begins.
pub(crate) fn hour_start(hour: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(hour.saturating_mul(3600).min(u64::from(u32::MAX) * 3600))
}

/// Seconds since 1970; a clock before that is taken to stand at its beginning.
pub(crate) fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

impl Day {
    /// The day of a moment.
    pub fn of(time: SystemTime) -> Self {
        Self(u32::try_from(seconds(time) / SECONDS_PER_DAY).unwrap_or(u32::MAX))
    }

    /// When it begins.
    pub fn start(self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(u64::from(self.0) * SECONDS_PER_DAY)
    }

    /// The day after.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// This many days earlier.
    #[must_use]
    pub fn minus(self, days: u32) -> Self {
        Self(self.0.saturating_sub(days))
    }

    /// Its month.
    pub fn month(self) -> Month {
        let (year, month, _) = self.civil();
        Month(year * 12 + month - 1)
    }

    /// Year, month and day of the month. The algorithm is Howard Hinnant's `civil_from_days`, from
    /// "chrono-Compatible Low-Level Date Algorithms".
    fn civil(self) -> (u32, u32, u32) {
        let days = u64::from(self.0) + 719_468;
        let era = days / 146_097;
        let of_era = days % 146_097;
        let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted = (5 * of_year + 2) / 153;
        let day = of_year - (153 * shifted + 2) / 5 + 1;
        let month = if shifted < 10 {
            shifted + 3
        } else {
            shifted - 9
        };
        let year = year_of_era + era * 400 + u64::from(month <= 2);
        let small = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        (small(year), small(month), small(day))
    }

    /// The day of this date (`days_from_civil` of the same source); `None` before 1970.
    fn from_civil(year: u32, month: u32, day: u32) -> Option<Self> {
        let year = u64::from(year) - u64::from(month <= 2 && year > 0);
        let era = year / 400;
        let year_of_era = year % 400;
        let shifted = u64::from(if month > 2 { month - 3 } else { month + 9 });
        let of_year = (153 * shifted + 2) / 5 + u64::from(day) - 1;
        let of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year;
        let days = (era * 146_097 + of_era).checked_sub(719_468)?;
        u32::try_from(days).ok().map(Self)
    }
}

impl Month {
    /// Its first day.
    pub fn first_day(self) -> Day {
        Day::from_civil(self.0 / 12, self.0 % 12 + 1, 1).unwrap_or(Day(0))
    }

    /// The month after.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.civil();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.0 / 12, self.0 % 12 + 1)
    }
}

impl FromStr for Day {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || format!("`{text}` is no date; write for instance 2026-11-23");
        let mut parts = text.splitn(3, '-').map(|part| part.parse::<u32>().ok());
        let mut next = || parts.next().flatten().ok_or_else(bad);
        let (year, month, day) = (next()?, next()?, next()?);
        let found = Self::from_civil(year.min(9999), month.clamp(1, 12), day.clamp(1, 31));
        // A date that does not exist comes back as another one.
        found
            .filter(|found| found.civil() == (year, month, day))
            .ok_or_else(bad)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_there_and_back() {
        for (days, text) in [
            (0, "1970-01-01"),
            (59, "1970-03-01"),
            (11_016, "2000-02-29"),
            (20_780, "2026-11-23"),
            (47_540, "2100-02-28"),
            (47_541, "2100-03-01"),
        ] {
            assert_eq!(Day(days).to_string(), text);
            assert_eq!(text.parse(), Ok(Day(days)));
        }
        for days in 0..40_000 {
            assert_eq!(Day(days).to_string().parse(), Ok(Day(days)));
        }
        for bad in [
            "",
            "2026-11",
            "2026-02-29",
            "2026-13-01",
            "1969-12-31",
            "x-1-1",
            "2026-1-1-1",
        ] {
            assert!(bad.parse::<Day>().is_err(), "{bad}");
        }
    }

    #[test]
    fn months_turn_at_their_first_day() {
        let month = Day(20_780).month();
        assert_eq!(month.to_string(), "2026-11");
        assert_eq!(month.first_day().to_string(), "2026-11-01");
        assert_eq!(month.next().first_day().to_string(), "2026-12-01");
        assert_eq!(month.next().next().first_day().to_string(), "2027-01-01");
        assert_eq!(
            Day::of(month.next().first_day().start() - Duration::from_secs(1)).month(),
            month
        );
    }
}
