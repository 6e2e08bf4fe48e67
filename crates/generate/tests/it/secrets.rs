//! What holds a secret is not sent, wherever in the prompt it would stand.

use std::sync::Arc;

use pretty_assertions::assert_eq;
use testsmith_domain::{
    BodyGenerator as _, BodyRequest, Excerpt, FailedBody, Generated, MemberName, PromptContext,
    RelPath, Verdict,
};
use testsmith_generate::{GeneratorSettings, ModelGenerator};
use testsmith_secrets::Scanner;

use crate::driver::{FakeDriver, file_request};
use crate::fakes::{Act, FakeModel, Kept};

const CANARY: &str = "AKIAQ3EGWZ5N7LXD2KVB";

/// Members `A`, `B` and `C`, of which `B` holds the canary on line 2.
fn request() -> BodyRequest {
    let mut file = file_request(&["A", "B", "C"], FakeDriver::default());
    let source = Arc::get_mut(&mut file.file).unwrap();
    for (at, member) in source.members.iter_mut().enumerate() {
        let line = u32::try_from(at + 1).unwrap();
        member.lines = (line, line);
    }
    source.members[1].text = format!("func B() string {{ return \"{CANARY}\" }}");
    let lines: Vec<&str> = source.members.iter().map(|m| m.text.as_str()).collect();
    let text = format!("{}\n", lines.join("\n"));
    BodyRequest {
        members: source.members.clone(),
        file: Arc::clone(&file.file),
        source: text.into(),
        context: Arc::default(),
        guidance: None,
        failed: Arc::default(),
        driver: file.driver,
    }
}

fn excerpt(path: &str, text: &str) -> Excerpt {
    Excerpt {
        path: RelPath::new(path).unwrap(),
        text: text.to_owned(),
    }
}

async fn ask_with(model: &Arc<FakeModel>, request: &BodyRequest, allow: &[&str]) -> Generated {
    let allow: Vec<String> = allow.iter().map(|&entry| entry.to_owned()).collect();
    let generator = ModelGenerator::new(model.clone(), GeneratorSettings::default())
        .scanning_with(Scanner::new(&allow).unwrap());
    let kept = Kept::default();
    let batch = generator.as_batch().unwrap();
    let generated = batch.generate_batch(request, &kept).await.unwrap();
    assert_eq!(
        kept.effort.lock().unwrap().calls as usize,
        model.asked().len(),
        "what is not sent costs nothing"
    );
    generated
}

async fn ask(model: &Arc<FakeModel>, request: &BodyRequest) -> Generated {
    let generated = ask_with(model, request, &[]).await;
    for asked in model.asked() {
        assert!(!asked.user().contains(CANARY), "{}", asked.user());
        assert!(!asked.request.system.contains(CANARY));
    }
    generated
}

fn names(generated: &Generated) -> Vec<&str> {
    let bodies = generated.bodies.iter();
    bodies.map(|body| body.member.as_str()).collect()
}

#[tokio::test]
async fn a_member_with_a_secret_is_not_sent_and_the_others_are() {
    let model = FakeModel::new(|_| Act::Well);
    let generated = ask(&model, &request()).await;
    assert_eq!(model.calls(), [["A", "C"]]);
    assert_eq!(names(&generated), ["A", "C"]);
    assert_eq!(generated.missing.len(), 1);
    assert_eq!(generated.missing[0].member.as_str(), "B");
    assert_eq!(
        generated.missing[0].reason,
        "not sent: rule aws-access-key-id at line 2; take the secret out of the source or, if it \
         is none, put a comment `testsmith:allow-secret` on that line"
    );
    let asked = &model.asked()[0];
    assert!(asked.user().contains("Member `A` and what it uses:"));
    assert!(
        !asked.user().contains("Source file"),
        "never the whole file"
    );
}

#[tokio::test]
async fn alone_it_costs_no_call() {
    let model = FakeModel::new(|_| Act::Well);
    let mut one = request();
    one.members = vec![one.members[1].clone()];
    let generated = ask(&model, &one).await;
    assert!(model.asked().is_empty());
    assert_eq!(generated.missing.len(), 1);
}

#[tokio::test]
async fn what_a_member_uses_counts_as_its_own() {
    let model = FakeModel::new(|_| Act::Well);
    let mut request = request();
    let text = format!("var id = \"{CANARY}\"");
    request.source = format!("{}{text}\n", request.source).into();
    request.members[2].uses.push(text);
    let generated = ask(&model, &request).await;
    assert_eq!(model.calls(), [["A"]]);
    let reasons: Vec<_> = generated.missing.iter().map(|m| &m.reason).collect();
    assert!(
        reasons
            .iter()
            .all(|r| r.contains("rule aws-access-key-id at line 2"))
    );
}

