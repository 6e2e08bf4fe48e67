//! What holds of whatever comes over the socket, at both ends. The fuzz targets and a test call
//! these.

use std::future::ready;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use http_body_util::BodyExt as _;
use hyper::service::Service as _;
use hyper::{Method, Request};
use hyper_util::service::TowerToHyperService;
use serde::Serialize;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use crate::client::{entries_route, file_route, jobs_route};
use crate::decode::Decoder;
use crate::protocol::{
    CacheEntries, CacheInfo, Cancelled, Cleared, EnqueueRequest, Enqueued, EntriesQuery, FileQuery,
    FileRequest, FileStory, Gc, Imported, Jobs, JobsQuery, OverBudget, Paused, Preview,
    PreviewRequest, Refusal, RefusalCode, Reloaded, Retried, ReviewReply, ReviewRequest, Selected,
    Stamped, Status, Stopping, UsageInfo,
};
use crate::routes::{Shared, router};
use crate::seam::{Answer, Control};
use crate::{Events, Frame};

/// What a daemon, or whatever listens in its place, sends as its stream of events.
pub fn event_stream(data: &[u8]) {
    let whole = decode([data]);
    // In whatever pieces it comes, the same events are in it.
    assert_eq!(decode(data.chunks(1)), whole);
    let size = data.first().map_or(7, |first| usize::from(*first) + 1);
    assert_eq!(decode(data.chunks(size)), whole);
    for stamped in whole.into_iter().flatten() {
        // Moments are shown to the millisecond, so that it is what is shown that stays.
        // Moments are shown to the millisecond, so that it is what is shown that stays.
        let text = serde_json::to_string(&stamped).unwrap_or_default();
        let Ok(stamped) = serde_json::from_str::<Stamped>(&text) else {
            unreachable!("what was read can be read again: {text}");
        };
        assert_eq!(serde_json::to_string(&stamped).unwrap_or_default(), text);
        // What the daemon would send of it is one event, behind whatever was broken off.
        let Some(Frame(frame)) = Frame::new(Some(1), stamped.event.clone()) else {
            unreachable!("an event that was read can be written");
        };
        let sent = [b": still here\n\n", &frame[..], b"data: {"].concat();
        let events = decode([&sent[..]]);
        let is_it = matches!(&events[..], [Some(read)] if read.event == stamped.event);
        assert!(is_it, "{frame:?}: {events:?}");
    }
}

/// The events of a stream, `None` for one that cannot be read.
fn decode<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Option<Stamped>> {
    let mut decoder = Decoder::default();
    let mut events = Vec::new();
    for piece in pieces {
        decoder.push(piece);
        while let Some(event) = decoder.next() {
            events.push(event.ok());
        }
    }
    events
}

/// What the daemon is asked: a line with method and target, and the body.
pub fn control_request(data: &[u8]) {
    let end = data.iter().position(|b| *b == b'\n').unwrap_or(data.len());
    let (line, body) = data.split_at(end);
    let line = String::from_utf8_lossy(line);
    let Some((method, target)) = line.trim().split_once(' ') else {
        return;
    };
    let body = body.get(1..).unwrap_or_default();
    let Some(reply) = ask(method, target, body) else {
        return;
    };
    reply.check(method);
    // What was understood is understood the same way if our client asks it.
    for call in reply.calls {
        let again = match &call {
            Call::Jobs(query) => ask("GET", &jobs_route(query), b""),
            Call::File(query) => ask("GET", &file_route(query), b""),
            Call::Entries(query) => ask("GET", &entries_route(query), b""),
            Call::AddEntries(request) => post("/v1/cache/entries", request),
            Call::Enqueue(request) => post("/v1/enqueue", request),
            Call::Select(request) => post("/v1/select", request),
            Call::Preview(request) => post("/v1/preview", request),
            Call::Retry(request) => post("/v1/retry", request),
            Call::Cancel(request) => post("/v1/cancel", request),
            Call::Review(request) => post("/v1/review", request),
            Call::Question | Call::Order => continue,
        };
        let calls = again.map(|reply| reply.calls).unwrap_or_default();
        assert_eq!(format!("{calls:?}"), format!("[{call:?}]"));
    }
}

/// What the daemon was asked or told.
#[derive(Debug)]
enum Call {
    Question,
    Order,
    Jobs(JobsQuery),
    File(FileQuery),
    Entries(EntriesQuery),
    AddEntries(CacheEntries),
    Enqueue(EnqueueRequest),
    Select(EnqueueRequest),
    Preview(PreviewRequest),
    Retry(FileRequest),
    Cancel(FileRequest),
    Review(ReviewRequest),
}

/// A reply, and what the daemon was asked for it.
struct Reply {
    status: u16,
    body: Vec<u8>,
    calls: Vec<Call>,
}

impl Reply {
    /// A reply says in one way how it went, a refused request has done nothing, and who only asks
    /// changes nothing.
    fn check(&self, method: &str) {
        let Self {
            status,
            body,
            calls,
        } = self;
        let understood = matches!(status, 200 | 501);
        assert_eq!(calls.len(), usize::from(understood), "{status}: {calls:?}");
        assert!(
            matches!(status, 200 | 400 | 404 | 405 | 413 | 501),
            "{status}"
        );
        if matches!(method, "GET" | "HEAD") {
            let asks = |call: &Call| match call {
                Call::Question | Call::Jobs(_) | Call::File(_) | Call::Entries(_) => true,
                Call::Review(request) => matches!(request, ReviewRequest::Findings { .. }),
                Call::Order
                | Call::AddEntries(_)
                | Call::Enqueue(_)
                | Call::Select(_)
                | Call::Preview(_)
                | Call::Retry(_)
                | Call::Cancel(_) => false,
            };
            assert!(calls.iter().all(asks), "{calls:?}");
        } else if method != "POST" {
            assert!(calls.is_empty(), "{method}: {calls:?}");
        }
        if *status != 200 && method != "HEAD" {
            let refusal = serde_json::from_slice::<Refusal>(body).ok();
            assert!(
                refusal.is_some_and(
                    |refusal| refusal.code.status() == *status && !refusal.message.is_empty()
                ),
                "{status}: {}",
                String::from_utf8_lossy(body)
            );
        }
    }
}

