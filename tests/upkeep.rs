//! The commands that set testsmith up and look after it.
#![expect(
    clippy::unwrap_used,
    reason = "a test without what it looks at has to fail"
)]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use serde_json::Value;
use support::daemon::Daemon;
use support::program::Program;
use support::samples;
use support::world::{World, said, wait_until};
use support::{golden, mask};
use testsmith_simulator::{Fault, Rule, Script};

fn go() -> World {
    let world = World::new(Script::default());
    world.save("go.mod", samples::GO_MOD);
    world.save("cart.go", samples::GO);
    world
}

/// A command whose `systemctl` and `loginctl` only write down what they are asked.
fn with_systemd(world: &World, args: &[&str], version: u32) -> Program {
    let bin = world.beside("bin");
    fs::create_dir_all(&bin).unwrap();
    let fake = |name: &str, text: String| {
        let path = bin.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    };
    let asked = world.beside("asked");
    let state = "UnitFileState=enabled\nActiveState=active\nSubState=running\nStatusText=watching 3 files\nMainPID=42\nNRestarts=0\nResult=success";
    fake(
        "systemctl",
        format!(
            "#!/bin/sh\nif [ \"$1\" = --version ]; then echo 'systemd {version} (x)'; exit; fi\n\
             if [ \"$2\" = restart ] && [ -e '{}.failing' ]; then echo 'Job failed.' >&2; exit 1; fi\n\
             if [ \"$2\" = disable ] && [ -e '{}.deaf' ]; then echo 'Failed to connect to bus' >&2; exit 1; fi\n\
             case \"$2\" in show) echo '{state}';; show-environment) ;; *) echo \"$@\" >> '{}';; esac\n",
            asked.display(),
            asked.display(),
            asked.display()
        ),
    );
    fake("loginctl", "#!/bin/sh\necho no\n".to_owned());
    let mut command = world.command(args);
    let path = std::env::var("PATH").unwrap();
    command.env("PATH", format!("{}:{path}", bin.display()));
    command
}

#[test]
fn a_service_is_installed_shown_and_removed() {
    let world = go();
    let units = world.beside("home/.config/systemd/user");
    let root = world.root();
    let escaped = root.to_str().unwrap()[1..]
        .replace('-', "\\x2d")
        .replace('/', "-");
    let unit = format!("testsmith@{escaped}.service");
    let run = |args: &[&str]| with_systemd(&world, args, 255).output().unwrap();

    let dry = run(&["service", "install", "--dry-run"]);
    assert!(dry.status.success() && !units.exists(), "{}", said(&dry));
    let installed = run(&["service", "install"]);
    assert!(installed.status.success(), "{}", said(&installed));
    assert!(
        said(&installed).contains("loginctl enable-linger"),
        "{}",
        said(&installed)
    );
    assert!(
        said(&installed).contains(".config/testsmith/key"),
        "{}",
        said(&installed)
    );
    let text = fs::read_to_string(units.join("testsmith@.service")).unwrap();
    let program = env!("CARGO_BIN_EXE_testsmith");
    assert!(
        text.contains(&format!("\nExecStart={program} watch %f\n")),
        "{text}"
    );
    assert!(
        units
            .join("testsmith@.service.d/30-notify-reload.conf")
            .exists()
    );
    assert!(
        !units
            .join("testsmith@.service.d/40-credential.conf")
            .exists(),
        "no key, no credential"
    );
    let own = fs::read_to_string(units.join(format!("{unit}.d/50-project.conf"))).unwrap();
    assert!(
        own.contains("Environment=PATH=") || own.contains("Environment=\"PATH="),
        "{own}"
    );
    let asked = || fs::read_to_string(world.beside("asked")).unwrap();
    assert_eq!(
        asked(),
        format!("--user daemon-reload\n--user enable {unit}\n--user restart {unit}\n")
    );
    let again = run(&["service", "install"]);
    assert!(said(&again).contains("as it was"), "{}", said(&again));

    let status = run(&["service", "status", "--json"]);
    let status: Value = serde_json::from_slice(&status.stdout).unwrap();
    assert_eq!(status["state"], "active");
    assert_eq!(status["status"], "watching 3 files");
    assert_eq!(status["pid"], 42);

    let shown = run(&["service", "status"]);
    let removed = run(&["service", "uninstall"]);
    assert!(removed.status.success(), "{}", said(&removed));
    let home = world.beside("home").to_string_lossy().into_owned();
    let root = root.to_string_lossy().into_owned();
    let state = said(&installed);
    let state = state
        .split("/testsmith/")
        .find(|part| part.starts_with("project-"));
    let names = [
        (state.unwrap().lines().next().unwrap(), "STATE"),
        (&*escaped, "ESCAPED"),
        (&*root, "ROOT"),
        (&*home, "HOME"),
        (program, "PROGRAM"),
    ];
    let told: String = [
        ("install", &installed),
        ("install", &again),
        ("status", &shown),
        ("uninstall", &removed),
    ]
    .iter()
    .map(|(verb, output)| format!("$ testsmith service {verb}\n{}\n", said(output)))
    .collect();
    golden::check("service.txt", &mask::text(&told, &names));
    assert!(asked().contains(&format!("--user disable --now {unit}\n")));
    let left: Vec<_> = fs::read_dir(&units).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");

    // What could not be stopped may go on.
    fs::write(world.beside("asked.deaf"), "").unwrap();
    let deaf = run(&["service", "uninstall"]);
    assert_eq!(deaf.status.code(), Some(1), "{}", said(&deaf));
    assert!(said(&deaf).contains("testsmith stop"), "{}", said(&deaf));
    assert!(
        !said(&deaf).contains("no longer watched"),
        "{}",
        said(&deaf)
    );
}

