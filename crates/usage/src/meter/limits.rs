//! Which limits stand in the way of requests, and which of them the user lifted.

use std::time::SystemTime;

use testsmith_domain::OutOfBudget;

use super::{Notice, State, UsageMeter, WARN_AT};
use crate::book::{Entry, Origin};
use crate::budget::{Fit, Limit, Measure, Window};
use crate::calendar::Day;
use crate::figures::Figures;
use crate::journal::{Line, Marks};

/// What stands in a request's way.
#[derive(Debug, Default)]
pub(super) struct Obstacles {
    /// Limits that have no room for it, the one that holds longest first, with what is used.
    pub(super) full: Vec<(Limit, u64)>,
    /// Whether there may be room once open requests have ended.
    pub(super) is_crowded: bool,
}

impl UsageMeter {
    /// Lifts the limits that hold back now what `waits`, each until its window's end. Gives these. A
    /// limit that is met or set later holds. `waits` must not ask the meter.
    pub fn lift(&self, waits: impl Fn(&Origin) -> bool) -> Vec<Limit> {
        let now = (self.shared.clock)();
        let mut state = self.state();
        let held: Vec<Limit> = state.holding(now, &waits).cloned().collect();
        let mut notice = None;
        if !held.is_empty() {
            state.blocked.retain(|limit, _| !held.contains(limit));
            state.marks.lifted.extend(held.iter().cloned());
            notice = state.write_lifted(Day::of(now));
        }
        drop(state);
        notice.into_iter().for_each(Notice::tell);
        self.shared.room.notify_waiters();
        self.shared.written.notify_waiters();
        held
    }

    /// When the last of the day's and month's budgets starts anew that hold back what `waits`, which
    /// must not ask the meter.
    pub fn held_until(&self, waits: impl Fn(&Origin) -> bool) -> Option<SystemTime> {
        let now = (self.shared.clock)();
        let state = self.state();
        let held = state.holding(now, &waits);
        let general = held.filter(|limit| limit.file.is_none());
        general.map(|limit| limit.window.end()).max()
    }

    /// Forgets what refused requests for `origin`, which is tried again: what holds that back is found
    /// out anew.
    pub fn forget_blocked(&self, origin: &Origin) {
        self.state().blocked.retain(|_, origins| {
            origins.remove(origin);
            !origins.is_empty()
        });
    }

    /// Forgets what refused requests for all else than what is `wanted` still.
    pub fn keep_blocked(&self, wanted: impl Fn(&Origin) -> bool) {
        self.state().blocked.retain(|_, origins| {
            origins.retain(&wanted);
            !origins.is_empty()
        });
    }
}

impl State {
    /// What stands in the way of a request that may come to `entry`.
    pub(super) fn in_the_way(&self, entry: &Entry) -> Obstacles {
        let mut found = Obstacles::default();
        for window in windows(entry) {
            let allowance = self.settings.limits.of(window);
            if !allowance.any() {
                continue;
            }
            let booked = self.booked(window, entry);
            let open = self.open_in(window, entry);
            for (measure, limit) in allowance.limits() {
                let limit = limit_of(window, measure, limit, entry);
                if self.marks.lifted.contains(&limit) {
                    continue;
                }
                match measure.fits(limit.amount, &booked, &open, &entry.figures) {
                    Fit::Yes => {}
                    Fit::Later => found.is_crowded = true,
                    Fit::No => found.full.push((limit, measure.of(&booked))),
                }
            }
        }
        found
    }

    /// The limits of this moment that hold back what `waits`.
    fn holding(
        &self,
        now: SystemTime,
        waits: &impl Fn(&Origin) -> bool,
    ) -> impl Iterator<Item = &Limit> {
        let now_on = move |limit: &&Limit| limit.window.contains(now);
        let held = self.blocked.iter();
        held.filter(move |(_, origins)| origins.iter().any(waits))
            .map(|(limit, _)| limit)
            .filter(now_on)
    }

    /// Notes limits that hold a request back; whether any of a day or a month is new.
    pub(super) fn block(
        &mut self,
        limits: impl Iterator<Item = Limit>,
        origin: &Origin,
        today: Day,
    ) -> bool {
        self.blocked.retain(|limit, _| !is_old(limit.window, today));
        let mut is_news = false;
        for limit in limits {
            is_news |= limit.file.is_none() && !self.blocked.contains_key(&limit);
            let origins = self.blocked.entry(limit).or_default();
            origins.insert(origin.clone());
        }
        is_news
    }

