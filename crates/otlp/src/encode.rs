//! Spans as OTLP has them in JSON: ids in hex, 64-bit numbers as text.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value as Json, json};

use crate::layer::{Finished, Kind, Open, Value};

/// `SpanKind`.
const INTERNAL: u8 = 1;
const CLIENT: u8 = 3;

/// `StatusCode`.
const ERROR: u8 = 2;

/// The body of one request.
pub(crate) fn request(resource: &[(String, String)], spans: &[Finished]) -> Json {
    let resource: Vec<Json> = resource
        .iter()
        .map(|(key, value)| json!({ "key": key, "value": { "stringValue": value } }))
        .collect();
    json!({
        "resourceSpans": [{
            "resource": { "attributes": resource },
            "scopeSpans": [{
                "scope": { "name": "testsmith", "version": env!("CARGO_PKG_VERSION") },
                "spans": spans.iter().map(span).collect::<Vec<_>>(),
            }],
        }],
    })
}

fn span(finished: &Finished) -> Json {
    let Finished { span, ended } = finished;
    let mut attributes: Vec<Json> = span.attributes.iter().map(attribute).collect();
    if span.kind == Kind::Attempt {
        attributes.push(attribute(&(
            "gen_ai.operation.name",
            Value::Text("chat".to_owned()),
        )));
    }
    let mut encoded = json!({
        "traceId": hex::encode(span.trace),
        "spanId": hex::encode(span.id),
        "name": name(span),
        "kind": if span.kind == Kind::Attempt { CLIENT } else { INTERNAL },
        "startTimeUnixNano": nanos(span.began),
        "endTimeUnixNano": nanos(*ended),
        "attributes": attributes,
        "status": {},
    });
    if let Some(parent) = span.parent {
        encoded["parentSpanId"] = hex::encode(parent).into();
    }
    if text(span, "error.type").is_some() {
        encoded["status"] = json!({ "code": ERROR });
    }
    encoded
}

/// Of an attempt, operation and model, as the conventions say.
fn name(span: &Open) -> String {
    match span.kind {
        Kind::Job => "job".to_owned(),
        Kind::Batch => "member batch".to_owned(),
        Kind::Attempt => {
            let model = text(span, "gen_ai.request.model").unwrap_or_default();
            format!("chat {model}").trim_end().to_owned()
        }
    }
}

fn text<'s>(span: &'s Open, wanted: &str) -> Option<&'s str> {
    span.attributes.iter().find_map(|(key, value)| match value {
        Value::Text(text) if *key == wanted => Some(&**text),
        _ => None,
    })
}

fn attribute((key, value): &(&'static str, Value)) -> Json {
    let value = match value {
        Value::Text(text) => json!({ "stringValue": text }),
        Value::Number(number) => json!({ "intValue": number.to_string() }),
        Value::Real(number) => json!({ "doubleValue": number }),
        Value::Truth(truth) => json!({ "boolValue": truth }),
        Value::Texts(text) => json!({ "arrayValue": { "values": [{ "stringValue": text }] } }),
    };
    json!({ "key": key, "value": value })
}

fn nanos(moment: SystemTime) -> String {
    let since = moment.duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_nanos().to_string()
}
