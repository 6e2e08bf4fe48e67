//! The sums, in memory.

use std::collections::{BTreeMap, HashMap};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::calendar::{Day, Month, hour_of, seconds};
use crate::figures::Figures;

/// For so many days it is kept which file the money went to; after that, the project only.
const FILE_DETAIL_DAYS: u32 = 90;

/// The most rows that name a file: beyond that, the oldest days lose them earlier.
const MOST_FILE_ROWS: usize = 20_000;

/// What requests are made for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Origin {
    /// The project's root.
    pub project: String,
    /// The source file, relative to it.
    pub file: String,
}

/// What one request came to, and what it was for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// Seconds since 1970, when it was planned.
    pub(crate) at: u64,
    pub(crate) project: String,
    pub(crate) model: String,
    /// Empty if it was for none.
    pub(crate) file: String,
    pub(crate) figures: Figures,
}

/// What is summed up apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct RowKey {
    pub(crate) day: Day,
    pub(crate) project: String,
    pub(crate) model: String,
    /// Empty if not known any more.
    pub(crate) file: String,
}

/// All sums.
#[derive(Debug, Clone, Default)]
pub(crate) struct Book {
    rows: BTreeMap<RowKey, Figures>,
    days: BTreeMap<Day, Figures>,
    /// By hour, project and file; of the last hours only.
    hours: BTreeMap<u64, HashMap<(String, String), Figures>>,
}

impl Entry {
    pub(crate) fn origin(&self) -> Origin {
        Origin {
            project: self.project.clone(),
            file: self.file.clone(),
        }
    }

    pub(crate) fn time(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(self.at.min(u64::from(u32::MAX)))
    }

    pub(crate) fn stamp(time: SystemTime) -> u64 {
        seconds(time)
    }

    pub(crate) fn day(&self) -> Day {
        Day::of(self.time())
    }

    pub(crate) fn hour(&self) -> u64 {
        hour_of(self.time())
    }
}

impl Book {
    /// Adds a request.
    pub(crate) fn record(&mut self, entry: &Entry) {
        let key = RowKey {
            day: entry.day(),
            project: entry.project.clone(),
            model: entry.model.clone(),
            file: entry.file.clone(),
        };
        self.add(key, &entry.figures);
        let hour = entry.hour();
        if !entry.file.is_empty() {
            let file = (entry.project.clone(), entry.file.clone());
            let files = self.hours.entry(hour).or_default();
            files.entry(file).or_default().add(&entry.figures);
        }
        self.hours.retain(|kept, _| kept + 1 >= hour);
    }

    /// Adds a row.
    pub(crate) fn add(&mut self, key: RowKey, figures: &Figures) {
        self.days.entry(key.day).or_default().add(figures);
        self.rows.entry(key).or_default().add(figures);
    }

    /// Adds what a file used in an hour.
    pub(crate) fn add_hour(&mut self, hour: u64, project: String, file: String, used: &Figures) {
        let files = self.hours.entry(hour).or_default();
        files.entry((project, file)).or_default().add(used);
    }

    pub(crate) fn rows(&self) -> impl Iterator<Item = (&RowKey, &Figures)> {
        self.rows.iter()
    }

    pub(crate) fn hours(&self) -> impl Iterator<Item = (u64, &(String, String), &Figures)> {
        self.hours.iter().flat_map(|(hour, files)| {
            files
                .iter()
                .map(move |(file, figures)| (*hour, file, figures))
        })
    }

    pub(crate) fn of_day(&self, day: Day) -> Figures {
        self.days.get(&day).copied().unwrap_or_default()
    }

    pub(crate) fn of_month(&self, month: Month) -> Figures {
        let mut sum = Figures::default();
        for (_, day) in self.days.range(month.first_day()..month.next().first_day()) {
            sum.add(day);
        }
        sum
    }

    pub(crate) fn of_file_hour(&self, hour: u64, file: &(String, String)) -> Figures {
        let files = self.hours.get(&hour);
        files
            .and_then(|files| files.get(file))
            .copied()
            .unwrap_or_default()
    }

    /// Forgets which file old sums are of, and nothing else.
    pub(crate) fn fold(&mut self, today: Day) {
        let named = self.rows.keys().filter(|key| !key.file.is_empty());
        let mut per_day: BTreeMap<Day, usize> = BTreeMap::new();
        for key in named {
            *per_day.entry(key.day).or_default() += 1;
        }
        let mut total: usize = per_day.values().sum();
        let oldest = today.minus(FILE_DETAIL_DAYS);
        for (day, count) in per_day {
            if day >= oldest && total <= MOST_FILE_ROWS {
                break;
            }
            total -= count;
            self.fold_day(day);
        }
    }

    fn fold_day(&mut self, day: Day) {
        let named: Vec<RowKey> = self
            .rows
            .keys()
            .filter(|key| key.day == day && !key.file.is_empty())
            .cloned()
            .collect();
        for key in named {
            let Some(figures) = self.rows.remove(&key) else {
                continue;
            };
            let whole = RowKey {
                file: String::new(),
                ..key
            };
            self.rows.entry(whole).or_default().add(&figures);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(day: u32, file: &str) -> Entry {
        Entry {
            at: u64::from(day) * 86_400,
            project: "p".into(),
            model: "m".into(),
            file: file.into(),
            figures: Figures {
                calls: 1,
                requests: 2,
                ..Figures::default()
            },
        }
    }

    #[test]
    fn old_days_keep_their_sums_and_lose_their_files() {
        let mut book = Book::default();
        for day in 100..300 {
            for file in ["a.go", "b.go"] {
                book.record(&entry(day, file));
            }
        }
        let month = book.of_month(Day(110).month());
        book.fold(Day(299));
        assert_eq!(book.of_month(Day(110).month()), month);
        assert_eq!(book.of_day(Day(100)).calls, 2);
        let rows = |day: u32| book.rows().filter(|(key, _)| key.day == Day(day)).count();
        assert_eq!((rows(208), rows(209)), (1, 2));
        let sum: u64 = book.rows().map(|(_, figures)| figures.calls).sum();
        assert_eq!(sum, 400);
        assert!(book.hours().count() <= 4, "hours of long ago are gone");
    }

    #[test]
    fn a_great_many_files_are_bounded() {
        let mut book = Book::default();
        for file in 0..MOST_FILE_ROWS {
            book.record(&entry(1000, &format!("{file}.go")));
        }
        for file in 0..10 {
            book.record(&entry(1001, &format!("{file}.go")));
        }
        book.fold(Day(1001));
        assert_eq!(book.rows().count(), 11);
        assert_eq!(book.of_day(Day(1000)).calls, MOST_FILE_ROWS as u64);
    }
}
