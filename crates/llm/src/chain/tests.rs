//! Which model is asked after which failure, on a paused clock.

use std::sync::atomic::Ordering;

use testsmith_domain::ProviderErrorKind as Kind;
use tokio::task::JoinSet;

use super::*;
use crate::testing::{
    Canned, Fake, Server, Shared, Step, failure, failure_after, request, settings, stack,
};
use crate::{
    BuildError, Circuit, Gate, Limited, LinkSettings, Permits, ProviderChoice, Rates, Retry,
    StackSettings, build,
};

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// Links over fakes, put together as the factory does it.
fn chain(fakes: &[&Arc<Fake>]) -> (Chain, Vec<Arc<crate::Gauge>>) {
    let settings = StackSettings::default();
    let permits = Arc::new(Permits::new(settings.max_concurrent_calls, false));
    let figures = Arc::default();
    let mut gauges: Vec<Arc<crate::Gauge>> = Vec::new();
    let mut links: Vec<Arc<dyn Provider>> = Vec::new();
    for fake in fakes {
        let gate = Arc::new(Gate::new("fake"));
        let shared = Shared((*fake).clone());
        let limited = Limited::new(shared, Arc::clone(&permits), seconds(120), gate)
            .counting_in(Arc::clone(&figures));
        gauges.push(limited.gauge().clone());
        links.push(Arc::new(Retry::new(limited, &settings)));
    }
    (Chain::new(links), gauges)
}

fn failing(kind: Kind, status: u16, count: usize) -> Arc<Fake> {
    Fake::new((0..count).map(|_| Step::Fail(failure(kind, status))))
}

fn sent(fake: &Arc<Fake>) -> usize {
    fake.times().len()
}

#[tokio::test(start_paused = true)]
async fn the_next_model_is_asked_only_where_the_first_cannot_answer() {
    for (kind, status, first, second) in [
        (Kind::Connect, 0, 3, 1),
        (Kind::Interrupted, 0, 3, 1),
        (Kind::Timeout, 408, 3, 1),
        (Kind::RateLimited, 429, 3, 1),
        (Kind::Server, 503, 3, 1),
        (Kind::EmptyReply, 200, 3, 1),
        (Kind::Billing, 402, 1, 1),
        (Kind::Auth, 401, 1, 1),
        (Kind::NotFound, 404, 1, 1),
        (Kind::TooLong, 413, 1, 0),
        (Kind::Rejected, 400, 1, 0),
        (Kind::ContentFilter, 400, 1, 0),
    ] {
        let (preferred, fallback) = (failing(kind, status, 9), Fake::new([]));
        let (chain, gauges) = chain(&[&preferred, &fallback]);
        let answer = chain.complete(&request()).await;
        assert_eq!(
            (sent(&preferred), sent(&fallback)),
            (first, second),
            "{kind:?}"
        );
        match answer {
            Ok(answer) => {
                let attempts = u32::try_from(first + second).unwrap();
                assert_eq!((answer.link, answer.attempts), (1, attempts), "{kind:?}");
            }
            Err(error) => assert_eq!((error.kind, second), (kind, 0)),
        }
        assert_eq!(gauges[0].read().attempts, (first + second) as u64);
    }
}

#[tokio::test(start_paused = true)]
async fn a_fallback_model_cannot_refuse_for_the_preferred_one() {
    let preferred = failing(Kind::Server, 503, 9);
    let small = failing(Kind::TooLong, 400, 9);
    let last = Fake::new([]);
    let (whole, _) = chain(&[&preferred, &small, &last]);
    assert_eq!(whole.complete(&request()).await.unwrap().link, 2);
    let (short, _) = chain(&[&preferred, &small]);
    let error = short.complete(&request()).await.unwrap_err();
    assert_eq!(
        (error.kind, error.attempts),
        (Kind::Server, 4),
        "it may pass"
    );
    assert_eq!(
        error.to_string(),
        "after 3 attempts: the server answered 503; fallback `fake`: the server answered 400"
    );
}

