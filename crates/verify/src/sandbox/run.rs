//! The asking side: starts the launcher, reads what the run writes, and ends it when its time is over.

use std::ffi::OsString;
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::time::Instant;

use crate::blocking::blocking;

use super::types::{CommandSpec, RunOutput, SandboxError, SandboxMode, SandboxSpec};
use super::wire::{self, Ended, Failure, LAUNCHER_ARGUMENT, Reply, Request, Step};
use super::{environment, places, walls};

/// How long the launcher may take to end a run that was told to end.
const GRACE: Duration = Duration::from_secs(10);

/// Bytes read from a run at once.
const CHUNK: usize = 16 << 10;

/// The program to start as the launcher, if it is not the running one.
static LAUNCHER: OnceLock<PathBuf> = OnceLock::new();

/// Namespaces were tried and are not to be had; trying again before each run would cost time and tell nothing new.
static NO_NAMESPACES: AtomicBool = AtomicBool::new(false);

/// Has another program than the running one started as the launcher: one whose `main` calls
/// [`sandbox_main`](super::sandbox_main) first. For tests, whose own `main` belongs to the test harness. The first call
/// holds.
pub fn use_launcher(program: PathBuf) {
    // A second call changes nothing, as documented.
    drop(LAUNCHER.set(program));
}

pub(super) fn launcher() -> PathBuf {
    LAUNCHER
        .get()
        .cloned()
        .unwrap_or_else(|| PathBuf::from("/proc/self/exe"))
}

/// Runs `command` between the walls of `spec` and waits for its end.
///
/// A run that fails, hangs or eats is no error: [`RunOutput`] tells. When this returns, or its future is dropped, the
/// whole process tree is killed and reaped by the launcher, whatever it had started.
///
/// # Errors
///
/// [`SandboxError::Missing`] if a wall is required and does not stand; the others if the run could not be started.
pub async fn run(spec: &SandboxSpec, command: &CommandSpec) -> Result<RunOutput, SandboxError> {
    let started = Instant::now();
    let (spec, command) = (spec.clone(), command.clone());
    let mut request = blocking(move || request(spec, command)).await?;
    let mut answer = attempt(&request).await?;
    if let Reply::Failed(failure) = &answer.reply
        && failure.step == Step::Namespaces
        && request.spec.mode != SandboxMode::Required
    {
        tracing::debug!(reason = %failure.reason, "no namespaces: the project is copied for each run");
        NO_NAMESPACES.store(true, Ordering::Relaxed);
        request.namespaces = false;
        answer = attempt(&request).await?;
    }
    match answer.reply {
        Reply::Ended(ended) => Ok(RunOutput {
            status: ended.status,
            signal: ended.signal,
            stdout: at_home(answer.stdout, &ended, &request.spec.root),
            stderr: at_home(answer.stderr, &ended, &request.spec.root),
            timed_out: answer.timed_out,
            output_cut: answer.output_cut,
            memory_exceeded: ended.memory_exceeded,
            blocked: ended.blocked,
            elapsed: started.elapsed(),
        }),
        Reply::Failed(failure) => Err(refused(failure, &request)),
    }
}