fn post(route: &str, body: &impl Serialize) -> Option<Reply> {
    ask("POST", route, &serde_json::to_vec(body).unwrap_or_default())
}

/// Asks the routes, without a socket. `None` if it is no request of HTTP.
fn ask(method: &str, target: &str, body: &[u8]) -> Option<Reply> {
    thread_local! {
        static RUNTIME: Option<Runtime> =
            Builder::new_current_thread().enable_time().build().ok();
    }
    let method = Method::from_bytes(method.as_bytes()).ok()?;
    let request = Request::builder().method(method).uri(target);
    let request = request.body(Body::from(body.to_vec())).ok()?;
    let listening = Arc::new(Listening::default());
    let control: Arc<dyn Control> = listening.clone();
    let (status, body) = RUNTIME.with(|runtime| {
        let shared = Shared::new(control, CancellationToken::new(), 1);
        runtime.as_ref()?.block_on(async {
            let service = TowerToHyperService::new(router(shared));
            let Ok(reply) = service.call(request).await;
            let status = reply.status().as_u16();
            // A stream of events has no end.
            let is_stream = reply.headers().contains_key("cache-control");
            let body = if is_stream {
                Vec::new()
            } else {
                reply.into_body().collect().await.ok()?.to_bytes().into()
            };
            Some((status, body))
        })
    })?;
    let calls = std::mem::take(&mut *listening.calls());
    Some(Reply {
        status,
        body,
        calls,
    })
}

/// A daemon that does nothing, and knows what it was asked.
#[derive(Default)]
struct Listening {
    calls: Mutex<Vec<Call>>,
    events: Events,
}

impl Listening {
    fn calls(&self) -> std::sync::MutexGuard<'_, Vec<Call>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note<T: Send + 'static>(&self, call: Call) -> Answer<'static, T> {
        self.calls().push(call);
        let refusal = Refusal::new(RefusalCode::NotImplemented, "nothing is done here");
        Box::pin(ready(Err(refusal)))
    }
}

impl Control for Listening {
    fn status(&self) -> Answer<'_, Status> {
        self.note(Call::Question)
    }
    fn jobs(&self, query: JobsQuery) -> Answer<'_, Jobs> {
        self.note(Call::Jobs(query))
    }
    fn file(&self, query: FileQuery) -> Answer<'_, FileStory> {
        self.note(Call::File(query))
    }
    fn cache(&self) -> Answer<'_, CacheInfo> {
        self.note(Call::Question)
    }
    fn cache_entries(&self, query: EntriesQuery) -> Answer<'_, CacheEntries> {
        self.note(Call::Entries(query))
    }
    fn add_cache_entries(&self, request: CacheEntries) -> Answer<'_, Imported> {
        self.note(Call::AddEntries(request))
    }
    fn enqueue(&self, request: EnqueueRequest) -> Answer<'_, Enqueued> {
        self.note(Call::Enqueue(request))
    }
    fn select(&self, request: EnqueueRequest) -> Answer<'_, Selected> {
        self.note(Call::Select(request))
    }
    fn preview(&self, request: PreviewRequest) -> Answer<'_, Preview> {
        self.note(Call::Preview(request))
    }
    fn retry(&self, request: FileRequest) -> Answer<'_, Retried> {
        self.note(Call::Retry(request))
    }
    fn cancel(&self, request: FileRequest) -> Answer<'_, Cancelled> {
        self.note(Call::Cancel(request))
    }
    fn usage(&self) -> Answer<'_, UsageInfo> {
        self.note(Call::Question)
    }
    fn set_paused(&self, paused: bool) -> Answer<'_, Paused> {
        self.calls().push(Call::Order);
        let changed = true;
        Box::pin(ready(Ok(Paused { paused, changed })))
    }
    fn resume_over_budget(&self) -> Answer<'_, OverBudget> {
        self.note(Call::Order)
    }
    fn review(&self, request: ReviewRequest) -> Answer<'_, ReviewReply> {
        self.note(Call::Review(request))
    }
    fn reload(&self) -> Answer<'_, Reloaded> {
        self.note(Call::Order)
    }
    fn gc(&self) -> Answer<'_, Gc> {
        self.note(Call::Order)
    }
    fn clear(&self) -> Answer<'_, Cleared> {
        self.note(Call::Order)
    }
    fn stop(&self) -> Answer<'_, Stopping> {
        self.note(Call::Order)
    }
    fn events(&self) -> broadcast::Receiver<Frame> {
        self.calls().push(Call::Question);
        self.events.subscribe()
    }
}

#[cfg(test)]
#[path = "../../../fuzz/replay.rs"]
mod replay;

#[cfg(test)]
mod tests {
    use super::replay::replay;
    use super::*;

    #[test]
    fn the_corpus_of_streams_holds() {
        replay("event_stream", event_stream);
    }

    #[test]
    fn the_corpus_of_requests_holds() {
        replay("control_request", control_request);
    }
}
