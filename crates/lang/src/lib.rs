//! All that is known of each programming language.
//!
//! A driver implements [`testsmith_domain::LanguageDriver`] on a tree-sitter grammar; nobody else
//! in the workspace knows what a Go package or a Python module is.
//!
//! ```
//! use testsmith_domain::{Analysis, Project, RelPath};
//!
//! let path = RelPath::new("shop/cart.go").unwrap();
//! let drivers = testsmith_lang::drivers();
//! let go = drivers.iter().find(|driver| driver.claims(&path)).unwrap();
//! let source = "package shop\n\nfunc Total(prices []int) int { return len(prices) }\n";
//! let Analysis::Source(file) = go.analyze(&Project::at("/nowhere"), &path, source) else {
//!     unreachable!("it is a source file");
//! };
//! assert_eq!(file.members[0].name.as_str(), "Total");
//! assert_eq!(file.test_path.as_str(), "shop/cart_testsmith_test.go");
//! ```
//!
//! # How it works
//!
//! What languages share is done once, for a `dialect::Dialect` that each driver provides:
//! `syntax` parses, `tokens` says what of a text counts, `uses` finds what a member depends on,
//! `marks` finds blocks, `body` cleans a model's code, and `compose` writes test files. A driver
//! adds what only its language has: which names are public, where tests go, which imports they
//! need.

mod body;
mod compose;
mod dialect;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod go;
mod imports;
mod marks;
mod mend;
mod python;
mod read;
mod runner;
mod syntax;
mod tokens;
mod typescript;
mod uses;

use std::sync::Arc;

use testsmith_domain::LanguageDriver;

pub use go::GoDriver;
pub use python::PythonDriver;
pub use typescript::TypeScriptDriver;

/// The drivers of all languages.
pub fn drivers() -> Vec<Arc<dyn LanguageDriver>> {
    vec![
        Arc::new(GoDriver),
        Arc::new(PythonDriver),
        Arc::new(TypeScriptDriver),
    ]
}
