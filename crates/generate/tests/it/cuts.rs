//! Never half a body, whatever happens to an answer on its way.

use std::collections::BTreeMap;

use proptest::prelude::*;
use testsmith_domain::MemberName;
use testsmith_generate::parse_answer;

const TOKEN: &str = "n0nce";

/// Code with what breaks parsers: quotes, braces, fences, JSON, marks, many-byte characters.
const CODES: [(&str, &str); 4] = [
    (
        "Cart.Total",
        "func TestCart_Total(t *testing.T) {\n\tc := Cart{Items: []Item{{Price: 3}}}\n\tif got := c.Total(); got != 3 {\n\t\tt.Errorf(\"got %d, want \\\"3\\\"\", got)\n\t}\n}",
    ),
    (
        "Add",
        "def test_add():\n    \"\"\"```json {\"tests\": [{\"name\": \"Add\", \"code\": \"no\"}]} ```\"\"\"\n    assert add('{', \"}\") == '{}'  # naïve – 漢字 🎉\n",
    ),
    (
        "naïve",
        "it('ends', () => {\n  expect(naïve(`],}`)).toBe('\\u0041\\\\');\n});",
    ),
    (
        "Last",
        "func TestLast(t *testing.T) { f(\"<<<END:other>>>\", `{\"a\":[1,2,{}]}`) }",
    ),
];

fn members() -> Vec<MemberName> {
    CODES
        .iter()
        .map(|(name, _)| MemberName::from(*name))
        .collect()
}

fn answers() -> Vec<String> {
    let tests: Vec<_> = CODES
        .iter()
        .map(|(name, code)| serde_json::json!({"name": name, "code": code}))
        .collect();
    let object = serde_json::json!({ "tests": tests });
    let map: BTreeMap<_, _> = CODES.into_iter().collect();
    let escaped: String = object
        .to_string()
        .chars()
        .map(|c| match c {
            c if c.is_ascii() => c.to_string(),
            c => {
                let mut units = [0; 2];
                let units = c.encode_utf16(&mut units).iter();
                let units: Vec<_> = units.map(|unit| format!("\\u{unit:04x}")).collect();
                units.concat()
            }
        })
        .collect();
    let blocks: Vec<String> = CODES
        .iter()
        .map(|(name, code)| format!("<<<TS:{TOKEN}:{name}>>>\n{code}\n<<<END:{TOKEN}>>>\n"))
        .collect();
    let blocks = blocks.concat();
    vec![
        object.to_string(),
        serde_json::to_string_pretty(&object).unwrap(),
        serde_json::json!(tests).to_string(),
        serde_json::to_string(&map).unwrap(),
        serde_json::json!({ "results": map }).to_string(),
        escaped,
        format!("Sure [1]:\n```json\n{object}\n```\nThat {{should}} do."),
        format!("<think>\n{{\"tests\": hm</think>\n{object}"),
        object.to_string().replace("\\n", "\n"),
        blocks.clone(),
        format!("Here:\n```\n{blocks}```\n"),
    ]
}

fn read(text: &str) -> Vec<(String, String)> {
    let parsed = parse_answer(text, &members(), Some(TOKEN));
    assert_eq!(parsed.bodies.len() + parsed.problems.len(), CODES.len());
    let bodies = parsed.bodies.into_iter();
    bodies
        .map(|body| (body.member.to_string(), body.code))
        .collect()
}

fn is_whole(name: &str, code: &str) -> bool {
    let wanted = CODES.iter().find(|(member, _)| *member == name);
    // The delimiter form cannot tell line ends at the end of code.
    wanted.is_some_and(|(_, wanted)| code.trim_end() == wanted.trim_end())
}

#[test]
fn an_answer_cut_at_every_byte_never_gives_half_a_body() {
    for answer in answers() {
        assert_eq!(read(&answer).len(), CODES.len(), "{answer}");
        let mut most = 0;
        for end in 0..answer.len() {
            // What was received of a character cut in the middle becomes U+FFFD.
            let cut = String::from_utf8_lossy(&answer.as_bytes()[..end]);
            let bodies = read(&cut);
            for (name, code) in &bodies {
                assert!(
                    is_whole(name, code),
                    "cut at {end}: {name}: {code}\nof {answer}"
                );
            }
            assert!(
                bodies.len() >= most,
                "a longer answer gives no fewer bodies: {end}"
            );
            most = bodies.len();
        }
        assert!(most >= CODES.len() - 1, "complete elements are kept");
    }
}

/// Damage to one byte may change a character or an escape of the code, which nobody can see; at
/// most this many bytes of it.
const ONE_ESCAPE: usize = 12;

fn never_half(damaged: &str, what: &str) {
    for (name, code) in read(damaged) {
        let (_, wanted) = CODES.iter().find(|(member, _)| *member == name).unwrap();
        let half = code.len() + ONE_ESCAPE < wanted.trim_end().len();
        assert!(!half, "{what}: {name}: {code}\nof {damaged}");
    }
}

#[test]
fn a_stray_quote_or_bracket_never_gives_half_a_body() {
    for answer in answers() {
        // The delimiter form has no quotes that could go wrong.
        if answer.contains("<<<TS") {
            continue;
        }
        for (at, _) in answer.char_indices() {
            let (head, tail) = answer.split_at(at);
            for stray in ["\"", "\\", "{", "}", "]", ","] {
                never_half(&format!("{head}{stray}{tail}"), stray);
            }
        }
    }
}

#[test]
fn a_lost_character_never_gives_half_a_body() {
    for answer in answers() {
        for (at, c) in answer.char_indices() {
            let (head, tail) = (&answer[..at], &answer[at + c.len_utf8()..]);
            never_half(&format!("{head}{tail}"), "lost");
        }
    }
}

proptest! {
    #[test]
    fn random_damage_neither_panics_nor_invents(
        which in 0usize..11,
        cuts in prop::collection::vec((any::<prop::sample::Index>(), 0usize..40, "\\PC{0,6}|[\\[\\]{}\",:\\\\\n`<>]{0,4}"), 0..6),
    ) {
        let mut text = answers().swap_remove(which);
        for (index, length, insert) in cuts {
            let borders: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
            if borders.is_empty() {
                break;
            }
            let from = index.index(borders.len());
            let to = (from + length).min(borders.len() - 1);
            text.replace_range(borders[from]..borders[to], &insert);
        }
        let bodies = read(&text);
        let mut names: Vec<&String> = bodies.iter().map(|(name, _)| name).collect();
        names.dedup();
        prop_assert_eq!(names.len(), bodies.len());
        for (_, code) in &bodies {
            prop_assert!(!code.trim().is_empty());
            prop_assert!(code.len() <= text.len());
        }
    }

    #[test]
    fn any_text_at_all_is_read_without_panic(text in "\\PC{0,200}|[\\[\\]{}\",:\\\\\nab<>/ ]{0,200}") {
        read(&text);
    }
}
