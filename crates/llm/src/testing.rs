//! What this crate's tests share: a scripted provider in memory, and a scripted server.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, Uri};
use serde_json::{Value, json};
use testsmith_domain::{
    BoxFuture, CompletionRequest, CompletionResponse, FinishReason, Message, ModelIdentity,
    Provider, ProviderError, ProviderErrorKind, RateLimits, ResponseFormat, Role, Usage,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::{ProviderChoice, RetrySettings, Stack, StackSettings, build};

/// A question.
pub(crate) fn request() -> CompletionRequest {
    CompletionRequest {
        system: "You write tests. Answer in JSON.".into(),
        messages: vec![Message {
            role: Role::User,
            content: "func Add(a, b int) int".into(),
        }],
        max_tokens: 1500,
        format: ResponseFormat::JsonObject,
    }
}

/// The same with a schema.
pub(crate) fn schema_request() -> CompletionRequest {
    let format = ResponseFormat::JsonSchema {
        name: "tests",
        schema: r#"{"type":"object"}"#,
    };
    CompletionRequest {
        format,
        ..request()
    }
}

/// An answer.
pub(crate) fn response() -> CompletionResponse {
    CompletionResponse {
        content: "{}".into(),
        finish: FinishReason::Stop,
        usage: Usage {
            input_tokens: Some(10),
            cached_input_tokens: None,
            cache_write_tokens: None,
            output_tokens: Some(2),
        },
        model: "fake".into(),
        request_id: None,
        rate_limits: RateLimits::default(),
        attempts: 1,
        link: 0,
    }
}

/// An error of this status.
pub(crate) fn failure(kind: ProviderErrorKind, status: u16) -> ProviderError {
    ProviderError::new(kind, format!("the server answered {status}")).with_status(status)
}

/// The same with the server's wish to wait.
pub(crate) fn failure_after(status: u16, wait: Duration) -> ProviderError {
    let mut error = failure(ProviderErrorKind::RateLimited, status);
    error.retry_after = Some(wait);
    error
}

/// What the fake does for a request; when the script is at its end, it answers at once.
pub(crate) enum Step {
    Answer,
    AnswerAfter(Duration),
    Fail(ProviderError),
    FailAfter(Duration, ProviderError),
    Hang,
    Panic,
}

/// A provider in memory.
#[derive(Debug)]
pub(crate) struct Fake {
    identity: ModelIdentity,
    script: Mutex<VecDeque<Step>>,
    began: Instant,
    /// When each request came, in milliseconds, and in what form.
    pub(crate) log: Mutex<Vec<(u128, ResponseFormat)>>,
    open: AtomicU32,
    pub(crate) max_open: AtomicU32,
    /// How long an answer takes that the script says nothing of.
    latency: Duration,
}

impl std::fmt::Debug for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Step")
    }
}

impl Fake {
    pub(crate) fn new(script: impl IntoIterator<Item = Step>) -> Arc<Self> {
        Self::with_latency(script, Duration::ZERO)
    }

    pub(crate) fn with_latency(
        script: impl IntoIterator<Item = Step>,
        latency: Duration,
    ) -> Arc<Self> {
        Arc::new(Self {
            identity: ModelIdentity {
                provider: "fake".into(),
                model: "fake".into(),
                temperature: 0.0,
            },
            script: Mutex::new(script.into_iter().collect()),
            began: Instant::now(),
            log: Mutex::default(),
            open: AtomicU32::new(0),
            max_open: AtomicU32::new(0),
            latency,
        })
    }

    /// When each request came, in milliseconds.
    pub(crate) fn times(&self) -> Vec<u128> {
        self.log
            .lock()
            .unwrap()
            .iter()
            .map(|(time, _)| *time)
            .collect()
    }

    /// Ends the script: from now on it answers.
    pub(crate) fn recover(&self) {
        self.script.lock().unwrap().clear();
    }

    async fn play(&self) -> Result<CompletionResponse, ProviderError> {
        struct Open<'a>(&'a AtomicU32);
        impl Drop for Open<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::SeqCst);
            }
        }
        let open = self.open.fetch_add(1, Ordering::SeqCst) + 1;
        let _open = Open(&self.open);
        self.max_open.fetch_max(open, Ordering::SeqCst);
        let step = self.script.lock().unwrap().pop_front();
        match step.unwrap_or(Step::AnswerAfter(self.latency)) {
            Step::Answer => Ok(response()),
            Step::AnswerAfter(time) => {
                tokio::time::sleep(time).await;
                Ok(response())
            }
            Step::Fail(error) => Err(error),
            Step::FailAfter(time, error) => {
                tokio::time::sleep(time).await;
                Err(error)
            }
            Step::Hang => std::future::pending().await,
            Step::Panic => panic!("the provider's fault"),
        }
    }
}

/// A provider that a test keeps a hand on.
#[derive(Debug)]
pub(crate) struct Shared(pub(crate) Arc<Fake>);

impl Provider for Shared {
    fn identity(&self) -> &ModelIdentity {
        &self.0.identity
    }

