//! Save a file, get its tests: the real program, real files, real toolchains.

mod support;

use std::process::Command;
use std::time::Duration;

use support::samples;
use support::tools::have;
use support::world::{World, said};
use testsmith_simulator::{Fault, Latency, RetryAfter, Rule, Script};

fn slow(ms: u64) -> Script {
    Script::default().latency(Latency::fixed(Duration::from_millis(ms)))
}

#[test]
fn a_saved_go_file_gets_tests_that_pass() {
    let world = World::new(Script::default());
    world.save("go.mod", samples::GO_MOD);
    let mut daemon = world.watch(&[]);
    world.save("cart.go", samples::GO);
    let ended = daemon.ended("cart.go");
    assert_eq!(ended["outcome"], "written", "{ended}");
    assert_eq!(ended["calls"], 1, "one call for the whole file");
    assert_eq!(ended["members"], 2);
    let tests = world.read("cart_testsmith_test.go");
    assert!(tests.contains("// testsmith:begin Add key="), "{tests}");
    assert!(tests.contains("// testsmith:end Twice"), "{tests}");
    assert_eq!(world.requests()[0].members, ["Add", "Twice"]);
    if have("go", &["version"]) {
        let go = Command::new("go")
            .args(["test", "./..."])
            .current_dir(world.root())
            .env("GOFLAGS", "-mod=mod")
            .env("GOPROXY", "off")
            .env("GOTOOLCHAIN", "local")
            .output()
            .unwrap();
        assert!(go.status.success(), "{}", said(&go));
    }
}

#[test]
fn a_saved_python_file_gets_tests_that_pass() {
    let world = World::new(Script::default());
    world.save(
        "pyproject.toml",
        "[project]\nname = \"shop\"\nversion = \"1\"\n[dependency-groups]\ntest = [\"pytest\"]\n",
    );
    let mut daemon = world.watch(&[]);
    world.save("shop/cart.py", samples::PYTHON);
    let ended = daemon.ended("shop/cart.py");
    assert_eq!(ended["outcome"], "written", "{ended}");
    let path = ended["test_path"].as_str().unwrap().to_owned();
    assert!(path.starts_with("tests/testsmith/test_shop_cart"), "{path}");
    let tests = world.read(&path);
    assert!(tests.contains("# testsmith:begin add key="), "{tests}");
    assert!(!tests.contains("_hidden"), "{tests}");
    if have("python3", &["-m", "pytest", "--version"]) {
        let pytest = Command::new("python3")
            .args(["-m", "pytest", "-q", "-p", "no:cacheprovider"])
            .current_dir(world.root())
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .output()
            .unwrap();
        assert!(pytest.status.success(), "{}", said(&pytest));
    }
}

#[test]
fn a_saved_javascript_file_gets_tests_that_pass() {
    let world = World::new(Script::default());
    world.save("package.json", "{\"name\":\"shop\",\"type\":\"module\"}\n");
    let mut daemon = world.watch(&[]);
    world.save("src/cart.js", samples::JAVASCRIPT);
    let ended = daemon.ended("src/cart.js");
    assert_eq!(ended["outcome"], "written", "{ended}");
    assert_eq!(ended["test_path"], "src/cart.testsmith.test.js");
    if have("node", &["--version"]) {
        let node = Command::new("node")
            .args(["--test", "src/"])
            .current_dir(world.root())
            .output()
            .unwrap();
        assert!(node.status.success(), "{}", said(&node));
    }
}

#[test]
fn a_saved_typescript_file_gets_tests_that_pass() {
    let world = World::new(Script::default());
    world.save(
        "package.json",
        "{\"devDependencies\":{\"vitest\":\"^3\"}}\n",
    );
    let mut daemon = world.watch(&[]);
    world.save("src/cart.ts", samples::TYPESCRIPT);
    let ended = daemon.ended("src/cart.ts");
    assert_eq!(ended["outcome"], "written", "{ended}");
    let tests = world.read("src/cart.testsmith.test.ts");
    assert!(
        tests.contains("from './cart'") || tests.contains("from \"./cart\""),
        "{tests}"
    );
    assert!(
        tests.contains("'vitest'") || tests.contains("\"vitest\""),
        "{tests}"
    );
    assert_eq!(world.requests()[0].members, ["add", "twice"]);
}

