//! Which keys exist, read off the settings' own schema.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::Settings;

/// Keys that choose what is sent and where source and key go, what is run, and between which walls. In a
/// project file they need trust.
pub const SENSITIVE_KEYS: [&str; 16] = [
    "metrics.listen",
    // It starts a program, and a checkout is not to decide what is on the desktop.
    "notify.desktop",
    "llm.base_url",
    "llm.api_key_env",
    "llm.api_key_file",
    "llm.headers",
    // Each of them is one more place where the source goes.
    "llm.fallback",
    "prices",
    // Set to `*` in a checkout, it would let the user's own secrets there pass as well.
    "secrets.allow",
    "verify.commands",
    "verify.env",
    "verify.sandbox",
    "verify.memory",
    "verify.output",
    "verify.file_size",
    "verify.processes",
];

/// Whether `key`, or the table it is in, is one of [`SENSITIVE_KEYS`].
pub(crate) fn is_sensitive(key: &str) -> bool {
    SENSITIVE_KEYS
        .iter()
        .any(|sensitive| match key.strip_prefix(sensitive) {
            Some(rest) => rest.is_empty() || rest.starts_with(['.', '[']),
            None => false,
        })
}

/// What may stand under a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// A table with fixed keys.
    Table,
    /// A table whose keys the user chooses.
    FreeTable,
    /// A list of tables with fixed keys.
    Tables,
    /// Text: durations, sizes and names too.
    Text,
    /// Numbers, booleans and lists: written in TOML in the environment as well.
    Other,
}

/// All keys, dotted, with their shapes.
#[derive(Debug)]
pub(crate) struct Keys(BTreeMap<String, Shape>);

impl Keys {
    pub(crate) fn all() -> Self {
        let schema = schemars::schema_for!(Settings).to_value();
        let mut keys = BTreeMap::new();
        collect(&schema, &schema, "", &mut keys);
        Self(keys)
    }

    /// The shape of a key; `None` if there is no such key.
    pub(crate) fn shape(&self, key: &str) -> Option<Shape> {
        let key = &any_element(key);
        if let Some(shape) = self.0.get(key) {
            return Some(*shape);
        }
        let parts = split(key);
        (1..parts.len()).find_map(|at| {
            let parent = join(&parts[..at]);
            (self.0.get(&parent) == Some(&Shape::FreeTable)).then_some(())?;
            let each = format!("{parent}.{EACH}");
            match (self.0.get(&each), &parts[at + 1..]) {
                (None, []) => Some(Shape::Text),
                (Some(shape), []) => Some(*shape),
                (_, rest) => self.0.get(&format!("{each}.{}", join(rest))).copied(),
            }
        })
    }

    /// The key most like `key`: the same last part elsewhere, or few letters away.
    pub(crate) fn nearest(&self, key: &str) -> Option<String> {
        let (_, last) = key.rsplit_once('.').unwrap_or(("", key));
        let close = |a: &str, b: &str| {
            let distance = strsim::damerau_levenshtein(a, b);
            (distance <= a.len().div_ceil(3).min(4)).then_some(distance)
        };
        self.0
            .keys()
            .filter(|candidate| !candidate.contains(EACH))
            .filter_map(|candidate| {
                let (_, tail) = candidate.rsplit_once('.').unwrap_or(("", candidate));
                let whole = close(key, candidate);
                // The right name in the wrong table is a little further away.
                let misplaced = close(last, tail).map(|distance| distance + 1);
                let distance = whole.into_iter().chain(misplaced).min()?;
                Some((
                    distance,
                    strsim::damerau_levenshtein(key, candidate),
                    candidate,
                ))
            })
            .min()
            .map(|(.., candidate)| candidate.clone())
    }
}

