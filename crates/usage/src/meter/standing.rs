//! Where things stand, for whoever looks on.

use std::time::SystemTime;

use super::UsageMeter;
use crate::budget::{Allowance, BudgetLimits, Measure, Window};
use crate::calendar::{Day, hour_of};
use crate::figures::Figures;
use crate::journal::Line;

/// What was used in the windows of this moment, and what holds requests back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// This day.
    pub day: Day,
    /// What was used in it.
    pub today: Figures,
    /// What was used in this month.
    pub this_month: Figures,
    /// What requests that are open now may come to.
    pub open: Figures,
    /// What may be used.
    pub limits: BudgetLimits,
    /// Each limit of the day and the month, with what of it is used.
    pub used: Vec<Used>,
    /// When the day's or month's budget that holds requests back starts anew.
    pub held_until: Option<SystemTime>,
    /// Windows whose budget the user lifted.
    pub lifted: Vec<Window>,
}

/// How much of one limit is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Used {
    /// When.
    pub window: Window,
    /// What.
    pub measure: Measure,
    /// How much is used, in the measure's unit; money in billionths of a dollar.
    pub used: u64,
    /// How much may be.
    pub limit: u64,
}

impl UsageMeter {
    /// Where things stand.
    pub fn standing(&self) -> Standing {
        let now = (self.shared.clock)();
        let day = Day::of(now);
        let state = self.state();
        let (today, this_month) = (state.book.of_day(day), state.book.of_month(day.month()));
        let mut open = Figures::default();
        for held in state.open.values() {
            open.add(&held.entry.figures);
        }
        let limits = state.settings.limits;
        let used = |window, allowance: Allowance, figures: Figures| {
            let limits: Vec<_> = allowance.limits().collect();
            limits.into_iter().map(move |(measure, limit)| Used {
                window,
                measure,
                used: measure.of(&figures),
                limit,
            })
        };
        let held = [Window::Day(day), Window::Month(day.month())].into_iter();
        let held = held.filter(|window| {
            state.blocked.contains(window) && !state.marks.lifted.contains(window)
        });
        Standing {
            day,
            today,
            this_month,
            open,
            limits,
            used: used(Window::Day(day), limits.day, today)
                .chain(used(Window::Month(day.month()), limits.month, this_month))
                .collect(),
            held_until: held.map(Window::end).max(),
            lifted: state.marks.lifted.iter().copied().collect(),
        }
    }

    /// Lifts the budgets that hold requests back, each until its window's end. Gives these.
    pub fn lift(&self) -> Vec<Window> {
        let now = (self.shared.clock)();
        let day = Day::of(now);
        let current = [
            Window::Day(day),
            Window::Month(day.month()),
            Window::FileHour(hour_of(now)),
        ];
        let mut state = self.state();
        let mut lifted = Vec::new();
        for window in current {
            if state.blocked.remove(&window) && state.marks.lifted.insert(window) {
                // Should it not reach the disk, the next process asks again.
                let _ = state.write(&Line::Lifted { window }, day);
                lifted.push(window);
            }
        }
        drop(state);
        self.shared.room.notify_waiters();
        self.shared.written.notify_waiters();
        lifted
    }
}
