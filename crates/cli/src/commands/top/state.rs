//! What is on the screen: what came from the daemon, and what the user chose.

use std::collections::VecDeque;
use std::time::Duration;

use testsmith_control::{
    Event, FileQuery, FileRequest, FileStory, JobInfo, JobKind, OpenCall, Stamped, Status,
    Timestamp,
};
use testsmith_domain::RelPath;

use super::feed::{Ask, Update};
use super::history::History;
use super::input::Action;
use super::text::age;

/// Events that are kept.
const EVENTS: usize = 200;

/// How long it is told what became of an order.
const SAID_FOR: Duration = Duration::from_secs(10);

/// Everything that is drawn.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) now: Timestamp,
    /// Since when the daemon does not answer, and why.
    pub(crate) lost: Option<(Timestamp, String)>,
    pub(crate) status: Status,
    /// Those that do not run.
    idle: Vec<JobInfo>,
    /// What happened, the newest first.
    pub(crate) events: VecDeque<Stamped>,
    pub(crate) history: History,
    pub(crate) pane: Pane,
    /// The selected job. What moves in the list takes the selection along.
    job: Cursor<u64>,
    /// The selected event, by its moment.
    event: Cursor<Timestamp>,
    pub(crate) overlay: Option<Overlay>,
    /// What became of the last order, and since when it is shown.
    said: Option<(Timestamp, String)>,
    /// What was drawn last: pages have its height.
    pub(crate) seen: Seen,
}

/// A list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pane {
    Jobs,
    Events,
}

/// What lies over the lists.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Overlay {
    Help,
    /// A file's story, once it is there; and how far it is scrolled.
    Story {
        query: FileQuery,
        story: Option<Box<FileStory>>,
        scroll: usize,
    },
}

/// What the last picture had room for.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Seen {
    /// Lines of a page.
    pub(crate) page: usize,
    /// The most that a story can be scrolled.
    pub(crate) most_scroll: usize,
}

/// What the loop is to do.
#[derive(Debug, PartialEq)]
pub(crate) enum Order {
    Quit,
    Ask(Ask),
}

/// One job in the list.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row<'a> {
    pub(crate) id: u64,
    pub(crate) root: &'a str,
    pub(crate) path: &'a RelPath,
    pub(crate) kind: JobKind,
    pub(crate) since: Timestamp,
    /// What is known of it while it does not run.
    pub(crate) idle: Option<&'a JobInfo>,
    /// Its requests to the model.
    pub(crate) calls: Vec<&'a OpenCall>,
}

/// A place in a list that changes.
#[derive(Debug, Clone, Copy)]
struct Cursor<K> {
    at: usize,
    key: Option<K>,
}

impl<K: PartialEq + Copy> Cursor<K> {
    const TOP: Self = Self { at: 0, key: None };

    /// Where it is in the list as it is now.
    fn place(&self, keys: &[K]) -> usize {
        let same = |key: &K| self.key == Some(*key);
        let last = keys.len().saturating_sub(1);
        keys.iter().position(same).unwrap_or(self.at).min(last)
    }

    fn set(&mut self, at: usize, keys: &[K]) {
        self.at = at.min(keys.len().saturating_sub(1));
        self.key = keys.get(self.at).copied();
    }
}

impl State {
    pub(crate) fn new(status: Status, now: Timestamp) -> Self {
        let mut history = History::new(now);
        history.count(&status);
        let ended = status.last.iter().map(|ended| Stamped {
            at: ended.ended,
            event: Event::Ended(Box::new(ended.clone())),
        });
        Self {
            now,
            lost: None,
            events: ended.collect(),
            status,
            idle: Vec::new(),
            history,
            pane: Pane::Jobs,
            job: Cursor::TOP,
            event: Cursor::TOP,
            overlay: None,
            said: None,
            seen: Seen::default(),
        }
    }

    /// Takes something new in.
    pub(crate) fn apply(&mut self, update: Update) -> Option<Order> {
        self.history.advance(self.now);
        match update {
            Update::Status(status) => {
                self.lost = None;
                self.history.count(&status);
                self.status = *status;
            }
            Update::Jobs(jobs) => self.idle = jobs,
            Update::Lost(why) => {
                let since = self.lost.take().map_or(self.now, |(since, _)| since);
                self.lost = Some((since, why));
            }
            Update::Story(story) => self.told(story),
            Update::Said(text) => {
                if let Some(Overlay::Story { story: None, .. }) = self.overlay {
                    self.overlay = None;
                }
                self.said = Some((self.now, text));
            }
            Update::Event(event) => return self.happened(*event),
        }
        None
    }

    fn told(&mut self, new: Box<FileStory>) {
        if let Some(Overlay::Story { query, story, .. }) = &mut self.overlay
            && query.path == new.path
        {
            *story = Some(new);
        }
    }

    /// Keeps an event. Asks for the open story anew if that has grown.
    fn happened(&mut self, stamped: Stamped) -> Option<Order> {
        let mut order = None;
        if let Event::Ended(ended) = &stamped.event {
            self.history.job_ended();
            if let Some(Overlay::Story { query, .. }) = &self.overlay
                && query.path == ended.path
            {
                order = Some(Order::Ask(Ask::Story(query.clone())));
            }
        }
        self.events.push_front(stamped);
        self.events.truncate(EVENTS);
        order
    }

