//! What lies over the lists: the help, and a file's story.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use testsmith_control::{FileQuery, FileStory};

use super::{Theme, titled};
use crate::commands::explain;
use crate::commands::top::history::STEP;
use crate::commands::top::input::KEYS;
use crate::commands::top::state::Seen;
use crate::commands::top::text::{tail, wrapped};
use crate::output::escape;

/// The keys, and what the curves are.
pub(super) fn help(frame: &mut Frame<'_>, area: Rect, theme: Theme) -> Seen {
    let block = titled("help", true);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let mut lines: Vec<Line<'_>> = KEYS
        .iter()
        .map(|(key, what)| {
            Line::from(vec![
                Span::styled(format!("{key:<14}"), theme.active()),
                Span::raw(*what),
            ])
        })
        .collect();
    lines.push(Line::raw(""));
    let step = STEP.as_secs();
    for text in [
        format!("A column of a curve is {step} s; the newest is at the right."),
        "`?` stands for what is not known: a model without a price.".to_owned(),
        "Times of day are UTC.".to_owned(),
    ] {
        let text = wrapped(&[text], inner.width.into());
        lines.extend(text.into_iter().map(Line::raw));
    }
    for (line, row) in lines.into_iter().zip(inner.rows()) {
        frame.render_widget(line, row);
    }
    Seen::default()
}

/// Every decision on a file, as `explain` tells it.
pub(super) fn story(
    frame: &mut Frame<'_>,
    area: Rect,
    query: &FileQuery,
    story: Option<&FileStory>,
    scroll: usize,
) -> Seen {
    let columns = usize::from(area.width);
    let path = tail(&escape(query.path.as_str()), columns.saturating_sub(2));
    let block = titled(&path, true);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let lines = story.map_or_else(
        || vec!["asking the daemon …".to_owned()],
        |story| explain::lines(story, None),
    );
    let lines = wrapped(&lines, inner.width.into());
    let page = usize::from(inner.height);
    let most_scroll = lines.len().saturating_sub(page);
    let shown = lines.into_iter().skip(scroll.min(most_scroll));
    for (line, row) in shown.zip(inner.rows()) {
        frame.render_widget(Line::raw(line), row);
    }
    Seen { page, most_scroll }
}
