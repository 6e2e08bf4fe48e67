//! Arguments and instances for TypeScript and JavaScript calls.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::declaration::{Class, Param, class, method, object_type};
use crate::write::interpret::fields_set;
use crate::write::scan::{Dialect, Source};
use crate::write::value::{Input, Pick, Value, quoted};

/// Writes values of annotated or guessed types.
#[derive(Debug)]
pub(super) struct Inputs<'s> {
    source: &'s Source<'s>,
    /// Whether types are checked, so that odd values need a cast.
    typed: bool,
    names: RefCell<BTreeSet<String>>,
}

impl<'s> Inputs<'s> {
    pub(super) fn new(source: &'s Source<'s>, typed: bool) -> Self {
        Self {
            source,
            typed,
            names: RefCell::default(),
        }
    }

    /// The classes of the module under test that were used.
    pub(super) fn names(&self) -> BTreeSet<String> {
        self.names.borrow().clone()
    }

    /// The arguments of a call as written, and their values. Optional ones are left out.
    pub(super) fn arguments(
        &self,
        params: &[Param],
        body: &Range<usize>,
        pick: Pick,
        depth: usize,
    ) -> (String, Vec<Input>) {
        let inputs: Vec<_> = params
            .iter()
            .enumerate()
            .take_while(|(_, param)| !param.optional)
            .map(|(n, param)| self.argument(param, body, pick.next(n), depth))
            .collect();
        let text: Vec<_> = inputs
            .iter()
            .map(|input| input.expression.as_str())
            .collect();
        (text.join(", "), inputs)
    }

    /// An instance of a class of the module under test.
    pub(super) fn instance(&self, name: &str, class: &Class, pick: Pick, depth: usize) -> Input {
        let constructor = method(self.source, class.body.clone(), "constructor");
        let (text, inputs) = constructor.as_ref().map_or_else(Default::default, |found| {
            self.arguments(&found.params, &found.body, pick, depth)
        });
        let hidden = self.source.holds_any(
            class.body.clone(),
            &["private constructor", "protected constructor"],
        );
        let odd = self.typed && (class.is_abstract || hidden);
        let made = if odd {
            format!("({name} as any)")
        } else {
            name.to_owned()
        };
        let value = constructor.filter(|_| !class.extends).and_then(|found| {
            let mut names: BTreeMap<_, _> = found
                .params
                .iter()
                .zip(inputs)
                .map(|(param, input)| Some((param.name.clone(), input.value?)))
                .collect::<Option<_>>()?;
            if names.len() != found.params.len() {
                return None;
            }
            let (dialect, this) = (Dialect::Script, "this");
            // `constructor(private a: number)` sets the field of that name.
            let own = names.clone();
            let open = self.source.blank[..found.body.start].rfind("constructor")?;
            let list = &self.source.blank[open..found.body.start];
            let sets = ["public ", "private ", "protected ", "readonly "];
            let fields = if sets.iter().any(|word| list.contains(word)) {
                own
            } else {
                BTreeMap::new()
            };
            names.insert(this.into(), Value::Record(fields));
            fields_set(self.source, dialect, found.body, names, this)
        });
        Input {
            expression: format!("new {made}({text})"),
            value: value.map(Value::Record),
        }
    }

    fn argument(&self, param: &Param, body: &Range<usize>, pick: Pick, depth: usize) -> Input {
        match &param.of {
            Some(of) if param.rest => {
                let of = of.trim_end_matches("[]");
                let two = [
                    self.of_type(of, pick, depth),
                    self.of_type(of, pick.next(1), depth),
                ];
                let values: Option<Vec<_>> = two.iter().map(|input| input.value.clone()).collect();
                Input {
                    expression: two.map(|input| input.expression).join(", "),
                    value: values.map(Value::List),
                }
            }
            None if param.rest => {
                let two = [number(pick), number(pick.next(1))];
                let values: Option<Vec<_>> = two.iter().map(|input| input.value.clone()).collect();
                Input {
                    expression: two.map(|input| input.expression).join(", "),
                    value: values.map(Value::List),
                }
            }
            Some(of) => self.of_type(of, pick, depth),
            None if param.name.starts_with(['{', '[']) => Input::opaque("{}"),
            None => self.guessed(&param.name, body, pick),
        }
    }

    fn of_type(&self, of: &str, pick: Pick, depth: usize) -> Input {
        let of = of.trim().trim_start_matches("readonly ").trim();
        if let Some(literal) = of.strip_prefix(['\'', '"']) {
            let end = literal.find(['\'', '"']).unwrap_or(literal.len());
            let text = &literal[..end];
            return Input::known(quoted(text), Value::Str(text.to_owned()));
        }
        if let Some(at) = top_level(of, '|') {
            let first = of[..at].trim();
            let of = if first.is_empty() || first == "null" || first == "undefined" {
                &of[at + 1..]
            } else {
                first
            };
            return self.of_type(of, pick, depth);
        }
        if of.contains("=>") {
            return self.odd("() => undefined");
        }
        if let Some(element) = of.strip_suffix("[]") {
            return self.list(
                element.trim_start_matches('(').trim_end_matches(')'),
                pick,
                depth,
            );
        }
        if let Some((head, inner)) = of.split_once('<') {
            let inner = inner.trim_end_matches('>').trim();
            return match head {
                "Array" | "ReadonlyArray" | "Iterable" => self.list(inner, pick, depth),
                "Record" | "Partial" => self.odd("{}"),
                "Map" => self.odd("new Map()"),
                "Set" => self.odd("new Set()"),
                "Promise" => self.odd("Promise.resolve(undefined)"),
                "Readonly" => self.of_type(inner, pick, depth),
                _ => self.odd("undefined"),
            };
        }
        match of {
            "number" => number(pick),
            "string" => text(pick),
            "boolean" => Input::known(pick.bool().to_string(), Value::Bool(pick.bool())),
            "bigint" => Input::opaque("3n"),
            "any" | "unknown" => Input::opaque("1"),
            "Date" => Input::opaque("new Date(0)"),
            "RegExp" => Input::opaque("/a/"),
            "object" => Input::opaque("{}"),
            "Function" => self.odd("() => undefined"),
            _ => self.named(of, pick, depth),
        }
    }

