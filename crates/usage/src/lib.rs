//! What calls to models cost, kept durably, and the budgets they keep to.
//!
//! # Theory of operation
//!
//! [`UsageMeter`] stands in the stack as domain's [`RequestMeter`](testsmith_domain::RequestMeter).
//! Before a request is sent, what it may cost at most is set aside; when it has ended, what it
//! did cost is written down in its place. A request whose end nobody saw — it was cancelled, its
//! reply was cut, the process was killed — counts as if it had cost all that was set aside. So
//! the sum never passes a budget, however many requests are open at once.
//!
//! **Money** is in whole nano-dollars, prices in whole micro-dollars per million tokens, and each
//! request is rounded up. No figure is ever a float.
//!
//! **On disk** there are two files: `usage.json` holds the sums by day, project, model and file,
//! and `usage-N.log` a line for each request since. A line is handed to the kernel before the
//! answer is used, so that killing the process loses at most the request in flight; a power
//! failure may cost the last second or two. Both files are plain JSON, and can be read while the
//! service runs.
//!
//! **Windows** are days and months of UTC, since the clock of a laptop that travels jumps
//! otherwise. What was spent is looked up by the day it is now; so a clock that is set back finds
//! the sums of that day again, and nothing is allowed twice.

mod book;
mod budget;
mod calendar;
mod figures;
mod journal;
mod meter;
mod money;
mod prices;
mod report;

pub use book::Origin;
pub use budget::{Allowance, BudgetLimits, Limit, Measure, Window};
pub use calendar::{Day, Month};
pub use figures::{Cost, Figures};
pub use journal::{OpenNote, UsageError};
pub use meter::{Standing, UsageMeter, UsageSettings, Used, attribute};
pub use money::{Money, Price};
pub use prices::{PRICES_DATE, PRICES_SOURCE, PriceTable};
pub use report::{By, Report, ReportRow, read_report};