#[tokio::test(start_paused = true)]
async fn failures_of_all_may_pass_if_one_of_them_may() {
    let wrong_key = || failing(Kind::Auth, 401, 9);
    let (refused, _) = chain(&[&wrong_key(), &wrong_key()]);
    let error = refused.complete(&request()).await.unwrap_err();
    assert_eq!((error.kind, error.attempts), (Kind::Auth, 2));
    assert_eq!(error.retryability(), Retryability::Permanent);
    // Their circuits are open now.
    let error = refused.complete(&request()).await.unwrap_err();
    assert_eq!((error.kind, error.attempts), (Kind::Unavailable, 0));
    assert_eq!(error.retry_after, Some(seconds(600)));

    let down = failing(Kind::Server, 503, 9);
    let (mixed, _) = chain(&[&wrong_key(), &down]);
    let error = mixed.complete(&request()).await.unwrap_err();
    assert_eq!((error.kind, error.attempts), (Kind::Server, 4));
    assert_eq!(
        error.retry_after, None,
        "the second may be asked at any time"
    );
}

#[tokio::test(start_paused = true)]
async fn the_soonest_time_counts() {
    let long = Fake::new([Step::Fail(failure_after(429, seconds(500)))]);
    let short = Fake::new([Step::Fail(failure_after(429, seconds(200)))]);
    let (chain, _) = chain(&[&long, &short]);
    let error = chain.complete(&request()).await.unwrap_err();
    assert_eq!(error.retry_after, Some(seconds(200)));
    // The fallback's hold ends first: until then nothing is sent, then it answers alone.
    let error = chain.complete(&request()).await.unwrap_err();
    assert_eq!((error.attempts, error.retry_after), (0, Some(seconds(200))));
    tokio::time::advance(seconds(200)).await;
    assert_eq!(chain.complete(&request()).await.unwrap().link, 1);
    assert_eq!((sent(&long), sent(&short)), (1, 2));
    tokio::time::advance(seconds(300)).await;
    assert_eq!(chain.complete(&request()).await.unwrap().link, 0);
}

#[tokio::test(start_paused = true)]
async fn each_link_has_its_own_circuit_and_all_share_the_permits() {
    let preferred = failing(Kind::Server, 503, 1000);
    let fallback = Fake::with_latency([], seconds(1));
    let (chain, gauges) = chain(&[&preferred, &fallback]);
    let chain = Arc::new(chain);
    let mut calls = JoinSet::new();
    for _ in 0..100 {
        let chain = chain.clone();
        calls.spawn(async move { chain.complete(&request()).await });
    }
    while let Some(done) = calls.join_next().await {
        assert_eq!(done.unwrap().unwrap().link, 1);
    }
    assert!(matches!(gauges[0].breaker().circuit(), Circuit::Open(_)));
    assert_eq!(gauges[1].breaker().circuit(), Circuit::Closed);
    assert_eq!(sent(&fallback), 100);
    assert!(fallback.max_open.load(Ordering::SeqCst) <= 5);
    assert_eq!(gauges[0].read().max_open, 5, "over both");

    // While it is open, a call costs nothing there.
    let before = sent(&preferred);
    assert_eq!(chain.complete(&request()).await.unwrap().link, 1);
    assert_eq!(sent(&preferred), before);
    preferred.recover();
    tokio::time::advance(seconds(300)).await;
    assert_eq!(chain.complete(&request()).await.unwrap().link, 0);
    assert_eq!(sent(&preferred), before + 1);
    assert_eq!(gauges[0].breaker().circuit(), Circuit::Closed);
}

