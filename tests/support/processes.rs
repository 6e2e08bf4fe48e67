//! The processes that a run of the sandbox is made of, as the kernel tells of them.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

/// A process: its number, and when it was started, since numbers are used again.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Process {
    pub id: u32,
    started: String,
}

/// All processes that descend from `parent` and have not ended.
pub fn descendants(parent: u32) -> BTreeSet<Process> {
    let all = running();
    let mut found = BTreeSet::new();
    let mut parents = BTreeSet::from([parent]);
    // Each turn goes one generation down.
    loop {
        let children = all.iter().filter(|(_, of)| parents.contains(of));
        let children: BTreeSet<Process> = children.map(|(process, _)| process.clone()).collect();
        if children.is_empty() {
            return found;
        }
        parents = children.iter().map(|process| process.id).collect();
        found.extend(children);
    }
}

/// Those of `processes` that still run.
pub fn left_of(processes: &BTreeSet<Process>) -> Vec<Process> {
    let all = running();
    let all = all.into_iter().map(|(process, _)| process);
    all.filter(|process| processes.contains(process)).collect()
}

/// What a process was started with.
pub fn command_line(process: &Process) -> String {
    fs::read_to_string(format!("/proc/{}/cmdline", process.id)).unwrap_or_default()
}

/// All processes with their parents; those that have ended and wait to be reaped are none.
fn running() -> Vec<(Process, u32)> {
    fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| {
            let id = entry.ok()?.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
            // The name in brackets may hold anything; the fields are counted from behind it.
            let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
            let process = Process {
                id,
                started: (*fields.get(19)?).to_owned(),
            };
            let parent = fields.get(1)?.parse().ok()?;
            (fields.first() != Some(&"Z")).then_some((process, parent))
        })
        .collect()
}

/// What a process has taken so far.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    /// Processor time.
    pub processor: Duration,
    /// Memory now, in bytes.
    pub resident: u64,
    /// Memory at most, in bytes.
    pub peak: u64,
    /// Folders with an inotify watch.
    pub watches: usize,
}

impl Usage {
    pub fn of(id: u32) -> Self {
        let read = |name: &str| fs::read_to_string(format!("/proc/{id}/{name}")).unwrap();
        let (stat, status) = (read("stat"), read("status"));
        let fields: Vec<&str> = stat
            .rsplit_once(')')
            .unwrap()
            .1
            .split_whitespace()
            .collect();
        // utime and stime in ticks of 10 ms, counted from the state field; see proc(5).
        let ticks: u64 = fields[11..13]
            .iter()
            .map(|t| t.parse::<u64>().unwrap())
            .sum();
        let kib = |name: &str| -> u64 {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace().nth(1).unwrap().parse().unwrap()
        };
        let open = fs::read_dir(format!("/proc/{id}/fdinfo")).unwrap();
        let watches = open
            .filter_map(|entry| fs::read_to_string(entry.ok()?.path()).ok())
            .map(|info| info.matches("inotify wd:").count())
            .sum();
        Self {
            processor: Duration::from_millis(ticks * 10),
            resident: kib("VmRSS:") * 1024,
            peak: kib("VmHWM:") * 1024,
            watches,
        }
    }
}
