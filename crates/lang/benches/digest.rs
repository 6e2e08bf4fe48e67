//! How long a save takes before anything is asked: reading a file of 1,000 lines with all digests,
//! and writing a test file of 20 blocks.
//!
//! `cargo bench -p testsmith-lang --bench digest`

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a measurement that cannot be set up has to fail"
)]

use std::fmt::Write as _;

use divan::{Bencher, black_box};
use testsmith_domain::{
    Analysis, BlockEdit, BlockKey, ComposeRequest, LanguageDriver, Project, RelPath, SourceFile,
};
use testsmith_lang::GoDriver;

fn main() {
    divan::main();
}

/// A Go file of `functions` exported functions of ten lines, each with a helper and a constant.
fn source(functions: usize) -> String {
    let mut text = String::from("package shop\n\nimport (\n\t\"errors\"\n\t\"strings\"\n)\n");
    for i in 0..functions {
        write!(
            text,
            "\nconst limit{i} = {i}\n\n\
             // Price{i} gives the price of an article, or an error if there is none.\n\
             func Price{i}(name string, count int) (int, error) {{\n\
             \tif count > limit{i} || strings.TrimSpace(name) == \"\" {{\n\
             \t\treturn 0, errors.New(\"no such article\")\n\t}}\n\
             \ttotal := 0\n\
             \tfor j := 0; j < count; j++ {{\n\t\ttotal += weigh{i}(name, j)\n\t}}\n\
             \treturn total, nil\n}}\n\n\
             func weigh{i}(name string, index int) int {{\n\
             \treturn len(name)*index + {i}\n}}\n"
        )
        .expect("writing to a string");
    }
    text
}

fn path() -> RelPath {
    RelPath::new("shop/shop.go").expect("a relative path")
}

fn analyze(source: &str) -> SourceFile {
    let project = Project::at("/nowhere");
    match GoDriver.analyze(&project, &path(), source) {
        Analysis::Source(file) => file,
        Analysis::NotSource(reason) => panic!("{reason}"),
    }
}

#[divan::bench]
fn analyze_1000_lines(bencher: Bencher<'_, '_>) {
    let text = source(55);
    let lines = text.lines().count();
    assert!((950..=1050).contains(&lines), "{lines} lines");
    bencher
        .counter(divan::counter::BytesCount::of_str(&text))
        .bench(|| analyze(black_box(&text)));
}

#[divan::bench]
fn compose_20_members(bencher: Bencher<'_, '_>) {
    let file = analyze(&source(20));
    let put = |version: &str| -> Vec<BlockEdit> {
        let edits = file.members.iter().map(|member| BlockEdit::Put {
            member: member.name.clone(),
            key: BlockKey(format!("0000000{version}")),
            body: format!(
                "import \"testing\"\n\nfunc Test{}(t *testing.T) {{\n\
                 \tgot, err := {}(\"x\", {version})\n\
                 \tif err != nil || got != 0 {{\n\t\tt.Errorf(\"got %d, %v\", got, err)\n\t}}\n}}\n",
                member.name, member.name
            ),
            verified: true,
        });
        edits.collect()
    };
    let project = Project::at("/nowhere");
    let compose = |existing: Option<&str>, edits: &[BlockEdit]| {
        let request = ComposeRequest {
            project: &project,
            file: &file,
            existing,
            edits,
        };
        GoDriver.compose(&request).expect("a test file")
    };
    let existing = compose(None, &put("1")).text.expect("blocks");
    let edits = put("2");
    bencher.bench(|| compose(Some(black_box(&existing)), black_box(&edits)));
}
