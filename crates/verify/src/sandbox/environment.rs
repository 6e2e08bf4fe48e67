//! The environment a candidate gets: an allow-list, so that no key of the service is ever in it.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::types::CommandSpec;

/// Passed on as they are. `LC_*` comes with them.
const PASSED_ON: [&str; 4] = ["PATH", "LANG", "LANGUAGE", "TZ"];

/// The variables for `command`, of those the service has (`own`).
pub(super) fn allowed(
    own: impl Iterator<Item = (OsString, OsString)>,
    scratch: &Path,
    command: &CommandSpec,
) -> Vec<(OsString, OsString)> {
    let mut kept: Vec<_> = own.filter(|(name, _)| is_passed_on(name)).collect();
    let fixed: [(&str, &OsStr); 5] = [
        ("TERM", OsStr::new("dumb")),
        ("HOME", scratch.as_os_str()),
        ("TMPDIR", scratch.as_os_str()),
        ("TMP", scratch.as_os_str()),
        ("TEMP", scratch.as_os_str()),
    ];
    for (name, value) in fixed {
        kept.push((name.into(), value.to_owned()));
    }
    for (name, value) in &command.env {
        kept.retain(|(other, _)| other != name);
        kept.push((name.clone(), value.clone()));
    }
    kept
}

fn is_passed_on(name: &OsStr) -> bool {
    PASSED_ON.iter().any(|passed| name == *passed) || name.as_bytes().starts_with(b"LC_")
}
