//! The daemon's end: the socket and its connections.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::address::Address;
use crate::protocol::{Refusal, RefusalCode};
use crate::routes::{self, Shared};
use crate::seam::Control;
use crate::timed::Timed;

/// How long a client may take nothing of what is sent to it before its connection is dropped.
pub const WRITE_LIMIT: Duration = Duration::from_secs(30);

/// Connections at once, of which [`STREAMS`] may be streams of events, so that status and verbs
/// always get through.
const CONNECTIONS: usize = 256;
const STREAMS: usize = 200;

/// How long a client may take for a request's head, or sit on an open connection without one.
const HEAD_LIMIT: Duration = Duration::from_secs(10);
/// The longest head, and the most headers in it.
const HEAD_BYTES: usize = 16 * 1024;
const HEADERS: usize = 64;

/// How long replies under way may still take once the server stops.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A bound socket. Dropping it removes the socket.
#[derive(Debug)]
pub struct Listener {
    socket: UnixListener,
    address: Address,
    path: PathBuf,
}

impl Listener {
    /// Binds the socket in `state_dir`, in place of one that a dead process left. Must be called
    /// within a tokio runtime, by the holder of the directory's lock.
    pub fn bind(state_dir: &Path) -> io::Result<Self> {
        let address = Address::of(state_dir)?;
        match std::fs::symlink_metadata(address.path()) {
            Ok(found) if found.file_type().is_socket() => std::fs::remove_file(address.path())?,
            Ok(_) => {
                return Err(io::Error::new(
                    io::ErrorKind::AlreadyExists,
                    "something that is no socket has its name",
                ));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let socket = UnixListener::bind(address.path())?;
        let bound = Self {
            socket,
            address,
            path: state_dir.join(crate::SOCKET),
        };
        // Who connects before this has been done is asked for their user like everybody else.
        std::fs::set_permissions(bound.address.path(), Permissions::from_mode(0o600))?;
        Ok(bound)
    }

    /// Where it listens.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Answers until `stop`, then lets replies under way end and removes the socket.
    pub async fn serve(self, control: Arc<dyn Control>, stop: CancellationToken) {
        let shared = Shared::new(control, stop.clone(), STREAMS);
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                accepted = self.socket.accept() => match accepted {
                    Ok((stream, _)) => {
                        let place = Arc::clone(&places).try_acquire_owned().ok();
                        connections.spawn(serve(stream, shared.clone(), place, stop.clone()));
                    }
                    // Out of descriptors, most likely: those of finished connections help.
                    Err(error) => {
                        tracing::debug!(%error, "a control connection could not be taken");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                },
                Some(ended) = connections.join_next() => {
                    if let Err(error) = ended {
                        tracing::error!(%error, "answering a control request panicked; please report this");
                    }
                }
            }
        }
        drop(self);
        let rest = async { while connections.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(LAST_WORDS, rest).await;
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // It may be gone with the whole state directory.
        let _ = std::fs::remove_file(self.address.path());
    }
}

/// Serves one connection until its end.
async fn serve(
    stream: UnixStream,
    shared: Shared,
    place: Option<OwnedSemaphorePermit>,
    stop: CancellationToken,
) {
    let refusal = match (is_owner(&stream), &place) {
        (false, _) => Some(Refusal::new(
            RefusalCode::Forbidden,
            "this daemon belongs to another user",
        )),
        (true, None) => Some(Refusal::new(
            RefusalCode::Unavailable,
            format!("{CONNECTIONS} connections are open already; try again later"),
        )),
        (true, Some(_)) => None,
    };
    let router = match refusal {
        Some(refusal) => routes::refusing(refusal),
        None => routes::router(shared),
    };
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_LIMIT)
        .max_buf_size(HEAD_BYTES)
        .max_headers(HEADERS)
        .serve_connection(
            TokioIo::new(Timed::new(stream, WRITE_LIMIT)),
            TowerToHyperService::new(router),
        );
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::trace!(%error, "a control connection ended badly");
    }
}

/// Whether the peer is of our own user.
fn is_owner(stream: &UnixStream) -> bool {
    let ours = rustix::process::geteuid().as_raw();
    stream.peer_cred().is_ok_and(|peer| peer.uid() == ours)
}
