//! Secrets do not leave the machine, and answers do not steer it.

#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

mod support;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use rustix::process::Signal;
use support::daemon::Daemon;
use support::samples;
use support::world::{World, program, said};
use testsmith_simulator::Script;

const CANARY: &str = "AKIAQ3EGWZ5N7LXD2KVB";

/// `Connect` holds the canary on line 12; `Add` is clean.
fn keys() -> String {
    format!(
        "package shop\n\n// Add adds.\nfunc Add(a, b int) int {{\n\treturn a + b\n}}\n\n\
         // Connect tells the account.\nfunc Connect(test bool) string {{\n\tid := \"none\"\n\
         \tif test {{\n\t\tid = \"{CANARY}\"\n\t}}\n\treturn id\n}}\n"
    )
}

#[test]
fn a_member_with_a_secret_is_not_sent_and_the_clean_one_is_tested() {
    let mut world = World::new(Script::default().log_bodies());
    world.guard(CANARY);
    world.save("go.mod", samples::GO_MOD);
    world.save("TESTSMITH.md", format!("The account is {CANARY}.\n"));
    let mut daemon = world.watch(&[]);
    world.save("keys.go", keys());
    let told = daemon.wait("what is not sent", |line| {
        line["message"] == "a member is not sent to the model"
    });
    assert_eq!(told["member"], "Connect");
    let reason = told["reason"].as_str().unwrap();
    assert!(
        reason.starts_with("not sent: rule aws-access-key-id at line 12; "),
        "{reason}"
    );
    let ended = daemon.ended("keys.go");
    assert_eq!(ended["outcome"], "written", "{ended}");
    let tests = world.read("keys_testsmith_test.go");
    assert!(tests.contains("testsmith:begin Add "), "{tests}");
    assert!(!tests.contains("Connect"), "{tests}");
    let requests = world.requests();
    assert!(requests.iter().all(|request| request.members == ["Add"]));
    let sent = serde_json::to_string(&requests).unwrap();
    assert!(sent.contains("func Add(a, b int)"), "{sent}");
    assert!(!sent.contains(CANARY), "{sent}");
    let (_, _, log) = daemon.stop();
    assert!(!log.contains(CANARY), "{log}");
    assert!(log.contains("left out of the prompt, as it holds a secret"));
}

#[test]
fn what_the_user_lets_pass_is_sent() {
    let world = World::new(Script::default());
    world.save("go.mod", samples::GO_MOD);
    world.save("keys.go", keys());
    let allow = "secrets.allow=[\"aws-access-key-id\"]";
    let run = world.run(&["generate", "keys.go", "--set", allow]);
    assert!(run.status.success(), "{}", said(&run));
    assert_eq!(world.requests()[0].members, ["Add", "Connect"]);
}

#[test]
fn files_named_like_secrets_are_never_read() {
    let world = World::new(Script::default());
    world.save(
        "pyproject.toml",
        "[project]\nname = \"shop\"\nversion = \"1\"\n",
    );
    world.save(".gitignore", "!.env.py\n");
    for name in [".env.py", ".ssh/keys.py"] {
        world.save(name, samples::PYTHON);
        let run = world.run(&["generate", name]);
        assert!(!run.status.success());
        assert!(said(&run).contains("named like a secret"), "{}", said(&run));
    }
    let run = world.run(&["generate", "--all"]);
    assert!(run.status.success(), "{}", said(&run));
    assert!(world.requests().is_empty());
    world.save("id_map.py", samples::PYTHON);
    let run = world.run(&["generate", "--all"]);
    assert!(run.status.success(), "{}", said(&run));
    assert_eq!(world.requests().len(), 1, "a source is a source");
}

/// A core holds what was in memory: the key, and source.
#[cfg(target_os = "linux")]
#[test]
fn no_core_is_left() {
    let world = World::new(Script::default());
    world.save("go.mod", samples::GO_MOD);
    let mut command = std::process::Command::new("sh");
    command.args(["-c", "ulimit -S -c \"$(ulimit -H -c)\"; exec \"$@\"", "sh"]);
    command.arg(program());
    let mut command = world.by(command);
    command
        .args(["watch", "--log-format", "json", "--state-dir"])
        .arg(world.state());
    let mut daemon = Daemon::spawn(command);
    daemon.wait("`watching`", |line| line["message"] == "watching");
    let limits = fs::read_to_string(format!("/proc/{}/limits", daemon.id())).unwrap();
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"));
    let soft = core.and_then(|line| line.split_whitespace().nth(4));
    assert_eq!(soft, Some("0"), "{limits}");
    daemon.signal(Signal::ABORT);
    let (status, ..) = daemon.end();
    assert!(!status.success());
}

