//! Keys and what they mean.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// What the user wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// End it, wherever one is.
    Quit,
    /// Close what is on top, or end it.
    Back,
    /// One up or down.
    Up,
    Down,
    PageUp,
    PageDown,
    First,
    Last,
    /// To the other list.
    Switch,
    /// The story of the selected file.
    Open,
    /// The selected job again, or all that wait.
    Retry,
    RetryAll,
    /// Pause the daemon, or end its pause.
    Pause,
    Help,
    /// Draw everything anew.
    Redraw,
    /// Stop, as a shell's job.
    Suspend,
}

/// The keys, for the help.
pub(crate) const KEYS: [(&str, &str); 11] = [
    ("↑ ↓ k j", "select, or scroll"),
    ("PgUp PgDn", "a page"),
    ("Home End g G", "first, last"),
    ("Tab", "jobs or events"),
    ("Enter", "every decision on the selected file"),
    ("r", "try the selected job again now"),
    ("R", "try all waiting and parked jobs again now"),
    ("p", "pause the daemon, or end its pause"),
    ("?", "this help"),
    ("Ctrl-L", "draw everything anew"),
    ("q Esc Ctrl-C", "back, quit"),
];

pub(crate) fn action(key: &KeyEvent) -> Option<Action> {
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        return match key.code {
            KeyCode::Char('c') => Some(Action::Quit),
            KeyCode::Char('l') => Some(Action::Redraw),
            KeyCode::Char('z') => Some(Action::Suspend),
            _ => None,
        };
    }
    if key.modifiers.contains(KeyModifiers::ALT) {
        return None;
    }
    Some(match key.code {
        KeyCode::Char('q') | KeyCode::Esc => Action::Back,
        KeyCode::Up | KeyCode::Char('k') => Action::Up,
        KeyCode::Down | KeyCode::Char('j') => Action::Down,
        KeyCode::PageUp => Action::PageUp,
        KeyCode::PageDown | KeyCode::Char(' ') => Action::PageDown,
        KeyCode::Home | KeyCode::Char('g') => Action::First,
        KeyCode::End | KeyCode::Char('G') => Action::Last,
        KeyCode::Tab | KeyCode::BackTab | KeyCode::Left | KeyCode::Right => Action::Switch,
        KeyCode::Enter => Action::Open,
        KeyCode::Char('r') => Action::Retry,
        KeyCode::Char('R') => Action::RetryAll,
        KeyCode::Char('p') => Action::Pause,
        KeyCode::Char('?' | 'h') | KeyCode::F(1) => Action::Help,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_mean_what_the_help_says() {
        let plain = |code| action(&KeyEvent::new(code, KeyModifiers::NONE));
        let control = |c| action(&KeyEvent::new(KeyCode::Char(c), KeyModifiers::CONTROL));
        assert_eq!(plain(KeyCode::Char('q')), Some(Action::Back));
        assert_eq!(plain(KeyCode::Esc), Some(Action::Back));
        assert_eq!(control('c'), Some(Action::Quit));
        assert_eq!(control('p'), None, "a control key is no plain one");
        assert_eq!(plain(KeyCode::Char('p')), Some(Action::Pause));
        assert_eq!(plain(KeyCode::Char('r')), Some(Action::Retry));
        assert_eq!(
            action(&KeyEvent::new(KeyCode::Char('R'), KeyModifiers::SHIFT)),
            Some(Action::RetryAll)
        );
        assert_eq!(plain(KeyCode::Enter), Some(Action::Open));
        assert_eq!(plain(KeyCode::Char('?')), Some(Action::Help));
        assert_eq!(plain(KeyCode::Char('x')), None);
    }
}
