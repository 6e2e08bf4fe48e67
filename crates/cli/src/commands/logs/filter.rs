//! Which lines are wanted.

use std::path::Path;
use std::time::{Duration, SystemTime};

use regex::Regex;

use super::line::Entry;
use crate::args::LogsArgs;
use crate::exit::UsageError;

/// From the worst to the least.
const LEVELS: [&str; 5] = ["ERROR", "WARN", "INFO", "DEBUG", "TRACE"];

const DAY: Duration = Duration::from_hours(24);

/// All that a line must meet.
pub(super) struct Filter {
    job: Option<String>,
    path: Option<String>,
    /// A place in [`LEVELS`].
    level: Option<usize>,
    pub(super) since: Option<SystemTime>,
    grep: Option<Regex>,
}

impl Filter {
    pub(super) fn of(args: &LogsArgs, root: &Path) -> anyhow::Result<Self> {
        let since = args
            .since
            .as_deref()
            .map(|text| since(text, SystemTime::now()));
        let grep = args.grep.as_deref().map(Regex::new);
        Ok(Self {
            job: args.job.map(|job| job.to_string()),
            path: args.path.as_deref().map(|path| relative(path, root)),
            level: args.level.map(|level| level as usize),
            since: since.transpose().map_err(UsageError)?,
            grep: grep
                .transpose()
                .map_err(|error| UsageError(format!("--grep: {error}")))?,
        })
    }

    pub(super) fn lets_through(&self, entry: &Entry) -> bool {
        let is_level = |most: usize| {
            let place = LEVELS.iter().position(|level| *level == entry.level());
            place.is_some_and(|place| place <= most)
        };
        // Times of one form sort as text.
        let is_since = |since: SystemTime| {
            humantime::parse_rfc3339(entry.timestamp()).is_ok_and(|time| time >= since)
        };
        let is_path = |wanted: &String| {
            let names = ["path", "test_path"];
            names.iter().any(|key| {
                entry.values(key).any(|path| {
                    path.strip_suffix(wanted.as_str())
                        .is_some_and(|before| before.is_empty() || before.ends_with('/'))
                })
            })
        };
        self.level.is_none_or(is_level)
            && self.since.is_none_or(is_since)
            && self
                .job
                .as_ref()
                .is_none_or(|job| entry.values("job_id").any(|id| id == *job))
            && self.path.as_ref().is_none_or(is_path)
            && self.grep.as_ref().is_none_or(|grep| {
                grep.is_match(&anstream::adapter::strip_str(&entry.shown()).to_string())
            })
    }
}

/// The path as the log has it: from the project's root.
fn relative(path: &Path, root: &Path) -> String {
    let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let inside = real.strip_prefix(root).unwrap_or(path);
    inside.to_string_lossy().trim_start_matches("./").to_owned()
}

/// A moment: a time ago (`2h`), a day, or a time of day in UTC.
fn since(text: &str, now: SystemTime) -> Result<SystemTime, String> {
    let text = text.trim();
    let bad = || {
        format!(
            "--since: `{text}` is no time; write for instance 2h, today, yesterday, 2026-11-17, or \
             \"2026-11-17 18:30:00\" (UTC)"
        )
    };
    if let Ok(ago) = humantime::parse_duration(text) {
        return now.checked_sub(ago).ok_or_else(bad);
    }
    let midnight = || {
        let since = now
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let into = Duration::from_secs(since.as_secs() % DAY.as_secs());
        let whole = Duration::from_secs(since.as_secs()).saturating_sub(into);
        SystemTime::UNIX_EPOCH + whole
    };
    match text {
        "today" => Ok(midnight()),
        "yesterday" => Ok(midnight() - DAY),
        date if date.len() == 10 => {
            humantime::parse_rfc3339_weak(&format!("{date} 00:00:00")).map_err(|_| bad())
        }
        time if time.len() == 16 => {
            humantime::parse_rfc3339_weak(&format!("{time}:00")).map_err(|_| bad())
        }
        time => humantime::parse_rfc3339_weak(time).map_err(|_| bad()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        let now = humantime::parse_rfc3339("2026-11-23T20:25:22Z").unwrap();
        let read = |text| since(text, now).map(|t| humantime::format_rfc3339(t).to_string());
        assert_eq!(read("2h").unwrap(), "2026-11-23T18:25:22Z");
        assert_eq!(read("1day 1h").unwrap(), "2026-11-22T19:25:22Z");
        assert_eq!(read("today").unwrap(), "2026-11-23T00:00:00Z");
        assert_eq!(read("yesterday").unwrap(), "2026-11-22T00:00:00Z");
        assert_eq!(read("2026-11-17").unwrap(), "2026-11-17T00:00:00Z");
        assert_eq!(read("2026-11-17 18:30").unwrap(), "2026-11-17T18:30:00Z");
        assert_eq!(
            read("2026-11-17T18:30:05Z").unwrap(),
            "2026-11-17T18:30:05Z"
        );
        assert!(read("tuesday").unwrap_err().contains("2026-11-17"));
    }
}
