//! Arguments and receivers for Go calls.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use super::declaration::{Function, Type, imports, type_named};
use crate::write::scan::{Source, name_length};
use crate::write::value::{Input, Pick, Value, float_text, quoted};

/// Writes values of Go types, and remembers which imports they need.
#[derive(Debug)]
pub(super) struct Inputs<'s> {
    source: &'s Source<'s>,
    /// What stands for each type parameter.
    type_args: BTreeMap<String, String>,
    imports: Vec<(String, String)>,
    used: RefCell<BTreeSet<String>>,
}

impl<'s> Inputs<'s> {
    pub(super) fn new(source: &'s Source<'s>, function: &Function) -> Self {
        let mut type_args: BTreeMap<String, String> = function
            .generics
            .iter()
            .map(|param| (param.name.clone(), type_argument(&param.of)))
            .collect();
        if let Some(receiver) = &function.receiver {
            let declared = type_named(source, &receiver.of).map(|of| of.generics);
            for (n, name) in receiver.type_args.iter().enumerate() {
                let constraint = declared.as_ref().and_then(|params| params.get(n));
                let argument = constraint.map_or("int".into(), |param| type_argument(&param.of));
                type_args.insert(name.clone(), argument);
            }
        }
        Self {
            source,
            type_args,
            imports: imports(source),
            used: RefCell::default(),
        }
    }

    /// The imports needed so far.
    pub(super) fn used(&self) -> BTreeSet<String> {
        self.used.borrow().clone()
    }

    /// The type arguments to write behind a name, in the order of `names`.
    pub(super) fn instantiation(&self, names: &[String]) -> String {
        if names.is_empty() {
            return String::new();
        }
        let args: Vec<_> = names.iter().map(|name| self.concrete(name)).collect();
        format!("[{}]", args.join(", "))
    }

    /// An argument of type `of`.
    pub(super) fn argument(&self, of: &str, pick: Pick) -> Input {
        if let Some(element) = of.strip_prefix("...") {
            let inputs = [
                self.argument(element, pick),
                self.argument(element, pick.next(1)),
            ];
            let values = inputs.iter().map(|input| input.value.clone()).collect();
            let text = inputs.map(|input| input.expression).join(", ");
            return Input {
                expression: text,
                value: Option::<Vec<_>>::map(values, Value::List),
            };
        }
        let of = self.concrete(of);
        self.value(&of, pick, 0)
    }

    /// A receiver: an expression that can be assigned to a variable.
    pub(super) fn receiver(&self, function: &Function, pick: Pick) -> Option<Input> {
        let receiver = function.receiver.as_ref()?;
        let written = format!("{}{}", receiver.of, self.instantiation(&receiver.type_args));
        Some(match type_named(self.source, &receiver.of) {
            Some(declared) => self.declared(&written, &declared, pick, 0),
            None => Input::opaque(format!("*new({written})")),
        })
    }

    /// The zero value of a type, and whether constants can be compared with it.
    pub(super) fn zero(&self, of: &str) -> Option<Value> {
        let of = self.concrete(of);
        let declared = type_named(self.source, &of).map(|declared| declared.definition);
        Some(match declared.as_deref().unwrap_or(&of) {
            "int" | "int64" | "int32" => Value::Int(0),
            "float64" => Value::Float(0.0),
            "string" => Value::Str(String::new()),
            "bool" => Value::Bool(false),
            "error" => Value::Null,
            of if of.starts_with("[]") => Value::List(Vec::new()),
            _ => return None,
        })
    }

    /// Whether printing two equal values of this type gives the same text.
    pub(super) fn printable(&self, of: &str) -> bool {
        let of = self.concrete(of);
        self.printable_to(&of, 0)
    }

