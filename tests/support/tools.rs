//! Foreign toolchains: a person without one sees `skipped: …`; in CI a missing one is a failure.

use std::process::{Command, Stdio};

/// Whether `program args` runs.
pub fn have(program: &str, args: &[&str]) -> bool {
    let found = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !found {
        assert!(
            std::env::var("CI").as_deref() != Ok("true"),
            "{program} not found"
        );
        println!("skipped: {program} not found");
    }
    found
}
