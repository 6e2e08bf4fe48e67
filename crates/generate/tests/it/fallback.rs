//! Answers of several models: whose counts, and who is asked again.

use std::collections::{BTreeMap, BTreeSet};
use std::future::pending;
use std::sync::Arc;

use pretty_assertions::assert_eq;
use testsmith_domain::{
    Block, BlockKey, BlockState, ContentHash, FailedBody, LedgerBlock, LedgerEntry, MemberName,
    ModelIdentity, ProviderErrorKind, Quarantined, TestBody, Verdict, WrittenBlock,
};
use testsmith_generate::{
    Decision, FileRequest, FileResult, GeneratorSettings, ModelGenerator, Pipeline,
};

use crate::driver::{FakeDriver, file_request};
use crate::fakes::{Act, FakeModel, MemoryCache, code, identity};

fn second() -> ModelIdentity {
    ModelIdentity {
        model: "fake-2".to_owned(),
        ..identity()
    }
}

fn generator(model: &Arc<FakeModel>) -> Arc<ModelGenerator> {
    let settings = GeneratorSettings::default();
    Arc::new(ModelGenerator::new(model.clone(), settings))
}

/// A pipeline whose models are these, all behind one provider.
fn chain(model: &Arc<FakeModel>, cache: &Arc<MemoryCache>, models: [ModelIdentity; 2]) -> Pipeline {
    let [first, second] = models;
    Pipeline::new(generator(model), Some(cache.clone()), first, true).with_fallback([second])
}

fn decided(result: &FileResult) -> Vec<(&str, &Decision, &BlockKey)> {
    let all = result.decisions.iter();
    all.map(|(member, key, decision)| (member.as_str(), decision, key))
        .collect()
}

/// What the file is once the result is written.
fn written(request: &FileRequest, result: &FileResult) -> FileRequest {
    let blocks = result.bodies.iter().map(|(body, key)| Block {
        member: body.member.clone(),
        key: key.clone(),
        state: BlockState::Pristine,
        verified: true,
        body: body.code.clone(),
    });
    FileRequest {
        blocks: blocks.collect(),
        ..request.clone()
    }
}

fn keys(pipeline: &Pipeline, request: &FileRequest) -> [BlockKey; 2] {
    let answers = pipeline.plan(request).members.remove(0).answers;
    [answers[0].1.clone(), answers[1].1.clone()]
}

#[tokio::test]
async fn what_a_fallback_model_answered_is_up_to_date_and_its_own() {
    let model = FakeModel::new(|_| Act::Well);
    let cache = Arc::default();
    let pipeline = chain(&model, &cache, [identity(), second()]);
    let request = file_request(&["Add"], FakeDriver::default());
    let [own, other] = keys(&pipeline, &request);
    model.answers_as(1);
    let result = pipeline.run(&request, pending()).await;
    assert_eq!(decided(&result), [("Add", &Decision::Asked, &other)]);
    assert_eq!(pipeline.model_of(&request, &"Add".into(), &other), "fake-2");

    // The block is fresh, and without it the answer is in the cache, whoever could answer now.
    model.answers_as(0);
    let fresh = pipeline.run(&written(&request, &result), pending()).await;
    assert_eq!(decided(&fresh), [("Add", &Decision::Fresh, &other)]);
    let again = pipeline.run(&request, pending()).await;
    assert_eq!(decided(&again), [("Add", &Decision::Cached, &other)]);
    assert_eq!((again.hits, again.misses), (1, 0), "a lookup counts once");
    assert_eq!(model.calls().len(), 1);

    // It is under the fallback model's key and no other: that model alone finds it.
    let alone = |model_of: ModelIdentity| {
        Pipeline::new(generator(&model), Some(cache.clone() as _), model_of, true)
    };
    let preview = alone(second()).preview(&request).await;
    assert_eq!(decided(&preview), [("Add", &Decision::Cached, &other)]);
    let preview = alone(identity()).preview(&request).await;
    assert_eq!(decided(&preview), [("Add", &Decision::Unanswered, &own)]);
}

#[tokio::test]
async fn the_preferred_model_is_asked_again_on_request_only() {
    let model = FakeModel::new(|_| Act::Well);
    let cache = Arc::default();
    let pipeline = chain(&model, &cache, [identity(), second()]);
    let request = file_request(&["Add", "Twice"], FakeDriver::default());
    model.answers_as(1);
    let result = pipeline.run(&request, pending()).await;
    let request = written(&request, &result);
    let [own, other] = keys(&pipeline, &request);

    // While it cannot answer, all stays as it is.
    let sick = FakeModel::new(|_| Act::Fail(ProviderErrorKind::Server));
    let asking = chain(&model, &cache, [identity(), second()]).only_preferred(generator(&sick));
    let failed = asking.run(&request, pending()).await;
    assert_eq!(decided(&failed)[0], ("Add", &Decision::Failed, &other));
    assert!(failed.error.is_some() && failed.bodies.is_empty());

    let well = FakeModel::new(|_| Act::Well);
    let asking = chain(&model, &cache, [identity(), second()]).only_preferred(generator(&well));
    let asked = asking.run(&request, pending()).await;
    assert_eq!(decided(&asked)[0], ("Add", &Decision::Asked, &own));
    assert_eq!(well.calls(), [["Add", "Twice"]], "one batch");
    let request = written(&request, &asked);
    for pipeline in [&asking, &pipeline] {
        let fresh = pipeline.run(&request, pending()).await;
        assert_eq!(decided(&fresh)[0], ("Add", &Decision::Fresh, &own));
    }
    assert_eq!((well.calls().len(), model.calls().len()), (1, 1));
    // Both answers are there: the preferred one goes first.
    let unwritten = FileRequest {
        blocks: Vec::new(),
        ..request
    };
    let cached = pipeline.run(&unwritten, pending()).await;
    assert_eq!(decided(&cached)[0], ("Add", &Decision::Cached, &own));
}

