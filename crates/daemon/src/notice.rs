//! Notices on the user's desktop: of findings, and of jobs that are parked. Off by default.
//!
//! What happens is gathered for a moment and shown as one notice, and notices are apart. A child process
//! shows them, so that nothing a desktop does can hold up the service. What it is given is text and no
//! more: names of files and words of servers steer nothing there.

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use testsmith_control::JobEnded;
use tokio::process::Command;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::error::DaemonError;
use crate::service::Service;

/// What happens within this time is one notice.
const GATHER: Duration = Duration::from_secs(1);

/// No notice follows another sooner.
const APART: Duration = Duration::from_mins(1);

/// How long it may take to show one.
const LIMIT: Duration = Duration::from_secs(5);

/// So many things are named; of the others the number is told.
const NAMED: usize = 3;

/// Longer lines are cut.
const LINE: usize = 160;

/// The variables that lead to the desktop. No other is handed on: the provider's key is among them.
const TO_THE_DESKTOP: [&str; 6] = [
    "DBUS_SESSION_BUS_ADDRESS",
    "DISPLAY",
    "HOME",
    "LANG",
    "WAYLAND_DISPLAY",
    "XDG_RUNTIME_DIR",
];

/// What there is to tell, and not told yet. Bounded, however much happens.
#[derive(Debug, Default)]
pub(crate) struct News {
    pending: Mutex<Pending>,
    came: Notify,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Pending {
    findings: u64,
    parked: u64,
    lines: Vec<String>,
}

impl News {
    /// Notes what is worth a notice in how a job ended.
    pub(crate) fn note(&self, ended: &JobEnded) {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        let findings = ended.held_back.iter().filter(|held| held.is_finding);
        let mut any = false;
        for held in findings {
            pending.findings += 1;
            pending.say(&format!("{}: `{}` {}", ended.path, held.member, held.why));
            any = true;
        }
        if ended.outcome == "parked" {
            pending.parked += 1;
            let reason = ended.reason.as_deref().unwrap_or_default();
            pending.say(&format!("{} is parked: {reason}", ended.path));
            any = true;
        }
        if any {
            self.came.notify_one();
        }
    }

