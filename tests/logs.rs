//! The log: what it says, where it is kept, and how it is read.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test without what it looks at has to fail"
)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use support::samples;
use support::world::{World, program, said};
use testsmith_simulator::Script;

fn go() -> World {
    let world = World::new(Script::default());
    world.save("go.mod", samples::GO_MOD);
    world
}

fn files(world: &World) -> Vec<PathBuf> {
    let entries = fs::read_dir(world.state().join("logs")).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn what_the_service_did_can_be_read_when_it_is_gone() {
    let world = go();
    let mut daemon = world.watch(&[]);
    world.save("cart.go", samples::GO);
    daemon.ended("cart.go");
    world.save(
        "price.go",
        "package shop\n\nfunc Half(a int) int { return a / 2 }\n",
    );
    daemon.ended("price.go");
    daemon.stop();

    let all = world.run(&["logs"]);
    let text = String::from_utf8_lossy(&all.stdout);
    assert!(
        all.status.success() && text.contains("watching"),
        "{}",
        said(&all)
    );
    let cart = world.run(&["logs", "--path", "cart.go", "--json"]);
    let lines: Vec<Value> = String::from_utf8_lossy(&cart.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    // Complete and quiet: one line for the job, with its outcome and figures.
    assert_eq!(lines.len(), 1, "{lines:#?}");
    assert_eq!(lines[0]["message"], "job ended");
    assert_eq!(lines[0]["outcome"], "written");
    assert_eq!(lines[0]["members"], 2);
    assert_eq!(lines[0]["attempts"], 1);
    let job = lines[0]["span"]["job_id"].as_str().unwrap();
    let by_job = world.run(&["logs", "--job", job]);
    assert!(said(&by_job).contains("job ended") && said(&by_job).lines().count() == 1);
    assert_eq!(said(&world.run(&["logs", "--level", "warn"])), "");
    assert_eq!(said(&world.run(&["logs", "--grep", "nothing of this"])), "");
    assert_eq!(said(&world.run(&["logs", "-n", "1"])).lines().count(), 1);
    assert!(said(&world.run(&["logs", "--since", "1h"])).contains("stopped"));
    assert_eq!(said(&world.run(&["logs", "--since", "2099-01-01"])), "");
    let bad = world.run(&["logs", "--since", "tuesday"]);
    assert_eq!(bad.status.code(), Some(2), "{}", said(&bad));

    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&files(&world)[0]), 0o600, "for this user only");
}

#[test]
fn following_goes_on_over_the_change_of_files() {
    let world = go();
    let limits = ["--set", "log.max_size=1KiB", "--set", "log.max_total=1MiB"];
    let mut daemon = world.watch(&limits);
    let mut command = world.command(&["logs", "--follow", "--lines", "0", "--json", "--state-dir"]);
    let mut logs = command
        .arg(world.state())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(logs.stdout.take().unwrap()).lines();
    let mut seen = BTreeSet::new();
    for number in 0..12 {
        let name = format!("part{number}.go");
        world.save(
            &name,
            format!("package shop\n\nfunc Part{number}(a int) int {{ return a }}\n"),
        );
        daemon.ended(&name);
        while !seen.contains(&name) {
            let line: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
            if line["message"] == "job ended" {
                assert!(
                    seen.insert(line["span"]["path"].as_str().unwrap().to_owned()),
                    "twice"
                );
            }
        }
    }
    logs.kill().unwrap();
    logs.wait().unwrap();
    assert!(files(&world).len() > 3, "{:?}", files(&world));
}

#[test]
fn no_files_are_kept_if_none_are_wanted_and_the_level_is_obeyed() {
    let world = go();
    let daemon = world.watch(&["--set", "log.files=never"]);
    daemon.stop();
    assert!(!world.state().join("logs").exists());
    let mut command = world.command(&["watch", "--until-idle", "--state-dir"]);
    command.arg(world.state()).env("TESTSMITH_LOG", "off");
    command.output().unwrap();
    assert_eq!(said(&world.run(&["logs"])), "");
    let daemon = world
        .command(&[
            "watch",
            "--until-idle",
            "--set",
            "log.level=warn",
            "--state-dir",
        ])
        .arg(world.state())
        .output()
        .unwrap();
    assert_eq!(said(&daemon), "");
}

#[test]
fn a_second_instance_leaves_the_first_one_s_log_alone() {
    let world = go();
    let daemon = world.watch(&[]);
    let before = fs::read(&files(&world)[0]).unwrap();
    assert_eq!(world.run(&["watch"]).status.code(), Some(75));
    assert_eq!(fs::read(&files(&world)[0]).unwrap(), before);
    drop(daemon);
}

/// An event in the source: level, message, fields.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Event {
    level: String,
    message: String,
    fields: BTreeSet<String>,
}

