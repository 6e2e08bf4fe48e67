//! `testsmith generate`.

mod beside;
mod handover;

use std::path::Path;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use testsmith_control::JobEnded;
use testsmith_daemon::{BUDGET_REASON, Mode, Preview, Progress, Selection, ServiceOptions, Totals};

use crate::args::{GenerateArgs, Global};
use crate::context::{Context, on_terminal};
use crate::output::{counted, duration, escape, escape_text};
use crate::{block_on, exit, output};

pub(crate) fn run(global: &Global, args: &GenerateArgs) -> anyhow::Result<u8> {
    let start = args.paths.first().map(|path| nearest_existing(path));
    let context = Context::of(global, start)?.where_watched(global, start)?;
    // Should no daemon be left to ask, this runs by them.
    let context = context.with_own_settings(global)?;
    context.warn();
    let selection = match &args.since {
        Some(revision) => Selection::Since(revision.clone()),
        None if args.all => Selection::All,
        None => Selection::Paths(args.paths.clone()),
    };
    let mode = match (args.dry_run, args.llm) {
        (false, _) => Mode::Write,
        (true, false) => Mode::Preview,
        (true, true) => Mode::PreviewAsking,
    };
    let by_daemon = match mode {
        Mode::Write => handover::run(global, args, &context, &selection)?,
        Mode::Preview | Mode::PreviewAsking => beside::run(global, args, &context, &selection)?,
    };
    if let Some(code) = by_daemon {
        return Ok(code);
    }
    let options = ServiceOptions {
        roots: vec![context.root],
        state_dir: context.state_dir,
        cache_dir: context.cache_dir,
        settings: context.loaded.settings,
        restores: true,
        prefers: args.prefer,
    };
    let mut screen = Screen::new(args.json, args.dry_run);
    let run =
        testsmith_daemon::generate(options, selection, mode, |progress| screen.show(progress));
    let totals = block_on(run)??;
    screen.finish(&totals)?;
    if global.verbose
        && let Some(cache) = totals.cache
    {
        output::line(cache)?;
    }
    Ok(code_of(&totals))
}

/// Whether all that was asked for is done.
fn code_of(totals: &Totals) -> u8 {
    if totals.failed > 0 || totals.waiting > 0 || totals.interrupted {
        exit::FAILED
    } else {
        exit::OK
    }
}

/// The project of a path that may not exist is told by the folder it would be in; that it does
/// not exist is told later, by its name.
fn nearest_existing(path: &Path) -> &Path {
    path.ancestors()
        .find(|path| !path.as_os_str().is_empty() && path.exists())
        .unwrap_or(Path::new("."))
}

/// The daemon has a working directory of its own.
fn absolute(selection: &Selection) -> anyhow::Result<Selection> {
    let Selection::Paths(paths) = selection else {
        return Ok(selection.clone());
    };
    let paths: Result<Vec<_>, _> = paths.iter().map(std::path::absolute).collect();
    Ok(Selection::Paths(paths?))
}

/// What is set for this command alone does not reach a daemon.
fn tell_whose_settings(global: &Global) {
    if global.config.is_some() || !global.set.is_empty() {
        output::note("the daemon's own settings hold; --set and --config are not used");
    }
}

/// How a run looks: a bar and a line for each file on a terminal, plain lines elsewhere, or JSON.
struct Screen {
    json: bool,
    dry_run: bool,
    bar: Option<ProgressBar>,
    hits: u64,
    calls: u64,
    tokens: u64,
    failure: Option<anyhow::Error>,
}

impl Screen {
    fn new(json: bool, dry_run: bool) -> Self {
        Self {
            json,
            dry_run,
            bar: None,
            hits: 0,
            calls: 0,
            tokens: 0,
            failure: None,
        }
    }

    fn show(&mut self, progress: Progress) {
        let shown = match progress {
            Progress::Begun { files } => {
                self.begin(files);
                Ok(())
            }
            Progress::Ended(report) => self.ended(&report.ended()),
            Progress::Previewed(preview) => self.previewed(&preview),
        };
        if let Err(error) = shown {
            self.failure.get_or_insert(error);
        }
    }

    fn begin(&mut self, files: usize) {
        if self.json || self.dry_run || !on_terminal() {
            return;
        }
        let bar = ProgressBar::new(files as u64);
        let template = "{bar:24} {pos}/{len} files  {msg}  {eta} left";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        self.bar = Some(bar);
    }

    fn ended(&mut self, ended: &JobEnded) -> anyhow::Result<()> {
        self.hits += ended.cache_hits;
        self.calls += ended.calls;
        self.tokens += ended.tokens_in.unwrap_or(0) + ended.tokens_out.unwrap_or(0);
        if self.json {
            return output::json(&as_json(ended));
        }
        let text = one_line(ended);
        let Some(bar) = &self.bar else {
            return output::line(text);
        };
        bar.suspend(|| output::line(text))?;
        bar.set_message(format!(
            "{}, {}, {}",
            counted(self.calls, "call"),
            counted(self.hits, "hit"),
            counted(self.tokens, "token")
        ));
        bar.inc(1);
        Ok(())
    }

