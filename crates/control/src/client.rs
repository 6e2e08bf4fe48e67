//! The other end: what asks a daemon.

mod targets;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::body::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::task::JoinSet;

use crate::address::{Address, SOCKET, is_dir};
use crate::decode::Decoder;
use crate::protocol::{
    CacheEntries, CacheInfo, Cancelled, Cleared, EnqueueRequest, Enqueued, EntriesQuery, Event,
    FileQuery, FileRequest, FileStory, Gc, Imported, Jobs, JobsQuery, OverBudget, Paused, Preview,
    PreviewRequest, Refusal, Reloaded, Retried, ReviewReply, ReviewRequest, Selected, Stamped,
    Status, Stopping, UsageInfo,
};

pub(crate) use self::targets::{entries_route, file_route, jobs_route};

/// How long it may take to be connected, and for a reply to be there.
const CONNECT_LIMIT: Duration = Duration::from_secs(2);
const REPLY_LIMIT: Duration = Duration::from_secs(10);

/// For a request that walks the tree and asks git.
const LONG_REPLY_LIMIT: Duration = Duration::from_mins(2);

/// For a request that may ask the model, with all its attempts and waits.
const MODEL_REPLY_LIMIT: Duration = Duration::from_mins(30);

/// The longest reply: a job for each of a few hundred thousand files.
const REPLY_BYTES: usize = 256 << 20;

