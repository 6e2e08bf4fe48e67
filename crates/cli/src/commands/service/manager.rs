//! The user's systemd: what it is asked, and what helps where it does not answer.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::output::escape;

/// Asks the user's manager, and gives what it said. What is asked of a unit ends with its name.
pub(super) fn systemctl(args: &[&str]) -> anyhow::Result<String> {
    let asked = Command::new("systemctl")
        .arg("--user")
        .args(args)
        .output()
        .context(
            "`systemctl` cannot be run; without systemd, have `testsmith watch` started otherwise",
        )?;
    if !asked.status.success() {
        let said = String::from_utf8_lossy(&asked.stderr);
        let said = said.trim().lines().next().unwrap_or("it failed");
        bail!(
            "systemctl --user {}: {}; {}",
            args.join(" "),
            escape(said),
            remedy(said, args)
        );
    }
    Ok(String::from_utf8_lossy(&asked.stdout).into_owned())
}

/// What to do about what `systemctl` said.
fn remedy(said: &str, args: &[&str]) -> String {
    let is_away = ["bus", "XDG_RUNTIME_DIR", "booted with systemd"];
    if is_away.iter().any(|word| said.contains(word)) {
        return format!(
            "your user manager cannot be reached: log in as yourself, not by `su` or `sudo`, or set \
             XDG_RUNTIME_DIR=/run/user/{}",
            super::user()
        );
    }
    match args.last() {
        Some(unit) if unit.ends_with(".service") => {
            format!("see why: systemctl --user status {unit}; journalctl --user -u {unit}")
        }
        _ => "see why: journalctl --user -n 20".to_owned(),
    }
}

/// Its version, as it knows directives.
pub(super) fn version() -> Option<u32> {
    let asked = Command::new("systemctl").arg("--version").output().ok()?;
    let said = String::from_utf8_lossy(&asked.stdout);
    said.split_whitespace().nth(1)?.parse().ok()
}

/// The names of the variables that it gives to each service.
pub(super) fn variables() -> BTreeSet<String> {
    set_in(&systemctl(&["show-environment"]).unwrap_or_default())
}

/// The names in a list of variables of those that are set to something. A shell could read it.
fn set_in(said: &str) -> BTreeSet<String> {
    let lines = said.lines().filter_map(|line| line.split_once('='));
    let set = lines.filter(|(_, value)| !["", "\"\"", "''", "$''"].contains(value));
    set.map(|(name, _)| name.to_owned()).collect()
}

/// The folder in which it looks for the user's units.
pub(super) fn unit_folder(config_home: &Path, home: Option<&Path>) -> PathBuf {
    let said = systemctl(&["show", "--property=UnitPath", "--value"]).unwrap_or_default();
    known_folder(&said, config_home, home)
}

/// Of the folders in which it looks, the one for the user's own files. It may have been started without
/// the `XDG_CONFIG_HOME` that is set here.
fn known_folder(said: &str, config_home: &Path, home: Option<&Path>) -> PathBuf {
    let is_known = |folder: &Path| {
        let mut known = said.split_whitespace();
        known.any(|known| folder == Path::new(known))
    };
    let own = config_home.join("systemd/user");
    match home.map(|home| home.join(".config/systemd/user")) {
        Some(usual) if !is_known(&own) && is_known(&usual) => usual,
        _ => own,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_remedy_for_whatever_it_says() {
        let away = remedy(
            "Failed to connect to bus: No medium found",
            &["daemon-reload"],
        );
        assert!(away.contains("XDG_RUNTIME_DIR=/run/user/"), "{away}");
        let unit = "testsmith@a.service";
        let failed = remedy("Job for testsmith@a.service failed.", &["restart", unit]);
        assert!(
            failed.contains("systemctl --user status testsmith@a.service"),
            "{failed}"
        );
    }

    #[test]
    fn what_is_set_to_nothing_is_not_set() {
        let set = set_in("A=\nB=\"\"\nC=$''\nKEY=$'a b'\nPATH=/bin\n");
        assert_eq!(set.into_iter().collect::<Vec<_>>(), ["KEY", "PATH"]);
    }

    #[test]
    fn units_go_where_the_manager_looks() {
        let (set, home) = (Path::new("/set"), Some(Path::new("/home/me")));
        let folder = |said: &str| known_folder(said, set, home);
        let usual = "/home/me/.config/systemd/user /etc/systemd/user";
        assert_eq!(folder(usual), Path::new("/home/me/.config/systemd/user"));
        let both = format!("/set/systemd/user {usual}");
        assert_eq!(folder(&both), Path::new("/set/systemd/user"));
        assert_eq!(folder(""), Path::new("/set/systemd/user"), "nobody knows");
    }
}
