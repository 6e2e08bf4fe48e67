//! Output as it was last agreed on, in `tests/fixtures/snapshots`.
//!
//! `TESTSMITH_BLESS=1 cargo test …` writes what is said now in its place, to be read in the diff.

use std::fs;
use std::path::Path;

/// The test fails if `text` is other than what is agreed on.
pub fn check(name: &str, text: &str) {
    let folder = Path::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/fixtures/snapshots"
    ));
    let path = folder.join(name);
    if std::env::var_os("TESTSMITH_BLESS").is_some_and(|bless| bless == "1") {
        fs::create_dir_all(folder).unwrap();
        fs::write(&path, text).unwrap();
        return;
    }
    let agreed = fs::read_to_string(&path).unwrap_or_default();
    pretty_assertions::assert_str_eq!(
        text,
        agreed,
        "{name} has changed: if that is meant, run this test with TESTSMITH_BLESS=1"
    );
}