#[tokio::test]
async fn pieces_with_secrets_are_left_out() {
    let model = FakeModel::new(|_| Act::Well);
    let mut request = request();
    request.members.remove(1);
    request.source = "func A() {}\nfunc C() {}\n".into();
    request.guidance = Some(format!("Use the key {CANARY}.").into());
    request.context = Arc::new(PromptContext {
        related: vec![
            excerpt("shop/price.go", "func Price() int"),
            excerpt("shop/keys.go", &format!("const id = \"{CANARY}\"")),
        ],
        style_example: Some(excerpt("shop/a_test.go", &format!("f(\"{CANARY}\")"))),
    });
    let generated = ask(&model, &request).await;
    assert_eq!(names(&generated), ["A", "C"]);
    let asked = &model.asked()[0];
    assert!(asked.user().contains("Source file"));
    assert!(asked.user().contains("shop/price.go"));
    for left_out in ["shop/keys.go", "shop/a_test.go", "TESTSMITH.md"] {
        assert!(!asked.user().contains(left_out), "{left_out}");
    }
}

#[tokio::test]
async fn the_last_gate_holds_back_what_came_from_elsewhere() {
    let model = FakeModel::new(|_| Act::Well);
    let mut request = request();
    request.members.remove(1);
    request.source = "func A() {}\nfunc C() {}\n".into();
    request.failed = Arc::new([FailedBody {
        member: MemberName::from("C"),
        code: "func TestC() {}".to_owned(),
        verdict: Verdict::Fails,
        output: format!("got {CANARY}"),
    }]);
    let generated = ask(&model, &request).await;
    assert_eq!(model.calls(), [["A"]], "asked for without the other");
    assert_eq!(
        generated.missing[0].reason,
        "not sent: rule aws-access-key-id in what would be sent with it"
    );

    let model = FakeModel::new(|_| Act::Well);
    let generator = ModelGenerator::new(model.clone(), GeneratorSettings::default());
    let judged = generator.judge(&request, &Kept::default()).await.unwrap();
    assert!(judged.1.is_empty() && model.asked().is_empty());
}

#[tokio::test]
async fn a_comment_in_the_runner_s_words_lets_nothing_pass() {
    let model = FakeModel::new(|_| Act::Well);
    let mut request = request();
    request.members.remove(1);
    request.source = "func A() {}\nfunc C() {}\n".into();
    request.failed = Arc::new([FailedBody {
        member: MemberName::from("C"),
        code: "func TestC() {}".to_owned(),
        verdict: Verdict::Fails,
        output: format!("got {CANARY} // testsmith:allow-secret"),
    }]);
    ask(&model, &request).await;
    assert_eq!(model.calls(), [["A"]], "asked for without the other");
}

#[tokio::test]
async fn a_secret_in_what_the_model_is_told_of_its_answer_goes_nowhere() {
    // The answer cannot be used, and the reason is part of the next question.
    let model = FakeModel::new(|asked| match asked.number {
        0 => Act::Say(format!("I would rather talk about {CANARY}")),
        _ => Act::Well,
    });
    let mut request = request();
    request.members.remove(1);
    request.source = "func A() {}\nfunc C() {}\n".into();
    let generated = ask(&model, &request).await;
    assert_eq!(names(&generated), ["A", "C"]);
}

#[tokio::test]
async fn what_the_user_lets_pass_is_sent() {
    for allow in ["aws-access-key-id", "shop/*.go"] {
        let model = FakeModel::new(|_| Act::Well);
        let generated = ask_with(&model, &request(), &[allow]).await;
        assert_eq!(names(&generated), ["A", "B", "C"], "{allow}");
        assert!(model.asked()[0].user().contains(CANARY));
    }
    // The comment is above the member, and so no part of it.
    let model = FakeModel::new(|_| Act::Well);
    let mut request = request();
    request.source = format!("// testsmith:allow-secret\n{}", request.members[1].text).into();
    request.members[1].lines = (2, 2);
    request.members.truncate(2);
    let settings = GeneratorSettings {
        prompt_token_budget: 1,
        ..GeneratorSettings::default()
    };
    let generator = ModelGenerator::new(model.clone(), settings);
    let batch = generator.as_batch().unwrap();
    let generated = batch.generate_batch(&request, &Kept::default()).await;
    assert_eq!(names(&generated.unwrap()), ["A", "B"]);
}
