//! Functions and methods that the languages have themselves.

use super::evaluate::{Known, Machine, Stop};
use super::parse::Expression;
use crate::write::scan::Dialect;
use crate::write::value::Value;

/// Calls `callee`.
pub(super) fn call(
    machine: &mut Machine<'_>,
    callee: &Expression,
    arguments: &[Expression],
) -> Known<Value> {
    if let Expression::Field(object, method) = callee {
        if let Some(path) = path(object)
            && let Some(value) = package(machine, &format!("{path}.{method}"), arguments)
        {
            return value;
        }
        let object = machine.evaluate(object)?;
        if let Some(value) = higher_order(machine, &object, method, arguments) {
            return value;
        }
        let arguments = machine.all(arguments)?;
        return method_of(&object, method, &arguments, machine.dialect).ok_or(Stop::Unknown);
    }
    let Expression::Name(name) = callee else {
        return Err(Stop::Unknown);
    };
    // A function of the file may have the name of a built-in one.
    let defined = ["func ", "def ", "function "];
    if defined
        .iter()
        .any(|word| machine.source.blank.contains(&format!("{word}{name}(")))
    {
        return Err(Stop::Unknown);
    }
    let values = machine.all(arguments)?;
    function(machine, name, values)
}

/// The dotted name that an expression is, if it is one.
fn path(expression: &Expression) -> Option<String> {
    match expression {
        Expression::Name(name) => Some(name.clone()),
        _ => None,
    }
}

/// Functions of packages and global objects. `None` if there is none of that name.
fn package(
    machine: &mut Machine<'_>,
    name: &str,
    arguments: &[Expression],
) -> Option<Known<Value>> {
    const KNOWN: [&str; 24] = [
        "strings.ToUpper",
        "strings.ToLower",
        "strings.TrimSpace",
        "strings.Repeat",
        "strings.Contains",
        "strings.HasPrefix",
        "strings.HasSuffix",
        "strings.ReplaceAll",
        "strings.Join",
        "strings.Split",
        "strings.Fields",
        "strconv.Itoa",
        "errors.New",
        "fmt.Errorf",
        "fmt.Sprintf",
        "math.Abs",
        "math.Max",
        "math.Min",
        "Math.max",
        "Math.min",
        "Math.abs",
        "Math.floor",
        "Math.ceil",
        "Math.trunc",
    ];
    if !KNOWN.contains(&name) {
        return None;
    }
    if matches!(name, "errors.New" | "fmt.Errorf") {
        return Some(Ok(Value::Error));
    }
    let values = match machine.all(arguments) {
        Ok(values) => values,
        Err(stop) => return Some(Err(stop)),
    };
    Some(package_value(name, &values, machine.dialect).ok_or(Stop::Unknown))
}

fn package_value(name: &str, values: &[Value], dialect: Dialect) -> Option<Value> {
    let member = name.split('.').nth(1)?;
    Some(match (name, values) {
        ("fmt.Sprintf", [Value::Str(format), rest @ ..]) => Value::Str(formatted(format, rest)?),
        ("strconv.Itoa", [Value::Int(value)]) => Value::Str(value.to_string()),
        ("strings.Join", [Value::List(items), Value::Str(separator)]) => {
            Value::Str(joined(items, separator)?)
        }
        ("strings.Fields", [Value::Str(text)]) => Value::List(
            text.split_whitespace()
                .map(|part| Value::Str(part.into()))
                .collect(),
        ),
        (_, [Value::Str(text), rest @ ..]) if name.starts_with("strings.") => {
            let method = match member {
                "ToUpper" => "upper",
                "ToLower" => "lower",
                "TrimSpace" => "strip",
                "Repeat" => "repeat",
                "Contains" => "includes",
                "HasPrefix" => "startswith",
                "HasSuffix" => "endswith",
                "ReplaceAll" => "replace",
                "Split" => "split",
                _ => return None,
            };
            text_method(text, method, rest, Dialect::Go)?
        }
        _ => numeric(member, values, dialect)?,
    })
}

