//! The upper part: is it working, is it stuck, what does it cost.

use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Sparkline, SparklineBar};
use testsmith_control::{DaemonInfo, Health, LastError, Status};

use super::Theme;
use crate::commands::top::history::percent;
use crate::commands::top::state::State;
use crate::commands::top::text::{age, clock, cost_shown, cost_today, head, rest, short, width};
use crate::output::{duration, escape};

/// As many lines as there is room for, the most telling first.
pub(super) fn lines(state: &State, area: Rect, theme: Theme) -> Vec<Line<'static>> {
    let columns = usize::from(area.width);
    let mut lines = vec![headline(state, columns, theme), queue(state, theme)];
    if area.height >= 9 {
        lines.push(Line::raw(calls(state)));
    }
    if area.height >= 14 {
        lines.push(model(state, theme));
        lines.push(Line::raw(cache(&state.status)));
    }
    if let Some(warning) = state.status.warnings.first()
        && area.height >= 12
        && state.lost.is_none()
    {
        let more = match state.status.warnings.len() {
            0 | 1 => String::new(),
            count => format!(" (1 of {count}: testsmith status)"),
        };
        let text = format!(
            "! {} → {}{more}",
            escape(&warning.message),
            escape(&warning.remedy)
        );
        lines.push(Line::styled(head(&text, columns), theme.warning()));
    }
    lines
}

fn headline(state: &State, columns: usize, theme: Theme) -> Line<'static> {
    let status = &state.status;
    if let Some((since, why)) = &state.lost {
        let gone = short(age(state.now, *since));
        let text = format!(
            "no daemon for {gone}; looking for it each second. {}",
            escape(why)
        );
        return Line::styled(head(&text, columns), theme.bad());
    }
    let (style, word) = match status.health {
        Health::Healthy => (theme.good(), "healthy"),
        Health::Degraded => (theme.warning(), "degraded"),
        Health::NotRunning => (theme.bad(), "not running"),
    };
    let daemon = status.daemon.as_ref();
    let state_word = daemon.map_or("", |daemon| match (daemon.stopping, daemon.paused) {
        (true, _) => ", stopping",
        (false, true) => ", paused",
        (false, false) => "",
    });
    let up = daemon.map_or_else(String::new, |daemon| {
        let up = duration(Duration::from_millis(daemon.uptime_ms));
        format!(" · up {up} · pid {}", daemon.pid)
    });
    let clock = clock(state.now);
    let left = format!("testsmith {} · ", escape(&status.version));
    let used = width(&left) + word.len() + state_word.len() + width(&up);
    let gap = columns.saturating_sub(used + clock.len());
    let mut spans = vec![
        Span::raw(left),
        Span::styled(word, style),
        Span::styled(state_word, theme.warning()),
        Span::raw(up),
    ];
    if gap > 0 {
        spans.push(Span::raw(" ".repeat(gap)));
        spans.push(Span::styled(clock, Theme::quiet()));
    }
    Line::from(spans)
}

fn queue(state: &State, theme: Theme) -> Line<'static> {
    let queue = &state.status.queue;
    let counted = |count: u64, word: &str, style: Style| {
        let style = if count > 0 { style } else { Theme::quiet() };
        Span::styled(format!("  {count} {word}"), style)
    };
    let mut spans = vec![
        Span::raw("queue"),
        counted(queue.running, "running", theme.active()),
        counted(queue.pending, "pending", Style::new()),
        counted(queue.waiting, "waiting", theme.warning()),
        counted(queue.parked, "parked", theme.bad()),
    ];
    if let Some(oldest) = &queue.oldest {
        let oldest = short(age(state.now, oldest.enqueued));
        spans.push(Span::raw(format!("  oldest {oldest}")));
    }
    Line::from(spans)
}

fn calls(state: &State) -> String {
    let status = &state.status;
    let open = status.daemon.as_ref().map_or_else(
        || "?".to_owned(),
        |daemon| format!("{} of {} open", daemon.calls.open, daemon.calls.permits),
    );
    let spent = status.spent.as_ref().map_or_else(String::new, |spent| {
        format!(
            "  {} requests  {} sent again  {} tokens in  {} out",
            spent.requests, spent.retries, spent.tokens_in, spent.tokens_out
        )
    });
    format!("calls  {open}{spent}")
}

