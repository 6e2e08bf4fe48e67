//! The routes: requests to calls of [`Control`], answers to JSON.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures_util::stream;
use serde::Serialize;
use serde::de::DeserializeOwned;
use testsmith_domain::{ContentHash, RelPath};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast};
use tokio_util::sync::CancellationToken;

use crate::events::Frame;
use crate::protocol::{
    ENTRY_BYTES, EntriesQuery, Event, FileQuery, JobsQuery, Pattern, Refusal, RefusalCode,
    ReviewRequest,
};
use crate::seam::Control;

/// The longest body, for some thousand paths, and how long a client may take to send it.
const BODY_BYTES: usize = 1 << 20;
const BODY_LIMIT: Duration = Duration::from_secs(10);

/// The longest body with answers in it: room for the longest one, and for what is around it.
const ENTRIES_BYTES: usize = ENTRY_BYTES + 1024;

/// A stream that has nothing to tell says so this often, so that both ends see a dead peer.
const STILL_HERE: Duration = Duration::from_secs(15);

/// What every route works with.
#[derive(Clone)]
pub(crate) struct Shared {
    control: Arc<dyn Control>,
    streams: Arc<Semaphore>,
    stop: CancellationToken,
}

impl Shared {
    pub(crate) fn new(control: Arc<dyn Control>, stop: CancellationToken, streams: usize) -> Self {
        Self {
            control,
            streams: Arc::new(Semaphore::new(streams)),
            stop,
        }
    }
}

type Reply = Result<Response, Refusal>;

pub(crate) fn router(shared: Shared) -> Router {
    Router::new()
        .route("/v1/status", get(status))
        .route("/metrics", get(metrics))
        .route("/v1/jobs", get(jobs))
        .route("/v1/file", get(file))
        .route("/v1/cache", get(cache))
        .route(
            "/v1/cache/entries",
            get(cache_entries).post(add_cache_entries),
        )
        .route("/v1/usage", get(usage))
        .route("/v1/events", get(events))
        .route("/v1/enqueue", post(enqueue))
        .route("/v1/select", post(select))
        .route("/v1/preview", post(preview))
        .route("/v1/retry", post(retry))
        .route("/v1/cancel", post(cancel))
        .route("/v1/pause", post(pause))
        .route("/v1/resume", post(resume))
        .route("/v1/findings", get(findings))
        .route("/v1/review", post(review))
        .route("/v1/resume-over-budget", post(resume_over_budget))
        .route("/v1/reload", post(reload))
        .route("/v1/gc", post(gc))
        .route("/v1/clear", post(clear))
        .route("/v1/stop", post(stop))
        .fallback(no_route)
        .method_not_allowed_fallback(wrong_method)
        .with_state(shared)
}

/// Answers everything with this refusal.
pub(crate) fn refusing(refusal: Refusal) -> Router {
    Router::new().fallback(move || async move { refusal })
}

async fn no_route(uri: Uri) -> Refusal {
    Refusal::not_found(format!("there is no route `{}`", uri.path()))
}

async fn wrong_method(uri: Uri) -> Refusal {
    Refusal::new(
        RefusalCode::MethodNotAllowed,
        format!(
            "`{}` takes another method; GET asks, POST changes",
            uri.path()
        ),
    )
}

async fn metrics(State(shared): State<Shared>) -> Reply {
    crate::metrics::answer(&*shared.control).await
}

async fn status(State(shared): State<Shared>) -> Reply {
    answer(shared.control.status().await)
}

async fn jobs(State(shared): State<Shared>, uri: Uri) -> Reply {
    let mut query = JobsQuery::default();
    for (name, value) in parameters(&uri) {
        match name.as_str() {
            "state" => {
                for state in value.split(',') {
                    let state = state.parse().map_err(Refusal::bad_request)?;
                    query.states.push(state);
                }
            }
            "path" => query.path = Some(Pattern(value)),
            "limit" => {
                let limit = value.parse();
                query.limit = Some(limit.map_err(|_| {
                    Refusal::bad_request(format!("`{value}` is no number of jobs"))
                })?);
            }
            _ => return Err(unknown_parameter(&name)),
        }
    }
    answer(shared.control.jobs(query).await)
}

async fn file(State(shared): State<Shared>, uri: Uri) -> Reply {
    let (mut root, mut path) = (None, None);
    for (name, value) in parameters(&uri) {
        match name.as_str() {
            "root" => root = Some(value.into()),
            "path" => {
                let value = RelPath::new(value);
                path = Some(value.map_err(|error| Refusal::bad_request(error.to_string()))?);
            }
            _ => return Err(unknown_parameter(&name)),
        }
    }
    let Some(path) = path else {
        return Err(Refusal::bad_request("the parameter `path` is missing"));
    };
    answer(shared.control.file(FileQuery { root, path }).await)
}

async fn cache(State(shared): State<Shared>) -> Reply {
    answer(shared.control.cache().await)
}

async fn cache_entries(State(shared): State<Shared>, uri: Uri) -> Reply {
    let mut query = EntriesQuery::default();
    for (name, value) in parameters(&uri) {
        match name.as_str() {
            "after" => {
                let key = ContentHash::try_from(value);
                let key = key.map_err(|error| Refusal::bad_request(error.to_string()))?;
                query.after = Some(key.into());
            }
            _ => return Err(unknown_parameter(&name)),
        }
    }
    answer(shared.control.cache_entries(query).await)
}

async fn add_cache_entries(State(shared): State<Shared>, body: Body) -> Reply {
    let request = read_up_to(ENTRIES_BYTES, body).await?;
    answer(shared.control.add_cache_entries(request).await)
}

