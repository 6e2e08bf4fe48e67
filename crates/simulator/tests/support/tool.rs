//! Runs foreign tools.

use std::path::Path;
use std::process::Command;

/// Whether `tool` answers to `argument`; says so if not. In CI a missing tool is a failure.
pub(crate) fn have(tool: &str, argument: &str) -> bool {
    let found = Command::new(tool)
        .arg(argument)
        .output()
        .is_ok_and(|output| output.status.success());
    if !found {
        assert_ne!(
            std::env::var("CI").as_deref(),
            Ok("true"),
            "{tool} is missing"
        );
        println!("skipped: {tool} not found");
    }
    found
}

/// Runs a command to its end, which must be good; gives what it printed.
#[track_caller]
pub(crate) fn run(command: &mut Command, dir: &Path) -> String {
    let output = command.output().unwrap();
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    if !output.status.success() {
        let mut files: Vec<_> = std::fs::read_dir(dir)
            .unwrap()
            .map(|e| e.unwrap().path())
            .collect();
        files.sort();
        let all: Vec<_> = files
            .iter()
            .filter(|path| path.is_file())
            .map(|path| {
                format!(
                    "== {}\n{}",
                    path.display(),
                    std::fs::read_to_string(path).unwrap()
                )
            })
            .collect();
        panic!("{text}\n{}", all.join("\n"));
    }
    text
}
