//! `top` in a real terminal of tmux's, with a real daemon.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test without what it looks at has to fail"
)]

mod support;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use support::canary::Canaries;
use support::samples;
use support::world::{World, program, said, wait_until};
use testsmith_simulator::{Latency, Script};

/// A shell in a terminal, which runs `top`, and notes how the terminal was and is.
struct Terminal {
    dir: PathBuf,
}

impl Terminal {
    /// `None` without tmux, which CI must have.
    fn open(world: &World, name: &str, variables: &[(&str, &str)]) -> Option<Self> {
        if Command::new("tmux").arg("-V").output().is_err() {
            let is_ci = std::env::var_os("CI").is_some_and(|ci| ci == "true");
            assert!(!is_ci, "tmux is missing");
            println!("skipped: tmux not found");
            return None;
        }
        let dir = world.beside(name);
        fs::create_dir(&dir).unwrap();
        let script = "echo the shell; stty -g >\"$DIR/before\"; \
            sh -c 'echo $$ >\"$DIR/pid.new\"; mv \"$DIR/pid.new\" \"$DIR/pid\"; \
                exec \"$PROGRAM\" top --state-dir \"$STATE\"'; \
            code=$?; stty -g >\"$DIR/after\"; echo ended with $code; exec cat";
        let terminal = Self { dir };
        let new = terminal.tmux(&["new-session", "-d", "-x", "80", "-y", "24"]);
        let mut command = world.by(new);
        command
            .env("DIR", &terminal.dir)
            .env("PROGRAM", program())
            .env("STATE", world.state())
            .env("LC_ALL", "C.UTF-8")
            .envs(variables.iter().copied())
            .args(["sh", "-c", script]);
        done(&command.output().unwrap());
        Some(terminal)
    }

    fn tmux(&self, args: &[&str]) -> Command {
        let mut command = Command::new("tmux");
        command.args(["-u", "-f", "/dev/null", "-S"]);
        command.arg(self.dir.join("tmux")).args(args);
        command
    }

    fn keys(&self, keys: &[&str]) {
        let mut args = vec!["send-keys"];
        args.extend(keys);
        done(&self.tmux(&args).output().unwrap());
    }

    fn resize(&self, columns: &str, rows: &str) {
        let args = ["resize-window", "-x", columns, "-y", rows];
        done(&self.tmux(&args).output().unwrap());
    }

    fn screen(&self) -> String {
        let screen = done(&self.tmux(&["capture-pane", "-p"]).output().unwrap());
        Canaries::default().none_in("the screen", &screen);
        screen
    }

    /// Waits until the screen is as it should be.
    fn wait(&self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let mut screen = String::new();
        let waited = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            wait_until(what, || {
                screen = self.screen();
                wanted(&screen)
            });
        }));
        assert!(waited.is_ok(), "no {what}:\n{screen}");
        screen
    }

    fn shows(&self, text: &str) -> String {
        self.wait(text, |screen| screen.contains(text))
    }

    fn signal(&self, signal: Signal) {
        let pid = fs::read_to_string(self.dir.join("pid")).unwrap();
        let pid = Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Waits for the shell, and looks whether the terminal is as it was.
    fn is_given_back(&self, code: &str) -> String {
        let screen = self.shows(&format!("ended with {code}"));
        assert!(
            screen.contains("the shell"),
            "the first screen is back: {screen}"
        );
        let modes = |name: &str| fs::read_to_string(self.dir.join(name)).unwrap();
        assert_eq!(modes("before"), modes("after"), "the terminal's modes");
        let flags = ["display-message", "-p", "#{alternate_on} #{cursor_flag}"];
        let flags = done(&self.tmux(&flags).output().unwrap());
        assert_eq!(
            flags.trim(),
            "0 1",
            "the other screen is left, the cursor shown"
        );
        screen
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.tmux(&["kill-server"]).output();
    }
}

