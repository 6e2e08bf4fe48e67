//! What can be asked of the server, and by which address.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Extension, Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use axum::response::{IntoResponse, Json};
use axum::routing::{get, post};
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::answer::answer;
use crate::api::{self, Encoded, encode, error_body, problem_body};
use crate::ask::Ask;
use crate::director::{Director, Plan};
use crate::record::{Endpoint, Entry, Log};
use crate::reply::{Ending, reply};
use crate::script::{Fault, Preset, ResetPoint, RetryAfter, Script};

/// The largest request taken: far beyond any prompt.
const MAX_REQUEST: usize = 64 << 20;

/// The models listed when the script names none.
const DEFAULT_MODEL: &str = "sim-1";

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub log: Arc<Log>,
    /// Where the server listens.
    address: SocketAddr,
    /// The members whose tests reached the server by network.
    witnessed: Mutex<Vec<String>>,
    director: Mutex<Director>,
}

impl Shared {
    pub(crate) fn new(script: Script, address: SocketAddr) -> Self {
        Self {
            log: Log::new(),
            address,
            witnessed: Mutex::default(),
            director: Mutex::new(Director::new(script)),
        }
    }

    pub(crate) fn set_script(&self, script: Script) {
        *self.director() = Director::new(script);
    }

    pub(crate) fn witnessed(&self) -> MutexGuard<'_, Vec<String>> {
        self.witnessed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn director(&self) -> MutexGuard<'_, Director> {
        self.director.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The connection that a request came by: cancelled, it is reset.
#[derive(Debug, Clone)]
pub(crate) struct Connection(pub CancellationToken);

/// The routes for one connection.
pub(crate) fn router(shared: Arc<Shared>, connection: Connection) -> Router {
    Router::new()
        .route("/v1/chat/completions", post(openai))
        .route("/v1/models", get(models))
        .route("/v1/messages", post(anthropic))
        .route("/api/chat", post(ollama))
        .route("/api/tags", get(tags))
        .route(
            "/api/version",
            get(async || Json(json!({"version": "0.0.0-testsmith"}))),
        )
        .route("/witness/{*member}", get(witness))
        .route("/log", get(show_log).delete(clear_log))
        .route("/script", get(show_script).post(set_script))
        .layer(DefaultBodyLimit::max(MAX_REQUEST))
        .layer(Extension(connection))
        .with_state(shared)
}

async fn openai(
    State(shared): State<Arc<Shared>>,
    connection: Extension<Connection>,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let key = text(&headers, "authorization").and_then(|value| value.strip_prefix("Bearer "));
    complete(&shared, &connection, Endpoint::OpenAi, key, &body).await
}

async fn anthropic(
    State(shared): State<Arc<Shared>>,
    connection: Extension<Connection>,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let key = text(&headers, "x-api-key");
    complete(&shared, &connection, Endpoint::Anthropic, key, &body).await
}

async fn ollama(
    State(shared): State<Arc<Shared>>,
    connection: Extension<Connection>,
    body: Bytes,
) -> Response<Body> {
    // Ollama knows no keys: the script's is taken as given.
    let key = shared.director().script().api_key.clone();
    complete(
        &shared,
        &connection,
        Endpoint::Ollama,
        key.as_deref(),
        &body,
    )
    .await
}

/// Takes one question, whatever comes of it.
async fn complete(
    shared: &Shared,
    connection: &Connection,
    endpoint: Endpoint,
    key: Option<&str>,
    body: &[u8],
) -> Response<Body> {
    let arrived = Instant::now();
    let script = shared.director().script();
    let ask = Ask::read(endpoint, body, key, &script);
    let entry = shared.log.enter(&ask, script.log_bodies);
    let mut headers = HeaderMap::new();
    insert(&mut headers, script.headers.iter().map(as_pair));
    let reset = connection.0.clone();
    if let Some(problem) = &ask.problem {
        let encoded = Encoded::json(&problem_body(endpoint, problem));
        return reply(
            problem.status,
            headers,
            encoded,
            Ending::Whole,
            entry,
            reset,
        );
    }
    let plan = shared.director().decide(&ask);
    entry.note(|record| {
        record.fault = plan.fault.as_ref().map(Fault::name);
        record.bad_bodies.clone_from(&plan.bad);
    });
    let prepared = prepare(&ask, &plan, &shared.address.to_string(), &entry);
    if !plan.delay.is_zero() {
        // What the answer took to write is a part of the delay, not added to it.
        tokio::time::sleep_until(arrived + plan.delay).await;
    }
    play(prepared, headers, entry, reset).await
}

/// What is to be sent.
enum Prepared {
    Reply {
        status: u16,
        headers: Vec<(String, String)>,
        encoded: Encoded,
        ending: Ending,
    },
    Hang,
    Reset,
}

fn prepare(ask: &Ask, plan: &Plan, witness: &str, entry: &Entry) -> Prepared {
    let sent = |status, headers, encoded| Prepared::Reply {
        status,
        headers,
        encoded,
        ending: Ending::Whole,
    };
    let ending = match &plan.fault {
        Some(Fault::Hang) => return Prepared::Hang,
        Some(Fault::Reset {
            at: ResetPoint::BeforeHeaders,
        }) => return Prepared::Reset,
        Some(Fault::Status {
            status,
            retry_after,
            body,
            headers,
        }) => {
            let status = status.unwrap_or_else(|| body.status());
            let wait = retry_after.iter().map(RetryAfter::header);
            let all = wait
                .map(|(name, value)| (name.to_owned(), value))
                .chain(headers.clone())
                .collect();
            return sent(status, all, error(ask.endpoint, body, status));
        }
        Some(Fault::ErrorAt200) => {
            return sent(200, Vec::new(), error(ask.endpoint, &Preset::Plain, 500));
        }
        Some(Fault::StreamError) if !ask.stream => {
            return sent(200, Vec::new(), error(ask.endpoint, &Preset::Plain, 500));
        }
        Some(Fault::Reset {
            at: ResetPoint::AfterHeaders,
        }) => Ending::Reset,
        Some(Fault::Cut { at }) => Ending::Cut(*at),
        _ => Ending::Whole,
    };
    let answer = answer(ask, plan, witness);
    entry.note(|record| record.tokens_out = answer.tokens);
    Prepared::Reply {
        status: 200,
        headers: Vec::new(),
        encoded: encode(ask, &answer, plan.fault.as_ref(), entry.id()),
        ending,
    }
}

/// Sends what was prepared, or does not.
async fn play(
    prepared: Prepared,
    mut headers: HeaderMap,
    mut entry: Entry,
    reset: CancellationToken,
) -> Response<Body> {
    match prepared {
        Prepared::Reply {
            status,
            headers: more,
            encoded,
            ending,
        } => {
            insert(
                &mut headers,
                more.iter().map(|(name, value)| (&**name, &**value)),
            );
            reply(status, headers, encoded, ending, entry, reset)
        }
        Prepared::Hang => std::future::pending().await,
        Prepared::Reset => {
            entry.break_off();
            reset.cancel();
            std::future::pending().await
        }
    }
}

fn error(endpoint: Endpoint, preset: &Preset, status: u16) -> Encoded {
    let (content_type, text) = error_body(endpoint, preset, status);
    Encoded {
        content_type,
        chunks: vec![Bytes::from(text)],
        streamed: false,
    }
}

async fn models(State(shared): State<Arc<Shared>>) -> Json<Value> {
    Json(api::models(&model_names(&shared)))
}

async fn tags(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let models: Vec<_> = model_names(&shared)
        .into_iter()
        .map(|name| json!({"name": name, "model": name}))
        .collect();
    Json(json!({ "models": models }))
}

fn model_names(shared: &Shared) -> Vec<String> {
    let names = shared.director().script().models.clone();
    if names.is_empty() {
        vec![DEFAULT_MODEL.to_owned()]
    } else {
        names
    }
}

async fn show_log(State(shared): State<Arc<Shared>>) -> Json<Value> {
    Json(json!({
        "requests": shared.log.records(),
        "counts": shared.log.counts(),
        "witnessed": *shared.witnessed(),
    }))
}

async fn witness(State(shared): State<Arc<Shared>>, Path(member): Path<String>) -> StatusCode {
    shared.witnessed().push(member);
    StatusCode::NO_CONTENT
}

async fn clear_log(State(shared): State<Arc<Shared>>) -> StatusCode {
    shared.log.clear();
    shared.witnessed().clear();
    StatusCode::NO_CONTENT
}

async fn show_script(State(shared): State<Arc<Shared>>) -> Json<Script> {
    Json(Script::clone(&shared.director().script()))
}

/// Replaces the script by the JSON sent, or TOML if the content type says so.
async fn set_script(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let script = if text(&headers, "content-type").is_some_and(|kind| kind.contains("toml")) {
        Script::from_toml(&String::from_utf8_lossy(&body))
    } else {
        Script::from_json(&body)
    };
    match script {
        Ok(script) => {
            shared.set_script(script);
            StatusCode::NO_CONTENT.into_response()
        }
        Err(error) => {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            let error = json!({"error": error.to_string(), "cause": cause});
            (StatusCode::BAD_REQUEST, Json(error)).into_response()
        }
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn as_pair<'a>((name, value): (&'a String, &'a String)) -> (&'a str, &'a str) {
    (name, value)
}

/// Adds headers; one that HTTP cannot carry is left out.
fn insert<'a>(map: &mut HeaderMap, headers: impl Iterator<Item = (&'a str, &'a str)>) {
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            map.insert(name, value);
        }
    }
}