/// Built-in functions, and conversions.
fn function(machine: &Machine<'_>, name: &str, mut values: Vec<Value>) -> Known<Value> {
    let dialect = machine.dialect;
    let python = dialect == Dialect::Python;
    let value = match (name, values.as_slice()) {
        ("len", [Value::List(items)]) if dialect != Dialect::Script => {
            return count(items.len(), dialect);
        }
        ("len", [Value::Str(text)]) if text.is_ascii() && dialect != Dialect::Script => {
            return count(text.len(), dialect);
        }
        ("append", [Value::List(items), more @ ..]) if dialect == Dialect::Go => {
            Some(Value::List(items.iter().chain(more).cloned().collect()))
        }
        ("make", [list @ Value::List(_)] | [list @ Value::List(_), Value::Int(0), ..]) => {
            Some(list.clone())
        }
        ("int" | "int64" | "int32", [Value::Int(value)]) => Some(Value::Int(*value)),
        ("float64" | "float", [Value::Int(value)]) => i32::try_from(*value)
            .ok()
            .map(|value| Value::Float(value.into())),
        ("float64" | "float", [Value::Float(value)]) => Some(Value::Float(*value)),
        ("string" | "str" | "String", [Value::Str(text)]) => Some(Value::Str(text.clone())),
        ("str" | "String", [value]) if dialect != Dialect::Go => {
            shown(value, dialect).map(Value::Str)
        }
        ("bool", [Value::Bool(value)]) => Some(Value::Bool(*value)),
        ("list", [list @ Value::List(_)]) if python => Some(list.clone()),
        ("sum", [Value::List(items)]) if python => {
            let items = items.clone();
            return items
                .into_iter()
                .try_fold(Value::Int(0), |sum, item| machine.binary("+", sum, item));
        }
        ("sorted", [Value::List(items)]) if python => sorted(items),
        ("range", [Value::Int(_)] | [Value::Int(_), Value::Int(_)]) if python => range(&values),
        ("max" | "min" | "abs", [Value::List(items)]) if python => numeric(name, items, dialect),
        ("max" | "min" | "abs", many) if dialect != Dialect::Script && !many.is_empty() => {
            numeric(name, many, dialect)
        }
        (_, [_]) if dialect == Dialect::Go => {
            let value = values.pop().ok_or(Stop::Unknown)?;
            converted(machine, name, value)
        }
        _ => None,
    };
    value.ok_or(Stop::Unknown)
}

/// A conversion to a type of the same file that is a number or text by another name.
fn converted(machine: &Machine<'_>, name: &str, value: Value) -> Option<Value> {
    let is = |of: &str| {
        machine
            .source
            .blank
            .contains(&format!("type {name} {of}\n"))
    };
    match value {
        Value::Int(value) if is("int") || is("int64") || is("int32") => Some(Value::Int(value)),
        Value::Int(value) if is("float64") => i32::try_from(value)
            .ok()
            .map(|value| Value::Float(value.into())),
        Value::Float(value) if is("float64") => Some(Value::Float(value)),
        Value::Str(text) if is("string") => Some(Value::Str(text)),
        _ => None,
    }
}

/// Methods that take a function.
fn higher_order(
    machine: &mut Machine<'_>,
    object: &Value,
    method: &str,
    arguments: &[Expression],
) -> Option<Known<Value>> {
    let (Value::List(items), [Expression::Lambda(names, body), rest @ ..]) = (object, arguments)
    else {
        return None;
    };
    let fold = method == "reduce" && rest.len() == 1 && names.len() == 2;
    if !fold && (names.len() != 1 || !rest.is_empty()) {
        return Some(Err(Stop::Unknown));
    }
    Some((|| {
        if fold {
            let start = machine.evaluate(&rest[0])?;
            return items.iter().try_fold(start, |sum, item| {
                machine.apply(names, body, vec![sum, item.clone()])
            });
        }
        let results = items
            .iter()
            .map(|item| machine.apply(names, body, vec![item.clone()]))
            .collect::<Known<Vec<_>>>()?;
        let truths = || -> Known<Vec<bool>> {
            results
                .iter()
                .map(|value| match value {
                    Value::Bool(value) => Ok(*value),
                    _ => Err(Stop::Unknown),
                })
                .collect()
        };
        Ok(match method {
            "map" => Value::List(results),
            "some" => Value::Bool(truths()?.contains(&true)),
            "every" => Value::Bool(!truths()?.contains(&false)),
            "filter" => {
                let kept = items.iter().zip(truths()?).filter(|(_, keep)| *keep);
                Value::List(kept.map(|(item, _)| item.clone()).collect())
            }
            _ => return Err(Stop::Unknown),
        })
    })())
}

