//! Build constraints: which systems a Go file is for.
//!
//! A test of a file that is only built on some systems has to be kept from the others as well, so
//! the constraint of the source, from its `//go:build` line and from its name (`x_linux.go`), is
//! written into the head of the test file. The test file's own name ends in `_testsmith_test.go`
//! and implies nothing.

use testsmith_domain::{Project, RelPath};
use tree_sitter::Node;

use crate::dialect::Dialect;
use crate::syntax::{Parsed, children, is_comment};

/// A constraint, as the expression behind `//go:build`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Constraint(String);

impl Constraint {
    /// The constraint of a source file on disk. A file that cannot be read has none.
    pub(super) fn of_source(project: &Project, path: &RelPath) -> Option<Self> {
        let text = std::fs::read_to_string(path.under(&project.root)).unwrap_or_default();
        let head = head(&text);
        let written = Self::read(&super::dialect::GoDialect.parse(head));
        match (of_name(path), written) {
            (None, written) => written,
            (Some(named), None) => Some(Self(named)),
            // As gofmt writes it: with no brackets that change nothing.
            (Some(named), Some(Self(written))) if written.contains("||") => {
                Some(Self(format!("{named} && ({written})")))
            }
            (Some(named), Some(Self(written))) => Some(Self(format!("{named} && {written}"))),
        }
    }

    /// The constraint written in a file's head.
    pub(super) fn read(file: &Parsed<'_>) -> Option<Self> {
        let line = file.of(Self::node(file)?);
        Some(Self(line.strip_prefix(GO_BUILD)?.trim().to_owned()))
    }

    /// The comment that holds it.
    pub(super) fn node<'f>(file: &'f Parsed<'_>) -> Option<Node<'f>> {
        children(file.root())
            .into_iter()
            .take_while(|node| is_comment(*node) || !node.is_named())
            .find(|node| file.of(*node).starts_with(GO_BUILD))
    }

    /// Whether it keeps the file out of every build: `ignore` by convention is a tag nobody sets.
    pub(super) fn is_ignore(&self) -> bool {
        self.0 == "ignore"
    }

    /// Whether it is `other`, or `other` with more added to it by somebody.
    pub(super) fn implies(&self, other: &Self) -> bool {
        let parts = [format!("{} && ", other.0), format!("({}) && ", other.0)];
        self == other || parts.iter().any(|part| self.0.starts_with(part.as_str()))
    }

    /// The line that holds it.
    pub(super) fn line(&self) -> String {
        format!("{GO_BUILD}{}", self.0)
    }
}

const GO_BUILD: &str = "//go:build ";

/// What stands before the package clause: all that a constraint can be in.
pub(super) fn head(text: &str) -> &str {
    let mut end = 0;
    for line in text.split_inclusive('\n') {
        if line.starts_with("package ") {
            break;
        }
        end += line.len();
    }
    text.get(..end).unwrap_or(text)
}

/// The constraint that a file's name implies, by the rule of `go/build`: the last part between
/// underscores may name an architecture or system, the last two a system and an architecture.
fn of_name(path: &RelPath) -> Option<String> {
    let stem = path.file_name().split('.').next()?;
    // What stands before the first underscore is never a constraint.
    let mut parts = stem.split('_').skip(1).collect::<Vec<_>>();
    let last = parts.pop()?;
    let before = parts.pop();
    if ARCHITECTURES.contains(&last) {
        return Some(match before {
            Some(system) if SYSTEMS.contains(&system) => format!("{system} && {last}"),
            _ => last.to_owned(),
        });
    }
    SYSTEMS.contains(&last).then(|| last.to_owned())
}

/// The systems Go knows by name, from `internal/syslist` of Go 1.26.
const SYSTEMS: &[&str] = &[
    "aix",
    "android",
    "darwin",
    "dragonfly",
    "freebsd",
    "hurd",
    "illumos",
    "ios",
    "js",
    "linux",
    "nacl",
    "netbsd",
    "openbsd",
    "plan9",
    "solaris",
    "wasip1",
    "windows",
    "zos",
];

/// The architectures Go knows by name, from the same place.
const ARCHITECTURES: &[&str] = &[
    "386",
    "amd64",
    "amd64p32",
    "arm",
    "armbe",
    "arm64",
    "arm64be",
    "loong64",
    "mips",
    "mipsle",
    "mips64",
    "mips64le",
    "mips64p32",
    "mips64p32le",
    "ppc",
    "ppc64",
    "ppc64le",
    "riscv",
    "riscv64",
    "s390",
    "s390x",
    "sparc",
    "sparc64",
    "wasm",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_imply_systems() {
        let of = |name: &str| of_name(&RelPath::new(name).unwrap());
        assert_eq!(of("x_linux.go").as_deref(), Some("linux"));
        assert_eq!(
            of("x_windows_amd64.go").as_deref(),
            Some("windows && amd64")
        );
        assert_eq!(of("x_linux_arm64.go").as_deref(), Some("linux && arm64"));
        assert_eq!(of("x_cart_arm64.go").as_deref(), Some("arm64"));
        assert_eq!(of("linux.go"), None);
        assert_eq!(of("x_linux_cart.go"), None);
        assert_eq!(of("x_linux_testsmith_test.go"), None);
    }
}
