//! Which walls stand on this system, and what to do about the others.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::run::launcher;
use super::types::{CommandSpec, Limits, SandboxMode, SandboxSpec};
use super::wire::{self, LAUNCHER_ARGUMENT, Probe, Request, Step};

/// How a candidate's files get where the tools expect them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Staging {
    /// An overlay over the project, at its own path, that only the run sees.
    Overlay,
    /// A copy of the project for each run, with dependency folders linked.
    ShadowCopy,
}

/// A wall that does not stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// What it is called.
    pub wall: &'static str,
    /// What the system said.
    pub reason: String,
    /// What to do about it.
    pub remedy: String,
}

/// What stands between a candidate and the rest of the system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WallReport {
    /// The mode this was asked for.
    pub mode: SandboxMode,
    /// Names of the walls that stand.
    pub standing: Vec<&'static str>,
    /// Those that do not. Empty as well for [`SandboxMode::Off`], where none is wanted.
    pub missing: Vec<Missing>,
    /// How candidates are staged.
    pub staging: Staging,
}

impl WallReport {
    /// Whether candidates may be run under [`Self::mode`].
    pub fn is_enough(&self) -> bool {
        self.mode != SandboxMode::Required || self.missing.is_empty()
    }
}

/// Tries the walls, by a launcher that builds them all and runs nothing. Takes some milliseconds; blocks.
pub fn walls(mode: SandboxMode) -> WallReport {
    let probed = probe();
    let staging = match &probed {
        Ok(Probe {
            namespaces: Ok(()), ..
        }) => Staging::Overlay,
        _ => Staging::ShadowCopy,
    };
    let mut report = WallReport {
        mode,
        standing: Vec::new(),
        missing: Vec::new(),
        staging,
    };
    if mode == SandboxMode::Off {
        return report;
    }
    let tried = match probed {
        Ok(probe) => [
            (Step::Namespaces, probe.namespaces),
            (Step::Landlock, probe.landlock),
            (Step::Seccomp, probe.seccomp),
        ],
        Err(error) => [Step::Namespaces, Step::Landlock, Step::Seccomp]
            .map(|step| (step, Err(error.to_string()))),
    };
    for (step, outcome) in tried {
        match outcome {
            Ok(()) => report.standing.push(name(step)),
            Err(reason) => report.missing.push(Missing {
                wall: name(step),
                reason,
                remedy: remedy(step),
            }),
        }
    }
    report
}

fn probe() -> std::io::Result<Probe> {
    let folder = std::env::temp_dir().canonicalize()?;
    let empty = ProbeFolders::create(&folder)?;
    let request = Request {
        spec: SandboxSpec {
            mode: SandboxMode::Required,
            root: empty.root.clone(),
            scratch: empty.scratch.clone(),
            writable: Vec::new(),
            overlay: Vec::new(),
            hidden: Vec::new(),
            limits: Limits::default(),
        },
        command: CommandSpec {
            program: PathBuf::new(),
            args: Vec::new(),
            cwd: PathBuf::from("/"),
            env: Vec::new(),
        },
        environment: Vec::new(),
        covered: Vec::new(),
        namespaces: true,
    };
    let (mut ours, theirs) = std::os::unix::net::UnixStream::pair()?;
    let child = Command::new(launcher())
        .arg(LAUNCHER_ARGUMENT)
        .arg("probe")
        .stdin(Stdio::from(std::os::fd::OwnedFd::from(theirs)))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    ours.write_all(&wire::encode(&request)?)?;
    let output = child.wait_with_output()?;
    wire::receive(&mut output.stdout.as_slice())?
        .ok_or_else(|| std::io::Error::other("the launcher did not answer"))
}

/// An empty project and an empty scratch folder, removed at the end.
struct ProbeFolders {
    top: PathBuf,
    root: PathBuf,
    scratch: PathBuf,
}

impl ProbeFolders {
    fn create(folder: &std::path::Path) -> std::io::Result<Self> {
        let now = std::time::SystemTime::now();
        let since = now.duration_since(std::time::UNIX_EPOCH);
        let number = since.map_or(0, |since| since.as_nanos());
        let top = folder.join(format!("testsmith-walls-{}-{number}", std::process::id()));
        std::fs::create_dir(&top)?;
        let (root, scratch) = (top.join("project"), top.join("scratch"));
        std::fs::create_dir(&root)?;
        std::fs::create_dir(&scratch)?;
        Ok(Self { top, root, scratch })
    }
}

impl Drop for ProbeFolders {
    fn drop(&mut self) {
        // Two empty folders in the temporary directory hurt nobody.
        drop(std::fs::remove_dir_all(&self.top));
    }
}

/// What a wall is called in messages.
pub(super) fn name(step: Step) -> &'static str {
    match step {
        Step::Namespaces => "namespaces",
        Step::Landlock => "Landlock",
        Step::Seccomp => "seccomp",
        Step::Stage => "staging",
        Step::Start => "start",
        Step::Launcher => "launcher",
    }
}

/// What to do about a wall that does not stand, as this system's own switches tell.
pub(super) fn remedy(step: Step) -> String {
    match step {
        Step::Namespaces => namespace_remedy(|path| std::fs::read_to_string(path).ok()),
        Step::Landlock => {
            "use Linux 5.13 or later, built with Landlock and with `landlock` in the kernel's `lsm=` list"
                .to_owned()
        }
        Step::Seccomp => "use a kernel built with `CONFIG_SECCOMP_FILTER`".to_owned(),
        Step::Stage | Step::Start | Step::Launcher => String::new(),
    }
}

/// The switch that keeps user namespaces away, of those `read` finds.
pub(super) fn namespace_remedy(read: impl Fn(&str) -> Option<String>) -> String {
    let switches = [
        (
            "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
            "1",
            "set the sysctl `kernel.apparmor_restrict_unprivileged_userns` to 0, or add an AppArmor profile that allows `userns` to testsmith",
        ),
        (
            "/proc/sys/kernel/unprivileged_userns_clone",
            "0",
            "set the sysctl `kernel.unprivileged_userns_clone` to 1",
        ),
        (
            "/proc/sys/user/max_user_namespaces",
            "0",
            "set the sysctl `user.max_user_namespaces` to 1000 or more",
        ),
    ];
    let closed = switches
        .iter()
        .find(|(path, value, _)| read(path).is_some_and(|found| found.trim() == *value));
    closed.map_or(
        "use Linux 5.11 or later, and in a container allow user namespaces and `mount` (seccomp and AppArmor profiles)",
        |(_, _, remedy)| remedy,
    )
    .to_owned()
}