#[test]
fn a_unit_of_somebody_else_stays_and_an_old_systemd_gets_what_it_knows() {
    let world = go();
    let units = world.beside("home/.config/systemd/user");
    fs::create_dir_all(&units).unwrap();
    let mine = units.join("testsmith@.service");
    fs::write(&mine, "[Service]\n").unwrap();
    let refused = with_systemd(&world, &["service", "install"], 252)
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(fs::read_to_string(&mine).unwrap(), "[Service]\n");
    fs::remove_file(&mine).unwrap();
    fs::create_dir_all(world.beside("home/.config/testsmith")).unwrap();
    fs::write(world.beside("home/.config/testsmith/key"), "canary-key").unwrap();
    let installed = with_systemd(&world, &["service", "install"], 252)
        .output()
        .unwrap();
    assert!(installed.status.success(), "{}", said(&installed));
    assert!(!said(&installed).contains("canary"));
    assert!(
        !units
            .join("testsmith@.service.d/30-notify-reload.conf")
            .exists()
    );
    assert!(
        units
            .join("testsmith@.service.d/40-credential.conf")
            .exists()
    );
}

#[test]
fn a_service_keeps_to_the_folders_that_are_set_and_to_a_configuration_that_can_be_used() {
    let world = go();
    let (config, state) = (world.beside("my config"), world.beside("state of 50%"));
    let install = |args: &[&str]| {
        let mut command = with_systemd(&world, &["service", "install"], 252);
        command
            .args(args)
            .env("XDG_CONFIG_HOME", &config)
            .env("XDG_STATE_HOME", &state)
            .env("XDG_DATA_HOME", "no/absolute/path");
        command.output().unwrap()
    };
    world.save("testsmith.toml", "[watch]\nnonsense = 1\n");
    for args in [&["--dry-run"][..], &[]] {
        let broken = install(args);
        assert_eq!(broken.status.code(), Some(64), "{}", said(&broken));
        assert!(
            said(&broken).contains("testsmith.toml:2"),
            "{}",
            said(&broken)
        );
    }
    assert!(!config.exists() && !state.exists() && !world.beside("asked").exists());
    let own = "[llm]\napi_key_env = \"MODEL_KEY\"\n";
    fs::remove_file(world.root().join("testsmith.toml")).unwrap();
    fs::create_dir_all(config.join("testsmith")).unwrap();
    fs::write(config.join("testsmith/config.toml"), own).unwrap();
    // A service that does not come up may want for just what is told of here.
    fs::write(world.beside("asked.failing"), "").unwrap();
    let failed = install(&[]);
    assert_eq!(failed.status.code(), Some(1), "{}", said(&failed));
    for wanted in ["A key goes into", "see why: systemctl --user status"] {
        assert!(said(&failed).contains(wanted), "{}", said(&failed));
    }
    fs::remove_file(world.beside("asked.failing")).unwrap();
    let told = said(&install(&[]));
    for wanted in [
        "  key       none: the service sees no MODEL_KEY nor ANTHROPIC_API_KEY\n",
        &format!("  state     {}/testsmith/project-", state.display()),
        &format!("  settings  {}/testsmith/config.toml\n", config.display()),
        &format!(
            "A key goes into {}/testsmith/key (chmod 600)",
            config.display()
        ),
        "systemctl --user edit testsmith@",
    ] {
        assert!(told.contains(wanted), "{wanted}: {told}");
    }
    fs::write(config.join("testsmith/key"), "canary-key").unwrap();
    let told = said(&install(&[]));
    assert!(
        told.contains("/testsmith/key, handed over by systemd\n"),
        "{told}"
    );
    let units = config.join("systemd/user");
    let text: String = support::world::files_below(&units)
        .into_values()
        .map(|text| String::from_utf8(text).unwrap())
        .collect();
    for wanted in [
        &format!(
            "LoadCredential=api_key:{}/testsmith/key\n",
            config.display()
        ),
        &format!("Environment=\"XDG_CONFIG_HOME={}\"\n", config.display()),
        &format!("Environment=\"XDG_STATE_HOME={}%\"\n", state.display()),
    ] {
        assert!(text.contains(wanted.as_str()), "{wanted}: {text}");
    }
    assert!(
        !text.contains("XDG_DATA_HOME") && !text.contains("MODEL_KEY"),
        "{text}"
    );
}

