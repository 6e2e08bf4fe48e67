//! The arithmetic of `bench/`, which is Python: its own tests, run as one of ours.

use std::process::Command;

#[test]
fn figures_are_reckoned_right() {
    let tests = concat!(env!("CARGO_MANIFEST_DIR"), "/../../bench/test_figures.py");
    // `-B`: nothing is written beside the sources.
    let done = Command::new("python3")
        .args(["-B", tests])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{said}");
    assert!(said.contains("\nOK"), "{said}");
}
