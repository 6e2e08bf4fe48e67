//! The unit keeps what the program promises.

#![expect(clippy::unwrap_used, reason = "a unit that cannot be read has to fail")]

use std::process::Command;

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

#[test]
fn systemd_finds_nothing_wrong_with_the_unit() {
    let dir = tempfile::tempdir().unwrap();
    // It looks whether the program is there, which it need not be in this user's home.
    let unit = UNIT.replace("%h/.cargo/bin/testsmith", "/bin/true");
    let path = dir.path().join("testsmith@tmp.service");
    std::fs::write(&path, unit).unwrap();
    let verify = Command::new("systemd-analyze")
        .args(["--user", "--man=no", "verify"])
        .arg(&path)
        .env("XDG_RUNTIME_DIR", dir.path())
        .output();
    let Ok(verify) = verify else { return };
    // It exits 0 with words on unknown directives: any word is a fault.
    let said = String::from_utf8_lossy(&verify.stderr);
    let own: Vec<&str> = said
        .lines()
        .filter(|line| line.contains("testsmith@"))
        .collect();
    assert!(own.is_empty(), "{own:#?}");
}
