//! What the model says: test code for the members asked for, in the form asked for, or in a form
//! that a fault makes of it.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::json;

use crate::ask::{Ask, tokens};
use crate::director::Plan;
use crate::script::Fault;
use crate::write::write_tests;

/// A model's answer, before it is put into an endpoint's form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The text; `None` for `null`.
    pub content: Option<String>,
    /// Why the model stopped.
    pub finish: Finish,
    /// The words of a refusal.
    pub refusal: Option<String>,
    /// Tokens of the text.
    pub tokens: u64,
}

/// Why the model stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finish {
    Stop,
    Length,
    Filtered,
    Refused,
}

impl Answer {
    fn new(content: Option<String>, finish: Finish) -> Self {
        Self {
            tokens: tokens(content.as_deref().map_or(0, str::len)),
            content,
            finish,
            refusal: None,
        }
    }
}

/// One member's code in an answer.
type Tests = Vec<(String, String)>;

/// Answers `ask` as `plan` has it. `witness` is this server's address.
pub(crate) fn answer(ask: &Ask, plan: &Plan, witness: &str) -> Answer {
    let fault = plan.fault.as_ref();
    if let Some(answer) = fault.and_then(wordless) {
        return answer;
    }
    if ask.prompt.members.is_empty() && !matches!(fault, Some(Fault::Rubbish)) {
        return Answer::new(
            Some("There is nothing here to write tests for.".into()),
            Finish::Stop,
        );
    }
    if ask.prompt.judge && fault.is_none() {
        return Answer::new(Some(judgements(ask, plan)), Finish::Stop);
    }
    let mut tests = write_tests(&ask.prompt, &plan.bad, &plan.chance, witness);
    if let Some(fault) = fault {
        change_members(&mut tests, fault);
    }
    let nonce = ask.prompt.delimiter.as_deref();
    let text = match (fault, nonce) {
        (Some(fault), _) if !matches!(fault, Fault::Delimiter) && nonce.is_none() => {
            misshape(&tests, fault, plan)
        }
        (Some(Fault::Delimiter), None) => delimited(&tests, "0"),
        (_, Some(nonce)) => {
            let text = delimited(&tests, nonce);
            fault.map_or(text.clone(), |fault| wrap(text, fault, plan))
        }
        (_, None) => json_form(&tests),
    };
    limit(text, fault, ask.max_tokens)
}

/// Who is wrong: the tests that this server spoilt itself, else the code.
fn judgements(ask: &Ask, plan: &Plan) -> String {
    let elements = ask.prompt.members.iter().map(|name| {
        let (wrong, reason) = if plan.bad.contains_key(name) {
            ("test", "The test expects what the code never promised.")
        } else {
            ("code", "The code does not do what it promises.")
        };
        json!({ "name": name, "wrong": wrong, "reason": reason })
    });
    json!({ "judgements": elements.collect::<Vec<_>>() }).to_string()
}

/// The answers that hold none of what was asked for.
fn wordless(fault: &Fault) -> Option<Answer> {
    Some(match fault {
        Fault::ContentFilter => Answer::new(None, Finish::Filtered),
        Fault::Refusal => Answer {
            refusal: Some("I'm sorry, but I can't help with that.".into()),
            ..Answer::new(None, Finish::Refused)
        },
        Fault::BudgetSpent => Answer::new(Some(String::new()), Finish::Length),
        Fault::EmptyContent => Answer::new(Some(String::new()), Finish::Stop),
        Fault::WhitespaceContent => Answer::new(Some(" \n\t".repeat(200)), Finish::Length),
        Fault::NullContent => Answer::new(None, Finish::Stop),
        _ => return None,
    })
}

/// Leaves out, renames, doubles and adds members.
fn change_members(tests: &mut Tests, fault: &Fault) {
    match *fault {
        Fault::Missing { count } => tests.truncate(tests.len().saturating_sub(count)),
        Fault::Renamed { count } => {
            for (name, _) in tests.iter_mut().rev().take(count) {
                *name = format!("test for {}()", name.rsplit('.').next().unwrap_or(name));
            }
        }
        Fault::Duplicate { count } => {
            let again: Tests = tests
                .iter()
                .take(count)
                .map(|(name, code)| (name.clone(), format!("{code}\n\n")))
                .collect();
            tests.extend(again);
        }
        Fault::Extra { count } => {
            let Some((_, code)) = tests.first().cloned() else {
                return;
            };
            tests.extend((1..=count).map(|n| (format!("NobodyAskedFor{n}"), code.clone())));
        }
        _ => {}
    }
}

