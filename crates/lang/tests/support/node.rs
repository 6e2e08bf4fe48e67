//! Node and what is installed for it, for tests that run real test files.
//!
//! Other test crates use it by `#[path = "…/crates/lang/tests/support/node.rs"] mod node;`. The
//! packages are installed once for each target directory and shared by all tests, in whatever
//! process, behind a lock file.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// What is installed; the folder has these versions in its name, so that a change is a new one.
const PACKAGES: [&str; 3] = ["vitest@3", "vite@7", "typescript@5"];

/// Whether `program` runs. If not: `false` after a word on it, but a failure where CI must not
/// miss it.
pub(crate) fn found(program: &str) -> bool {
    let ran = Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    let found = ran.is_ok_and(|status| status.success());
    if !found {
        assert_ne!(
            std::env::var("CI").as_deref(),
            Ok("true"),
            "{program} not found"
        );
        println!("skipped: {program} not found");
    }
    found
}

/// Makes vitest, vite and TypeScript available in `project`, as if they were installed there.
/// `false` if there is no npm: the test is to return then.
pub(crate) fn install_vitest(project: &Path) -> bool {
    install(project, &PACKAGES)
}

/// The same with other packages, each with its version.
pub(crate) fn install(project: &Path, packages: &[&str]) -> bool {
    if !found("node") || !found("npm") {
        return false;
    }
    let modules = shared_modules(packages);
    std::os::unix::fs::symlink(modules, project.join("node_modules")).unwrap();
    true
}

/// Runs Node in `project` to its end.
pub(crate) fn run(project: &Path, arguments: &[&str]) -> Output {
    Command::new("node")
        .args(arguments)
        .current_dir(project)
        .env_remove("NODE_OPTIONS")
        // Set by `node --test` for its children, which then report in another form.
        .env_remove("NODE_TEST_CONTEXT")
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// The folder of installed packages.
fn shared_modules(packages: &[&str]) -> PathBuf {
    let name = packages.join("-").replace('@', "");
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&home).unwrap();
    let lock = File::create(home.join("lock")).unwrap();
    // Held until the file is closed at the end of this function, or of the process.
    lock.lock().unwrap();
    let complete = home.join("complete");
    if !complete.exists() {
        fs::write(home.join("package.json"), "{\"private\":true}\n").unwrap();
        let status = Command::new("npm")
            .args([
                "install",
                "--no-audit",
                "--no-fund",
                "--ignore-scripts",
                "--silent",
            ])
            .args(packages)
            .current_dir(&home)
            .stdin(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success(), "npm install failed: {status}");
        fs::write(&complete, "").unwrap();
    }
    home.join("node_modules")
}
