//! Sending.

use std::thread::JoinHandle;
use std::time::Duration;

use reqwest::{Client, Url, redirect, retry};
use tokio::sync::{mpsc, oneshot};

use crate::encode;
use crate::layer::Finished;
use crate::settings::{BadSettings, Settings};

/// What ends within this time is sent together.
const GATHER: Duration = Duration::from_secs(2);

/// The most spans of one request.
const AT_ONCE: usize = 512;

/// The last request may take so long: the program waits for it.
const LAST: Duration = Duration::from_secs(2);

/// The thread that sends. When it is dropped, what has ended so far is sent, and waited for.
#[derive(Debug)]
pub struct Exporter {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Exporter {
    pub(crate) fn start(
        settings: &Settings,
        finished: mpsc::Receiver<Finished>,
    ) -> Result<Self, BadSettings> {
        let sending = Sending {
            client: client(settings)?,
            endpoint: settings.endpoint.clone(),
            resource: settings.resource.clone(),
            is_refused: false,
        };
        // A runtime of its own: it goes on until the program's has ended.
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let work = sending.run(finished, stopped);
        let thread = std::thread::Builder::new().name("otlp".to_owned());
        let thread = thread.spawn(move || runtime.block_on(work))?;
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        // Either may be gone, if the thread has panicked.
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn client(settings: &Settings) -> Result<Client, reqwest::Error> {
    // Fails only if the process has one already, which serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = Client::builder()
        .default_headers(settings.headers.clone())
        .timeout(settings.timeout)
        .redirect(redirect::Policy::none())
        .retry(retry::never());
    if settings.endpoint.scheme() == "http" {
        // No list of authorities is read for what needs none.
        builder = builder.tls_certs_only([]);
    }
    builder.build()
}

struct Sending {
    client: Client,
    endpoint: Url,
    resource: Vec<(String, String)>,
    /// Whether the last request failed: that is said once.
    is_refused: bool,
}

impl Sending {
    async fn run(mut self, mut finished: mpsc::Receiver<Finished>, stop: oneshot::Receiver<()>) {
        let mut batch = Vec::new();
        let sending = async {
            // Nobody ends spans any more at 0.
            while finished.recv_many(&mut batch, AT_ONCE).await > 0 {
                tokio::time::sleep(GATHER).await;
                while batch.len() < AT_ONCE
                    && let Ok(more) = finished.try_recv()
                {
                    batch.push(more);
                }
                self.send(&batch).await;
                batch.clear();
            }
        };
        tokio::select! {
            () = sending => return,
            _ = stop => {}
        }
        while let Ok(more) = finished.try_recv() {
            batch.push(more);
        }
        let last = async {
            for batch in batch.chunks(AT_ONCE) {
                self.send(batch).await;
            }
        };
        let _ = tokio::time::timeout(LAST, last).await;
    }

    /// Sends them. What cannot be sent is dropped: a picture of the past is not worth memory.
    async fn send(&mut self, spans: &[Finished]) {
        let body = encode::request(&self.resource, spans).to_string();
        let request = self.client.post(self.endpoint.clone());
        let request = request
            .header("content-type", "application/json")
            .body(body);
        let problem = match request.send().await {
            Ok(reply) if reply.status().is_success() => None,
            Ok(reply) => Some(reply.status().to_string()),
            // The address may hold a password.
            Err(error) => Some(error.without_url().to_string()),
        };
        let was_refused = std::mem::replace(&mut self.is_refused, problem.is_some());
        if let Some(problem) = problem
            && !was_refused
        {
            tracing::warn!(
                problem,
                "traces cannot be sent to the collector; they are dropped"
            );
        }
    }
}
