//! What the service manager is told, by the protocol of `sd_notify(3)`. Without one, nothing is done.

mod watchdog;

use std::io;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::time::Duration;

pub(crate) use watchdog::{Heartbeats, Watchdog};

/// A way to the service manager, if there is one.
#[derive(Debug, Default)]
pub(crate) struct Notifier {
    to: Option<(UnixDatagram, SocketAddr)>,
}

impl Notifier {
    /// As `NOTIFY_SOCKET` says: a path, or a name of the abstract namespace after an `@`.
    pub(crate) fn new(env: &dyn Fn(&str) -> Option<String>) -> Arc<Self> {
        let Some(name) = env("NOTIFY_SOCKET") else {
            return Arc::default();
        };
        match Self::connect(&name) {
            Ok(notifier) => Arc::new(notifier),
            Err(error) => {
                tracing::warn!(%error, "the service manager cannot be told how the service does");
                Arc::default()
            }
        }
    }

    fn connect(name: &str) -> io::Result<Self> {
        let address = match name.strip_prefix('@') {
            Some(name) => abstract_address(name)?,
            None => SocketAddr::from_pathname(name)?,
        };
        let socket = UnixDatagram::unbound()?;
        // A manager that does not read must not hold up the service.
        socket.set_nonblocking(true)?;
        Ok(Self {
            to: Some((socket, address)),
        })
    }

    /// Whether anybody listens.
    pub(crate) fn is_heard(&self) -> bool {
        self.to.is_some()
    }

    /// All is watched, and what had changed is in the queue; or a reload is over.
    pub(crate) fn ready(&self) {
        self.send("READY=1");
    }

    /// The configuration is read anew; [`Notifier::ready`] follows.
    pub(crate) fn reloading(&self) {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let micros = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1000;
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"));
    }

    /// The service ends.
    pub(crate) fn stopping(&self) {
        self.send("STOPPING=1");
    }

    /// Starting or stopping takes this much longer, from now on.
    pub(crate) fn extend(&self, by: Duration) {
        self.send(&format!("EXTEND_TIMEOUT_USEC={}", by.as_micros()));
    }

    /// What the service does, in one line for people.
    pub(crate) fn status(&self, text: &str) {
        self.send(&format!("STATUS={}", text.replace('\n', " ")));
    }

    /// All parts are alive.
    fn alive(&self) {
        self.send("WATCHDOG=1");
    }

    fn send(&self, state: &str) {
        if let Some((socket, address)) = &self.to
            && let Err(error) = socket.send_to_addr(state.as_bytes(), address)
        {
            tracing::debug!(%error, "the service manager did not take a message");
        }
    }
}

#[cfg(target_os = "linux")]
fn abstract_address(name: &str) -> io::Result<SocketAddr> {
    use std::os::linux::net::SocketAddrExt as _;
    SocketAddr::from_abstract_name(name)
}

#[cfg(not(target_os = "linux"))]
fn abstract_address(_name: &str) -> io::Result<SocketAddr> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests;