#[test]
fn after_a_restart_nothing_is_asked_again() {
    let world = World::new(Script::default());
    world.save("go.mod", samples::GO_MOD);
    world.save("cart.go", samples::GO);
    let first = world.run(&["generate", "--all", "--verbose"]);
    assert!(first.status.success(), "{}", said(&first));
    assert!(
        said(&first).ends_with("LLM cache — hits: 0 misses: 2 entries: 2\n")
            || said(&first).contains("LLM cache — hits: 0 misses: 2 entries: 2"),
        "{}",
        said(&first)
    );
    assert_eq!(world.requests().len(), 1);
    // The same functions in a file of another name: everything comes from the cache.
    std::fs::rename(world.root().join("cart.go"), world.root().join("basket.go")).unwrap();
    std::fs::remove_file(world.root().join("cart_testsmith_test.go")).unwrap();
    let second = world.run(&["generate", "--all", "--verbose"]);
    assert!(second.status.success(), "{}", said(&second));
    let out = String::from_utf8_lossy(&second.stdout).into_owned();
    assert_eq!(
        out.lines().last(),
        Some("LLM cache — hits: 2 misses: 0 entries: 2"),
        "{out}"
    );
    assert_eq!(world.requests().len(), 1, "no second call");
    assert!(world.exists("basket_testsmith_test.go"));
}

#[test]
fn only_the_function_that_changed_is_asked_for() {
    let world = World::new(Script::default());
    world.save("go.mod", samples::GO_MOD);
    let mut daemon = world.watch(&[]);
    world.save("cart.go", samples::GO);
    daemon.ended("cart.go");
    world.save("cart.go", samples::GO.replace("a + b", "a  +  b"));
    assert_eq!(daemon.ended("cart.go")["outcome"], "up_to_date");
    assert_eq!(world.requests().len(), 1, "a new layout costs nothing");
    world.save("cart.go", samples::GO.replace("a * 2", "a + a"));
    assert_eq!(daemon.ended("cart.go")["calls"], 1);
    assert_eq!(world.requests()[1].members, ["Twice"]);
    world.save("cart.go", samples::GO);
    let back = daemon.ended("cart.go");
    assert_eq!(
        (&back["calls"], &back["outcome"]),
        (&0.into(), &"written".into()),
        "{back}"
    );
}

#[test]
fn an_edited_block_is_the_user_s_and_a_deleted_one_stays_deleted() {
    let world = World::new(Script::default());
    world.save("go.mod", samples::GO_MOD);
    let mut daemon = world.watch(&[]);
    world.save("cart.go", samples::GO);
    daemon.ended("cart.go");
    let tests = world.read("cart_testsmith_test.go");
    // The user edits the block of Add and deletes that of Twice.
    let (head, rest) = tests.split_once("// testsmith:begin Twice").unwrap();
    let (_, tail) = rest.split_once("// testsmith:end Twice").unwrap();
    let mine = head.replacen(
        "func TestAdd(t *testing.T) {",
        "func TestAdd(t *testing.T) {\n\tt.Log(\"mine\")",
        1,
    );
    assert_ne!(mine, head, "{tests}");
    let mine = format!("{mine}{}", tail.trim_start());
    world.save("cart_testsmith_test.go", &mine);
    // Both functions change: Add stays the user's; Twice is new code, and gets a test again.
    world.save("cart.go", samples::GO.replace("a + b", "b + a"));
    let ended = daemon.ended("cart.go");
    assert_eq!(ended["calls"], 0, "{ended}");
    assert_eq!(
        world.read("cart_testsmith_test.go"),
        mine,
        "nothing is touched"
    );
    world.save("cart.go", samples::GO.replace("a * 2", "a + a"));
    assert_eq!(daemon.ended("cart.go")["calls"], 1);
    let tests = world.read("cart_testsmith_test.go");
    assert!(
        tests.contains("t.Log(\"mine\")") && tests.contains("testsmith:begin Twice"),
        "{tests}"
    );

    // All blocks are cut out: what is left are imports of ours, with which Go compiles no package.
    let (head, _) = tests.split_once("// testsmith:begin").unwrap();
    world.save("cart_testsmith_test.go", head);
    let remark = samples::GO.replace("a * 2", "a + a") + "\n// A remark.\n";
    world.save("cart.go", remark);
    assert_eq!(daemon.ended("cart.go")["calls"], 0);
    assert!(!world.exists("cart_testsmith_test.go"));
    let asked_for = world.run(&["generate", "cart.go"]);
    assert!(asked_for.status.success(), "{}", said(&asked_for));
    assert!(
        !world.exists("cart_testsmith_test.go"),
        "deleted is deleted"
    );
}

