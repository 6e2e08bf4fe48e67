//! Real jobs, a simulated model, and a collector on loopback that takes what comes.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot be set up has to fail"
)]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde_json::Value;
use testsmith_config::Sources;
use testsmith_daemon::{Mode, Selection, ServiceOptions};
use testsmith_otlp::Settings;
use testsmith_simulator::{Fault, Rule, Script, Simulator};
use tokio::task::JoinSet;
use tracing_subscriber::layer::SubscriberExt as _;

const KEY: &str = "kanarienvogel-otlp-key";
const CANARY: &str = "kanarienvogel-in-the-source";

/// What came in: headers and bodies.
#[derive(Default)]
struct Collector(Mutex<Vec<(HeaderMap, Bytes)>>);

async fn take(
    State(collector): State<Arc<Collector>>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    collector.0.lock().unwrap().push((headers, body));
    StatusCode::OK
}

struct Span {
    trace: String,
    id: String,
    parent: Option<String>,
    name: String,
    kind: u64,
    failed: bool,
    attributes: BTreeMap<String, Value>,
}

impl Span {
    fn of(value: &Value) -> Self {
        let text = |key: &str| value[key].as_str().map(str::to_owned);
        let moment = |key| text(key).unwrap().parse::<u128>().unwrap();
        assert!(
            moment("startTimeUnixNano") <= moment("endTimeUnixNano"),
            "{value}"
        );
        let attributes = value["attributes"].as_array().unwrap().iter();
        let attributes = attributes.map(|attribute| {
            let key = attribute["key"].as_str().unwrap().to_owned();
            let (_, value) = attribute["value"]
                .as_object()
                .unwrap()
                .iter()
                .next()
                .unwrap();
            (key, value.clone())
        });
        Self {
            trace: text("traceId").unwrap(),
            id: text("spanId").unwrap(),
            parent: text("parentSpanId"),
            name: text("name").unwrap(),
            kind: value["kind"].as_u64().unwrap(),
            failed: value["status"]["code"] == 2,
            attributes: attributes.collect(),
        }
    }

    fn get(&self, key: &str) -> &Value {
        self.attributes
            .get(key)
            .unwrap_or_else(|| panic!("no `{key}` in {:?}", self.attributes))
    }
}

fn options(folder: &Path, simulator: &Simulator) -> ServiceOptions {
    let root = folder.join("project");
    fs::create_dir(&root).unwrap();
    fs::write(root.join("go.mod"), "module example.com/shop\n\ngo 1.24\n").unwrap();
    let source = format!(
        "package shop\n\n// Add is {CANARY}.\nfunc Add(a, b int) int {{\n\treturn a + b + 70123\n}}\n"
    );
    fs::write(root.join("cart.go"), source).unwrap();
    let key = folder.join("key");
    fs::write(&key, KEY).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    let set = [
        ("llm.provider", "openai".to_owned()),
        ("llm.model", "simulated".to_owned()),
        ("llm.base_url", simulator.openai_base_url()),
        ("llm.api_key_file", key.to_str().unwrap().to_owned()),
        ("llm.retry.base_delay", "1ms".to_owned()),
        ("verify.mode", "off".to_owned()),
    ];
    let flags = set.map(|(key, value)| (format!("--set {key}"), key.to_owned(), value));
    let loaded = testsmith_config::Settings::load(&Sources {
        flags: flags.to_vec(),
        ..Sources::default()
    });
    ServiceOptions {
        roots: vec![root.canonicalize().unwrap()],
        state_dir: folder.join("state"),
        cache_dir: folder.join("cache"),
        settings: loaded.unwrap().settings,
        restores: true,
        prefers: false,
    }
}

