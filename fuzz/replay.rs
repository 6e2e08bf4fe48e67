//! What an ordinary test does with a fuzz target's corpus: the same property on every input of it.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// Holds `property` against each input in `fuzz/corpus/<target>`, and names those that break it.
pub(crate) fn replay(target: &str, property: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    let mut seen = 0;
    let mut broken = Vec::new();
    for entry in fs::read_dir(folder.join(target)).unwrap() {
        let path = entry.unwrap().path();
        let input = fs::read(&path).unwrap();
        seen += 1;
        if catch_unwind(AssertUnwindSafe(|| property(&input))).is_err() {
            broken.push(path);
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
    assert!(seen > 5, "only {seen} inputs were found for `{target}`");
}
