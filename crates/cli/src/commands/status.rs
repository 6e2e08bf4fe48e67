//! `testsmith status`: one screen.

use std::collections::BTreeMap;

use anstyle::{AnsiColor, Style};
use testsmith_control::{
    CallsInfo, DaemonInfo, FallbackInfo, Health, JobEnded, JobPhase, LastError, ProviderInfo,
    QueueInfo, RootInfo, Status, TestsInfo, UsageInfo,
};

use crate::args::{Global, StatusArgs};
use crate::context::Context;
use crate::output::{brief, counted, duration, escape};
use crate::{block_on, exit, output, remote};

/// Ended jobs that are shown.
const LAST: usize = 5;

pub(crate) fn run(global: &Global, args: &StatusArgs) -> anyhow::Result<u8> {
    let context = Context::to_ask(global, None)?;
    let status = block_on(async {
        if let Some(status) = remote::if_running(context.client().status().await)? {
            return anyhow::Ok(status);
        }
        let settings = &context.loaded.settings;
        Ok(testsmith_daemon::status_offline(&context.state_dir, settings).await?)
    })??;
    if args.json {
        output::json(&status)?;
    } else {
        for line in screen(&status) {
            output::line(line)?;
        }
    }
    Ok(match status.health {
        Health::Healthy => exit::OK,
        Health::Degraded => exit::DEGRADED,
        Health::NotRunning => exit::NO_DAEMON,
    })
}

fn screen(status: &Status) -> Vec<String> {
    let mut lines = Vec::new();
    let mut say = |name: &str, text: String| lines.push(format!("{name:<9} {text}"));
    say("testsmith", headline(status));
    say("state", escape(&status.state_dir.to_string_lossy()));
    if let Some(daemon) = &status.daemon {
        for (at, root) in daemon.roots.iter().enumerate() {
            say(if at == 0 { "watching" } else { "" }, one_root(root));
        }
    }
    say("queue", queue(status));
    if let Some(daemon) = &status.daemon {
        say("calls", calls(daemon));
        if let Some(usage) = &status.usage {
            say("today", today(usage));
            for lifted in &usage.lifted {
                say("", format!("lifted: {}", escape(&lifted.to_string())));
            }
        }
        say("model", model(&daemon.provider));
        for link in &daemon.provider.fallback {
            say("", fallback(link));
        }
        for (at, job) in daemon.running.iter().enumerate().take(LAST) {
            let path = escape(job.path.as_str());
            let name = if at == 0 { "running" } else { "" };
            let (age, phase) = (duration(job.since.age()), job.phase.as_str());
            let since = duration(job.phase_since.age());
            say(name, format!("{path} for {age}, {phase} for {since}"));
        }
    }
    if let Some(cache) = &status.cache {
        say("cache", cache.line.clone());
    }
    for (at, text) in tests(&status.tests).into_iter().enumerate() {
        say(if at == 0 { "tests" } else { "" }, text);
    }
    for (at, ended) in status.last.iter().enumerate().take(LAST) {
        say(if at == 0 { "last" } else { "" }, one_end(ended));
    }
    for (at, warning) in status.warnings.iter().enumerate() {
        let name = if at == 0 { "warnings" } else { "" };
        let yellow = Style::new().fg_color(Some(AnsiColor::Yellow.into()));
        say(
            name,
            format!("{yellow}{}{yellow:#}", brief(&warning.message)),
        );
        say("", format!("  → {}", escape(&warning.remedy)));
    }
    lines
}

/// What of the tests is worth a look, and where to look.
fn tests(tests: &TestsInfo) -> Vec<String> {
    let TestsInfo {
        findings,
        quarantined,
        unverified,
        proposed,
        outdated,
    } = tests;
    let mut lines: Vec<String> = [
        (
            *findings,
            ["fails", "fail"],
            "in each run: testsmith findings",
        ),
        (
            *proposed,
            ["waits", "wait"],
            "for your word: testsmith review",
        ),
        (
            *quarantined,
            ["is", "are"],
            "in quarantine: testsmith quarantine",
        ),
        (
            *unverified,
            ["is", "are"],
            "not verified yet: testsmith doctor",
        ),
    ]
    .into_iter()
    .filter(|(count, ..)| *count > 0)
    .map(|(count, verb, what)| format!("{count} {} {what}", verb[usize::from(count > 1)]))
    .collect();
    let names: Vec<String> = outdated
        .iter()
        .take(LAST)
        .map(|test| {
            let path = escape(test.test_path.as_str());
            format!("`{}` in {path}", escape(test.member.as_str()))
        })
        .collect();
    if !names.is_empty() {
        let more = match outdated.len() - names.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let names = names.join(", ");
        lines.push(format!("yours, and perhaps out of date: {names}{more}"));
    }
    lines
}