#[test]
fn init_writes_once_and_what_it_writes_can_be_used() {
    let world = go();
    let run = world.run(&["init"]);
    assert!(run.status.success(), "{}", said(&run));
    // The user's own configuration names it.
    let told = said(&run);
    assert!(
        told.contains("model: openai, model `simulated`") && told.contains("key from `MODEL_KEY`"),
        "{told}"
    );
    assert!(
        world
            .read("testsmith.toml")
            .contains("# Sources found: 1 of go.")
    );
    assert!(world.run(&["config", "check"]).status.success());
    world.save("testsmith.toml", "# mine\n");
    let again = world.run(&["init"]);
    assert_eq!(again.status.code(), Some(1), "{}", said(&again));
    assert_eq!(world.read("testsmith.toml"), "# mine\n");
}

fn checks(world: &World, args: &[&str]) -> (Option<i32>, Vec<Value>) {
    let mut all = vec!["doctor", "--json"];
    all.extend(args);
    let run = world.run(&all);
    let checks = serde_json::from_slice(&run.stdout).unwrap();
    (run.status.code(), checks)
}

fn find<'c>(checks: &'c [Value], name: &str) -> &'c Value {
    checks.iter().find(|check| check["check"] == name).unwrap()
}

#[test]
fn doctor_asks_the_model_once_and_names_remedies() {
    let world = go();
    let (code, all) = checks(&world, &["--no-call"]);
    assert_eq!(world.requests().len(), 0);
    assert_eq!(find(&all, "model")["state"], "ok");
    assert_eq!(find(&all, "sources")["message"], "1 go file in 1 folder");
    let failed = all.iter().any(|check| check["state"] == "failure");
    assert_eq!(code, Some(i32::from(failed)), "{all:#?}");
    let (_, all) = checks(&world, &[]);
    assert_eq!(world.requests().len(), 1, "one tiny call");
    assert!(
        find(&all, "model")["message"]
            .as_str()
            .unwrap()
            .contains("it answered within")
    );
    for check in &all {
        let needs = check["state"] != "ok";
        assert_eq!(check["remedy"].is_string(), needs, "{check}");
    }

    world.save("testsmith.toml", "[llm]\nmodle = \"x\"\n");
    let (code, all) = checks(&world, &[]);
    assert_eq!(code, Some(1));
    let model = find(&all, "model");
    assert_eq!(model["state"], "warning");
    let why = "not checked, since the configuration cannot be used";
    assert_eq!(model["message"], why);
    let said = find(&all, "configuration");
    assert_eq!(said["state"], "failure");
    assert!(
        said["message"]
            .as_str()
            .unwrap()
            .contains("did you mean `llm.model`"),
        "{said}"
    );
    assert!(!world.state().exists(), "a question leaves nothing behind");
}

