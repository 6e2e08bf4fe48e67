//! The outer stage: builds the walls, starts the rest, watches, and ends it.

use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Child;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions, WaitStatus};

use super::mounts::{self, View};
use super::network::Counters;
use super::processes::{self, Usage};
use super::stages::{self, InitSays, Inner};
use super::{landlocked, seccomp, tampering};
use crate::sandbox::types::{CommandSpec, Limits, SandboxMode};
use crate::sandbox::wire::{self, Ended, Failure, Probe, Reply, Request, Step};

/// Between two looks at memory and processes: 10 ms.
const BETWEEN_LOOKS: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 10_000_000,
};

/// Told of a run whose processes outlasted its candidate.
const LEFT_BEHIND: &str = "left a process behind";

pub(super) fn main() -> io::Result<()> {
    let mut control = stages::own_channel()?;
    let Some(request) = wire::receive::<Request>(&mut control)? else {
        return Ok(());
    };
    let result = if request.namespaces {
        in_namespaces(&request, &control)
    } else {
        without_namespaces(&request, &control)
    };
    let reply = result.map_or_else(Reply::Failed, Reply::Ended);
    match wire::send(&mut control, &reply) {
        // Nobody wants to know any more.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        sent => sent,
    }
}

fn in_namespaces(request: &Request, control: &UnixStream) -> Result<Ended, Failure> {
    let launcher = |error: io::Error| Step::Launcher.failed(error);
    let view = mounts::build(request)?;
    let mut counters = Counters::open();
    let routes = counters.without_route();
    let mut writable = request.spec.writable.clone();
    writable.push(request.spec.scratch.clone());
    writable.push(request.spec.root.clone());
    let inner = inner(request, request.command.clone(), writable, true);
    let (mut init, mut channel) = stages::start("init", &inner).map_err(launcher)?;
    let own_proc = match wire::receive(&mut channel).map_err(launcher)? {
        Some(InitSays::Started { own_proc }) => own_proc,
        Some(InitSays::Failed(failure)) => {
            init.wait().map_err(launcher)?;
            return Err(failure);
        }
        Some(InitSays::Ended { .. }) | None => {
            return Err(Step::Launcher.failed("process 1 ended before it began"));
        }
    };
    let end = watch(control, channel.as_fd(), &request.spec.limits, || {
        if own_proc {
            processes::everything()
        } else {
            processes::descendants()
        }
    });
    let mut ended = end_init(&mut init, &mut channel, &end).map_err(launcher)?;
    let denied = counters.without_route().saturating_sub(routes);
    if denied > 0 && request.spec.mode != SandboxMode::Off {
        ended.blocked.push("network outside the sandbox".to_owned());
    }
    // What is killed cannot clean up.
    let made = matches!(end, End::ByItself);
    ended.blocked.extend(changed(&view, request, made));
    Ok(ended)
}

/// Ends process 1 and with it everything; the kernel has reaped the rest when it lets this one be reaped.
fn end_init(init: &mut Child, channel: &mut UnixStream, end: &End) -> io::Result<Ended> {
    let mut ended = end.as_ended();
    if matches!(end, End::ByItself) {
        match wire::receive(channel)? {
            Some(InitSays::Ended {
                status,
                signal,
                left_behind,
            }) => {
                ended.status = status;
                ended.signal = signal;
                if left_behind {
                    ended.blocked.push(LEFT_BEHIND.to_owned());
                }
            }
            _ => ended.signal = Some(Signal::KILL.as_raw()),
        }
    }
    // It may be gone already.
    drop(init.kill());
    init.wait()?;
    Ok(ended)
}

fn changed(view: &View, request: &Request, made: bool) -> Vec<String> {
    match view {
        View::Overlay { lower, upper } => tampering::in_overlay(lower, upper, &request.spec, made),
        View::Copy(shadow) => shadow.changed(made),
    }
}