/// The page on logs has a row for each event with its level and its fields, and no other rows.
/// The real thing: a journald of the test's own, in namespaces.
#[cfg(target_os = "linux")]
#[test]
fn a_real_journal_is_written_and_read() {
    const JOURNALD: &str = "/usr/lib/systemd/systemd-journald";
    if !Path::new(JOURNALD).exists() {
        println!("skipped: systemd-journald not found");
        return;
    }
    let world = go();
    let script = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/support/journal.sh"
    );
    let mut unshare = Command::new("unshare");
    unshare
        .args(["--mount", "--pid", "--fork", "--mount-proc", "--kill-child"])
        .args(["sh", script]);
    let ran = world
        .by(unshare)
        .env("T", program())
        .env("STATE", world.state())
        .env("JOURNALD", JOURNALD)
        .output();
    let Ok(ran) = ran else {
        println!("skipped: unshare not found");
        return;
    };
    let said = said(&ran);
    if ran.status.code() == Some(77) || said.contains("unshare failed") {
        println!("skipped: no journald can be started here: {said}");
        return;
    }
    let line = |name: &str| {
        let start = format!("{name}: ");
        let line = said.lines().find_map(|line| line.strip_prefix(&start));
        line.unwrap_or_else(|| panic!("no `{name}` in:\n{said}"))
    };
    let followed: Value = serde_json::from_str(line("followed")).unwrap();
    assert_eq!(followed["message"], "job ended", "{said}");
    assert_eq!(followed["path"], "cart.go", "{said}");
    assert_eq!(line("by its field"), "job ended", "{said}");
    let one = line("one job");
    assert!(
        one.contains("INFO") && one.contains("job ended") && one.contains("outcome=written"),
        "{said}"
    );
    let json: Value = serde_json::from_str(line("as json")).unwrap();
    assert_eq!(
        (&json["level"], &json["outcome"]),
        (&"INFO".into(), &"written".into())
    );
    assert_eq!(json["timestamp"].as_str().map(str::len), Some(24), "{said}");
    assert_eq!(line("warnings"), "0", "{said}");
    assert_eq!(line("files"), "in-journal ", "no files beside the journal");
    assert_eq!(line("ended"), "1", "{said}");
}

#[test]
fn every_event_has_its_row() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let mut events = BTreeMap::new();
    for folder in fs::read_dir(format!("{root}/crates")).unwrap() {
        each_source(&folder.unwrap().path().join("src"), &mut |path, text| {
            for event in events_in(text) {
                events.insert(event, path.display().to_string());
            }
        });
    }
    assert!(events.len() > 60, "the scan finds the events");
    let page = fs::read_to_string(format!("{root}/docs/logs.md")).unwrap();
    let rows: BTreeSet<Event> = page.lines().filter_map(row).collect();
    let missing: Vec<String> = events
        .keys()
        .filter(|event| !rows.contains(event))
        .map(
            |Event {
                 level,
                 message,
                 fields,
             }| {
                let fields: Vec<String> = fields.iter().map(|field| format!("`{field}`")).collect();
                format!("| {level} | `{message}` | {} |", fields.join(", "))
            },
        )
        .collect();
    assert!(
        missing.is_empty(),
        "docs/logs.md lacks:\n{}",
        missing.join("\n")
    );
    let stale: Vec<&Event> = rows
        .iter()
        .filter(|row| !events.contains_key(row))
        .collect();
    assert!(
        stale.is_empty(),
        "docs/logs.md tells of what is not logged: {stale:#?}"
    );
}

fn each_source(folder: &Path, take: &mut impl FnMut(&Path, &str)) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries {
        let path = entry.unwrap().path();
        let is_test = path.file_stem().is_some_and(|stem| stem == "tests");
        if path.is_dir() && !is_test {
            each_source(&path, take);
        } else if path.extension().is_some_and(|extension| extension == "rs") && !is_test {
            let text = fs::read_to_string(&path).unwrap();
            take(
                &path,
                text.split("#[cfg(test)]\nmod tests {").next().unwrap(),
            );
        }
    }
}

/// The calls `tracing::level!(…)` in a source.
fn events_in(text: &str) -> Vec<Event> {
    let mut events = Vec::new();
    for (start, _) in text.match_indices("tracing::") {
        let rest = &text[start + "tracing::".len()..];
        let Some((name, _)) = rest.split_once('!') else {
            continue;
        };
        if !["error", "warn", "info", "debug", "trace", "event"].contains(&name) {
            continue;
        }
        let mut parts = arguments(&rest[name.len() + 1..]);
        let mut level = name.to_owned();
        if name == "event" {
            // Whatever level it is given: the row says.
            parts.remove(0);
            "info, warn".clone_into(&mut level);
        }
        let message = parts.pop().unwrap();
        let message = message.strip_prefix('"').and_then(|m| m.strip_suffix('"'));
        let message = message.unwrap_or_else(|| panic!("an event without a message: {parts:?}"));
        assert!(
            !message.contains('{'),
            "values belong into fields: {message}"
        );
        let fields = parts
            .iter()
            .filter(|part| !part.starts_with("target:"))
            .map(|part| {
                let name = part.split('=').next().unwrap().trim();
                name.trim_start_matches(['%', '?']).to_owned()
            })
            .collect();
        let message = message
            .replace("\\\n", "")
            .replace("\\\"", "\"")
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        events.push(Event {
            level,
            message,
            fields,
        });
    }
    events
}

/// The arguments between the parentheses that `text` begins with.
fn arguments(text: &str) -> Vec<String> {
    let (mut parts, mut part) = (Vec::new(), String::new());
    let (mut depth, mut quoted, mut escaped) = (0, false, false);
    for c in text.chars() {
        if quoted {
            part.push(c);
            quoted = escaped || c != '"';
            escaped = !escaped && c == '\\';
            continue;
        }
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            '"' => quoted = true,
            _ => {}
        }
        if depth == 0 || (c == ',' && depth == 1) {
            parts.push(part.trim().to_owned());
            part.clear();
            if depth == 0 {
                break;
            }
        } else if depth > 1 || c != '(' {
            part.push(c);
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}

/// A row of a table of events: `| level | message | fields |`.
fn row(line: &str) -> Option<Event> {
    let mut cells = line.strip_prefix("| ")?.split(" | ");
    let level = cells.next()?.to_owned();
    let is_level = |word: &str| ["error", "warn", "info", "debug", "trace"].contains(&word);
    if !level.split(", ").all(is_level) {
        return None;
    }
    let message = cells.next()?.trim_matches('`').trim().to_owned();
    // Code is in single back quotes, and in double ones if it has single ones in it.
    let fields = cells
        .next()?
        .split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect();
    Some(Event {
        level,
        message,
        fields,
    })
}
