//! The jobs and the events.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use testsmith_control::{CallStage, Event, JobEnded, JobKind, OpenCall, Stamped, Timestamp};

use super::{Theme, titled};
use crate::commands::top::state::{Pane, Row, State};
use crate::commands::top::text::{age, clock, head, rest, short, tail, width};
use crate::output::{counted, escape};

/// Draws the jobs; gives how many there is room for.
pub(super) fn jobs(frame: &mut Frame<'_>, area: Rect, state: &State, theme: Theme) -> usize {
    let rows = state.rows();
    let queue = &state.status.queue;
    let all = queue.running + queue.pending + queue.waiting + queue.parked;
    let is_chosen = state.pane == Pane::Jobs;
    let several = rows.iter().any(|row| row.root != rows[0].root);
    let columns = usize::from(area.width);
    let lines = rows.iter().map(|row| {
        let said = note(row, state.now);
        let path = shown_path(row.root, row.path.as_str(), several);
        let since = short(age(state.now, row.since));
        let style = match row.kind {
            JobKind::Running => theme.active(),
            JobKind::Pending => Style::new(),
            JobKind::Waiting => theme.warning(),
            JobKind::Parked => theme.bad(),
        };
        let before = format!("{:<7} {since:>4}  ", row.kind.as_str());
        let room = columns.saturating_sub(width(&before));
        let (path, said) = shared(&path, &said, room);
        Line::from(vec![
            Span::styled(before, style),
            Span::raw(path),
            Span::raw(said),
        ])
    });
    let nothing = "nothing to do: save a source file, or testsmith generate --all";
    let (at, _) = state.selected();
    let title = format!("jobs {all}");
    list(frame, area, &title, lines, at, is_chosen, nothing)
}

/// Draws the events; gives how many there is room for.
pub(super) fn events(frame: &mut Frame<'_>, area: Rect, state: &State, theme: Theme) -> usize {
    let is_chosen = state.pane == Pane::Events;
    let columns = usize::from(area.width);
    let first = state.events.iter().find_map(|event| event.event.job());
    let several = first.is_some_and(|(_, root, _)| {
        let mut roots = state.events.iter().filter_map(|event| event.event.job());
        roots.any(|(_, other, _)| other != root)
    });
    let lines = state.events.iter().map(|Stamped { at, event }| {
        let (word, said, style) = told(event, theme);
        let time = format!("{}  ", clock(*at));
        let word = format!("{word:<10}  ");
        let room = columns.saturating_sub(width(&time) + width(&word));
        let path = event.job().map_or_else(String::new, |(_, root, path)| {
            shown_path(root, path.as_str(), several)
        });
        let (path, said) = shared(&path, &said, room);
        Line::from(vec![
            Span::styled(time, Theme::quiet()),
            Span::styled(word, style),
            Span::raw(path),
            Span::raw(said),
        ])
    });
    let (_, at) = state.selected();
    let title = "last events";
    list(frame, area, title, lines, at, is_chosen, "none yet")
}

/// Draws those lines of a list that are around the selected one; gives the height of a page.
fn list(
    frame: &mut Frame<'_>,
    area: Rect,
    title: &str,
    lines: impl Iterator<Item = Line<'static>>,
    selected: usize,
    is_chosen: bool,
    nothing: &str,
) -> usize {
    if area.height < 2 {
        return 0;
    }
    let block = titled(title, is_chosen);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let page = usize::from(inner.height);
    let skipped = (selected + 1).saturating_sub(page);
    let mut is_empty = true;
    for ((at, line), row) in lines.enumerate().skip(skipped).zip(inner.rows()) {
        is_empty = false;
        frame.render_widget(line, row);
        if is_chosen && at == selected {
            frame.buffer_mut().set_style(row, Theme::selected());
        }
    }
    if is_empty {
        let text = head(nothing, inner.width.into());
        frame.render_widget(Line::styled(text, Theme::quiet()), inner);
    }
    page
}

