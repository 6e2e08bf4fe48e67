//! Power loss, as far as a process can tell: what the kernel was asked to do, in which order.
//!
//! A kill cannot show whether something was on disk. That it was follows from the order of system
//! calls: the data written, `fdatasync` of its file returned, and only then the next step begun.

use std::collections::HashMap;
use std::fs;

use testsmith_simulator::Script;

use crate::support::daemon::Daemon;
use crate::support::samples;
use crate::support::tools::have;
use crate::support::world::World;

use Phase::{Begun, Done};

/// A call begins, or has returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Begun,
    Done,
}

/// What strace saw: each call twice, in the order of what happened.
fn calls(log: &str) -> Vec<(Phase, String)> {
    let mut open: HashMap<&str, &str> = HashMap::new();
    let mut all = Vec::new();
    for line in log.lines() {
        let Some((process, call)) = line.split_once(' ') else {
            continue;
        };
        let call = call.trim_start();
        if call.contains("<unfinished ...>") {
            open.insert(process, call);
            all.push((Begun, call.to_owned()));
        } else if call.starts_with("<... ") {
            let begun = open.remove(process).unwrap_or_default();
            all.push((Done, begun.to_owned()));
        } else {
            all.push((Begun, call.to_owned()));
            all.push((Done, call.to_owned()));
        }
    }
    all
}

/// A call of this name on a file whose path ends so.
fn on(name: &'static str, path: &'static str) -> impl Fn(&str) -> bool {
    let file = format!("{path}>");
    move |call| call.starts_with(name) && call.contains(&file)
}

/// What is in the arguments.
fn with(words: &'static [&'static str]) -> impl Fn(&str) -> bool {
    move |call| words.iter().all(|word| call.contains(word))
}

type Step = (&'static str, Phase, Box<dyn Fn(&str) -> bool>);

/// The way of one save, in its order.
fn steps() -> Vec<Step> {
    vec![
        (
            "the change is seen",
            Begun,
            Box::new(with(&["changes seen"])),
        ),
        (
            "the job is written",
            Begun,
            Box::new(on("pwrite64(", "/jobs.sled/db")),
        ),
        (
            "the job is on disk",
            Done,
            Box::new(on("fdatasync(", "/jobs.sled/db")),
        ),
        (
            "the model is asked",
            Begun,
            Box::new(with(&["POST /v1/chat/completions"])),
        ),
        (
            "the answer is written",
            Begun,
            Box::new(on("pwrite64(", "/cache.sled/db")),
        ),
        (
            "the answer is on disk",
            Done,
            Box::new(on("fdatasync(", "/cache.sled/db")),
        ),
        (
            "the answer is acknowledged",
            Begun,
            Box::new(with(&["write(2", "decided", "asked"])),
        ),
        (
            "the write is noted",
            Done,
            Box::new(on("fdatasync(", "/writes.jsonl")),
        ),
        (
            "the test file is whole",
            Done,
            Box::new(on("fsync(", ".tmp.part")),
        ),
        (
            "it is in its place",
            Done,
            Box::new(with(&["renameat2(", "cart_testsmith_test.go"])),
        ),
        ("and stays there", Done, Box::new(on("fsync(", "/project"))),
        (
            "the end is written",
            Begun,
            Box::new(on("pwrite64(", "/jobs.sled/db")),
        ),
        (
            "the end is on disk",
            Done,
            Box::new(on("fdatasync(", "/jobs.sled/db")),
        ),
        (
            "the end is told",
            Begun,
            Box::new(with(&["write(2", "job ended", "written"])),
        ),
    ]
}

#[test]
fn each_step_is_on_disk_before_the_next_begins() {
    if !have("strace", &["-V"]) {
        return;
    }
    let mut world = World::new(Script::default());
    world.save("go.mod", samples::GO_MOD);
    // The first look is the base line.
    assert!(world.watch_unready(&["--until-idle"]).end().0.success());
    world.save("cart.go", samples::GO);
    let trace = world.witness_file("trace");
    let mut command = world.by(std::process::Command::new("strace"));
    command
        .args(["-f", "-y", "-s", "4096", "-o"])
        .arg(&trace)
        .arg("-e")
        .arg("trace=pwrite64,fdatasync,fsync,write,writev,sendto,sendmsg,rename,renameat2")
        .arg(crate::support::world::program())
        .args([
            "watch",
            "--until-idle",
            "--log-format",
            "json",
            "--state-dir",
        ])
        .arg(world.state())
        .env("TESTSMITH_LOG", "testsmith=debug");
    let (status, _, log) = Daemon::spawn(command).end();
    assert!(status.success(), "{log}");
    let trace = fs::read_to_string(trace).unwrap();
    let calls = calls(&trace);

    let mut at = 0;
    for (what, phase, is_it) in &steps() {
        let found = calls[at..]
            .iter()
            .position(|(of, call)| of == phase && is_it(call));
        at += 1 + found.unwrap_or_else(|| panic!("not in its order: {what}:\n{trace}"));
    }
    // The first time that the model was asked, and not a later one.
    let asked = |(_, call): &&(Phase, String)| call.contains("POST /v1/chat/completions");
    assert_eq!(
        calls.iter().filter(asked).count(),
        2,
        "begun and done, once"
    );
}