async fn enqueue(State(shared): State<Shared>, body: Body) -> Reply {
    answer(shared.control.enqueue(read(body).await?).await)
}

async fn select(State(shared): State<Shared>, body: Body) -> Reply {
    answer(shared.control.select(read(body).await?).await)
}

async fn preview(State(shared): State<Shared>, body: Body) -> Reply {
    answer(shared.control.preview(read(body).await?).await)
}

async fn retry(State(shared): State<Shared>, body: Body) -> Reply {
    answer(shared.control.retry(read(body).await?).await)
}

async fn cancel(State(shared): State<Shared>, body: Body) -> Reply {
    answer(shared.control.cancel(read(body).await?).await)
}

async fn pause(State(shared): State<Shared>) -> Reply {
    answer(shared.control.set_paused(true).await)
}

async fn usage(State(shared): State<Shared>) -> Reply {
    answer(shared.control.usage().await)
}

async fn resume(State(shared): State<Shared>) -> Reply {
    answer(shared.control.set_paused(false).await)
}

async fn review(State(shared): State<Shared>, body: Body) -> Reply {
    answer(shared.control.review(read(body).await?).await)
}

async fn resume_over_budget(State(shared): State<Shared>) -> Reply {
    answer(shared.control.resume_over_budget().await)
}

async fn reload(State(shared): State<Shared>) -> Reply {
    answer(shared.control.reload().await)
}

async fn clear(State(shared): State<Shared>) -> Reply {
    answer(shared.control.clear().await)
}

async fn gc(State(shared): State<Shared>) -> Reply {
    answer(shared.control.gc().await)
}

async fn findings(State(shared): State<Shared>, uri: Uri) -> Reply {
    let mut all = false;
    for (name, value) in parameters(&uri) {
        match name.as_str() {
            "all" => all = value == "true",
            _ => return Err(unknown_parameter(&name)),
        }
    }
    let request = ReviewRequest::Findings { all };
    answer(shared.control.review(request).await)
}

async fn stop(State(shared): State<Shared>) -> Reply {
    answer(shared.control.stop().await)
}

async fn events(State(shared): State<Shared>) -> Reply {
    let Ok(place) = shared.streams.try_acquire_owned() else {
        return Err(Refusal::new(
            RefusalCode::Unavailable,
            "too many streams of events are open already",
        ));
    };
    // Listened to from here on: what happens after the client has the reply's head is in it.
    let reader = Reader {
        events: shared.control.events(),
        stop: shared.stop,
        _place: place,
    };
    let frames = stream::unfold(reader, |mut reader| async move {
        let frame = reader.next().await?;
        Some((Ok::<_, std::convert::Infallible>(frame), reader))
    });
    let mut reply = Response::new(Body::from_stream(frames));
    let headers = reply.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/event-stream"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(reply)
}

/// One client's stream of events.
struct Reader {
    events: broadcast::Receiver<Frame>,
    stop: CancellationToken,
    _place: OwnedSemaphorePermit,
}

impl Reader {
    /// What to send next; `None` at the end.
    async fn next(&mut self) -> Option<Bytes> {
        let received = tokio::select! {
            // What was said before the end is still sent.
            biased;
            received = tokio::time::timeout(STILL_HERE, self.events.recv()) => received,
            () = self.stop.cancelled() => return None,
        };
        match received {
            Err(_elapsed) => Some(Bytes::from_static(b": still here\n\n")),
            Ok(Ok(Frame(bytes))) => Some(bytes),
            Ok(Err(RecvError::Lagged(missed))) => {
                Frame::new(None, Event::Lagged { missed }).map(|Frame(bytes)| bytes)
            }
            Ok(Err(RecvError::Closed)) => None,
        }
    }
}

fn answer(result: Result<impl Serialize, Refusal>) -> Reply {
    Ok(json(StatusCode::OK, &result?))
}

fn json(status: StatusCode, value: &impl Serialize) -> Response {
    let (status, text) = match serde_json::to_string(value) {
        Ok(text) => (status, text),
        // Maps with keys that are no strings; there are none in the protocol.
        Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, "{}".to_owned()),
    };
    let kind = [(header::CONTENT_TYPE, "application/json")];
    (status, kind, text + "\n").into_response()
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.code.status());
        json(status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), &self)
    }
}

/// Reads a JSON body; an empty one is an empty object.
async fn read<T: DeserializeOwned>(body: Body) -> Result<T, Refusal> {
    read_up_to(BODY_BYTES, body).await
}

async fn read_up_to<T: DeserializeOwned>(most: usize, body: Body) -> Result<T, Refusal> {
    let read = tokio::time::timeout(BODY_LIMIT, to_bytes(body, most)).await;
    let read = read.map_err(|_elapsed| {
        Refusal::new(RefusalCode::TooSlow, "the request's body took too long")
    })?;
    let bytes = read.map_err(|_too_long_or_broken| {
        Refusal::new(
            RefusalCode::TooLarge,
            format!("the request's body is longer than {most} bytes, or broke off"),
        )
    })?;
    let text: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
    serde_json::from_slice(text)
        .map_err(|error| Refusal::bad_request(format!("the request's body does not fit: {error}")))
}

fn parameters(uri: &Uri) -> impl Iterator<Item = (String, String)> {
    let query = uri.query().unwrap_or_default();
    form_urlencoded::parse(query.as_bytes()).map(|(name, value)| (name.into(), value.into()))
}

fn unknown_parameter(name: &str) -> Refusal {
    Refusal::bad_request(format!("there is no parameter `{name}` here"))
}