#[tokio::test]
async fn a_job_is_a_trace_and_nothing_secret_is_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let collector = Arc::new(Collector::default());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = Router::new().route("/v1/traces", post(take));
    let app = app.with_state(Arc::clone(&collector));
    let mut serving = JoinSet::new();
    serving.spawn(async move { axum::serve(listener, app).await });
    let script = Script::default()
        .api_key(KEY)
        .rule(Rule::from(Fault::status(503)).nth(1));
    let simulator = Simulator::start(script).await.unwrap();

    let endpoint = format!("http://{address}");
    let env = |name: &str| match name {
        "OTEL_EXPORTER_OTLP_ENDPOINT" => Some(endpoint.clone()),
        "OTEL_EXPORTER_OTLP_HEADERS" => Some("x-team=blue".to_owned()),
        _ => None,
    };
    let settings = Settings::from_env(&env).unwrap().unwrap();
    let (layer, exporter) = testsmith_otlp::start(&settings).unwrap();
    {
        let subscriber = tracing_subscriber::registry().with(layer);
        let _here = tracing::subscriber::set_default(subscriber);
        let options = options(dir.path(), &simulator);
        let run = testsmith_daemon::generate(options, Selection::All, Mode::Write, |_| {});
        let totals = run.await.unwrap();
        assert_eq!((totals.files, totals.failed), (1, 0));
    }
    // The exporter's end waits for the collector, which needs this thread.
    tokio::task::spawn_blocking(move || drop(exporter))
        .await
        .unwrap();

    let received = std::mem::take(&mut *collector.0.lock().unwrap());
    let (headers, _) = &received[0];
    assert_eq!(headers["content-type"], "application/json");
    assert_eq!(headers["x-team"], "blue");
    let text: String = received
        .iter()
        .map(|(_, body)| std::str::from_utf8(body).unwrap())
        .collect();
    for secret in [KEY, CANARY, "70123", "Bearer", "func Add", "testing.T"] {
        assert!(!text.contains(secret), "`{secret}` in {text}");
    }
    let bodies = received
        .iter()
        .map(|(_, body)| serde_json::from_slice::<Value>(body).unwrap());
    let mut spans = Vec::new();
    for body in bodies {
        let resource = &body["resourceSpans"][0];
        assert_eq!(
            resource["resource"]["attributes"][0]["value"]["stringValue"],
            "testsmith"
        );
        let all = resource["scopeSpans"][0]["spans"].as_array().unwrap();
        spans.extend(all.iter().map(Span::of));
    }
    check(&spans);
    simulator.shutdown().await;
}

fn check(spans: &[Span]) {
    let named = |name: &str| {
        spans
            .iter()
            .filter(|span| span.name == name)
            .collect::<Vec<_>>()
    };
    let (jobs, batches, attempts) = (named("job"), named("member batch"), named("chat simulated"));
    assert_eq!((jobs.len(), batches.len(), attempts.len()), (1, 1, 2));
    assert_eq!(spans.len(), 4);
    let (job, batch) = (jobs[0], batches[0]);
    assert_eq!(job.parent, None);
    assert_eq!(batch.parent.as_ref(), Some(&job.id));
    assert!(
        attempts
            .iter()
            .all(|attempt| attempt.parent.as_ref() == Some(&batch.id))
    );
    assert!(
        spans
            .iter()
            .all(|span| span.trace == job.trace && span.trace.len() == 32)
    );
    assert_eq!((job.kind, batch.kind), (1, 1), "internal");

    assert_eq!(job.get("testsmith.path"), "cart.go");
    assert_eq!(job.get("testsmith.outcome"), "written");
    assert_eq!(job.get("testsmith.cache.misses"), "1");
    assert_eq!(batch.get("testsmith.members"), "1");
    let (failed, answered) = (attempts[0], attempts[1]);
    for attempt in &attempts {
        assert_eq!(attempt.kind, 3, "client");
        assert_eq!(attempt.get("gen_ai.operation.name"), "chat");
        assert_eq!(attempt.get("gen_ai.provider.name"), "openai");
        assert_eq!(attempt.get("gen_ai.request.model"), "simulated");
        assert_eq!(attempt.get("gen_ai.request.max_tokens"), "1500");
    }
    assert!(failed.failed && !answered.failed);
    assert_eq!(failed.get("http.response.status_code"), "503");
    assert!(failed.get("error.type").is_string());
    assert_eq!(answered.get("testsmith.attempt"), "2");
    assert_eq!(answered.get("http.response.status_code"), "200");
    assert_eq!(
        answered.get("gen_ai.response.finish_reasons")["values"][0]["stringValue"],
        "stop"
    );
    for tokens in ["gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"] {
        let count: u64 = answered.get(tokens).as_str().unwrap().parse().unwrap();
        assert!(count > 0, "{tokens}");
    }
}

/// Nothing waits for a collector that is not there.
#[tokio::test]
async fn without_a_collector_work_goes_on() {
    let endpoint = "http://127.0.0.1:1".to_owned();
    let env = move |name: &str| (name == "OTEL_EXPORTER_OTLP_ENDPOINT").then(|| endpoint.clone());
    let settings = Settings::from_env(&env).unwrap().unwrap();
    let (layer, exporter) = testsmith_otlp::start(&settings).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let simulator = Simulator::start(Script::default().api_key(KEY))
        .await
        .unwrap();
    let subscriber = tracing_subscriber::registry().with(layer);
    let _here = tracing::subscriber::set_default(subscriber);
    let options = options(dir.path(), &simulator);
    let run = testsmith_daemon::generate(options, Selection::All, Mode::Write, |_| {});
    assert_eq!(run.await.unwrap().failed, 0);
    drop(exporter);
    simulator.shutdown().await;
}
