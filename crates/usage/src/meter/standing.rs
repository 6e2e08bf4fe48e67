//! Where things stand, for whoever looks on.

use super::UsageMeter;
use crate::budget::{Allowance, BudgetLimits, Limit, Measure, Window};
use crate::calendar::Day;
use crate::figures::Figures;

/// What was used in the windows of this moment, and what the user lifted.
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
    /// Limits of this moment that the user lifted, each until its window's end.
    pub lifted: Vec<Limit>,
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
        let lifted = state.marks.lifted.iter();
        Standing {
            day,
            today,
            this_month,
            open,
            limits,
            used: used(Window::Day(day), limits.day, today)
                .chain(used(Window::Month(day.month()), limits.month, this_month))
                .collect(),
            lifted: lifted.filter(|l| l.window.contains(now)).cloned().collect(),
        }
    }
}
