//! `testsmith top`: what the daemon does, live.
//!
//! `feed` asks the daemon and hears its events, `state` keeps what came and what the user chose,
//! `view` draws it and `input` reads keys; only `terminal` and this loop touch the terminal.

mod feed;
mod history;
mod input;
mod state;
mod terminal;
mod text;
mod view;

use std::io::IsTerminal as _;

use anyhow::Context as _;
use crossterm::event::{Event, EventStream, KeyEventKind};
use futures_util::StreamExt as _;
use testsmith_control::{Client, ClientError, Status, Timestamp};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Duration, MissedTickBehavior, interval};

use crate::args::{Global, TopArgs};
use crate::context::Context;
use crate::{block_on, exit, output};

use feed::Update;
use input::{Action, action};
use state::{Order, State};
use terminal::Screen;
use view::Theme;

/// Updates that may be on their way. What comes faster than it is drawn waits at the daemon, which
/// waits for nobody.
const BACKLOG: usize = 256;

/// Ages on the screen grow by the second.
const TICK: Duration = Duration::from_secs(1);

/// Makes a debug build panic once it has drawn: a test looks at the terminal afterwards.
#[cfg(debug_assertions)]
const PANIC_VARIABLE: &str = "TESTSMITH_TOP_PANIC";

pub(crate) fn run(global: &Global, _: &TopArgs) -> anyhow::Result<u8> {
    let is_dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
    if !std::io::stdout().is_terminal() || is_dumb {
        let message = "`top` needs a terminal that can move its cursor; print the same once with \
                       `testsmith status`";
        return Err(exit::UsageError(message.to_owned()).into());
    }
    let client = Context::to_ask(global, None)?.client();
    block_on(async {
        match client.status().await {
            Ok(first) => live(client, first).await,
            Err(error @ ClientError::NoDaemon(_)) => {
                output::note(format_args!(
                    "testsmith: {error}; start one with `testsmith watch`"
                ));
                Ok(exit::NO_DAEMON)
            }
            Err(error) => Err(error.into()),
        }
    })?
}

/// Why the loop goes on.
enum Wake {
    Update(Update),
    Input(Event),
    Tick,
    Suspend,
    End,
}

/// Signals that end the screen, and the one that stops it for a while.
struct Signals {
    end: [Signal; 3],
    suspend: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            end: [
                signal(SignalKind::terminate())?,
                signal(SignalKind::interrupt())?,
                signal(SignalKind::hangup())?,
            ],
            suspend: signal(SignalKind::from_raw(rustix::process::Signal::TSTP.as_raw()))?,
        })
    }

    async fn next(&mut self) -> Wake {
        let [terminate, interrupt, hangup] = &mut self.end;
        tokio::select! {
            _ = terminate.recv() => Wake::End,
            _ = interrupt.recv() => Wake::End,
            _ = hangup.recv() => Wake::End,
            _ = self.suspend.recv() => Wake::Suspend,
        }
    }
}

async fn live(client: Client, first: Status) -> anyhow::Result<u8> {
    let theme = Theme::from_environment();
    let mut signals = Signals::listen().context("cannot listen for signals")?;
    let mut state = State::new(first, Timestamp::now());
    // Before the thread that reads keys: it is to read a raw terminal.
    let mut screen = Screen::enter().context("cannot use the terminal")?;
    let mut keys = EventStream::new();
    let (sender, mut updates) = mpsc::channel(BACKLOG);
    let mut tasks = JoinSet::new();
    tasks.spawn(feed::poll(client.clone(), sender.clone()));
    tasks.spawn(feed::listen(client.clone(), sender.clone()));
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        state.seen = screen.draw(|frame| view::draw(frame, &state, theme))?;
        #[cfg(debug_assertions)]
        provoke();
        let wake = tokio::select! {
            biased;
            wake = signals.next() => wake,
            key = keys.next() => match key {
                Some(Ok(event)) => Wake::Input(event),
                // The terminal is gone.
                Some(Err(_)) | None => Wake::End,
            },
            Some(update) = updates.recv() => Wake::Update(update),
            _ = ticks.tick() => Wake::Tick,
        };
        state.now = Timestamp::now();
        let order = match wake {
            Wake::End => return Ok(exit::OK),
            Wake::Suspend => {
                screen.suspend()?;
                None
            }
            Wake::Tick => None,
            Wake::Update(update) => {
                let mut order = state.apply(update);
                while let Ok(update) = updates.try_recv() {
                    order = state.apply(update).or(order);
                }
                order
            }
            Wake::Input(event) => match of_input(&event) {
                Some(Action::Suspend) => {
                    screen.suspend()?;
                    None
                }
                Some(Action::Redraw) => {
                    screen.clear()?;
                    None
                }
                Some(action) => state.act(action),
                None => None,
            },
        };
        match order {
            Some(Order::Quit) => return Ok(exit::OK),
            Some(Order::Ask(ask)) => {
                tasks.spawn(feed::ask(client.clone(), ask, sender.clone()));
            }
            None => {}
        }
        // Those that have ended; the ones that never do are kept.
        while let Some(ended) = tasks.try_join_next() {
            ended.context("a part of `top` failed")?;
        }
    }
}

/// What a key means. A new size needs no more than to be drawn.
fn of_input(event: &Event) -> Option<Action> {
    match event {
        Event::Key(key) if key.kind != KeyEventKind::Release => action(key),
        _ => None,
    }
}

#[cfg(debug_assertions)]
fn provoke() {
    let wanted = std::env::var_os(PANIC_VARIABLE).is_some();
    assert!(!wanted, "provoked by {PANIC_VARIABLE}");
}