#[test]
fn doctor_tells_that_the_variable_of_the_key_is_empty() {
    let world = go();
    let mut command = world.command(&["doctor", "--no-call", "--json"]);
    let run = command.env("MODEL_KEY", "").output().unwrap();
    let all: Vec<Value> = serde_json::from_slice(&run.stdout).unwrap();
    let model = find(&all, "model");
    assert_eq!(model["state"], "warning", "{model}");
    let message = model["message"].as_str().unwrap();
    assert!(message.contains("`MODEL_KEY`"), "{message}");
}

#[test]
fn doctor_tells_that_the_model_does_not_answer() {
    let mut world = go();
    world.stop_model();
    let (code, all) = checks(&world, &[]);
    assert_eq!(code, Some(1));
    assert_eq!(find(&all, "model")["state"], "failure");
}

#[test]
fn reload_tells_what_is_in_force_and_a_bad_file_changes_nothing() {
    let world = go();
    let mut daemon = world.watch(&[]);
    let reload = |args: &[&str]| {
        let mut all = vec!["reload"];
        all.extend(args);
        world.run(&all)
    };
    let nothing = reload(&[]);
    assert!(
        said(&nothing).contains("nothing has changed"),
        "{}",
        said(&nothing)
    );
    world.save("testsmith.toml", "[watch\n");
    daemon.wait("refusal", |line| line["level"] == "ERROR");
    let bad = reload(&[]);
    assert_eq!(bad.status.code(), Some(64), "{}", said(&bad));
    assert!(said(&bad).contains("testsmith.toml:1"), "{}", said(&bad));
    // The daemon goes on, and can be asked.
    let mut asking = world.command(&["status", "--state-dir"]);
    let status = asking.arg(world.state()).output().unwrap();
    assert_eq!(status.status.code(), Some(0), "{}", said(&status));
    let asked = said(&status);
    assert!(
        asked.contains("testsmith.toml:1") && asked.contains("old settings"),
        "{asked}"
    );
    daemon.stop();
    world.save("testsmith.toml", "");
    let nobody = reload(&[]);
    assert_eq!(nobody.status.code(), Some(4), "{}", said(&nobody));
}

#[test]
fn manual_pages_and_completions_come_from_the_same_definitions() {
    let world = go();
    let page = said(&world.run(&["man"]));
    assert!(
        page.contains(".TH testsmith") && page.contains("doctor"),
        "{page}"
    );
    let one = said(&world.run(&["man", "service", "install"]));
    assert!(one.contains("dry\\-run"), "{one}");
    assert_eq!(world.run(&["man", "nonsense"]).status.code(), Some(2));
    let dir = world.beside("man");
    let all = world.run(&["man", "--dir", dir.to_str().unwrap()]);
    assert!(all.status.success(), "{}", said(&all));
    assert!(dir.join("testsmith-doctor.1").exists());
    for shell in ["bash", "zsh", "fish", "powershell"] {
        let run = world.run(&["completions", shell]);
        assert!(
            run.status.success() && said(&run).contains("doctor"),
            "{shell}"
        );
    }
}

