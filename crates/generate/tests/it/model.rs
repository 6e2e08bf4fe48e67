//! Rounds of questions: how often a model is asked, for what and how.

use std::sync::Arc;

use futures_util::future::poll_immediate;
use pretty_assertions::assert_eq;
use testsmith_domain::{
    BodyGenerator, BodyRequest, GenerateError, Generated, ProviderErrorKind, ResponseFormat,
};
use testsmith_generate::{AnswerFormat, GeneratorSettings, ModelGenerator};

use crate::driver::{FakeDriver, file_request};
use crate::fakes::{Act, Asked, FakeModel, Kept, code, json};

fn body_request(names: &[&str]) -> BodyRequest {
    let request = file_request(names, FakeDriver::default());
    BodyRequest {
        members: request.file.members.clone(),
        file: request.file,
        source: request.source,
        context: Arc::default(),
        guidance: None,
        failed: Arc::default(),
        driver: request.driver,
    }
}

async fn batch_with(
    model: &Arc<FakeModel>,
    request: &BodyRequest,
    settings: GeneratorSettings,
    kept: &Kept,
) -> Result<Generated, GenerateError> {
    let generator = ModelGenerator::new(model.clone(), settings);
    let batch = generator.as_batch().unwrap();
    let result = batch.generate_batch(request, kept).await;
    let asked = model.asked();
    assert_eq!(kept.effort.lock().unwrap().calls as usize, asked.len());
    if let Ok(generated) = &result {
        assert_eq!(generated.effort, *kept.effort.lock().unwrap());
        assert_eq!(generated.bodies, *kept.bodies.lock().unwrap());
        let answered = generated.bodies.len() + generated.missing.len();
        assert_eq!(answered, request.members.len());
    }
    let mut questions: Vec<_> = asked
        .iter()
        .map(|asked| (asked.user(), asked.request.max_tokens))
        .collect();
    questions.sort_unstable();
    let all = questions.len();
    questions.dedup();
    assert_eq!(
        questions.len(),
        all,
        "nothing is asked twice in the same way"
    );
    result
}

async fn batch(model: &Arc<FakeModel>, names: &[&str]) -> Generated {
    let request = body_request(names);
    batch_with(
        model,
        &request,
        GeneratorSettings::default(),
        &Kept::default(),
    )
    .await
    .unwrap()
}

fn missing(generated: &Generated) -> Vec<(String, &str)> {
    let all = generated.missing.iter();
    all.map(|missing| (missing.member.to_string(), missing.reason.as_str()))
        .collect()
}

#[tokio::test]
async fn a_batch_is_one_call() {
    let model = FakeModel::new(|_| Act::Well);
    let generated = batch(&model, &["A", "B", "C"]).await;
    assert_eq!(model.calls(), [["A", "B", "C"]]);
    let asked = &model.asked()[0];
    assert_eq!(asked.request.max_tokens, 4500);
    assert_eq!(asked.request.format, ResponseFormat::JsonObject);
    assert!(asked.request.system.contains("JSON"));
    assert!(asked.user().ends_with("\nMembers: [\"A\",\"B\",\"C\"]\n"));
    assert_eq!(generated.bodies[1].code, code("B"));
    assert_eq!(generated.bodies[1].model, "fake-1-2026");
}

#[tokio::test]
async fn generate_asks_for_the_first_member_only() {
    let model = FakeModel::new(|_| Act::Well);
    let generator = ModelGenerator::new(model.clone(), GeneratorSettings::default());
    let kept = Kept::default();
    let generated = generator.generate(&body_request(&["A", "B"]), &kept).await;
    assert_eq!(generated.unwrap().bodies.len(), 1);
    assert_eq!(model.calls(), [["A"]]);
    assert_eq!(kept.names(), ["A"]);
}

#[tokio::test]
async fn a_batch_is_split_evenly_where_the_answer_would_be_too_long() {
    let model = FakeModel::with_limit(4096, |_| Act::Well);
    let generated = batch(&model, &["A", "B", "C", "D", "E"]).await;
    assert_eq!(model.calls(), [vec!["A", "B"], vec!["C", "D"], vec!["E"]]);
    assert_eq!(generated.bodies.len(), 5);
    let caps: Vec<u32> = model.asked().iter().map(|a| a.request.max_tokens).collect();
    assert_eq!(caps, [3000, 3000, 1500]);
}

#[tokio::test]
async fn a_small_model_is_never_asked_for_more_than_it_can_write() {
    let model = FakeModel::with_limit(1000, |_| Act::Well);
    batch(&model, &["A", "B"]).await;
    let caps: Vec<u32> = model.asked().iter().map(|a| a.request.max_tokens).collect();
    assert_eq!(caps, [1000, 1000]);
}

