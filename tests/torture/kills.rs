//! The program is killed at any moment, and at each of its crash points, and started again.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use testsmith_crash::POINTS;
use testsmith_simulator::{Cut, Fault, Latency, Rule, Script};

use crate::dice::Dice;
use crate::person::Person;
use crate::reader::{Reader, whole};
use crate::source::{Subject, Tongue, function_text};
use crate::support::daemon::Daemon;
use crate::support::samples;
use crate::support::tools::have;
use crate::support::world::{PATIENCE, World, files_below, said};
use crate::witness::Witness;

/// Kills in the test suite. `TESTSMITH_TORTURE_KILLS` sets another number.
const KILLS: usize = 100;

/// Deaths between two comparisons of everything.
const BETWEEN_COMPARISONS: usize = 10;

/// The longest a life lasts before it is killed.
const LIFE: Duration = Duration::from_millis(900);

/// How long a crash point is waited for.
const POINT_LIFE: Duration = Duration::from_secs(3);

/// How often the work left may have to be taken up until all of it is done: a job may wait for
/// another file's, and a start wakes it.
const ROUNDS: usize = 6;

const SIGABRT: i32 = 6;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// What all chance comes from: given, or by the clock.
pub fn seed() -> u64 {
    number("TESTSMITH_TORTURE_SEED").unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        now.unwrap().as_secs()
    })
}

#[test]
fn nothing_is_lost_however_often_it_is_killed() {
    let seed = seed();
    let kills = number("TESTSMITH_TORTURE_KILLS").map_or(KILLS, |n| usize::try_from(n).unwrap());
    println!("TESTSMITH_TORTURE_SEED={seed} TESTSMITH_TORTURE_KILLS={kills}");
    let mut run = Run::new(seed);
    for kill in 1..=kills {
        run.live_and_die(kill);
        if kill % BETWEEN_COMPARISONS == 0 {
            run.compare(&format!("after kill {kill}"));
        }
    }
    run.compare("at the end");
    run.tests_pass();
    run.answers_are_kept();
    run.tell(kills);
    if kills >= KILLS {
        assert_eq!(
            run.unreached(),
            <Vec<&str>>::new(),
            "points that nothing passed"
        );
    }
}

/// The process dies between writing the tests and noting that, and the source moves while nobody
/// looks: the tests go along, though nothing is known of them.
#[test]
fn tests_that_nothing_is_known_of_follow_their_source() {
    let world = World::new(Script::default());
    world.save("go.mod", samples::GO_MOD);
    assert!(world.watch_unready(&["--until-idle"]).end().0.success());
    world.save("cart.go", samples::GO);
    let mut command = world.command(&["watch", "--state-dir"]);
    command
        .arg(world.state())
        .env("TESTSMITH_CRASH_AT", "queue.finish.before:1");
    let (status, _, log) = Daemon::spawn(command).end();
    assert_eq!(status.signal(), Some(SIGABRT), "{log}");
    assert!(world.exists("cart_testsmith_test.go"));
    let root = world.root();
    fs::rename(root.join("cart.go"), root.join("basket.go")).unwrap();
    let mut daemon = world.watch_unready(&[]);
    // Perhaps once the watcher has said that it is gone for good.
    while daemon.ended("cart.go")["outcome"] != "removed" {}
    // Perhaps at the second try: the names were taken until then.
    while daemon.ended("basket.go")["outcome"] != "written" {}
    assert!(!world.exists("cart_testsmith_test.go"));
    assert_eq!(world.requests().len(), 1);
}

/// The process dies between taking the tests away and noting that, and the source comes back: so do
/// its tests, which nobody but the process itself has deleted.
#[test]
fn tests_taken_away_by_a_process_that_died_come_back_with_their_source() {
    let world = World::new(Script::default());
    world.save("go.mod", samples::GO_MOD);
    assert!(world.watch_unready(&["--until-idle"]).end().0.success());
    let source = world.save("cart.go", samples::GO);
    assert!(world.watch_unready(&["--until-idle"]).end().0.success());
    fs::remove_file(source).unwrap();
    let mut command = world.command(&["watch", "--state-dir"]);
    command
        .arg(world.state())
        .env("TESTSMITH_CRASH_AT", "queue.finish.before:1");
    let (status, _, log) = Daemon::spawn(command).end();
    assert_eq!(status.signal(), Some(SIGABRT), "{log}");
    assert!(!world.exists("cart_testsmith_test.go"));
    world.save("cart.go", samples::GO);
    let (status, _, log) = world.watch_unready(&["--until-idle"]).end();
    assert!(status.success(), "{log}");
    assert!(world.exists("cart_testsmith_test.go"), "{log}");
    assert_eq!(world.requests().len(), 1);
}