fn headline(status: &Status) -> String {
    let (colour, health) = match status.health {
        Health::Healthy => (AnsiColor::Green, "healthy"),
        Health::Degraded => (AnsiColor::Yellow, "degraded"),
        Health::NotRunning => (AnsiColor::Red, "not running"),
    };
    let style = Style::new().fg_color(Some(colour.into()));
    let mut text = format!("{} · {style}{health}{style:#}", status.version);
    if let Some(daemon) = &status.daemon {
        if daemon.stopping {
            text.push_str(", stopping");
        } else if daemon.paused {
            text.push_str(", paused");
        }
        let up = duration(std::time::Duration::from_millis(daemon.uptime_ms));
        text.push_str(&format!(" · up {up} · pid {}", daemon.pid));
    }
    text
}

fn one_root(root: &RootInfo) -> String {
    let RootInfo {
        root,
        state,
        watcher,
        watched,
        polled,
        shared,
        files,
        settling,
        ..
    } = root;
    let path = escape(&root.to_string_lossy());
    let polled = match (*polled, *shared) {
        (0, _) => String::new(),
        (polled, 0) => format!(", {polled} polled"),
        (polled, _) => format!(", {polled} polled since others write to this file system"),
    };
    let settling = if *settling > 0 {
        format!(", {settling} settling")
    } else {
        String::new()
    };
    let files = counted(*files, "file");
    let folders = counted(*watched, "folder");
    format!("{path}: {state}, {files}, {folders} by {watcher}{polled}{settling}")
}

fn queue(status: &Status) -> String {
    let QueueInfo {
        pending,
        running,
        waiting,
        parked,
        oldest,
    } = &status.queue;
    let oldest = oldest.as_ref().map_or_else(String::new, |job| {
        let path = escape(job.path.as_str());
        let age = duration(job.enqueued.age());
        format!("; oldest: {path}, {} for {age}", job.state)
    });
    let phases = status.daemon.as_ref().map(phases).unwrap_or_default();
    format!(
        "{pending} pending, {running} running{phases}, {waiting} waiting, {parked} parked{oldest}"
    )
}

/// What is being done for the jobs that run: ` (2 asking the model, 1 verifying)`.
fn phases(daemon: &DaemonInfo) -> String {
    let mut counts: BTreeMap<JobPhase, usize> = BTreeMap::new();
    for job in &daemon.running {
        *counts.entry(job.phase).or_default() += 1;
    }
    let counts = counts.into_iter();
    let counts: Vec<String> = counts
        .map(|(phase, count)| format!("{count} {}", phase.as_str()))
        .collect();
    if counts.is_empty() {
        String::new()
    } else {
        format!(" ({})", counts.join(", "))
    }
}

fn calls(daemon: &DaemonInfo) -> String {
    let CallsInfo {
        open,
        permits,
        max_open,
    } = daemon.calls;
    format!("{open} open of {permits}; at most {max_open} at once")
}

fn today(usage: &UsageInfo) -> String {
    let used = &usage.today;
    let mut text = format!(
        "{}, {}, {} tokens in, {} out, {}",
        counted(used.calls, "call"),
        counted(used.retries, "retry"),
        used.tokens_in,
        used.tokens_out,
        used.cost
    );
    for budget in &usage.budgets {
        text.push_str(&format!(
            "; {} % of the {}'s {}",
            budget.percent(),
            budget.window,
            budget.measure
        ));
    }
    text
}

fn model(provider: &ProviderInfo) -> String {
    let ProviderInfo {
        description,
        held_until,
        last_error,
        last_answer,
        answered_by,
        fallback: _,
    } = provider;
    let mut text = escape(description);
    if let Some(until) = held_until {
        text.push_str(&format!("; held for {}", duration(until.rest())));
    }
    match (last_error, last_answer) {
        (Some(LastError { at, message }), _) => {
            let ago = duration(at.age());
            text.push_str(&format!("; failed {ago} ago: {}", brief(message)));
        }
        (None, Some(at)) => {
            text.push_str(&format!("; answered {} ago", duration(at.age())));
            if !provider.fallback.is_empty() && !answered_by.is_empty() {
                text.push_str(&format!(" by {}", escape(&answered_by.join(", "))));
            }
        }
        (None, None) => {}
    }
    text
}

fn fallback(info: &FallbackInfo) -> String {
    let held = info.held_until.as_ref();
    let held = held.map_or_else(String::new, |until| {
        format!("; held for {}", duration(until.rest()))
    });
    format!("fallback: {}{held}", escape(&info.description))
}

fn one_end(ended: &JobEnded) -> String {
    let ago = duration(ended.ended.age());
    let path = escape(ended.path.as_str());
    let test_path = ended
        .test_path
        .as_ref()
        .map_or_else(String::new, |path| format!(" → {}", escape(path.as_str())));
    let reason = ended
        .reason
        .as_deref()
        .map_or_else(String::new, |reason| format!(": {}", brief(reason)));
    format!("{ago} ago  {}  {path}{test_path}{reason}", ended.outcome)
}
