//! The screen as a picture of the state. No colour of its own for the background: what the
//! terminal has is right for its user.

mod figures;
mod lists;
mod overlay;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders};

use super::state::{Overlay, Pane, Seen, State};
use super::text::{head, width};

/// The least that anything can be shown in.
const LEAST: (u16, u16) = (20, 4);

/// How emphasis looks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Theme {
    /// Whether colours may be used.
    colour: bool,
}

impl Theme {
    /// As the user wants it: see <https://no-color.org>.
    pub(crate) fn from_environment() -> Self {
        let no_color = std::env::var_os("NO_COLOR");
        Self {
            colour: no_color.is_none_or(|value| value.is_empty()),
        }
    }

    #[cfg(test)]
    pub(crate) const fn plain() -> Self {
        Self { colour: false }
    }

    #[cfg(test)]
    pub(crate) const fn coloured() -> Self {
        Self { colour: true }
    }

    fn coloured_in(self, colour: Color) -> Style {
        if self.colour {
            Style::new().fg(colour)
        } else {
            Style::new()
        }
    }

    fn good(self) -> Style {
        self.coloured_in(Color::Green)
    }

    fn active(self) -> Style {
        self.coloured_in(Color::Cyan)
    }

    fn warning(self) -> Style {
        self.coloured_in(Color::Yellow).add_modifier(Modifier::BOLD)
    }

    fn bad(self) -> Style {
        self.coloured_in(Color::Red).add_modifier(Modifier::BOLD)
    }

    fn quiet() -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    fn strong() -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    fn selected() -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }
}

/// Draws everything.
pub(crate) fn draw(frame: &mut Frame<'_>, state: &State, theme: Theme) -> Seen {
    let area = frame.area();
    if area.width < LEAST.0 || area.height < LEAST.1 {
        frame.render_widget(Line::raw(head("too small", area.width.into())), area);
        return Seen::default();
    }
    let [body, footer] = areas(area, [Constraint::Min(0), Constraint::Length(1)]);
    frame.render_widget(foot(state, area.width, theme), footer);
    match &state.overlay {
        None => main(frame, body, state, theme),
        Some(Overlay::Help) => overlay::help(frame, body, theme),
        Some(Overlay::Story {
            query,
            story,
            scroll,
        }) => overlay::story(frame, body, query, story.as_deref(), *scroll),
    }
}

/// Figures above, lists below.
fn main(frame: &mut Frame<'_>, area: Rect, state: &State, theme: Theme) -> Seen {
    let lines = figures::lines(state, area, theme);
    let curves = if area.height >= 18 { 3 } else { 0 };
    let events = match area.height {
        14.. => (area.height - 8) / 3 + 1,
        // One list is better than two that show nothing.
        _ if state.pane == Pane::Events => area.height,
        _ => 0,
    };
    let figures = u16::try_from(lines.len()).unwrap_or(0);
    let [top, graph, rest] = areas(
        area,
        [
            Constraint::Length(figures),
            Constraint::Length(curves),
            Constraint::Min(0),
        ],
    );
    for (line, row) in lines.into_iter().zip(top.rows()) {
        frame.render_widget(line, row);
    }
    if curves > 0 {
        figures::curves(frame, graph, state, theme);
    }
    let events = events.min(rest.height);
    let [jobs, last] = areas(rest, [Constraint::Min(0), Constraint::Length(events)]);
    let jobs_page = lists::jobs(frame, jobs, state, theme);
    let events_page = lists::events(frame, last, state, theme);
    Seen {
        page: match state.pane {
            Pane::Jobs => jobs_page,
            Pane::Events => events_page,
        },
        most_scroll: 0,
    }
}

/// What was said last, or the keys.
fn foot(state: &State, columns: u16, theme: Theme) -> Line<'static> {
    let columns = usize::from(columns);
    if let Some(said) = state.said() {
        let said = crate::output::escape(said);
        return Line::styled(head(&said, columns), theme.active());
    }
    let paused = state.status.daemon.as_ref().is_some_and(|d| d.paused);
    let pause = if paused { "resume" } else { "pause" };
    let keys = match &state.overlay {
        None => vec![
            ("q", "quit"),
            ("?", "help"),
            ("p", pause),
            ("r", "retry"),
            ("R", "retry all"),
            ("Enter", "details"),
            ("Tab", "other list"),
        ],
        Some(Overlay::Help) => vec![("q", "back")],
        Some(Overlay::Story { .. }) => vec![("q", "back"), ("↑↓", "scroll"), ("r", "retry")],
    };
    let mut spans = Vec::new();
    let mut used = 0;
    for (key, what) in keys {
        used += width(key) + width(what) + 3;
        if used > columns + 2 {
            break;
        }
        spans.push(Span::styled(key, Theme::strong()));
        spans.push(Span::styled(format!(" {what}  "), Theme::quiet()));
    }
    Line::from(spans)
}

/// A list's title on a rule.
fn titled(title: &str, is_chosen: bool) -> Block<'static> {
    let style = if is_chosen {
        Theme::strong()
    } else {
        Style::new()
    };
    Block::new()
        .borders(Borders::TOP)
        .border_style(Theme::quiet())
        .title(Span::styled(format!(" {title} "), style))
}

fn areas<const N: usize>(area: Rect, parts: [Constraint; N]) -> [Rect; N] {
    Layout::vertical(parts).areas(area)
}

#[cfg(test)]
mod tests;