/// One element of the JSON form, in the order of keys that is asked for.
#[derive(Serialize)]
struct Element<'a> {
    name: &'a str,
    code: &'a str,
}

/// The JSON form.
fn json_form(tests: &Tests) -> String {
    let elements: Vec<_> = tests
        .iter()
        .map(|(name, code)| Element { name, code })
        .collect();
    // Texts always serialize.
    let elements = serde_json::to_string(&elements).unwrap_or_default();
    format!("{{\"tests\":{elements}}}")
}

/// The delimiter form.
fn delimited(tests: &Tests, nonce: &str) -> String {
    tests.iter().fold(String::new(), |mut text, (name, code)| {
        let code = code.trim_end();
        let _ = write!(text, "<<<TS:{nonce}:{name}>>>\n{code}\n<<<END:{nonce}>>>\n");
        text
    })
}

/// The JSON form with something wrong about it.
fn misshape(tests: &Tests, fault: &Fault, plan: &Plan) -> String {
    let text = json_form(tests);
    match fault {
        Fault::MalformedJson => text
            .strip_suffix("]}")
            .map_or(text.clone(), |t| format!("{t}}}")),
        Fault::RawNewlines => text.replace("\\n", "\n").replace("\\t", "\t"),
        Fault::UnescapedQuotes => text.replace("\\\"", "\""),
        Fault::TrailingComma => text.replace("}]}", "},],}"),
        Fault::TwoObjects => {
            let other: Tests = tests
                .iter()
                .map(|(name, code)| (name.clone(), format!("{code}\n\n")))
                .collect();
            format!("{text}\n{}", json_form(&other))
        }
        Fault::Aliases => {
            let results: Vec<_> = tests
                .iter()
                .map(|(name, code)| json!({"name": name, "content": code}))
                .collect();
            json!({ "results": results }).to_string()
        }
        other => wrap(text, other, plan),
    }
}

/// What can be done to an answer of either form.
fn wrap(text: String, fault: &Fault, plan: &Plan) -> String {
    match fault {
        Fault::Fenced => format!("```json\n{text}\n```"),
        Fault::Prose => format!(
            "Sure! Here are the tests you asked for:\n\n{text}\n\nThey cover {{the usual}} and \
             [edge] cases. Let me know if you need more!"
        ),
        Fault::Think => format!(
            "<think>The user wants {{\"tests\": []}}. Let me look at each member.</think>\n{text}"
        ),
        Fault::Rubbish => rubbish(plan),
        _ => text,
    }
}

/// Words and signs in no order.
fn rubbish(plan: &Plan) -> String {
    const WORDS: [&str; 16] = [
        "{",
        "}",
        "[",
        "\"tests\":",
        "func",
        "lorem",
        "```",
        "\u{1b}[31m",
        "<<<TS:",
        "\\u0000",
        "null",
        ",",
        "assert",
        "\n",
        "../../etc/passwd",
        "π",
    ];
    (0..400_u32).fold(String::new(), |mut text, n| {
        text.push_str(WORDS[plan.chance.index(&format!("word {n}"), WORDS.len())]);
        text.push(' ');
        text
    })
}

/// Cuts a text where a fault or `max_tokens` ends it.
fn limit(mut text: String, fault: Option<&Fault>, max_tokens: Option<u64>) -> Answer {
    let whole = text.len();
    let mut keep = whole;
    if let Some(Fault::Truncated { fraction }) = fault {
        keep = share(whole, *fraction).min(whole.saturating_sub(1));
    }
    if let Some(most) = max_tokens.and_then(|most| usize::try_from(most).ok()) {
        keep = keep.min(most.saturating_mul(4));
    }
    if keep >= whole {
        return Answer::new(Some(text), Finish::Stop);
    }
    text.truncate(text.floor_char_boundary(keep));
    Answer::new(Some(text), Finish::Length)
}

/// A share, 0 to 1, of a length.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rough place in a text of far fewer than 2^52 bytes; the share is checked"
)]
pub(crate) fn share(length: usize, fraction: f64) -> usize {
    (length as f64 * fraction) as usize
}
