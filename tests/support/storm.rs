//! A daemon in a storm: what it costs, and whether the tests it wrote are those of the tree.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use super::daemon::Daemon;
use super::processes::Usage;
use super::world::{World, wait_until};

/// Settings for many small jobs at once: nothing is a single call's affair here.
const SETTINGS: [&str; 2] = ["--set", "watch.rescan_every=0s"];

/// Whether the storms have their full size: `just storms`.
pub fn is_full() -> bool {
    std::env::var("TESTSMITH_STORMS").is_ok_and(|size| size == "full")
}

/// The size of something in the suite, and in a full run.
pub fn size(suite: usize, full: usize) -> usize {
    if is_full() { full } else { suite }
}

/// The longest that a storm is given to calm down.
pub fn patience() -> Duration {
    Duration::from_mins(if is_full() { 90 } else { 2 })
}

/// A source with one public function of this name. Names are used once only.
pub fn source(name: &str) -> String {
    format!("def {name}(a: int) -> int:\n    return a\n")
}

/// A running daemon, and what it took when all was quiet.
pub struct Storm {
    pub world: World,
    pub daemon: Daemon,
    /// What is changed from outside: the project's folder, but for file systems under another.
    pub tree: PathBuf,
    /// Members that were there at first, and so need no tests.
    old: BTreeSet<String>,
    /// Answers that may have been on their way when the daemon was killed.
    lost: usize,
    before: Usage,
    begun: Instant,
    edits: u32,
}

impl Storm {
    /// Starts the daemon on what is there, has it do a few jobs, and notes what it takes at rest.
    pub fn begin(world: World, args: &[&str]) -> Self {
        let daemon = watch(&world, &[&SETTINGS, args].concat());
        let tree = world.root();
        Self::around(world, daemon, tree)
    }

    /// The same of a daemon that watches already.
    pub fn around(world: World, daemon: Daemon, tree: PathBuf) -> Self {
        let before = Usage::of(daemon.id());
        let mut storm = Self {
            world,
            daemon,
            old: members(&tree).into_iter().collect(),
            lost: 0,
            tree,
            before,
            begun: Instant::now(),
            edits: 0,
        };
        storm.assert_awake();
        storm.before = Usage::of(storm.daemon.id());
        storm.begun = Instant::now();
        storm
    }

    /// From here on, nothing is any more as it was at first.
    pub fn all_is_new(&mut self) {
        self.old.clear();
    }

    /// Kills the daemon and starts it again.
    pub fn kill(&mut self) {
        // As many calls as may be open.
        self.lost += 5;
        self.daemon.signal(Signal::KILL);
        wait_until("end of the daemon", || self.daemon.has_ended());
        self.daemon = watch(&self.world, &SETTINGS);
    }

