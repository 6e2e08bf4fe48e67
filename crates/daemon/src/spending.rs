//! What is spent: the settings for the meter, its upkeep, and jobs that wait for a budget.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use testsmith_config::{AllowanceSettings, PriceSettings, Settings};
use testsmith_domain::{Job, JobState, RelPath, Timestamp};
use testsmith_usage::{
    Allowance, BudgetLimits, By, Day, Limit, Money, OpenNote, Origin, Price, PriceTable, Report,
    Standing, UsageMeter, UsageSettings, read_report,
};
use tokio_util::sync::CancellationToken;

use crate::error::DaemonError;
use crate::files::{blocking, chain};
use crate::service::Service;

/// Where usage is kept, in the state directory.
const USAGE_DIR: &str = "usage";

/// What the reason of a job begins with that waits for a budget.
pub const BUDGET_REASON: &str = "budget: ";

/// Why such a job is made ready before its time.
const WOKEN_FOR_BUDGET: &str = "a budget may have room again";

/// What was written in a burst reaches the disk together.
const SYNC_AFTER: Duration = Duration::from_secs(1);

/// While jobs wait for a budget, it is looked at the clock this often: it may have been set, or
/// the machine may have slept.
const LOOK_AT_CLOCK: Duration = Duration::from_secs(30);

/// The meter's settings.
pub(crate) fn usage_settings(settings: &Settings) -> UsageSettings {
    let budget = &settings.budget;
    let allowance = |set: &AllowanceSettings| Allowance {
        calls: set.calls,
        tokens: set.tokens,
        money: set.usd.map(|usd| Money::from_micros(usd.micros())),
    };
    let price = |set: &PriceSettings| Price {
        input: set.input.micros(),
        cached_input: set.cached_input.unwrap_or(set.input).micros(),
        cache_write: set.cache_write.unwrap_or(set.input).micros(),
        output: set.output.micros(),
    };
    let prices = settings.prices.iter();
    UsageSettings {
        limits: BudgetLimits {
            day: allowance(&budget.day),
            month: allowance(&budget.month),
            file_hour: allowance(&budget.file_hour),
        },
        prices: PriceTable::new(prices.map(|(model, set)| (model.clone(), price(set)))),
    }
}

/// Opens what is kept in the state directory, and tells what the user should know.
pub(crate) async fn open_usage(meter: &UsageMeter, state_dir: &Path) -> Result<(), DaemonError> {
    let dir = state_dir.join(USAGE_DIR);
    let opened = {
        let meter = meter.clone();
        blocking(move || meter.open(&dir)).await
    };
    let notes = opened.map_err(|error| DaemonError::state(state_dir, error))?;
    for note in notes {
        match note {
            OpenNote::Unfinished(requests) => tracing::info!(
                requests,
                "requests were open when the last process ended; each counts as the most it can have used"
            ),
            OpenNote::Damaged(moved_to) => tracing::warn!(
                moved_to = %moved_to.display(),
                "usage could not be read; earlier sums are gone, and budgets begin anew"
            ),
            OpenNote::LostLines(lines) => {
                tracing::warn!(lines, "parts of the usage could not be read");
            }
            OpenNote::Unwritable(error) => tracing::warn!(
                error,
                "usage cannot be written; it is kept in memory until the disk is well again"
            ),
        }
    }
    Ok(())
}

/// Brings usage to the disk as it comes, and wakes jobs when the budget they wait for starts anew.
pub(crate) async fn tend_usage(
    service: Arc<Service>,
    stop: CancellationToken,
) -> Result<(), DaemonError> {
    let upkeep = async {
        loop {
            service.usage.written().await;
            tokio::time::sleep(SYNC_AFTER).await;
            let meter = service.usage.clone();
            if let Err(error) = blocking(move || meter.tend()).await {
                tracing::debug!(%error, "usage is not on disk yet");
            }
        }
    };
    let turns = async {
        loop {
            service.usage.blocked().await;
            let waited_for = service.usage.standing().day;
            while service.usage.held_until(|_| true).is_some() {
                tokio::time::sleep(LOOK_AT_CLOCK).await;
                let has_job = |of: &Origin| service.job_of(of).is_some();
                service.usage.keep_blocked(has_job);
            }
            let jobs = wake_for_budget(&service).await;
            if jobs > 0 {
                tracing::info!(since = %waited_for, jobs, "jobs that waited for the budget go on");
            }
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = upkeep => {}
        () = turns => {}
    }
    Ok(())
}

/// Jobs that waited for a budget go on, and find out anew whether one holds them.
pub(crate) async fn wake_for_budget(service: &Service) -> u64 {
    let woken = service.queue.wake(is_held_back, false, WOKEN_FOR_BUDGET);
    match woken.await {
        Ok(woken) => woken,
        Err(error) => {
            tracing::warn!(error = chain(&error), "jobs that wait for a budget wait on");
            0
        }
    }
}

/// Whether a job's last run ended for want of a budget, and is to be followed by another.
fn is_held_back(job: &Job) -> bool {
    let reason = job.state.reason();
    reason.is_some_and(|reason| reason.starts_with(BUDGET_REASON))
}

/// Whether a job waits for a budget. One that was woken does until its next run: it may be long till
/// then, while the user wants a pause.
fn waits_for_budget(job: &Job) -> bool {
    let is_woken = || job.woken.as_deref() == Some(WOKEN_FOR_BUDGET);
    is_held_back(job) || (job.state == JobState::Pending && is_woken())
}

/// What a job's requests are put down to.
pub(crate) fn origin(job: &Job) -> Origin {
    Origin {
        project: job.root.clone(),
        file: job.path.as_str().to_owned(),
    }
}

impl Service {
    /// What was used today and this month, against the budgets.
    pub fn spending(&self) -> Standing {
        self.usage.standing()
    }

    /// When the last of the day's and month's budgets starts anew that hold jobs back.
    pub fn held_until(&self) -> Option<SystemTime> {
        self.usage.held_until(|of| self.is_waiting(of))
    }

    fn job_of(&self, origin: &Origin) -> Option<Job> {
        let path = RelPath::new(&origin.file).ok()?;
        self.queue.job(&origin.project, &path)
    }

    fn is_waiting(&self, origin: &Origin) -> bool {
        self.job_of(origin).as_ref().is_some_and(waits_for_budget)
    }

    /// `resume --over-budget`: lifts the limits that hold jobs back now, each until its window's end,
    /// and wakes the jobs. Gives the limits and the number of jobs.
    pub async fn resume_over_budget(&self) -> (Vec<Limit>, u64) {
        let lifted = self.usage.lift(|of| self.is_waiting(of));
        for limit in &lifted {
            let file = limit.file.as_ref();
            tracing::info!(
                setting = limit.setting(),
                root = file.map(|of| &*of.project),
                path = file.map(|of| &*of.file),
                until = %Timestamp(limit.window.end()),
                "budget lifted until its time is over"
            );
        }
        if lifted.is_empty() {
            tracing::info!("asked to go over the budget; none holds jobs back");
        }
        let woken = wake_for_budget(self).await;
        (lifted, woken)
    }
}

/// What was used, as kept in a state directory. Needs no lock: a service may be running there.
pub async fn usage_report(
    state_dir: &Path,
    by: By,
    since: Option<Day>,
) -> Result<Report, DaemonError> {
    let dir = state_dir.join(USAGE_DIR);
    let read = blocking(move || read_report(&dir, by, since)).await;
    read.map_err(|error| DaemonError::state(state_dir, error))
}

/// The day it is.
pub fn today() -> Day {
    Day::of(SystemTime::now())
}