    /// Whether the user has still to be told that a limit is used up, which happens once: notes that it
    /// is told now. Of single files the log of their jobs tells.
    pub(super) fn note_if_untold(&mut self, limit: &Limit, today: Day) -> bool {
        self.told.retain(|limit| !is_old(limit.window, today));
        limit.file.is_none() && self.told.insert(limit.clone())
    }

    /// Forgets limits that are not in force any more: should one be set again, it holds.
    pub(super) fn keep_limits_in_force(&mut self, today: Day) -> Option<Notice> {
        let limits = self.settings.limits;
        self.blocked.retain(|limit, _| limits.has(limit));
        self.told.retain(|limit| limits.has(limit));
        let before = self.marks.lifted.len();
        self.marks.lifted.retain(|limit| limits.has(limit));
        let is_less = self.marks.lifted.len() < before;
        is_less.then(|| self.write_lifted(today)).flatten()
    }

    /// Should it not reach the disk, the next process asks again.
    fn write_lifted(&mut self, today: Day) -> Option<Notice> {
        let limits = self.marks.lifted.clone();
        self.write(&Line::OverBudget { limits }, today)
    }

    /// What the user is to be told of a window after a request, each once: that it is nearly used up,
    /// and that it is.
    pub(super) fn look_at(&mut self, entry: &Entry) -> Vec<Notice> {
        let mut notices = Vec::new();
        let today = entry.day();
        for window in [Window::Day(today), Window::Month(today.month())] {
            let allowance = *self.settings.limits.of(window);
            let booked = self.booked(window, entry);
            for (measure, allowed) in allowance.limits() {
                let used = measure.of(&booked);
                let is_much = u128::from(used) * 100 >= u128::from(allowed) * u128::from(WARN_AT);
                if !is_much {
                    continue;
                }
                let limit = limit_of(window, measure, allowed, entry);
                let is_news = self.marks.warned.insert((window, measure, allowed));
                if is_news {
                    let line = Line::Warned {
                        window,
                        measure,
                        limit: allowed,
                    };
                    notices.extend(self.write(&line, today));
                }
                if used < allowed && is_news {
                    notices.push(Notice::Warned { limit, used });
                } else if used >= allowed
                    && !self.marks.lifted.contains(&limit)
                    && self.note_if_untold(&limit, today)
                {
                    notices.push(Notice::UsedUp(used_up(&limit, used, 0)));
                }
            }
        }
        notices
    }
}

impl Marks {
    /// Forgets windows that are over for long. A clock that was set back may still find yesterday.
    pub(super) fn forget_before(&mut self, today: Day) {
        self.warned.retain(|(window, ..)| !is_old(*window, today));
        self.lifted.retain(|limit| !is_old(limit.window, today));
    }
}

fn is_old(window: Window, today: Day) -> bool {
    match window {
        Window::Day(day) => day < today.minus(2),
        Window::Month(month) => month.next().first_day() < today.minus(2),
        Window::FileHour(hour) => hour / 24 + 2 < u64::from(today.0),
    }
}

/// The windows that a request falls into.
fn windows(entry: &Entry) -> impl Iterator<Item = Window> {
    let day = entry.day();
    let of_file = (!entry.file.is_empty()).then(|| Window::FileHour(entry.hour()));
    // The longest first: its reason is the one that holds longest.
    [Window::Month(day.month()), Window::Day(day)]
        .into_iter()
        .chain(of_file)
}

fn limit_of(window: Window, measure: Measure, amount: u64, entry: &Entry) -> Limit {
    let of_file = matches!(window, Window::FileHour(_));
    Limit {
        window,
        measure,
        amount,
        file: of_file.then(|| entry.origin()),
    }
}

/// How a request ends that `limit` has no room for.
pub(super) fn out_of(limit: &Limit, used: u64, wanted: &Figures, now: SystemTime) -> OutOfBudget {
    let wait = limit.window.end().duration_since(now).unwrap_or_default();
    let message = used_up(limit, used, limit.measure.of(wanted));
    OutOfBudget { message, wait }
}

/// That a limit is used up, or has no room for what is wanted.
fn used_up(limit: &Limit, used: u64, wanted: u64) -> String {
    let setting = limit.setting();
    let Limit {
        window,
        measure,
        amount,
        file: _,
    } = limit;
    let amount = *amount;
    if wanted > amount {
        return format!(
            "one request may take {}, more than `{setting}` allows ({}); raise it",
            measure.show(wanted),
            measure.show(amount)
        );
    }
    let may = if used < amount {
        format!(", and one more request may take {}", measure.show(wanted))
    } else {
        String::new()
    };
    format!(
        "{} of the {} that `{setting}` allows for {window} are used{may}; it goes on when that \
         is over, or after `testsmith resume --over-budget`",
        measure.show(used),
        measure.show(amount)
    )
}
