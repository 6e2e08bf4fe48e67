//! What can be wrong with a configuration.

use std::fmt;
use std::path::PathBuf;

use crate::trust::TrustError;

/// Where a value was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A file, and the line if it is known, counted from 1.
    File(PathBuf, Option<usize>),
    /// An environment variable.
    Variable(String),
    /// A command-line flag.
    Flag(String),
    /// The defaults.
    BuiltIn,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path, Some(line)) => write!(f, "{}:{line}", path.display()),
            Self::File(path, None) => write!(f, "{}", path.display()),
            Self::Variable(name) => write!(f, "environment variable {name}"),
            Self::Flag(name) => write!(f, "{name}"),
            Self::BuiltIn => f.write_str("built-in"),
        }
    }
}

/// A configuration that cannot be used. Nothing has been done yet when it is found.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file could not be read.
    #[error("cannot read `{path}`")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is not TOML.
    #[error("{place}: {message}")]
    Syntax {
        /// Where.
        place: Place,
        /// What the parser says.
        message: String,
    },
    /// A key that does not exist.
    #[error("{place}: unknown key `{key}`{}", hint(.nearest.as_deref()))]
    UnknownKey {
        /// Where.
        place: Place,
        /// The key as written, with its tables.
        key: String,
        /// The key that was probably meant.
        nearest: Option<String>,
    },
    /// A value that cannot be used.
    #[error("{place}: `{key}`: {message}")]
    BadValue {
        /// Where.
        place: Place,
        /// The key.
        key: String,
        /// What is wrong.
        message: String,
    },
    /// The list of trusted files could not be read.
    #[error(transparent)]
    Trust(#[from] TrustError),
}

fn hint(nearest: Option<&str>) -> String {
    nearest.map_or_else(
        || "; `testsmith config schema` lists all keys".to_owned(),
        |key| format!("; did you mean `{key}`?"),
    )
}
