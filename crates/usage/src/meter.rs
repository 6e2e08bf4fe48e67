//! The meter: sets aside, writes down, and says when to stop.

mod limits;
mod reservation;
mod standing;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use testsmith_domain::{
    BoxFuture, ModelIdentity, OutOfBudget, PlannedRequest, RequestMeter, Reservation,
};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::book::{Book, Entry, Origin};
use crate::budget::{BudgetLimits, Limit, Window};
use crate::calendar::Day;
use crate::figures::Figures;
use crate::journal::{self, Journal, Line, Marks, OpenNote, UsageError};
use crate::money::{Price, Tokens};
use crate::prices::PriceTable;
use reservation::Held;
pub use standing::{Standing, Used};

/// The share of a budget at which the user is warned, in percent.
const WARN_AT: u64 = 80;

/// While the disk is unwilling, it is tried again this often.
const RETRY_DISK: Duration = Duration::from_secs(30);

tokio::task_local! {
    static SCOPE: Scope;
}

/// What requests are made for, and what they came to so far.
#[derive(Debug, Clone)]
struct Scope {
    origin: Origin,
    spent: Tally,
}

/// Shared by a scope and the requests that are open in it.
type Tally = Arc<Mutex<Figures>>;

/// Puts the requests that `work` makes down to `origin`, and gives what they came to. As with
/// tracing's spans, it holds for what is polled within, not for tasks that are started there.
pub async fn attribute<F: Future>(origin: Origin, work: F) -> (F::Output, Figures) {
    let spent = Tally::default();
    let scope = Scope {
        origin,
        spent: Arc::clone(&spent),
    };
    let output = SCOPE.scope(scope, work).await;
    let spent = *spent.lock().unwrap_or_else(PoisonError::into_inner);
    (output, spent)
}

/// What the meter goes by.
#[derive(Debug, Clone, Default)]
pub struct UsageSettings {
    /// What may be spent.
    pub limits: BudgetLimits,
    /// What models cost.
    pub prices: PriceTable,
}

/// Tells the time of day.
type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// Counts requests and what they cost, and keeps them to the budgets. Cheap to share.
#[derive(Clone)]
pub struct UsageMeter {
    shared: Arc<Shared>,
}

struct Shared {
    clock: Clock,
    state: Mutex<State>,
    /// Something was given back or settled: what waits may fit now.
    room: Notify,
    /// Something was written.
    written: Notify,
    /// A budget has become used up.
    blocked: Notify,
}

#[derive(Default)]
struct State {
    settings: UsageSettings,
    book: Book,
    marks: Marks,
    /// What is set aside, with the most it can come to.
    open: BTreeMap<u64, Open>,
    next_id: u64,
    /// Limits that had no room for a request, with what it was for.
    blocked: BTreeMap<Limit, BTreeSet<Origin>>,
    /// Limits of which this process said that they are used up.
    told: BTreeSet<Limit>,
    journal: Option<Journal>,
    /// Whether the log holds what the disk may not.
    dirty: bool,
    retry_disk_at: Option<Instant>,
}

#[derive(Debug)]
struct Open {
    entry: Entry,
    sent: bool,
}

/// What the user is to be told, once the state is not locked any more.
enum Notice {
    Warned { limit: Limit, used: u64 },
    UsedUp(String),
    DiskFailed(std::io::Error),
}

impl UsageMeter {
    /// A meter that keeps everything in memory, until [`UsageMeter::open`].
    pub fn new(settings: UsageSettings) -> Self {
        Self::with_clock(settings, Arc::new(SystemTime::now))
    }

    fn with_clock(settings: UsageSettings, clock: Clock) -> Self {
        let state = State {
            settings,
            ..State::default()
        };
        Self {
            shared: Arc::new(Shared {
                clock,
                state: Mutex::new(state),
                room: Notify::new(),
                written: Notify::new(),
                blocked: Notify::new(),
            }),
        }
    }