/// The request for a run: every path canonical, every secret place found. Blocks.
fn request(spec: SandboxSpec, mut command: CommandSpec) -> Result<Request, SandboxError> {
    let root = canonical(&spec.root)?;
    let scratch = canonical(&spec.scratch)?;
    if root.starts_with(&scratch) {
        return Err(SandboxError::Path {
            path: scratch,
            reason: "the scratch folder holds the project".to_owned(),
        });
    }
    let writable: Vec<_> = spec
        .writable
        .iter()
        .map(|path| canonical(path))
        .collect::<Result<_, _>>()?;
    let overlay = spec
        .overlay
        .into_iter()
        .map(|(path, text)| Ok((candidate_path(&path, &spec.root, &root)?, text)))
        .collect::<Result<_, SandboxError>>()?;
    let covered = match spec.mode {
        SandboxMode::Off => Vec::new(),
        SandboxMode::Required | SandboxMode::BestEffort => {
            places::hidden(&places::homes(), &spec.hidden)
        }
    };
    let environment = environment::allowed(std::env::vars_os(), &scratch, &command);
    if let Ok(inside) = command.cwd.strip_prefix(&spec.root) {
        command.cwd = root.join(inside);
    }
    Ok(Request {
        spec: SandboxSpec {
            mode: spec.mode,
            root,
            scratch,
            writable,
            overlay,
            hidden: Vec::new(),
            limits: spec.limits,
        },
        environment,
        command,
        covered,
        namespaces: spec.mode == SandboxMode::Required || !NO_NAMESPACES.load(Ordering::Relaxed),
    })
}

fn canonical(path: &Path) -> Result<PathBuf, SandboxError> {
    path.canonicalize().map_err(|error| SandboxError::Path {
        path: path.to_owned(),
        reason: error.to_string(),
    })
}

/// Where a candidate's file goes: below `root`, the canonical form of `given`, links on the way followed.
fn candidate_path(path: &Path, given: &Path, root: &Path) -> Result<PathBuf, SandboxError> {
    let outside = || SandboxError::Path {
        path: path.to_owned(),
        reason: "a candidate file has to be below the project".to_owned(),
    };
    let inside = path.strip_prefix(given).or(path.strip_prefix(root));
    let inside = inside
        .ok()
        .filter(|inside| is_plain(inside))
        .ok_or_else(outside)?;
    let whole = root.join(inside);
    let folders = whole.ancestors().skip(1);
    let existing = folders
        .into_iter()
        .find(|folder| folder.symlink_metadata().is_ok());
    let existing = existing.ok_or_else(outside)?;
    let rest = whole.strip_prefix(existing).map_err(|_| outside())?;
    let resolved = canonical(existing)?;
    if resolved.starts_with(root) {
        Ok(resolved.join(rest))
    } else {
        Err(outside())
    }
}

/// No `..`, and something at all.
fn is_plain(path: &Path) -> bool {
    let mut parts = path.components().peekable();
    parts.peek().is_some() && parts.all(|part| matches!(part, std::path::Component::Normal(_)))
}

/// What one start of the launcher came to.
struct Answer {
    reply: Reply,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    timed_out: bool,
    output_cut: bool,
}

async fn attempt(request: &Request) -> Result<Answer, SandboxError> {
    let frame = wire::encode(request)?;
    let (mut child, mut control, stop) = start(&request.environment)?;
    // A launcher that is gone already has left its reasons on standard error, which is read below.
    let sent = control.write_all(&frame).await;
    let output = Output::new(request.spec.limits.output, stop);
    let stdout = child.stdout.take();
    let stderr = child.stderr.take();
    let work = async {
        tokio::join!(
            output.read(stdout),
            output.read(stderr),
            reply(&mut control)
        )
    };
    tokio::pin!(work);
    let mut timed_out = false;
    let wall = request.spec.limits.wall;
    let finished = if let Ok(finished) = tokio::time::timeout(wall, &mut work).await {
        Some(finished)
    } else {
        timed_out = true;
        output.end_run();
        tokio::time::timeout(GRACE, &mut work).await.ok()
    };
    let Some((stdout, stderr, reply)) = finished else {
        child.kill().await?;
        return Err(launcher_failed("it did not end a run that had to end"));
    };
    let (stdout, stderr) = (stdout?, stderr?);
    child.wait().await?;
    let Some(reply) = reply? else {
        sent?;
        let words = String::from_utf8_lossy(&stderr);
        let last = words.lines().last().unwrap_or("it said nothing");
        return Err(launcher_failed(last));
    };
    Ok(Answer {
        reply,
        stdout,
        stderr,
        timed_out,
        output_cut: output.cut.load(Ordering::Relaxed),
    })
}