#[tokio::test]
async fn what_the_user_or_a_run_said_of_a_fallback_answer_holds() {
    let model = FakeModel::new(|_| Act::Well);
    let cache = Arc::default();
    let pipeline = chain(&model, &cache, [identity(), second()]);
    let names = ["Edited", "Deleted", "Gone", "Held"];
    let mut request = file_request(&names, FakeDriver::default());
    let other = |at: usize| pipeline.plan(&request).members[at].answers[1].1.clone();
    let keys: Vec<BlockKey> = (0..4).map(other).collect();
    request.blocks = vec![Block {
        member: "Edited".into(),
        key: keys[0].clone(),
        state: BlockState::Edited,
        verified: true,
        body: code("Edited"),
    }];
    let quarantine = Quarantined {
        key: keys[3].clone(),
        body: String::new(),
        verdict: Verdict::Fails,
        output: String::new(),
        since: 0,
    };
    let block = LedgerBlock::default;
    request.ledger = Some(LedgerEntry {
        test_path: request.file.test_path.clone(),
        proposals: BTreeMap::new(),
        blocks: BTreeMap::from([
            (
                MemberName::from("Deleted"),
                LedgerBlock {
                    deleted: BTreeSet::from([keys[1].clone()]),
                    ..block()
                },
            ),
            (
                MemberName::from("Gone"),
                LedgerBlock {
                    written: Some(WrittenBlock {
                        key: keys[2].clone(),
                        sum: ContentHash::of(b""),
                        body: String::new(),
                    }),
                    ..block()
                },
            ),
            (
                MemberName::from("Held"),
                LedgerBlock {
                    quarantine: Some(quarantine),
                    ..block()
                },
            ),
        ]),
    });
    let result = pipeline.run(&request, pending()).await;
    let expected = [
        ("Edited", &Decision::Edited, &keys[0]),
        ("Deleted", &Decision::Deleted, &keys[1]),
        ("Gone", &Decision::Deleted, &keys[2]),
        ("Held", &Decision::Quarantined, &keys[3]),
    ];
    assert_eq!(decided(&result), expected);
    assert_eq!(model.calls().len(), 0);
    // On request the preferred model may do better, but what is the user's stays the user's.
    let asking = chain(&model, &cache, [identity(), second()]).only_preferred(generator(&model));
    let asked = asking.run(&request, pending()).await;
    assert_eq!(decided(&asked)[..3], expected[..3]);
    assert_eq!(model.calls(), [["Held"]]);
}

#[tokio::test]
async fn unusable_answers_are_put_down_to_who_gave_them() {
    let model = FakeModel::new(|_| Act::Say("no tests today".to_owned()));
    let cache = Arc::default();
    let pipeline = chain(&model, &cache, [identity(), second()]);
    let request = file_request(&["Add"], FakeDriver::default());
    let [_, other] = keys(&pipeline, &request);
    model.answers_as(1);
    let result = pipeline.run(&request, pending()).await;
    let (_, decision, key) = decided(&result)[0];
    assert!(matches!(decision, Decision::Missing { .. }));
    assert_eq!(key, &other);
}

#[tokio::test]
async fn a_better_body_is_kept_under_the_model_that_wrote_it() {
    let model = FakeModel::new(|_| Act::Well);
    let cache = Arc::default();
    let pipeline = chain(&model, &cache, [identity(), second()]);
    let request = file_request(&["Add"], FakeDriver::default());
    let [own, other] = keys(&pipeline, &request);
    let failed = [FailedBody {
        member: "Add".into(),
        code: "func TestAdd(t *testing.T) { wrong() }".to_owned(),
        verdict: Verdict::Fails,
        output: "wrong".to_owned(),
    }];
    model.answers_as(1);
    let repaired = pipeline.repair(&request, &failed, pending()).await;
    assert_eq!(repaired.bodies[0].1, other);
    let again = pipeline.repair(&request, &failed, pending()).await;
    assert_eq!(
        (again.hits, model.calls().len()),
        (1, 1),
        "asked once, ever"
    );

    let body = |text: &str| TestBody {
        member: "Add".into(),
        code: text.to_owned(),
        model: "m".to_owned(),
    };
    let (first, second) = (
        "func TestFirst(t *testing.T) {\n\tcheck(\"Add\")\n}",
        "func TestSecond(t *testing.T) {\n\tcheck(\"Add\")\n}",
    );
    pipeline.keep(&request, &[(body(first), own.clone())]).await;
    pipeline.keep(&request, &[(body(second), other)]).await;
    let found = pipeline.run(&request, pending()).await;
    assert_eq!(
        (&*found.bodies[0].0.code, &found.bodies[0].1),
        (first, &own)
    );
}

/// It may have been imported.
#[tokio::test]
async fn a_cached_answer_that_holds_no_test_is_asked_for() {
    let model = FakeModel::new(|_| Act::Well);
    let cache = Arc::default();
    let pipeline = chain(&model, &cache, [identity(), second()]);
    let request = file_request(&["Add"], FakeDriver::default());
    let [own, _] = keys(&pipeline, &request);
    let body = TestBody {
        member: "Add".into(),
        code: "no test".to_owned(),
        model: "m".to_owned(),
    };
    pipeline.keep(&request, &[(body, own)]).await;
    let found = pipeline.run(&request, pending()).await;
    assert_eq!((found.hits, model.calls().len()), (0, 1));
    assert!(found.bodies[0].0.code.starts_with("func Test"));
}
