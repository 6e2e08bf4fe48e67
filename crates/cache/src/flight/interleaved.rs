//! Single flight in every order of a few askers.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use testsmith_domain::ContentHash;

use self::interleave::{Bounds, Task, exhaustively, panic_on_purpose, pause};
use super::*;

#[path = "../../../../tests/support/interleave.rs"]
mod interleave;

#[derive(Debug, Default)]
struct World {
    /// Whether the answer is there.
    answered: bool,
    leading: usize,
    following: usize,
    asked: usize,
    /// How often asking may still go wrong.
    faults: usize,
    served: usize,
}

type SharedWorld = Arc<Mutex<World>>;

fn lock(world: &SharedWorld) -> MutexGuard<'_, World> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Counts in one of the world's figures while it lives.
struct Counted(SharedWorld, fn(&mut World) -> &mut usize);

impl Counted {
    fn new(world: &SharedWorld, figure: fn(&mut World) -> &mut usize) -> Self {
        *figure(&mut lock(world)) += 1;
        Self(world.clone(), figure)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        *(self.1)(&mut lock(&self.0)) -= 1;
    }
}

/// Asks as the pipeline does: claim, look up, ask, keep, let go; or wait and begin anew.
async fn ask(flights: Flights, key: CacheKey, world: SharedWorld, choices: interleave::Choices) {
    loop {
        match flights.claim(key) {
            Claim::Follow(landing) => {
                let _following = Counted::new(&world, |world| &mut world.following);
                landing.await;
            }
            Claim::Lead(flight) => {
                let leading = Counted::new(&world, |world| &mut world.leading);
                assert_eq!(lock(&world).leading, 1, "two ask at once");
                pause().await;
                assert!(flight.followers() <= lock(&world).following);
                if !lock(&world).answered {
                    lock(&world).asked += 1;
                    pause().await;
                    let may_go_wrong = lock(&world).faults > 0;
                    let end = if may_go_wrong { choices.pick(3) } else { 0 };
                    match end {
                        0 => lock(&world).answered = true,
                        1 => lock(&world).faults -= 1,
                        _ => {
                            lock(&world).faults -= 1;
                            panic_on_purpose();
                        }
                    }
                }
                drop(leading);
                drop(flight);
            }
        }
        let mut state = lock(&world);
        if state.answered {
            state.served += 1;
            return;
        }
    }
}

/// So many askers of one key.
fn askers(count: usize, faults: usize, cancels: usize) -> usize {
    let bounds = Bounds {
        cancels,
        ..Bounds::default()
    };
    exhaustively(bounds, |choices| {
        let flights = Flights::default();
        let key = CacheKey::from(ContentHash::of(b"what is asked"));
        let world = Arc::new(Mutex::new(World {
            faults,
            ..World::default()
        }));
        let tasks = (0..count)
            .map(|_| {
                let asker = ask(flights.clone(), key, world.clone(), choices.clone());
                Box::pin(asker) as Task
            })
            .collect();
        let mut steps = 0;
        (tasks, move |idle| {
            steps += 1;
            let world = lock(&world);
            assert!(world.leading <= 1);
            // Paid once, but for what went wrong or was broken off.
            assert!(world.asked <= 1 + faults + cancels, "{world:?}");
            let open = flights.open.lock().unwrap().len();
            assert_eq!(open, world.leading, "a key is claimed by its leader alone");
            // Asking takes no time here, so nobody is left waiting for somebody who waits.
            assert!(!idle || world.following == 0, "{world:?}");
            if idle && steps > 1 {
                assert!(world.served + faults + cancels >= count, "{world:?}");
            }
        })
    })
}

#[test]
fn one_asks_at_a_time_and_each_is_served_in_every_order() {
    println!("{} schedules of 4 askers", askers(4, 0, 0));
    println!("{} schedules of 3, two of whom may fail", askers(3, 2, 0));
}

#[test]
fn a_leader_that_is_dropped_or_panics_is_followed_by_another() {
    println!("{} schedules of 2 askers", askers(2, 2, 2));
    println!("{} schedules of 3 askers", askers(3, 1, 1));
}
