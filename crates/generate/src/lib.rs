//! From the public members of a changed file to test code for each of them.
//!
//! [`Pipeline`] decides, member by member, whether anything is to be done, takes what the cache
//! has, and lets a generator write the rest: [`ModelGenerator`] asks a language model, in one call
//! for each file; [`ScaffoldGenerator`] draws skipped placeholders for those without a model.
//!
//! # Example
//!
//! What a model answers is text that may hold anything. [`parse_answer`] finds the tests in it:
//!
//! ```
//! use testsmith_domain::MemberName;
//! use testsmith_generate::parse_answer;
//!
//! let asked = [MemberName::from("Add"), MemberName::from("Cart.Total")];
//! let answer = r#"Here you are: {"tests":[{"name":"Add","code":"func TestAdd(t *testing.T) {}"}]}"#;
//! let parsed = parse_answer(answer, &asked, None);
//! assert_eq!(parsed.bodies[0].code, "func TestAdd(t *testing.T) {}");
//! assert_eq!(parsed.problems[0].0.as_str(), "Cart.Total");
//! ```
//!
//! # Theory of operation
//!
//! A member's cache key is derived from all that shapes its answer. [`Pipeline::plan`] compares
//! the key with the block in the test file and with the ledger: a block with this key is fresh, an
//! edited or deleted one is the user's, everything else is wanted. [`Pipeline::run`] claims each
//! wanted key, looks it up while it holds the claim (so that two files with equal members are
//! asked for once), and hands the misses to the generator in one request.
//!
//! The generator asks in rounds. A round is a set of calls that run at the same time; from each
//! answer the usable bodies are stored in the same poll that received it, before anything else is
//! awaited, so that no later failure or cancellation costs an answer. What an answer left out
//! decides the next round: the rest together, then singly; in halves where the answer was cut or
//! the prompt was too long. The rules are one pure function, and the number of calls is bounded
//! whatever the model does.
//!
//! The parser never repairs code: it accepts complete elements only, so that a cut answer gives
//! fewer bodies but never half a body.

// The fake language is shared with the tests outside of the crate, and names it as they do.
#[cfg(test)]
extern crate self as testsmith_generate;

#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod model;
mod parse;
mod pipeline;
mod plan;
mod prompt;
mod scaffold;

pub use model::{AnswerFormat, GeneratorSettings, ModelGenerator};
pub use parse::{AnswerProblem, ParsedAnswer, ParsedBody, parse_answer};
pub use pipeline::{Decision, FileResult, Judged, Pipeline};
pub use plan::{FileRequest, Plan, PlannedMember, Step};
pub use prompt::PROMPT_VERSION;
pub use scaffold::ScaffoldGenerator;