fn model(state: &State, theme: Theme) -> Line<'static> {
    let Some(DaemonInfo { provider, .. }) = &state.status.daemon else {
        return Line::raw("model  ?");
    };
    let mut spans = vec![Span::raw("model  ")];
    if let Some(until) = provider.held_until {
        let held = short(rest(state.now, until));
        spans.push(Span::styled(format!("held for {held}; "), theme.warning()));
    }
    match (&provider.last_error, provider.last_answer) {
        (Some(LastError { at, message }), _) => {
            let ago = short(age(state.now, *at));
            let text = format!("failed {ago} ago: {}", escape(message));
            spans.push(Span::styled(text, theme.bad()));
        }
        (None, answer) => {
            if let Some(at) = answer {
                let ago = short(age(state.now, at));
                spans.push(Span::raw(format!("answered {ago} ago; ")));
            }
            spans.push(Span::raw(escape(&provider.description)));
        }
    }
    Line::from(spans)
}

fn cache(status: &Status) -> String {
    let Some(cache) = &status.cache else {
        return "cache  none: no model".to_owned();
    };
    let rate = percent(cache.hits, cache.hits + cache.misses);
    let rate = rate.map_or_else(String::new, |rate| format!(" ({rate} %)"));
    let mut text = format!(
        "cache  {} hits{rate}  {} misses  {} entries",
        cache.hits, cache.misses, cache.entries
    );
    text.push_str(&format!("  today {}", cost_shown(status)));
    if let Some(usage) = &status.usage {
        let fullest = usage.budgets.iter().max_by_key(|budget| budget.percent());
        if let Some(budget) = fullest {
            let window = escape(&budget.window);
            text.push_str(&format!(", {} % of the {window}'s", budget.percent()));
            text.push_str(&format!(" {}", escape(&budget.measure)));
        }
    }
    text
}

/// Throughput, hit rate and cost over the last minutes.
pub(super) fn curves(frame: &mut Frame<'_>, area: Rect, state: &State, theme: Theme) {
    let thirds = [Constraint::Fill(1); 3];
    let [left, middle, right] = Layout::horizontal(thirds).spacing(2).areas(area);
    let history = &state.history;
    let wide = |area: Rect| usize::from(area.width);
    let jobs = history.jobs(wide(left)).into_iter().map(Some).collect();
    let label = format!("jobs {}/min", history.jobs_per_minute());
    curve(frame, left, &label, jobs, None, theme);
    let rates = history.hit_rates(wide(middle));
    let recent = rates.iter().rev().copied().find(Option::is_some).flatten();
    let label = recent.map_or_else(
        || "hit rate ?".to_owned(),
        |rate| format!("hit rate {rate} %"),
    );
    curve(frame, middle, &label, rates, Some(100), theme);
    let known = cost_today(&state.status).is_some();
    let costs = history.costs(wide(right)).into_iter();
    let costs = costs.map(|cost| known.then_some(cost)).collect();
    let label = format!("cost {} today", cost_shown(&state.status));
    curve(frame, right, &label, costs, None, theme);
}

/// One curve below its label, the newest column at the right edge.
fn curve(
    frame: &mut Frame<'_>,
    area: Rect,
    label: &str,
    data: Vec<Option<u64>>,
    most: Option<u64>,
    theme: Theme,
) {
    let [title, graph] = Layout::vertical([Constraint::Length(1), Constraint::Min(0)]).areas(area);
    let columns = usize::from(area.width);
    frame.render_widget(Line::styled(head(label, columns), Theme::quiet()), title);
    let missing = columns.saturating_sub(data.len());
    let empty = std::iter::repeat_n(None, missing);
    let bars: Vec<SparklineBar> = empty.chain(data).map(SparklineBar::from).collect();
    let mut curve = Sparkline::default().data(bars).style(theme.active());
    if let Some(most) = most {
        curve = curve.max(most);
    }
    frame.render_widget(curve, graph);
}
