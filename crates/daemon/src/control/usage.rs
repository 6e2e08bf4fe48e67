//! What models cost, for whoever asks.

use std::time::SystemTime;

use testsmith_control::{BudgetUse, LiftedBudget, Timestamp, UsageInfo, UsedInfo};
use testsmith_usage::{Figures, Limit, Measure, Standing};

/// Where things stand, and until when a budget holds jobs back.
pub(super) fn info(standing: &Standing, held_until: Option<SystemTime>) -> UsageInfo {
    let Standing {
        day,
        today,
        this_month,
        open: _,
        limits: _,
        used,
        lifted,
    } = standing;
    let budgets = used.iter().map(|used| BudgetUse {
        window: used.window.key().to_owned(),
        measure: measure(used.measure).to_owned(),
        used: used.used,
        limit: used.limit,
    });
    UsageInfo {
        day: day.to_string(),
        today: figures(today),
        this_month: figures(this_month),
        budgets: budgets.collect(),
        held_until: held_until.map(Timestamp),
        lifted: lifted.iter().map(lifted_budget).collect(),
    }
}

/// A limit that the user lifted, as it goes over the control socket.
pub fn lifted_budget(limit: &Limit) -> LiftedBudget {
    let file = limit.file.clone();
    let (root, path) = file.map(|of| (of.project, of.file)).unzip();
    LiftedBudget {
        setting: limit.setting(),
        window: limit.window.key().to_owned(),
        measure: measure(limit.measure).to_owned(),
        limit: limit.amount,
        root,
        path,
        until: Timestamp(limit.window.end()),
    }
}

pub(super) fn figures(figures: &Figures) -> UsedInfo {
    UsedInfo {
        calls: figures.calls,
        requests: figures.requests,
        retries: figures.requests.saturating_sub(figures.calls),
        tokens_in: figures.input_tokens,
        tokens_out: figures.output_tokens,
        cost: figures.cost().to_string(),
        cost_nano_usd: figures.cost.nanos(),
        unpriced_requests: figures.unpriced_requests,
    }
}

const fn measure(measure: Measure) -> &'static str {
    match measure {
        Measure::Calls => "calls",
        Measure::Tokens => "tokens",
        Measure::Money => "money",
    }
}
