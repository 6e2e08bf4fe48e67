//! What goes wrong over real sockets on loopback, and how it is told.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::json;
use testsmith_domain::ProviderErrorKind as Kind;

use super::*;
use crate::testing::{CANARY, Canned, Server, ask, chain, raw_server, request, settings, stack};
use crate::{LinkSettings, Rates, RetrySettings, Timeouts};

const ANSWER: &str = r#"{"tests":[]}"#;

/// The whole reply that a raw server sends.
fn http(head: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{head}\r\n{body}").into_bytes()
}

#[tokio::test]
async fn never_retried() {
    let filter = json!({"message": "m", "code": "content_filter"});
    let refusal = json!({"message": {"content": null, "refusal": "no"}, "finish_reason": "stop"});
    let filtered = json!({"message": {"content": null}, "finish_reason": "content_filter"});
    let quota = |code: &str| Canned::error(429, &json!({"message": "m", "code": code}));
    let spend = json!({"type": "error", "error": {"type": "rate_limit_error", "message": "m",
        "details": {"error_code": "enforced_spend_limit_reached"}}});
    let plain = |status| Canned::error(status, &json!({"message": "m"}));
    let table = [
        (plain(400), Kind::Rejected),
        (plain(401), Kind::Auth),
        (plain(402), Kind::Billing),
        (plain(403), Kind::Auth),
        (plain(404), Kind::NotFound),
        (plain(413), Kind::TooLong),
        (plain(422), Kind::Rejected),
        (
            plain(307).header("location", "https://example.com"),
            Kind::Rejected,
        ),
        (quota("insufficient_quota"), Kind::Billing),
        (quota("credit_balance_exhausted"), Kind::Billing),
        (quota("organization_spend_limit_exceeded"), Kind::Billing),
        (quota("project_spend_limit_exceeded"), Kind::Billing),
        (quota("organization_usage_limit_exceeded"), Kind::Billing),
        (Canned::json(429, &spend), Kind::Billing),
        (Canned::error(400, &filter), Kind::ContentFilter),
        (Canned::choice(&refusal), Kind::ContentFilter),
        (Canned::choice(&filtered), Kind::ContentFilter),
        (
            Canned::error(
                400,
                &json!({"message": "m", "code": "context_length_exceeded"}),
            ),
            Kind::TooLong,
        ),
        (
            Canned::error(400, &json!({"message": "No connected db."})),
            Kind::Auth,
        ),
        (plain(500).header("x-should-retry", "false"), Kind::Rejected),
    ];
    for (canned, kind) in table {
        let shown = format!("{canned:?}");
        let server = Server::start([canned]).await;
        let error = ask(&server.settings(), &request()).await.unwrap_err();
        assert_eq!(error.kind, kind, "{shown}");
        assert_eq!((error.attempts, server.received().len()), (1, 1), "{shown}");
        assert!(!error.to_string().contains("attempts"), "{error}");
    }
}

