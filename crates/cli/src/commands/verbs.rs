//! `testsmith retry`, `cancel`, `pause`, `resume`, `reload`, `stop`: orders to a running daemon.

use testsmith_control::{Cancelled, FileRequest, OverBudget, Paused, Reloaded, Retried, Stopping};

use crate::args::{CancelArgs, Global, ResumeArgs, RetryArgs, VerbArgs};
use crate::context::Context;
use crate::output::{counted, duration, escape};
use crate::{block_on, exit, output, remote};

pub(crate) fn retry(global: &Global, args: &RetryArgs) -> anyhow::Result<u8> {
    let context = Context::to_ask(global, None)?;
    let request = FileRequest {
        paths: patterns(&context, &args.paths),
        job_id: None,
    };
    let done = block_on(context.client().retry(&request))??;
    let Retried { woken, unknown } = &done;
    if args.json || unknown.is_empty() || *woken > 0 {
        tell(
            args.json,
            &done,
            format_args!("{} tried again", counted(*woken, "job")),
        )?;
    }
    no_such(unknown)
}

pub(crate) fn cancel(global: &Global, args: &CancelArgs) -> anyhow::Result<u8> {
    let context = Context::to_ask(global, None)?;
    let request = FileRequest {
        paths: patterns(&context, &args.paths),
        job_id: args.job,
    };
    let done = block_on(context.client().cancel(&request))??;
    let Cancelled { cancelled, unknown } = &done;
    if args.json || unknown.is_empty() || *cancelled > 0 {
        tell(
            args.json,
            &done,
            format_args!("{} dropped", counted(*cancelled, "job")),
        )?;
    }
    no_such(unknown)
}

/// An error that names what was asked for and has no job.
fn no_such(unknown: &[String]) -> anyhow::Result<u8> {
    if unknown.is_empty() {
        return Ok(exit::OK);
    }
    let names: Vec<String> = unknown
        .iter()
        .map(|name| format!("`{}`", escape(name)))
        .collect();
    anyhow::bail!("no such job: {}; see `testsmith jobs`", names.join(", "))
}

pub(crate) fn pause(global: &Global, args: &VerbArgs, wanted: bool) -> anyhow::Result<u8> {
    let context = Context::to_ask(global, None)?;
    let done = block_on(context.client().set_paused(wanted))??;
    let said = match done {
        Paused {
            paused: true,
            changed: true,
        } => "paused: running jobs end, changes are written down, nothing is taken up",
        Paused {
            paused: true,
            changed: false,
        } => "paused already",
        Paused {
            paused: false,
            changed: true,
        } => "resumed",
        Paused {
            paused: false,
            changed: false,
        } => "not paused",
    };
    tell(args.json, &done, said)
}

pub(crate) fn resume(global: &Global, args: &ResumeArgs) -> anyhow::Result<u8> {
    if !args.over_budget {
        return pause(global, &VerbArgs { json: args.json }, false);
    }
    let context = Context::to_ask(global, None)?;
    let done = block_on(context.client().resume_over_budget())??;
    tell(args.json, &done, over_budget(&done))
}

/// What is lifted, a line for each, and what goes on.
fn over_budget(done: &OverBudget) -> String {
    let OverBudget { lifted, woken } = done;
    let mut said: String = lifted
        .iter()
        .map(|limit| format!("lifted: {}\n", escape(&limit.to_string())))
        .collect();
    if lifted.is_empty() {
        said.push_str("no budget holds jobs back; nothing to lift\n");
    }
    match woken {
        0 => {}
        1 => said.push_str("1 job goes on\n"),
        woken => said.push_str(&format!("{woken} jobs go on\n")),
    }
    said.truncate(said.trim_end().len());
    said
}

pub(crate) fn reload(global: &Global, args: &VerbArgs) -> anyhow::Result<u8> {
    let context = Context::of(global, None)?.where_watched(global, None)?;
    let done = block_on(context.client().reload())??;
    let Reloaded {
        applied,
        needs_restart,
    } = &done;
    let mut said = if applied.is_empty() {
        "nothing has changed that can be put in force".to_owned()
    } else {
        format!("in force: {}", applied.join(", "))
    };
    if !needs_restart.is_empty() {
        said += &format!(
            "\nafter a restart of the daemon: {}",
            needs_restart.join(", ")
        );
    }
    tell(args.json, &done, output::escape_text(&said))
}

pub(crate) fn stop(global: &Global, args: &VerbArgs) -> anyhow::Result<u8> {
    let context = Context::to_ask(global, None)?;
    let done = block_on(context.client().stop())??;
    let Stopping { pid, grace_ms } = done;
    let grace = duration(std::time::Duration::from_millis(grace_ms));
    let said = format!("pid {pid} stops; running calls may take up to {grace}");
    tell(args.json, &done, said)
}

fn patterns(context: &Context, paths: &[String]) -> Vec<testsmith_control::Pattern> {
    let paths = paths.iter();
    paths.map(|path| remote::pattern(context, path)).collect()
}

fn tell(
    json: bool,
    done: &impl serde::Serialize,
    said: impl std::fmt::Display,
) -> anyhow::Result<u8> {
    if json {
        output::json(done)?;
    } else {
        output::line(said)?;
    }
    Ok(exit::OK)
}