    fn printable_to(&self, of: &str, depth: usize) -> bool {
        if depth > 4 {
            return false;
        }
        if is_basic(of) || of == "error" {
            return true;
        }
        if let Some(element) = of.strip_prefix("[]") {
            return self.printable_to(element, depth + 1);
        }
        if let Some(rest) = of.strip_prefix("map[")
            && let Some((key, element)) = rest.split_once(']')
        {
            return self.printable_to(key, depth + 1) && self.printable_to(element, depth + 1);
        }
        // Go prints a pointer's target at the top level only.
        let of = if depth == 0 {
            of.trim_start_matches('*')
        } else {
            of
        };
        type_named(self.source, of).is_some_and(|declared| {
            declared.generics.is_empty()
                && !declared.definition.starts_with("interface")
                && if declared.definition.starts_with("struct") {
                    !declared.fields.is_empty()
                        && declared
                            .fields
                            .iter()
                            .all(|field| self.printable_to(&field.of, depth + 1))
                } else {
                    self.printable_to(&declared.definition, depth + 1)
                }
        })
    }

    /// A type with its parameters replaced.
    pub(super) fn concrete(&self, of: &str) -> String {
        let mut out = String::new();
        let mut rest = of;
        while !rest.is_empty() {
            let length = name_length(rest);
            if length == 0 {
                let (c, after) = rest.split_at(rest.chars().next().map_or(1, char::len_utf8));
                out.push_str(c);
                rest = after;
                continue;
            }
            let (name, after) = rest.split_at(length);
            out.push_str(self.type_args.get(name).map_or(name, |arg| arg));
            rest = after;
        }
        out
    }

    fn value(&self, of: &str, pick: Pick, depth: usize) -> Input {
        if let Some(input) = basic(of, pick) {
            return input;
        }
        if let Some(input) = self.well_known(of) {
            return input;
        }
        if let Some(element) = of.strip_prefix("[]") {
            return self.slice(of, element, pick, depth);
        }
        if of.starts_with("func(") {
            return Input::opaque(self.function(of));
        }
        if let Some(target) = of.strip_prefix('*') {
            self.note_packages(target);
            return Input::opaque(format!("new({target})"));
        }
        if of.starts_with("map[") {
            self.note_packages(of);
            return Input::opaque(format!("{of}{{}}"));
        }
        let declared = (name_length(of) == of.len())
            .then(|| type_named(self.source, of))
            .flatten();
        match declared {
            Some(declared) if declared.generics.is_empty() && depth < 3 => {
                self.declared(of, &declared, pick, depth)
            }
            _ => {
                self.note_packages(of);
                Input::opaque(format!("*new({of})"))
            }
        }
    }

    /// A value of a type of the same file.
    fn declared(&self, written: &str, declared: &Type, pick: Pick, depth: usize) -> Input {
        let definition = self.concrete(&declared.definition);
        if !definition.starts_with("struct") {
            return match basic(&definition, pick) {
                Some(input) => Input {
                    expression: format!("{written}({})", input.expression),
                    ..input
                },
                None if definition.starts_with("[]") => {
                    let inner = self.value(&definition, pick, depth + 1);
                    Input {
                        expression: format!("{written}({})", inner.expression),
                        ..inner
                    }
                }
                None => Input::opaque(format!("*new({written})")),
            };
        }
        let mut known = BTreeMap::new();
        let mut given = Vec::new();
        let mut whole = true;
        for (n, field) in declared.fields.iter().enumerate() {
            let of = self.concrete(&field.of);
            let input = self.field(&of, pick.next(n), depth);
            if let Some(input) = input {
                given.push(format!("{}: {}", field.name, input.expression));
                match input.value {
                    Some(value) => {
                        known.insert(field.name.clone(), value);
                    }
                    None => whole = false,
                }
            }
        }
        Input {
            expression: format!("{written}{{{}}}", given.join(", ")),
            value: whole.then_some(Value::Record(known)),
        }
    }

    /// A field's value, for fields that are worth one.
    fn field(&self, of: &str, pick: Pick, depth: usize) -> Option<Input> {
        let element = of.strip_prefix("[]").unwrap_or(of);
        let simple = is_basic(element)
            || (name_length(element) == element.len()
                && depth < 2
                && type_named(self.source, element).is_some_and(|declared| {
                    declared.generics.is_empty() && !declared.definition.starts_with("interface")
                }));
        simple.then(|| self.value(of, pick, depth + 1))
    }

