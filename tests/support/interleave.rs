//! All orders in which a few futures can run, one after the other.
//!
//! A schedule is a list of choices: which future is polled next, which is dropped, whether time goes
//! on first, and what the test itself leaves open. [`exhaustively`] plays each schedule once, from
//! the beginning, on a paused clock. What happens within one poll is not taken apart: see
//! `docs/design/testing.md`.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

/// No scenario waits longer than this: if nothing has happened until then, nothing will.
const NEVER: Duration = Duration::from_hours(24 * 365);

/// A future that takes part.
pub(crate) type Task = Pin<Box<dyn Future<Output = ()>>>;

/// What a schedule may hold beside polls.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Bounds {
    /// How much time goes by before anything runs.
    pub(crate) start: Duration,
    /// So many futures may be dropped before their end, at any point.
    pub(crate) cancels: usize,
    /// So often may time go on though a future could run: a slow machine.
    pub(crate) delays: usize,
    /// How far it goes on then.
    pub(crate) delay: Duration,
}

/// The choices of one schedule.
#[derive(Debug, Clone, Default)]
pub(crate) struct Choices(Arc<Mutex<Path>>);

#[derive(Debug, Default)]
struct Path {
    /// What was chosen, and of how many.
    taken: Vec<(usize, usize)>,
    at: usize,
}

impl Choices {
    /// One of so many.
    pub(crate) fn pick(&self, of: usize) -> usize {
        assert!(of > 0, "nothing to choose from");
        let mut path = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = path.at;
        path.at += 1;
        if let Some((chosen, among)) = path.taken.get(at) {
            assert_eq!(*among, of, "a schedule is played the same way each time");
            *chosen
        } else {
            path.taken.push((0, of));
            0
        }
    }

    /// Goes on to the next schedule; `false` after the last.
    fn advance(&self) -> bool {
        let mut path = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        path.at = 0;
        while let Some((chosen, of)) = path.taken.pop() {
            if chosen + 1 < of {
                path.taken.push((chosen + 1, of));
                return true;
            }
        }
        false
    }
}

/// How a future panics on purpose, without a word: `resume_unwind` calls no hook.
pub(crate) fn panic_on_purpose() -> ! {
    struct OnPurpose;
    resume_unwind(Box::new(OnPurpose) as Box<dyn Any + Send>)
}

/// Lets others run. Unlike tokio's own, it can run again at once.
pub(crate) async fn pause() {
    let mut paused = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut paused, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Plays every schedule of the futures that `scene` makes, and gives their number. `check` is
/// called after each step; its argument tells whether no future can run.
pub(crate) fn exhaustively<C: FnMut(bool)>(
    bounds: Bounds,
    mut scene: impl FnMut(&Choices) -> (Vec<Task>, C),
) -> usize {
    let choices = Choices::default();
    let mut played = 0;
    loop {
        played += 1;
        let result = catch_unwind(AssertUnwindSafe(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .start_paused(true)
                .build()
                .unwrap();
            runtime.block_on(async {
                let (tasks, check) = scene(&choices);
                Play::new(tasks).run(&choices, bounds, check).await;
            });
        }));
        if let Err(failure) = result {
            eprintln!("in schedule {played}: {choices:?}");
            resume_unwind(failure);
        }
        if !choices.advance() {
            return played;
        }
    }
}

/// Whether a future was woken, and who is to be told.
#[derive(Debug, Default)]
struct Flag {
    woken: AtomicBool,
    waiting: Arc<Mutex<Option<Waker>>>,
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, Ordering::SeqCst);
        let waiting = self.waiting.lock().unwrap().take();
        if let Some(waker) = waiting {
            waker.wake();
        }
    }
}

struct Play {
    tasks: Vec<Option<Task>>,
    flags: Vec<Arc<Flag>>,
    waiting: Arc<Mutex<Option<Waker>>>,
}

impl Play {
    fn new(tasks: Vec<Task>) -> Self {
        let waiting = Arc::<Mutex<Option<Waker>>>::default();
        let flag = |_: &Task| {
            Arc::new(Flag {
                woken: AtomicBool::new(true),
                waiting: waiting.clone(),
            })
        };
        Self {
            flags: tasks.iter().map(flag).collect(),
            // Tokio's budget for one poll would make a future wait that can run.
            tasks: tasks
                .into_iter()
                .map(|task| Some(Box::pin(tokio::task::unconstrained(task)) as Task))
                .collect(),
            waiting,
        }
    }

    async fn run(mut self, choices: &Choices, bounds: Bounds, mut check: impl FnMut(bool)) {
        let (mut cancels, mut delays) = (bounds.cancels, bounds.delays);
        tokio::time::advance(bounds.start).await;
        loop {
            let alive: Vec<usize> = (0..self.tasks.len())
                .filter(|at| self.tasks[*at].is_some())
                .collect();
            let woken = |at: &usize| self.flags[*at].woken.load(Ordering::SeqCst);
            let ready: Vec<usize> = alive.iter().copied().filter(woken).collect();
            check(ready.is_empty());
            if alive.is_empty() {
                return;
            }
            // First those that can run; if there is none, waiting for a timer.
            let running = ready.len().max(1);
            let dropped = if cancels > 0 { alive.len() } else { 0 };
            let slow = usize::from(delays > 0 && !ready.is_empty());
            let choice = choices.pick(running + dropped + slow);
            if choice >= running + dropped {
                delays -= 1;
                tokio::time::advance(bounds.delay).await;
            } else if choice >= running {
                cancels -= 1;
                self.tasks[alive[choice - running]] = None;
            } else if let Some(at) = ready.get(choice) {
                self.poll(*at);
            } else {
                self.wait().await;
            }
        }
    }

    fn poll(&mut self, at: usize) {
        self.flags[at].woken.store(false, Ordering::SeqCst);
        let waker = Waker::from(self.flags[at].clone());
        let Some(task) = &mut self.tasks[at] else {
            return;
        };
        let polled = catch_unwind(AssertUnwindSafe(|| {
            task.as_mut().poll(&mut Context::from_waker(&waker))
        }));
        match polled {
            Ok(Poll::Pending) => {}
            Err(panic) if panic.is::<String>() || panic.is::<&str>() => resume_unwind(panic),
            // The task is over; it may have panicked on purpose.
            Ok(Poll::Ready(())) | Err(_) => self.tasks[at] = None,
        }
    }

    /// Until a timer wakes somebody. The paused clock goes on by itself when nothing can run.
    async fn wait(&self) {
        let woken = std::future::poll_fn(|context| {
            *self.waiting.lock().unwrap() = Some(context.waker().clone());
            let mut flags = self.flags.iter().zip(&self.tasks);
            let is_ready =
                flags.any(|(flag, task)| task.is_some() && flag.woken.load(Ordering::SeqCst));
            if is_ready {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        });
        let woken = tokio::time::timeout(NEVER, woken).await;
        assert!(woken.is_ok(), "nobody will ever wake those that wait");
    }
}