fn method_of(object: &Value, method: &str, arguments: &[Value], dialect: Dialect) -> Option<Value> {
    match (object, method, arguments) {
        (Value::Str(text), "join", [Value::List(items)]) if dialect == Dialect::Python => {
            Some(Value::Str(joined(items, text)?))
        }
        (Value::Str(text), ..) if dialect != Dialect::Go => {
            text_method(text, method, arguments, dialect)
        }
        (Value::List(items), "join", [Value::Str(separator)]) if dialect == Dialect::Script => {
            Some(Value::Str(joined(items, separator)?))
        }
        (Value::List(items), "includes", [item]) if dialect == Dialect::Script => {
            Some(Value::Bool(items.contains(item)))
        }
        (Value::List(items), "reverse", []) if dialect == Dialect::Script => {
            Some(Value::List(items.iter().rev().cloned().collect()))
        }
        _ => None,
    }
}

/// Methods of text, by any language's name for them.
fn text_method(text: &str, method: &str, arguments: &[Value], dialect: Dialect) -> Option<Value> {
    if !text.is_ascii() {
        return None;
    }
    Some(match (method, arguments) {
        ("upper" | "toUpperCase", []) => Value::Str(text.to_uppercase()),
        ("lower" | "toLowerCase", []) => Value::Str(text.to_lowercase()),
        ("strip" | "trim", []) => Value::Str(text.trim().into()),
        ("includes", [Value::Str(part)]) => Value::Bool(text.contains(part)),
        ("startswith" | "startsWith", [Value::Str(part)]) => Value::Bool(text.starts_with(part)),
        ("endswith" | "endsWith", [Value::Str(part)]) => Value::Bool(text.ends_with(part)),
        // JavaScript's `replace` is about the first one only.
        ("replace", [Value::Str(old), Value::Str(new)])
            if dialect != Dialect::Script && !old.is_empty() =>
        {
            Value::Str(text.replace(old, new))
        }
        ("repeat", [times]) => {
            let times = match times {
                Value::Int(times) => usize::try_from(*times).ok()?,
                Value::Float(times) => format!("{times}").parse().ok()?,
                _ => return None,
            };
            Value::Str(text.repeat(Some(times).filter(|times| *times < 100)?))
        }
        ("split", [Value::Str(separator)]) => {
            let list = |parts: Vec<&str>| {
                Value::List(
                    parts
                        .into_iter()
                        .map(|part| Value::Str(part.into()))
                        .collect(),
                )
            };
            if !separator.is_empty() {
                list(text.split(separator.as_str()).collect())
            } else if dialect == Dialect::Script {
                Value::List(text.chars().map(|c| Value::Str(c.into())).collect())
            } else {
                return None;
            }
        }
        ("split", []) if dialect == Dialect::Python => Value::List(
            text.split_whitespace()
                .map(|part| Value::Str(part.into()))
                .collect(),
        ),
        _ => return None,
    })
}

