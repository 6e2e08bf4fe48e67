//! One file's way from plan to bodies.

use std::collections::{BTreeMap, BTreeSet};
use std::future::{pending, ready};
use std::sync::Arc;
use std::time::Duration;

use pretty_assertions::assert_eq;
use testsmith_domain::{
    Block, BlockKey, BlockState, CacheStats, CacheStatsReporter, ContentHash, GenerateError,
    LedgerBlock, LedgerEntry, MemberName, ModelIdentity, ProviderErrorKind, RelPath, SyntaxProblem,
    WrittenBlock,
};
use testsmith_generate::{
    Decision, FileRequest, FileResult, GeneratorSettings, ModelGenerator, Pipeline,
    ScaffoldGenerator, Step,
};
use tokio::time::sleep;

use crate::driver::{FakeDriver, file_request};
use crate::fakes::{Act, FakeModel, MemoryCache, code, identity, json};

fn request(names: &[&str]) -> FileRequest {
    file_request(names, FakeDriver::default())
}

fn pipeline(model: &Arc<FakeModel>, cache: &Arc<MemoryCache>) -> Pipeline {
    pipeline_with(model, Some(cache), true)
}

fn pipeline_with(
    model: &Arc<FakeModel>,
    cache: Option<&Arc<MemoryCache>>,
    batch: bool,
) -> Pipeline {
    let generator = ModelGenerator::new(model.clone(), GeneratorSettings::default());
    let cache = cache.map(|cache| cache.clone() as _);
    Pipeline::new(Arc::new(generator), cache, identity(), batch)
}

fn scaffolds() -> Pipeline {
    let identity = ModelIdentity {
        provider: "offline".to_owned(),
        model: "scaffold".to_owned(),
        temperature: 0.0,
    };
    let cache: Arc<MemoryCache> = Arc::default();
    Pipeline::new(Arc::new(ScaffoldGenerator), Some(cache), identity, true)
}

fn decisions(result: &FileResult) -> Vec<(&str, &Decision)> {
    let all = result.decisions.iter();
    all.map(|(member, _, decision)| (member.as_str(), decision))
        .collect()
}

fn block(member: &str, key: &BlockKey, state: BlockState) -> Block {
    Block {
        member: MemberName::from(member),
        key: key.clone(),
        state,
        verified: true,
        body: code(member),
    }
}

fn keys(pipeline: &Pipeline, request: &FileRequest) -> Vec<BlockKey> {
    let members = pipeline.plan(request).members.into_iter();
    members.map(|member| member.block_key).collect()
}

/// The user's blocks, the fresh and the obsolete, and what the ledger knows.
fn mixed(pipeline: &Pipeline) -> FileRequest {
    let mut request = request(&["Fresh", "Edited", "Old", "Deleted", "Gone", "New"]);
    let keys = keys(pipeline, &request);
    let old = BlockKey("00000000".to_owned());
    request.blocks = vec![
        block("Fresh", &keys[0], BlockState::Pristine),
        block("Edited", &keys[1], BlockState::Edited),
        block("Old", &old, BlockState::Pristine),
        block("Removed", &old, BlockState::Pristine),
        block("RemovedButEdited", &old, BlockState::Edited),
    ];
    let written = |key: &BlockKey| WrittenBlock {
        key: key.clone(),
        sum: ContentHash::of(b""),
        body: String::new(),
    };
    let deleted = LedgerBlock {
        deleted: BTreeSet::from([keys[3].clone()]),
        ..LedgerBlock::default()
    };
    let gone = LedgerBlock {
        written: Some(written(&keys[4])),
        ..LedgerBlock::default()
    };
    request.ledger = Some(LedgerEntry {
        proposals: std::collections::BTreeMap::default(),
        test_path: request.file.test_path.clone(),
        blocks: BTreeMap::from([
            (MemberName::from("Deleted"), deleted),
            (MemberName::from("Gone"), gone),
        ]),
    });
    request
}