/// Starts the launcher. The sockets close when they are dropped, and by that the launcher knows that it has to end
/// everything; the runtime reaps the launcher itself.
fn start(
    environment: &[(OsString, OsString)],
) -> Result<(Child, UnixStream, StdUnixStream), SandboxError> {
    let (ours, theirs) = StdUnixStream::pair()?;
    let stop = ours.try_clone()?;
    ours.set_nonblocking(true)?;
    let mut command = Command::new(launcher());
    command
        .arg(LAUNCHER_ARGUMENT)
        .arg("outer")
        .env_clear()
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    let child = command.spawn().map_err(launcher_failed)?;
    Ok((child, UnixStream::from_std(ours)?, stop))
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "called with the error that `map_err` hands over"
)]
fn launcher_failed(reason: impl ToString) -> SandboxError {
    SandboxError::Launcher {
        reason: reason.to_string(),
    }
}

async fn reply(control: &mut UnixStream) -> Result<Option<Reply>, SandboxError> {
    let mut head = [0; 4];
    if control.read_exact(&mut head).await.is_err() {
        return Ok(None);
    }
    let mut body = vec![0; wire::body_length(head)?];
    control.read_exact(&mut body).await?;
    Ok(Some(wire::decode(&body)?))
}

/// What the run writes, within a limit over both streams.
struct Output {
    left: AtomicU64,
    cut: AtomicBool,
    stop: StdUnixStream,
}

impl Output {
    fn new(limit: u64, stop: StdUnixStream) -> Self {
        Self {
            left: AtomicU64::new(limit),
            cut: AtomicBool::new(false),
            stop,
        }
    }

    /// Tells the launcher to end the run. It still answers.
    fn end_run(&self) {
        // Fails only if the launcher is gone, and then there is nothing to end.
        drop(self.stop.shutdown(Shutdown::Write));
    }

    /// Reads to the end of the stream, keeps what the limit allows, and ends the run beyond it.
    async fn read(&self, stream: Option<impl AsyncRead + Unpin>) -> Result<Vec<u8>, SandboxError> {
        let mut kept = Vec::new();
        let Some(mut stream) = stream else {
            return Ok(kept);
        };
        let mut chunk = vec![0; CHUNK];
        loop {
            let count = stream.read(&mut chunk).await?;
            let Some(read) = chunk.get(..count).filter(|read| !read.is_empty()) else {
                return Ok(kept);
            };
            let left = self.left.load(Ordering::Relaxed);
            let taken = u64::try_from(read.len()).unwrap_or(u64::MAX).min(left);
            self.left.store(left - taken, Ordering::Relaxed);
            let taken = usize::try_from(taken).unwrap_or(read.len());
            kept.extend(read.iter().take(taken));
            if taken < read.len() && !self.cut.swap(true, Ordering::Relaxed) {
                self.end_run();
            }
        }
    }
}

/// The output with the shadow copy's path put back to the project's.
fn at_home(output: Vec<u8>, ended: &Ended, root: &Path) -> Vec<u8> {
    let (Some(shadow), Ok(text)) = (&ended.shadow, std::str::from_utf8(&output)) else {
        return output;
    };
    let (Some(shadow), Some(root)) = (shadow.to_str(), root.to_str()) else {
        return output;
    };
    text.replace(shadow, root).into_bytes()
}

fn refused(failure: Failure, request: &Request) -> SandboxError {
    let Failure { step, reason } = failure;
    match step {
        Step::Namespaces | Step::Landlock | Step::Seccomp => SandboxError::Missing {
            wall: walls::name(step).to_owned(),
            remedy: walls::remedy(step),
            reason,
        },
        Step::Stage => SandboxError::Stage {
            root: request.spec.root.clone(),
            reason,
        },
        Step::Start => SandboxError::Start {
            program: request.command.program.clone(),
            reason,
        },
        Step::Launcher => SandboxError::Launcher { reason },
    }
}
