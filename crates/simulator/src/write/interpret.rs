//! Interprets simple function bodies, to know what a call gives.
//!
//! Arithmetic, text, lists, conditions and loops over known values, and a few built-in functions.
//! Whatever else occurs, the outcome is not known and nothing is asserted: better no expectation
//! than a wrong one.

mod arithmetic;
mod builtin;
mod evaluate;
mod parse;
mod token;

use std::collections::BTreeMap;
use std::ops::Range;

use evaluate::{Machine, Stop};

use super::scan::{Dialect, Source};
use super::value::Value;

/// How a call ends.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Outcome {
    /// With these values.
    Returned(Vec<Value>),
    /// With an error or panic; its type's name, if it is known.
    Raised(Option<String>),
}

/// The values of a scope, by name.
pub(super) type Names = BTreeMap<String, Value>;

/// Runs a body with these names; `None` if what it does is not known.
pub(super) fn interpret(
    source: &Source<'_>,
    dialect: Dialect,
    body: Range<usize>,
    names: Names,
) -> Option<Outcome> {
    let statements = parse::statements(source.text.get(body)?, dialect)?;
    let mut machine = Machine::new(source, dialect, names);
    match machine.run(&statements) {
        Ok(()) => Some(Outcome::Returned(match dialect {
            Dialect::Go => Vec::new(),
            Dialect::Python | Dialect::Script => vec![Value::Null],
        })),
        Err(Stop::Returned(Some(values))) => Some(Outcome::Returned(values)),
        // A bare return in Go gives the named results, which the caller of this knows.
        Err(Stop::Returned(None)) => Some(Outcome::Returned(match dialect {
            Dialect::Go => vec![Value::Record(machine.into_names())],
            Dialect::Python | Dialect::Script => vec![Value::Null],
        })),
        Err(Stop::Raised(error)) => Some(Outcome::Raised(error)),
        Err(Stop::Unknown | Stop::Break | Stop::Continue) => None,
    }
}

/// The value of an expression that uses no names.
pub(super) fn constant(code: &str, dialect: Dialect) -> Option<Value> {
    let expression = parse::expression(code, dialect)?;
    let source = Source::new("", dialect);
    Machine::new(&source, dialect, Names::new())
        .evaluate(&expression)
        .ok()
}

/// The fields that a constructor's body leaves in the object called `object`.
pub(super) fn fields_set(
    source: &Source<'_>,
    dialect: Dialect,
    body: Range<usize>,
    names: Names,
    object: &str,
) -> Option<BTreeMap<String, Value>> {
    let statements = parse::statements(source.text.get(body)?, dialect)?;
    let mut machine = Machine::new(source, dialect, names);
    machine.run(&statements).ok()?;
    match machine.into_names().remove(object)? {
        Value::Record(fields) => Some(fields),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