fn collect(root: &Value, node: &Value, prefix: &str, keys: &mut BTreeMap<String, Shape>) {
    let Some(properties) = node.get("properties").and_then(Value::as_object) else {
        return;
    };
    for (name, property) in properties {
        let key = if prefix.is_empty() {
            name.clone()
        } else {
            format!("{prefix}.{name}")
        };
        let property = resolve(root, property);
        let shape = shape_of(root, property);
        keys.insert(key.clone(), shape);
        collect(root, property, &key, keys);
        if shape == Shape::Tables
            && let Some(items) = property.get("items")
        {
            collect(root, resolve(root, items), &format!("{key}.{EACH}"), keys);
        }
        let each = property
            .get("additionalProperties")
            .filter(|_| shape == Shape::FreeTable);
        let each = each.map(|each| resolve(root, each));
        if let Some(each) = each.filter(|each| each.get("properties").is_some()) {
            let key = format!("{key}.{EACH}");
            collect(root, each, &key, keys);
            keys.insert(key, Shape::Table);
        }
    }
}

/// Stands for any name that the user chooses.
const EACH: &str = "*";

/// The parts of a dotted key. A part with a dot or a quote of its own is in quotes, as in TOML:
/// `prices."gpt-4.1".input`.
pub(crate) fn split(key: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut quoted = false;
    let mut rest = key.chars();
    while let Some(c) = rest.next() {
        let c = match c {
            '"' => {
                quoted = !quoted;
                continue;
            }
            '.' if !quoted => {
                parts.push(String::new());
                continue;
            }
            '\\' if quoted => rest.next().unwrap_or(c),
            c => c,
        };
        if let Some(part) = parts.last_mut() {
            part.push(c);
        }
    }
    parts
}

/// The dotted key of these parts.
pub(crate) fn join(parts: &[String]) -> String {
    let quote = |part: &String| {
        if part.contains(['.', '"']) {
            let escaped = part.replace('\\', r"\\").replace('"', r#"\""#);
            format!("\"{escaped}\"")
        } else {
            part.clone()
        }
    };
    parts.iter().map(quote).collect::<Vec<_>>().join(".")
}

/// Follows `$ref`, and takes the first branch of an `anyOf` that is not null.
fn resolve<'a>(root: &'a Value, node: &'a Value) -> &'a Value {
    if let Some(reference) = node.get("$ref").and_then(Value::as_str) {
        return reference
            .strip_prefix('#')
            .and_then(|pointer| root.pointer(pointer))
            .map_or(node, |target| resolve(root, target));
    }
    let branches = node.get("anyOf").and_then(Value::as_array);
    match branches.and_then(|all| all.iter().find(|b| b.get("type") != Some(&"null".into()))) {
        Some(branch) => resolve(root, branch),
        None => node,
    }
}

/// The same key of any element of its list: `llm.fallback[1].model` is `llm.fallback.*.model`.
fn any_element(key: &str) -> String {
    match key.split_once('[') {
        Some((list, rest)) if !key.contains('"') => match rest.split_once(']') {
            Some((_, rest)) => format!("{list}.{EACH}{rest}"),
            None => key.to_owned(),
        },
        _ => key.to_owned(),
    }
}

fn shape_of(root: &Value, node: &Value) -> Shape {
    let is = |wanted: &str| match node.get("type") {
        Some(Value::String(kind)) => kind == wanted,
        Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == wanted),
        _ => false,
    };
    if is("object") {
        if node.get("properties").is_some() {
            Shape::Table
        } else {
            Shape::FreeTable
        }
    } else if is("array") && has_tables(root, node) {
        Shape::Tables
    } else if is("string") || node.get("oneOf").is_some() || node.get("enum").is_some() {
        Shape::Text
    } else {
        Shape::Other
    }
}

fn has_tables(root: &Value, list: &Value) -> bool {
    let items = list.get("items").map(|items| resolve(root, items));
    items.is_some_and(|items| items.get("properties").is_some())
}