/// Asks the daemon that holds a state directory. Each request has a connection of its own.
#[derive(Debug, Clone)]
pub struct Client {
    state_dir: PathBuf,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens.
    #[error("no daemon runs for `{}`", .0.display())]
    NoDaemon(PathBuf),
    /// Whether somebody listens cannot be told.
    #[error(
        "cannot look into the state directory `{}`; see that it is yours and has mode 700, or name \
         another --state-dir", path.display()
    )]
    StateDir {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The socket cannot be reached.
    #[error("cannot connect to `{}`", path.display())]
    Connect {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The daemon does not answer in time.
    #[error("the daemon did not answer within {} s; it may be hanging or stopped", .0.as_secs())]
    TimedOut(Duration),
    /// The daemon says no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The connection broke.
    #[error("the connection to the daemon broke")]
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// What came is no answer of this protocol.
    #[error("the daemon's answer cannot be read; it may be of another version: restart it")]
    Unreadable(#[from] serde_json::Error),
}

impl Client {
    /// A client of the daemon that holds `state_dir`.
    pub fn new(state_dir: impl Into<PathBuf>) -> Self {
        Self {
            state_dir: state_dir.into(),
        }
    }

    /// Whether somebody listens. Asks nothing, so that it takes no time even where a daemon hangs.
    pub async fn is_running(&self) -> Result<bool, ClientError> {
        match connect(&self.state_dir).await {
            Ok(_) => Ok(true),
            Err(ClientError::NoDaemon(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The whole picture.
    pub async fn status(&self) -> Result<Status, ClientError> {
        self.get("/v1/status").await
    }

    /// The jobs in the queue.
    pub async fn jobs(&self, query: &JobsQuery) -> Result<Jobs, ClientError> {
        self.get(&jobs_route(query)).await
    }

    /// All that is known of a file.
    pub async fn file(&self, query: &FileQuery) -> Result<FileStory, ClientError> {
        self.get(&file_route(query)).await
    }

    /// The cache of answers.
    pub async fn cache(&self) -> Result<CacheInfo, ClientError> {
        self.get("/v1/cache").await
    }

    /// A page of the answers in the cache.
    pub async fn cache_entries(&self, query: &EntriesQuery) -> Result<CacheEntries, ClientError> {
        self.get(&entries_route(query)).await
    }

    /// Takes in answers of another cache: several short ones, or a single long one.
    pub async fn add_cache_entries(&self, request: &CacheEntries) -> Result<Imported, ClientError> {
        self.post("/v1/cache/entries", request, LONG_REPLY_LIMIT)
            .await
    }

    /// Makes jobs of files.
    pub async fn enqueue(&self, request: &EnqueueRequest) -> Result<Enqueued, ClientError> {
        self.post("/v1/enqueue", request, LONG_REPLY_LIMIT).await
    }

    /// The files that [`Client::enqueue`] would make jobs of.
    pub async fn select(&self, request: &EnqueueRequest) -> Result<Selected, ClientError> {
        self.post("/v1/select", request, LONG_REPLY_LIMIT).await
    }

    /// What bringing a file up to date would write.
    pub async fn preview(&self, request: &PreviewRequest) -> Result<Preview, ClientError> {
        let limit = if request.ask {
            MODEL_REPLY_LIMIT
        } else {
            LONG_REPLY_LIMIT
        };
        self.post("/v1/preview", request, limit).await
    }

    /// Makes waiting and parked jobs ready.
    pub async fn retry(&self, request: &FileRequest) -> Result<Retried, ClientError> {
        self.post("/v1/retry", request, REPLY_LIMIT).await
    }

    /// Drops jobs.
    pub async fn cancel(&self, request: &FileRequest) -> Result<Cancelled, ClientError> {
        self.post("/v1/cancel", request, REPLY_LIMIT).await
    }

    /// What models cost, against the budgets.
    pub async fn usage(&self) -> Result<UsageInfo, ClientError> {
        self.get("/v1/usage").await
    }

    /// Lets workers take up nothing more, or go on.
    pub async fn set_paused(&self, paused: bool) -> Result<Paused, ClientError> {
        let route = if paused { "/v1/pause" } else { "/v1/resume" };
        self.order(route).await
    }

    /// The user's word on what was found out.
    pub async fn review(&self, request: &ReviewRequest) -> Result<ReviewReply, ClientError> {
        self.post("/v1/review", request, LONG_REPLY_LIMIT).await
    }

    /// Lifts the budgets that hold jobs back, each until its window's end.
    pub async fn resume_over_budget(&self) -> Result<OverBudget, ClientError> {
        self.order("/v1/resume-over-budget").await
    }

    /// Reads the configuration anew.
    pub async fn reload(&self) -> Result<Reloaded, ClientError> {
        self.order("/v1/reload").await
    }

    /// Removes what is too old or too much from the cache.
    pub async fn gc(&self) -> Result<Gc, ClientError> {
        self.post("/v1/gc", &Nothing {}, LONG_REPLY_LIMIT).await
    }

    /// Empties the cache.
    pub async fn clear(&self) -> Result<Cleared, ClientError> {
        self.post("/v1/clear", &Nothing {}, LONG_REPLY_LIMIT).await
    }

    /// Ends the daemon. It has still to finish what runs when this returns.
    pub async fn stop(&self) -> Result<Stopping, ClientError> {
        self.order("/v1/stop").await
    }

    /// What happens from now on: everything after this has returned is in the stream.
    pub async fn events(&self) -> Result<EventStream, ClientError> {
        let request = request(Method::GET, "/v1/events", Bytes::new())?;
        let (reply, connection) = timed(REPLY_LIMIT, self.send(request)).await?;
        let reply = successful(reply).await?;
        Ok(EventStream {
            body: reply.into_body(),
            decoder: Decoder::default(),
            _connection: connection,
        })
    }

    async fn get<T: DeserializeOwned>(&self, route: &str) -> Result<T, ClientError> {
        self.ask(request(Method::GET, route, Bytes::new())?, REPLY_LIMIT)
            .await
    }

    async fn order<T: DeserializeOwned>(&self, route: &str) -> Result<T, ClientError> {
        self.post(route, &Nothing {}, REPLY_LIMIT).await
    }

    async fn post<T: DeserializeOwned>(
        &self,
        route: &str,
        body: &impl Serialize,
        limit: Duration,
    ) -> Result<T, ClientError> {
        let body = serde_json::to_vec(body)?;
        self.ask(request(Method::POST, route, body.into())?, limit)
            .await
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        request: Request<Full<Bytes>>,
        limit: Duration,
    ) -> Result<T, ClientError> {
        timed(limit, async {
            let (reply, _connection) = self.send(request).await?;
            let body = read(successful(reply).await?).await?;
            Ok(serde_json::from_slice(&body)?)
        })
        .await
    }

    /// The reply, and the connection that must live as long as its body is read.
    async fn send(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<(Response<Incoming>, JoinSet<()>), ClientError> {
        let stream = connect(&self.state_dir).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(broken)?;
        let mut driver = JoinSet::new();
        driver.spawn(async move {
            // What goes wrong here is told to whoever waits for the reply.
            let _ = connection.await;
        });
        let reply = sender.send_request(request).await.map_err(broken)?;
        Ok((reply, driver))
    }
}

/// The body of an order that needs no more words.
#[derive(Serialize)]
struct Nothing {}

async fn timed<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, ClientError>>,
) -> Result<T, ClientError> {
    tokio::time::timeout(limit, work)
        .await
        .unwrap_or(Err(ClientError::TimedOut(limit)))
}

async fn connect(state_dir: &Path) -> Result<UnixStream, ClientError> {
    let no_daemon = || ClientError::NoDaemon(state_dir.to_owned());
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => no_daemon(),
        _ => ClientError::Connect {
            path: state_dir.join(SOCKET),
            source,
        },
    };
    match is_dir(state_dir) {
        Ok(true) => {}
        Ok(false) => return Err(no_daemon()),
        Err(source) => {
            return Err(ClientError::StateDir {
                path: state_dir.to_owned(),
                source,
            });
        }
    }
    let address = Address::of(state_dir).map_err(failed)?;
    timed(CONNECT_LIMIT, async {
        UnixStream::connect(address.path()).await.map_err(failed)
    })
    .await
}

fn request(method: Method, route: &str, body: Bytes) -> Result<Request<Full<Bytes>>, ClientError> {
    Request::builder()
        .method(method)
        .uri(route)
        .header("host", "testsmith")
        .header("content-type", "application/json")
        .body(Full::new(body))
        .map_err(broken)
}

/// The reply, if it is no refusal.
async fn successful(reply: Response<Incoming>) -> Result<Response<Incoming>, ClientError> {
    if reply.status().is_success() {
        return Ok(reply);
    }
    let refusal: Refusal = serde_json::from_slice(&read(reply).await?)?;
    Err(refusal.into())
}

async fn read(reply: Response<Incoming>) -> Result<Bytes, ClientError> {
    let body = Limited::new(reply.into_body(), REPLY_BYTES);
    let collected = body.collect().await.map_err(ClientError::Broken)?;
    Ok(collected.to_bytes())
}

pub(crate) fn broken(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ClientError {
    ClientError::Broken(error.into())
}

/// Events as they come.
#[derive(Debug)]
pub struct EventStream {
    body: Incoming,
    decoder: Decoder,
    _connection: JoinSet<()>,
}

impl EventStream {
    /// The next event; `None` at the end of the daemon. May be dropped while it waits.
    pub async fn next(&mut self) -> Option<Result<Stamped, ClientError>> {
        loop {
            if let Some(event) = self.decoder.next() {
                return Some(event);
            }
            match self.body.frame().await? {
                Ok(frame) => {
                    if let Ok(data) = frame.into_data() {
                        self.decoder.push(&data);
                    }
                }
                Err(error) => return Some(Err(broken(error))),
            }
        }
    }
}

impl Event {
    /// The file that it is about, with its job.
    pub fn job(&self) -> Option<(u64, &str, &testsmith_domain::RelPath)> {
        match self {
            Self::Queued {
                job_id, root, path, ..
            }
            | Self::Started { job_id, root, path }
            | Self::Cancelled { job_id, root, path } => Some((*job_id, root, path)),
            Self::Ended(ended) => Some((ended.job_id, &ended.root, &ended.path)),
            Self::Paused | Self::Resumed | Self::Stopping | Self::Lagged { .. } | Self::Unknown => {
                None
            }
        }
    }
}