#[test]
fn what_is_parked_is_told_on_the_desktop_by_no_program_of_the_project() {
    let world = World::new(Script::default().rule(Rule::from(Fault::status(401))));
    world.save("go.mod", samples::GO_MOD);
    let told = world.beside("told");
    for (folder, path) in [
        (world.root().join("bin"), "stranger"),
        (world.beside("bin"), "told"),
    ] {
        fs::create_dir(&folder).unwrap();
        let text = format!(
            "#!/bin/sh\n(printf '%s\\n' \"$@\"; env) > '{0}.new'; mv '{0}.new' '{0}'\n",
            world.beside(path).display()
        );
        // Not by this process, see `copy_program`.
        let written = Command::new("sh")
            .args([
                "-c",
                "printf %s \"$1\" > \"$2\" && chmod 755 \"$2\"",
                "sh",
                &text,
            ])
            .arg(folder.join("notify-send"))
            .status();
        assert!(written.unwrap().success());
    }
    let mut command = world.command(&["watch", "--log-format", "json", "--state-dir"]);
    let path = std::env::var("PATH").unwrap();
    let (own, theirs) = (world.root().join("bin"), world.beside("bin"));
    let path = format!("bin:{}:{}:{path}", own.display(), theirs.display());
    command
        .arg(world.state())
        .args(["--set", "notify.desktop=true"])
        .env("PATH", path);
    let mut daemon = Daemon::spawn(command);
    daemon.wait("`watching`", |line| line["message"] == "watching");
    world.save("<b>cart&.go", samples::GO);
    assert_eq!(daemon.ended("<b>cart&.go")["outcome"], "parked");
    wait_until("notice", || told.exists());
    let told = fs::read_to_string(told).unwrap();
    assert!(
        told.starts_with(
            "--app-name=testsmith\n--\ntestsmith: 1 job parked\n\
             &lt;b&gt;cart&amp;.go is parked: model refused: "
        ),
        "{told}"
    );
    assert!(
        told.contains("see: testsmith jobs --state parked\n"),
        "{told}"
    );
    assert!(!told.contains("MODEL_KEY"), "{told}");
    let own = format!("{}", own.display());
    assert!(
        !told.contains(&own),
        "it looks for no program there: {told}"
    );
    assert!(!world.beside("stranger").exists());
    daemon.stop();

    // A stranger's file turns on nothing.
    world.save("testsmith.toml", "[notify]\ndesktop = true\n");
    let shown = said(&world.run(&["config", "show"]));
    assert!(shown.contains("ignoring `notify.desktop`"), "{shown}");
    let is_off = |line: &str| line.starts_with("notify.desktop = false ");
    assert!(shown.lines().any(is_off), "{shown}");
}

/// Whatever goes into a package is in the repository, or made by `just dist-files` and `just static`.
#[test]
fn packages_hold_files_that_there_are() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let manifest = fs::read_to_string(format!("{root}/crates/cli/Cargo.toml")).unwrap();
    let recipes = fs::read_to_string(format!("{root}/justfile")).unwrap();
    let mut seen = 0;
    for source in manifest
        .split("\"../../")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap())
    {
        if std::path::Path::new(&source)
            .extension()
            .is_some_and(|e| e == "rs")
        {
            continue;
        }
        seen += 1;
        let made = source.trim_end_matches("/*.1");
        let is_there = fs::exists(format!("{root}/{source}")).unwrap();
        let is_made = source.starts_with("target/dist/") && recipes.contains(made);
        assert!(is_there || is_made, "{source}");
    }
    assert!(seen > 20, "{seen}");
}
