//! Answers that were paid for in one place and used in another.

#![expect(
    clippy::unwrap_used,
    reason = "a test without what it looks at has to fail"
)]

mod support;

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;
use support::samples;
use support::world::{World, said};
use testsmith_simulator::Script;

fn go() -> World {
    let world = World::new(Script::default());
    world.save("go.mod", samples::GO_MOD);
    world
}

/// One that has two answers in its cache.
fn paid() -> World {
    let world = go();
    world.save("cart.go", samples::GO);
    let run = world.run(&["generate", "--all"]);
    assert!(run.status.success(), "{}", said(&run));
    assert_eq!(world.requests().len(), 1);
    world
}

/// One whose model cannot be asked.
fn without_model() -> World {
    let mut world = go();
    world.stop_model();
    world
}

fn export(world: &World, name: &str) -> PathBuf {
    let file = world.beside(name);
    let run = world.run(&["cache", "export", file.to_str().unwrap()]);
    assert!(run.status.success(), "{}", said(&run));
    file
}

fn import(world: &World, file: &Path) -> Output {
    world.run(&["cache", "import", file.to_str().unwrap()])
}

fn told(output: &Output) -> String {
    assert!(output.status.success(), "{}", said(output));
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Generates without a model, from the cache alone.
fn generates_from_cache(world: &World) {
    world.save("cart.go", samples::GO);
    let run = world.run(&["generate", "--all", "--verbose"]);
    let text = said(&run);
    assert!(run.status.success(), "{text}");
    assert!(
        text.contains("LLM cache — hits: 2 misses: 0 entries: 2"),
        "{text}"
    );
    assert!(world.exists("cart_testsmith_test.go"));
}

#[test]
fn answers_are_paid_for_once_for_two_state_directories() {
    let from = paid();
    let file = export(&from, "answers.jsonl");
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let text = fs::read_to_string(&file).unwrap();
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines[0].to_string(), r#"{"entries":2,"testsmith_cache":1}"#);
    assert!(text.starts_with("{\"testsmith_cache\":1,\"entries\":2}\n"));
    let keys: Vec<&str> = lines[1..]
        .iter()
        .map(|line| line["key"].as_str().unwrap())
        .collect();
    assert!(keys.len() == 2 && keys[0] < keys[1] && keys[0].len() == 64);
    assert!(lines[1]["created"].is_u64());
    assert!(lines[1]["body"]["code"].as_str().unwrap().contains("func"));

    let to = without_model();
    let done = told(&import(&to, &file));
    assert_eq!(done, "2 answers added, 0 there already, 0 too old\n");
    let done = told(&import(&to, &file));
    assert_eq!(done, "0 answers added, 2 there already, 0 too old\n");
    generates_from_cache(&to);
    assert_eq!(
        to.read("cart_testsmith_test.go"),
        from.read("cart_testsmith_test.go")
    );
    // Neither way, time or use of an answer changes what is exported.
    let again = export(&to, "again.jsonl");
    assert_eq!(fs::read_to_string(again).unwrap(), text);
}

#[test]
fn daemons_give_and_take_them_while_they_run() {
    let from = go();
    let mut giver = from.watch(&[]);
    from.save("cart.go", samples::GO);
    giver.ended("cart.go");
    let file = export(&from, "answers.jsonl");
    drop(giver);
    let direct = export(&from, "direct.jsonl");
    assert_eq!(
        fs::read_to_string(&file).unwrap(),
        fs::read_to_string(direct).unwrap(),
        "it is the same with a daemon and without one"
    );

    let to = without_model();
    let mut taker = to.watch(&[]);
    let done = to.run(&["cache", "import", "--json", file.to_str().unwrap()]);
    let done: Value = serde_json::from_str(&told(&done)).unwrap();
    assert_eq!(done.to_string(), r#"{"added":2,"expired":0,"present":0}"#);
    let line = taker.wait("`answers imported`", |line| {
        line["message"] == "answers imported on request"
    });
    assert_eq!(line["answers"], 2);
    to.save("cart.go", samples::GO);
    let ended = taker.ended("cart.go");
    assert_eq!(
        (&ended["outcome"], &ended["cache_hits"], &ended["calls"]),
        (&"written".into(), &2.into(), &0.into()),
        "{ended}"
    );
    // They are on disk: a killed daemon has lost none.
    taker.kill();
    let stats = told(&to.run(&["cache", "stats"]));
    assert!(stats.contains("entries: 2"), "{stats}");
}

#[test]
fn many_answers_go_through_the_socket_in_pieces() {
    let from = go();
    let many = big(&from, 0..3000, 1000);
    let done = told(&import(&from, &many));
    assert_eq!(done, "3000 answers added, 0 there already, 0 too old\n");
    let taken = export(&from, "direct.jsonl");
    assert_eq!(fs::read(&taken).unwrap(), fs::read(&many).unwrap());

    let to = go();
    let daemon = to.watch(&[]);
    let done = told(&import(&to, &many));
    assert_eq!(done, "3000 answers added, 0 there already, 0 too old\n");
    let served = export(&to, "served.jsonl");
    assert_eq!(fs::read(&served).unwrap(), fs::read(&many).unwrap());
    // Each of these is longer than any other request to the socket may be.
    let long = big(&to, 3000..3002, 3 << 20);
    let done = told(&import(&to, &long));
    assert_eq!(done, "2 answers added, 0 there already, 0 too old\n");
    let served = export(&to, "served.jsonl");
    assert_eq!(fs::read_to_string(served).unwrap().lines().count(), 3003);
    drop(daemon);
}

/// A file of answers with so much code under these keys.
fn big(world: &World, keys: std::ops::Range<u32>, bytes: usize) -> PathBuf {
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let (answers, code) = (keys.len(), "x".repeat(bytes));
    let file = world.beside(&format!("big-{answers}.jsonl"));
    let mut text = format!("{{\"testsmith_cache\":1,\"entries\":{answers}}}\n");
    for key in keys {
        let body = format!("{{\"code\":\"{code}\",\"model\":\"m\"}}");
        text.push_str(&format!(
            "{{\"key\":\"{key:064x}\",\"created\":{now},\"body\":{body}}}\n"
        ));
    }
    fs::write(&file, text).unwrap();
    file
}

#[test]
fn standard_streams_will_do() {
    let from = paid();
    let file = export(&from, "answers.jsonl");
    for args in [&["cache", "export"][..], &["cache", "export", "-"]] {
        let run = from.run(args);
        assert!(run.status.success(), "{}", said(&run));
        assert_eq!(run.stdout, fs::read(&file).unwrap(), "nothing else");
        let remark = String::from_utf8(run.stderr).unwrap();
        let length = fs::metadata(&file).unwrap().len();
        assert_eq!(
            remark,
            format!(
                "no daemon runs; this is what the state tells\n\
                 2 answers written to standard output ({length} bytes)\n"
            )
        );
    }
    let to = without_model();
    for (args, wanted) in [
        (&["cache", "import"][..], "2 answers added, 0 there"),
        (&["cache", "import", "-"], "0 answers added, 2 there"),
    ] {
        let mut command = to.command(args);
        command.arg("--state-dir").arg(to.state());
        command.stdin(File::open(&file).unwrap());
        let done = told(&command.output().unwrap());
        assert!(done.starts_with(wanted), "{done}");
    }
    generates_from_cache(&to);

    let json = from.run(&["cache", "export", "--json"]);
    assert_eq!(json.status.code(), Some(2), "{}", said(&json));
    assert!(said(&json).contains("name a FILE"), "{}", said(&json));
    assert!(json.stdout.is_empty());
    let json = from.run(&["cache", "export", "--json", file.to_str().unwrap()]);
    let json: Value = serde_json::from_str(&told(&json)).unwrap();
    assert_eq!(json["exported"], 2);
    assert_eq!(json["file"], file.to_str().unwrap());
}

#[test]
fn a_broken_file_is_told_with_its_line_and_what_came_before_is_kept() {
    let from = paid();
    let file = export(&from, "answers.jsonl");
    let text = fs::read_to_string(&file).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let broken = from.beside("broken.jsonl");
    let shown = broken.display();
    let [header, first, second] = lines[..] else {
        unreachable!("{text}");
    };
    for (content, added, wanted) in [
        (String::new(), None, format!("`{shown}` is empty")),
        (
            format!("{first}\n"),
            None,
            format!("`{shown}`, line 1: this is no header"),
        ),
        (
            header.replace(":1,", ":9,"),
            None,
            "is of version 9".to_owned(),
        ),
        (
            format!("{header}\n{first}\n{}", &second[..second.len() - 3]),
            Some(1),
            format!("`{shown}`, line 3: this is no answer: EOF while parsing"),
        ),
        (
            format!(
                "{header}\n{first}\n{}\n",
                second.replace("\"key\":\"", "\"key\":\"x")
            ),
            Some(0),
            format!("`{shown}`, line 3: this is no answer: a digest has 64 hex digits"),
        ),
        (
            format!("{header}\n{second}\n"),
            Some(1),
            format!("`{shown}` holds 1 answer, and its header says 2"),
        ),
    ] {
        fs::write(&broken, content).unwrap();
        let to = without_model();
        if added == Some(0) {
            told(&import(&to, &file));
        }
        let run = import(&to, &broken);
        assert_eq!(run.status.code(), Some(1), "{}", said(&run));
        assert!(said(&run).contains(&wanted), "{wanted}: {}", said(&run));
        match added {
            None => assert!(!to.state().exists(), "nothing is made for no file"),
            Some(added) => {
                let counts = format!(
                    "testsmith: {added} answer{}",
                    if added == 1 { " added, " } else { "s added, " }
                );
                assert!(said(&run).starts_with(&counts), "{}", said(&run));
                let stats = told(&to.run(&["cache", "stats"]));
                let kept = if added == 0 { 2 } else { added };
                assert!(stats.contains(&format!("entries: {kept}\n")), "{stats}");
            }
        }
    }
}

#[test]
fn an_export_writes_its_file_whole_or_not_at_all() {
    let world = paid();
    let file = world.beside("answers.jsonl");
    fs::write(&file, "old").unwrap();
    let link = world.beside("link.jsonl");
    std::os::unix::fs::symlink(&file, &link).unwrap();
    // The state cannot be read: the old file stays.
    let version = world.state().join("version");
    let known = fs::read(&version).unwrap();
    fs::write(&version, "999\n999\n").unwrap();
    let run = world.run(&["cache", "export", file.to_str().unwrap()]);
    assert_eq!(run.status.code(), Some(64), "{}", said(&run));
    assert_eq!(fs::read_to_string(&file).unwrap(), "old");
    fs::write(&version, known).unwrap();

    export(&world, "link.jsonl");
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert!(fs::read_to_string(&file).unwrap().lines().count() == 3);
    let beside: Vec<_> = fs::read_dir(world.beside(""))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .filter(|name| name.to_string_lossy().starts_with(".tmp"))
        .collect();
    assert!(beside.is_empty(), "{beside:?}");
    for (place, wanted) in [
        (world.root(), "and no file"),
        (world.beside("no/such/folder.jsonl"), "No such file"),
    ] {
        let run = world.run(&["cache", "export", place.to_str().unwrap()]);
        assert_eq!(run.status.code(), Some(1), "{}", said(&run));
        assert!(said(&run).contains(wanted), "{}", said(&run));
    }
}

#[test]
fn old_answers_are_not_taken() {
    let from = paid();
    let file = export(&from, "answers.jsonl");
    let text = fs::read_to_string(&file).unwrap();
    let entry: Value = serde_json::from_str(text.lines().nth(1).unwrap()).unwrap();
    let created = entry["created"].as_u64().unwrap();
    let old = created - 31 * 24 * 60 * 60;
    let aged = text.replacen(
        &format!("\"created\":{created}"),
        &format!("\"created\":{old}"),
        1,
    );
    fs::write(&file, aged).unwrap();
    let to = without_model();
    let done = told(&import(&to, &file));
    assert_eq!(done, "1 answer added, 0 there already, 1 too old\n");
}
