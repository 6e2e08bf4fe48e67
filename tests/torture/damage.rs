//! Stores with bits turned over, or cut off: every start succeeds, and the work is found again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use testsmith_simulator::Script;

use crate::dice::Dice;
use crate::kills::seed;
use crate::source::{Subject, Tongue};
use crate::support::samples;
use crate::support::world::{World, said};

/// Damaged states that are started from. `TESTSMITH_TORTURE_DAMAGES` sets another number.
const DAMAGES: u64 = 12;

#[test]
fn every_start_succeeds_whatever_the_disk_has_done_to_the_state() {
    let damages = std::env::var("TESTSMITH_TORTURE_DAMAGES");
    let damages = damages.map_or(DAMAGES, |n| n.parse().unwrap());
    let seed = seed();
    let world = World::new(Script::default());
    world.save("go.mod", samples::GO_MOD);
    let subjects: Vec<Subject> = (0..6)
        .map(|number| Subject {
            tongue: Tongue::Go,
            number,
        })
        .collect();
    assert!(world.watch_unready(&["--until-idle"]).end().0.success());
    let save = |version: u64| {
        for subject in &subjects {
            world.save(
                &subject.path(false),
                subject.text(&[version, version + 1], true),
            );
        }
    };
    save(1);
    assert!(world.watch_unready(&["--until-idle"]).end().0.success());
    save(2);
    // As a killed process leaves it, with work in the queue.
    let daemon = world.watch_unready(&[]);
    world.wait_for_requests(subjects.len() + 2);
    daemon.kill();
    let sound = world.beside("sound");
    fs::rename(world.state(), &sound).unwrap();

    for round in 0..damages {
        let when = format!("TESTSMITH_TORTURE_SEED={seed}, damage {round}");
        let mut dice = Dice::new(seed).about(round);
        let _ = fs::remove_dir_all(world.state());
        let mut copying = Command::new("cp");
        let copied = copying.arg("-a").arg(&sound).arg(world.state()).status();
        assert!(copied.unwrap().success());
        let done = damage(&world.state(), &mut dice);
        // One file is new to it, whatever it knows.
        save(100 + round);
        // Work may be left that waits for another file's; a start takes it up.
        let mut logs = String::new();
        let all_done = (0..4).any(|_| {
            let (status, _, log) = world.watch_unready(&["--until-idle"]).end();
            assert!(
                matches!(status.code(), Some(0 | 1)),
                "{when}: {done:?}: {status}:\n{log}"
            );
            logs.push_str(&log);
            status.success()
        });
        assert!(all_done, "{when}: {done:?}: work is left:\n{logs}");
        for subject in &subjects {
            let tests = world.read(&subject.path(false).replace(".go", "_testsmith_test.go"));
            for function in 0..2 {
                let begin = format!("testsmith:begin {} ", subject.member(function));
                assert_eq!(
                    tests.matches(&begin).count(),
                    1,
                    "{when}: {done:?}:\n{logs}"
                );
            }
        }
        // Looked at one by one, none needs anything.
        let asked = world.requests().len();
        let run = world.run(&["generate", "--all"]);
        assert!(run.status.success(), "{when}: {done:?}: {}", said(&run));
        assert_eq!(world.requests().len(), asked, "{when}: {done:?}:\n{logs}");
    }
}

/// Damages one to three files of the state, and tells which and how.
fn damage(state: &Path, dice: &mut Dice) -> Vec<String> {
    let mut files = Vec::new();
    collect(state, &mut files);
    files.sort();
    (0..=dice.roll(3))
        .map(|_| {
            let path = dice.pick(&files).clone();
            let mut bytes = fs::read(&path).unwrap();
            let length = u64::try_from(bytes.len()).unwrap().max(1);
            let how = if dice.roll(3) == 0 {
                let keep = usize::try_from(dice.roll(length)).unwrap();
                bytes.truncate(keep);
                format!("cut to {keep}")
            } else {
                let flips = 1 + dice.roll(8);
                for _ in 0..flips {
                    let at = usize::try_from(dice.roll(length)).unwrap();
                    if let Some(byte) = bytes.get_mut(at) {
                        *byte ^= 1 << dice.roll(8);
                    }
                }
                format!("{flips} bits")
            };
            fs::write(&path, bytes).unwrap();
            format!("{}: {how}", path.strip_prefix(state).unwrap().display())
        })
        .collect()
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            collect(&entry.path(), files);
        // The lock holds nothing.
        } else if kind.is_file() && entry.file_name() != "lock" {
            files.push(entry.path());
        }
    }
}
