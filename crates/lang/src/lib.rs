//! All that is known of each programming language.
//!
//! A driver implements [`testsmith_domain::LanguageDriver`] on a tree-sitter grammar; nobody else
//! in the workspace knows what a Go package or a Python module is.
//!
//! # How it works
//!
//! What languages share is done once, for a [`dialect::Dialect`] that each driver provides:
//! [`syntax`] parses, [`tokens`] says what of a text counts, [`uses`] finds what a member depends
//! on, [`marks`] finds blocks, and [`compose`] writes test files. A driver adds what only its
//! language has: which names are public, where tests go, which imports they need.

mod compose;
mod dialect;
mod imports;
mod marks;
mod syntax;
mod tokens;
mod uses;

use std::sync::Arc;

use testsmith_domain::LanguageDriver;

/// The drivers of all languages.
pub fn drivers() -> Vec<Arc<dyn LanguageDriver>> {
    Vec::new()
}
