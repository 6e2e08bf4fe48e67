//! What a model answers may be anything. The parser must not panic, must give each member that was
//! asked for either one body or one reason, and must not give code that the answer does not hold.

#![no_main]

use libfuzzer_sys::fuzz_target;
use testsmith_domain::MemberName;
use testsmith_generate::parse_answer;

fuzz_target!(|text: &str| {
    let members = [MemberName::from("Cart.Total"), MemberName::from("Add")];
    for delimiter in [None, Some("n0nce")] {
        let answer = parse_answer(text, &members, delimiter);
        let mut named: Vec<&MemberName> = answer.bodies.iter().map(|body| &body.member).collect();
        named.extend(answer.problems.iter().map(|(member, _)| member));
        named.sort();
        assert_eq!(named, [&members[1], &members[0]]);
        for body in &answer.bodies {
            assert!(answer.readable && !body.code.trim().is_empty());
            // Every escape is longer than what it stands for.
            assert!(body.code.len() <= text.len());
            let plain = body.code.split(|c: char| !c.is_ascii_alphanumeric());
            let longest = plain.max_by_key(|word| word.len()).unwrap_or_default();
            assert!(text.contains(longest) || text.contains("\\u"));
        }
    }
});
