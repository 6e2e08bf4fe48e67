//! Which test framework a project uses.

use std::fs;
use std::path::{Path, PathBuf};

use testsmith_domain::{Framework, Language, Project, RelPath};

use super::layout::{self, Layout};
use super::project_files::{ProjectFiles, entries};

/// pytest.
pub(super) const PYTEST: &str = "pytest";
/// pytest with the `mocker` fixture of pytest-mock.
pub(super) const PYTEST_MOCK: &str = "pytest+mock";
/// The standard library's unittest.
pub(super) const UNITTEST: &str = "unittest";

/// The framework for a file: what the user set; else pytest if the project's files or its own tests
/// name it; else unittest if its tests use that; else pytest.
pub(super) fn detect(project: &Project, layout: &Layout) -> Framework {
    if let Some(set) = project.framework_for(Language::Python) {
        return set.clone();
    }
    let folders = folders(&project.root, layout);
    let files: Vec<ProjectFiles> = folders.iter().map(|dir| ProjectFiles::read(dir)).collect();
    let name = if files.iter().any(|files| files.names_package("pytest-mock")) {
        PYTEST_MOCK
    } else if files
        .iter()
        .any(|files| files.configures_pytest() || files.names_package(PYTEST))
    {
        PYTEST
    } else {
        framework_of_tests(&project.root, layout)
    };
    Framework(name.to_owned())
}

/// Whether the tests are `unittest.TestCase` classes.
pub(super) fn is_unittest(framework: &Framework) -> bool {
    framework.0 == UNITTEST
}

/// The subproject's folder, and the root if that is another.
fn folders(root: &Path, layout: &Layout) -> Vec<PathBuf> {
    let own = root.join(&layout.subproject);
    if layout.subproject.is_empty() {
        vec![own]
    } else {
        vec![own, root.to_owned()]
    }
}

fn framework_of_tests(root: &Path, layout: &Layout) -> &'static str {
    let mut unittest = false;
    for path in human_tests(root, layout) {
        let text = crate::read::shown(root, &path).unwrap_or_default();
        if text.contains("import pytest") || text.contains("from pytest import") {
            return PYTEST;
        }
        unittest |= text.contains("unittest") && text.contains("TestCase");
    }
    if unittest { UNITTEST } else { PYTEST }
}

/// Files and folders looked at, so that a tree of thousands of tests costs little.
const MOST_TESTS: usize = 200;

/// The test files that people wrote in the `tests` and `test` folders of the file's subproject.
pub(super) fn human_tests(root: &Path, layout: &Layout) -> Vec<RelPath> {
    let own = &layout.subproject;
    let mut pending = vec![layout::join(own, "test"), layout::join(own, "tests")];
    let ours = layout::join(own, layout::TEST_DIR);
    let mut found = Vec::new();
    let mut looked_at = 0;
    while let Some(dir) = pending.pop() {
        for path in entries(&root.join(dir)) {
            looked_at += 1;
            if looked_at > MOST_TESTS {
                return found;
            }
            let Ok(relative) = RelPath::below(root, &path) else {
                continue;
            };
            if fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_dir()) {
                // Ours may hold thousands, and none that people wrote.
                if relative.as_str() != ours {
                    pending.push(relative.to_string());
                }
            } else if is_test_name(relative.file_name()) && !layout::is_own(&relative) {
                found.push(relative);
            }
        }
    }
    found
}

/// Whether a file of this name holds tests, wherever it is.
pub(super) fn is_test_name(name: &str) -> bool {
    let Some(stem) = name.strip_suffix(".py") else {
        return false;
    };
    stem.starts_with("test_") || stem.ends_with("_test") || stem == "tests"
}