#[tokio::test]
async fn a_batch_is_split_where_the_prompt_would_be_too_long() {
    let model = FakeModel::new(|_| Act::Well);
    let mut request = body_request(&["A", "B", "C", "D"]);
    for member in &mut request.members {
        member.text = format!("func {}() {{ {} }}", member.name, "x; ".repeat(600));
    }
    let source: String = request.members.iter().map(|m| m.text.clone()).collect();
    request.source = source.into();
    // The rules are about 700 tokens, each member about 520.
    let settings = GeneratorSettings {
        prompt_token_budget: 2000,
        ..GeneratorSettings::default()
    };
    batch_with(&model, &request, settings, &Kept::default())
        .await
        .unwrap();
    assert_eq!(model.calls(), [["A", "B"], ["C", "D"]]);
    assert!(
        model.asked()[1]
            .user()
            .contains("Member `C` and what it uses:")
    );
}

#[tokio::test]
async fn the_missing_are_asked_for_together_then_singly_then_given_up() {
    let model = FakeModel::new(|_| Act::Say(json(&["A"])));
    let generated = batch(&model, &["A", "B", "C"]).await;
    assert_eq!(
        model.calls(),
        [vec!["A", "B", "C"], vec!["B", "C"], vec!["B"], vec!["C"]]
    );
    let reason = "the answer left it out";
    assert_eq!(
        missing(&generated),
        [("B".into(), reason), ("C".into(), reason)]
    );
    assert_eq!(generated.effort.calls, 4);
    assert_eq!(generated.effort.usage.input_tokens, Some(400));
}

#[tokio::test]
async fn a_single_missing_member_is_asked_for_once_more() {
    let model = FakeModel::new(|asked| match asked.number {
        0 => Act::Say(json(&["A"])),
        _ => Act::Well,
    });
    let generated = batch(&model, &["A", "B"]).await;
    assert_eq!(model.calls(), [vec!["A", "B"], vec!["B"]]);
    assert_eq!(generated.bodies.len(), 2);
}

