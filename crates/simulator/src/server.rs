//! The listening socket and its connections.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::record::{Counts, RequestRecord};
use crate::routes::{self, Connection, Shared};
use crate::script::Script;

/// A model server on loopback. Dropping it ends it and every connection to it.
#[derive(Debug)]
pub struct Simulator {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

/// Why a simulator could not start.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on `{address}`")]
pub struct BindError {
    /// Where it was to listen.
    pub address: SocketAddr,
    /// What the system says.
    pub source: io::Error,
}

impl Simulator {
    /// Starts on a free port of loopback. A lone [`crate::Fault`] is a script, too.
    pub async fn start(script: impl Into<Script>) -> Result<Self, BindError> {
        Self::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), script).await
    }

    /// Starts on this address; port 0 for a free one.
    pub async fn bind(address: SocketAddr, script: impl Into<Script>) -> Result<Self, BindError> {
        let failed = |source| BindError { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let shared = Arc::new(Shared::new(script.into(), address));
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::clone(&shared), stop.clone()));
        Ok(Self {
            address,
            shared,
            stop,
            tasks,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What an OpenAI client takes as its base URL, up to and with `/v1`.
    pub fn openai_base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// What an Anthropic client takes as its base URL.
    pub fn anthropic_base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What an Ollama client takes as its base URL.
    pub fn ollama_base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The requests so far, in the order of their arrival.
    pub fn log(&self) -> Vec<RequestRecord> {
        self.shared.log.records()
    }

    /// The moment that the log's times count from.
    pub fn started(&self) -> Instant {
        self.shared.log.started()
    }

    /// How many requests there are.
    pub fn counts(&self) -> Counts {
        self.shared.log.counts()
    }

    /// How many requests are open now.
    pub fn open(&self) -> usize {
        self.counts().open
    }

    /// The most requests that were open at once, see [`Counts::max_open`].
    pub fn max_open(&self) -> usize {
        self.counts().max_open
    }

    /// How many replies were handed over whole, error statuses included.
    pub fn finished(&self) -> u64 {
        self.counts().finished
    }

    /// Waits until the counts are as wanted: `sim.until(|counts| counts.arrived >= 3).await`.
    pub async fn until(&self, wanted: impl FnMut(&Counts) -> bool) {
        self.shared.log.until(wanted).await;
    }

    /// Plays another script from its beginning.
    pub fn set_script(&self, script: impl Into<Script>) {
        self.shared.set_script(script.into());
    }

    /// The members whose tests reached the simulator by network, for [`crate::BadBody::Network`].
    pub fn witnessed(&self) -> Vec<String> {
        self.shared.witnessed().clone()
    }

    /// Forgets the requests so far, and what was witnessed.
    pub fn clear_log(&self) {
        self.shared.log.clear();
        self.shared.witnessed().clear();
    }

    /// Stops: closes the listening socket, breaks every connection, and waits for both. The same
    /// address can be bound again afterwards. Gives the log as it was at the end.
    pub async fn shutdown(mut self) -> Vec<RequestRecord> {
        self.shared.log.close();
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
        self.shared.log.records()
    }
}

/// Takes connections until told to stop.
async fn accept(listener: TcpListener, shared: Arc<Shared>, stop: CancellationToken) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve(stream, Arc::clone(&shared)));
                }
                // Out of descriptors, most likely: those of finished connections help.
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be taken");
                    tokio::task::yield_now().await;
                }
            },
            Some(_) = connections.join_next() => {}
            () = stop.cancelled() => break,
        }
    }
    drop(listener);
    connections.shutdown().await;
}

/// Serves one connection until its end, or until a fault wants it reset.
async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "no immediate sending");
    }
    let reset = CancellationToken::new();
    let router = routes::router(shared, Connection(reset.clone()));
    let service = TowerToHyperService::new(router);
    let mut connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let ended = tokio::select! {
        biased;
        ended = &mut connection => ended,
        () = reset.cancelled() => {
            // With no time to linger, closing sends a reset in place of an orderly end.
            let stream = connection.into_parts().io.into_inner();
            if let Err(error) = stream.set_zero_linger() {
                tracing::debug!(%error, "no reset");
            }
            return;
        }
    };
    if let Err(error) = ended {
        tracing::trace!(%error, "a connection ended badly");
    }
}
