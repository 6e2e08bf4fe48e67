//! The socket with a daemon that only tells events: who may, who is slow, what is left behind.

#![expect(clippy::unwrap_used, reason = "a test that cannot look has to fail")]

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use testsmith_control::{
    Answer, CacheEntries, CacheInfo, Cancelled, Cleared, Client, ClientError, Control, ENTRY_BYTES,
    EnqueueRequest, Enqueued, EntriesQuery, Event, EventStream, Events, FileQuery, FileRequest,
    FileStory, Frame, Gc, Imported, JobInfo, JobKind, Jobs, JobsQuery, Listener, OverBudget,
    Paused, Preview, PreviewRequest, Refusal, RefusalCode, Reloaded, Retried, ReviewReply,
    ReviewRequest, SOCKET, Selected, Status, Stopping, Timestamp, UsageInfo,
};
use testsmith_domain::{CacheEntry, CacheKey, CachedBody, ContentHash, Lane, RelPath};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::sync::broadcast;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

#[derive(Debug, Default)]
struct Fake {
    events: Events,
}

fn not_here<T>() -> Answer<'static, T>
where
    T: Send + 'static,
{
    let refusal = Refusal::new(RefusalCode::NotImplemented, "not in this test");
    Box::pin(std::future::ready(Err(refusal)))
}

fn key(number: u8) -> CacheKey {
    CacheKey::from(ContentHash::of(&[number]))
}

fn entry(key: CacheKey, code: String) -> CacheEntry {
    let model = "m".to_owned();
    CacheEntry {
        key,
        created: 7,
        body: CachedBody { code, model },
    }
}

impl Control for Fake {
    fn status(&self) -> Answer<'_, Status> {
        not_here()
    }
    fn jobs(&self, query: JobsQuery) -> Answer<'_, Jobs> {
        let path = query.path.map_or_else(|| "all".to_owned(), |path| path.0);
        let job = JobInfo {
            job_id: query.states.len() as u64,
            root: "/".to_owned(),
            path: RelPath::new(path).unwrap(),
            state: JobKind::Pending,
            lane: Lane::Bulk,
            enqueued: Timestamp::now(),
            failures: 0,
            until: None,
            reason: None,
            woken: None,
            removed: false,
        };
        Box::pin(std::future::ready(Ok(Jobs {
            jobs: vec![job],
            live: true,
        })))
    }
    fn file(&self, _: FileQuery) -> Answer<'_, FileStory> {
        not_here()
    }
    fn cache(&self) -> Answer<'_, CacheInfo> {
        not_here()
    }
    fn cache_entries(&self, query: EntriesQuery) -> Answer<'_, CacheEntries> {
        // One that tells what was asked.
        let key = query.after.unwrap_or_else(|| key(0));
        let entry = entry(key, String::new());
        let entries = vec![entry];
        Box::pin(std::future::ready(Ok(CacheEntries { entries })))
    }
    fn add_cache_entries(&self, request: CacheEntries) -> Answer<'_, Imported> {
        let done = Imported {
            added: request.entries.len() as u64,
            ..Imported::default()
        };
        Box::pin(std::future::ready(Ok(done)))
    }
    fn enqueue(&self, _: EnqueueRequest) -> Answer<'_, Enqueued> {
        not_here()
    }
    fn select(&self, _: EnqueueRequest) -> Answer<'_, Selected> {
        not_here()
    }
    fn preview(&self, _: PreviewRequest) -> Answer<'_, Preview> {
        not_here()
    }
    fn retry(&self, request: FileRequest) -> Answer<'_, Retried> {
        let woken = request.paths.len() as u64;
        Box::pin(std::future::ready(Ok(Retried {
            woken,
            unknown: Vec::new(),
        })))
    }
    fn cancel(&self, _: FileRequest) -> Answer<'_, Cancelled> {
        not_here()
    }
    fn usage(&self) -> Answer<'_, UsageInfo> {
        not_here()
    }
    fn set_paused(&self, _: bool) -> Answer<'_, Paused> {
        not_here()
    }
    fn resume_over_budget(&self) -> Answer<'_, OverBudget> {
        not_here()
    }
    fn reload(&self) -> Answer<'_, Reloaded> {
        not_here()
    }
    fn clear(&self) -> Answer<'_, Cleared> {
        not_here()
    }
    fn gc(&self) -> Answer<'_, Gc> {
        not_here()
    }
    fn review(&self, _: ReviewRequest) -> Answer<'_, ReviewReply> {
        Box::pin(std::future::ready(Ok(ReviewReply::Settled(Vec::new()))))
    }
    fn stop(&self) -> Answer<'_, Stopping> {
        not_here()
    }
    fn events(&self) -> broadcast::Receiver<Frame> {
        self.events.subscribe()
    }
}

