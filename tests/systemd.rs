//! The unit keeps what the program promises.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a unit that cannot be read has to fail, and what is skipped is said"
)]

mod support;

use std::process::{Command, Stdio};

use support::samples;
use support::world::{World, said};
use testsmith_simulator::Script;

const UNIT: &str = include_str!("../systemd/testsmith@.service");
const DEFAULTS: &str = include_str!("../config/default.toml");

fn value<'t>(text: &'t str, key: &str, equals: &str) -> &'t str {
    let prefix = format!("{key}{equals}");
    text.lines()
        .find_map(|line| line.strip_prefix(&prefix))
        .unwrap()
        .trim_matches('"')
}

#[test]
fn systemd_waits_longer_than_the_grace() {
    let stop: u64 = value(UNIT, "TimeoutStopSec", "=").parse().unwrap();
    let grace = value(DEFAULTS, "shutdown_grace", " = ").trim_end_matches('s');
    assert!(stop > grace.parse::<u64>().unwrap());
}

#[test]
fn what_a_restart_cannot_mend_is_not_restarted() {
    assert_eq!(value(UNIT, "RestartPreventExitStatus", "="), "64 75");
}

const NAME: &str = "testsmith@tmp.service";

/// The unit as a user manager would find it, with these drop-ins.
fn verify(dropped: &[&str]) -> Option<Vec<String>> {
    let dir = tempfile::tempdir().unwrap();
    // It looks whether the program is there, which it need not be in this user's home.
    let unit = UNIT.replace("%h/.cargo/bin/testsmith", "/bin/true");
    std::fs::write(dir.path().join(NAME), unit).unwrap();
    let drop_ins = dir.path().join(format!("{NAME}.d"));
    std::fs::create_dir(&drop_ins).unwrap();
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../systemd/testsmith@.service.d"
    );
    for name in dropped {
        std::fs::copy(format!("{folder}/{name}"), drop_ins.join(name)).unwrap();
    }
    let verify = Command::new("systemd-analyze")
        .args(["--user", "--man=no", "verify", NAME])
        .env("XDG_RUNTIME_DIR", dir.path())
        .env("SYSTEMD_UNIT_PATH", format!("{}:", dir.path().display()))
        .output();
    let Ok(verify) = verify else {
        println!("skipped: systemd-analyze not found");
        return None;
    };
    // It exits 0 with words on unknown directives: any word is a fault.
    let said = String::from_utf8_lossy(&verify.stderr);
    let own = said.lines().filter(|line| line.contains("testsmith@"));
    Some(own.map(str::to_owned).collect())
}

/// The version of systemd, where it is.
fn version() -> Option<u32> {
    let said = Command::new("systemctl").arg("--version").output().ok()?;
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    said.split_whitespace().nth(1)?.parse().ok()
}

const ALWAYS: [&str; 3] = [
    "10-resources.conf",
    "20-hardening.conf",
    "40-credential.conf",
];

#[test]
fn systemd_finds_nothing_wrong_with_the_unit_and_its_drop_ins() {
    let mut dropped = ALWAYS.to_vec();
    if version().is_some_and(|version| version >= 253) {
        dropped.push("30-notify-reload.conf");
    }
    if let Some(own) = verify(&dropped) {
        assert!(own.is_empty(), "{own:#?}");
    }
}

/// The check above can fail.
#[test]
fn systemd_finds_what_is_wrong() {
    if version().is_some_and(|version| version < 253)
        && let Some(own) = verify(&["30-notify-reload.conf"])
    {
        assert!(
            !own.is_empty(),
            "an older systemd does not know `notify-reload`"
        );
    }
}

/// Each directive of the unit and its drop-ins is explained, and no other.
#[test]
fn every_directive_is_explained() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let page = std::fs::read_to_string(format!("{root}/docs/systemd.md")).unwrap();
    let mut files = vec![UNIT.to_owned()];
    for entry in std::fs::read_dir(format!("{root}/systemd/testsmith@.service.d")).unwrap() {
        files.push(std::fs::read_to_string(entry.unwrap().path()).unwrap());
    }
    for line in files.iter().flat_map(|text| text.lines()) {
        if line.starts_with('#') {
            continue;
        }
        if let Some((directive, _)) = line.split_once('=') {
            assert!(
                page.contains(&format!("`{directive}`")),
                "docs/systemd.md lacks `{directive}`"
            );
        }
    }
}

