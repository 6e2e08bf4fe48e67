//! What tests look like in Python.

use std::fmt::Write as _;

use crate::write::value::{Value, float_text, quoted};

/// A file with one test of these lines.
pub(in crate::write) fn test_file(
    imports: &str,
    decorator: &str,
    member: &str,
    unittest: bool,
    lines: &[String],
) -> String {
    let mut text = imports.to_owned();
    if !text.is_empty() {
        text.push_str("\n\n");
    }
    text.push_str(decorator);
    let name = member.replace('.', "_");
    let mut indent = "    ";
    if unittest {
        let class: String = member.split('.').map(capitalized).collect();
        let _ = writeln!(text, "class Test{class}(unittest.TestCase):");
        let _ = writeln!(text, "    def test_{name}(self):");
        indent = "        ";
    } else {
        let _ = writeln!(text, "def test_{name}():");
    }
    for line in lines.iter().flat_map(|line| line.split('\n')) {
        if line.is_empty() {
            text.push('\n');
        } else {
            let _ = writeln!(text, "{indent}{line}");
        }
    }
    text
}

fn capitalized(word: &str) -> String {
    let mut letters = word.chars();
    letters
        .next()
        .map(|first| first.to_uppercase().chain(letters).collect())
        .unwrap_or_default()
}

/// The error to expect: only built-in ones are known by name everywhere.
pub(super) fn builtin_error(name: Option<&str>) -> &str {
    const KNOWN: [&str; 8] = [
        "ValueError",
        "TypeError",
        "KeyError",
        "IndexError",
        "ZeroDivisionError",
        "RuntimeError",
        "NotImplementedError",
        "AttributeError",
    ];
    name.filter(|name| KNOWN.contains(name))
        .unwrap_or("Exception")
}

/// A value as Python writes it.
pub(super) fn literal(value: &Value) -> Option<String> {
    Some(match value {
        Value::Null => "None".into(),
        Value::Bool(value) => if *value { "True" } else { "False" }.into(),
        Value::Int(value) => value.to_string(),
        Value::Float(value) if value.is_finite() => float_text(*value),
        Value::Str(text) => quoted(text),
        Value::List(items) => {
            let items: Option<Vec<_>> = items.iter().map(literal).collect();
            format!("[{}]", items?.join(", "))
        }
        Value::Float(_) | Value::Record(_) | Value::Error => return None,
    })
}
