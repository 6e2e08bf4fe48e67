//! Kills while candidates are run.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use testsmith_simulator::Script;

use crate::dice::Dice;
use crate::kills::seed;
use crate::source::{FUNCTIONS, Subject, Tongue};
use crate::support::processes::{Process, descendants, left_of};
use crate::support::tools::have;
use crate::support::world::{World, said, wait_until};

const KILLS: u64 = 5;

#[test]
fn killed_while_candidates_run_it_leaves_no_process_and_no_untried_test() {
    if !have("python3", &["-m", "pytest", "--version"]) {
        return;
    }
    let mut dice = Dice::new(seed());
    println!("TESTSMITH_TORTURE_SEED={}", seed());
    let world = World::verifying(Script::default());
    assert!(world.watch_unready(&["--until-idle"]).end().0.success());
    let subject = Subject {
        tongue: Tongue::Python,
        number: 0,
    };
    let mut seen: BTreeSet<Process> = BTreeSet::new();
    for _ in 0..KILLS {
        let versions: Vec<u64> = (0..FUNCTIONS).map(|_| dice.roll(1000)).collect();
        let daemon = world.watch(&[]);
        world.save(&subject.path(false), subject.text(&versions, true));
        wait_until("a run", || {
            let running = descendants(daemon.id());
            seen.extend(running.iter().cloned());
            !running.is_empty()
        });
        let until = Instant::now() + Duration::from_millis(dice.roll(700));
        while Instant::now() < until {
            seen.extend(descendants(daemon.id()));
            std::thread::sleep(Duration::from_millis(5));
        }
        daemon.kill();
        wait_until("the end of all it had started", || {
            left_of(&seen).is_empty()
        });
    }
    let (status, _, log) = world.watch_unready(&["--until-idle"]).end();
    assert!(status.success(), "{log}");
    let tests = "tests/testsmith/test_shop_part0.py";
    let text = world.read(tests);
    assert_eq!(
        text.matches("testsmith:begin ").count(),
        FUNCTIONS,
        "{text}"
    );
    assert!(!text.contains("unverified"), "{text}");
    let run = std::process::Command::new("python3")
        .args(["-m", "pytest", "-q", "-p", "no:cacheprovider", tests])
        .current_dir(world.root())
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", said(&run));
    let asked = world.requests().len();
    let run = world.run(&["generate", "--all"]);
    assert!(run.status.success(), "{}", said(&run));
    assert_eq!(world.requests().len(), asked, "{}", said(&run));
}