/// Without these the sandbox around tests that a model wrote does not stand.
#[test]
fn nothing_stands_in_the_way_of_the_sandbox() {
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../systemd/testsmith@.service.d"
    );
    let mut all = UNIT.to_owned();
    for name in ALWAYS {
        all += &std::fs::read_to_string(format!("{folder}/{name}")).unwrap();
    }
    for hindrance in [
        "RestrictNamespaces=",
        "PrivateUsers=",
        "ProtectProc=",
        "ProcSubset=",
        "ProtectKernelTunables=",
        "ProtectKernelLogs=",
        "ProtectControlGroups=",
        "PrivateNetwork=",
        "MemoryDenyWriteExecute=",
        "CapabilityBoundingSet=",
    ] {
        let has = all.lines().any(|line| line.starts_with(hindrance));
        assert!(
            !has,
            "{hindrance} keeps the sandbox or the toolchains from working"
        );
    }
    assert!(value(UNIT, "RestrictAddressFamilies", "=").contains("AF_NETLINK"));
    let filter = value(&all, "SystemCallFilter", "=");
    assert!(
        !filter.contains("@mount") && !filter.contains("@process"),
        "{filter}"
    );
}

/// The real thing: a user manager of the test's own, in namespaces, so that the tester's is left alone.
#[test]
fn a_real_user_manager_runs_the_service() {
    const MANAGERS: [&str; 2] = ["/usr/lib/systemd/systemd", "/lib/systemd/systemd"];
    let Some(manager) = MANAGERS
        .iter()
        .find(|path| std::path::Path::new(path).exists())
    else {
        println!("skipped: systemd not found");
        return;
    };
    let mut world = World::new(Script::default());
    world.save("go.mod", samples::GO_MOD);
    let key = world.key_file("key");
    let home = world.beside("home");
    std::fs::create_dir_all(home.join(".config/testsmith")).unwrap();
    let settings = format!(
        "[llm]\nprovider = \"openai\"\nmodel = \"simulated\"\nbase_url = \"http://{}/v1\"\n\
         api_key_file = \"{}\"\n[watch]\ndebounce = \"100ms\"\n[verify]\nmode = \"off\"\n",
        world.simulator().address(),
        key.display()
    );
    std::fs::write(home.join(".config/testsmith/config.toml"), settings).unwrap();
    let root = world.root();
    let escaped = root.to_str().unwrap()[1..]
        .replace('-', "\\x2d")
        .replace('/', "-");
    let script = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/support/user-manager.sh"
    );
    let ran = Command::new("unshare")
        .args([
            "--mount",
            "--pid",
            "--fork",
            "--mount-proc",
            "--kill-child",
            "sh",
            script,
        ])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", &home)
        .env("T", env!("CARGO_BIN_EXE_testsmith"))
        .env("PROJECT", &root)
        .env("UNIT", format!("testsmith@{escaped}.service"))
        .env("SYSTEMD", manager)
        .stdin(Stdio::null())
        .output();
    let Ok(ran) = ran else {
        println!("skipped: unshare not found");
        return;
    };
    let said = said(&ran);
    if !said.contains("daemon-reload") && !said.contains("wrote ") {
        println!("skipped: no user manager can be started here: {said}");
        return;
    }
    for wanted in [
        "after install: active, watching 0 files\n",
        "reloaded: active\n",
        "tests are there\n",
        "back after a kill\n",
        "the sandbox is the same\n",
        "with a bad file: failed, exit 64, restarts 0\n",
        "after uninstall: inactive\n",
    ] {
        assert!(said.contains(wanted), "no `{}` in:\n{said}", wanted.trim());
    }
}
