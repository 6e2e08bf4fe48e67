//! Foreign toolchains: a person without one sees `skipped: …`; in CI a missing one is a failure.

use std::path::Path;
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

/// Makes the link to the installed packages a folder of `project`: where the link leads is covered in
/// a sandbox if the target directory is below `/tmp`.
pub fn packages_in_place(project: &Path) {
    let link = project.join("node_modules");
    let packages = link.canonicalize().unwrap();
    std::fs::remove_file(&link).unwrap();
    let copied = Command::new("cp")
        .arg("-al")
        .args([&packages, &link])
        .status();
    assert!(copied.unwrap().success());
}
