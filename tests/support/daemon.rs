//! A running `watch`, its log read line by line.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::canary::Canaries;
use super::program::Program;
use super::world::{PATIENCE, wait_until};

/// The process and what it has said so far. Killed and reaped when dropped; all it said is searched for
/// secrets then.
pub struct Daemon {
    canaries: Canaries,
    child: Child,
    lines: Receiver<String>,
    said: Vec<String>,
}

impl Daemon {
    /// Starts it.
    pub fn spawn(mut command: Program) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self {
            canaries: command.canaries().clone(),
            child,
            lines,
            said: Vec::new(),
        }
    }

    /// Waits for a log line.
    pub fn wait(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(text) = self.lines.recv_timeout(left) else {
                panic!("no {what}; it said:\n{}", self.said.join("\n"));
            };
            let line = serde_json::from_str(&text).unwrap_or(Value::Null);
            self.said.push(text);
            if wanted(&line) {
                return line;
            }
        }
    }

    /// Waits until a job for `path` has ended, and not because of a newer one.
    pub fn ended(&mut self, path: &str) -> Value {
        self.wait(&format!("end of the job for {path}"), |line| {
            line["message"] == "job ended"
                && line["outcome"] != "superseded"
                && line["spans"]
                    .as_array()
                    .is_some_and(|spans| spans.iter().any(|span| span["path"] == path))
        })
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// All lines read so far.
    pub fn said(&self) -> &[String] {
        &self.said
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Whether it has ended; it is reaped then.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Kills it as a power failure would, as far as a process can tell.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to stop and waits for its end. Gives status, standard output and the whole log.
    pub fn stop(self) -> (ExitStatus, String, String) {
        self.signal(Signal::TERM);
        self.end()
    }

    /// Waits for its end.
    pub fn end(mut self) -> (ExitStatus, String, String) {
        let mut status = None;
        wait_until("end of the daemon", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        let mut out = String::new();
        self.child
            .stdout
            .take()
            .unwrap()
            .read_to_string(&mut out)
            .unwrap();
        self.canaries.none_in("the daemon's output", &out);
        self.said.extend(self.lines.iter());
        let said = std::mem::take(&mut self.said).join("\n");
        self.canaries.none_in("the daemon's log", &said);
        (status.unwrap(), out, said)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.said.extend(self.lines.iter());
        let said = self.said.join("\n");
        self.canaries.none_in("the daemon's log", said);
    }
}
