//! What was decided on a file, why and when: kept for those who ask later.
//!
//! A job's run collects [`Step`]s wherever they are taken: the caller wraps the run in [`tell`],
//! and whatever is polled inside says [`note`]. As with a log's spans, nobody has to hand anything
//! on; outside of a run a note goes nowhere and costs nothing.

use std::cell::RefCell;
use std::pin::Pin;
use std::task::{Context, Poll};

use serde::{Deserialize, Serialize};

use crate::{BoxFuture, JobId, MemberName, RelPath, Timestamp};

/// Steps kept of one run: beyond that, a file of very many members would not be worth its space.
const STEPS: usize = 400;

/// Bytes kept of a text that came from a server, a model or a tool.
const TEXT_BYTES: usize = 300;

/// The outcome of a job that was dropped on request: its story has no steps.
pub const CANCELLED: &str = "cancelled";

/// One run of a job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Story {
    /// The job.
    pub job: JobId,
    /// When the change was seen.
    pub enqueued: Timestamp,
    /// When the run ended.
    pub ended: Timestamp,
    /// How it ended: the outcome's name.
    pub outcome: String,
    /// Why, where that needs saying.
    #[serde(default)]
    pub reason: Option<String>,
    /// How long it took, in milliseconds.
    pub elapsed_ms: u64,
    /// What it cost, if the model was asked: `$0.0123`, `?` where a price is not known.
    #[serde(default)]
    pub cost: Option<String>,
    /// What happened on the way, in its order.
    pub steps: Vec<Told>,
}

/// A step and its moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Told {
    /// When.
    pub at: Timestamp,
    /// What.
    #[serde(flatten)]
    pub step: Step,
}

/// Something that was decided, asked or found out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum Step {
    /// The file was saved, and taken up once it had been quiet.
    Seen {
        /// When it was last written, as its file system says.
        saved: Timestamp,
    },
    /// What is to be done for members.
    Decided {
        /// The decision: `fresh`, `cached`, `asked`, `edited`, …
        decision: String,
        /// The members.
        members: Vec<MemberName>,
        /// Why, where that needs saying.
        #[serde(default)]
        reason: Option<String>,
    },
    /// One request to the model.
    Asked {
        /// The attempt of its call, counted from 1.
        attempt: u32,
        /// How long was waited before it, in milliseconds.
        wait_ms: u64,
        /// How long it took, in milliseconds.
        elapsed_ms: u64,
        /// The HTTP status, if there was a reply.
        #[serde(default)]
        status: Option<u16>,
        /// Why it failed.
        #[serde(default)]
        error: Option<String>,
        /// The model that was asked.
        #[serde(default)]
        model: Option<String>,
        /// Prompt tokens, as far as the server told.
        #[serde(default)]
        tokens_in: Option<u64>,
        /// Tokens of the answer, as far as the server told.
        #[serde(default)]
        tokens_out: Option<u64>,
    },
    /// An answer was read.
    Parsed {
        /// Members asked for.
        asked: u64,
        /// Members with a usable body.
        usable: u64,
        /// What was wrong with the others.
        #[serde(default)]
        problems: Vec<String>,
    },
    /// A candidate was run.
    Verdict {
        /// The member.
        member: MemberName,
        /// What became of it.
        verdict: String,
        /// What the runner said.
        #[serde(default)]
        reason: Option<String>,
    },
    /// The test file was written.
    Written {
        /// The test file.
        test_path: RelPath,
        /// The members whose blocks are new or were removed.
        members: Vec<MemberName>,
    },
    /// A block belongs to the user from now on.
    Yours {
        /// The member.
        member: MemberName,
        /// Whether it was `edited` or `deleted`.
        what: String,
    },
    /// Anything else worth telling.
    Remark {
        /// What.
        text: String,
    },
    /// A later version's step that this one does not know.
    #[serde(other)]
    Unknown,
}

thread_local! {
    /// The steps of the run that is polled on this thread just now.
    static CURRENT: RefCell<Option<Vec<Told>>> = const { RefCell::new(None) };
}

/// Notes a step of the run that is polled now, if any.
pub fn note(step: impl FnOnce() -> Step) {
    CURRENT.with_borrow_mut(|steps| {
        if let Some(steps) = steps
            && steps.len() < STEPS
        {
            let at = Timestamp::now();
            steps.push(Told { at, step: step() });
        }
    });
}

/// A text cut to what is kept of one that came from elsewhere.
pub fn shortened(text: &str) -> String {
    if text.len() <= TEXT_BYTES {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(TEXT_BYTES);
    format!("{}…", &text[..end])
}

/// Collects the steps that are noted while `run` is polled, into `steps`: also where it is dropped
/// before its end.
pub fn tell<'a, T>(
    steps: &'a mut Vec<Told>,
    run: impl Future<Output = T> + Send + 'a,
) -> Tell<'a, T> {
    Tell {
        steps,
        run: Box::pin(run),
    }
}

/// See [`tell`].
pub struct Tell<'a, T> {
    steps: &'a mut Vec<Told>,
    run: BoxFuture<'a, T>,
}

impl<T> std::fmt::Debug for Tell<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tell").finish_non_exhaustive()
    }
}

impl<T> Future for Tell<'_, T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let this = self.get_mut();
        let outer = CURRENT.replace(Some(std::mem::take(this.steps)));
        // Put back even if the run panics.
        let guard = Guard {
            steps: this.steps,
            outer,
        };
        let polled = this.run.as_mut().poll(context);
        drop(guard);
        polled
    }
}

struct Guard<'a> {
    steps: &'a mut Vec<Told>,
    outer: Option<Vec<Told>>,
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        *self.steps = CURRENT.replace(self.outer.take()).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::Waker;

    use super::*;

    fn remark(text: &str) -> Step {
        Step::Remark {
            text: text.to_owned(),
        }
    }

    fn poll_once<T>(future: Pin<&mut impl Future<Output = T>>) -> Poll<T> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    async fn pause() {
        let mut paused = false;
        std::future::poll_fn(|_| {
            if std::mem::replace(&mut paused, true) {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }

    #[test]
    fn steps_are_those_of_the_run_that_is_polled() {
        note(|| panic!("outside of a run nothing is even made"));
        let (mut one, mut two) = (Vec::new(), Vec::new());
        {
            let run = |name: &'static str| async move {
                note(|| remark(name));
                pause().await;
                note(|| remark(name));
            };
            let mut first = pin!(tell(&mut one, run("one")));
            let mut second = pin!(tell(&mut two, run("two")));
            assert!(poll_once(first.as_mut()).is_pending());
            assert!(poll_once(second.as_mut()).is_pending());
            assert!(poll_once(first.as_mut()).is_ready());
            // The second is dropped halfway.
        }
        let steps = |told: Vec<Told>| told.into_iter().map(|told| told.step).collect::<Vec<_>>();
        assert_eq!(steps(one), [remark("one"), remark("one")]);
        assert_eq!(steps(two), [remark("two")]);
    }

    #[test]
    fn a_panic_keeps_the_steps_and_ends_the_run() {
        let mut steps = Vec::new();
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let mut run = pin!(tell(&mut steps, async {
                note(|| remark("before"));
                panic!("on purpose");
            }));
            poll_once(run.as_mut())
        }));
        assert!(outcome.is_err());
        assert_eq!(steps.len(), 1);
        note(|| panic!("no run is left behind"));
    }

    #[test]
    fn texts_are_cut_at_a_character() {
        let long = "é".repeat(400);
        assert!(shortened(&long).ends_with("é…"));
        assert_eq!(shortened("short"), "short");
    }
}
