//! Storms: more changes at once than a person makes, and file systems that tell of none. After each
//! the tests that are there are those of the tree, and the daemon is as it was before.
//!
//! `just storms` runs them at full size.

#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stdout,
    reason = "tests of real processes in real time, which say what they found"
)]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use rustix::process::Signal;
use serde_json::Value;
use support::daemon::Daemon;
use support::storm::{Storm, is_full, size, source};
use support::tools::have;
use support::world::{World, wait_until};
use testsmith_simulator::Script;

/// A Python project that is no repository.
fn project() -> World {
    let world = World::new(Script::default());
    world.save(
        "pyproject.toml",
        "[project]\nname = \"shop\"\nversion = \"1\"\n",
    );
    world
}

/// One with two branches, on `main`, of which each has its own function in each of `files` files.
fn two_branches(files: usize) -> World {
    let world = project();
    world.git(&["init", "-q"]);
    for branch in ["side", "main"] {
        world.git(&["checkout", "-q", "-B", branch]);
        for number in 0..files {
            let path = format!("d{}/f{number}.py", number / 100);
            world.save(&path, source(&format!("f{number}_{branch}")));
        }
        world.git(&["add", "."]);
        world.git(&["commit", "-q", "-m", branch]);
    }
    world
}

#[test]
fn branches_that_differ_in_every_file_are_switched_again_and_again() {
    let (files, times) = (size(150, 10_000), size(6, 20));
    let mut storm = Storm::begin(two_branches(files), &[]);
    storm.world.git(&["checkout", "-q", "side"]);
    storm.all_is_new();
    storm.settle("the first switch of branches");
    let mut seed = StdRng::seed_from_u64(1);
    for time in 1..times {
        match seed.random_range(0..3) {
            0 => {
                storm.settle("a switch of branches");
            }
            // In the middle of the work that the last one made.
            1 => {
                let ended = |line: &Value| line["message"] == "job ended";
                storm.daemon.wait("end of some job", ended);
            }
            // At once.
            _ => {}
        }
        let branch = ["side", "main"][time % 2];
        storm.world.git(&["checkout", "-q", branch]);
    }
    let status = storm.end(&format!("{times} switches of {files} files"));
    assert_eq!(status["daemon"]["roots"][0]["files"], files + 1);
}

/// Case 19 of the hard ones.
#[test]
fn a_kill_in_the_middle_of_a_storm_loses_nothing() {
    let files = size(100, 10_000);
    let mut storm = Storm::begin(two_branches(files), &[]);
    for branch in ["side", "main", "side"] {
        // Only what is said from here on counts.
        storm.daemon.hear();
        storm.world.git(&["checkout", "-q", branch]);
        let ended = |line: &Value| line["message"] == "job ended";
        for _ in 0..20 {
            storm.daemon.wait("end of some job", ended);
        }
        storm.kill();
        storm.all_is_new();
    }
    storm.end(&format!("3 kills in switches of {files} files"));
}

/// `npm ci` and a build, as they are for a watcher: much ado in folders that are ignored.
#[test]
fn floods_in_ignored_folders_cost_about_nothing() {
    let (files, folders) = (size(4_000, 100_000), size(400, 20_000));
    let world = project();
    world.git(&["init", "-q"]);
    world.save(".gitignore", "target/\nnode_modules/\n");
    world.save("src/a.py", source("a"));
    world.save("target/debug/old.py", source("old"));
    let mut storm = Storm::begin(world, &[]);
    // Its status is asked for by the way, which is no part of the flood.
    let begun = storm.usage();
    let root = storm.world.root();
    for name in ["node_modules", "target"] {
        // Removed and made again, as both do.
        let _ = fs::remove_dir_all(root.join(name));
        for number in 0..files {
            let folder = root.join(format!("{name}/m{}/lib", number % folders));
            if number < folders {
                fs::create_dir_all(&folder).unwrap();
            }
            fs::write(folder.join(format!("f{number}.py")), "x = 1\n").unwrap();
        }
    }
    let ended = storm.usage();
    assert_eq!(ended.watches, begun.watches);
    let processor = ended.processor.saturating_sub(begun.processor);
    println!("2 × {files} ignored files: {processor:?} of processor time");
    assert!(processor <= Duration::from_millis(500), "{processor:?}");
    let status = storm.settle("ignored floods");
    assert_eq!(status["daemon"]["roots"][0]["overflows"], 0);
    storm.end(&format!("2 × {files} files in {folders} ignored folders"));
}

