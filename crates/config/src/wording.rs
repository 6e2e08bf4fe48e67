//! Faults of values in the words of those who write them, in place of those of the program's own types.

use toml::Value;

/// What is wrong with the value `given`, of which serde says `message`, for people. `usual` is the key's
/// default as it is written in TOML.
pub(crate) fn for_people(message: &str, given: Option<&Value>, usual: Option<&str>) -> String {
    let message = message.trim();
    if let Some(field) = message.strip_prefix("missing field ") {
        return format!("lacks {field}");
    }
    if let Some(rest) = message.strip_prefix("unknown variant ") {
        return of_choice(rest).unwrap_or_else(|| message.to_owned());
    }
    if message.contains("socket address") {
        return "is no address with a port; write text in quotes, such as \"127.0.0.1:9464\""
            .to_owned();
    }
    let is_wrong = ["invalid type: ", "invalid value: "]
        .iter()
        .any(|start| message.starts_with(start));
    match (given, message.split_once(", expected ")) {
        (Some(given), Some((_, wanted))) if is_wrong => {
            format!("is {}; write {}", kind(given), asked(wanted, usual))
        }
        _ => message.to_owned(),
    }
}

/// `` `x`, expected one of `a`, `b` ``
fn of_choice(rest: &str) -> Option<String> {
    let (found, known) = rest.split_once(", expected ")?;
    let known = known.strip_prefix("one of ").unwrap_or(known);
    Some(format!(
        "{found} is none of {}",
        known.replace(" or ", ", ")
    ))
}

/// What a value is.
fn kind(value: &Value) -> String {
    match value {
        Value::Integer(number) => format!("the number {number}"),
        Value::Float(number) => format!("the number {number}"),
        Value::Boolean(truth) => format!("the truth value {truth}"),
        Value::String(_) => "text".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Table(_) => "a table".to_owned(),
        Value::Datetime(_) => "a date".to_owned(),
    }
}

/// What it is to be, with an example.
fn asked(wanted: &str, usual: Option<&str>) -> String {
    let is_whole = |name: &str| {
        let digits = name.strip_prefix(['u', 'i']);
        digits.is_some_and(|rest| rest == "size" || rest.parse::<u8>().is_ok())
    };
    let (what, example) = match wanted {
        "a boolean" => return "true or false".to_owned(),
        "f32" | "f64" => ("a number", "0.5"),
        "a string" => ("text in quotes", "\"text\""),
        "a sequence" => ("a list in brackets", "[\"text\"]"),
        "string or table" | "string only" => ("one of its words in quotes", "\"text\""),
        wanted if wanted.strip_prefix("a nonzero ").is_some_and(is_whole) => {
            ("a whole number, at least 1", "5")
        }
        "u32" => ("a whole number from 0 to 4294967295", "5"),
        wanted if is_whole(wanted) => ("a whole number from 0 on", "5"),
        wanted if wanted == "a map" || wanted.starts_with("struct ") => {
            return "its keys below it, as a table".to_owned();
        }
        wanted => return wanted.to_owned(),
    };
    format!("{what}, such as {}", usual.unwrap_or(example))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_s_fault_is_told_with_an_example() {
        let cases = [
            (
                "invalid type: string \"many\", expected a nonzero usize\n",
                Value::from("many"),
                Some("5"),
                "is text; write a whole number, at least 1, such as 5",
            ),
            (
                "invalid value: integer `0`, expected a nonzero u32",
                Value::from(0),
                None,
                "is the number 0; write a whole number, at least 1, such as 5",
            ),
            (
                "invalid type: floating point `1.5`, expected u32",
                Value::from(1.5),
                Some("2"),
                "is the number 1.5; write a whole number from 0 to 4294967295, such as 2",
            ),
            (
                "invalid type: integer `5`, expected a string",
                Value::from(5),
                Some("\"500ms\""),
                "is the number 5; write text in quotes, such as \"500ms\"",
            ),
            (
                "invalid type: string \"yes\", expected a boolean",
                Value::from("yes"),
                Some("true"),
                "is text; write true or false",
            ),
            (
                "unknown variant `x`, expected one of `a`, `b`, `c`",
                Value::from("x"),
                None,
                "`x` is none of `a`, `b`, `c`",
            ),
            (
                "unknown variant `x`, expected `a` or `b`",
                Value::from("x"),
                None,
                "`x` is none of `a`, `b`",
            ),
            (
                "missing field `model`",
                Value::from(1),
                None,
                "lacks `model`",
            ),
            (
                "`soon` is no duration",
                Value::from("soon"),
                None,
                "`soon` is no duration",
            ),
        ];
        for (message, given, usual, told) in cases {
            assert_eq!(for_people(message, Some(&given), usual), told);
        }
    }
}