fn done(output: &Output) -> String {
    assert!(output.status.success(), "{}", said(output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A project whose model takes its time.
fn slow() -> World {
    let script = Script::default().latency(Latency::fixed(Duration::from_mins(5)));
    let world = World::new(script);
    world.save("go.mod", samples::GO_MOD);
    world
}

fn widest_line(screen: &str) -> usize {
    screen
        .lines()
        .map(|line| line.chars().count())
        .max()
        .unwrap_or(0)
}

#[test]
fn it_shows_the_work_obeys_keys_and_follows_the_size() {
    let world = slow();
    let mut daemon = world.watch(&[]);
    let Some(terminal) = Terminal::open(&world, "terminal", &[]) else {
        return;
    };
    terminal.shows("nothing to do");
    world.save("cart.go", samples::GO);
    let screen = terminal.wait("an open call", |screen| {
        screen.contains("1 of 5 open") && screen.contains("call open")
    });
    for wanted in [
        "1 running",
        "cart.go",
        "attempt 1",
        "last events",
        "queued",
        "started",
        "jobs ",
    ] {
        assert!(screen.contains(wanted), "{wanted}:\n{screen}");
    }
    assert!(widest_line(&screen) <= 80, "{screen}");

    terminal.keys(&["p"]);
    terminal.shows("degraded, paused");
    terminal.keys(&["p"]);
    terminal.wait("healthy", |screen| screen.contains("healthy · up"));
    terminal.keys(&["?"]);
    terminal.shows("every decision on the selected file");
    terminal.keys(&["Escape"]);
    terminal.shows("last events");
    terminal.keys(&["Enter"]);
    terminal.shows("no job of it has run yet");
    terminal.keys(&["q"]);
    terminal.shows("last events");
    terminal.keys(&["r"]);
    terminal.shows("nothing waits to be tried again");

    terminal.resize("120", "40");
    let wide = terminal.wait("a wider screen", |screen| widest_line(screen) > 100);
    assert!(wide.contains("cart.go"), "{wide}");
    terminal.resize("40", "10");
    let narrow = terminal.wait("a narrower screen", |screen| {
        widest_line(screen) <= 40 && screen.contains("cart.go") && screen.contains("q quit")
    });
    assert!(narrow.lines().count() <= 10, "{narrow}");
    terminal.keys(&["q"]);
    terminal.is_given_back("0");
    assert!(!daemon.has_ended(), "only the screen ends");
}

#[test]
fn a_daemon_that_goes_away_is_waited_for() {
    let world = slow();
    let daemon = world.watch(&[]);
    let Some(terminal) = Terminal::open(&world, "terminal", &[]) else {
        return;
    };
    terminal.shows("healthy · up");
    daemon.kill();
    terminal.shows("no daemon for");
    let daemon = world.watch(&[]);
    terminal.shows("healthy · up");
    terminal.shows(&format!("pid {}", daemon.id()));
    world.save("cart.go", samples::GO);
    terminal.shows("queued");
    terminal.keys(&["C-c"]);
    terminal.is_given_back("0");
}

#[test]
fn signals_and_panics_leave_the_terminal_as_it_was() {
    let world = slow();
    let _daemon = world.watch(&[]);
    for (name, signal) in [("term", Signal::TERM), ("int", Signal::INT)] {
        let Some(terminal) = Terminal::open(&world, name, &[("NO_COLOR", "1")]) else {
            return;
        };
        terminal.shows("healthy · up");
        let colours = terminal.tmux(&["capture-pane", "-p", "-e"]).output();
        let coloured = done(&colours.unwrap());
        let has_colour = (0..8).any(|n| {
            coloured.contains(&format!("\u{1b}[3{n}m")) || coloured.contains(&format!(";3{n}m"))
        });
        assert!(!has_colour, "{coloured:?}");
        terminal.signal(signal);
        terminal.is_given_back("0");
    }
    if cfg!(debug_assertions) {
        let variables = [("TESTSMITH_TOP_PANIC", "1")];
        let terminal = Terminal::open(&world, "panic", &variables).unwrap();
        let screen = terminal.is_given_back("101");
        assert!(screen.contains("provoked by"), "{screen}");
    }
}

#[test]
fn without_a_terminal_or_a_daemon_it_says_what_to_do() {
    let world = slow();
    let refused = world.run(&["top"]);
    assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
    assert!(
        said(&refused).contains("`testsmith status`"),
        "{}",
        said(&refused)
    );
    let Some(terminal) = Terminal::open(&world, "terminal", &[]) else {
        return;
    };
    let screen = terminal.is_given_back("4");
    let screen = screen.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        screen.contains("start one with `testsmith watch`"),
        "{screen}"
    );
}