#[test]
fn a_removed_source_takes_its_unedited_tests_along_and_a_renamed_one_moves_them() {
    let world = World::new(Script::default());
    world.save("go.mod", samples::GO_MOD);
    let mut daemon = world.watch(&[]);
    world.save("cart.go", samples::GO);
    daemon.ended("cart.go");
    std::fs::rename(world.root().join("cart.go"), world.root().join("basket.go")).unwrap();
    support::world::wait_until("move of the tests", || {
        world.exists("basket_testsmith_test.go") && !world.exists("cart_testsmith_test.go")
    });
    assert_eq!(world.requests().len(), 1, "a new name costs nothing");
    std::fs::remove_file(world.root().join("basket.go")).unwrap();
    support::world::wait_until("removal of the tests", || {
        !world.exists("basket_testsmith_test.go")
    });
    let (status, _, log) = daemon.stop();
    assert_eq!(status.code(), Some(0), "{log}");
}

#[test]
fn retries_wait_and_the_server_s_wish_is_obeyed() {
    let script = Script::default()
        .rule(Rule::from(Fault::status(500)).nth(1))
        .rule(Rule::from(Fault::status(429).retry_after(RetryAfter::Seconds(0.7))).nth(2));
    let world = World::new(script);
    world.save("go.mod", samples::GO_MOD);
    world.save("cart.go", samples::GO);
    let run = world.run(&["generate", "--all"]);
    assert!(run.status.success(), "{}", said(&run));
    let requests = world.requests();
    assert_eq!(requests.len(), 3, "three attempts");
    let gap = |n: usize| requests[n].arrived_ms - requests[n - 1].arrived_ms;
    assert!(gap(1) >= 200.0, "200 ms before the second: {}", gap(1));
    assert!(
        gap(2) >= 700.0,
        "what the server asked before the third: {}",
        gap(2)
    );
}

#[test]
fn with_batching_off_each_member_is_a_call() {
    let world = World::new(Script::default());
    world.save("go.mod", samples::GO_MOD);
    world.save("cart.go", samples::GO);
    let run = world.run(&["generate", "--all", "--set", "batch.enabled=false"]);
    assert!(run.status.success(), "{}", said(&run));
    let requests = world.requests();
    assert_eq!(requests.len(), 2);
    assert!(requests.iter().all(|request| request.members.len() == 1));
    let tests = world.read("cart_testsmith_test.go");
    assert!(
        tests.contains("begin Add") && tests.contains("begin Twice"),
        "{tests}"
    );
}

#[test]
fn no_more_calls_are_open_than_permits() {
    let world = World::new(slow(150));
    world.save("go.mod", samples::GO_MOD);
    for number in 0..20 {
        let text = samples::GO
            .replace("Add", &format!("Add{number}"))
            .replace("Twice", &format!("Twice{number}"));
        world.save(
            &format!("part{number}.go"),
            text.replace("a + b", &format!("a + b + {number}"))
                .replace("a * 2", &format!("a * {number}")),
        );
    }
    let run = world.run(&["generate", "--all"]);
    assert!(run.status.success(), "{}", said(&run));
    assert_eq!(world.requests().len(), 20, "one call a file");
    let open = world.simulator().max_open();
    assert!(
        (2..=5).contains(&open),
        "several at once, and never more than five: {open}"
    );
}

#[test]
fn without_a_model_there_are_scaffolds_and_a_model_replaces_them() {
    let world = World::new(Script::default());
    world.save("go.mod", samples::GO_MOD);
    world.save("cart.go", samples::GO);
    let offline = world.run(&[
        "generate",
        "--all",
        "--set",
        "llm.provider=offline",
        "--set",
        "llm.base_url=http://127.0.0.1:9/v1",
    ]);
    assert!(offline.status.success(), "{}", said(&offline));
    let tests = world.read("cart_testsmith_test.go");
    assert!(tests.contains("t.Skip("), "{tests}");
    assert_eq!(world.requests().len(), 0);
    // No file is saved, nor named: the service sees by itself that there is a model now.
    let (status, _, log) = world.watch_unready(&["--until-idle"]).end();
    assert!(status.success(), "{log}");
    let tests = world.read("cart_testsmith_test.go");
    assert!(!tests.contains("waiting for a model"), "{tests}");
    assert_eq!(world.requests().len(), 1);
}