#[tokio::test]
async fn only_what_is_wanted_is_asked_for() {
    let model = FakeModel::new(|_| Act::Well);
    let cache = Arc::default();
    let pipeline = pipeline(&model, &cache);
    let request = mixed(&pipeline);
    let result = pipeline.run(&request, pending()).await;
    assert_eq!(model.calls(), [["Old", "New"]]);
    assert_eq!(
        decisions(&result),
        [
            ("Fresh", &Decision::Fresh),
            ("Edited", &Decision::Edited),
            ("Old", &Decision::Asked),
            ("Deleted", &Decision::Deleted),
            ("Gone", &Decision::Deleted),
            ("New", &Decision::Asked),
        ]
    );
    let keys = keys(&pipeline, &request);
    assert_eq!(result.newly_deleted, [("Gone".into(), keys[4].clone())]);
    assert_eq!(result.obsolete, ["Removed".into()]);
    assert_eq!(result.bodies.len(), 2);
    assert_eq!(result.bodies[0].0.code, code("Old"));
    assert_eq!(result.bodies[0].1, keys[2]);
    assert_eq!((result.hits, result.misses, result.effort.calls), (0, 2, 1));
    let stats = pipeline.cache_stats();
    let want = CacheStats {
        hits: 0,
        misses: 2,
        entries: 2,
    };
    assert_eq!(stats, Some(want));
    assert_eq!(cache.open_flights(), 0);
}

#[test]
fn a_block_written_elsewhere_was_not_deleted_here() {
    let pipeline = scaffolds();
    let mut request = mixed(&pipeline);
    request.ledger.as_mut().unwrap().test_path = RelPath::new("elsewhere_test.go").unwrap();
    let plan = pipeline.plan(&request);
    assert_eq!(plan.members[3].step, Step::Deleted { newly: false });
    assert_eq!(plan.members[4].step, Step::Wanted);
}

#[test]
fn members_that_a_syntax_error_hides_are_not_obsolete() {
    let pipeline = scaffolds();
    let mut request = mixed(&pipeline);
    let file = Arc::make_mut(&mut request.file);
    file.problems = vec![SyntaxProblem { line: 1, column: 1 }];
    assert_eq!(pipeline.plan(&request).obsolete, []);
}

#[tokio::test]
async fn nothing_is_looked_up_or_asked_when_nothing_is_wanted() {
    let model = FakeModel::new(|_| Act::Well);
    let cache = Arc::default();
    let pipeline = pipeline(&model, &cache);
    let mut request = request(&["A"]);
    let key = keys(&pipeline, &request).remove(0);
    request.blocks = vec![block("A", &key, BlockState::Pristine)];
    let result = pipeline.run(&request, pending()).await;
    assert_eq!(decisions(&result), [("A", &Decision::Fresh)]);
    assert_eq!(cache.cache_stats(), Some(CacheStats::default()));
    assert!(model.calls().is_empty());
}

#[tokio::test]
async fn after_a_restart_the_cache_answers() {
    let cache = Arc::default();
    let model = FakeModel::new(|_| Act::Well);
    pipeline(&model, &cache)
        .run(&request(&["A", "B"]), pending())
        .await;
    let model = FakeModel::new(|_| Act::Well);
    let again = pipeline(&model, &cache);
    let result = again.run(&request(&["A", "C"]), pending()).await;
    assert_eq!(
        decisions(&result),
        [("A", &Decision::Cached), ("C", &Decision::Asked)]
    );
    assert_eq!(result.bodies[0].0.model, "fake-1-2026");
    assert_eq!(model.calls(), [["C"]]);
    assert_eq!((result.hits, result.misses), (1, 1));
}

#[tokio::test]
async fn without_a_cache_everything_is_asked_for() {
    let model = FakeModel::new(|_| Act::Well);
    let pipeline = pipeline_with(&model, None, true);
    for _ in 0..2 {
        let result = pipeline.run(&request(&["A"]), pending()).await;
        assert_eq!(decisions(&result), [("A", &Decision::Asked)]);
    }
    assert_eq!(model.calls().len(), 2);
    assert_eq!(pipeline.cache_stats(), None);
}

#[tokio::test]
async fn truncated_answers_are_never_stored() {
    let model = FakeModel::new(|asked| match asked.number {
        0 => {
            let whole = json(&["A", "B"]);
            Act::SayCut(whole[..whole.len() - 10].to_owned())
        }
        _ => Act::Fail(ProviderErrorKind::Server),
    });
    let cache = Arc::default();
    let result = pipeline(&model, &cache)
        .run(&request(&["A", "B"]), pending())
        .await;
    assert_eq!(
        decisions(&result),
        [("A", &Decision::Asked), ("B", &Decision::Failed)]
    );
    assert!(matches!(result.error, Some(GenerateError::Provider(_))));
    assert_eq!(result.effort.calls, 2);
    assert_eq!(
        result.bodies.len(),
        1,
        "what was answered is good all the same"
    );
    assert_eq!(cache.bodies(), [code("A")]);
}

#[tokio::test]
async fn a_member_without_a_usable_body_is_missing() {
    let model = FakeModel::new(|_| Act::Say(json(&["A"])));
    let result = pipeline(&model, &Arc::default())
        .run(&request(&["A", "B"]), pending())
        .await;
    let reason = "the answer left it out".to_owned();
    assert_eq!(decisions(&result)[1].1, &Decision::Missing { reason });
    assert!(result.error.is_none());
}