    /// Reads what earlier processes used, and keeps what this one uses there as well. Blocks on
    /// the disk. The caller holds the state's lock.
    pub fn open(&self, dir: &Path) -> Result<Vec<OpenNote>, UsageError> {
        let mut loaded = journal::open(dir)?;
        let mut journal = Journal::new(dir, &loaded);
        let mut notes = std::mem::take(&mut loaded.notes);
        loaded.book.fold(Day::of((self.shared.clock)()));
        let limits = self.limits();
        loaded.marks.lifted.retain(|limit| limits.has(limit));
        let turned = journal.turn(&loaded.book, &loaded.marks, std::iter::empty());
        let written = turned.and_then(journal::Pending::write);
        let mut state = self.state();
        if let Err(error) = written {
            notes.push(OpenNote::Unwritable(error.to_string()));
            state.retry_disk_at = Some(Instant::now() + RETRY_DISK);
        }
        state.book = loaded.book;
        state.marks = loaded.marks;
        // Numbers of an earlier process's log must not come again.
        state.next_id = Entry::stamp((self.shared.clock)()).min(u64::from(u32::MAX)) << 24;
        state.journal = Some(journal);
        Ok(notes)
    }

    /// Takes new settings; what is spent stays.
    pub fn set(&self, settings: UsageSettings) {
        let today = Day::of((self.shared.clock)());
        let mut state = self.state();
        state.settings = settings;
        let notice = state.keep_limits_in_force(today);
        drop(state);
        notice.into_iter().for_each(Notice::tell);
        self.shared.room.notify_waiters();
    }

    /// What may be spent.
    pub fn limits(&self) -> BudgetLimits {
        self.state().settings.limits
    }

    /// Whether a money budget cannot be kept for this model, since nobody knows what it costs.
    pub fn cannot_price(&self, model: &ModelIdentity, is_free: bool) -> bool {
        let state = self.state();
        state.settings.limits.limits_money() && state.price(model, is_free).is_none()
    }

    /// Waits until something was written that [`UsageMeter::tend`] should bring to the disk.
    pub async fn written(&self) {
        loop {
            let written = self.shared.written.notified();
            if self.state().dirty {
                return;
            }
            written.await;
        }
    }

    /// Waits until a budget of the day or the month has refused a request.
    pub async fn blocked(&self) {
        loop {
            let blocked = self.shared.blocked.notified();
            if self.held_until(|_| true).is_some() {
                return;
            }
            blocked.await;
        }
    }

    /// Brings what was written to the disk, and begins a new log when the old one is large. Blocks
    /// on the disk.
    pub fn tend(&self) -> std::io::Result<()> {
        let (log, pending) = {
            let mut state = self.state();
            state.dirty = false;
            let is_large = state.journal.as_ref().is_some_and(Journal::is_large);
            if is_large {
                (None, Some(state.turn(Day::of((self.shared.clock)()))?))
            } else {
                (state.journal.as_ref().and_then(Journal::log), None)
            }
        };
        match (log, pending) {
            (_, Some(pending)) => pending.write(),
            (Some(log), None) => log.sync_data(),
            (None, None) => Ok(()),
        }
    }

    /// Writes everything down for good. Blocks on the disk.
    pub fn close(&self) -> std::io::Result<()> {
        let pending = {
            let mut state = self.state();
            if state.journal.is_none() {
                return Ok(());
            }
            state.turn(Day::of((self.shared.clock)()))?
        };
        pending.write()
    }