/// A project under torture.
struct Run {
    seed: u64,
    dice: Dice,
    world: World,
    person: Person,
    reader: Reader,
    witness: Witness,
    /// Deaths at each point.
    deaths: BTreeMap<&'static str, usize>,
    killed: usize,
    compared: usize,
    starts: Vec<Duration>,
    begun: Instant,
}

impl Run {
    fn new(seed: u64) -> Self {
        let script = Script::default()
            .seed(seed)
            .log_bodies()
            .latency(Latency::Uniform {
                min_ms: 0.0,
                max_ms: 60.0,
            })
            .rule(Rule::from(Fault::status(500)).probability(0.03))
            .rule(
                Rule::from(Fault::Cut {
                    at: Cut::Fraction(0.5),
                })
                .probability(0.03),
            );
        let world = World::new(script);
        world.save("go.mod", samples::GO_MOD);
        let go = (0..8).map(|number| Subject {
            tongue: Tongue::Go,
            number,
        });
        let python = (0..4).map(|number| Subject {
            tongue: Tongue::Python,
            number,
        });
        let subjects: Vec<Subject> = go.chain(python).collect();
        // The first look is the base line: what is there then is nobody's work.
        let daemon = world.watch(&[]);
        let (status, _, log) = daemon.stop();
        assert!(status.success(), "{log}");
        let in_place = Arc::new(RwLock::new(()));
        let dice = Dice::new(seed);
        let root = world.root();
        let person = Person::new(&root, dice.about(1), Arc::clone(&in_place), &subjects);
        Self {
            seed,
            dice: dice.about(2),
            reader: Reader::start(&root, in_place),
            world,
            person,
            witness: Witness::default(),
            deaths: BTreeMap::new(),
            killed: 0,
            compared: 0,
            starts: Vec::new(),
            begun: Instant::now(),
        }
    }

    fn start(&self, args: &[&str], crash_at: Option<String>) -> Daemon {
        let mut command = self
            .world
            .command(&["watch", "--log-format", "json", "--state-dir"]);
        command
            .arg(self.world.state())
            .args(["--set", "watch.debounce=20ms"])
            // Never reached: with a budget each request is written down before it is sent.
            .args(["--set", "budget.day.calls=1000000"])
            .args(args)
            .env("TESTSMITH_LOG", "testsmith=debug");
        if let Some(point) = crash_at {
            command.env("TESTSMITH_CRASH_AT", point);
        }
        Daemon::spawn(command)
    }

    /// One life: started, worked for, and ended at a point or at any moment.
    fn live_and_die(&mut self, kill: usize) {
        let point = (self.dice.roll(2) == 0).then(|| self.next_point());
        let count = 1 + self.dice.roll(3);
        // A point that was never passed yet is met at the first time.
        let count = point.map(|point| {
            if self.deaths.contains_key(point) {
                count
            } else {
                1
            }
        });
        let crash_at = point
            .zip(count)
            .map(|(point, count)| format!("{point}:{count}"));
        let life = if point.is_some() {
            POINT_LIFE
        } else {
            let most = u64::try_from(LIFE.as_millis()).unwrap();
            Duration::from_millis(self.dice.roll(most))
        };
        // Some edits are made while nothing runs.
        self.person.act();
        let begun = Instant::now();
        let mut daemon = self.start(&[], crash_at.clone());
        let mut acted = 0;
        while begun.elapsed() < life && !daemon.has_ended() {
            if let Some(point) = point
                && acted % 3 == 0
            {
                self.person.act_for(point);
            } else {
                self.person.act();
            }
            acted += 1;
            let rest = Instant::now() + Duration::from_millis(self.dice.roll(120));
            while Instant::now() < rest.min(begun + life) && !daemon.has_ended() {
                std::thread::sleep(Duration::from_millis(2));
            }
        }
        let by_itself = daemon.has_ended();
        if !by_itself {
            daemon.signal(rustix::process::Signal::KILL);
        }
        let (status, _, log) = daemon.end();
        let died_at = crash_at.as_deref().unwrap_or("any moment");
        if by_itself {
            assert_eq!(
                status.signal(),
                Some(SIGABRT),
                "{}: kill {kill} at {died_at}: it ended by itself:\n{log}",
                self.seed
            );
            *self.deaths.entry(point.unwrap()).or_default() += 1;
        } else {
            self.killed += 1;
        }
        self.take_in(&log, &format!("kill {kill} at {died_at}"));
        let lost = self.person.lost(false);
        self.fail_if(
            &lost,
            &format!("kill {kill} at {died_at}: lines lost"),
            &log,
        );
    }

