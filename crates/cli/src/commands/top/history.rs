//! Figures over the last minutes, for the curves.

use std::collections::VecDeque;
use std::time::Duration;

use testsmith_control::{Status, Timestamp};

/// The time that one column of a curve stands for.
pub(crate) const STEP: Duration = Duration::from_secs(5);

/// Columns that are kept: 10 minutes.
const KEPT: usize = 120;

/// What happened in each step of the last minutes, the newest last.
#[derive(Debug)]
pub(crate) struct History {
    steps: VecDeque<Figures>,
    /// When the newest step began.
    begun: Timestamp,
    /// What the daemon had counted when it was last asked.
    counted: Option<Counted>,
}

/// What happened in one step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Figures {
    jobs: u64,
    hits: u64,
    misses: u64,
    /// In billionths of a dollar.
    cost: u64,
}

/// Counters that only grow, of one process and one day.
#[derive(Debug, Clone, Copy)]
struct Counted {
    started: Option<Timestamp>,
    hits: u64,
    misses: u64,
    cost: u64,
}

impl History {
    pub(crate) fn new(now: Timestamp) -> Self {
        Self {
            steps: VecDeque::from([Figures::default()]),
            begun: now,
            counted: None,
        }
    }

    /// Time has come to `now`.
    pub(crate) fn advance(&mut self, now: Timestamp) {
        let Ok(passed) = now.0.duration_since(self.begun.0) else {
            // The clock was set back.
            self.begun = now;
            return;
        };
        let steps = passed.as_secs() / STEP.as_secs();
        let steps = u32::try_from(steps).unwrap_or(u32::MAX);
        for _ in 0..steps.min(120) {
            self.steps.push_back(Figures::default());
        }
        while self.steps.len() > KEPT {
            self.steps.pop_front();
        }
        if let Some(begun) = self.begun.0.checked_add(STEP.saturating_mul(steps)) {
            self.begun = Timestamp(begun);
        }
    }

    /// A job's run ended.
    pub(crate) fn job_ended(&mut self) {
        self.newest().jobs += 1;
    }

    /// The daemon's counters as they are now.
    pub(crate) fn count(&mut self, status: &Status) {
        let (hits, misses) = status
            .cache
            .as_ref()
            .map_or((0, 0), |cache| (cache.hits, cache.misses));
        let now = Counted {
            started: status.daemon.as_ref().map(|daemon| daemon.started),
            hits,
            misses,
            cost: super::text::cost_today(status).unwrap_or(0),
        };
        let before = self.counted.replace(now);
        // The counters of another process begin anew, and so did what is not known yet.
        let Some(before) = before.filter(|before| before.started == now.started) else {
            return;
        };
        let newest = self.newest();
        newest.hits += now.hits.saturating_sub(before.hits);
        newest.misses += now.misses.saturating_sub(before.misses);
        // At midnight the day's sum begins anew.
        newest.cost += now.cost.checked_sub(before.cost).unwrap_or(now.cost);
    }

    /// Jobs that ended in each of the last steps, at most `width` of them.
    pub(crate) fn jobs(&self, width: usize) -> Vec<u64> {
        self.last(width).map(|step| step.jobs).collect()
    }

    /// Hundredths of lookups that hit; `None` where nothing was looked up.
    pub(crate) fn hit_rates(&self, width: usize) -> Vec<Option<u64>> {
        let rates = self
            .last(width)
            .map(|step| percent(step.hits, step.hits + step.misses));
        rates.collect()
    }

    /// What was spent, in billionths of a dollar.
    pub(crate) fn costs(&self, width: usize) -> Vec<u64> {
        self.last(width).map(|step| step.cost).collect()
    }

    /// Jobs that ended in the last minute.
    pub(crate) fn jobs_per_minute(&self) -> u64 {
        let steps = usize::try_from(60 / STEP.as_secs()).unwrap_or(1);
        self.last(steps).map(|step| step.jobs).sum()
    }

    fn last(&self, width: usize) -> impl Iterator<Item = &Figures> {
        let skipped = self.steps.len().saturating_sub(width);
        self.steps.iter().skip(skipped)
    }

    fn newest(&mut self) -> &mut Figures {
        if self.steps.is_empty() {
            self.steps.push_back(Figures::default());
        }
        let last = self.steps.len() - 1;
        &mut self.steps[last]
    }
}

/// How many hundredths `part` is of `whole`; `None` of nothing.
pub(crate) fn percent(part: u64, whole: u64) -> Option<u64> {
    part.saturating_mul(100).checked_div(whole)
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
    }

    #[test]
    fn steps_follow_the_clock_and_are_bounded() {
        let mut history = History::new(at(1000));
        history.job_ended();
        history.advance(at(1004));
        history.job_ended();
        history.advance(at(1011));
        history.job_ended();
        assert_eq!(history.jobs(10), [2, 0, 1]);
        assert_eq!(history.jobs(2), [0, 1]);
        assert_eq!(history.jobs_per_minute(), 3);
        history.advance(at(1075));
        assert_eq!(history.jobs_per_minute(), 0);
        history.advance(at(9_000_000));
        assert_eq!(history.jobs(1000).len(), KEPT);
        history.advance(at(5));
        history.advance(at(11));
        assert_eq!(history.jobs(1000).len(), KEPT);
    }
}
