//! What is sent, and what is read from a good reply, over real sockets on loopback.

use serde_json::json;
use testsmith_domain::{CompletionRequest, FinishReason, ResponseFormat, Usage};

use crate::testing::{CANARY, Canned, Server, ask, request, schema_request, stack};
use crate::{ProviderChoice, StackSettings};

const ANSWER: &str = r#"{"tests":[]}"#;

#[tokio::test]
async fn openai_request_and_answer() {
    let server = Server::start([Canned::chat(ANSWER)
        .header("x-request-id", "req-1")
        .header("x-ratelimit-remaining-tokens", "99")])
    .await;
    let answer = ask(&server.settings(), &request()).await.unwrap();
    assert_eq!(answer.content, ANSWER);
    assert_eq!(answer.finish, FinishReason::Stop);
    assert_eq!(answer.model, "m-1");
    assert_eq!(answer.request_id.as_deref(), Some("req-1"));
    assert_eq!(answer.rate_limits.remaining_tokens, Some(99));
    assert_eq!(answer.attempts, 1);
    let usage = Usage {
        input_tokens: Some(12),
        cached_input_tokens: Some(4),
        cache_write_tokens: None,
        output_tokens: Some(3),
    };
    assert_eq!(answer.usage, usage);

    let sent = &server.received()[0];
    assert_eq!(sent.path, "/v1/chat/completions");
    assert_eq!(sent.headers["authorization"], format!("Bearer {CANARY}"));
    assert_eq!(sent.headers["content-type"], "application/json");
    assert!(
        sent.headers["user-agent"]
            .to_str()
            .unwrap()
            .starts_with("testsmith/")
    );
    assert_eq!(
        sent.body,
        json!({
            "model": "m",
            "messages": [
                {"role": "system", "content": "You write tests. Answer in JSON."},
                {"role": "user", "content": "func Add(a, b int) int"},
            ],
            "stream": false,
            "max_tokens": 1500,
            "temperature": 0.0,
            "response_format": {"type": "json_object"},
        })
    );
}

#[tokio::test]
async fn schema_is_sent_where_one_is_asked_for() {
    let server = Server::start([Canned::chat(ANSWER)]).await;
    ask(&server.settings(), &schema_request()).await.unwrap();
    let format = json!({"type": "json_schema", "json_schema":
        {"name": "tests", "schema": {"type": "object"}, "strict": true}});
    assert_eq!(server.received()[0].body["response_format"], format);

    let text = CompletionRequest {
        format: ResponseFormat::Text,
        ..request()
    };
    ask(&server.settings(), &text).await.unwrap();
    assert_eq!(server.received()[1].body.get("response_format"), None);
}

#[tokio::test]
async fn azure_address_keeps_its_query_and_has_its_own_header() {
    let server = Server::start([Canned::chat(ANSWER)]).await;
    let base_url = format!("{}/openai/deployments/d?api-version=2026-01-01", server.url);
    let settings = StackSettings {
        base_url: Some(base_url),
        ..server.settings()
    };
    ask(&settings, &request()).await.unwrap();
    let sent = &server.received()[0];
    assert_eq!(
        sent.path,
        "/openai/deployments/d/chat/completions?api-version=2026-01-01"
    );
    assert_eq!(sent.headers["api-key"], CANARY);
    assert!(!sent.headers.contains_key("authorization"));
}

#[tokio::test]
async fn users_headers_are_sent_and_win() {
    let server = Server::start([Canned::chat(ANSWER)]).await;
    let headers = vec![
        ("X-Title".to_owned(), "testsmith".to_owned()),
        ("Authorization".to_owned(), "Basic abc".to_owned()),
    ];
    ask(
        &StackSettings {
            headers,
            ..server.settings()
        },
        &request(),
    )
    .await
    .unwrap();
    let sent = &server.received()[0];
    assert_eq!(sent.headers["x-title"], "testsmith");
    assert_eq!(sent.headers["authorization"], "Basic abc");
}