/// A program that saves a file 20 times a second.
#[test]
fn a_file_saved_all_the_time_makes_few_jobs() {
    let (lasts, max_wait) = if is_full() { (60, 5) } else { (6, 1) };
    let waits = format!("watch.max_wait={max_wait}s");
    let quiet = ["--set", "watch.debounce=500ms", "--set", &waits];
    let mut storm = Storm::begin(project(), &quiet);
    let path = storm.world.root().join("busy.py");
    let begun = Instant::now();
    let mut last = Instant::now();
    // Times when this process itself was held up for so long that the file seemed to rest.
    let mut rests = 0;
    let mut saves = 0;
    while begun.elapsed() < Duration::from_secs(lasts) {
        fs::write(&path, source(&format!("busy_{saves}"))).unwrap();
        saves += 1;
        std::thread::sleep(Duration::from_millis(50));
        rests += u64::from(last.elapsed() > Duration::from_millis(250));
        last = Instant::now();
    }
    let took = begun.elapsed().as_secs();
    storm.settle("constant saving");
    let of_it = |line: &&String| line.contains("job ended") && line.contains("busy.py");
    let jobs = storm.daemon.hear().iter().filter(of_it).count() as u64;
    let most = took / max_wait + 2 + rests;
    println!("{saves} saves in {took} s: {jobs} jobs, {rests} rests");
    assert!((1..=most).contains(&jobs), "{jobs} jobs, {most} at most");
    storm.end(&format!("{saves} saves of one file"));
}

/// Whatever can be done to files, in any order.
#[test]
fn files_are_made_renamed_and_removed_at_random() {
    let files = size(300, 1_000);
    let storm = Storm::begin(project(), &[]);
    let mut seed = StdRng::seed_from_u64(seed_or(7));
    let root = storm.world.root();
    let folders: Vec<PathBuf> = (0..10).map(|n| root.join(format!("r{n}/sub"))).collect();
    let mut paths: Vec<PathBuf> = Vec::new();
    for step in 0..3 * files {
        let text = source(&format!("r_{step}"));
        let new = folders
            .choose(&mut seed)
            .unwrap()
            .join(format!("f{step}.py"));
        fs::create_dir_all(new.parent().unwrap()).unwrap();
        if step % 3 == 0 || paths.is_empty() {
            fs::write(&new, text).unwrap();
            paths.push(new);
            continue;
        }
        let at = seed.random_range(0..paths.len());
        match seed.random_range(0..6) {
            0 => fs::write(&paths[at], text).unwrap(),
            1 => {
                // As most editors save.
                let beside = paths[at].with_extension("tmp");
                fs::write(&beside, text).unwrap();
                fs::rename(&beside, &paths[at]).unwrap();
            }
            2 => {
                fs::rename(&paths[at], &new).unwrap();
                paths[at] = new;
            }
            3 => fs::remove_file(paths.swap_remove(at)).unwrap(),
            4 => {
                // A file takes the place of another.
                let over = seed.random_range(0..paths.len());
                if over != at {
                    fs::rename(&paths[at], &paths[over]).unwrap();
                    paths.swap_remove(at);
                }
            }
            _ => {
                // A folder moves with all that is in it.
                let (from, to) = (new.parent().unwrap(), root.join(format!("moved{step}")));
                fs::rename(from, &to).unwrap();
                for path in &mut paths {
                    if let Ok(name) = path.strip_prefix(from) {
                        *path = to.join(name);
                    }
                }
            }
        }
        if seed.random_range(0..20) == 0 {
            std::thread::sleep(Duration::from_millis(seed.random_range(0..200)));
        }
    }
    storm.end(&format!("{} steps with {files} files", 3 * files));
}

/// `TESTSMITH_SEED`, to try others.
fn seed_or(seed: u64) -> u64 {
    let set = std::env::var("TESTSMITH_SEED").ok();
    set.map_or(seed, |set| set.parse().unwrap())
}

