//! `cargo bench -p testsmith-generate`: reading an answer, and planning a file that did not change.
#![expect(
    clippy::unwrap_used,
    reason = "the fake language is shared with the tests"
)]

use std::sync::Arc;

use divan::Bencher;
use testsmith_domain::{Block, BlockState, MemberName, ModelIdentity};
use testsmith_generate::{FileRequest, Pipeline, ScaffoldGenerator, Step, parse_answer};

#[path = "../tests/it/driver.rs"]
mod driver;

fn main() {
    divan::main();
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("Cart.Method{n}")).collect()
}

/// An answer with about 1.5 KB of code for each member.
fn answer(names: &[String]) -> String {
    let line =
        "\tif got := cart.Method(\"a\", 1); got != 3 {\n\t\tt.Errorf(\"got %d\", got)\n\t}\n";
    let test = |name: &String| {
        let code = format!("func Test{name}(t *testing.T) {{\n{}}}", line.repeat(20));
        serde_json::json!({"name": name, "code": code})
    };
    let tests: Vec<_> = names.iter().map(test).collect();
    serde_json::json!({ "tests": tests }).to_string()
}

fn parse(bencher: Bencher<'_, '_>, wrap: impl Fn(String) -> String) {
    let names = names(20);
    let text = wrap(answer(&names));
    let members: Vec<MemberName> = names.iter().map(|name| name.as_str().into()).collect();
    assert_eq!(parse_answer(&text, &members, None).bodies.len(), 20);
    bencher
        .counter(divan::counter::BytesCount::of_str(&text))
        .bench(|| parse_answer(divan::black_box(&text), &members, None));
}

#[divan::bench]
fn parse_20_members(bencher: Bencher<'_, '_>) {
    parse(bencher, |text| text);
}

#[divan::bench]
fn parse_20_members_in_prose_with_raw_newlines(bencher: Bencher<'_, '_>) {
    parse(bencher, |text| {
        format!("Sure:\n```json\n{}\n```\n", text.replace("\\n", "\n"))
    });
}

#[divan::bench(args = [6, 100])]
fn plan_unchanged(bencher: Bencher<'_, '_>, members: usize) {
    let names = names(members);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let identity = ModelIdentity {
        provider: "offline".to_owned(),
        model: "scaffold".to_owned(),
        temperature: 0.0,
    };
    let pipeline = Pipeline::new(Arc::new(ScaffoldGenerator), None, identity, true);
    let mut request: FileRequest = driver::file_request(&names, driver::FakeDriver::default());
    let plan = pipeline.plan(&request).members.into_iter();
    request.blocks = plan
        .map(|planned| Block {
            member: planned.member,
            key: planned.block_key,
            state: BlockState::Pristine,
            verified: true,
            body: String::new(),
        })
        .collect();
    let plan = pipeline.plan(&request);
    assert!(
        plan.members
            .iter()
            .all(|planned| planned.step == Step::Fresh)
    );
    bencher.bench(|| pipeline.plan(divan::black_box(&request)));
}