/// The JSON schema of the configuration file, for editors: every key is optional there.
pub fn schema_json() -> String {
    let mut schema = schemars::schema_for!(Settings).to_value();
    make_optional(&mut schema);
    if let Some(object) = schema.as_object_mut() {
        object.insert("title".into(), "testsmith.toml".into());
    }
    let mut text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    text.push('\n');
    text
}

fn make_optional(node: &mut Value) {
    match node {
        Value::Object(object) => {
            object.remove("required");
            object.values_mut().for_each(make_optional);
        }
        Value::Array(items) => items.iter_mut().for_each(make_optional),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_read_off_the_schema() {
        let keys = Keys::all();
        assert_eq!(keys.shape("llm"), Some(Shape::Table));
        assert_eq!(keys.shape("llm.model"), Some(Shape::Text));
        assert_eq!(keys.shape("llm.provider"), Some(Shape::Text));
        assert_eq!(keys.shape("llm.retry.base_delay"), Some(Shape::Text));
        assert_eq!(keys.shape("llm.temperature"), Some(Shape::Other));
        assert_eq!(keys.shape("queue.workers"), Some(Shape::Other));
        assert_eq!(keys.shape("watch.exclude"), Some(Shape::Other));
        assert_eq!(keys.shape("llm.headers"), Some(Shape::FreeTable));
        assert_eq!(keys.shape("llm.headers.X-Team"), Some(Shape::Text));
        assert_eq!(keys.shape("llm.fallback"), Some(Shape::Tables));
        assert_eq!(keys.shape("llm.fallback[0].model"), Some(Shape::Text));
        assert_eq!(keys.shape("llm.fallback[12].rpm"), Some(Shape::Other));
        assert_eq!(keys.shape("llm.fallback[0].headers.X"), Some(Shape::Text));
        assert_eq!(keys.shape("llm.fallback[0].modle"), None);
        assert_eq!(keys.shape("llm.nothing"), None);
        assert_eq!(keys.shape("prices"), Some(Shape::FreeTable));
        assert_eq!(keys.shape("prices.\"gpt-4.1\""), Some(Shape::Table));
        assert_eq!(keys.shape("prices.\"gpt-4.1\".input"), Some(Shape::Other));
        assert_eq!(keys.shape("prices.own.inputs"), None);
        assert_eq!(keys.shape("prices.own.input.more"), None);
    }

    #[test]
    fn a_key_is_made_of_its_parts_and_taken_apart_again() {
        for parts in [
            &["llm", "model"][..],
            &["prices", "gpt-4.1", "input"],
            &["llm", "headers", "a\"b"],
            &["llm", "headers", "a\\b"],
            &["llm", "headers", "\\\".\"\\"],
            &["llm", "headers", ""],
        ] {
            let parts: Vec<String> = parts.iter().map(|part| (*part).to_owned()).collect();
            assert_eq!(split(&join(&parts)), parts);
        }
    }

    #[test]
    fn the_nearest_key_is_found() {
        let keys = Keys::all();
        assert_eq!(keys.nearest("llm.modle").as_deref(), Some("llm.model"));
        assert_eq!(keys.nearest("debounce").as_deref(), Some("watch.debounce"));
        assert_eq!(
            keys.nearest("llm.debounce").as_deref(),
            Some("watch.debounce")
        );
        assert_eq!(keys.nearest("wacth").as_deref(), Some("watch"));
        assert_eq!(keys.nearest("completely.different.thing"), None);
    }

    #[test]
    fn every_sensitive_key_exists() {
        let keys = Keys::all();
        for key in SENSITIVE_KEYS {
            assert!(keys.shape(key).is_some(), "{key}");
        }
        assert!(is_sensitive("llm.headers.Authorization"));
        assert!(is_sensitive("llm.fallback[0].model"));
        assert!(!is_sensitive("llm.headersome"));
        assert!(!is_sensitive("llm.model"));
    }

    #[test]
    fn the_committed_schema_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../config/schema.json");
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert_eq!(
            committed,
            schema_json(),
            "write it anew: testsmith config schema > config/schema.json"
        );
    }
}
