//! Answers that are not what was asked for, in files, each with what is to be read from it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use pretty_assertions::assert_eq;
use serde::Deserialize;
use testsmith_domain::MemberName;
use testsmith_generate::parse_answer;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    members: Vec<MemberName>,
    #[serde(default)]
    delimiter: Option<String>,
    readable: bool,
    bodies: BTreeMap<String, String>,
    problems: BTreeMap<String, String>,
}

#[test]
fn every_answer_of_the_corpus_is_read_as_expected() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut seen = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "txt") {
            continue;
        }
        let answer = fs::read_to_string(&path).unwrap();
        let expected = fs::read_to_string(path.with_extension("expected.json")).unwrap();
        let expected: Expected = serde_json::from_str(&expected).unwrap();
        let parsed = parse_answer(&answer, &expected.members, expected.delimiter.as_deref());
        let name = path.file_name().unwrap().to_string_lossy();
        let bodies: BTreeMap<String, String> = parsed
            .bodies
            .into_iter()
            .map(|body| (body.member.to_string(), body.code))
            .collect();
        assert_eq!(bodies, expected.bodies, "{name}");
        let problems: BTreeMap<String, String> = parsed
            .problems
            .into_iter()
            .map(|(member, problem)| (member.to_string(), problem.to_string()))
            .collect();
        assert_eq!(problems, expected.problems, "{name}");
        assert_eq!(parsed.readable, expected.readable, "{name}");
        seen += 1;
    }
    assert!(seen >= 40, "only {seen} answers were found");
}