/// More events than the kernel keeps, while nobody reads them: cases 10 and 11.
#[test]
fn a_full_event_queue_costs_a_look_at_the_tree_and_nothing_else() {
    let limit = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
    let limit: usize = limit.trim().parse().unwrap();
    let files = size(100, 5_000);
    let world = project();
    for number in 0..files {
        world.save(&format!("o/f{number}.py"), source(&format!("o{number}")));
    }
    let mut storm = Storm::begin(world, &[]);
    let root = storm.world.root();
    storm.all_is_new();
    for round in 1..=3 {
        storm.daemon.signal(Signal::STOP);
        let (this, that) = (root.join("o/notes"), root.join("o/notes.old"));
        fs::write(&this, "").unwrap();
        for _ in 0..=limit / 4 {
            // Each is two events.
            fs::rename(&this, &that).unwrap();
            fs::rename(&that, &this).unwrap();
        }
        for number in 0..files {
            let path = root.join(format!("o/f{number}.py"));
            fs::write(path, source(&format!("o{number}_{round}"))).unwrap();
        }
        let new = format!("new{round}");
        fs::create_dir(root.join(&new)).unwrap();
        fs::write(root.join(&new).join("f.py"), source(&new)).unwrap();
        fs::remove_file(root.join(format!("o/f{round}.py"))).unwrap();
        storm.daemon.signal(Signal::CONT);
        if round == 1 {
            // The second comes before or while the tree is looked at; then there may be no watches
            // that could tell.
            storm.daemon.wait("word that events were lost", |line| {
                line["message"] == "events were lost; the tree is compared"
            });
        }
    }
    let status = storm.end(&format!(
        "3 × {files} saves while the queue of {limit} events was full"
    ));
    let seen = &status["daemon"]["roots"][0];
    assert!(seen["overflows"].as_u64().unwrap() >= 1, "{seen}");
    assert!(seen["rescans"].as_u64().unwrap() >= 2, "{seen}");
}

/// A user's limit on watches that is less than the tree takes.
#[test]
fn what_has_no_watch_is_polled_and_status_says_so() {
    let world = project();
    for number in 0..100 {
        world.save(&format!("d{number}/f.py"), source(&format!("d{number}")));
    }
    let lower = "echo 40 > /proc/sys/user/max_inotify_watches || exit 99; exec \"$@\"";
    let Some(around) = in_namespace(&["sh", "-c", lower, "sh"]) else {
        return;
    };
    let daemon = watch_within(&world, &around);
    let tree = world.root();
    let mut storm = Storm::around(world, daemon, tree);
    // The root, the folder of tests and the one in it are folders too.
    let status = storm.wait_for("look at all folders", |status| {
        let seen = &status["daemon"]["roots"][0];
        seen["watched"]
            .as_u64()
            .zip(seen["polled"].as_u64())
            .is_some_and(|(watched, polled)| watched + polled == 103)
    });
    let seen = &status["daemon"]["roots"][0];
    assert_eq!(seen["state"], "degraded: polling");
    assert!(
        seen["watched"].as_u64() <= Some(40) && seen["shared"] == 0,
        "{seen}"
    );
    assert_eq!(status["warnings"][0]["code"], "polled_folders");
    for number in 0..100 {
        storm.world.save(
            &format!("d{number}/f.py"),
            source(&format!("d{number}_new")),
        );
        storm.world.save(
            &format!("d{number}/new/g.py"),
            source(&format!("g{number}")),
        );
    }
    storm.end("200 changes with 40 watches for 103 folders");
}

/// A file system below which files change without an event, as on a network: here bindfs.
#[test]
fn a_file_system_that_does_not_tell_is_polled_and_status_says_so() {
    if !have("bindfs", &["--version"]) {
        return;
    }
    if fs::File::open("/dev/fuse").is_err() {
        println!("skipped: no FUSE");
        return;
    }
    // The project is seen through the mount; all is changed below it.
    let world = World::new(Script::default());
    let below = world.beside("below");
    fs::create_dir(&below).unwrap();
    fs::write(
        below.join("pyproject.toml"),
        "[project]\nname = \"shop\"\nversion = \"1\"\n",
    )
    .unwrap();
    fs::write(below.join("old.py"), source("old")).unwrap();
    let Some(mount) = Mounted::new(&below, &world.root()) else {
        return;
    };
    let daemon = watch_within(&world, &mount.around());
    let inside = mount.inside(&world.root());
    let mut storm = Storm::around(world, daemon, below);
    let status = storm.settle("a mount");
    let seen = &status["daemon"]["roots"][0];
    assert_eq!(seen["state"], "fresh, polling");
    assert_eq!(seen["polled"], seen["shared"]);
    assert_eq!(
        seen["watched"], seen["shared"],
        "what is saved here is told of all the same"
    );
    assert_eq!(status["health"], "healthy");
    for number in 0..size(50, 1_000) {
        let folder = storm.tree.join(format!("d{}", number % 10));
        fs::create_dir_all(&folder).unwrap();
        fs::write(
            folder.join(format!("f{number}.py")),
            source(&format!("f{number}")),
        )
        .unwrap();
    }
    storm.settle("changes below a mount");
    fs::remove_dir_all(storm.tree.join("d3")).unwrap();
    fs::rename(storm.tree.join("d4"), storm.tree.join("d5/d4")).unwrap();
    fs::write(inside.join("here.py"), source("here")).unwrap();
    storm.end("changes below a mount");
}

