//! Output with what differs from run to run put aside.

use serde_json::Value;

/// Text with times, lengths of time and process numbers as `#`, and each of `names` in place of
/// what it stands for.
pub fn text(output: &str, names: &[(&str, &str)]) -> String {
    let mut output = output.to_owned();
    for (long, short) in names {
        output = output.replace(long, short);
    }
    let mut masked = String::new();
    let mut rest = output.as_str();
    while let Some(c) = rest.chars().next() {
        if let Some(after) = moment(rest) {
            masked.push_str("TIME");
            rest = after;
        } else if c.is_ascii_digit() {
            let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let after = &rest[digits..];
            let unit = [" ms", " s", " min", "."]
                .iter()
                .any(|unit| after.starts_with(unit));
            let is_time = unit || masked.ends_with("pid ");
            masked.push_str(if is_time { "#" } else { &rest[..digits] });
            rest = after;
        } else {
            masked.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    masked
        .replace("# s", "TIME")
        .replace("# ms", "TIME")
        .replace("# min", "TIME")
}

/// What follows a moment like `2026-11-23T18:05:09.123Z`.
fn moment(text: &str) -> Option<&str> {
    let (head, rest) = text.split_at_checked(24)?;
    let fits = head.bytes().enumerate().all(|(at, byte)| match at {
        4 | 7 => byte == b'-',
        10 => byte == b'T',
        13 | 16 => byte == b':',
        19 => byte == b'.',
        23 => byte == b'Z',
        _ => byte.is_ascii_digit(),
    });
    fits.then_some(rest)
}

/// JSON with the values under `keys`, at any depth, as `"#"`, and strings as [`text`] has them.
pub fn json(value: &mut Value, keys: &[&str], names: &[(&str, &str)]) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                if keys.contains(&key.as_str()) && !value.is_null() {
                    *value = Value::from("#");
                } else {
                    json(value, keys, names);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| json(item, keys, names)),
        Value::String(string) => *string = text(string, names),
        _ => {}
    }
}