fn numeric(name: &str, values: &[Value], dialect: Dialect) -> Option<Value> {
    if values.iter().all(|value| matches!(value, Value::Int(_))) {
        let ints: Vec<i64> = values
            .iter()
            .filter_map(|value| match value {
                Value::Int(value) => Some(*value),
                _ => None,
            })
            .collect();
        // Go's `math` gives floats, whatever the arguments look like.
        let known = dialect == Dialect::Python || matches!(name, "max" | "min");
        return match (name, ints.as_slice()) {
            _ if !known => None,
            ("max", ints) => ints.iter().max().map(|value| Value::Int(*value)),
            ("min", ints) => ints.iter().min().map(|value| Value::Int(*value)),
            ("abs", [value]) => value.checked_abs().map(Value::Int),
            _ => None,
        };
    }
    let floats: Option<Vec<f64>> = values
        .iter()
        .map(|value| match value {
            Value::Float(value) => Some(*value),
            _ => None,
        })
        .collect();
    let value = match (name, floats?.as_slice()) {
        ("max" | "Max", [first, rest @ ..]) => rest.iter().fold(*first, |a, b| a.max(*b)),
        ("min" | "Min", [first, rest @ ..]) => rest.iter().fold(*first, |a, b| a.min(*b)),
        ("abs" | "Abs", [value]) => value.abs(),
        ("floor", [value]) => value.floor(),
        ("ceil", [value]) => value.ceil(),
        ("trunc", [value]) => value.trunc(),
        _ => return None,
    };
    let negative_zero = value == 0.0 && value.is_sign_negative();
    (!negative_zero).then_some(Value::Float(value))
}

fn sorted(items: &[Value]) -> Option<Value> {
    let mut ints = items
        .iter()
        .map(|item| match item {
            Value::Int(value) => Some(*value),
            _ => None,
        })
        .collect::<Option<Vec<_>>>()?;
    ints.sort_unstable();
    Some(Value::List(ints.into_iter().map(Value::Int).collect()))
}

fn range(values: &[Value]) -> Option<Value> {
    let (from, to) = match values {
        [Value::Int(to)] => (0, *to),
        [Value::Int(from), Value::Int(to)] => (*from, *to),
        _ => return None,
    };
    (to.saturating_sub(from) < 10_000).then(|| Value::List((from..to).map(Value::Int).collect()))
}

fn joined(items: &[Value], separator: &str) -> Option<String> {
    let texts: Option<Vec<&str>> = items
        .iter()
        .map(|item| match item {
            Value::Str(text) => Some(text.as_str()),
            _ => None,
        })
        .collect();
    Some(texts?.join(separator))
}

/// Go's formatting, as far as its plainest verbs go.
fn formatted(format: &str, values: &[Value]) -> Option<String> {
    let mut values = values.iter();
    let mut text = String::new();
    let mut parts = format.split('%');
    text += parts.next()?;
    for part in parts {
        let verb = part.chars().next()?;
        let value = values.next()?;
        match (verb, value) {
            ('d' | 'v', Value::Int(value)) => text += &value.to_string(),
            ('s' | 'v', Value::Str(value)) => text += value,
            ('t' | 'v', Value::Bool(value)) => text += &value.to_string(),
            _ => return None,
        }
        text += &part[verb.len_utf8()..];
    }
    values.next().is_none().then_some(text)
}

/// A length as the language's own kind of number.
pub(super) fn count(length: usize, dialect: Dialect) -> Known<Value> {
    let length = i32::try_from(length).map_err(|_| Stop::Unknown)?;
    Ok(match dialect {
        Dialect::Script => Value::Float(length.into()),
        Dialect::Go | Dialect::Python => Value::Int(length.into()),
    })
}

/// A value as text, by Python's `str` or JavaScript's `String`.
pub(super) fn shown(value: &Value, dialect: Dialect) -> Option<String> {
    match (dialect, value) {
        (_, Value::Str(text)) => Some(text.clone()),
        (_, Value::Int(value)) => Some(value.to_string()),
        (Dialect::Python, Value::Bool(value)) => Some(if *value { "True" } else { "False" }.into()),
        (Dialect::Script, Value::Bool(value)) => Some(value.to_string()),
        (Dialect::Script, Value::Float(value)) if is_plain(*value) => Some(value.to_string()),
        (Dialect::Python, Value::Float(value)) if is_plain(*value) => Some(format!("{value:?}")),
        _ => None,
    }
}

/// Whether a float is written without an exponent in every language.
fn is_plain(value: f64) -> bool {
    value == 0.0 || (1e-4..1e15).contains(&value.abs())
}