/// A server, stopped by [`Served::stop`].
struct Served {
    fake: Arc<Fake>,
    stop: CancellationToken,
    task: JoinSet<()>,
}

impl Served {
    fn start(state_dir: &Path) -> Self {
        let listener = Listener::bind(state_dir).unwrap();
        let fake = Arc::new(Fake::default());
        let stop = CancellationToken::new();
        let mut task = JoinSet::new();
        let control: Arc<dyn Control> = fake.clone();
        task.spawn(listener.serve(control, stop.clone()));
        Self { fake, stop, task }
    }

    async fn stop(mut self) {
        self.stop.cancel();
        self.task.join_next().await.unwrap().unwrap();
    }

    /// An event that tells its number.
    fn say(&self, number: u64) {
        self.fake.events.say(Event::Started {
            job_id: number,
            root: "/home/me/a project with a name of some length".to_owned(),
            path: RelPath::new("src/shop/cart.go").unwrap(),
        });
    }
}

async fn next(stream: &mut EventStream) -> Event {
    stream.next().await.unwrap().unwrap().event
}

#[tokio::test]
async fn requests_are_answered_and_nonsense_is_refused_in_json() {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::start(dir.path());
    let socket = dir.path().join(SOCKET);
    assert_eq!(
        socket.metadata().unwrap().permissions().mode() & 0o777,
        0o600
    );
    let client = Client::new(dir.path());
    let query = JobsQuery {
        states: vec![JobKind::Waiting, JobKind::Parked],
        path: Some(testsmith_control::Pattern("a b&c=d/é".to_owned())),
        limit: Some(3),
    };
    let jobs = client.jobs(&query).await.unwrap();
    assert_eq!(jobs.jobs[0].path.as_str(), "a b&c=d/é");
    assert_eq!(jobs.jobs[0].job_id, 2, "both states arrive");
    let Err(ClientError::Refused(refusal)) = client.status().await else {
        panic!("a refusal is one");
    };
    assert_eq!(refusal.code, RefusalCode::NotImplemented);
    let adopt = ReviewRequest::Adopt { path: "x".into() };
    let settled = client.review(&adopt).await.unwrap();
    assert_eq!(settled, ReviewReply::Settled(Vec::new()));

    for (request, status) in [
        ("GET /v1/nothing HTTP/1.1", "404"),
        ("GET /v1/stop HTTP/1.1", "405"),
        ("POST /v1/jobs HTTP/1.1", "405"),
        ("GET /v1/jobs?stat=pending HTTP/1.1", "400"),
        ("GET /v1/jobs?state=dreaming HTTP/1.1", "400"),
        ("GET /v1/file HTTP/1.1", "400"),
        ("GET /v1/file?path=../x HTTP/1.1", "400"),
        ("GET /v1/cache/entries?after=zz HTTP/1.1", "400"),
        ("GET /v1/cache/entries?limit=1 HTTP/1.1", "400"),
        ("GET /v1/cache/entries?behind=x HTTP/1.1", "400"),
        ("POST /v1/cache/entries HTTP/1.1", "400"),
        ("PUT /v1/cache/entries HTTP/1.1", "405"),
        ("NONSENSE", "400"),
    ] {
        let reply = raw(
            &socket,
            &format!("{request}\r\nhost: x\r\nconnection: close\r\n\r\n"),
        )
        .await;
        assert!(
            reply.starts_with(&format!("HTTP/1.1 {status}")),
            "{request}: {reply}"
        );
        if request != "NONSENSE" {
            let body = reply.split("\r\n\r\n").nth(1).unwrap();
            let refusal: Refusal = serde_json::from_str(body).unwrap();
            assert_eq!(refusal.code.status().to_string(), status);
        }
    }
    served.stop().await;
    assert!(!socket.exists(), "it is removed");
    assert!(matches!(
        client.jobs(&JobsQuery::default()).await,
        Err(ClientError::NoDaemon(_))
    ));
}

