//! One line of the log.

use std::fmt::{self, Write as _};

use anstyle::{AnsiColor, Style};
use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::Value;

use crate::output::escape;

/// A JSON object with its keys in the order they were written.
#[derive(Debug)]
struct Object(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Ordered;
        impl<'de> Visitor<'de> for Ordered {
            type Value = Object;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Object(fields))
            }
        }
        deserializer.deserialize_map(Ordered)
    }
}

/// One event, as the service logged it.
#[derive(Debug)]
pub(super) struct Entry {
    /// The line as JSON.
    pub(super) raw: String,
    fields: Vec<(String, Value)>,
}

/// Keys that have a place of their own in the line for people.
const PLACED: [&str; 6] = ["timestamp", "level", "message", "target", "span", "spans"];

impl Entry {
    /// Reads a line; `None` if it is none of ours, such as one that a kill cut off.
    pub(super) fn parse(line: &[u8]) -> Option<Self> {
        let raw = std::str::from_utf8(line).ok()?.trim_end().to_owned();
        let Object(fields) = serde_json::from_str(&raw).ok()?;
        let entry = Self { raw, fields };
        (!entry.timestamp().is_empty()).then_some(entry)
    }

    /// From fields that were read elsewhere.
    pub(super) fn from_fields(fields: Vec<(String, Value)>) -> Self {
        let object: serde_json::Map<_, _> = fields.iter().cloned().collect();
        Self {
            raw: Value::Object(object).to_string(),
            fields,
        }
    }

    /// When, in UTC, RFC 3339.
    pub(super) fn timestamp(&self) -> &str {
        self.text("timestamp")
    }

    pub(super) fn level(&self) -> &str {
        self.text("level")
    }

    /// A field of the event or of a span around it, the event's first.
    pub(super) fn values<'e>(&'e self, key: &'e str) -> impl Iterator<Item = String> + 'e {
        let own = self.get(key).into_iter();
        let around = self.spans().filter_map(move |span| span.get(key));
        own.chain(around).map(plain)
    }

    /// The line for people.
    pub(super) fn shown(&self) -> String {
        let dim = Style::new().dimmed();
        let level = match self.level() {
            "ERROR" => AnsiColor::Red.on_default().bold(),
            "WARN" => AnsiColor::Yellow.on_default(),
            "INFO" => AnsiColor::Green.on_default(),
            _ => AnsiColor::Blue.on_default(),
        };
        let mut line = format!(
            "{dim}{}{dim:#} {level}{:>5}{level:#} ",
            escape(self.timestamp()),
            escape(self.level())
        );
        let mut spans = String::new();
        for span in self.spans() {
            let separator = if spans.is_empty() { "" } else { ":" };
            spans += separator;
            spans += &span_text(span);
        }
        if !spans.is_empty() {
            let _ = write!(line, "{dim}{}:{dim:#} ", escape(&spans));
        }
        line += &escape(self.text("message"));
        for (key, value) in &self.fields {
            if !PLACED.contains(&key.as_str()) {
                let _ = write!(
                    line,
                    " {dim}{}={dim:#}{}",
                    escape(key),
                    escape(&quoted(value))
                );
            }
        }
        line
    }

    fn get(&self, key: &str) -> Option<&Value> {
        self.fields
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value)
    }

    fn text(&self, key: &str) -> &str {
        self.get(key).and_then(Value::as_str).unwrap_or_default()
    }

    fn spans(&self) -> impl Iterator<Item = &Value> {
        self.get("spans")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
    }
}

/// As `job{job_id=1 path=cart.go}`.
fn span_text(span: &Value) -> String {
    let Some(fields) = span.as_object() else {
        return String::new();
    };
    let name = fields.get("name").map(plain).unwrap_or_default();
    let inner: Vec<String> = fields
        .iter()
        .filter(|(key, _)| *key != "name")
        .map(|(key, value)| format!("{key}={}", plain(value)))
        .collect();
    format!("{name}{{{}}}", inner.join(" "))
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Text with blanks in quotes, so that fields can be told apart.
fn quoted(value: &Value) -> String {
    match value {
        Value::String(text) if text.is_empty() || text.contains([' ', '"']) => value.to_string(),
        other => plain(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"timestamp":"2026-11-23T20:25:22.867Z","level":"INFO","message":"job ended","outcome":"written","attempts":0,"reason":"a \u001b[31mred word","target":"t","span":{"job_id":"1","path":"cart.go","name":"job"},"spans":[{"job_id":"1","path":"cart.go","name":"job"}]}"#;

    #[test]
    fn a_line_for_people_has_its_fields_in_order_and_steers_no_terminal() {
        let entry = Entry::parse(LINE.as_bytes()).unwrap();
        let shown = anstream::adapter::strip_str(&entry.shown()).to_string();
        assert_eq!(
            shown,
            r#"2026-11-23T20:25:22.867Z  INFO job{job_id=1 path=cart.go}: job ended outcome=written attempts=0 reason="a \u001b[31mred word""#
        );
        assert_eq!(entry.values("job_id").collect::<Vec<_>>(), ["1"]);
    }

    #[test]
    fn what_a_kill_cut_off_is_no_line() {
        assert!(Entry::parse(&LINE.as_bytes()[..80]).is_none());
        assert!(Entry::parse(b"").is_none());
    }
}
