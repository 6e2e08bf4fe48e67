//! Arguments and instances for Python calls.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::Range;

use super::declaration::{Class, Param, class, fields, function};
use crate::write::scan::Source;
use crate::write::value::{Input, Pick, Value, float_text, quoted};

/// Writes values of annotated or guessed types, and remembers which names they need.
#[derive(Debug)]
pub(super) struct Inputs<'s> {
    source: &'s Source<'s>,
    names: RefCell<BTreeSet<String>>,
}

impl<'s> Inputs<'s> {
    pub(super) fn new(source: &'s Source<'s>) -> Self {
        Self {
            source,
            names: RefCell::default(),
        }
    }

    /// The names of the module under test that were used.
    pub(super) fn names(&self) -> BTreeSet<String> {
        self.names.borrow().clone()
    }

    /// Remembers a name of the module under test.
    pub(super) fn note(&self, name: &str) {
        self.names.borrow_mut().insert(name.to_owned());
    }

    /// The arguments of a call, as written, and each parameter's value where it is known. Those
    /// with a default are left out.
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
            .filter(|(_, param)| param.default.is_none())
            .map(|(n, param)| (param, self.argument(param, body, pick.next(n), depth)))
            .collect();
        let text: Vec<_> = inputs
            .iter()
            .map(|(param, input)| {
                if param.keyword_only {
                    format!("{}={}", param.name, input.expression)
                } else {
                    input.expression.clone()
                }
            })
            .collect();
        (
            text.join(", "),
            inputs.into_iter().map(|(_, input)| input).collect(),
        )
    }

    /// An instance of a class of the module under test.
    pub(super) fn instance(&self, path: &str, class: &Class, pick: Pick, depth: usize) -> Input {
        if let Some(top) = path.split('.').next() {
            self.note(top);
        }
        let dataclass = class
            .decorators
            .iter()
            .any(|name| name.ends_with("dataclass"));
        let plain = class.bases.is_empty();
        let init = function(self.source, class.body.clone(), "__init__");
        if init.is_none() && (dataclass || class.bases.contains("NamedTuple")) {
            let fields = fields(self.source, class.body.clone());
            let (text, inputs) = self.arguments(&fields, &(0..0), pick, depth);
            let given = fields.iter().filter(|field| field.default.is_none());
            let values = given
                .zip(inputs)
                .map(|(field, input)| Some((field.name.clone(), input.value?)))
                .collect::<Option<_>>();
            let whole = dataclass && plain && fields.iter().all(|field| field.default.is_none());
            return Input {
                expression: format!("{path}({text})"),
                value: values.filter(|_| whole).map(Value::Record),
            };
        }
        let (text, inputs) = init.as_ref().map_or_else(Default::default, |init| {
            self.arguments(&init.params, &init.body, pick, depth)
        });
        let record = init
            .filter(|_| plain)
            .and_then(|init| super::known_fields(self.source, &init, inputs));
        Input {
            expression: format!("{path}({text})"),
            value: record.map(Value::Record),
        }
    }

    fn argument(&self, param: &Param, body: &Range<usize>, pick: Pick, depth: usize) -> Input {
        match &param.of {
            Some(of) => self.typed(of, pick, depth),
            None => self.guessed(&param.name, body, pick),
        }
    }

    fn typed(&self, of: &str, pick: Pick, depth: usize) -> Input {
        let of = of
            .trim()
            .trim_start_matches("typing.")
            .trim_start_matches("t.");
        if let Some((first, _)) = split_union(of) {
            return self.typed(first, pick, depth);
        }
        let (head, inner) = match of.split_once('[') {
            Some((head, inner)) => (head.trim(), inner.trim_end_matches(']').trim()),
            None => (of, ""),
        };
        let items = |inner: &str| -> Vec<Input> {
            let inner = if inner.is_empty() { "int" } else { inner };
            (0..3)
                .map(|n| self.typed(inner, pick.next(n), depth + 1))
                .collect()
        };
        match head.rsplit('.').next().unwrap_or(head) {
            "int" => Input::known(pick.int().to_string(), Value::Int(pick.int())),
            "float" => Input::known(float_text(pick.float()), Value::Float(pick.float())),
            "str" | "AnyStr" => text(pick),
            "bool" => Input::known(
                if pick.bool() { "True" } else { "False" },
                Value::Bool(pick.bool()),
            ),
            "Optional" => self.typed(inner, pick, depth),
            "list" | "List" | "Sequence" | "Iterable" | "Collection" | "MutableSequence" => {
                list(&items(inner))
            }
            "tuple" | "Tuple" => {
                let of = inner.split(',').next().unwrap_or_default().trim();
                let items: Vec<_> = items(of).into_iter().map(|item| item.expression).collect();
                Input::opaque(format!("({},)", items.join(", ")))
            }
            "set" | "Set" | "frozenset" => {
                Input::opaque(format!("set({})", list(&items(inner)).expression))
            }
            "dict" | "Dict" | "Mapping" | "MutableMapping" => self.dict(inner, pick, depth),
            "bytes" => Input::opaque("b\"data\""),
            "None" => Input::known("None", Value::Null),
            "Callable" => Input::opaque("lambda *args, **kwargs: None"),
            "Any" | "object" => Input::opaque("1"),
            name => match class(self.source, 0..self.source.text.len(), name) {
                Some(found) if depth < 3 => self.instance(name, &found, pick, depth + 1),
                _ if name.len() == 1 => Input::opaque(pick.int().to_string()),
                _ => Input::opaque("None"),
            },
        }
    }

    fn dict(&self, inner: &str, pick: Pick, depth: usize) -> Input {
        let (key, value) = inner.split_once(',').unwrap_or(("str", "int"));
        let key = self.typed(key, pick, depth + 1).expression;
        let value = self.typed(value, pick, depth + 1).expression;
        Input::opaque(format!("{{{key}: {value}}}"))
    }

    /// An argument for a parameter without annotation, by what the body does with it.
    fn guessed(&self, name: &str, body: &Range<usize>, pick: Pick) -> Input {
        const TEXT: [&str; 14] = [
            "upper(",
            "lower(",
            "strip(",
            "split(",
            "title(",
            "startswith(",
            "endswith(",
            "replace(",
            "encode(",
            "capitalize(",
            "isdigit(",
            "isalpha(",
            "casefold(",
            "join(",
        ];
        let code = &self.source.blank[body.clone()];
        let text_of = &self.source.text[body.clone()];
        let uses = |words: &[&str]| {
            words
                .iter()
                .any(|word| code.contains(&format!("{name}.{word}")))
        };
        let within = |patterns: &[String]| patterns.iter().any(|pattern| code.contains(pattern));
        if uses(&TEXT)
            || text_of.contains(&format!("{{{name}}}"))
            || within(&[format!("\" + {name}"), format!("{name} + \"")])
        {
            return text(pick);
        }
        if uses(&["items(", "keys(", "values(", "get("]) {
            return Input::opaque("{\"a\": 1}");
        }
        if uses(&["append(", "sort(", "pop("])
            || within(&[
                format!("in {name}"),
                format!("len({name})"),
                format!("sum({name})"),
                format!("sorted({name})"),
                format!("max({name})"),
                format!("min({name})"),
                format!("{name}["),
            ])
        {
            let items = [0, 1, 2].map(|n| {
                Input::known(
                    pick.next(n).int().to_string(),
                    Value::Int(pick.next(n).int()),
                )
            });
            return list(&items);
        }
        Input::known(pick.int().to_string(), Value::Int(pick.int()))
    }
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

/// The first type of `A | B` or `Union[A, B]`.
fn split_union(of: &str) -> Option<(&str, &str)> {
    if let Some(inner) = of.strip_prefix("Union[") {
        return inner.trim_end_matches(']').split_once(',');
    }
    let mut depth = 0;
    let at = of.find(|c| {
        match c {
            '[' => depth += 1,
            ']' => depth -= 1,
            _ => {}
        }
        c == '|' && depth == 0
    })?;
    Some((&of[..at], &of[at + 1..]))
}