    fn take(&self) -> Pending {
        std::mem::take(&mut *self.pending.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Pending {
    fn say(&mut self, line: &str) {
        if self.lines.len() < NAMED {
            self.lines.push(plain(line));
        }
    }

    /// The headline, and what stands below it.
    fn shown(&self) -> (String, String) {
        let counted = |count: u64, one: &str, many: &str| match count {
            0 => None,
            1 => Some(format!("1 {one}")),
            count => Some(format!("{count} {many}")),
        };
        let parts = [
            counted(self.findings, "finding", "findings"),
            counted(self.parked, "job parked", "jobs parked"),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        let mut lines = self.lines.clone();
        let more = self.findings + self.parked - self.lines.len() as u64;
        if more > 0 {
            lines.push(format!("and {more} more"));
        }
        let see = if self.findings > 0 {
            "see: testsmith findings"
        } else {
            "see: testsmith jobs --state parked"
        };
        lines.push(see.to_owned());
        (format!("testsmith: {}", parts.join(", ")), lines.join("\n"))
    }
}

/// Text without anything that steers: neither characters that do, nor the marks of a notice's body.
fn plain(text: &str) -> String {
    let steers = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let mut shown = String::new();
    for (count, c) in text.chars().enumerate() {
        match c {
            _ if count == LINE => {
                shown.push('…');
                break;
            }
            '<' => shown.push_str("&lt;"),
            '>' => shown.push_str("&gt;"),
            '&' => shown.push_str("&amp;"),
            c if steers(c) => shown.push('\u{fffd}'),
            c => shown.push(c),
        }
    }
    shown
}

/// Shows what comes, as long as the settings want it.
pub(crate) async fn show_notices(
    service: Arc<Service>,
    stop: CancellationToken,
) -> Result<(), DaemonError> {
    let showing = async {
        loop {
            service.hub.news.came.notified().await;
            tokio::time::sleep(GATHER).await;
            let pending = service.hub.news.take();
            if service.settings().notify.desktop && pending != Pending::default() {
                show(&service, &pending).await;
                tokio::time::sleep(APART).await;
            }
        }
    };
    tokio::select! {
        () = showing => {}
        () = stop.cancelled() => {}
    }
    Ok(())
}

async fn show(service: &Service, pending: &Pending) {
    let roots: Vec<&Path> = service.projects.iter().map(|p| &*p.root).collect();
    let path = without(&env::var_os("PATH").unwrap_or_default(), &roots);
    let (headline, body) = pending.shown();
    let Some(mut command) = command(&path, &roots, &headline, &body) else {
        tracing::warn!("no notice can be shown: `notify-send` is not found; install libnotify");
        return;
    };
    let child = command
        .env_clear()
        .env("PATH", &path)
        .envs(
            TO_THE_DESKTOP
                .iter()
                .filter_map(|name| Some((name, env::var_os(name)?))),
        )
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .status();
    let problem = match tokio::time::timeout(LIMIT, child).await {
        Ok(Ok(status)) if status.success() => return,
        Ok(Ok(status)) => status.to_string(),
        Ok(Err(error)) => error.to_string(),
        Err(_elapsed) => format!("it took longer than {} s", LIMIT.as_secs()),
    };
    tracing::warn!(problem, "a notice could not be shown");
}

/// What shows a notice here.
fn command(path: &OsStr, roots: &[&Path], headline: &str, body: &str) -> Option<Command> {
    if cfg!(target_os = "macos") {
        let mut command = Command::new("/usr/bin/osascript");
        for line in [
            "on run argv",
            "display notification (item 2 of argv) with title (item 1 of argv)",
            "end run",
        ] {
            command.arg("-e").arg(line);
        }
        command.args(["--", headline, body]);
        return Some(command);
    }
    let mut command = Command::new(find(path, roots)?);
    command.args(["--app-name=testsmith", "--", headline, body]);
    Some(command)
}

/// Where programs are looked for: not in a watched project, and not by a path that leads there from wherever
/// one is.
fn without(path: &OsStr, roots: &[&Path]) -> OsString {
    let folders = env::split_paths(path).filter(|folder| {
        let real = folder.canonicalize().unwrap_or_else(|_| folder.clone());
        folder.is_absolute() && !roots.iter().any(|root| real.starts_with(root))
    });
    // They were joined so before.
    env::join_paths(folders).unwrap_or_default()
}

/// `notify-send`, but none that a link leads to in a watched project, by whomever it is.
fn find(path: &OsStr, roots: &[&Path]) -> Option<PathBuf> {
    let programs =
        env::split_paths(path).filter_map(|folder| folder.join("notify-send").canonicalize().ok());
    programs
        .filter(|program| program.is_file())
        .find(|program| !roots.iter().any(|root| program.starts_with(root)))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::time::SystemTime;

    use testsmith_control::HeldBack;
    use testsmith_domain::{Job, JobCause, JobId, JobState, Lane, MemberName, RelPath};

    use super::*;
    use crate::control::broken_off_job;

    #[test]
    fn many_things_are_one_notice_of_bounded_length() {
        let news = News::default();
        for number in 0..50 {
            let mut ended = ended("parked", &format!("file{number}.go"));
            ended.reason = Some("refused ".repeat(1000));
            news.note(&ended);
        }
        let (headline, body) = news.take().shown();
        assert_eq!(headline, "testsmith: 50 jobs parked");
        assert_eq!(body.lines().count(), NAMED + 2, "{body}");
        assert!(body.contains("and 47 more"), "{body}");
        assert!(body.chars().count() < 600, "{body}");
        assert_eq!(news.take(), Pending::default(), "told once");
    }

    #[test]
    fn only_findings_and_parked_jobs_are_told() {
        let news = News::default();
        news.note(&ended("written", "a.go"));
        let mut quarantined = ended("written", "b.go");
        quarantined.held_back = vec![held(false)];
        news.note(&quarantined);
        assert_eq!(news.take(), Pending::default());
        let mut found = ended("written", "c.go");
        found.held_back = vec![held(true), held(false)];
        news.note(&found);
        let (headline, body) = news.take().shown();
        assert_eq!(headline, "testsmith: 1 finding");
        assert_eq!(
            body,
            "c.go: `Add` finding 1a2b: `TestAdd` fails in each run\nsee: testsmith findings"
        );
    }

    #[test]
    fn text_steers_nothing() {
        assert_eq!(
            plain("<b>a</b> & \u{1b}[2J\n\u{202e}x"),
            "&lt;b&gt;a&lt;/b&gt; &amp; \u{fffd}[2J\u{fffd}\u{fffd}x"
        );
    }

    #[test]
    fn a_program_in_the_project_is_not_run() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().canonicalize().unwrap();
        for folder in ["project/bin", "usr", "linked"] {
            std::fs::create_dir_all(dir.join(folder)).unwrap();
        }
        std::fs::write(dir.join("project/bin/notify-send"), "").unwrap();
        symlink(
            dir.join("project/bin/notify-send"),
            dir.join("linked/notify-send"),
        )
        .unwrap();
        let root = dir.join("project");
        let search = |folders: &[&str]| {
            let folders = folders.iter().map(|folder| dir.join(folder));
            let path = env::join_paths(folders).unwrap();
            find(&without(&path, &[&root]), &[&root])
        };
        assert_eq!(search(&["project/bin", "linked", "usr"]), None);
        assert_eq!(without(OsStr::new("bin:.:"), &[&root]), "", "relative");
        std::fs::write(dir.join("usr/notify-send"), "").unwrap();
        let found = search(&["project/bin", "linked", "usr"]);
        assert_eq!(found, Some(dir.join("usr/notify-send")));
    }

    fn held(is_finding: bool) -> HeldBack {
        HeldBack {
            member: MemberName::from("Add"),
            why: "finding 1a2b: `TestAdd` fails in each run".to_owned(),
            is_finding,
        }
    }

    fn ended(outcome: &str, path: &str) -> JobEnded {
        let job = Job {
            id: JobId(1),
            root: "/home/me/shop".to_owned(),
            path: RelPath::new(path).unwrap(),
            content: None,
            lane: Lane::Interactive,
            cause: JobCause::Changed,
            woken: None,
            failures: 0,
            panics: 0,
            enqueued: SystemTime::UNIX_EPOCH,
            state: JobState::Running,
        };
        broken_off_job(&job, outcome, Duration::ZERO)
    }
}
