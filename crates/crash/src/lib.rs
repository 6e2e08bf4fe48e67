//! Places at which a test can have the process die, or worse.
//!
//! A promise like "nothing is acknowledged before it is on disk" is kept or broken between two lines.
//! The lines around each durable step name themselves here:
//!
//! ```
//! testsmith_crash::point("store.synced");
//! ```
//!
//! With the feature `points` and `TESTSMITH_CRASH_AT=store.synced:3` the process ends there, without a
//! word, when it comes by the third time. With `TESTSMITH_FULL_AT=store.synced:3` its disk is full from
//! there on: no file may grow any more, until somebody raises that limit again. `tests/torture.rs`
//! does both with each of [`POINTS`]. With `TESTSMITH_HANG_AT=store.synced:3` the thread that comes
//! by goes no further.
//!
//! # Theory of operation
//!
//! Without the feature a point is an empty function, and the environment is never read. The feature
//! is asked for by one dev-dependency, of the crate that holds the program and its tests: cargo turns
//! it on for the program that these tests run, and for nothing that is built to be used.
//! `tests/architecture.rs` keeps it so.

/// All points, in the order in which a file's way passes them.
pub const POINTS: &[&str] = &[
    // A start.
    "start.locked",
    "start.usage",
    "start.writes",
    "store.opened",
    "start.cache",
    "start.queue",
    // Any durable commit of either database: applied in memory, written, on disk.
    "store.applied",
    "store.flushed",
    "store.synced",
    // A change becomes a job, together with the snapshot.
    "queue.commit.before",
    "queue.commit.part",
    "queue.commit.after",
    "queue.claim.before",
    "queue.claim.after",
    // A request is paid for, and its answer kept.
    "usage.sent",
    "usage.ended",
    "cache.keep.before",
    "cache.keep.after",
    // A test file is written.
    "tree.noted",
    "tree.part",
    "tree.whole",
    "tree.created",
    "tree.exchanged",
    "tree.aside",
    "tree.done",
    // The job ends; its ledger and story go with it.
    "queue.finish.before",
    "queue.finish.after",
    // The sums of what was paid are written anew.
    "usage.turned",
    "usage.snapshot",
    "usage.renamed",
];

/// A place at which a test can have the process die.
#[cfg(not(feature = "points"))]
#[inline]
pub const fn point(_name: &'static str) {}

/// A place at which a test can have the process die.
#[cfg(feature = "points")]
pub fn point(name: &'static str) {
    for plan in plan::of_process() {
        plan.pass(name);
    }
}

#[cfg(feature = "points")]
mod plan {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    /// What befalls the process.
    #[derive(Debug, Clone, Copy)]
    enum Fate {
        Death,
        FullDisk,
        Hang,
    }

    /// The variables that name a point, and at which pass it is struck.
    const VARIABLES: [(&str, Fate); 3] = [
        ("TESTSMITH_CRASH_AT", Fate::Death),
        ("TESTSMITH_FULL_AT", Fate::FullDisk),
        ("TESTSMITH_HANG_AT", Fate::Hang),
    ];

    /// Where something is to happen.
    pub(super) struct Plan {
        name: String,
        /// Passes left, the last one included.
        left: AtomicU64,
        fate: Fate,
    }

    /// What the environment asks for, read once.
    pub(super) fn of_process() -> &'static [Plan] {
        static PLANS: OnceLock<Vec<Plan>> = OnceLock::new();
        let read = |(variable, fate)| parse(&std::env::var(variable).ok()?, fate);
        PLANS.get_or_init(|| VARIABLES.into_iter().filter_map(read).collect())
    }

    fn parse(text: &str, fate: Fate) -> Option<Plan> {
        let (name, count) = text.split_once(':')?;
        Some(Plan {
            name: name.to_owned(),
            left: AtomicU64::new(count.parse().ok()?),
            fate,
        })
    }

    impl Plan {
        pub(super) fn pass(&self, name: &str) {
            if self.name != name || self.left.fetch_sub(1, Ordering::Relaxed) != 1 {
                return;
            }
            match self.fate {
                // No destructor and no handler runs, as with `kill -9`.
                Fate::Death => std::process::abort(),
                Fate::FullDisk => {
                    let Rlimit { maximum, .. } = getrlimit(Resource::Fsize);
                    let none = Rlimit {
                        current: Some(0),
                        maximum,
                    };
                    // To lower it is always allowed.
                    let _ = setrlimit(Resource::Fsize, none);
                }
                Fate::Hang => loop {
                    std::thread::park();
                },
            }
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_plan_is_a_point_and_a_count() {
            let plan = parse("tree.done:3", Fate::Death);
            let plan = plan.map(|plan| (plan.name, plan.left.into_inner()));
            assert_eq!(plan, Some(("tree.done".to_owned(), 3)));
            assert!(parse("tree.done", Fate::Death).is_none());
            assert!(parse("tree.done:x", Fate::Death).is_none());
        }

        #[test]
        fn other_points_are_passed() {
            let plan = parse("tree.done:1", Fate::Death).unwrap();
            plan.pass("tree.noted");
            assert_eq!(plan.left.into_inner(), 1);
        }
    }
}