    fn previewed(&mut self, preview: &Preview) -> anyhow::Result<()> {
        if self.json {
            return output::json(&json!({
                "path": preview.path,
                "test_path": preview.test_path,
                "diff": preview.diff,
                "to_ask": preview.to_ask,
                "outcome": preview.outcome,
                "reason": preview.reason,
            }));
        }
        output::raw(&escape_text(&preview.diff))?;
        if !preview.to_ask.is_empty() {
            let names: Vec<_> = preview
                .to_ask
                .iter()
                .map(|name| escape(name.as_str()))
                .collect();
            output::note(format_args!(
                "{}: would ask for {}",
                escape(preview.path.as_str()),
                names.join(", ")
            ));
        }
        if let Some(reason) = &preview.reason {
            output::note(format_args!(
                "{}: {}",
                escape(preview.path.as_str()),
                escape_text(reason)
            ));
        }
        Ok(())
    }

    fn finish(mut self, totals: &Totals) -> anyhow::Result<()> {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        if let Some(error) = self.failure {
            return Err(error);
        }
        let Totals {
            files,
            failed,
            waiting,
            requests,
            cache,
            interrupted,
        } = totals;
        if self.json {
            return output::json(&json!({
                "files": files,
                "failed": failed,
                "waiting": waiting,
                "requests": requests,
                "cache": cache,
                "interrupted": interrupted,
            }));
        }
        let interrupted = if *interrupted {
            ", interrupted: the rest waits in the queue"
        } else {
            ""
        };
        let waiting = match waiting {
            0 => String::new(),
            waiting => format!("  waiting for a budget: {waiting}"),
        };
        output::note(format_args!(
            "files: {files}  failed: {failed}{waiting}  requests to the model: \
             {requests}{interrupted}"
        ));
        Ok(())
    }
}

fn as_json(ended: &JobEnded) -> serde_json::Value {
    json!({
        "job_id": ended.job_id,
        "path": ended.path,
        "outcome": ended.outcome,
        "reason": ended.reason,
        "test_path": ended.test_path,
        "members": ended.members,
        "cache_hits": ended.cache_hits,
        "cache_misses": ended.cache_misses,
        "calls": ended.calls,
        "attempts": ended.attempts,
        "tokens_in": ended.tokens_in,
        "tokens_out": ended.tokens_out,
        "cost": ended.cost,
        "models": ended.models,
        "verified": ended.verified,
        "held_back": ended.held_back,
        "elapsed_ms": ended.elapsed_ms,
    })
}

fn one_line(ended: &JobEnded) -> String {
    let test_path = ended.test_path.as_ref();
    let test_path = test_path.map_or_else(String::new, |path| escape(path.as_str()));
    let written = blocks(ended.written.len());
    let nothing = String::new;
    let (mark, colour, what) = match &*ended.outcome {
        "written" => (
            "written",
            AnsiColor::Green,
            format!("{written} in {test_path}"),
        ),
        "proposed" => (
            "proposed",
            AnsiColor::Green,
            format!("{written} in {test_path}; see `testsmith review`"),
        ),
        "up_to_date" => ("fresh", AnsiColor::Green, nothing()),
        "removed" => ("removed", AnsiColor::Green, nothing()),
        "skipped" => ("skipped", AnsiColor::BrightBlack, nothing()),
        "waits_for_save" | "superseded" => ("waits", AnsiColor::Yellow, nothing()),
        "waiting" if waits_for_budget(ended) => ("waits", AnsiColor::Yellow, nothing()),
        "cancelled" => ("failed", AnsiColor::Red, "cancelled".to_owned()),
        _ => ("failed", AnsiColor::Red, nothing()),
    };
    let style = Style::new().fg_color(Some(colour.into()));
    let reason = ended.reason.as_deref().map(escape_text).unwrap_or_default();
    let held_back = ended.held_back.iter().map(|held| {
        format!(
            "`{}` {}",
            escape(held.member.as_str()),
            escape_text(&held.why)
        )
    });
    let unverified = if ended.unverified {
        "not verified: there is nothing to run it with, see `testsmith doctor`".to_owned()
    } else {
        String::new()
    };
    let again = ended.until.filter(|_| waits_for_budget(ended));
    let again = again.map(|until| format!("again in {}", duration(until.rest())));
    let detail = [what, reason, again.unwrap_or_default(), unverified]
        .into_iter()
        .chain(held_back)
        .filter(|text| !text.is_empty())
        .collect::<Vec<_>>();
    let detail = if detail.is_empty() {
        String::new()
    } else {
        format!("  {}", detail.join("; "))
    };
    let path = escape(ended.path.as_str());
    format!("{style}{mark:>8}{style:#}  {path}{detail}")
}

/// Whether a file was not asked for since a budget is used up: it has not failed.
fn waits_for_budget(ended: &JobEnded) -> bool {
    let reason = ended.reason.as_deref();
    ended.outcome == "waiting" && reason.is_some_and(|why| why.starts_with(BUDGET_REASON))
}

fn blocks(count: usize) -> String {
    counted(count as u64, "block")
}