    /// Waits until there is nothing left to do and the tests are those of the tree.
    pub fn settle(&mut self, what: &str) -> Value {
        let begun = Instant::now();
        loop {
            let status = self.status();
            let difference = if is_at_rest(&status) {
                self.difference()
            } else {
                "not at rest".to_owned()
            };
            if difference.is_empty() {
                return status;
            }
            assert!(!self.daemon.has_ended(), "{what}: the daemon has ended");
            assert!(
                begun.elapsed() < patience(),
                "{what}: {difference}\n{status:#}\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Settles, then sees that an edit is still found, that memory is back to rest and that no
    /// answer was asked for twice.
    pub fn end(mut self, what: &str) -> Value {
        self.settle(what);
        let took = self.begun.elapsed();
        let status = self.assert_awake();
        self.assert_memory(what);
        self.assert_paid_once();
        let after = Usage::of(self.daemon.id());
        println!(
            "{what}: quiet again after {took:.1?}; processor {:.1} s; {} calls; memory {} MiB before, \
             {} after, {} at most",
            after
                .processor
                .saturating_sub(self.before.processor)
                .as_secs_f64(),
            self.world.requests().len(),
            self.before.resident >> 20,
            after.resident >> 20,
            after.peak >> 20,
        );
        let (ended, _, log) = self.daemon.stop();
        assert!(ended.success(), "{what}: {log}");
        for trouble in ["panic", "please report"] {
            assert!(!log.contains(trouble), "{what}: {log}");
        }
        status
    }

    /// An edit is found, so nothing of the watcher has died.
    fn assert_awake(&mut self) -> Value {
        self.edits += 1;
        let name = format!("awake_{}", self.edits);
        fs::write(self.tree.join("awake.py"), source(&name)).unwrap();
        self.settle(&name)
    }

    /// Memory comes back to what it was, give or take the allocator's pieces and the caches that a
    /// first few jobs do not fill: `docs/design/memory.md` has figures.
    fn assert_memory(&self, what: &str) {
        let noise: u64 = if is_full() { 160 << 20 } else { 48 << 20 };
        let begun = Instant::now();
        loop {
            let now = Usage::of(self.daemon.id()).resident;
            if now <= self.before.resident + noise {
                return;
            }
            let before = self.before.resident;
            assert!(
                begun.elapsed() < Duration::from_mins(1),
                "{what}: {before} bytes resident before, {now} after"
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn assert_paid_once(&mut self) {
        let mut asked = BTreeSet::new();
        let requests = self.world.requests().into_iter();
        let mut twice: Vec<String> = requests.flat_map(|request| request.members).collect();
        twice.retain(|member| !asked.insert(member.clone()));
        // A call is left when a newer save makes its answer useless.
        let is_left = |line: &&String| line.contains("\"outcome\":\"superseded\"");
        let left = self.daemon.hear().iter().filter(is_left).count();
        assert!(
            twice.len() <= self.lost + left,
            "asked for twice: {twice:?}\n{}",
            self.log()
        );
    }

    /// What of the tests is not as the sources are.
    fn difference(&self) -> String {
        let (there, tested) = (members(&self.tree), blocks(&self.tree));
        let (sources, tests): (BTreeSet<_>, BTreeSet<_>) =
            (there.iter().collect(), tested.iter().collect());
        assert_eq!(sources.len(), there.len(), "names are used once only");
        let untested = sources.difference(&tests);
        let untested: Vec<_> = untested.filter(|name| !self.old.contains(**name)).collect();
        let left: Vec<_> = tests.difference(&sources).collect();
        let twice = tested.len() - tests.len();
        if untested.is_empty() && left.is_empty() && twice == 0 {
            return String::new();
        }
        format!(
            "{} untested ({:?} …), {} left over ({:?} …), {twice} twice",
            untested.len(),
            untested.first(),
            left.len(),
            left.first()
        )
    }

    /// What `status` tells.
    pub fn status(&self) -> Value {
        let mut command = self.world.command(&["status", "--json", "--state-dir"]);
        // Not the project's folder, which may be away.
        command
            .arg(self.world.state())
            .current_dir(self.world.beside("."));
        let output = command.output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
    }

    /// Waits for something that `status` tells.
    pub fn wait_for(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let begun = Instant::now();
        loop {
            let status = self.status();
            if wanted(&status) {
                return status;
            }
            assert!(begun.elapsed() < patience(), "no {what}: {status:#}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// What the daemon has taken since the storm began.
    pub fn usage(&self) -> Usage {
        Usage::of(self.daemon.id())
    }

    /// The last lines that the daemon said.
    fn log(&mut self) -> String {
        let said = self.daemon.hear();
        said[said.len().saturating_sub(100)..].join("\n")
    }
}

/// As the unit in `systemd/` runs it, which says how much the C library's allocator may keep.
fn watch(world: &World, args: &[&str]) -> Daemon {
    let mut command = world.watching();
    command.args(args).env("MALLOC_ARENA_MAX", "2");
    let mut daemon = Daemon::spawn(command);
    daemon.wait("`watching`", |line| line["message"] == "watching");
    daemon
}

fn is_at_rest(status: &Value) -> bool {
    const RESTING: [&str; 3] = ["fresh", "fresh, polling", "degraded: polling"];
    let queue = &status["queue"];
    let is_none = |name: &str| queue[name] == 0;
    let roots = status["daemon"]["roots"].as_array();
    roots.is_some_and(|roots| {
        roots.iter().all(|root| {
            RESTING.iter().any(|state| root["state"] == *state) && root["settling"] == 0
        })
    }) && ["pending", "running", "waiting"].into_iter().all(is_none)
}

/// The public functions in a tree's sources.
pub fn members(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    python_files(root, &mut |path, text| {
        let is_ours = path.starts_with(root.join("tests"));
        let names = text.lines().filter_map(|line| line.strip_prefix("def "));
        let names = names.filter_map(|rest| rest.split_once('('));
        found.extend(names.filter(|_| !is_ours).map(|(name, _)| name.to_owned()));
    });
    found
}

/// The members that a tree has blocks of.
fn blocks(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    python_files(&root.join("tests"), &mut |_, text| {
        let begins = text
            .lines()
            .filter_map(|line| line.strip_prefix("# testsmith:begin "));
        let names = begins.filter_map(|rest| rest.split_once(' '));
        found.extend(names.map(|(name, _)| name.to_owned()));
    });
    found
}

/// All Python files below a folder, but for what is ignored. What goes away meanwhile is no file.
fn python_files(folder: &Path, seen: &mut dyn FnMut(&Path, &str)) {
    const IGNORED: [&str; 3] = ["target", "node_modules", ".git"];
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            if IGNORED.iter().all(|ignored| name != *ignored) {
                python_files(&path, seen);
            }
        } else if path.extension().is_some_and(|extension| extension == "py")
            && let Ok(text) = fs::read_to_string(&path)
        {
            seen(&path, &text);
        }
    }
}
