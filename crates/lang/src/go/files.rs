//! The project's files around a Go file: its package's folder and its module.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use testsmith_domain::{Project, RelPath};

use super::dialect::GoDialect;
use super::names;
use crate::dialect::Dialect;

/// What ends the names of testsmith's own files.
pub(super) const OWN_SUFFIX: &str = "_testsmith_test.go";

/// Files larger than this are not read beside the one at hand: tables, not code.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// A folder of Go files, as seen from one of them.
#[derive(Debug)]
pub(super) struct Package<'p> {
    project: &'p Project,
    /// The Go files of the folder without the one that was asked from, by name.
    files: Vec<RelPath>,
}

impl<'p> Package<'p> {
    /// The package of the file at `path`, which itself is left out.
    pub(super) fn of(project: &'p Project, path: &RelPath) -> Self {
        let mut package = Self::in_folder(project, path.dir());
        package.files.retain(|file| file != path);
        package
    }

    /// The package in a folder, given relative to the project's root; empty for the root.
    pub(super) fn in_folder(project: &'p Project, folder: &str) -> Self {
        let mut files: Vec<RelPath> = std::fs::read_dir(project.root.join(folder))
            .into_iter()
            .flatten()
            .flatten()
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()))
            .filter(|entry| {
                entry
                    .metadata()
                    .is_ok_and(|meta| meta.len() <= MAX_FILE_BYTES)
            })
            .filter_map(|entry| RelPath::new(Path::new(folder).join(entry.file_name())).ok())
            .filter(is_go_file)
            .collect();
        files.sort();
        Self { project, files }
    }

    /// The files that are part of the package itself, with their text.
    pub(super) fn sources(&self) -> impl Iterator<Item = (&RelPath, String)> {
        self.read(|path| !is_test_file(path))
    }

    /// The tests people wrote, with their text.
    pub(super) fn human_tests(&self) -> impl Iterator<Item = (&RelPath, String)> {
        self.read(|path| is_test_file(path) && !path.file_name().ends_with(OWN_SUFFIX))
    }

    /// Those of `names` that a file of package `package` in this folder defines, each with one
    /// such file. Tests of the package count, external tests (`package x_test`) do not.
    pub(super) fn defining(
        &self,
        package: &str,
        names: &BTreeSet<String>,
    ) -> BTreeMap<String, RelPath> {
        let mut found = BTreeMap::new();
        if names.is_empty() {
            return found;
        }
        for (path, text) in self.read(|_| true) {
            // A cheap test that saves parsing most files. Methods are written `Type.method`.
            let last = |name: &str| {
                name.rsplit('.')
                    .next()
                    .is_some_and(|n| may_define(&text, n))
            };
            if !names.iter().any(|name| last(name)) {
                continue;
            }
            let file = GoDialect.parse(&text);
            let same = names::package_clause(&file).is_some_and(|node| file.of(node) == package);
            if !same {
                continue;
            }
            for (name, _) in names::defined(&file) {
                if names.contains(&name) {
                    found.entry(name).or_insert_with(|| path.clone());
                }
            }
        }
        found
    }

    fn read(&self, wanted: impl Fn(&RelPath) -> bool) -> impl Iterator<Item = (&RelPath, String)> {
        self.files
            .iter()
            .filter(move |path| wanted(path))
            .filter_map(|path| {
                let text = crate::read::shown(&self.project.root, path)?;
                Some((path, text))
            })
    }
}

/// Whether `text` holds `name` as a word that could be its definition: not as part of a string
/// (`"testing"`), and not as one side of a selector (`testing.T`), which is how nearly every file
/// holds the names of the packages it imports.
fn may_define(text: &str, name: &str) -> bool {
    let part_of_more = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '"');
    text.match_indices(name).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + name.len()..].chars().next();
        !before.is_some_and(part_of_more) && !after.is_some_and(part_of_more)
    })
}

