//! The whole picture.

use std::time::{Duration, SystemTime};

use testsmith_cache::Cache;
use testsmith_control::{
    BudgetUse, CacheInfo, CallsInfo, DaemonInfo, FallbackInfo, Health, JobInfo, ProviderInfo,
    QueueInfo, RootInfo, Spent, Status, TestsInfo, Timestamp, UsageInfo, Warning,
};
use testsmith_domain::{CacheStats, CacheStatsReporter as _, Job, JobState};
use testsmith_llm::Circuit;
use testsmith_queue::Queue;
use testsmith_watch::{RootState, WatchHandle};

use super::hub::ProviderHealth;
use super::{Daemon, usage};
use crate::model::Model;
use crate::service::{SAVE_REASON, Service};

/// A job that is ready and not taken up for this long, with no worker busy, is a sign of trouble.
const STUCK_AFTER: Duration = Duration::from_mins(1);

pub(super) fn live(daemon: &Daemon) -> Status {
    let service = &daemon.service;
    let hub = &service.hub;
    let jobs = service.queue.list();
    let model = service.model();
    let gauge = model.gauge.read();
    let health = hub.provider_health();
    let info = DaemonInfo {
        pid: std::process::id(),
        started: hub.started,
        uptime_ms: hub.uptime_ms(),
        paused: hub.is_paused(),
        stopping: daemon.stop.is_cancelled(),
        roots: roots(daemon),
        calls: CallsInfo {
            open: gauge.open,
            permits: gauge.permits,
            max_open: gauge.max_open,
        },
        provider: ProviderInfo {
            description: model.description.clone(),
            held_until: model.gauge.left_alone_for().map(from_now),
            last_error: health.last_error.clone(),
            last_answer: health.last_answer,
            answered_by: health.answered_by.clone(),
            fallback: fallback(&model),
        },
        running: hub.running(),
        open_calls: hub.calls.list(),
    };
    let usage = usage::info(&service.spending(), service.held_until());
    let mut warnings = of_daemon(&info);
    warnings.extend(of_budgets(&usage));
    warnings.extend(of_provider(service, &info, &health));
    warnings.extend(of_jobs(&jobs, &info));
    warnings.extend(of_stores(&service.queue, &service.cache));
    Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        state_dir: service.state_dir.clone(),
        health: if warnings.is_empty() {
            Health::Healthy
        } else {
            Health::Degraded
        },
        queue: queue(&service.queue, &jobs),
        cache: service.model().exists.then(|| cache(service)),
        usage: Some(usage),
        spent: Some(Spent {
            since: hub.started,
            calls: gauge.calls,
            requests: gauge.attempts,
            retries: gauge.retries,
            tokens_in: gauge.input_tokens,
            tokens_out: gauge.output_tokens,
        }),
        tests: TestsInfo::default(),
        last: hub.last(),
        warnings,
        daemon: Some(info),
    }
}

/// The cache's figures in this run.
pub(super) fn cache(service: &Service) -> CacheInfo {
    let stats = service.cache.cache_stats().unwrap_or_default();
    cache_info(
        &service.cache,
        stats,
        service.settings().cache.max_size.get(),
    )
}

pub(crate) fn cache_info(cache: &Cache, shown: CacheStats, max_bytes: u64) -> CacheInfo {
    let lifetime = cache.lifetime_stats();
    CacheInfo {
        hits: shown.hits,
        misses: shown.misses,
        entries: shown.entries,
        lifetime_hits: lifetime.hits,
        lifetime_misses: lifetime.misses,
        bytes: cache.size_bytes(),
        max_bytes,
        line: shown.to_string(),
    }
}

pub(super) fn queue(queue: &Queue, jobs: &[Job]) -> QueueInfo {
    let counts = queue.counts();
    let oldest = jobs
        .iter()
        .filter(|job| !matches!(job.state, JobState::Parked { .. }))
        .min_by_key(|job| job.enqueued);
    QueueInfo {
        pending: counts.pending,
        running: counts.running,
        waiting: counts.waiting,
        parked: counts.parked,
        oldest: oldest.map(JobInfo::from),
    }
}

fn roots(daemon: &Daemon) -> Vec<RootInfo> {
    let figure = |number: usize| number as u64;
    let stats = daemon.watcher.stats().into_iter();
    let info = stats.map(|(root, stats)| RootInfo {
        root,
        state: stats.state.as_str().to_owned(),
        watcher: WatchHandle::backend().to_owned(),
        watched: figure(stats.watched),
        polled: figure(stats.unwatched + stats.shared),
        shared: figure(stats.shared),
        files: figure(stats.files),
        settling: figure(stats.pending),
        rescans: stats.rescans,
        overflows: stats.overflows,
    });
    info.collect()
}

fn warning(code: &str, message: String, remedy: impl Into<String>) -> Warning {
    Warning {
        code: code.to_owned(),
        message,
        remedy: remedy.into(),
    }
}

fn of_daemon(info: &DaemonInfo) -> Vec<Warning> {
    let mut warnings = Vec::new();
    if info.paused {
        warnings.push(warning(
            "paused",
            "paused: changes are written down and not worked on".to_owned(),
            "testsmith resume",
        ));
    }
    for root in &info.roots {
        let shown = root.root.display();
        if root.state == RootState::Missing.as_str() {
            warnings.push(warning(
                "root_missing",
                format!("the folder `{shown}` is not there, or empty where it was not"),
                "bring it back, or restart without it",
            ));
        } else if root.polled > root.shared {
            let count = root.polled - root.shared;
            let are = if count == 1 {
                "folder has no watch and is"
            } else {
                "folders have no watch and are"
            };
            warnings.push(warning(
                "polled_folders",
                format!("in `{shown}`, {count} {are} polled"),
                "raise the limit: sudo sysctl fs.inotify.max_user_watches=524288",
            ));
        }
    }
    warnings
}