/// The project is removed and made anew, and later another takes its place.
#[test]
fn a_root_removed_and_made_again_is_taken_up_again() {
    let files = size(100, 5_000);
    let world = project();
    let make = |world: &World, round: usize| {
        for number in 0..files {
            let path = format!("d{}/f{number}.py", number % 10);
            world.save(&path, source(&format!("f{number}_{round}")));
        }
    };
    make(&world, 0);
    let mut storm = Storm::begin(world, &[]);
    let (root, away) = (storm.world.root(), storm.world.beside("away"));
    for round in 1..=3 {
        if round == 2 {
            fs::rename(&root, &away).unwrap();
        } else {
            // The daemon may be about to write a test: then there is a file more to remove.
            wait_until("removal", || fs::remove_dir_all(&root).is_ok());
        }
        let status = storm.wait_for("word that the root is missing", |status| {
            status["daemon"]["roots"][0]["state"] == "missing"
        });
        assert_eq!(status["warnings"][0]["code"], "root_missing");
        fs::create_dir(&root).unwrap();
        make(&storm.world, round);
        storm.all_is_new();
        storm.settle("a root that came back");
    }
    storm.end(&format!("a root of {files} files made anew 3 times"));
}

/// A disk that is away for a while, with work to do for what is on it.
#[test]
fn jobs_of_a_root_that_is_away_wait_for_it() {
    let files = size(60, 2_000);
    let mut storm = Storm::begin(project(), &["--set", "llm.max_concurrent_calls=1"]);
    let (root, away) = (storm.world.root(), storm.world.beside("away"));
    for number in 0..files {
        let name = format!("f{number}");
        storm.world.save(&format!("{name}.py"), source(&name));
    }
    storm.daemon.ended("f0.py");
    fs::rename(&root, &away).unwrap();
    // As where a disk was mounted.
    fs::create_dir(&root).unwrap();
    storm.wait_for("jobs that wait for the root", |status| {
        let queue = &status["queue"];
        status["daemon"]["roots"][0]["state"] == "missing"
            && queue["pending"] == 0
            && queue["running"] == 0
            && queue["waiting"] != 0
    });
    fs::remove_dir(&root).unwrap();
    fs::rename(&away, &root).unwrap();
    storm.end(&format!(
        "a root of {files} files away in the middle of work"
    ));
}

/// The words before a command that has it run in a user namespace of its own; `None` where there are
/// none.
fn in_namespace(more: &[&str]) -> Option<Vec<String>> {
    let tried = Command::new("unshare").args(["-Ur", "true"]).status();
    if !tried.is_ok_and(|status| status.success()) {
        println!("skipped: no user namespaces");
        return None;
    }
    let words = ["unshare", "-Ur"].iter().chain(more);
    Some(words.map(|word| (*word).to_owned()).collect())
}

/// Starts `watch` by another program, which becomes it.
fn watch_within(world: &World, around: &[String]) -> Daemon {
    let plain = world.command(&["watch", "--log-format", "json", "--state-dir"]);
    let mut command = world.by(Command::new(&around[0]));
    command
        .args(&around[1..])
        .arg(plain.get_program())
        .args(plain.get_args());
    command.arg(world.state()).arg(world.root());
    let mut daemon = Daemon::spawn(command);
    daemon.wait("`watching`", |line| line["message"] == "watching");
    daemon
}

/// A folder seen through bindfs, in namespaces of its own.
struct Mounted {
    server: Child,
}

impl Mounted {
    fn new(below: &Path, at: &Path) -> Option<Self> {
        let around = in_namespace(&["-m"])?;
        let server = Command::new(&around[0])
            .args(&around[1..])
            .args(["bindfs", "-f", "--no-allow-other"])
            .args([below, at])
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let mounted = Self { server };
        let seen = mounted.inside(at).join("old.py");
        wait_until("mount", || seen.exists());
        Some(mounted)
    }

    /// The words before a command that has it run where the mount is seen.
    fn around(&self) -> Vec<String> {
        let id = self.server.id().to_string();
        let words = ["nsenter", "-t", &id, "-U", "-m", "--preserve-credentials"];
        words.map(str::to_owned).to_vec()
    }

    /// A path there, as it is seen from here.
    fn inside(&self, path: &Path) -> PathBuf {
        let id = self.server.id();
        Path::new(&format!("/proc/{id}/root")).join(path.strip_prefix("/").unwrap())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