/// Whether `go build` reads a file of this name at all.
pub(super) fn is_go_file(path: &RelPath) -> bool {
    path.extension() == "go" && !path.file_name().starts_with(['_', '.'])
}

/// Whether a file is a test by its name.
pub(super) fn is_test_file(path: &RelPath) -> bool {
    path.file_name().ends_with("_test.go")
}

/// A Go module: what testsmith needs of its `go.mod`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Module {
    /// The import path of its root.
    pub(super) path: String,
    /// The folder that holds `go.mod`, relative to the project's root.
    pub(super) folder: String,
    /// The modules it requires for itself, not only for others.
    pub(super) requires: BTreeSet<String>,
}

impl Module {
    /// The module of the file at `path`: the nearest `go.mod` upward, within the project.
    pub(super) fn of(project: &Project, path: &RelPath) -> Option<Self> {
        let mut folder = path.dir();
        loop {
            let file = project.root.join(folder).join("go.mod");
            if let Ok(text) = std::fs::read_to_string(file) {
                return Some(Self::read(folder, &text));
            }
            if folder.is_empty() {
                return None;
            }
            folder = folder.rsplit_once('/').map_or("", |(parent, _)| parent);
        }
    }

    fn read(folder: &str, text: &str) -> Self {
        let mut module = Self {
            folder: folder.to_owned(),
            ..Self::default()
        };
        let mut block = String::new();
        for line in text.lines() {
            let (words, comment) = line.split_once("//").unwrap_or((line, ""));
            let mut words: Vec<&str> = words.split_whitespace().collect();
            match words.as_slice() {
                [")"] => {
                    block.clear();
                    continue;
                }
                [verb, "("] => {
                    (*verb).clone_into(&mut block);
                    continue;
                }
                _ if !block.is_empty() => words.insert(0, &block),
                _ => {}
            }
            match words.as_slice() {
                ["module", path] => path.trim_matches('"').clone_into(&mut module.path),
                ["require", path, _] if comment.trim() != "indirect" => {
                    module.requires.insert(path.trim_matches('"').to_owned());
                }
                _ => {}
            }
        }
        module
    }

    /// The folder of a package of this module, relative to the project's root; `None` for a
    /// package of another module.
    pub(super) fn folder_of(&self, import: &str) -> Option<String> {
        let rest = import.strip_prefix(&self.path)?;
        if self.path.is_empty() || !(rest.is_empty() || rest.starts_with('/')) {
            return None;
        }
        let folder = format!("{}{rest}", self.folder);
        Some(folder.trim_start_matches('/').to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imports_and_uses_are_no_definitions() {
        let text = "import \"testing\"\n\nfunc TestAdd(t *testing.T) { x.Sum() }\n";
        assert!(may_define(text, "TestAdd"));
        assert!(!may_define(text, "testing"));
        assert!(!may_define(text, "Test"));
        assert!(!may_define(text, "Sum"));
        assert!(may_define("var (\n\tSum, Max = 1, 2\n)", "Max"));
    }

    #[test]
    fn a_go_mod_is_read() {
        let text = "module example.com/shop // the shop\n\ngo 1.22\n\n\
            require github.com/stretchr/testify v1.9.0\nrequire (\n\
            \tgo.uber.org/mock v0.4.0\n\tgopkg.in/yaml.v3 v3.0.1 // indirect\n)\n";
        let module = Module::read("backend", text);
        assert_eq!(module.path, "example.com/shop");
        assert!(module.requires.contains("github.com/stretchr/testify"));
        assert!(module.requires.contains("go.uber.org/mock"));
        assert!(!module.requires.contains("gopkg.in/yaml.v3"));
        assert_eq!(
            module.folder_of("example.com/shop/cart").as_deref(),
            Some("backend/cart")
        );
        assert_eq!(
            module.folder_of("example.com/shop").as_deref(),
            Some("backend")
        );
        assert_eq!(module.folder_of("example.com/shopping"), None);
    }
}