fn without_namespaces(request: &Request, control: &UnixStream) -> Result<Ended, Failure> {
    let launcher = |error: io::Error| Step::Launcher.failed(error);
    // What the candidate leaves behind becomes a child of this process and can be found.
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
        .map_err(|error| launcher(error.into()))?;
    let shadow = super::shadow::copy(request)?;
    let mut writable = request.spec.writable.clone();
    writable.push(request.spec.scratch.clone());
    let command = shadow.moved(&request.command, &request.spec.root);
    let mut inner = inner(request, command, writable, false);
    for (_, value) in &mut inner.environment {
        *value = shadow.moved_text(value, &request.spec.root);
    }
    let candidate = stages::start_confined(&inner)?;
    let pid = Pid::from_child(&candidate);
    let pidfd = rustix::process::pidfd_open(pid, PidfdFlags::empty())
        .map_err(|error| launcher(error.into()))?;
    let end = watch(control, pidfd.as_fd(), &request.spec.limits, || {
        processes::descendants()
    });
    let by_itself = matches!(end, End::ByItself);
    let (status, left_behind) = end_tree(pid, &pidfd).map_err(launcher)?;
    let mut ended = end.as_ended();
    if by_itself {
        ended.status = status.and_then(WaitStatus::exit_status);
        ended.signal = status.and_then(WaitStatus::terminating_signal);
    }
    if by_itself && left_behind {
        ended.blocked.push(LEFT_BEHIND.to_owned());
    }
    ended.blocked.extend(shadow.changed(by_itself));
    ended.shadow = Some(shadow.into_path());
    Ok(ended)
}

/// Gives how the candidate ended, if it had by itself, and whether it left others running.
fn end_tree(candidate: Pid, pidfd: &OwnedFd) -> io::Result<(Option<WaitStatus>, bool)> {
    let mut status = None;
    let mut left_behind = false;
    if let Ok(Some((_, ended))) = rustix::process::waitpid(Some(candidate), WaitOptions::NOHANG) {
        status = Some(ended);
        left_behind = processes::are_left();
    } else {
        rustix::process::pidfd_send_signal(pidfd, Signal::KILL).ok();
    }
    // At one go, as no fork can run away from; those with sessions of their own one by one.
    rustix::process::kill_process_group(candidate, Signal::KILL).ok();
    processes::end_descendants()?;
    Ok((status, left_behind))
}

fn inner(request: &Request, command: CommandSpec, writable: Vec<PathBuf>, own: bool) -> Inner {
    Inner {
        command,
        environment: request.environment.clone(),
        mode: request.spec.mode,
        limits: request.spec.limits,
        namespaces: own,
        writable,
        covered: request.covered.clone(),
    }
}

/// Why a run is over.
enum End {
    ByItself,
    Asked,
    Memory,
    Processes(u64),
}

impl End {
    fn as_ended(&self) -> Ended {
        let killed = Ended {
            signal: Some(Signal::KILL.as_raw()),
            ..Ended::default()
        };
        match self {
            Self::ByItself => Ended::default(),
            Self::Asked => killed,
            Self::Memory => Ended {
                memory_exceeded: true,
                ..killed
            },
            Self::Processes(limit) => Ended {
                blocked: vec![format!("more than {limit} processes and threads")],
                ..killed
            },
        }
    }
}

/// Waits until the candidate has ended, or has to.
fn watch(
    control: &UnixStream,
    ended: rustix::fd::BorrowedFd<'_>,
    limits: &Limits,
    usage: impl Fn() -> Usage,
) -> End {
    loop {
        let mut waited = [
            PollFd::from_borrowed_fd(ended, PollFlags::IN),
            PollFd::from_borrowed_fd(control.as_fd(), PollFlags::IN),
        ];
        // Interrupted is as good as timed out.
        poll(&mut waited, Some(&BETWEEN_LOOKS)).ok();
        let [ended, asked] = &waited;
        if !ended.revents().is_empty() {
            return End::ByItself;
        }
        if !asked.revents().is_empty() {
            return End::Asked;
        }
        let usage = usage();
        if usage.bytes > limits.memory {
            return End::Memory;
        }
        if usage.tasks > limits.processes {
            return End::Processes(limits.processes);
        }
    }
}

/// Tries every wall on this process, which runs nothing, and writes what stands to standard output.
pub(super) fn probe() -> io::Result<()> {
    let mut control = stages::own_channel()?;
    let Some(mut request) = wire::receive::<Request>(&mut control)? else {
        return Ok(());
    };
    request.spec.mode = SandboxMode::Required;
    let namespaces = mounts::build(&request)
        .map(drop)
        .map_err(|failure| failure.reason);
    let inner = inner(&request, request.command.clone(), Vec::new(), true);
    let no_new_privileges =
        rustix::thread::set_no_new_privs(true).map_err(|error| error.to_string());
    let landlock = landlocked::restrict(&inner);
    let seccomp = no_new_privileges.and_then(|()| seccomp::restrict(true));
    let probe = Probe {
        namespaces,
        landlock,
        seccomp,
    };
    io::stdout().write_all(&wire::encode(&probe)?)
}