#[tokio::test]
async fn anthropic_request_and_answer() {
    let reply = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x",
        "content": [{"type": "text", "text": "{\"tests\":"}, {"type": "text", "text": "[]}"}],
        "stop_reason": "max_tokens",
        "usage": {"input_tokens": 5, "cache_creation_input_tokens": 20,
            "cache_read_input_tokens": 100, "output_tokens": 7},
    });
    let server = Server::start([Canned::json(200, &reply).header("request-id", "req-2")]).await;
    for base_url in [server.url.clone(), format!("{}/v1/", server.url)] {
        let settings = StackSettings {
            provider: ProviderChoice::Anthropic,
            base_url: Some(base_url),
            ..server.settings()
        };
        let answer = ask(&settings, &schema_request()).await.unwrap();
        assert_eq!(answer.content, ANSWER);
        assert_eq!(answer.finish, FinishReason::Length);
        assert_eq!(answer.model, "claude-x");
        assert_eq!(answer.request_id.as_deref(), Some("req-2"));
        assert_eq!(answer.usage.input_tokens, Some(125));
        assert_eq!(answer.usage.cached_input_tokens, Some(100));
        assert_eq!(answer.usage.output_tokens, Some(7));
    }
    for sent in server.received() {
        assert_eq!(sent.path, "/v1/messages");
        assert_eq!(sent.headers["x-api-key"], CANARY);
        assert_eq!(sent.headers["anthropic-version"], "2023-06-01");
        assert_eq!(
            sent.body,
            json!({
                "model": "m",
                "max_tokens": 1500,
                "temperature": 0.0,
                "system": [{"type": "text", "text": "You write tests. Answer in JSON.",
                    "cache_control": {"type": "ephemeral"}}],
                "messages": [{"role": "user", "content": "func Add(a, b int) int"}],
                "output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}},
            })
        );
    }
}

fn ollama(server: &Server) -> StackSettings {
    let base_url = Some(server.url.clone());
    StackSettings {
        provider: ProviderChoice::Ollama,
        base_url,
        ..server.settings()
    }
}

#[tokio::test]
async fn ollama_request_and_answer() {
    let reply = json!({"model": "m", "message": {"role": "assistant", "content": ANSWER},
        "done": true, "done_reason": "stop", "prompt_eval_count": 30, "eval_count": 8});
    let server = Server::start([Canned::json(200, &reply)]).await;
    let stack = stack(&ollama(&server)).await;
    let provider = stack.provider.unwrap();
    let answer = provider.complete(&request()).await.unwrap();
    assert_eq!(
        (answer.content.as_str(), answer.finish),
        (ANSWER, FinishReason::Stop)
    );
    assert_eq!(
        (answer.usage.input_tokens, answer.usage.output_tokens),
        (Some(30), Some(8))
    );
    let sent = &server.received()[0];
    assert_eq!(sent.path, "/api/chat");
    assert!(!sent.headers.contains_key("authorization"));
    assert_eq!(
        sent.body,
        json!({
            "model": "m",
            "messages": [
                {"role": "system", "content": "You write tests. Answer in JSON."},
                {"role": "user", "content": "func Add(a, b int) int"},
            ],
            "stream": false,
            "format": "json",
            "options": {"num_ctx": 8192, "num_predict": 1500, "temperature": 0.0},
        })
    );

    // A longer prompt needs a larger context, which then stays.
    let long = CompletionRequest {
        system: "x".repeat(40_000),
        ..schema_request()
    };
    provider.complete(&long).await.unwrap();
    provider.complete(&request()).await.unwrap();
    let received = server.received();
    assert_eq!(received[1].body["format"], json!({"type": "object"}));
    assert_eq!(received[1].body["options"]["num_ctx"], 16_384);
    assert_eq!(received[2].body["options"]["num_ctx"], 16_384);
}

#[tokio::test]
async fn ollama_says_what_to_pull() {
    let body = json!({"error": "model 'm' not found"});
    let server = Server::start([Canned::json(404, &body)]).await;
    let base_url = Some(format!("{}/v1", server.url));
    let settings = StackSettings {
        base_url,
        ..ollama(&server)
    };
    let error = ask(&settings, &request()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the server answered 404 Not Found: model 'm' not found; run `ollama pull m`"
    );
    assert_eq!(server.received()[0].path, "/api/chat");
}

#[tokio::test]
async fn odd_but_good_answers_are_taken() {
    let parts = json!({"message": {"content": [{"type": "text", "text": "a"}, {"text": "b"}]},
        "finish_reason": "content_filter", "extra": 1});
    let body = json!({"choices": [parts], "usage": null, "error": null});
    let server = Server::start([Canned::json(200, &body)]).await;
    let answer = ask(&server.settings(), &request()).await.unwrap();
    assert_eq!(answer.content, "ab");
    assert_eq!(answer.finish, FinishReason::Other("content_filter".into()));
    assert_eq!(
        (answer.usage, answer.model.as_str()),
        (Usage::default(), "m")
    );
}
