//! Values that inputs and interpreted code have.

use std::collections::BTreeMap;

/// A value of any of the languages, as far as simple code needs it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    /// `nil`, `None`, `null`, `undefined`.
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(String),
    List(Vec<Value>),
    /// A struct or object.
    Record(BTreeMap<String, Value>),
    /// A Go error that is not `nil`.
    Error,
}

/// One argument: how it is written, and its value where the interpreter can use it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Input {
    pub expression: String,
    pub value: Option<Value>,
}

impl Input {
    pub(super) fn known(expression: impl Into<String>, value: Value) -> Self {
        Self {
            expression: expression.into(),
            value: Some(value),
        }
    }

    pub(super) fn opaque(expression: impl Into<String>) -> Self {
        Self {
            expression: expression.into(),
            value: None,
        }
    }
}

/// Which of the pools' figures an argument takes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pick(pub usize);

impl Pick {
    pub(super) fn int(self) -> i64 {
        [3, 2, 7, 10, 4, 6, 0, 5, -4, 8, 1][self.0 % 11]
    }

    /// Halves: exact in binary, so that sums are the same in every language.
    pub(super) fn float(self) -> f64 {
        [2.5, 4.0, 1.5, 8.0, 0.5, 10.0, 0.0, 3.0][self.0 % 8]
    }

    pub(super) fn text(self) -> &'static str {
        ["Ada", "hello", "Go", "level", "a b c", "", "Grace", "42"][self.0 % 8]
    }

    pub(super) fn bool(self) -> bool {
        self.0.is_multiple_of(2)
    }

    /// The pick for the `n`th thing within.
    pub(super) const fn next(self, n: usize) -> Self {
        Self(self.0 + n)
    }
}

/// A number as all the languages write it, with a point if it is no integer by type.
pub(super) fn float_text(value: f64) -> String {
    format!("{value:?}")
}

/// A string between double quotes, as all the languages write it.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