#[tokio::test]
async fn retried() {
    let plain = |status| Canned::error(status, &json!({"message": "m"}));
    let blank = |content: &str| Canned::chat(content);
    let litellm = json!({"message": "m", "type": "internal_server_error"});
    let table = [
        (plain(408), Kind::Timeout),
        (plain(409), Kind::RateLimited),
        (plain(425), Kind::RateLimited),
        (plain(429), Kind::RateLimited),
        (Canned::error(429, &litellm), Kind::RateLimited),
        (plain(500), Kind::Server),
        (Canned::new(502, "<html><h1>Bad gateway</h1>"), Kind::Server),
        (plain(503), Kind::Server),
        (plain(504), Kind::Server),
        (plain(529), Kind::Server),
        (blank(""), Kind::EmptyReply),
        (blank(" \n\t "), Kind::EmptyReply),
        (Canned::new(200, ""), Kind::EmptyReply),
        (Canned::new(200, "<html>"), Kind::EmptyReply),
        (Canned::json(200, &json!({"choices": []})), Kind::EmptyReply),
        (
            Canned::error(200, &json!({"message": "m", "code": 502})),
            Kind::Server,
        ),
        (
            Canned::choice(&json!({"error": {"message": "m", "code": 503}})),
            Kind::Server,
        ),
    ];
    for (canned, kind) in table {
        let shown = format!("{canned:?}");
        let server = Server::start([canned.clone(), canned.clone(), Canned::chat(ANSWER)]).await;
        let answer = ask(&server.settings(), &request()).await.expect(&shown);
        assert_eq!(
            (answer.attempts, server.received().len()),
            (3, 3),
            "{shown}"
        );

        let server = Server::start([canned]).await;
        let error = ask(&server.settings(), &request()).await.unwrap_err();
        assert_eq!((error.kind, error.attempts), (kind, 3), "{shown}");
        assert_eq!(server.received().len(), 3, "{shown}");
        assert!(
            error.to_string().starts_with("after 3 attempts: "),
            "{error}"
        );
    }
}

#[tokio::test]
async fn text_of_errors() {
    let body = json!({"message": "no such model", "code": "model_not_found"});
    let server = Server::start([Canned::error(404, &body).header("x-request-id", "r1")]).await;
    let error = ask(&server.settings(), &request()).await.unwrap_err();
    assert_eq!(
        chain(&error),
        "the server answered 404 Not Found: no such model (request r1); check `llm.model` and \
         `llm.base_url`"
    );
    let html = format!("<html>\u{1b}[31m{}", "x".repeat(10_000));
    let server = Server::start([Canned::new(502, html)]).await;
    let error = ask(&server.settings(), &request())
        .await
        .unwrap_err()
        .to_string();
    let start = "after 3 attempts: the server answered 502 Bad Gateway: <html>\\u{1b}[31mxxx";
    assert!(error.starts_with(start) && error.ends_with("x…"), "{error}");
    assert!(error.len() < 600, "{}", error.len());
}

#[tokio::test]
async fn connection_faults_are_retried_and_told_with_their_chain() {
    let complete = r#"{"choices":[{"message":{"content":"{}"},"finish_reason":"stop"}]}"#;
    let cut = http("content-length: 500\r\n", complete);
    let chunked = http("transfer-encoding: chunked\r\n", "5\r\n{\"cho");
    let closed = Vec::new();
    for (reply, expected) in [
        (
            cut,
            "after 3 attempts: the connection to `127.0.0.1` broke: ",
        ),
        (
            chunked,
            "after 3 attempts: the connection to `127.0.0.1` broke: ",
        ),
        (
            closed,
            "after 3 attempts: the connection to `127.0.0.1` broke: ",
        ),
    ] {
        let (url, count, _task) = raw_server(reply).await;
        let error = ask(&settings(&url), &request()).await.unwrap_err();
        assert_eq!(error.kind, Kind::Interrupted);
        let chain = chain(&error);
        assert!(
            chain.starts_with(expected) && chain.len() > expected.len() + 10,
            "{chain}"
        );
        assert_eq!(
            count.load(Ordering::SeqCst),
            3,
            "one loop, three connections"
        );
    }

    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", nobody.local_addr().unwrap());
    drop(nobody);
    let error = ask(&settings(&url), &request()).await.unwrap_err();
    assert_eq!(error.kind, Kind::Connect);
    let chain = chain(&error);
    assert!(
        chain.starts_with("after 3 attempts: could not connect to `127.0.0.1`: "),
        "{chain}"
    );
    assert!(chain.contains("refused"), "{chain}");
}

