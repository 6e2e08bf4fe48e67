//! Where a module belongs: its project, the folder it is imported from, its name, its test file.
//!
//! - The *subproject* is the nearest folder above the file that has a project file of Python's
//!   ([`MARKERS`]), else the root. It is where people run their tests.
//! - The *import root* is the folder that has to be on `sys.path`: one that the project's files
//!   name, else `src`, else the parent of the outermost package (a folder with `__init__.py`) the
//!   file is in, else the subproject, so that namespace packages are found as well.
//! - The test file's name is the module's path below the import root, written so that no two
//!   modules of a subproject share one, see [`mangled`].

use std::fmt::Write as _;
use std::path::Path;

use testsmith_domain::RelPath;

use super::project_files::ProjectFiles;

/// Where one source file belongs. Folders are relative to the project's root, empty for the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    /// The subproject's folder.
    pub(super) subproject: String,
    /// The folder that modules are imported from.
    pub(super) import_root: String,
    /// The dotted name; `None` if the file cannot be imported by name (`my-script.py`).
    pub(super) module: Option<String>,
    /// Where its tests go.
    pub(super) test_path: RelPath,
}

/// The folder of a subproject that holds our test files.
pub(super) const TEST_DIR: &str = "tests/testsmith";

const MARKERS: &[&str] = &[
    "pyproject.toml",
    "setup.py",
    "setup.cfg",
    "requirements.txt",
    "Pipfile",
    "manage.py",
];

impl Layout {
    /// Finds out where `path` belongs.
    pub(super) fn of(root: &Path, path: &RelPath) -> Self {
        let subproject = subproject(root, path.dir());
        let import_root = import_root(root, &subproject, path);
        let below = below(&import_root, path.as_str()).unwrap_or(path.as_str());
        let module = module_name(below);
        let test_name = mangled(root, &subproject, &import_root, path);
        let test_path = join(&subproject, &format!("{TEST_DIR}/test_{test_name}.py"));
        Self {
            test_path: RelPath::new(test_path).unwrap_or_else(|_| path.clone()),
            subproject,
            import_root,
            module,
        }
    }
}

/// Whether `path` is at the place of our test files.
pub(super) fn is_own(path: &RelPath) -> bool {
    let dir = path.dir();
    (dir == TEST_DIR || dir.ends_with(&format!("/{TEST_DIR}")))
        && path.file_name().starts_with("test_")
        && path.extension() == "py"
}

/// A folder and what is below it, as one path.
pub(super) fn join(dir: &str, rest: &str) -> String {
    match (dir, rest) {
        ("", rest) => rest.to_owned(),
        (dir, "") => dir.to_owned(),
        (dir, rest) => format!("{dir}/{rest}"),
    }
}

/// What of `path` is below the folder `dir`; `None` if it is not in there.
pub(super) fn below<'p>(dir: &str, path: &'p str) -> Option<&'p str> {
    if dir.is_empty() {
        return Some(path);
    }
    path.strip_prefix(dir)?.strip_prefix('/')
}

/// The folder itself and those above it, up to the root, which is empty.
fn upward(dir: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(dir), |dir| match *dir {
        "" => None,
        dir => Some(dir.rsplit_once('/').map_or("", |(parent, _)| parent)),
    })
}

fn subproject(root: &Path, dir: &str) -> String {
    upward(dir)
        .find(|dir| {
            MARKERS
                .iter()
                .any(|marker| root.join(dir).join(marker).is_file())
        })
        .unwrap_or_default()
        .to_owned()
}

fn import_root(root: &Path, subproject: &str, path: &RelPath) -> String {
    let is_package = |dir: &str| root.join(dir).join("__init__.py").is_file();
    let configured = ProjectFiles::read(&root.join(subproject)).import_roots();
    let found = configured
        .into_iter()
        .map(|dir| join(subproject, &dir))
        .filter(|dir| dir != subproject && below(dir, path.as_str()).is_some())
        .max_by_key(String::len);
    if let Some(found) = found {
        return found;
    }
    let src = join(subproject, "src");
    if below(&src, path.as_str()).is_some() && !is_package(&src) {
        return src;
    }
    if is_package(path.dir()) {
        let outside = upward(path.dir()).find(|dir| !is_package(dir));
        return outside.unwrap_or_default().to_owned();
    }
    // No import can pass a folder such as `my-service`: what is below it stands alone.
    upward(path.dir())
        .take_while(|dir| *dir != subproject)
        .find(|dir| !is_identifier(dir.rsplit('/').next().unwrap_or(dir)))
        .unwrap_or(subproject)
        .to_owned()
}

/// The dotted name of a file below its import root.
pub(super) fn module_name(below: &str) -> Option<String> {
    let stem = below.strip_suffix(".py")?;
    let stem = match stem.strip_suffix("__init__") {
        Some(package) => package.strip_suffix('/')?,
        None => stem,
    };
    let parts: Vec<&str> = stem.split('/').collect();
    parts
        .iter()
        .all(|part| is_identifier(part))
        .then(|| parts.join("."))
}

/// Whether Python takes `text` as a name in an import statement.
pub(super) fn is_identifier(text: &str) -> bool {
    const KEYWORDS: &str = "False None True and as assert async await break class continue def del \
                            elif else except finally for from global if import in is lambda \
                            nonlocal not or pass raise return try while with yield";
    let mut chars = text.chars();
    chars
        .next()
        .is_some_and(|first| first == '_' || first.is_alphabetic())
        && chars.all(|c| c == '_' || c.is_alphanumeric())
        && !KEYWORDS.split_whitespace().any(|keyword| keyword == text)
}

/// The part of a test file's name that tells which module it tests: `shop_cart` for `shop/cart.py`.
///
/// A folder's end becomes one underscore, an underscore two, so that `a/b.py` and `a_b.py` differ;
/// an underscore at the end of a part is `_0` and any other character its code in hex behind an
/// underscore, which cannot be taken for either, as no part starts with a digit.
fn mangled(root: &Path, subproject: &str, import_root: &str, path: &RelPath) -> String {
    let in_subproject = below(subproject, path.as_str()).unwrap_or(path.as_str());
    let src = join(subproject, "src");
    let shown = if import_root == src {
        below(&src, path.as_str()).unwrap_or(in_subproject)
    } else {
        in_subproject
    };
    let stem = shown.strip_suffix(".py").unwrap_or(shown);
    let stem = stem.strip_suffix("/__init__").unwrap_or(stem);
    let parts: Vec<String> = stem.split('/').map(mangled_part).collect();
    let mut name = parts.join("_");
    // `a.py` beside `src/a.py`: both are module `a`.
    if import_root != src && root.join(&src).join(in_subproject).is_file() {
        name.push_str("_1");
    }
    name
}

fn mangled_part(part: &str) -> String {
    let body = part.trim_end_matches('_');
    let mut out = String::new();
    for c in body.chars() {
        match c {
            '_' => out.push_str("__"),
            c if c.is_alphanumeric() => out.push(c),
            c => {
                let _ = write!(out, "_{:02x}", u32::from(c));
            }
        }
    }
    for _ in body.len()..part.len() {
        out.push_str("_0");
    }
    out
}
