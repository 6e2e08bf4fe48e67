//! Writes tests, as a model would, for simple functions of each language.
//!
//! Declarations are found by small scanners over a copy of the source in which strings and
//! comments are blanked; no grammar is needed for code that somebody else has checked. Where the
//! body is simple, it is interpreted for a few inputs and the test asserts the outcome; else the
//! test asserts that two equal calls have the same outcome; and where not even that may be run
//! (clocks, chance, files, networks, endless loops), it asserts the declaration.

mod bad;
mod go;
mod interpret;
mod python;
mod scan;
mod script;
mod value;

use std::collections::BTreeMap;

use testsmith_domain::Language;

use crate::chance::Chance;
use crate::prompt::Prompt;
use crate::script::BadBody;

/// The tests for each member asked for, bad where `bad` says so. `witness` is the address that
/// tests which use the network connect to.
pub(crate) fn write_tests(
    prompt: &Prompt,
    bad: &BTreeMap<String, BadBody>,
    chance: &Chance,
    witness: &str,
) -> Vec<(String, String)> {
    prompt
        .members
        .iter()
        .map(|member| {
            let code = match bad.get(member) {
                Some(kind) => bad::write(prompt, member, *kind, witness),
                None => write_test(prompt, member, &chance.about(member)),
            };
            (member.clone(), code)
        })
        .collect()
}

fn write_test(prompt: &Prompt, member: &str, chance: &Chance) -> String {
    match prompt.language {
        Some(Language::Go) => go::write(prompt, member, chance),
        Some(Language::Python) => python::write(prompt, member, chance),
        Some(Language::TypeScript | Language::JavaScript) => script::write(prompt, member, chance),
        None => String::new(),
    }
}

/// A member's name split at its class or receiver type.
fn split_member(member: &str) -> (Option<&str>, &str) {
    match member.rsplit_once('.') {
        Some((owner, name)) => (Some(owner), name),
        None => (None, member),
    }
}