    fn max_output_tokens(&self) -> u32 {
        4096
    }

    fn complete<'a>(
        &'a self,
        request: &'a CompletionRequest,
    ) -> BoxFuture<'a, Result<CompletionResponse, ProviderError>> {
        let time = self.0.began.elapsed().as_millis();
        self.0
            .log
            .lock()
            .unwrap()
            .push((time, request.format.clone()));
        Box::pin(self.0.play())
    }
}

/// A reply of the server.
#[derive(Debug, Clone)]
pub(crate) struct Canned {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl Canned {
    pub(crate) fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: body.into(),
        }
    }

    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::new(status, body.to_string())
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// A good answer of a chat completion.
    pub(crate) fn chat(content: &str) -> Self {
        Self::choice(
            &json!({"message": {"role": "assistant", "content": content},
            "finish_reason": "stop"}),
        )
    }

    /// A chat completion with this choice.
    pub(crate) fn choice(choice: &Value) -> Self {
        Self::json(
            200,
            &json!({"id": "1", "model": "m-1", "choices": [choice],
            "usage": {"prompt_tokens": 12, "completion_tokens": 3,
                "prompt_tokens_details": {"cached_tokens": 4}}}),
        )
    }

    /// An error in OpenAI's form.
    pub(crate) fn error(status: u16, error: &Value) -> Self {
        Self::json(status, &json!({"error": error}))
    }
}

/// What the server was sent.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

/// A server on loopback that plays a script, the last reply for ever.
pub(crate) struct Server {
    pub(crate) url: String,
    received: Arc<Mutex<Vec<Received>>>,
    _task: JoinSet<()>,
}

impl Server {
    pub(crate) async fn start(script: impl IntoIterator<Item = Canned>) -> Self {
        let script: Vec<Canned> = script.into_iter().collect();
        let received: Arc<Mutex<Vec<Received>>> = Arc::default();
        let log = received.clone();
        let app = Router::new().fallback(move |uri: Uri, headers: HeaderMap, body: Bytes| {
            let mut log = log.lock().unwrap();
            let canned = script[log.len().min(script.len() - 1)].clone();
            log.push(Received {
                path: uri.to_string(),
                headers,
                body: serde_json::from_slice(&body).unwrap_or_default(),
            });
            let mut response = Response::new(axum::body::Body::from(canned.body));
            *response.status_mut() = StatusCode::from_u16(canned.status).unwrap();
            for (name, value) in canned.headers {
                let value = HeaderValue::from_str(&value).unwrap();
                response
                    .headers_mut()
                    .insert(HeaderName::from_static(name), value);
            }
            async move { response }
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let mut task = JoinSet::new();
        task.spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self {
            url,
            received,
            _task: task,
        }
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    /// Settings for this server, with waits that a test on real time can bear.
    pub(crate) fn settings(&self) -> StackSettings {
        settings(&self.url)
    }
}

/// A server that answers each connection with these bytes and closes it. Gives its address and the
/// count of connections.
pub(crate) async fn raw_server(reply: Vec<u8>) -> (String, Arc<AtomicU32>, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let count = Arc::new(AtomicU32::new(0));
    let connections = count.clone();
    let mut task = JoinSet::new();
    task.spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            connections.fetch_add(1, Ordering::SeqCst);
            // The whole request, so that closing does not reset the connection before the client
            // has read: it ends with the body's last brace.
            let mut read = Vec::new();
            while !read.ends_with(b"}") {
                let mut buffer = [0; 4096];
                match stream.read(&mut buffer).await {
                    Ok(0) | Err(_) => break,
                    Ok(count) => read.extend_from_slice(&buffer[..count]),
                }
            }
            // The client may have gone.
            let _ = stream.write_all(&reply).await;
            let _ = stream.shutdown().await;
        }
    });
    (url, count, task)
}

/// Settings for an OpenAI-compatible server at this address, under `/v1`.
pub(crate) fn settings(url: &str) -> StackSettings {
    StackSettings {
        provider: ProviderChoice::OpenAi,
        model: Some("m".into()),
        base_url: Some(format!("{url}/v1")),
        retry: RetrySettings {
            base_delay: Duration::from_millis(1),
            ..RetrySettings::default()
        },
        ..StackSettings::default()
    }
}

/// A stack, with a key in `OPENAI_API_KEY` and in `ANTHROPIC_API_KEY`.
pub(crate) async fn stack(settings: &StackSettings) -> Stack {
    let env = |name: &str| name.ends_with("_API_KEY").then(|| CANARY.to_owned());
    build(settings, &env, None).await.unwrap()
}

/// A key that must never be seen.
pub(crate) const CANARY: &str = "sk-canary-4242";

/// Asks once by a stack of these settings.
pub(crate) async fn ask(
    settings: &StackSettings,
    request: &CompletionRequest,
) -> Result<CompletionResponse, ProviderError> {
    stack(settings)
        .await
        .provider
        .unwrap()
        .complete(request)
        .await
}

/// The error and all that lies behind it, as a caller prints it.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
