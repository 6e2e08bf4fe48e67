//! What the program and its launcher say to each other: frames of a length and JSON, over a pair of sockets.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::path::PathBuf;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::types::{CommandSpec, SandboxSpec};

/// The first argument that makes the program a launcher.
pub(super) const LAUNCHER_ARGUMENT: &str = "__testsmith-sandbox";

/// No frame is longer: a specification with its candidate files.
const LONGEST_FRAME: u32 = 256 << 20;

/// What the outer stage is to do.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Request {
    pub(super) spec: SandboxSpec,
    pub(super) command: CommandSpec,
    /// Everything the candidate gets as its environment.
    pub(super) environment: Vec<(OsString, OsString)>,
    /// Existing, canonical paths to be covered.
    pub(super) covered: Vec<PathBuf>,
    /// Whether namespaces are to be used; without, the project is copied.
    pub(super) namespaces: bool,
}

/// What the outer stage answers, once, at the end.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Reply {
    Ended(Ended),
    Failed(Failure),
}

/// How the candidate ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ended {
    pub(super) status: Option<i32>,
    pub(super) signal: Option<i32>,
    pub(super) memory_exceeded: bool,
    pub(super) blocked: Vec<String>,
    /// The folder that stood for the project, if it was copied.
    pub(super) shadow: Option<PathBuf>,
}

/// Why it did not start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Failure {
    pub(super) step: Step,
    pub(super) reason: String,
}

/// The step of building the sandbox that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Step {
    /// Leaving the host's namespaces, or mounting inside.
    Namespaces,
    /// Landlock.
    Landlock,
    /// seccomp, capabilities and limits.
    Seccomp,
    /// Copying the project, or placing the candidate's files.
    Stage,
    /// Starting the program.
    Start,
    /// Anything between the stages.
    Launcher,
}

impl Step {
    #[expect(
        clippy::needless_pass_by_value,
        reason = "called with the error that `map_err` hands over"
    )]
    pub(super) fn failed(self, reason: impl ToString) -> Failure {
        Failure {
            step: self,
            reason: reason.to_string(),
        }
    }
}

/// Which walls stand, as tried by a launcher that runs nothing.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Probe {
    pub(super) namespaces: Result<(), String>,
    pub(super) landlock: Result<(), String>,
    pub(super) seccomp: Result<(), String>,
}

/// A frame as bytes.
pub(super) fn encode<T: Serialize>(value: &T) -> io::Result<Vec<u8>> {
    let body = serde_json::to_vec(value)?;
    let length = u32::try_from(body.len())
        .ok()
        .filter(|length| *length <= LONGEST_FRAME)
        .ok_or_else(|| io::Error::other("a frame is too long"))?;
    let mut frame = length.to_le_bytes().to_vec();
    frame.extend_from_slice(&body);
    Ok(frame)
}

/// The value in a frame's body.
pub(super) fn decode<T: DeserializeOwned>(body: &[u8]) -> io::Result<T> {
    Ok(serde_json::from_slice(body)?)
}

/// The length a frame's head announces.
pub(super) fn body_length(head: [u8; 4]) -> io::Result<usize> {
    let length = u32::from_le_bytes(head);
    if length > LONGEST_FRAME {
        return Err(io::Error::other("a frame is too long"));
    }
    usize::try_from(length).map_err(io::Error::other)
}

/// Writes one frame.
pub(super) fn send<T: Serialize>(to: &mut impl Write, value: &T) -> io::Result<()> {
    to.write_all(&encode(value)?)?;
    to.flush()
}

/// Reads one frame; `None` if the other side has gone without a word.
pub(super) fn receive<T: DeserializeOwned>(from: &mut impl Read) -> io::Result<Option<T>> {
    let mut head = [0; 4];
    match from.read_exact(&mut head) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(None),
        Err(error) => return Err(error),
    }
    let mut body = vec![0; body_length(head)?];
    from.read_exact(&mut body)?;
    decode(&body).map(Some)
}