    /// A poisoned lock is as good as another: no figure is changed in two steps.
    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state()
    }

    /// Sets aside; `None` if there may be room later.
    fn try_reserve(&self, request: &PlannedRequest<'_>) -> Result<Option<Held>, OutOfBudget> {
        let now = (self.shared.clock)();
        let scope = SCOPE.try_with(Clone::clone).ok();
        let tally = scope.as_ref().map(|scope| Arc::clone(&scope.spent));
        let origin = scope.map(|scope| scope.origin);
        let mut state = self.state();
        let price = state.price(request.model, request.is_free);
        let entry = Entry {
            at: Entry::stamp(now),
            project: origin
                .as_ref()
                .map_or_else(String::new, |o| o.project.clone()),
            model: request.model.model.clone(),
            file: origin.map_or_else(String::new, |o| o.file),
            figures: worst(request, price),
        };
        let obstacles = state.in_the_way(&entry);
        if let Some((first, used)) = obstacles.full.first() {
            let out = limits::out_of(first, *used, &entry.figures, now);
            let today = entry.day();
            let is_untold = state.note_if_untold(first, today);
            let full = obstacles.full.into_iter().map(|(limit, _)| limit);
            let is_news = state.block(full, &entry.origin(), today);
            drop(state);
            if is_news {
                self.shared.blocked.notify_waiters();
            }
            if is_untold {
                Notice::UsedUp(out.message.clone()).tell();
            }
            return Err(out);
        }
        if obstacles.is_crowded {
            return Ok(None);
        }
        state.next_id += 1;
        let id = state.next_id;
        let sent = false;
        state.open.insert(id, Open { entry, sent });
        drop(state);
        Ok(Some(Held::new(self.clone(), id, price, tally)))
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn price(&self, model: &ModelIdentity, is_free: bool) -> Option<Price> {
        let known = self.settings.prices.price(&model.model);
        if is_free {
            Some(known.unwrap_or(Price::FREE))
        } else {
            known
        }
    }

    fn booked(&self, window: Window, entry: &Entry) -> Figures {
        match window {
            Window::Day(day) => self.book.of_day(day),
            Window::Month(month) => self.book.of_month(month),
            Window::FileHour(hour) => {
                let file = (entry.project.clone(), entry.file.clone());
                self.book.of_file_hour(hour, &file)
            }
        }
    }

    /// What open requests may come to in a window.
    fn open_in(&self, window: Window, entry: &Entry) -> Figures {
        let mut sum = Figures::default();
        for open in self.open.values().map(|open| &open.entry) {
            let counts = match window {
                Window::Day(day) => open.day() == day,
                Window::Month(month) => open.day().month() == month,
                Window::FileHour(hour) => {
                    open.hour() == hour && open.project == entry.project && open.file == entry.file
                }
            };
            if counts {
                sum.add(&open.figures);
            }
        }
        sum
    }

    /// Begins a new log, and gives the snapshot to write.
    fn turn(&mut self, today: Day) -> std::io::Result<journal::Pending> {
        self.book.fold(today);
        self.marks.forget_before(today);
        let Self {
            journal,
            book,
            marks,
            open,
            ..
        } = self;
        let Some(journal) = journal else {
            return Err(std::io::Error::other("usage is kept in memory only"));
        };
        let sent = open.iter().filter(|(_, open)| open.sent);
        journal.turn(book, marks, sent.map(|(id, open)| (*id, &open.entry)))
    }

    /// Hands a line to the kernel. While that fails, all is kept in memory.
    fn write(&mut self, line: &Line, today: Day) -> Option<Notice> {
        let journal = self.journal.as_mut()?;
        if journal.is_open() {
            self.dirty = true;
            let error = journal.append(line).err()?;
            self.retry_disk_at = Some(Instant::now() + RETRY_DISK);
            return Some(Notice::DiskFailed(error));
        }
        if self.retry_disk_at.is_some_and(|at| Instant::now() >= at) {
            // A snapshot holds what could not be written, this line's change too.
            let written = self.turn(today).and_then(journal::Pending::write);
            self.retry_disk_at = written.is_err().then(|| Instant::now() + RETRY_DISK);
        }
        None
    }
}

/// The most that a request can come to.
fn worst(request: &PlannedRequest<'_>, price: Option<Price>) -> Figures {
    let tokens = Tokens {
        input: request.prompt_tokens,
        cached: 0,
        written: None,
        output: request.output_tokens,
    };
    Figures {
        calls: u64::from(request.begins_call),
        requests: 1,
        input_tokens: tokens.input,
        output_tokens: tokens.output,
        cost: price.map(|price| price.of(tokens)).unwrap_or_default(),
        unpriced_requests: u64::from(price.is_none()),
        ..Figures::default()
    }
}

impl Notice {
    fn tell(self) {
        match self {
            Self::Warned { limit, used } => tracing::warn!(
                window = %limit.window,
                used = limit.measure.show(used),
                limit = limit.measure.show(limit.amount),
                setting = limit.setting(),
                "budget is nearly used up"
            ),
            Self::UsedUp(reason) => tracing::warn!(reason, "budget is used up; jobs wait"),
            Self::DiskFailed(error) => tracing::warn!(
                %error,
                "usage cannot be written; it is kept in memory until the disk is well again"
            ),
        }
    }
}

impl RequestMeter for UsageMeter {
    fn reserve<'a>(
        &'a self,
        request: PlannedRequest<'a>,
    ) -> BoxFuture<'a, Result<Box<dyn Reservation>, OutOfBudget>> {
        Box::pin(async move {
            loop {
                let mut room = std::pin::pin!(self.shared.room.notified());
                // Before looking, so that nothing given back in between is missed.
                room.as_mut().enable();
                if let Some(held) = self.try_reserve(&request)? {
                    return Ok(Box::new(held) as Box<dyn Reservation>);
                }
                room.await;
            }
        })
    }
}

impl fmt::Debug for UsageMeter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UsageMeter")
            .field("limits", &self.limits())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