#[tokio::test]
async fn fan_out_is_one_call_for_each_member_at_the_same_time() {
    for (batch, no_batch) in [(false, false), (true, true)] {
        let model = FakeModel::new(|asked| match asked.members[0].as_str() {
            "B" => Act::Fail(ProviderErrorKind::Server),
            _ => Act::Well,
        });
        let cache = Arc::default();
        let driver = FakeDriver {
            no_batch,
            ..FakeDriver::default()
        };
        let request = file_request(&["A", "B", "C"], driver);
        let pipeline = pipeline_with(&model, Some(&cache), batch);
        let result = pipeline.run(&request, pending()).await;
        assert_eq!(model.calls(), [["A"], ["B"], ["C"]]);
        let kinds: Vec<_> = decisions(&result).into_iter().map(|(_, d)| d).collect();
        assert_eq!(
            kinds,
            [&Decision::Asked, &Decision::Failed, &Decision::Asked]
        );
        assert_eq!(result.effort.calls, 3);
        assert_eq!(cache.bodies(), [code("A"), code("C")]);
    }
}

#[tokio::test(start_paused = true)]
async fn equal_questions_are_asked_once() {
    let slow = |_: &_| Act::After(Duration::from_secs(1), Box::new(Act::Well));
    let model = FakeModel::new(slow);
    let cache = Arc::default();
    let pipeline = pipeline(&model, &cache);
    let file = request(&["A", "B"]);
    let (one, two) = tokio::join!(
        pipeline.run(&file, pending()),
        pipeline.run(&file, pending())
    );
    assert_eq!(model.calls(), [["A", "B"]]);
    assert_eq!(decisions(&one)[0].1, &Decision::Asked);
    assert_eq!(decisions(&two)[0].1, &Decision::Cached);
    assert_eq!((one.hits, one.misses), (0, 2));
    assert_eq!((two.hits, two.misses), (2, 0), "a lookup counts once");
}