/// A whole day without the preferred model: it is looked at now and then, and nobody waits for it.
#[tokio::test(start_paused = true)]
async fn a_day_without_the_preferred_model_costs_it_few_requests() {
    let preferred = failing(Kind::Server, 503, 10_000);
    let fallback = Fake::new([]);
    let (chain, _) = chain(&[&preferred, &fallback]);
    for _ in 0..24 * 60 {
        chain.complete(&request()).await.unwrap();
        tokio::time::advance(seconds(60)).await;
    }
    assert_eq!(sent(&fallback), 24 * 60);
    let sent = sent(&preferred);
    // Five calls of three attempts, then a probe at 30 s, 1, 2, 4 and every 5 minutes.
    assert!((280..=310).contains(&sent), "{sent}");
}

fn link(provider: Option<ProviderChoice>, model: &str, url: Option<&str>) -> LinkSettings {
    LinkSettings {
        provider,
        model: model.to_owned(),
        base_url: url.map(|url| format!("{url}/v1")),
        api_key_env: None,
        api_key_file: None,
        headers: Vec::new(),
        max_output_tokens: None,
        rates: Rates::default(),
    }
}

#[tokio::test]
async fn the_factory_gives_each_link_its_own_server_and_key() {
    let sick = Canned::error(402, &serde_json::json!({"message": "m"}));
    let first = Server::start([sick]).await;
    let second = Server::start([Canned::chat("{}")]).await;
    let mut all = StackSettings {
        headers: vec![("x-team".to_owned(), "one".to_owned())],
        ..first.settings()
    };
    all.fallback = vec![
        link(None, "cheap", None),
        LinkSettings {
            api_key_env: Some("SECOND_API_KEY".to_owned()),
            ..link(Some(ProviderChoice::OpenAi), "other", Some(&second.url))
        },
    ];
    let stack = stack(&all).await;
    let models = stack.links.iter();
    let models: Vec<_> = models
        .map(|link| link.provider.identity().model.as_str())
        .collect();
    assert_eq!(models, ["m", "cheap", "other"]);
    let answer = stack.provider.unwrap().complete(&request()).await.unwrap();
    assert_eq!((answer.link, answer.attempts), (2, 3));
    let asked = first.received();
    let asked: Vec<_> = asked
        .iter()
        .map(|received| &received.body["model"])
        .collect();
    assert_eq!(asked, ["m", "cheap"]);
    assert!(
        first
            .received()
            .iter()
            .all(|received| received.headers["x-team"] == "one")
    );
    let received = &second.received()[0];
    assert!(received.headers.get("x-team").is_none());
}

#[tokio::test]
async fn neither_a_credential_nor_a_key_file_goes_to_another_provider() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("api_key"), "sk-first").unwrap();
    let path = dir.path().to_str().unwrap().to_owned();
    let env = |name: &str| (name == "CREDENTIALS_DIRECTORY").then(|| path.clone());
    let sick = Canned::error(401, &serde_json::json!({"message": "m"}));
    let first = Server::start([sick]).await;
    let second = Server::start([Canned::chat("{}")]).await;
    let other = link(Some(ProviderChoice::OpenAi), "other", Some(&second.url));
    let settings = StackSettings {
        fallback: vec![other],
        ..first.settings()
    };
    let stack = build(&settings, &env, None).await.unwrap();
    stack.provider.unwrap().complete(&request()).await.unwrap();
    assert_eq!(
        first.received()[0].headers["authorization"],
        "Bearer sk-first"
    );
    assert!(second.received()[0].headers.get("authorization").is_none());
}

#[tokio::test]
async fn a_link_without_its_key_is_told_with_its_name() {
    let settings = StackSettings {
        fallback: vec![link(Some(ProviderChoice::Anthropic), "claude", None)],
        ..settings("http://127.0.0.1:1")
    };
    let error = build(&settings, &|_| None, None).await.unwrap_err();
    assert!(matches!(error, BuildError::Fallback { at: 0, .. }));
    let text = crate::testing::chain(&error);
    assert!(
        text.starts_with("the fallback model `claude` (`llm.fallback[0]`) cannot be set up: no key for provider `anthropic`"),
        "{text}"
    );
}
