//! Process 1 of a run: mounts `/proc`, starts the candidate, reaps what is left to it.

use std::fs;
use std::io;

use rustix::mount::{MountFlags, mount, mount_remount};
use rustix::process::{
    DumpableBehavior, Pid, Signal, WaitOptions, WaitStatus, set_dumpable_behavior,
    set_parent_process_death_signal,
};

use super::confined::OWN_TASKS;
use super::processes;
use super::stages::{self, InitSays, Inner};
use crate::sandbox::types::SandboxMode;
use crate::sandbox::wire::{self, Failure, Step};

/// `RESERVED_PIDS + 1`, from the kernel's `kernel/pid.c`: it takes no lower limit.
const FEWEST_NUMBERS: u64 = 301;

pub(super) fn main() -> io::Result<()> {
    // Before the message is read: an outer stage that dies earlier leaves no message, one that dies later leaves a
    // signal.
    set_parent_process_death_signal(Some(Signal::KILL))?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    let mut channel = stages::own_channel()?;
    let Some(inner) = wire::receive::<Inner>(&mut channel)? else {
        return Ok(());
    };
    match begin(&inner) {
        Err(failure) => wire::send(&mut channel, &InitSays::Failed(failure)),
        Ok((own_proc, candidate)) => {
            wire::send(&mut channel, &InitSays::Started { own_proc })?;
            let end = reap_until(candidate)?;
            let left_behind = processes::are_left();
            wire::send(
                &mut channel,
                &InitSays::Ended {
                    status: end.exit_status(),
                    signal: end.terminating_signal(),
                    left_behind,
                },
            )
        }
    }
}

fn begin(inner: &Inner) -> Result<(bool, Pid), Failure> {
    let own_proc = match mount_proc(inner.limits.processes) {
        Ok(()) => true,
        // In a container with a masked `/proc` the kernel refuses a new one; Landlock still keeps other processes out.
        Err(error) if inner.mode == SandboxMode::Required => {
            return Err(Step::Namespaces.failed(format!("mounting `/proc`: {error}")));
        }
        Err(_) => false,
    };
    let child = stages::start_confined(inner)?;
    let candidate = Pid::from_child(&child);
    Ok((own_proc, candidate))
}

fn mount_proc(processes: u64) -> io::Result<()> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("proc", "/proc", "proc", flags, None)?;
    // No namespaces within the namespace: they give a candidate nothing it needs, and much of the kernel to try.
    // Not every kernel allows the change, and no wall rests on it.
    fs::write("/proc/sys/user/max_user_namespaces", "0").ok();
    limit_numbers(processes);
    // The real root could write to `/proc/sys` without any capability.
    let flags = flags | MountFlags::BIND | MountFlags::RDONLY;
    mount_remount("/proc", flags, "")?;
    Ok(())
}

/// Leaves no more process numbers than a run may have tasks, which holds for root too.
fn limit_numbers(processes: u64) {
    let release = rustix::system::uname();
    if !numbers_are_namespaced(&release.release().to_string_lossy()) {
        return;
    }
    let most = processes.saturating_add(OWN_TASKS).max(FEWEST_NUMBERS);
    // Without it, the outer stage still counts.
    fs::write("/proc/sys/kernel/pid_max", most.to_string()).ok();
}

/// Since Linux 6.14 the switch belongs to the process namespace. Before, it is the whole system's, and the real root
/// could turn it from in here.
pub(super) fn numbers_are_namespaced(release: &str) -> bool {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    let mut next = || numbers.next().and_then(|number| number.parse::<u32>().ok());
    next().zip(next()).is_some_and(|version| version >= (6, 14))
}

/// Waits for every child until `candidate` has ended. The end of process 1 ends all that are left.
fn reap_until(candidate: Pid) -> io::Result<WaitStatus> {
    loop {
        match rustix::process::wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if pid == candidate => return Ok(status),
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
