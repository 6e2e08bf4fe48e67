//! Figures in Prometheus' text format, version 0.0.4: on the control socket, and on a TCP port of
//! this machine if one is configured. No paths, no names of members: only figures.

use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::protocol::{Health, Refusal, Status};
use crate::seam::Control;

/// Scrapers at once; more are refused.
const CONNECTIONS: usize = 16;

/// How long one connection may last.
const CONNECTION_LIMIT: Duration = Duration::from_secs(30);

/// The status as figures.
pub(crate) fn text(status: &Status) -> String {
    let mut page = Page::default();
    let healthy = u64::from(status.health == Health::Healthy);
    page.gauge("healthy", "1 if nothing is to be warned of", healthy);
    page.gauge(
        "warnings",
        "What `testsmith status` warns of",
        status.warnings.len() as u64,
    );
    let queue = &status.queue;
    page.head("jobs", "gauge", "Jobs in the queue");
    for (state, count) in [
        ("pending", queue.pending),
        ("running", queue.running),
        ("waiting", queue.waiting),
        ("parked", queue.parked),
    ] {
        page.sample("jobs", &format!("{{state=\"{state}\"}}"), count);
    }
    if let Some(daemon) = &status.daemon {
        of_daemon(daemon, &mut page);
    }
    if let Some(spent) = &status.spent {
        page.counter("calls", "Calls to the model", spent.calls);
        page.counter("requests", "Requests to the model", spent.requests);
        page.counter("retries", "Of these, sent again", spent.retries);
        page.counter("input_tokens", "Tokens of prompts", spent.tokens_in);
        page.counter("output_tokens", "Tokens of answers", spent.tokens_out);
    }
    if let Some(cache) = &status.cache {
        page.counter("cache_hits", "Members found in the cache", cache.hits);
        page.counter("cache_misses", "Members not found there", cache.misses);
        page.gauge("cache_entries", "Answers kept", cache.entries);
        page.gauge("cache_bytes", "Their size", cache.bytes);
    }
    if let Some(usage) = &status.usage {
        // Set back at midnight UTC, so no counter.
        let today = &usage.today;
        page.gauge(
            "today_requests",
            "Requests of this day, UTC",
            today.requests,
        );
        page.gauge(
            "today_cost_nano_usd",
            "Their known cost, in billionths of a dollar",
            today.cost_nano_usd,
        );
        page.gauge(
            "today_unpriced_requests",
            "Those whose price is not known",
            today.unpriced_requests,
        );
        page.head(
            "budget_used_percent",
            "gauge",
            "Hundredths of each budget that are used",
        );
        for budget in &usage.budgets {
            let labels = format!(
                "{{window=\"{}\",measure=\"{}\"}}",
                budget.window, budget.measure
            );
            page.sample("budget_used_percent", &labels, budget.percent());
        }
    }
    let tests = &status.tests;
    page.gauge("findings", "Tests that fail in each run", tests.findings);
    page.gauge("quarantined", "Bodies in quarantine", tests.quarantined);
    page.0
}

fn of_daemon(daemon: &crate::DaemonInfo, page: &mut Page) {
    page.gauge(
        "uptime_seconds",
        "Since the daemon's start",
        daemon.uptime_ms / 1000,
    );
    page.gauge(
        "paused",
        "1 while nothing is taken up",
        u64::from(daemon.paused),
    );
    page.gauge("calls_open", "Requests open now", daemon.calls.open);
    page.gauge(
        "calls_permitted",
        "Requests that may be open",
        daemon.calls.permits,
    );
    let held = u64::from(daemon.provider.held_until.is_some());
    page.gauge(
        "provider_held",
        "1 while the provider wants to be left alone",
        held,
    );
    let sum = |figure: fn(&crate::RootInfo) -> u64| daemon.roots.iter().map(figure).sum();
    page.gauge("files", "Sources that are watched", sum(|root| root.files));
    page.gauge(
        "directories_watched",
        "Folders with a watch",
        sum(|root| root.watched),
    );
    page.gauge(
        "directories_polled",
        "Folders that are polled",
        sum(|root| root.polled),
    );
    page.counter(
        "rescans",
        "Comparisons of whole trees",
        sum(|root| root.rescans),
    );
    page.counter(
        "overflows",
        "Times events were lost",
        sum(|root| root.overflows),
    );
}

/// A page of samples.
#[derive(Default)]
struct Page(String);

impl Page {
    fn gauge(&mut self, name: &str, help: &str, value: u64) {
        self.head(name, "gauge", help);
        self.sample(name, "", value);
    }

    /// Counts from the daemon's start.
    fn counter(&mut self, name: &str, help: &str, value: u64) {
        let name = format!("{name}_total");
        self.head(&name, "counter", help);
        self.sample(&name, "", value);
    }

    fn head(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "# HELP testsmith_{name} {help}");
        let _ = writeln!(self.0, "# TYPE testsmith_{name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &str, value: u64) {
        let _ = writeln!(self.0, "testsmith_{name}{labels} {value}");
    }
}

/// The answer to `GET /metrics`.
pub(crate) async fn answer(control: &dyn Control) -> Result<Response, Refusal> {
    let status = control.status().await?;
    let kind = [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    Ok((kind, text(&status)).into_response())
}

/// A TCP port of this machine that answers `GET /metrics`, and nothing else.
#[derive(Debug)]
pub struct MetricsListener {
    socket: TcpListener,
}

impl MetricsListener {
    /// Binds the port. An address that others can reach is refused.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        if !address.ip().is_loopback() {
            let kind = io::ErrorKind::InvalidInput;
            return Err(io::Error::new(kind, "others can reach this address"));
        }
        let socket = TcpListener::bind(address).await?;
        Ok(Self { socket })
    }

    /// Where it listens.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Answers until `stop`.
    pub async fn serve(self, control: Arc<dyn Control>, stop: CancellationToken) {
        let router = Router::new()
            .route("/metrics", get(metrics))
            .with_state(control);
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                Some(_) = connections.join_next() => {}
                accepted = self.socket.accept() => match accepted {
                    Ok((stream, _)) if connections.len() < CONNECTIONS => {
                        let service = TowerToHyperService::new(router.clone());
                        let mut builder = http1::Builder::new();
                        builder.timer(TokioTimer::new()).keep_alive(false);
                        let connection = builder.serve_connection(TokioIo::new(stream), service);
                        connections.spawn(tokio::time::timeout(CONNECTION_LIMIT, connection));
                    }
                    Ok(_) => {}
                    Err(error) => {
                        tracing::debug!(%error, "a connection for metrics could not be taken");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                },
            }
        }
    }
}

async fn metrics(State(control): State<Arc<dyn Control>>) -> Result<Response, Refusal> {
    answer(&*control).await
}
