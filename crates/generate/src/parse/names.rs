//! Whose test an element is.

use testsmith_domain::MemberName;

use super::{AnswerProblem, Element, ParsedAnswer, ParsedBody};

/// How well a name fits, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fit {
    Exact,
    IgnoringCase,
    /// The same letters and digits, perhaps with the prefix of a test: `TestCart_Total` for
    /// `Cart.Total`.
    Loose,
}

/// The member that `name` means, if there is just one, as an index into `members`.
pub(super) fn resolve(name: &str, members: &[MemberName]) -> Option<(usize, Fit)> {
    if let Some(at) = members.iter().position(|member| member.as_str() == name) {
        return Some((at, Fit::Exact));
    }
    let lower = name.to_lowercase();
    if let Some(at) = only(members, |member| member.to_lowercase() == lower) {
        return Some((at, Fit::IgnoringCase));
    }
    let core = letters(name);
    let without_prefix = core.strip_prefix("test").unwrap_or_default();
    [core.as_str(), without_prefix]
        .into_iter()
        .filter(|core| !core.is_empty())
        .find_map(|core| only(members, |member| letters(member) == core))
        .map(|at| (at, Fit::Loose))
}

fn only(members: &[MemberName], fits: impl Fn(&str) -> bool) -> Option<usize> {
    let mut found = members
        .iter()
        .enumerate()
        .filter(|(_, member)| fits(member.as_str()));
    match (found.next(), found.next()) {
        (Some((at, _)), None) => Some(at),
        _ => None,
    }
}

fn letters(name: &str) -> String {
    name.chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

/// Gives each member its body, or the reason why it has none.
///
/// A better fitting name wins over a worse one; equal bodies under equally fitting names count
/// once, different ones not at all.
pub(super) fn assign(elements: Vec<Element>, members: &[MemberName]) -> ParsedAnswer {
    let readable = !elements.is_empty();
    let mut slots: Vec<Option<(Fit, Result<String, AnswerProblem>)>> = vec![None; members.len()];
    for element in elements {
        let Some((at, fit)) = resolve(&element.name, members) else {
            continue;
        };
        let Some(slot) = slots.get_mut(at) else {
            continue;
        };
        let code = element
            .code
            .filter(|code| !code.trim().is_empty())
            .ok_or(AnswerProblem::NoCode);
        match slot {
            Some((earlier, _)) if *earlier < fit => {}
            Some((earlier, known)) if *earlier == fit => {
                if *known != code {
                    *known = Err(AnswerProblem::Conflicting);
                }
            }
            _ => *slot = Some((fit, code)),
        }
    }
    let mut answer = ParsedAnswer {
        readable,
        ..ParsedAnswer::default()
    };
    let absent = if readable {
        AnswerProblem::Absent
    } else {
        AnswerProblem::Unreadable
    };
    for (member, slot) in members.iter().zip(slots) {
        match slot.map_or(Err(absent), |(_, code)| code) {
            Ok(code) => answer.bodies.push(ParsedBody {
                member: member.clone(),
                code,
            }),
            Err(problem) => answer.problems.push((member.clone(), problem)),
        }
    }
    answer
}