#[tokio::test(start_paused = true)]
async fn runs_that_wait_for_each_other_do_not_wait_for_ever() {
    let slow = |_: &_| Act::After(Duration::from_secs(1), Box::new(Act::Well));
    let model = FakeModel::new(slow);
    let cache = Arc::new(MemoryCache::slow(Duration::from_millis(5)));
    let pipeline = pipeline(&model, &cache);
    let files = [
        request(&["A"]),
        request(&["A", "B"]),
        request(&["B", "C", "A"]),
    ];
    let (one, two, three) = tokio::join!(
        pipeline.run(&files[0], pending()),
        pipeline.run(&files[1], pending()),
        pipeline.run(&files[2], pending()),
    );
    let mut calls = model.calls();
    calls.sort();
    assert_eq!(calls, [["A"], ["B"], ["C"]]);
    let bodies = [one, two, three].map(|result| result.bodies.len());
    assert_eq!(bodies, [1, 2, 3]);
    assert_eq!(cache.open_flights(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_follower_asks_itself_when_its_leader_fails() {
    let model = FakeModel::new(|asked| {
        let act = match asked.number {
            0 => Act::Fail(ProviderErrorKind::Server),
            _ => Act::Well,
        };
        Act::After(Duration::from_secs(1), Box::new(act))
    });
    let pipeline = pipeline(&model, &Arc::default());
    let file = request(&["A"]);
    let (one, two) = tokio::join!(
        pipeline.run(&file, pending()),
        pipeline.run(&file, pending())
    );
    assert_eq!(decisions(&one), [("A", &Decision::Failed)]);
    assert_eq!(decisions(&two), [("A", &Decision::Asked)]);
    assert_eq!(model.calls().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_superseded_run_drops_its_call() {
    let model = FakeModel::new(|_| Act::Hang);
    let cache = Arc::default();
    let pipeline = pipeline(&model, &cache);
    let result = pipeline
        .run(&request(&["A"]), sleep(Duration::from_secs(3)))
        .await;
    assert!(result.cancelled);
    assert_eq!(decisions(&result), [("A", &Decision::Unanswered)]);
    assert_eq!(model.dropped(), 1);
    assert_eq!(cache.open_flights(), 0);
}

#[tokio::test]
async fn a_run_superseded_before_it_begins_asks_nothing() {
    let model = FakeModel::new(|_| Act::Well);
    let result = pipeline(&model, &Arc::default())
        .run(&request(&["A"]), ready(()))
        .await;
    assert!(result.cancelled);
    assert!(model.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_was_answered_before_a_run_is_superseded_is_stored() {
    let model = FakeModel::with_limit(1500, |asked| match asked.number {
        0 => Act::Well,
        _ => Act::Hang,
    });
    let cache = Arc::default();
    let pipeline = pipeline(&model, &cache);
    let result = pipeline
        .run(&request(&["A", "B"]), sleep(Duration::from_secs(3)))
        .await;
    assert!(result.cancelled);
    assert_eq!(
        decisions(&result),
        [("A", &Decision::Asked), ("B", &Decision::Unanswered)]
    );
    assert_eq!(cache.bodies(), [code("A")]);
    assert_eq!(result.effort.calls, 1);
}

#[tokio::test(start_paused = true)]
async fn a_write_under_way_when_a_run_is_superseded_is_not_undone() {
    let model = FakeModel::new(|_| Act::After(Duration::from_secs(1), Box::new(Act::Well)));
    let cache = Arc::new(MemoryCache::slow(Duration::from_secs(10)));
    let pipeline = pipeline(&model, &cache);
    // Lookup until 10 s, call until 11 s, write until 21 s.
    let result = pipeline
        .run(&request(&["A"]), sleep(Duration::from_secs(12)))
        .await;
    assert!(result.cancelled);
    assert_eq!(
        decisions(&result),
        [("A", &Decision::Unanswered)],
        "not durable yet"
    );
    assert_eq!(cache.bodies(), [code("A")]);
}

#[tokio::test(start_paused = true)]
async fn a_superseded_run_goes_on_while_others_wait_for_its_answer() {
    let slow = |_: &_| Act::After(Duration::from_secs(10), Box::new(Act::Well));
    let model = FakeModel::new(slow);
    let pipeline = pipeline(&model, &Arc::default());
    let file = request(&["A"]);
    let (one, two) = tokio::join!(
        pipeline.run(&file, sleep(Duration::from_secs(3))),
        pipeline.run(&file, pending()),
    );
    assert!(!one.cancelled);
    assert_eq!(decisions(&one), [("A", &Decision::Asked)]);
    assert_eq!(decisions(&two), [("A", &Decision::Cached)]);
    assert_eq!(model.calls().len(), 1);
}

#[tokio::test]
async fn scaffolds_are_drawn_without_cache_or_model() {
    let pipeline = scaffolds();
    let mut request = request(&["A", "B"]);
    let result = pipeline.run(&request, pending()).await;
    assert_eq!(decisions(&result)[0].1, &Decision::Scaffolded);
    assert_eq!(
        result.bodies[1].0.code,
        "func TestB(t *testing.T) { t.Skip() }"
    );
    assert_eq!((result.hits, result.misses, result.effort.calls), (0, 0, 0));
    assert_eq!(pipeline.cache_stats(), None);

    // Fresh by its own key; another's block is worth more than a scaffold.
    let key = keys(&pipeline, &request).remove(0);
    let other = BlockKey("00000000".to_owned());
    request.blocks = vec![
        block("A", &key, BlockState::Pristine),
        block("B", &other, BlockState::Pristine),
    ];
    let result = pipeline.run(&request, pending()).await;
    assert_eq!(
        decisions(&result),
        [("A", &Decision::Fresh), ("B", &Decision::Kept)]
    );

    // With a model, the scaffold is replaced.
    let model = FakeModel::new(|_| Act::Well);
    let real = pipeline_with(&model, None, true)
        .run(&request, pending())
        .await;
    assert_eq!(decisions(&real)[0].1, &Decision::Asked);
}

#[tokio::test]
async fn a_preview_asks_nobody() {
    let model = FakeModel::new(|_| Act::Well);
    let cache = Arc::default();
    let pipeline = pipeline(&model, &cache);
    pipeline.run(&request(&["A"]), pending()).await;
    let preview = pipeline.preview(&request(&["A", "B"])).await;
    assert_eq!(
        decisions(&preview),
        [("A", &Decision::Cached), ("B", &Decision::Unanswered)]
    );
    assert_eq!(preview.bodies.len(), 1);
    assert_eq!(model.calls().len(), 1);
    let preview = scaffolds().preview(&request(&["A"])).await;
    assert_eq!(decisions(&preview), [("A", &Decision::Scaffolded)]);
}

/// Workers are tasks on a runtime of several threads.
#[test]
fn a_run_can_move_between_threads() {
    fn is_send<T: Send>(_: &T) {}
    let pipeline = scaffolds();
    let request = request(&["A"]);
    is_send(&pipeline.run(&request, pending()));
    is_send(&pipeline.preview(&request));
}
