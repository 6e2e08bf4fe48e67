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
    let (ask, entry, plan, headers) = {
        let mut director = shared.director();
        let ask = Ask::read(endpoint, body, key, director.script());
        let entry = shared.log.enter(&ask, director.script().log_bodies);
        let plan = if ask.problem.is_none() {
            Some(director.decide(&ask))
        } else {
            None
        };
        (ask, entry, plan, extra_headers(&director.script().headers))
    };
    let reset = connection.0.clone();
    match (plan, &ask.problem) {
        (Some(plan), _) => play(shared, &ask, &plan, headers, entry, reset).await,
        (None, problem) => {
            let status = problem.as_ref().map_or(400, |problem| problem.status);
            let body = problem
                .as_ref()
                .map_or(Value::Null, |p| problem_body(endpoint, p));
            reply(
                status,
                headers,
                Encoded::json(&body),
                Ending::Whole,
                entry,
                reset,
            )
        }
    }
}

/// Plays a plan to its end.
async fn play(
    shared: &Shared,
    ask: &Ask,
    plan: &Plan,
    mut headers: HeaderMap,
    mut entry: Entry,
    reset: CancellationToken,
) -> Response<Body> {
    entry.note(|record| {
        record.fault = plan.fault.as_ref().map(Fault::name);
        record.bad_bodies.clone_from(&plan.bad);
    });
    if !plan.delay.is_zero() {
        tokio::time::sleep(plan.delay).await;
    }
    let mut ending = Ending::Whole;
    match &plan.fault {
        Some(Fault::Status {
            status,
            retry_after,
            body,
            headers: more,
        }) => {
            let status = status.unwrap_or_else(|| body.status());
            insert(
                &mut headers,
                more.iter().map(|(name, value)| (&**name, value.clone())),
            );
            insert(&mut headers, retry_after.iter().map(RetryAfter::header));
            let encoded = error(ask.endpoint, body, status);
            return reply(status, headers, encoded, ending, entry, reset);
        }
        Some(Fault::Hang) => return std::future::pending().await,
        Some(Fault::Reset {
            at: ResetPoint::BeforeHeaders,
        }) => {
            entry.break_off();
            reset.cancel();
            return std::future::pending().await;
        }
        Some(Fault::ErrorAt200) => return error_at_200(ask, headers, entry, reset),
        Some(Fault::StreamError) if !ask.stream => {
            return error_at_200(ask, headers, entry, reset);
        }
        Some(Fault::Reset {
            at: ResetPoint::AfterHeaders,
        }) => ending = Ending::Reset,
        Some(Fault::Cut { at }) => ending = Ending::Cut(*at),
        _ => {}
    }
    let answer = answer(ask, plan, &shared.address.to_string());
    entry.note(|record| record.tokens_out = answer.tokens);
    let encoded = encode(ask, &answer, plan.fault.as_ref(), entry.id());
    reply(200, headers, encoded, ending, entry, reset)
}

fn error(endpoint: Endpoint, preset: &Preset, status: u16) -> Encoded {
    let (content_type, text) = error_body(endpoint, preset, status);
    Encoded {
        content_type,
        chunks: vec![Bytes::from(text)],
        streamed: false,
    }
}

fn error_at_200(
    ask: &Ask,
    headers: HeaderMap,
    entry: Entry,
    reset: CancellationToken,
) -> Response<Body> {
    let encoded = error(ask.endpoint, &Preset::Plain, 500);
    reply(200, headers, encoded, Ending::Whole, entry, reset)
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
    Json(shared.director().script().clone())
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

fn extra_headers(headers: &std::collections::BTreeMap<String, String>) -> HeaderMap {
    let mut map = HeaderMap::new();
    insert(
        &mut map,
        headers.iter().map(|(name, value)| (&**name, value.clone())),
    );
    map
}

/// Adds headers; one that HTTP cannot carry is left out.
fn insert<'a>(map: &mut HeaderMap, headers: impl Iterator<Item = (&'a str, String)>) {
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            map.insert(name, value);
        }
    }
}