    fn slice(&self, of: &str, element: &str, pick: Pick, depth: usize) -> Input {
        if element == "byte" {
            return Input::opaque(format!("[]byte({})", quoted(pick.text())));
        }
        self.note_packages(element);
        let inputs: Vec<_> = (0..3)
            .map(|n| self.value(element, pick.next(n), depth + 1))
            .collect();
        let text: Vec<_> = inputs
            .iter()
            .map(|input| input.expression.as_str())
            .collect();
        Input {
            expression: format!("{of}{{{}}}", text.join(", ")),
            value: inputs
                .iter()
                .map(|input| input.value.clone())
                .collect::<Option<_>>()
                .map(Value::List),
        }
    }

    /// A function that does nothing and gives zero values.
    fn function(&self, of: &str) -> String {
        self.note_packages(of);
        let Some(end) = crate::write::scan::closing(of, "func".len()) else {
            return "nil".into();
        };
        let (params, results) = of.split_at(end + 1);
        let results = results.trim();
        if results.is_empty() {
            return format!("{params} {{}}");
        }
        let list = results.trim_start_matches('(').trim_end_matches(')');
        let named: Vec<_> = list
            .split(',')
            .enumerate()
            .map(|(n, of)| format!("r{n} {}", of.trim()))
            .collect();
        if results.starts_with("func") || list.contains('(') {
            return "nil".into();
        }
        format!("{params} ({}) {{ return }}", named.join(", "))
    }

    fn well_known(&self, of: &str) -> Option<Input> {
        let (expression, import) = match of {
            "error" => (r#"errors.New("boom")"#, "errors"),
            "any" | "interface{}" => (r#""value""#, ""),
            "context.Context" => ("context.Background()", "context"),
            "time.Duration" => ("time.Millisecond", "time"),
            "io.Reader" => (r#"strings.NewReader("some text")"#, "strings"),
            "io.Writer" => ("io.Discard", "io"),
            _ => return None,
        };
        if !import.is_empty() {
            self.used.borrow_mut().insert(import.to_owned());
        }
        Some(Input::opaque(expression))
    }

    /// Remembers the imports of the packages that a type names.
    fn note_packages(&self, of: &str) {
        for (name, path) in &self.imports {
            let qualified = format!("{name}.");
            let names = of.match_indices(&qualified).any(|(at, _)| {
                !of[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '.')
            });
            if names {
                self.used.borrow_mut().insert(path.clone());
            }
        }
    }
}

fn is_basic(of: &str) -> bool {
    basic(of, Pick(0)).is_some()
}

/// A value of a predeclared type. Those whose arithmetic the interpreter does not know are opaque.
fn basic(of: &str, pick: Pick) -> Option<Input> {
    let int = pick.int();
    Some(match of {
        "int" | "int64" | "int32" => Input::known(int.to_string(), Value::Int(int)),
        "int8" | "int16" => Input::opaque(int.to_string()),
        "uint" | "uint8" | "uint16" | "uint32" | "uint64" | "uintptr" => {
            Input::opaque(int.abs().to_string())
        }
        "byte" | "rune" => Input::opaque("'a'"),
        "float64" => Input::known(float_text(pick.float()), Value::Float(pick.float())),
        "float32" => Input::opaque(float_text(pick.float())),
        "complex64" | "complex128" => Input::opaque("complex(1, 2)"),
        "string" => Input::known(quoted(pick.text()), Value::Str(pick.text().into())),
        "bool" => Input::known(pick.bool().to_string(), Value::Bool(pick.bool())),
        _ => return None,
    })
}

/// A type that meets a constraint.
fn type_argument(constraint: &str) -> String {
    let first = constraint.split('|').next().unwrap_or("any").trim();
    let of = first
        .trim_start_matches("interface{")
        .trim_end_matches('}')
        .trim();
    let of = of.trim_start_matches('~');
    let general = ["any", "comparable", ""].contains(&of) || !is_basic(of);
    if general { "int".into() } else { of.into() }
}