    /// A crash point; those that have not been met come first.
    fn next_point(&mut self) -> &'static str {
        let mut points = self.unreached();
        if points.is_empty() {
            points = POINTS.to_vec();
        }
        points[self.dice.index(points.len())]
    }

    fn unreached(&self) -> Vec<&'static str> {
        let unmet = POINTS.iter().filter(|at| !self.deaths.contains_key(*at));
        unmet.copied().collect()
    }

    fn take_in(&mut self, log: &str, when: &str) {
        let lines: Vec<String> = log.lines().map(str::to_owned).collect();
        let requests = self.world.requests();
        self.world.simulator().clear_log();
        let wrong = self.witness.take_in(&requests, &lines);
        self.fail_if(&wrong, when, log);
        self.fail_if(&self.reader.wrong(), when, log);
    }

    fn fail_if(&self, wrong: &[String], when: &str, log: &str) {
        assert!(
            wrong.is_empty(),
            "TESTSMITH_TORTURE_SEED={}: {when}:\n{}\n{log}",
            self.seed,
            wrong.join("\n")
        );
    }

    /// Lets all work be done, and compares the tree with what it has to be.
    fn compare(&mut self, when: &str) {
        self.person.put_right();
        let mut log = String::new();
        let done = (0..ROUNDS).any(|_| {
            let begun = Instant::now();
            let mut daemon = self.start(&["--until-idle"], None);
            daemon.wait("`watching`", |line| line["message"] == "watching");
            self.starts.push(begun.elapsed());
            let (status, _, said) = daemon.end();
            self.take_in(&said, when);
            log.push_str(&said);
            let code = status.code();
            assert!(matches!(code, Some(0 | 1)), "{when}: {status}:\n{log}");
            code == Some(0)
        });
        assert!(done, "{}: {when}: work is left:\n{log}", self.seed);
        let before = files_below(&self.world.root());
        self.is_tidy(&before, when, &log);
        self.fail_if(
            &self.person.lost(true),
            &format!("{when}: lines lost"),
            &log,
        );
        self.is_complete(when);
        let after = files_below(&self.world.root());
        let changed = after
            .iter()
            .filter(|(path, text)| before.get(*path) != Some(*text));
        let gone = before.keys().filter(|path| !after.contains_key(*path));
        let wrong: Vec<String> = changed
            .map(|(path, text)| {
                let old = before.get(path).map(|text| String::from_utf8_lossy(text));
                let (path, new) = (path.display(), String::from_utf8_lossy(text));
                format!("there was work left: {path}: from\n{old:?}\nto\n{new}")
            })
            .chain(gone.map(|path| format!("there was work left: {} goes", path.display())))
            .collect();
        self.fail_if(&wrong, when, &log);
        self.compared += 1;
    }

    /// No temporary files, nothing twice, a block for each member.
    fn is_tidy(&self, files: &BTreeMap<std::path::PathBuf, Vec<u8>>, when: &str, log: &str) {
        let mut blocks: BTreeMap<String, usize> = BTreeMap::new();
        let mut wrong = Vec::new();
        for (path, text) in files {
            let name = path.file_name().unwrap().to_string_lossy();
            if name.starts_with(".testsmith-") || name.contains(".swp") {
                wrong.push(format!("a temporary file is left: {}", path.display()));
            }
            let text = String::from_utf8_lossy(text);
            if text.contains("testsmith:begin ") {
                if let Err(why) = whole(text.as_bytes()) {
                    wrong.push(format!("{}: {why}", path.display()));
                }
                for rest in text.split("testsmith:begin ").skip(1) {
                    let is_theirs = rest
                        .split("testsmith:end")
                        .next()
                        .is_some_and(|block| block.contains("user line"));
                    let member = rest.split_whitespace().next().unwrap_or_default();
                    if !is_theirs {
                        *blocks.entry(member.to_owned()).or_default() += 1;
                    }
                }
            }
        }
        for (member, count) in blocks.iter().filter(|(_, count)| **count > 1) {
            wrong.push(format!("{member} has {count} blocks"));
        }
        self.fail_if(&wrong, when, log);
    }

    /// Every file's last content has been processed: looked at one by one, none needs anything.
    fn is_complete(&mut self, when: &str) {
        let run = self.world.run(&["generate", "--all"]);
        assert!(
            run.status.success(),
            "{}: {when}: {}",
            self.seed,
            said(&run)
        );
        let asked = self.world.requests().len();
        assert_eq!(asked, 0, "{}: {when}: {}", self.seed, said(&run));
    }

    /// The tests that are there are those of the code that is there: they pass.
    fn tests_pass(&self) {
        let run = |program: &str, args: &[&str]| {
            let mut command = std::process::Command::new(program);
            command.args(args).current_dir(self.world.root());
            // Not of an earlier run's, however alike.
            command.env("PYTHONDONTWRITEBYTECODE", "1");
            let done = command.output().unwrap();
            assert!(done.status.success(), "{}: {}", self.seed, said(&done));
        };
        if have("go", &["version"]) {
            run("go", &["test", "-count=1", "./..."]);
        }
        if have("python3", &["-m", "pytest", "--version"]) {
            // A block that was taken over stays where its source has moved from, and names that.
            let tests = self.person.test_files(Tongue::Python);
            let mut args = vec!["-m", "pytest", "-q", "-p", "no:cacheprovider"];
            args.extend(tests.iter().map(String::as_str));
            run("python3", &args);
        }
    }

    /// All answers that were ever acknowledged are found in the cache, by another project that asks
    /// for them with no model there.
    fn answers_are_kept(&mut self) {
        self.world.stop_model();
        let mut files: BTreeMap<(usize, Tongue), String> = BTreeMap::new();
        let mut times: BTreeMap<&str, usize> = BTreeMap::new();
        for (member, version) in &self.witness.acknowledged {
            let tongue = if member.starts_with('S') {
                Tongue::Go
            } else {
                Tongue::Python
            };
            let time = times.entry(member).or_default();
            let text = files.entry((*time, tongue)).or_default();
            text.push_str(&function_text(tongue, member, *version));
            *time += 1;
        }
        let again = self.world.beside("again");
        for ((time, tongue), functions) in &files {
            let (path, begin) = match tongue {
                Tongue::Go => (format!("v{time}/sums.go"), "package shop\n"),
                Tongue::Python => (format!("p{time}/sums.py"), "\"\"\"Sums.\"\"\"\n"),
            };
            let path = again.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, format!("{begin}{functions}")).unwrap();
        }
        fs::write(again.join("go.mod"), samples::GO_MOD).unwrap();
        let mut command = self.world.command(&["generate", "--all", "--verbose"]);
        command.arg("--state-dir").arg(self.world.state());
        let run = command.current_dir(&again).output().unwrap();
        let count = self.witness.acknowledged.len();
        let hits = format!("hits: {count} misses: 0 ");
        assert!(
            run.status.success() && said(&run).contains(&hits),
            "{}: {hits}: {}",
            self.seed,
            said(&run)
        );
    }

    fn tell(&self, kills: usize) {
        let mut starts = self.starts.clone();
        starts.sort();
        let paid = self.witness.paid;
        println!(
            "seed {}: {kills} deaths in {:.0?}: {} at any moment, {} at crash points ({} of {} \
             points met)\n\
             {} comparisons; {} lines of the user's own, {} lost\n\
             {} requests, {} answers handed over, {} of them asked for again since the process died \
             before it had them; {} acknowledged, none paid for twice\n\
             {} readings of test files, {} of half a file\n\
             starts: median {:.0?}, longest {:.0?}",
            self.seed,
            self.begun.elapsed(),
            self.killed,
            kills - self.killed,
            self.deaths.len(),
            POINTS.len(),
            self.compared,
            self.person.lines(),
            self.person.lost(true).len(),
            paid.requests,
            paid.answered,
            paid.again,
            self.witness.acknowledged.len(),
            self.reader.seen(),
            self.reader.wrong().len(),
            starts[starts.len() / 2],
            starts[starts.len() - 1],
        );
        assert!(starts[starts.len() - 1] < PATIENCE);
        for (point, count) in &self.deaths {
            println!("  {point}: {count}");
        }
    }
}
