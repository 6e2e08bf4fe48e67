//! What is logged, and what never is. Alone in its process, for tracing keeps what it learned of
//! other tests' subscribers.

#![expect(clippy::unwrap_used, reason = "a test, helpers included")]

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use testsmith_domain::{CompletionRequest, Message, ResponseFormat, Role};
use testsmith_llm::{ProviderChoice, RetrySettings, StackSettings, build};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tracing::Level;

const KEY: &str = "sk-canary-4242";
const QUESTION: &str = "func Add(a, b int) int";
const ANSWER: &str = "the answer";

/// What was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A server that asks for a pause of 5 ms and then answers.
async fn serve(tasks: &mut JoinSet<()>) -> String {
    let held = (
        StatusCode::TOO_MANY_REQUESTS,
        [("retry-after-ms", "5")],
        "{}",
    )
        .into_response();
    let answer = format!(
        r#"{{"choices": [{{"message": {{"content": "{ANSWER}"}}, "finish_reason": "stop"}}],
            "usage": {{"prompt_tokens": 12, "completion_tokens": 3}}}}"#
    );
    let script = Arc::new(Mutex::new(vec![answer.into_response(), held]));
    let app = Router::new().fallback(move || {
        let reply = script.lock().unwrap().pop().unwrap();
        async move { reply }
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    tasks.spawn(async move { axum::serve(listener, app).await.unwrap() });
    url
}

/// The log of one call at this level.
async fn log_at(level: Level) -> String {
    let mut tasks = JoinSet::new();
    let settings = StackSettings {
        provider: ProviderChoice::OpenAi,
        model: Some("m".into()),
        base_url: Some(serve(&mut tasks).await),
        retry: RetrySettings {
            base_delay: Duration::from_millis(1),
            ..RetrySettings::default()
        },
        ..StackSettings::default()
    };
    let request = CompletionRequest {
        system: String::new(),
        messages: vec![Message {
            role: Role::User,
            content: QUESTION.into(),
        }],
        max_tokens: 100,
        format: ResponseFormat::JsonObject,
    };
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .with_max_level(level)
        .with_writer(move || writer.clone())
        .finish();
    let guard = tracing::subscriber::set_default(subscriber);
    let stack = build(&settings, &|_| Some(KEY.into()), None).await.unwrap();
    let answer = stack.provider.unwrap().complete(&request).await.unwrap();
    drop(guard);
    assert_eq!((answer.content.as_str(), answer.attempts), (ANSWER, 2));
    String::from_utf8(log.0.lock().unwrap().clone()).unwrap()
}

#[tokio::test]
async fn logs_are_quiet_and_have_no_secrets() {
    let info = log_at(Level::INFO).await;
    let lines: Vec<&str> = info.lines().collect();
    assert_eq!(lines.len(), 2, "{info}");
    assert!(lines[0].contains("provider hold begins") && lines[0].contains(r#""hold_ms":5"#));
    assert!(lines[1].contains("provider hold ends"));

    let debug = log_at(Level::DEBUG).await;
    for field in [
        r#""attempt":1"#,
        r#""attempt":2"#,
        r#""wait_ms":5"#,
        r#""status":429"#,
        r#""status":200"#,
        r#""tokens_in":12"#,
        r#""tokens_out":3"#,
        r#""elapsed_ms":"#,
        r#""kind":"rate_limited""#,
    ] {
        assert!(debug.contains(field), "{field} in {debug}");
    }
    for secret in [KEY, QUESTION, ANSWER] {
        assert!(!debug.contains(secret), "{secret} in {debug}");
    }

    let trace = log_at(Level::TRACE).await;
    assert!(trace.contains(QUESTION) && trace.contains(ANSWER));
    assert!(!trace.contains(KEY));
}
