//! The last stage: gives up everything a candidate must not have, and becomes the candidate.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{
    CapabilitySet, CapabilitySets, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities, set_no_new_privs,
};

use super::stages::{self, Inner};
use super::{landlocked, processes, seccomp};
use crate::sandbox::types::SandboxMode;
use crate::sandbox::wire::{self, Failure, Step};

/// Tasks of the launcher itself that count in the namespace: the outer stage, process 1, and one that is just ending.
pub(super) const OWN_TASKS: u64 = 3;

/// The highest capability that is tried; the kernel refuses those it does not know.
const LAST_CAPABILITY: u32 = 63;

pub(super) fn main() -> io::Result<()> {
    let mut channel = stages::own_channel()?;
    let Some(inner) = wire::receive::<Inner>(&mut channel)? else {
        return Ok(());
    };
    let failure = match confine(&inner) {
        Ok(()) => become_candidate(&inner),
        Err(failure) => failure,
    };
    wire::send(&mut channel, &failure)
}

fn confine(inner: &Inner) -> Result<(), Failure> {
    rustix::process::setsid().map_err(|error| Step::Seccomp.failed(error))?;
    limit(inner).map_err(|error| Step::Seccomp.failed(format!("limits: {error}")))?;
    set_no_new_privs(true).map_err(|error| Step::Seccomp.failed(error))?;
    // Those of the run's own user namespace, or root's.
    let held = rustix::thread::capabilities(None).map_err(|error| Step::Seccomp.failed(error))?;
    if !held.permitted.is_empty() {
        drop_capabilities()
            .map_err(|error| Step::Seccomp.failed(format!("capabilities: {error}")))?;
    }
    if inner.mode == SandboxMode::Off {
        return Ok(());
    }
    let required = inner.mode == SandboxMode::Required;
    if let Err(reason) = landlocked::restrict(inner)
        && required
    {
        return Err(Step::Landlock.failed(reason));
    }
    if let Err(reason) = seccomp::restrict(inner.namespaces)
        && required
    {
        return Err(Step::Seccomp.failed(reason));
    }
    Ok(())
}

fn limit(inner: &Inner) -> io::Result<()> {
    let limits = &inner.limits;
    let tasks = if inner.namespaces {
        limits.processes.saturating_add(OWN_TASKS)
    } else {
        // Counted for the user as a whole.
        limits
            .processes
            .saturating_add(processes::tasks_of_this_user())
    };
    for (resource, most) in [
        (Resource::Core, 0),
        (Resource::Fsize, limits.file_size),
        (Resource::Data, limits.memory.saturating_mul(2)),
        (Resource::Nproc, tasks),
    ] {
        let most = getrlimit(resource)
            .maximum
            .map_or(most, |hard| hard.min(most));
        setrlimit(
            resource,
            Rlimit {
                current: Some(most),
                maximum: Some(most),
            },
        )?;
    }
    Ok(())
}

fn drop_capabilities() -> io::Result<()> {
    clear_ambient_capability_set()?;
    for number in 0..=LAST_CAPABILITY {
        let capability = CapabilitySet::from_bits_retain(1 << number);
        match remove_capability_from_bounding_set(capability) {
            Ok(()) | Err(rustix::io::Errno::INVAL) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let none = CapabilitySet::empty();
    set_capabilities(
        None,
        CapabilitySets {
            effective: none,
            permitted: none,
            inheritable: none,
        },
    )?;
    Ok(())
}

/// Returns only if the candidate could not be started.
fn become_candidate(inner: &Inner) -> Failure {
    let command = &inner.command;
    let error = Command::new(&command.program)
        .args(&command.args)
        .env_clear()
        .envs(inner.environment.iter().map(|(name, value)| (name, value)))
        .current_dir(&command.cwd)
        .stdin(Stdio::null())
        .exec();
    Step::Start.failed(error)
}
