//! The request log: what was asked, when, and what came of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::ask::Ask;
use crate::script::BadBody;

/// Where a request came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Endpoint {
    /// `POST /v1/chat/completions`.
    #[serde(rename = "openai")]
    OpenAi,
    /// `POST /v1/messages`.
    Anthropic,
    /// `POST /api/chat`.
    Ollama,
}

/// One request to a model, as the simulator saw it. Lists of models are not logged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts of one request"
)]
pub struct RequestRecord {
    /// Number, from 1, since the simulator started.
    pub id: u64,
    /// When its last byte had arrived, in milliseconds since the simulator started.
    pub arrived_ms: f64,
    /// The same in microseconds since 1970.
    pub arrived_unix_us: u64,
    /// When the reply was handed over whole, ended by a fault, or the client was gone; absent
    /// while the request is open.
    pub ended_ms: Option<f64>,
    /// Where it came in.
    pub endpoint: Endpoint,
    /// The model asked.
    pub model: String,
    /// The source file's path.
    pub path: Option<String>,
    /// The source file's language.
    pub language: Option<String>,
    /// The members asked for.
    pub members: Vec<String>,
    /// Whether failures were shown with the wish to mend them.
    pub repair: bool,
    /// Most tokens wanted.
    pub max_tokens: Option<u64>,
    /// Sampling temperature.
    pub temperature: Option<f64>,
    /// `response_format`'s type, or `delimiter` if that form was asked for.
    pub format: Option<String>,
    /// Whether the reply was to be streamed.
    pub stream: bool,
    /// How many requests were open when it arrived, this one included.
    pub open: usize,
    /// The reply's status, once there is one.
    pub status: Option<u16>,
    /// The fault played for the whole reply.
    pub fault: Option<String>,
    /// Why the request was refused as it was, if it was.
    pub rejected: Option<String>,
    /// Members that were given bad code.
    pub bad_bodies: BTreeMap<String, BadBody>,
    /// Whether the whole reply was handed over to the client.
    pub finished: bool,
    /// Whether the client left before that.
    pub client_gone: bool,
    /// Tokens of the prompt, as estimated here.
    pub tokens_in: u64,
    /// Tokens of the answer, as estimated here.
    pub tokens_out: u64,
    /// The request's body, if the script says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
}

/// All requests so far.
#[derive(Debug)]
pub(crate) struct Log {
    started: Instant,
    state: Mutex<State>,
    /// Tells whoever waits that a count changed.
    counts: watch::Sender<Counts>,
}

/// How many requests there are, since the log was cleared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Arrived.
    pub arrived: u64,
    /// Open now, those from before the clearing included.
    pub open: usize,
    /// The most that were open at once. A request whose client left is open until its connection
    /// is seen to be closed, a moment later.
    pub max_open: usize,
    /// Handed over whole, error statuses included.
    pub finished: u64,
}

#[derive(Debug, Default)]
struct State {
    records: BTreeMap<u64, RequestRecord>,
    last_id: u64,
    counts: Counts,
    closing: bool,
}

impl Log {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            started: Instant::now(),
            state: Mutex::default(),
            counts: watch::Sender::default(),
        })
    }

    pub(crate) fn started(&self) -> Instant {
        self.started
    }

    pub(crate) fn records(&self) -> Vec<RequestRecord> {
        self.lock().records.values().cloned().collect()
    }

    pub(crate) fn counts(&self) -> Counts {
        self.lock().counts
    }

    /// Waits until the counts are as wanted.
    pub(crate) async fn until(&self, wanted: impl FnMut(&Counts) -> bool) {
        // The sender lives as long as this, so there is no error but in theory.
        if self.counts.subscribe().wait_for(wanted).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Forgets the requests so far; those still open are no longer logged, but counted as open.
    pub(crate) fn clear(&self) {
        let mut state = self.lock();
        state.records.clear();
        let open = state.counts.open;
        state.counts = Counts {
            open,
            max_open: open,
            ..Counts::default()
        };
        self.counts.send_replace(state.counts);
    }

    /// From now on, requests that end are not the client's doing.
    pub(crate) fn close(&self) {
        self.lock().closing = true;
    }

    /// Logs a request; it is open until the entry is finished or dropped.
    pub(crate) fn enter(self: &Arc<Self>, ask: &Ask, keep_body: bool) -> Entry {
        let mut state = self.lock();
        let counts = &mut state.counts;
        counts.arrived += 1;
        counts.open += 1;
        counts.max_open = counts.max_open.max(counts.open);
        let open = counts.open;
        state.last_id += 1;
        let id = state.last_id;
        let record = RequestRecord {
            id,
            arrived_ms: self.now_ms(),
            arrived_unix_us: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .ok()
                .and_then(|since| u64::try_from(since.as_micros()).ok())
                .unwrap_or(0),
            ended_ms: None,
            endpoint: ask.endpoint,
            model: ask.model.clone(),
            path: ask.prompt.path.clone(),
            language: ask.prompt.language.map(|language| language.to_string()),
            members: ask.prompt.members.clone(),
            repair: ask.prompt.repair,
            max_tokens: ask.max_tokens,
            temperature: ask.temperature,
            format: ask.format_name(),
            stream: ask.stream,
            open,
            status: None,
            fault: None,
            rejected: ask.problem.as_ref().map(|problem| problem.message.clone()),
            bad_bodies: BTreeMap::new(),
            finished: false,
            client_gone: false,
            tokens_in: ask.tokens_in,
            tokens_out: 0,
            body: keep_body.then(|| ask.body.clone()),
        };
        state.records.insert(id, record);
        self.counts.send_replace(state.counts);
        Entry {
            log: Arc::clone(self),
            id,
            open: true,
        }
    }

    fn now_ms(&self) -> f64 {
        self.started.elapsed().as_secs_f64() * 1e3
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An open request. Dropping it before it ended means that the client left.
#[derive(Debug)]
pub(crate) struct Entry {
    log: Arc<Log>,
    id: u64,
    open: bool,
}

impl Entry {
    pub(crate) const fn id(&self) -> u64 {
        self.id
    }

    /// Adds to what is logged of the request.
    pub(crate) fn note(&self, change: impl FnOnce(&mut RequestRecord)) {
        if let Some(record) = self.log.lock().records.get_mut(&self.id) {
            change(record);
        }
    }

    /// The reply was handed over whole.
    pub(crate) fn finish(&mut self) {
        self.end(|state, id| {
            state.counts.finished += 1;
            if let Some(record) = state.records.get_mut(&id) {
                record.finished = true;
            }
        });
    }

    /// A fault ended the reply before its end.
    pub(crate) fn break_off(&mut self) {
        self.end(|_, _| ());
    }

    fn end(&mut self, change: impl FnOnce(&mut State, u64)) {
        if !std::mem::take(&mut self.open) {
            return;
        }
        let now = self.log.now_ms();
        let mut state = self.log.lock();
        state.counts.open -= 1;
        if let Some(record) = state.records.get_mut(&self.id) {
            record.ended_ms = Some(now);
        }
        change(&mut state, self.id);
        self.log.counts.send_replace(state.counts);
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.end(|state, id| {
            let gone = !state.closing;
            if let Some(record) = state.records.get_mut(&id) {
                record.client_gone = gone;
            }
        });
    }
}
