//! Whatever somebody does to a file of ours, no line of theirs is lost.

use std::collections::BTreeMap;

use proptest::prelude::*;
use testsmith_domain::{Block, BlockEdit, BlockState, LanguageDriver, Rejection};
use testsmith_lang::GoDriver;

use crate::sample::{body, compose, path, put, remove, try_compose};

const MEMBERS: [(&str, &str); 4] = [
    ("Cart.Total", "TestCart_Total"),
    ("Euros", "TestEuros"),
    ("Shout", "TestShout"),
    ("List.Len", "TestList_Len"),
];

/// Lines that somebody may write: code, comments, half of something, marks.
const LINES: [&str; 14] = [
    "",
    "// a remark",
    "\t// an indented remark",
    "func mine() {}",
    "func other() int {",
    "}",
    "\t_ = 1",
    "\tt.Log(\"mine\")",
    "var table = []int{1, 2}",
    "/* begin",
    "end */",
    "// testsmith:end Euros",
    "// testsmith:begin Euros key=00000001 sum=00000000",
    "var text = `",
];

#[derive(Debug, Clone)]
enum Act {
    Insert(usize, usize),
    Delete(usize),
    Replace(usize, usize),
    Indent(usize),
    Swap(usize),
    Space(usize),
}

fn act() -> impl Strategy<Value = Act> {
    let line = 0_usize..60;
    let text = 0..LINES.len();
    prop_oneof![
        4 => (line.clone(), text.clone()).prop_map(|(at, text)| Act::Insert(at, text)),
        2 => line.clone().prop_map(Act::Delete),
        1 => (line.clone(), text).prop_map(|(at, text)| Act::Replace(at, text)),
        2 => line.clone().prop_map(Act::Indent),
        1 => line.clone().prop_map(Act::Swap),
        1 => line.prop_map(Act::Space),
    ]
}

/// What somebody makes of a file.
fn mess_up(text: &str, acts: &[Act]) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for act in acts {
        let len = lines.len();
        match act {
            Act::Insert(at, text) => lines.insert(at % (len + 1), LINES[*text].to_owned()),
            _ if len < 2 => {}
            Act::Delete(at) => drop(lines.remove(at % len)),
            Act::Replace(at, text) => LINES[*text].clone_into(&mut lines[at % len]),
            Act::Indent(at) => lines[at % len].insert(0, '\t'),
            Act::Swap(at) => lines.swap(at % (len - 1), at % (len - 1) + 1),
            Act::Space(at) => {
                let spaced = lines[at % len].replace(' ', "  ");
                lines[at % len] = spaced;
            }
        }
    }
    lines.join("\n") + "\n"
}

fn edit() -> impl Strategy<Value = (usize, Option<usize>)> {
    (0..MEMBERS.len(), proptest::option::of(0_usize..3))
}

fn edits(chosen: &[(usize, Option<usize>)]) -> Vec<BlockEdit> {
    let last: BTreeMap<usize, Option<usize>> = chosen.iter().copied().collect();
    last.into_iter()
        .map(|(index, imports)| {
            let (member, test) = MEMBERS[index];
            match imports {
                Some(count) => put(member, 9, &body(test, &["fmt", "os"][..count])),
                None => remove(member),
            }
        })
        .collect()
}

fn start() -> String {
    let edits: Vec<BlockEdit> = MEMBERS[..3]
        .iter()
        .map(|(member, test)| put(member, 1, &body(test, &["errors", "fmt"])))
        .collect();
    compose(None, &edits)
}

fn blocks(text: &str) -> Vec<Block> {
    GoDriver
        .blocks(&path("cart/cart_testsmith_test.go"), text)
        .unwrap()
}

/// The lines that have to stay: none of a block that an edit was carried out on, none of the
/// import section but comments, no empty ones.
fn kept_lines(text: &str, touched: &[&str]) -> Vec<String> {
    let mut kept = Vec::new();
    let mut in_block = false;
    let mut in_imports = false;
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let is_touched = |name: Option<&&str>| name.is_some_and(|name| touched.contains(name));
        let mark = words.get(1).copied().unwrap_or_default();
        if mark == "testsmith:begin" && is_touched(words.get(2)) {
            in_block = true;
        }
        in_imports |= line.trim_start().starts_with("import ");
        let is_import = in_imports && !line.trim_start().starts_with("//");
        if !in_block && !is_import && !line.trim().is_empty() {
            kept.push(line.to_owned());
        }
        if mark == "testsmith:end" && is_touched(words.get(2)) {
            in_block = false;
        }
        let single = line.trim_start().starts_with("import ") && !line.contains('(');
        in_imports &= line.trim() != ")" && !single;
    }
    kept
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_line_outside_a_touched_block_changes(
        acts in proptest::collection::vec(act(), 0..6),
        chosen in proptest::collection::vec(edit(), 1..4),
    ) {
        let messy = mess_up(&start(), &acts);
        let edits = edits(&chosen);
        let Ok(composed) = try_compose(Some(&messy), &edits) else {
            // Refused: nothing is written.
            return Ok(());
        };
        let before = blocks(&messy);
        let rejected: Vec<&str> =
            composed.rejected.iter().map(|(member, _)| member.as_str()).collect();
        for block in &before {
            let touched = edits.iter().any(|edit| {
                let member = edit.member();
                *member == block.member
            });
            if touched && block.state == BlockState::Edited {
                let refusal = (block.member.clone(), Rejection::Edited);
                prop_assert!(composed.rejected.contains(&refusal), "{}", block.member);
            }
        }
        let touched: Vec<&str> = edits
            .iter()
            .map(|edit| {
                let member = edit.member();
                member.as_str()
            })
            .filter(|member| !rejected.contains(member))
            .collect();
        let text = composed.text.unwrap_or_default();
        let (old, new) = (kept_lines(&messy, &touched), kept_lines(&text, &touched));
        let header_only = text.is_empty()
            && old.iter().all(|line| line.starts_with("// Tests kept") || line.starts_with("package "));
        prop_assert!(header_only || old == new, "{messy}\n=== became\n{text}");
        if !text.is_empty() {
            // It parses, its marks pair, and untouched blocks are as they were.
            let after = blocks(&text);
            for block in before.iter().filter(|b| !touched.contains(&b.member.as_str())) {
                prop_assert!(after.contains(block), "{}", block.member);
            }
            // Doing it again changes nothing.
            let again = try_compose(Some(&text), &edits).unwrap();
            prop_assert_eq!(again.text.unwrap_or_default(), text);
        }
    }

    #[test]
    fn no_input_breaks_the_driver(text in "[\\PC\n\t`{}()\"/]{0,200}") {
        let file = crate::sample::analyze(&text);
        let _ = GoDriver.blocks(&file.test_path, &text);
        let _ = try_compose(Some(&text), &[put("Euros", 1, &text)]);
        let _ = GoDriver.body_sum(&file.test_path, &text);
    }
}