    /// The jobs, those that run first, then those that wait or are parked, then the rest.
    pub(crate) fn rows(&self) -> Vec<Row<'_>> {
        let daemon = self.status.daemon.as_ref();
        let (running, calls): (&[_], &[_]) =
            daemon.map_or((&[], &[]), |daemon| (&daemon.running, &daemon.open_calls));
        let mut rows: Vec<Row<'_>> = running
            .iter()
            .map(|job| Row {
                id: job.job_id,
                root: &job.root,
                path: &job.path,
                kind: JobKind::Running,
                since: job.since,
                idle: None,
                calls: calls.iter().filter(|c| c.job_id == job.job_id).collect(),
            })
            .collect();
        let runs = |id| running.iter().any(|job| job.job_id == id);
        let idle = self.idle.iter().filter(|job| !runs(job.job_id));
        rows.extend(idle.map(|job| Row {
            id: job.job_id,
            root: &job.root,
            path: &job.path,
            kind: job.state,
            since: job.enqueued,
            idle: Some(job),
            calls: Vec::new(),
        }));
        rows
    }

    /// What became of the last order, for as long as that is news.
    pub(crate) fn said(&self) -> Option<&str> {
        let (since, text) = self.said.as_ref()?;
        (age(self.now, *since) < SAID_FOR).then_some(text)
    }

    /// The place of the selected job and event.
    pub(crate) fn selected(&self) -> (usize, usize) {
        let (jobs, events) = self.keys();
        (self.job.place(&jobs), self.event.place(&events))
    }

    fn keys(&self) -> (Vec<u64>, Vec<Timestamp>) {
        let jobs = self.rows().iter().map(|row| row.id).collect();
        (jobs, self.events.iter().map(|event| event.at).collect())
    }

    /// The selected file, and its job.
    fn chosen(&self) -> Option<(u64, FileQuery)> {
        let (job, event) = self.selected();
        let (id, root, path) = match self.pane {
            Pane::Jobs => {
                let row = self.rows().into_iter().nth(job)?;
                (row.id, row.root, row.path)
            }
            Pane::Events => self.events.get(event)?.event.job()?,
        };
        let query = FileQuery {
            root: Some(root.into()),
            path: path.clone(),
        };
        Some((id, query))
    }

    /// Does what the user wants.
    pub(crate) fn act(&mut self, action: Action) -> Option<Order> {
        self.said = None;
        match action {
            Action::Quit => return Some(Order::Quit),
            Action::Back => {
                if self.overlay.take().is_none() {
                    return Some(Order::Quit);
                }
            }
            Action::Help => {
                let is_open = self.overlay == Some(Overlay::Help);
                self.overlay = (!is_open).then_some(Overlay::Help);
            }
            Action::Switch => {
                self.pane = match self.pane {
                    Pane::Jobs => Pane::Events,
                    Pane::Events => Pane::Jobs,
                };
            }
            Action::Open => return self.open(),
            Action::Retry => return self.retry(),
            Action::RetryAll => {
                return Some(Order::Ask(Ask::Retry(FileRequest::default())));
            }
            Action::Pause => {
                let daemon = self.status.daemon.as_ref();
                let paused = daemon.is_some_and(|daemon| daemon.paused);
                return Some(Order::Ask(Ask::SetPaused(!paused)));
            }
            Action::Up => self.step(|at| at.saturating_sub(1)),
            Action::Down => self.step(|at| at.saturating_add(1)),
            Action::PageUp => {
                let page = self.seen.page;
                self.step(|at| at.saturating_sub(page));
            }
            Action::PageDown => {
                let page = self.seen.page;
                self.step(|at| at.saturating_add(page));
            }
            Action::First => self.step(|_| 0),
            Action::Last => self.step(|_| usize::MAX),
            // The loop's own.
            Action::Redraw | Action::Suspend => {}
        }
        None
    }

    fn open(&mut self) -> Option<Order> {
        if self.overlay.is_some() {
            return None;
        }
        let Some((_, query)) = self.chosen() else {
            self.said = Some((self.now, "no file is selected".to_owned()));
            return None;
        };
        self.overlay = Some(Overlay::Story {
            query: query.clone(),
            story: None,
            scroll: 0,
        });
        Some(Order::Ask(Ask::Story(query)))
    }

    fn retry(&mut self) -> Option<Order> {
        let open = match &self.overlay {
            Some(Overlay::Story { story, .. }) => {
                let job = story.as_ref().and_then(|story| story.job.as_ref());
                job.map(|job| job.job_id)
            }
            _ => self.chosen().map(|(id, _)| id),
        };
        let Some(id) = open else {
            self.said = Some((self.now, "no job is selected".to_owned()));
            return None;
        };
        Some(Order::Ask(Ask::Retry(FileRequest {
            paths: Vec::new(),
            job_id: Some(id),
        })))
    }

    /// Moves the selection, or scrolls what lies over it.
    fn step(&mut self, to: impl FnOnce(usize) -> usize) {
        if let Some(overlay) = &mut self.overlay {
            if let Overlay::Story { scroll, .. } = overlay {
                *scroll = to(*scroll).min(self.seen.most_scroll);
            }
            return;
        }
        let (jobs, events) = self.keys();
        match self.pane {
            Pane::Jobs => self.job.set(to(self.job.place(&jobs)), &jobs),
            Pane::Events => self.event.set(to(self.event.place(&events)), &events),
        }
    }
}
