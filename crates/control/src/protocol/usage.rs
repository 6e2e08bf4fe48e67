//! `GET /v1/usage`: what models cost, against the budgets.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Timestamp;

/// What was used in the windows of this moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageInfo {
    /// This day, of UTC: `2026-11-23`.
    pub day: String,
    /// What was used in it.
    pub today: UsedInfo,
    /// What was used in this month.
    pub this_month: UsedInfo,
    /// Each limit of the day and the month, with what of it is used.
    pub budgets: Vec<BudgetUse>,
    /// When the budget that holds requests back starts anew.
    pub held_until: Option<Timestamp>,
    /// Limits that the user lifted, each until its window's end.
    pub lifted: Vec<LiftedBudget>,
}

/// A limit that the user lifted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiftedBudget {
    /// Its key in the settings: `budget.day.calls`.
    pub setting: String,
    /// `day`, `month` or `file_hour`.
    pub window: String,
    /// `calls`, `tokens` or `money`.
    pub measure: String,
    /// How much may be used without that; money in billionths of a dollar.
    pub limit: u64,
    /// The project of the file that it is for, with `file_hour`.
    #[serde(default)]
    pub root: Option<String>,
    /// The file that it is for, with `file_hour`.
    #[serde(default)]
    pub path: Option<String>,
    /// When it holds again.
    pub until: Timestamp,
}

/// `budget.file_hour.calls of cart.go until 2026-11-23T19:00:00.000Z`.
impl fmt::Display for LiftedBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.setting)?;
        if let Some(path) = &self.path {
            write!(f, " of {path}")?;
        }
        write!(f, " until {}", self.until)
    }
}

/// Sums over some time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsedInfo {
    /// Calls: questions to a model, each of one or more requests.
    pub calls: u64,
    /// Requests sent.
    pub requests: u64,
    /// Requests beyond the first of each call.
    pub retries: u64,
    /// Tokens of prompts.
    pub tokens_in: u64,
    /// Tokens of answers.
    pub tokens_out: u64,
    /// What it cost, for people: `$0.0123`; `?` where a price is not known.
    pub cost: String,
    /// What requests with a known price cost, in billionths of a dollar.
    pub cost_nano_usd: u64,
    /// Requests of a model without a known price.
    pub unpriced_requests: u64,
}

/// How much of one limit is used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetUse {
    /// `day` or `month`.
    pub window: String,
    /// `calls`, `tokens` or `money`.
    pub measure: String,
    /// How much is used; money in billionths of a dollar.
    pub used: u64,
    /// How much may be.
    pub limit: u64,
}

impl BudgetUse {
    /// Hundredths of the limit that are used.
    pub fn percent(&self) -> u64 {
        self.used.saturating_mul(100) / self.limit.max(1)
    }
}