#[tokio::test]
async fn heads_and_bodies_are_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::start(dir.path());
    let socket = dir.path().join(SOCKET);
    let mut many = String::from("GET /v1/jobs HTTP/1.1\r\nhost: x\r\n");
    for number in 0..200 {
        let _ = write!(many, "x-{number}: y\r\n");
    }
    let reply = raw(&socket, &format!("{many}\r\n")).await;
    assert!(reply.starts_with("HTTP/1.1 431"), "{reply}");
    let long = format!(
        "GET /v1/jobs HTTP/1.1\r\nhost: {}\r\n\r\n",
        "x".repeat(100_000)
    );
    let reply = raw(&socket, &long).await;
    assert!(reply.starts_with("HTTP/1.1 431"), "{reply}");
    let body = format!("{{\"paths\":[\"{}\"]}}", "x".repeat(2 << 20));
    let length = body.len();
    let large = format!(
        "POST /v1/retry HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    let reply = raw(&socket, &large).await;
    assert!(reply.starts_with("HTTP/1.1 413"), "{reply}");
    served.stop().await;
}

#[tokio::test]
async fn answers_are_asked_for_and_told() {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::start(dir.path());
    let client = Client::new(dir.path());
    let after = EntriesQuery {
        after: Some(key(9)),
    };
    for (query, wanted) in [
        (EntriesQuery::default(), entry(key(0), String::new())),
        (after, entry(key(9), String::new())),
    ] {
        let page = client.cache_entries(&query).await.unwrap();
        assert_eq!(page.entries, [wanted]);
    }

    // Longer than any other body may be.
    let long = entry(key(1), "x".repeat(ENTRY_BYTES - 200));
    let entries = vec![long.clone()];
    let done = client.add_cache_entries(&CacheEntries { entries }).await;
    assert_eq!(done.unwrap().added, 1);
    let entries = vec![long.clone(), long];
    let refused = client.add_cache_entries(&CacheEntries { entries }).await;
    // The server may hang up before it has read all.
    assert!(refused.is_err(), "{refused:?}");

    let socket = dir.path().join(SOCKET);
    let good = serde_json::to_string(&entry(key(1), "x".to_owned())).unwrap();
    let digest = key(1).to_string();
    for (body, wanted) in [
        (format!("{{\"entries\":[{good}]}}"), "\"added\":1"),
        (
            format!("{{\"entries\":[{}]}}", good.replace(&digest, "zz")),
            "a digest has 64 hex digits",
        ),
        (
            format!("{{\"entries\":[{}]}}", good.replace("\"code\"", "\"text\"")),
            "missing field `code`",
        ),
        ("{}".to_owned(), "missing field `entries`"),
    ] {
        let length = body.len();
        let head = "POST /v1/cache/entries HTTP/1.1\r\nhost: x\r\nconnection: close";
        let request = format!("{head}\r\ncontent-length: {length}\r\n\r\n{body}");
        let reply = raw(&socket, &request).await;
        assert!(reply.contains(wanted), "{body}: {reply}");
    }
    served.stop().await;
}

