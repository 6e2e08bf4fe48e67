//! Finds secrets in text, so that none is sent to a model.
//!
//! ```
//! use testsmith_secrets::Scanner;
//!
//! let found = Scanner::default().scan("const key = \"AKIAQ3EGWZ5N7LXD2KVB\"\n");
//! assert_eq!(found[0].rule, "aws-access-key-id");
//! assert_eq!((found[0].line, found[0].columns.clone()), (1, 14..34));
//! assert_eq!(found[0].to_string(), "rule aws-access-key-id at line 1");
//! ```
//!
//! # Theory of operation
//!
//! There is one table of rules. A rule has literal keywords: one pass over the text finds those of
//! all rules, and only the rules whose keywords are there look any further, with their patterns.
//! What a pattern matched is then judged: placeholders are no passwords, and what is assigned to a
//! name like `API_KEY` has to look random. What no machine can tell, the user does: a comment with
//! [`ALLOW_COMMENT`] on the line or the line above passes over it, and so do the entries of
//! `secrets.allow`, see [`Scanner::new`].
//!
//! Everything here is pure. Findings tell the place and never hold the secret, so that they can be
//! logged.

mod allow;
mod judge;
mod rules;
mod scan;

pub use allow::AllowError;
pub use rules::rules;
pub use scan::{ALLOW_COMMENT, Finding, Scanner};
