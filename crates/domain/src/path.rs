//! Paths inside a project.

use std::fmt;
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

/// A path relative to its project's root: UTF-8, `/` between parts, never absolute, never `..`, without
/// control characters, which a stranger's file could steer a terminal with.
///
/// It is what names a file in the queue, the ledger and the log, so that a project may be moved
/// and that nothing outside it can be named.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RelPath(String);

/// Why a path cannot be a [`RelPath`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RelPathError {
    /// The path is not inside the project's root.
    #[error("`{0}` is outside of the project")]
    Outside(String),
    /// The path's name is not UTF-8.
    #[error("`{0}` is not valid UTF-8; rename it")]
    NotUtf8(String),
    /// The path's name holds control characters, shown escaped here.
    #[error("`{0}` holds control characters; rename it")]
    Control(String),
    /// Nothing is left of the path: it is the root itself.
    #[error("the path names the project itself, not a file in it")]
    Empty,
}

impl RelPath {
    /// A relative path from its text, for instance `src/cart.go`.
    pub fn new(text: impl AsRef<Path>) -> Result<Self, RelPathError> {
        let path = text.as_ref();
        let mut out = String::new();
        for component in path.components() {
            match component {
                Component::CurDir => {}
                Component::Normal(part) => {
                    let part = part
                        .to_str()
                        .ok_or_else(|| RelPathError::NotUtf8(path.to_string_lossy().into()))?;
                    if part.contains(char::is_control) {
                        return Err(RelPathError::Control(
                            path.to_string_lossy().escape_debug().to_string(),
                        ));
                    }
                    if !out.is_empty() {
                        out.push('/');
                    }
                    out.push_str(part);
                }
                Component::ParentDir | Component::RootDir | Component::Prefix(_) => {
                    return Err(RelPathError::Outside(path.to_string_lossy().into()));
                }
            }
        }
        if out.is_empty() {
            return Err(RelPathError::Empty);
        }
        Ok(Self(out))
    }

    /// The part of `path` below `root`. Both must be absolute and free of links.
    pub fn below(root: &Path, path: &Path) -> Result<Self, RelPathError> {
        let rest = path
            .strip_prefix(root)
            .map_err(|_| RelPathError::Outside(path.to_string_lossy().into()))?;
        Self::new(rest)
    }

    /// The path's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path as a [`Path`], still relative.
    pub fn as_path(&self) -> &Path {
        Path::new(&self.0)
    }

    /// The absolute path under `root`.
    pub fn under(&self, root: &Path) -> PathBuf {
        root.join(&self.0)
    }

    /// The last part: `cart.go` of `src/cart.go`.
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// The folder: `src` of `src/cart.go`, empty for a file in the root.
    pub fn dir(&self) -> &str {
        self.0.rsplit_once('/').map_or("", |(dir, _)| dir)
    }

    /// The file's name without its last extension: `cart` of `src/cart.go`.
    pub fn stem(&self) -> &str {
        let name = self.file_name();
        match name.rsplit_once('.') {
            Some((stem, _)) if !stem.is_empty() => stem,
            _ => name,
        }
    }

    /// The last extension without its dot, empty if there is none.
    pub fn extension(&self) -> &str {
        match self.file_name().rsplit_once('.') {
            Some((stem, extension)) if !stem.is_empty() => extension,
            _ => "",
        }
    }

    /// The same folder with another file name.
    #[must_use]
    pub fn sibling(&self, file_name: &str) -> Self {
        match self.dir() {
            "" => Self(file_name.to_owned()),
            dir => Self(format!("{dir}/{file_name}")),
        }
    }
}

impl fmt::Display for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl From<RelPath> for String {
    fn from(path: RelPath) -> Self {
        path.0
    }
}

impl TryFrom<String> for RelPath {
    type Error = RelPathError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::new(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_outside_the_project_can_be_named() {
        assert!(matches!(
            RelPath::new("../x"),
            Err(RelPathError::Outside(_))
        ));
        assert!(matches!(
            RelPath::new("/etc/passwd"),
            Err(RelPathError::Outside(_))
        ));
        assert!(matches!(
            RelPath::new("a/../../x"),
            Err(RelPathError::Outside(_))
        ));
        let steering = RelPath::new("a/\u{1b}[2Jb.go").unwrap_err();
        assert_eq!(
            steering.to_string(),
            "`a/\\u{1b}[2Jb.go` holds control characters; rename it"
        );
        assert_eq!(RelPath::new("."), Err(RelPathError::Empty));
    }

    #[test]
    fn parts_are_found() {
        let path = RelPath::new("./src//shop/cart.test.ts").unwrap();
        assert_eq!(path.as_str(), "src/shop/cart.test.ts");
        assert_eq!(path.dir(), "src/shop");
        assert_eq!(path.stem(), "cart.test");
        assert_eq!(path.extension(), "ts");
        assert_eq!(path.sibling("x.ts").as_str(), "src/shop/x.ts");
        let top = RelPath::new(".hidden").unwrap();
        assert_eq!(
            (top.stem(), top.extension(), top.dir()),
            (".hidden", "", "")
        );
    }
}
