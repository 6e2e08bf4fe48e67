//! Output with what differs from run to run put aside.

use serde_json::Value;

/// Text with times, days and lengths of time as `TIME` and `DAY`, sizes and process numbers as `#`, and
/// each of `names` in place of what it stands for.
pub fn text(output: &str, names: &[(&str, &str)]) -> String {
    let mut output = output.to_owned();
    for (long, short) in names {
        output = output.replace(long, short);
    }
    let mut masked = String::new();
    let mut rest = output.as_str();
    while let Some(c) = rest.chars().next() {
        if let Some(after) = shaped(rest, "0000-00-00T00:00:00.000Z") {
            masked.push_str("TIME");
            rest = after;
        } else if let Some(after) = shaped(rest, "0000-00-00") {
            masked.push_str("DAY");
            rest = after;
        } else if c.is_ascii_digit() {
            let after = number(rest);
            let digits = &rest[..rest.len() - after.len()];
            // Settings are written `8s`: only a fraction makes that a length of time.
            let length = if digits.contains('.') {
                of_time(after)
            } else {
                of_time(after).filter(|_| after.starts_with(' '))
            };
            let (shown, after) = match length {
                Some(after) => ("TIME", after),
                None if after.starts_with(" bytes") || masked.ends_with("pid ") => ("#", after),
                None if masked.ends_with("elapsed_ms=") => ("#", after),
                None if after.starts_with('.') => ("#", after),
                None => (digits, after),
            };
            // A length of time in two units is one.
            let is_second = shown == "TIME" && masked.ends_with("TIME ");
            masked.truncate(masked.len() - usize::from(is_second));
            masked.push_str(if is_second { "" } else { shown });
            rest = after;
        } else {
            masked.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    masked
}

/// What follows the digits, and a fraction if a unit of time follows that.
fn number(text: &str) -> &str {
    let after = |text: &str| text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let whole = &text[text.len() - after(text)..];
    let fraction = whole
        .strip_prefix('.')
        .map(|text| &text[text.len() - after(text)..]);
    fraction
        .filter(|after| of_time(after).is_some())
        .unwrap_or(whole)
}

/// What follows a unit of time.
fn of_time(text: &str) -> Option<&str> {
    [" ms", " s", " min", " h", " d", "ms", "s"]
        .iter()
        .find_map(|unit| {
            let after = text.strip_prefix(unit)?;
            (!after.starts_with(|c: char| c.is_alphanumeric())).then_some(after)
        })
}

/// What follows text in which digits stand where there are some in `shape`.
fn shaped<'t>(text: &'t str, shape: &str) -> Option<&'t str> {
    let (head, rest) = text.split_at_checked(shape.len())?;
    let fits = head
        .bytes()
        .zip(shape.bytes())
        .all(|(byte, wanted)| match wanted {
            b'0' => byte.is_ascii_digit(),
            wanted => byte == wanted,
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