fn of_provider(service: &Service, info: &DaemonInfo, health: &ProviderHealth) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let wants_none = service.settings().llm.provider == testsmith_config::ProviderKind::Offline;
    if !service.model().exists && !wants_none {
        warnings.push(warning(
            "no_model",
            format!(
                "no model: {}; only placeholders are written",
                info.provider.description
            ),
            "set OPENAI_API_KEY or ANTHROPIC_API_KEY, or start Ollama, and restart",
        ));
    }
    let is_open = service.gauge().breaker().circuit() != Circuit::Closed;
    let preferred_until = info.provider.held_until;
    let others = &info.provider.fallback;
    if let Some(until) = preferred_until.filter(|_| others.iter().any(|o| o.held_until.is_none())) {
        warnings.push(warning(
            "fallback",
            format!("the preferred model is not asked until {until}; fallback models answer"),
            "nothing to do if it comes back by itself; after a change of key or settings: testsmith reload",
        ));
    } else if let Some(until) = preferred_until.filter(|_| is_open) {
        warnings.push(warning(
            "provider_down",
            format!("the model's server is not asked until {until}, since calls to it failed"),
            "nothing to do if it comes back by itself; after a change of key or settings: testsmith reload",
        ));
    } else if let Some(until) = preferred_until {
        warnings.push(warning(
            "held",
            format!("the model's server wants to be left alone until {until}"),
            "nothing to do; jobs go on by themselves",
        ));
    }
    if let Some(error) = &health.last_error {
        warnings.push(warning(
            "model_failing",
            format!("the last call failed: {}", error.message),
            "see docs/providers.md for the message, then: testsmith retry",
        ));
    }
    warnings
}

/// A budget of which this much is used is worth a word.
const NEARLY_SPENT: u64 = 80;

fn of_budgets(usage: &UsageInfo) -> Vec<Warning> {
    let mut warnings = Vec::new();
    if let Some(until) = usage.held_until {
        warnings.push(warning(
            "budget_spent",
            format!("a budget is spent: nothing is asked until {until}"),
            "testsmith resume --over-budget, or a larger one in [budget]",
        ));
    }
    // The user knows of those that are lifted.
    let is_lifted = |budget: &BudgetUse| {
        let mut lifted = usage.lifted.iter();
        lifted.any(|lifted| {
            (&lifted.window, &lifted.measure, lifted.limit)
                == (&budget.window, &budget.measure, budget.limit)
        })
    };
    let near = usage.budgets.iter().filter(|budget| !is_lifted(budget));
    for near in near.filter(|budget| budget.percent() >= NEARLY_SPENT) {
        if usage.held_until.is_none() {
            warnings.push(warning(
                "budget_nearly_spent",
                format!(
                    "{} % of the {}'s budget of {} are used",
                    near.percent(),
                    near.window,
                    near.measure
                ),
                "testsmith usage tells on what; raise it in [budget] if that is right",
            ));
        }
    }
    warnings
}

fn from_now(rest: Duration) -> Timestamp {
    Timestamp(SystemTime::now() + rest)
}

fn fallback(model: &Model) -> Vec<FallbackInfo> {
    let links = model.links.iter().skip(1);
    let info = links.map(|link| FallbackInfo {
        description: link.description.clone(),
        held_until: link.gauge.left_alone_for().map(from_now),
    });
    info.collect()
}

fn of_jobs(jobs: &[Job], info: &DaemonInfo) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let parked = jobs.iter().filter(|job| match &job.state {
        JobState::Parked { reason } => !reason.starts_with(SAVE_REASON),
        _ => false,
    });
    let parked = parked.count();
    if parked > 0 {
        let jobs = if parked == 1 { "job is" } else { "jobs are" };
        warnings.push(warning(
            "parked_jobs",
            format!("{parked} {jobs} parked"),
            "testsmith jobs --state parked, then: testsmith retry",
        ));
    }
    let is_stuck = |job: &&Job| {
        let age = job.enqueued.elapsed().unwrap_or_default();
        job.state == JobState::Pending && age > STUCK_AFTER
    };
    let stuck = jobs.iter().filter(is_stuck).count();
    if stuck > 0 && info.running.is_empty() && !info.paused && !info.stopping {
        let jobs = if stuck == 1 { "job is" } else { "jobs are" };
        warnings.push(warning(
            "stuck",
            format!("{stuck} {jobs} ready and not taken up"),
            "look at the log; restart the daemon",
        ));
    }
    warnings
}

fn of_stores(queue: &Queue, cache: &Cache) -> Vec<Warning> {
    [("queue", queue.health()), ("cache", cache.health())]
        .into_iter()
        .filter_map(|(name, health)| match health {
            testsmith_store::Health::Degraded { cause, .. } => Some(warning(
                "store_degraded",
                format!("the {name} cannot be read or written: {cause}"),
                "is the disk full or read-only? it goes on by itself once that is mended",
            )),
            testsmith_store::Health::Well | testsmith_store::Health::Closed => None,
        })
        .collect()
}
