//! How one stage starts the next, and what it hands over.

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde::{Deserialize, Serialize};

use crate::sandbox::types::{CommandSpec, Limits, SandboxMode};
use crate::sandbox::wire::{self, Failure, LAUNCHER_ARGUMENT, Step};

/// What the inner stages need to know.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Inner {
    pub(super) command: CommandSpec,
    pub(super) environment: Vec<(OsString, OsString)>,
    pub(super) mode: SandboxMode,
    pub(super) limits: Limits,
    /// Whether the run has namespaces of its own.
    pub(super) namespaces: bool,
    /// Everything below is writable.
    pub(super) writable: Vec<PathBuf>,
    /// Not to be read, where nothing is mounted over them.
    pub(super) covered: Vec<PathBuf>,
}

/// What the process 1 of a run tells the outer stage.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum InitSays {
    /// The candidate runs.
    Started {
        /// `/proc` shows the run's processes and no others.
        own_proc: bool,
    },
    /// It could not be started.
    Failed(Failure),
    /// It has ended.
    Ended {
        status: Option<i32>,
        signal: Option<i32>,
        /// Others were still there a while later.
        left_behind: bool,
    },
}

/// Starts this program again as `stage`, with `message` on its standard input, and returns it with the socket to it.
pub(super) fn start<T: Serialize>(stage: &str, message: &T) -> io::Result<(Child, UnixStream)> {
    let (mut ours, theirs) = UnixStream::pair()?;
    let child = Command::new("/proc/self/exe")
        .arg(LAUNCHER_ARGUMENT)
        .arg(stage)
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .spawn()?;
    wire::send(&mut ours, message)?;
    Ok((child, ours))
}

/// The socket this stage was started with. It does not outlive an `exec`.
pub(super) fn own_channel() -> io::Result<UnixStream> {
    let duplicate = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?;
    Ok(UnixStream::from(duplicate))
}

/// Starts the candidate's own stage and waits until the candidate runs.
pub(super) fn start_confined(inner: &Inner) -> Result<Child, Failure> {
    let launcher = |error: io::Error| Step::Launcher.failed(error);
    let (mut child, mut channel) = start("confined", inner).map_err(launcher)?;
    match wire::receive::<Failure>(&mut channel) {
        // The socket closes by itself when the stage becomes the candidate.
        Ok(None) => Ok(child),
        Ok(Some(failure)) => {
            child.wait().map_err(launcher)?;
            Err(failure)
        }
        Err(error) => Err(launcher(error)),
    }
}
