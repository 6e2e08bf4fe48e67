//! What is tested: the public members of a source file.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ContentHash;

/// A programming language testsmith knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// Go.
    Go,
    /// Python 3.
    Python,
    /// TypeScript, with or without JSX.
    TypeScript,
    /// JavaScript, as ES modules or CommonJS, with or without JSX.
    JavaScript,
}

impl Language {
    /// The name used in keys, logs and settings.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Go => "go",
            Self::Python => "python",
            Self::TypeScript => "typescript",
            Self::JavaScript => "javascript",
        }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The test framework of a project, for instance `go-testing`, `testify`, `pytest`, `vitest`.
///
/// The names are the drivers' own; to everyone else they are opaque and part of the cache key.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Framework(pub String);

impl fmt::Display for Framework {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A member's name, unique in its file: `Total`, or `Cart.Total` for a method.
///
/// It comes from the user's source, never from a model's answer, and holds no white space.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MemberName(pub String);

impl MemberName {
    /// The name's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MemberName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for MemberName {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// What kind of thing a member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MemberKind {
    /// A free function.
    Function,
    /// A function that belongs to a type.
    Method,
    /// A type whose behaviour is worth a test of its own.
    Type,
}

/// How a test file brings a member into scope.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "kind", content = "name")]
pub enum MemberImport {
    /// No import is needed: the test lives in the same package.
    SamePackage,
    /// Imported under its exported name; for a method, the name of its class.
    Named(String),
    /// The file's default export, bound to this local name.
    Default(String),
}

/// A public function, method or type worth a test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its name, unique in the file.
    pub name: MemberName,
    /// Function, method or type.
    pub kind: MemberKind,
    /// Its declaration without the body, as written.
    pub signature: String,
    /// Its doc comment without comment marks.
    pub doc: Option<String>,
    /// The type or class it belongs to.
    pub receiver: Option<String>,
    /// Whether calling it gives a promise or coroutine.
    pub is_async: bool,
    /// Its own source text, with doc comment and decorators.
    pub text: String,
    /// The definitions of the same file that it uses, transitively, as written, in file order.
    pub uses: Vec<String>,
    /// What its tests depend on: the tokens of `text` and `uses` and of the imports among them.
    pub digest: ContentHash,
    /// First and last line in the file, counted from 1.
    pub lines: (u32, u32),
    /// How a test names it.
    pub import: MemberImport,
}