/// Sends bytes as they are and reads what comes until the end.
async fn raw(socket: &Path, request: &str) -> String {
    let mut stream = UnixStream::connect(socket).await.unwrap();
    // The server may hang up before it has read all.
    let _ = stream.write_all(request.as_bytes()).await;
    let mut reply = Vec::new();
    let _ = stream.read_to_end(&mut reply).await;
    String::from_utf8_lossy(&reply).into_owned()
}

#[tokio::test]
async fn a_hundred_readers_get_every_event() {
    const EVENTS: u64 = 500;
    let dir = tempfile::tempdir().unwrap();
    let served = Served::start(dir.path());
    let client = Client::new(dir.path());
    let mut readers = JoinSet::new();
    for _ in 0..100 {
        let mut stream = client.events().await.unwrap();
        readers.spawn(async move {
            for wanted in 0..EVENTS {
                let event = next(&mut stream).await;
                assert!(matches!(event, Event::Started { job_id, .. } if job_id == wanted));
            }
        });
    }
    for number in 0..EVENTS {
        served.say(number);
    }
    while let Some(reader) = readers.join_next().await {
        reader.unwrap();
    }
    served.stop().await;
}

#[tokio::test]
async fn a_stalled_reader_loses_events_and_holds_nobody_up() {
    const EVENTS: u64 = 20_000;
    let dir = tempfile::tempdir().unwrap();
    let served = Served::start(dir.path());
    let client = Client::new(dir.path());
    let mut stalled = client.events().await.unwrap();
    let mut quick = client.events().await.unwrap();
    for number in 0..EVENTS {
        served.say(number);
        // The quick one reads along: it is the daemon's pace that is looked at.
        let event = next(&mut quick).await;
        assert!(matches!(event, Event::Started { job_id, .. } if job_id == number));
    }
    let (mut seen, mut missed) = (0, 0);
    loop {
        match next(&mut stalled).await {
            Event::Started { job_id, .. } => {
                assert_eq!(job_id, seen + missed, "none is lost without a word");
                seen += 1;
                if job_id == EVENTS - 1 {
                    break;
                }
            }
            Event::Lagged { missed: some } => missed += some,
            other => panic!("{other:?}"),
        }
    }
    assert!(
        missed > 0,
        "more than the buffers hold was said: {seen} seen"
    );
    served.stop().await;
}

#[tokio::test]
async fn a_socket_left_behind_is_replaced_and_anything_else_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join(SOCKET);
    // Bound and dropped without being removed, as by a killed process.
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    assert!(socket.exists());
    let client = Client::new(dir.path());
    assert!(matches!(
        client.cache().await,
        Err(ClientError::NoDaemon(_))
    ));
    let served = Served::start(dir.path());
    client.jobs(&JobsQuery::default()).await.unwrap();
    served.stop().await;

    std::fs::write(&socket, "mine").unwrap();
    assert!(Listener::bind(dir.path()).is_err());
    assert_eq!(std::fs::read_to_string(&socket).unwrap(), "mine");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_path_longer_than_an_address_will_do() {
    let dir = tempfile::tempdir().unwrap();
    let deep = dir.path().join("d".repeat(100)).join("e".repeat(100));
    std::fs::create_dir_all(&deep).unwrap();
    let served = Served::start(&deep);
    assert!(deep.join(SOCKET).exists());
    let client = Client::new(&deep);
    client.jobs(&JobsQuery::default()).await.unwrap();
    served.stop().await;
    assert!(!deep.join(SOCKET).exists());
}

#[tokio::test]
async fn the_stream_ends_with_the_server() {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::start(dir.path());
    let mut stream = Client::new(dir.path()).events().await.unwrap();
    served.fake.events.say(Event::Stopping);
    served.stop().await;
    assert_eq!(next(&mut stream).await, Event::Stopping);
    assert!(stream.next().await.is_none());
}

#[test]
fn an_event_of_a_later_version_is_read() {
    let text = r#"{"at":"2026-11-23T18:05:09.123Z","event":"dreamt","of":"sheep"}"#;
    let stamped: testsmith_control::Stamped = serde_json::from_str(text).unwrap();
    assert_eq!(stamped.event, Event::Unknown);
}
