//! Looking at a run's processes through `/proc`, and ending them where no process namespace does.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;

use rustix::event::{Timespec, poll};
use rustix::process::{Pid, Signal, WaitOptions};

/// What a run holds at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Usage {
    /// Memory of the processes' own, in bytes: resident, without what is shared with files.
    pub(super) bytes: u64,
    /// Processes and threads.
    pub(super) tasks: u64,
}

/// Rounds of ending processes before giving up; a fork bomb loses after a few.
const ROUNDS: u32 = 2000;

/// Between two rounds: 2 ms.
const BETWEEN_ROUNDS: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 2_000_000,
};

/// Rounds that what a candidate started may outlast it: 500 ms. A helper that ends when its pipe closes, such as esbuild's
/// service, takes a few on an idle machine.
const GRACE_ROUNDS: u32 = 250;

/// Children reaped in one round, at most: some make new ones for ever.
const REAPED_IN_ROUND: u32 = 1000;

/// Everything that `/proc` shows. Process 1 counts too; it is small.
pub(super) fn everything() -> Usage {
    pids().map(usage_of).fold(Usage::default(), Usage::plus)
}

/// The descendants of this process.
pub(super) fn descendants() -> Usage {
    descendant_pids()
        .into_iter()
        .map(usage_of)
        .fold(Usage::default(), Usage::plus)
}

/// Whether a descendant still runs after [`GRACE_ROUNDS`]. This process has to be their subreaper, or process 1, and
/// have reaped the candidate: what that left is then a child of this process.
pub(super) fn are_left() -> bool {
    for _ in 0..GRACE_ROUNDS {
        for _ in 0..REAPED_IN_ROUND {
            match rustix::process::wait(WaitOptions::NOHANG) {
                Ok(Some(_)) | Err(rustix::io::Errno::INTR) => {}
                Ok(None) => break,
                Err(_) => return false,
            }
        }
        poll(&mut [], Some(&BETWEEN_ROUNDS)).ok();
    }
    true
}

/// Ends every descendant and reaps it. This process has to be their subreaper.
pub(super) fn end_descendants() -> io::Result<()> {
    for _ in 0..ROUNDS {
        let left = descendant_pids();
        // Stopped first, so that none of them makes another while the list is worked through.
        for signal in [Signal::STOP, Signal::KILL] {
            for pid in left.iter().filter_map(|pid| Pid::from_raw(*pid)) {
                // It may have ended by itself.
                rustix::process::kill_process(pid, signal).ok();
            }
        }
        while let Ok(Some(_)) = rustix::process::wait(WaitOptions::NOHANG) {}
        if left.is_empty() {
            return Ok(());
        }
        poll(&mut [], Some(&BETWEEN_ROUNDS)).ok();
    }
    Err(io::Error::other("processes of a run do not end"))
}

/// Processes and threads of the user this runs as.
pub(super) fn tasks_of_this_user() -> u64 {
    let user = rustix::process::getuid().as_raw();
    pids()
        .filter(|pid| fs::metadata(format!("/proc/{pid}")).is_ok_and(|own| own.uid() == user))
        .map(|pid| usage_of(pid).tasks)
        .sum()
}

impl Usage {
    fn plus(self, other: Self) -> Self {
        Self {
            bytes: self.bytes.saturating_add(other.bytes),
            tasks: self.tasks.saturating_add(other.tasks),
        }
    }
}

fn pids() -> impl Iterator<Item = i32> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn usage_of(pid: i32) -> Usage {
    let page = u64::try_from(rustix::param::page_size()).unwrap_or(0);
    let statm = fs::read_to_string(format!("/proc/{pid}/statm")).unwrap_or_default();
    let mut pages = statm
        .split(' ')
        .skip(1)
        .map(|field| field.parse::<u64>().unwrap_or(0));
    let resident = pages.next().unwrap_or(0);
    let shared = pages.next().unwrap_or(0);
    Usage {
        bytes: resident.saturating_sub(shared).saturating_mul(page),
        tasks: status_of(pid).map_or(0, |status| status.tasks),
    }
}

struct ProcessStatus {
    parent: i32,
    tasks: u64,
}

fn status_of(pid: i32) -> Option<ProcessStatus> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name stands in parentheses and may hold anything, parentheses too.
    let mut fields = stat.get(stat.rfind(')')?..)?.split(' ').skip(2);
    let parent = fields.next()?.parse().ok()?;
    // From the parent, field 4, to the number of threads, field 20 of proc_pid_stat(5).
    let tasks = fields.nth(15)?.parse().ok()?;
    Some(ProcessStatus { parent, tasks })
}

fn descendant_pids() -> Vec<i32> {
    let mut children: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    for pid in pids() {
        if let Some(status) = status_of(pid) {
            children.entry(status.parent).or_default().push(pid);
        }
    }
    let mut found = Vec::new();
    let mut open = vec![rustix::process::getpid().as_raw_nonzero().get()];
    while let Some(parent) = open.pop() {
        for child in children.remove(&parent).unwrap_or_default() {
            found.push(child);
            open.push(child);
        }
    }
    found
}
