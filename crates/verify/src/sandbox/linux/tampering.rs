//! Which of the project's files a run changed or made in its own view: a test that edits the code it tests proves
//! nothing, and one that leaves files behind would leave them in the project on every later run.

use std::ffi::OsStr;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};

use crate::sandbox::types::SandboxSpec;

/// Files told at most.
pub(super) const TOLD: usize = 20;

/// Folders and files that tools keep their own things in, and write on a run. All other names count, those with a dot
/// too: `.husky`, `.github` and `.envrc` are run by others.
const OF_TOOLS: [&str; 27] = [
    "__pycache__",
    "venv",
    "coverage",
    "coverage.xml",
    "htmlcov",
    "test-results",
    "target",
    "build",
    "dist",
    ".coverage",
    ".nyc_output",
    ".hypothesis",
    ".benchmarks",
    ".testmondata",
    ".tox",
    ".nox",
    ".venv",
    ".eggs",
    ".vite",
    ".vitest",
    ".swc",
    ".turbo",
    ".nx",
    ".next",
    ".nuxt",
    ".svelte-kit",
    ".angular",
];

/// What a `git status` writes, directly below `.git`.
const OF_GIT_STATUS: [&str; 2] = ["index", "index.lock"];

/// Whether a path inside the project belongs to a tool: below one of [`OF_TOOLS`], below a name that starts with a dot
/// and ends in `cache`, or below such a folder of `node_modules` as no package has. Nothing of git's does but its index.
pub(super) fn is_of_a_tool(path: &Path) -> bool {
    let mut parts = path.iter();
    while let Some(part) = parts.next() {
        if part == ".git" {
            let inside = parts.as_path().as_os_str();
            return OF_GIT_STATUS.iter().any(|name| inside == OsStr::new(name));
        }
        if is_name_of_a_tool(part) {
            return true;
        }
        if part == "node_modules" {
            let mut inside = parts.clone();
            let hidden = |name: &OsStr| name.as_bytes().starts_with(b".") && name != ".bin";
            if inside.next().is_some_and(hidden) {
                return true;
            }
        }
    }
    false
}

fn is_name_of_a_tool(part: &OsStr) -> bool {
    let name = part.as_bytes();
    let is_cache = name.starts_with(b".") && name.ends_with(b"cache");
    // One file for each process that measures.
    let is_coverage = name.starts_with(b".coverage.");
    let is_compiled = name.ends_with(b".pyc") || name.ends_with(b".tsbuildinfo");
    is_cache || is_coverage || is_compiled || OF_TOOLS.iter().any(|known| part == OsStr::new(known))
}

/// One line for each file that was changed or removed in the overlay, and with `made` for each that is new.
pub(super) fn in_overlay(
    lower: &OwnedFd,
    upper: &OwnedFd,
    spec: &SandboxSpec,
    made: bool,
) -> Vec<String> {
    let mut walk = Walk {
        lower,
        spec,
        made,
        found: Vec::new(),
    };
    let begun = rustix::io::fcntl_dupfd_cloexec(upper, 3).map_err(io::Error::from);
    match begun.and_then(|top| walk.folder(&top, Path::new(""))) {
        Ok(()) => walk.found,
        Err(error) => vec![format!("what it wrote cannot be looked through: {error}")],
    }
}

struct Walk<'a> {
    lower: &'a OwnedFd,
    spec: &'a SandboxSpec,
    /// Whether new files are told.
    made: bool,
    found: Vec<String>,
}

impl Walk<'_> {
    fn folder(&mut self, folder: &OwnedFd, at: &Path) -> io::Result<()> {
        for entry in Dir::read_from(folder)? {
            let entry = entry?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name == "." || name == ".." || self.found.len() >= TOLD {
                continue;
            }
            let path = at.join(name);
            if is_of_a_tool(&path) {
                continue;
            }
            self.entry(folder, name, &path)?;
        }
        Ok(())
    }

    fn entry(&mut self, folder: &OwnedFd, name: &OsStr, path: &Path) -> io::Result<()> {
        let kind = rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let before = rustix::fs::statat(self.lower, path, AtFlags::SYMLINK_NOFOLLOW).ok();
        match FileType::from_raw_mode(kind.st_mode) {
            FileType::Directory => {
                // One without the right to be read was made by the run, or made so by it.
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let opened = rustix::fs::openat(folder, name, flags, Mode::empty());
                match (opened, before) {
                    (Ok(inside), Some(_)) if is_replaced(&inside) => self.tell("replaced", path),
                    (Ok(inside), _) => self.folder(&inside, path)?,
                    (Err(_), Some(_)) => self.tell("changed", path),
                    (Err(_), None) => {}
                }
            }
            FileType::CharacterDevice => self.tell("removed", path),
            _ => {
                let how = match (self.candidate(path), before) {
                    (Some(text), _) => (!holds(folder, name, text)).then_some("changed"),
                    (None, Some(_)) => Some("changed"),
                    (None, None) => self.made.then_some("made"),
                };
                if let Some(how) = how {
                    self.tell(how, path);
                }
            }
        }
        Ok(())
    }

    fn tell(&mut self, how: &str, path: &Path) {
        self.found.push(line(how, path));
    }

    fn candidate(&self, path: &Path) -> Option<&[u8]> {
        let whole: PathBuf = self.spec.root.join(path);
        let mut files = self.spec.overlay.iter();
        files
            .find(|(file, _)| *file == whole)
            .map(|(_, text)| text.as_slice())
    }
}

/// What is told of a file.
pub(super) fn line(how: &str, path: &Path) -> String {
    let whose = if how == "made" { "in" } else { "of" };
    format!("{how} `{}` {whose} the project", path.display())
}

/// The run removed a folder and made another of the same name.
fn is_replaced(folder: &impl AsFd) -> bool {
    let mut value = [0_u8; 4];
    rustix::fs::fgetxattr(folder, "user.overlay.opaque", &mut value[..])
        .is_ok_and(|length| length > 0)
}

fn holds(folder: &OwnedFd, name: &OsStr, text: &[u8]) -> bool {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let Ok(file) = rustix::fs::openat(folder, name, flags, Mode::empty()) else {
        return false;
    };
    let mut now = Vec::new();
    let most = u64::try_from(text.len()).unwrap_or(u64::MAX) + 1;
    let read = std::fs::File::from(file).take(most).read_to_end(&mut now);
    read.is_ok() && now == text
}