#[test]
fn several_roots_in_one_daemon_share_its_permits() {
    let world = World::new(slow(150));
    world.save("go.mod", samples::GO_MOD);
    let other = world.beside("other");
    std::fs::create_dir(&other).unwrap();
    std::fs::write(other.join("go.mod"), samples::GO_MOD).unwrap();
    let root = world.root();
    let roots = [root.to_str().unwrap(), other.to_str().unwrap()];
    let mut daemon =
        world.watch_unready(&[&["--set", "llm.max_concurrent_calls=2"], &roots[..]].concat());
    for _ in roots {
        daemon.wait("`watching`", |line| line["message"] == "watching");
    }
    for number in 0..4 {
        let text = samples::GO
            .replace("Add", &format!("Add{number}"))
            .replace("Twice", &format!("Twice{number}"))
            .replace("a + b", &format!("a + b + {number}"));
        world.save(&format!("part{number}.go"), &text);
        std::fs::write(
            other.join(format!("part{number}.go")),
            text.replace("a * 2", "a * 3"),
        )
        .unwrap();
    }
    support::world::wait_until("tests in both roots", || {
        (0..4).all(|number| {
            let tests = format!("part{number}_testsmith_test.go");
            world.exists(&tests) && other.join(&tests).exists()
        })
    });
    assert_eq!(world.requests().len(), 8);
    assert!(world.simulator().max_open() <= 2, "one semaphore for both");
}

#[test]
fn its_own_writes_wake_nothing() {
    let world = World::new(Script::default());
    world.save("go.mod", samples::GO_MOD);
    let mut daemon = world.watch(&[]);
    world.save("cart.go", samples::GO);
    assert_eq!(daemon.ended("cart.go")["outcome"], "written");
    // The tests it wrote for the first file are older than this save: had they been a change, its
    // job would have come first.
    world.save(
        "late.go",
        samples::GO.replace("Add", "Late").replace("Twice", "Later"),
    );
    daemon.ended("late.go");
    let (_, _, log) = daemon.stop();
    assert_eq!(log.matches("\"job ended\"").count(), 2, "{log}");
}

#[test]
fn a_test_of_the_user_s_own_with_that_name_is_no_failure() {
    let world = World::new(Script::default());
    world.save("go.mod", samples::GO_MOD);
    world.save("cart.go", samples::GO);
    let own = "package shop\n\nimport \"testing\"\n\nfunc TestAdd(t *testing.T) {}\n";
    world.save("cart_test.go", own);
    for _ in 0..2 {
        let run = world.run(&["generate", "--all"]);
        assert!(run.status.success(), "{}", said(&run));
    }
    let tests = world.read("cart_testsmith_test.go");
    assert!(
        tests.contains("begin Twice") && !tests.contains("TestAdd"),
        "{tests}"
    );
    assert_eq!(world.read("cart_test.go"), own);
    assert_eq!(world.requests().len(), 1, "and is not asked for again");
}

#[test]
fn a_branch_without_the_tests_and_back_costs_nothing_and_deletes_nothing() {
    let world = World::new(Script::default());
    world.save("go.mod", samples::GO_MOD);
    world.save("cart.go", samples::GO);
    let git = |args: &[&str]| world.git(args);
    git(&["init", "-q"]);
    git(&["add", "."]);
    git(&["commit", "-qm", "sources"]);
    git(&["checkout", "-qb", "feature"]);
    let mut daemon = world.watch(&[]);
    let more = format!(
        "{}\nfunc Less(a int) int {{\n\treturn a - 1\n}}\n",
        samples::GO
    );
    world.save("cart.go", &more);
    assert_eq!(daemon.ended("cart.go")["outcome"], "written");
    git(&["add", "."]);
    git(&["commit", "-qm", "more, and tests"]);
    git(&["checkout", "-q", "main"]);
    daemon.ended("cart.go");
    assert!(
        !world.exists("cart_testsmith_test.go"),
        "nothing in git's way"
    );
    git(&["checkout", "-q", "feature"]);
    assert_eq!(daemon.ended("cart.go")["outcome"], "up_to_date");
    assert_eq!(world.requests().len(), 1);
    // On a branch without tests they can be had by asking for them.
    drop(daemon);
    git(&["checkout", "-q", "main"]);
    let run = world.run(&["generate", "cart.go"]);
    assert!(world.exists("cart_testsmith_test.go"), "{}", said(&run));
    assert_eq!(world.requests().len(), 1, "from the cache");
}