#[tokio::test]
async fn content_length_that_is_none_is_a_broken_reply() {
    let reply = http("content-length: many\r\n", "{}");
    let (url, count, _task) = raw_server(reply).await;
    let error = ask(&settings(&url), &request()).await.unwrap_err();
    assert_eq!(error.kind, Kind::Interrupted, "{}", chain(&error));
    assert_eq!(count.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn replies_are_read_up_to_8_mib() {
    let fits = "x".repeat(8 * 1024 * 1024 - 1024);
    let server = Server::start([Canned::chat(&fits)]).await;
    let answer = ask(&server.settings(), &request()).await.unwrap();
    assert_eq!(answer.content.len(), fits.len());

    let server = Server::start([Canned::chat(&"x".repeat(8 * 1024 * 1024))]).await;
    let retry = RetrySettings {
        max_attempts: 1,
        ..RetrySettings::default()
    };
    let error = ask(
        &StackSettings {
            retry,
            ..server.settings()
        },
        &request(),
    )
    .await
    .unwrap_err();
    assert_eq!(error.to_string(), "the reply is larger than 8 MiB");
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let timeouts = Timeouts {
        attempt: Duration::from_millis(50),
        ..Timeouts::default()
    };
    let error = ask(
        &StackSettings {
            timeouts,
            ..settings(&url)
        },
        &request(),
    )
    .await
    .unwrap_err();
    assert_eq!(error.to_string(), "after 3 attempts: no reply within 50ms");
    assert_eq!(error.kind, Kind::Timeout);
}

#[tokio::test]
async fn retry_after_comes_back_when_it_is_too_long() {
    let plain = || Canned::error(429, &json!({"message": "slow"}));
    for (canned, expected) in [
        (plain().header("retry-after", "90"), 90),
        (plain().header("retry-after-ms", "61000"), 61),
        (
            plain()
                .header("x-ratelimit-remaining-requests", "0")
                .header("x-ratelimit-reset-requests", "6m0s"),
            360,
        ),
    ] {
        let server = Server::start([canned]).await;
        let stack = stack(&server.settings()).await;
        let provider = stack.provider.unwrap();
        for attempts in [1, 0] {
            let error = provider.complete(&request()).await.unwrap_err();
            assert_eq!((error.kind, error.attempts), (Kind::RateLimited, attempts));
            let wait = error.retry_after.unwrap();
            let expected = Duration::from_secs(expected);
            assert!(wait <= expected && wait > expected.mul_f64(0.9), "{wait:?}");
        }
        assert_eq!(server.received().len(), 1);
        assert!(stack.gauge.read().held_for.is_some());
    }
}

#[tokio::test]
async fn the_key_is_nowhere_to_be_seen() {
    let echo = format!("your key {CANARY} is bad");
    let as_text = Canned::new(401, echo.clone()).header("x-request-id", CANARY);
    let as_json = Canned::error(403, &json!({"message": echo, "code": CANARY}));
    let at_200 = Canned::new(200, echo.clone());
    let refusal = json!({"message": {"content": null, "refusal": echo}});
    for canned in [as_text, as_json, at_200, Canned::choice(&refusal)] {
        let server = Server::start([canned]).await;
        let stack = stack(&server.settings()).await;
        let error = stack
            .provider
            .as_ref()
            .unwrap()
            .complete(&request())
            .await
            .unwrap_err();
        let text = format!(
            "{stack:?} {error:?} {} {}",
            stack.description,
            chain(&error)
        );
        assert!(!text.contains("canary"), "{text}");
        assert!(text.contains("[key]"), "{text}");
    }
    let secret = format!("{CANARY}\u{1}");
    let env = |name: &str| (name == "OPENAI_API_KEY").then(|| secret.clone());
    let error = build(&settings("http://127.0.0.1:1"), &env, None)
        .await
        .unwrap_err();
    let text = format!("{error:?} {}", chain(&error));
    assert!(
        !text.contains("canary") && text.contains("OPENAI_API_KEY"),
        "{text}"
    );
}

#[tokio::test]
async fn secrets_in_an_address_are_nowhere_to_be_seen() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = nobody.local_addr().unwrap();
    drop(nobody);
    let base_url = Some(format!("http://me:canary@{address}/v1?key=canary"));
    let settings = StackSettings {
        base_url,
        ..settings("")
    };
    let stack = stack(&settings).await;
    let error = stack
        .provider
        .as_ref()
        .unwrap()
        .complete(&request())
        .await
        .unwrap_err();
    let text = format!(
        "{stack:?} {error:?} {} {}",
        stack.description,
        chain(&error)
    );
    assert!(!text.contains("canary"), "{text}");
    assert!(text.contains(&format!("http://{address}/v1")), "{text}");
}

#[tokio::test]
async fn neither_prompt_nor_answer_is_repeated() {
    let source = "func Secret(n int) int { return n * 42 }";
    let mut asked = request();
    asked.messages[0].content = format!("Test this:\n{source}\n");
    let echo = json!({"detail": [{"loc": ["body", "messages"], "msg": "too deep",
        "input": {"content": source}}]});
    let unknown = json!({"oops": source});
    let message = json!({"error": {"message": format!("cannot read {source}")}});
    let cut = Canned::new(
        200,
        r#"{"choices":[{"message":{"content":"func TestSecret("#,
    );
    let stream = Canned::new(200, r#"data: {"choices":[{"delta":{"content":"TestSecret"#);
    for canned in [cut, stream] {
        let server = Server::start([canned]).await;
        let error = ask(&server.settings(), &asked).await.unwrap_err();
        assert_eq!(error.kind, Kind::EmptyReply);
        assert!(!format!("{error:?}").contains("Secret"), "{error:?}");
    }
    for body in [echo, unknown, message] {
        let server = Server::start([Canned::json(422, &body)]).await;
        let error = ask(&server.settings(), &asked).await.unwrap_err();
        assert!(!format!("{error:?}").contains("Secret"), "{error:?}");
    }
}

/// One request a minute, and a reload in that minute: the second still waits.
#[tokio::test(start_paused = true)]
async fn a_fallback_keeps_its_pace_across_a_reload() {
    let rate = |rpm| Rates {
        rpm: Some(rpm),
        tpm: None,
    };
    let with = |model: &str, rates| StackSettings {
        fallback: vec![LinkSettings {
            provider: None,
            model: model.to_owned(),
            base_url: None,
            api_key_env: None,
            api_key_file: None,
            headers: Vec::new(),
            max_output_tokens: None,
            rates,
        }],
        ..settings("http://127.0.0.1:1")
    };
    let first = with("cheap", rate(1));
    let shared = Shared::new(&first);
    let pace_of = async |settings: &StackSettings| {
        let stack = build_in_place(&shared, settings, &|_| None, None);
        Arc::clone(&stack.await.unwrap().links[1].pace)
    };
    let at_once = async |pace: &Pace| pace.wait(0, Duration::ZERO).await.is_ok();
    assert!(at_once(&*pace_of(&first).await).await);

    // Other limits count what went out, and not before the new settings are in force.
    let second = with("cheap", rate(2));
    let pace = pace_of(&second).await;
    assert_eq!(
        pace.wait(0, Duration::ZERO).await,
        Err(Duration::from_mins(1))
    );
    shared.set(&second);
    assert_eq!(
        pace.wait(0, Duration::ZERO).await,
        Err(Duration::from_secs(30))
    );
    assert!(at_once(&*pace_of(&with("another", rate(1))).await).await);

    // The server's limit is that of a key.
    for other in [
        StackSettings {
            api_key_env: Some("OTHER".to_owned()),
            ..second.clone()
        },
        StackSettings {
            headers: vec![("x-key".to_owned(), CANARY.to_owned())],
            ..second.clone()
        },
    ] {
        assert!(at_once(&*pace_of(&other).await).await);
    }

    // A model that is no longer in the chain is forgotten.
    shared.set(&with("another", rate(1)));
    assert!(at_once(&*pace_of(&second).await).await);
}