#[tokio::test]
async fn code_that_cannot_be_used_is_asked_for_again_with_the_reason() {
    let model = FakeModel::new(|asked| match asked.number {
        0 => Act::Say(r#"{"tests":[{"name":"A","code":"func TestA( {"}]}"#.to_owned()),
        _ => Act::Well,
    });
    let generated = batch(&model, &["A"]).await;
    assert_eq!(generated.bodies[0].code, code("A"));
    assert_eq!(model.asked().len(), 2);
    let remark = "- `A`: the code does not parse: syntax error at line 1, column 1\n";
    assert!(model.asked()[1].user().contains(remark));
}

#[tokio::test]
async fn a_failed_call_is_not_followed_by_single_ones() {
    for kind in [
        ProviderErrorKind::Server,
        ProviderErrorKind::Timeout,
        ProviderErrorKind::Billing,
        ProviderErrorKind::Auth,
        ProviderErrorKind::Rejected,
    ] {
        let model = FakeModel::new(move |_| Act::Fail(kind));
        let request = body_request(&["A", "B"]);
        let error = batch_with(
            &model,
            &request,
            GeneratorSettings::default(),
            &Kept::default(),
        )
        .await
        .unwrap_err();
        let GenerateError::Provider(error) = error;
        assert_eq!(error.kind, kind);
        assert_eq!(model.calls().len(), 1);
    }
}

#[tokio::test]
async fn bodies_of_other_calls_are_kept_when_one_fails() {
    let model = FakeModel::with_limit(3000, |asked| match asked.number {
        0 => Act::Fail(ProviderErrorKind::Server),
        _ => Act::Well,
    });
    let request = body_request(&["A", "B", "C", "D"]);
    let kept = Kept::default();
    batch_with(&model, &request, GeneratorSettings::default(), &kept)
        .await
        .unwrap_err();
    assert_eq!(kept.names(), ["C", "D"]);
    assert_eq!(kept.effort.lock().unwrap().calls, 2);
}

#[tokio::test]
async fn of_a_cut_answer_the_whole_elements_stay_and_the_rest_is_asked_for_in_halves() {
    let model = FakeModel::new(|asked| match asked.number {
        0 => {
            let whole = json(&["A", "B", "C", "D"]);
            let end = whole.find(r#"{"code":"func TestC"#).unwrap() + 30;
            Act::SayCut(whole[..end].to_owned())
        }
        _ => Act::Well,
    });
    let kept = Kept::default();
    let request = body_request(&["A", "B", "C", "D"]);
    let generated = batch_with(&model, &request, GeneratorSettings::default(), &kept)
        .await
        .unwrap();
    assert_eq!(model.calls()[1..], [["C"], ["D"]]);
    assert_eq!(kept.names(), ["A", "B", "C", "D"]);
    for body in &generated.bodies {
        assert_eq!(body.code, code(body.member.as_str()));
    }
}

#[tokio::test]
async fn one_member_s_cut_answer_gets_a_larger_cap_then_is_given_up() {
    let model = FakeModel::new(|_| Act::SayCut(r#"{"tests":[{"name":"A","code":"fun"#.to_owned()));
    let generated = batch(&model, &["A"]).await;
    let caps: Vec<u32> = model.asked().iter().map(|a| a.request.max_tokens).collect();
    assert_eq!(caps, [1500, 6000, 16_384]);
    let reason = "the answer did not fit into 16384 tokens";
    assert_eq!(missing(&generated), [("A".into(), reason)]);
}

#[tokio::test]
async fn a_model_that_always_fills_its_cap_is_bounded() {
    let model = FakeModel::new(|_| Act::SayCut(" \n".repeat(500)));
    let names: Vec<String> = (0..10).map(|n| format!("M{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let generated = batch(&model, &names).await;
    assert_eq!(model.calls().len(), 24);
    assert_eq!(generated.missing.len(), 10);
    assert!(
        missing(&generated)
            .iter()
            .any(|(_, why)| why.starts_with("gave up after"))
    );
}

#[tokio::test]
async fn what_is_too_long_is_split_and_shown_with_less() {
    let model = FakeModel::new(|asked| {
        if asked.members.len() > 1 || asked.user().contains("Source file `") {
            Act::Fail(ProviderErrorKind::TooLong)
        } else {
            Act::Well
        }
    });
    let generated = batch(&model, &["A", "B", "C"]).await;
    assert_eq!(
        model.calls(),
        [
            vec!["A", "B", "C"],
            vec!["A", "B"],
            vec!["C"],
            vec!["A"],
            vec!["B"]
        ]
    );
    assert_eq!(generated.bodies.len(), 3);
}

#[tokio::test]
async fn a_member_too_long_by_itself_is_asked_for_with_less_once() {
    let model = FakeModel::new(|_| Act::Fail(ProviderErrorKind::TooLong));
    let generated = batch(&model, &["A"]).await;
    assert_eq!(model.calls().len(), 2);
    assert_eq!(missing(&generated), [("A".into(), "too_long")]);
}

#[tokio::test]
async fn a_filtered_member_is_isolated() {
    let model = FakeModel::new(|asked| {
        if asked.members.contains(&"C".to_owned()) {
            Act::Fail(ProviderErrorKind::ContentFilter)
        } else {
            Act::Well
        }
    });
    let generated = batch(&model, &["A", "B", "C", "D", "E", "F", "G", "H"]).await;
    assert_eq!(generated.bodies.len(), 7);
    assert_eq!(missing(&generated), [("C".into(), "content_filter")]);
    assert_eq!(model.calls().len(), 1 + 2 * 3, "two more for each halving");
}

#[tokio::test]
async fn after_rubbish_the_delimiter_form_is_asked_for() {
    let model = FakeModel::new(|asked| match asked.number {
        0 => Act::Say("I would be glad to help you with your tests!".to_owned()),
        _ => Act::Well,
    });
    let generated = batch(&model, &["A", "B"]).await;
    assert_eq!(model.calls(), [["A", "B"], ["A", "B"]]);
    let [first, second] = &model.asked()[..] else {
        panic!("two calls");
    };
    assert_eq!(first.delimiter, None);
    assert!(second.delimiter.is_some());
    assert_eq!(second.request.format, ResponseFormat::Text);
    assert_eq!(
        first.request.system, second.request.system,
        "the prefix stays"
    );
    assert_eq!(generated.bodies.len(), 2);
}

#[tokio::test]
async fn formats_are_as_configured() {
    for (format, want_delimiter) in [
        (AnswerFormat::JsonSchema, false),
        (AnswerFormat::Delimiter, true),
    ] {
        let model = FakeModel::new(|_| Act::Well);
        let settings = GeneratorSettings {
            format,
            ..GeneratorSettings::default()
        };
        batch_with(&model, &body_request(&["A"]), settings, &Kept::default())
            .await
            .unwrap();
        let asked = &model.asked()[0];
        assert_eq!(asked.delimiter.is_some(), want_delimiter);
        if let ResponseFormat::JsonSchema { schema, .. } = asked.request.format {
            serde_json::from_str::<serde_json::Value>(schema).unwrap();
        } else {
            assert_eq!(asked.request.format, ResponseFormat::Text);
        }
    }
}

#[tokio::test]
async fn an_answer_is_kept_before_another_call_is_awaited() {
    let model = FakeModel::with_limit(1500, |asked: &Asked| match asked.number {
        0 => Act::Well,
        _ => Act::Hang,
    });
    let generator = ModelGenerator::new(model.clone(), GeneratorSettings::default());
    let (request, kept) = (body_request(&["A", "B"]), Kept::default());
    let mut asking = generator
        .as_batch()
        .unwrap()
        .generate_batch(&request, &kept);
    assert!(poll_immediate(&mut asking).await.is_none());
    assert_eq!(kept.names(), ["A"]);
    drop(asking);
    assert_eq!(model.dropped(), 1, "dropping the request drops its calls");
}