/// A model that answers every question with the same text. Ends with the last of `times` answers.
fn model_that_says(answer: &str, times: usize) -> (String, std::thread::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/v1", listener.local_addr().unwrap());
    let body = serde_json::json!({
        "id": "1", "object": "chat.completion", "created": 1, "model": "simulated\u{1b}]0;x\u{7}",
        "choices": [{"index": 0, "finish_reason": "stop",
            "message": {"role": "assistant", "content": answer}}],
        "usage": {"prompt_tokens": 1000, "completion_tokens": 10, "total_tokens": 1010},
    });
    let body = body.to_string();
    let served = std::thread::spawn(move || {
        for _ in 0..times {
            let (mut stream, _) = listener.accept().unwrap();
            let mut read = Vec::new();
            let mut piece = [0; 4096];
            loop {
                let count = stream.read(&mut piece).unwrap();
                read.extend_from_slice(&piece[..count]);
                let text = String::from_utf8_lossy(&read);
                let Some((head, sent)) = text.split_once("\r\n\r\n") else {
                    continue;
                };
                let length = head.lines().find_map(|line| {
                    let (name, value) = line.split_once(':')?;
                    let is_length = name.eq_ignore_ascii_case("content-length");
                    is_length.then(|| value.trim().parse::<usize>().unwrap())
                });
                if count == 0 || sent.len() >= length.unwrap_or(0) {
                    break;
                }
            }
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\
                 content-length: {}\r\n\r\n{body}",
                body.len()
            );
        }
    });
    (address, served)
}

#[test]
fn nothing_in_an_answer_steers_the_terminal_or_names_a_file() {
    let world = World::new(Script::default());
    world.save("go.mod", samples::GO_MOD);
    world.save("cart.go", samples::GO);
    let go = |name: &str, inside: &str| {
        format!(
            "func Test{name}_X(t *testing.T) {{\n\tif {name}(1) == 0 {{ t.Fatal(\"{inside}\") }}\n}}\n"
        )
    };
    let tests: Vec<_> = [
        ("../escaped", go("Twice", "path")),
        ("Twice\u{1b}[2J\u{0}", go("Twice", "name")),
        ("\u{202e}Add", go("Add", "order")),
        ("Add", go("Add", "\u{1b}]0;owned\u{7}\u{202e}")),
        ("Twice", go("Twice", "\u{9b}31m")),
    ]
    .into_iter()
    .map(|(name, code)| serde_json::json!({"name": name, "code": code}))
    .collect();
    let answer = serde_json::json!({ "tests": tests }).to_string();
    // Both together, both again, each alone: then it is given up.
    let (address, served) = model_that_says(&answer, 4);
    let mut command = world.command(&["generate", "cart.go", "--verbose", "--state-dir"]);
    command
        .arg(world.state())
        .env("TESTSMITH_LLM__BASE_URL", address)
        .env("TESTSMITH_LOG", "testsmith=debug");
    let run = command.output().unwrap();
    served.join().unwrap();
    assert_eq!(run.status.code(), Some(1), "{}", said(&run));
    let shown = said(&run);
    assert!(
        shown.contains("a control character; write it as an escape"),
        "{shown}"
    );
    let steers = |c: char| {
        (c.is_control() && !matches!(c, '\n' | '\t')) || ('\u{202a}'..='\u{202e}').contains(&c)
    };
    let found: Vec<&str> = shown.lines().filter(|line| line.contains(steers)).collect();
    assert!(found.is_empty(), "{found:#?}");
    assert!(!world.exists("cart_testsmith_test.go"));
    let mut files: Vec<String> = fs::read_dir(world.root())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    files.sort();
    assert_eq!(files, ["cart.go", "go.mod"]);
    assert!(!world.beside("escaped").exists());
}