/// Path and remark in this room: the remark gives way first, the path keeps its end.
fn shared(path: &str, said: &str, room: usize) -> (String, String) {
    if said.is_empty() {
        return (tail(path, room), String::new());
    }
    let path = tail(path, room.saturating_sub((width(said) + 2).min(room / 2)));
    let gap = if path.is_empty() { "" } else { "  " };
    let rest = room.saturating_sub(width(&path) + gap.len());
    let said = format!("{gap}{}", head(said, rest));
    (path, said)
}

fn shown_path(root: &str, path: &str, with_root: bool) -> String {
    if with_root {
        let name = root.rsplit('/').next().unwrap_or(root);
        format!("{}/{}", escape(name), escape(path))
    } else {
        escape(path)
    }
}

/// What a job does or waits for.
fn note(row: &Row<'_>, now: Timestamp) -> String {
    let Some(job) = row.idle else {
        return match row.calls.as_slice() {
            [] => String::new(),
            [first, others @ ..] => {
                let more = match others.len() {
                    0 => String::new(),
                    count => format!(", and {count} more"),
                };
                format!("{}{more}", call(first, now))
            }
        };
    };
    let mut parts = Vec::new();
    if job.removed {
        parts.push("removed".to_owned());
    }
    if let Some(until) = job.until {
        parts.push(format!("again in {}", short(rest(now, until))));
    }
    if job.failures > 0 {
        parts.push(format!("failed {}×", job.failures));
    }
    if let Some(reason) = &job.reason {
        parts.push(escape(reason));
    }
    parts.join(", ")
}

fn call(call: &OpenCall, now: Timestamp) -> String {
    let since = short(age(now, call.since));
    let stage = match call.stage {
        CallStage::Queued => format!("call queued {since}"),
        CallStage::Sent => format!("call open {since}"),
        CallStage::BackingOff => format!("call failed {since} ago"),
        CallStage::Unknown => format!("call {since}"),
    };
    format!("{stage}, attempt {}", call.attempt)
}

/// An event's name, what it says, and how it looks.
fn told(event: &Event, theme: Theme) -> (String, String, Style) {
    let plain = |word: &str, said: &str, style| (word.to_owned(), said.to_owned(), style);
    match event {
        Event::Queued { .. } => plain("queued", "", Theme::quiet()),
        Event::Started { .. } => plain("started", "", theme.active()),
        Event::Cancelled { .. } => plain("cancelled", "", Style::new()),
        Event::Ended(ended) => {
            let style = if ended.failed {
                theme.bad()
            } else if ended.outcome == "written" {
                theme.good()
            } else {
                Style::new()
            };
            (escape(&ended.outcome), result(ended), style)
        }
        Event::Paused => plain("paused", "nothing is taken up", theme.warning()),
        Event::Resumed => plain("resumed", "", theme.good()),
        Event::Stopping => plain("stopping", "the daemon ends", theme.warning()),
        Event::Lagged { missed } => {
            let said = format!("{} lost: too fast to be shown", counted(*missed, "event"));
            ("…".to_owned(), said, Theme::quiet())
        }
        Event::Unknown => plain("?", "", Theme::quiet()),
    }
}

fn result(ended: &JobEnded) -> String {
    let mut parts = Vec::new();
    if let Some(reason) = &ended.reason {
        parts.push(escape(reason));
    }
    if !ended.written.is_empty() {
        parts.push(format!("{} tests", ended.written.len()));
    }
    if !ended.held_back.is_empty() {
        parts.push(format!("{} held back", ended.held_back.len()));
    }
    if ended.attempts > 0 {
        let requests = if ended.attempts == 1 {
            "request"
        } else {
            "requests"
        };
        parts.push(format!("{} {requests}", ended.attempts));
    }
    parts.push(format!("{} ms", ended.elapsed_ms));
    parts.join(", ")
}