    /// A value of a type that the file declares.
    fn named(&self, of: &str, pick: Pick, depth: usize) -> Input {
        if depth > 2 {
            return self.odd("undefined");
        }
        if let Some(fields) = object_type(self.source, of) {
            let mut known = Some(BTreeMap::new());
            let mut given = Vec::new();
            for (n, field) in fields
                .iter()
                .enumerate()
                .filter(|(_, field)| !field.optional)
            {
                let of = field.of.as_deref().unwrap_or("any");
                let input = self.of_type(of, pick.next(n), depth + 1);
                given.push(format!("{}: {}", field.name, input.expression));
                known = known.zip(input.value).map(|(mut known, value)| {
                    known.insert(field.name.clone(), value);
                    known
                });
            }
            let literal = format!("{{ {} }}", given.join(", "));
            return match known {
                Some(known) => Input::known(literal, Value::Record(known)),
                None => self.odd(&literal),
            };
        }
        match class(self.source, of) {
            Some(found) => {
                self.names.borrow_mut().insert(of.to_owned());
                self.instance(of, &found, pick, depth + 1)
            }
            // A type parameter, most likely.
            None if of.len() <= 2 => number(pick),
            None => self.odd("undefined"),
        }
    }

    fn list(&self, element: &str, pick: Pick, depth: usize) -> Input {
        let items: Vec<_> = (0..3)
            .map(|n| self.of_type(element, pick.next(n), depth + 1))
            .collect();
        list(&items)
    }

    /// A value that may not be of the wanted type in each detail.
    fn odd(&self, expression: &str) -> Input {
        if self.typed {
            Input::opaque(format!("({expression} as any)"))
        } else {
            Input::opaque(if expression.starts_with('(') {
                format!("({expression})")
            } else {
                expression.to_owned()
            })
        }
    }

    /// An argument for a parameter without type, by its documentation or by what the body does with it.
    fn guessed(&self, name: &str, body: &Range<usize>, pick: Pick) -> Input {
        const TEXT: [&str; 10] = [
            "toUpperCase",
            "toLowerCase",
            "trim",
            "split",
            "startsWith",
            "endsWith",
            "replace",
            "charAt",
            "padStart",
            "charCodeAt",
        ];
        const LIST: [&str; 12] = [
            "length", "map", "filter", "reduce", "forEach", "push", "join", "sort", "some",
            "every", "find", "flat",
        ];
        if let Some(of) = self.documented(name, body.start) {
            return self.of_type(&of, pick, 0);
        }
        let code = &self.source.blank[body.clone()];
        let uses = |words: &[&str]| {
            words
                .iter()
                .any(|word| code.contains(&format!("{name}.{word}")))
        };
        if uses(&TEXT) || self.source.text[body.clone()].contains(&format!("${{{name}}}")) {
            return text(pick);
        }
        if uses(&LIST)
            || code.contains(&format!("of {name}"))
            || code.contains(&format!("...{name}"))
        {
            return list(&[0, 1, 2].map(|n| number(pick.next(n))));
        }
        number(pick)
    }

    /// The type in the nearest `@param {T} name` above.
    fn documented(&self, name: &str, before: usize) -> Option<String> {
        let above = self.source.text.get(..before)?;
        let comment = &above[above.rfind("/**")?..];
        // The comment must belong to this function: no other one between.
        if comment.matches("function").count() > 1 {
            return None;
        }
        comment.lines().find_map(|line| {
            let (of, rest) = line.split_once("@param {")?.1.split_once('}')?;
            let named = rest.trim_start().trim_start_matches('[');
            named.starts_with(name).then(|| of.to_owned())
        })
    }
}

/// A number: an integer, as most are.
fn number(pick: Pick) -> Input {
    let value = pick.int();
    let float = i32::try_from(value).map_or(0.0, f64::from);
    Input::known(value.to_string(), Value::Float(float))
}

fn text(pick: Pick) -> Input {
    Input::known(quoted(pick.text()), Value::Str(pick.text().into()))
}

fn list(items: &[Input]) -> Input {
    let text: Vec<_> = items.iter().map(|item| item.expression.as_str()).collect();
    Input {
        expression: format!("[{}]", text.join(", ")),
        value: items
            .iter()
            .map(|item| item.value.clone())
            .collect::<Option<_>>()
            .map(Value::List),
    }
}

/// Where `c` first stands outside of brackets.
fn top_level(text: &str, wanted: char) -> Option<usize> {
    let mut depth = 0_isize;
    text.char_indices().find_map(|(at, c)| {
        match c {
            '(' | '[' | '{' | '<' => depth += 1,
            ')' | ']' | '}' | '>' => depth -= 1,
            _ => {}
        }
        (c == wanted && depth == 0).then_some(at)
    })
}
