//! Which of the project's files a run changed in its own view: a test that edits the code it tests proves nothing.

use std::ffi::OsStr;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};

use crate::sandbox::types::SandboxSpec;

/// Files told at most.
const TOLD: usize = 20;

/// Folders that tools keep their own things in, and change on every run.
const OF_TOOLS: [&str; 8] = [
    "__pycache__",
    "node_modules",
    "venv",
    "vendor",
    "coverage",
    "target",
    "build",
    "dist",
];

/// Whether a path inside the project belongs to a tool: below a folder of [`OF_TOOLS`] or one that starts with a dot.
pub(super) fn is_of_a_tool(path: &Path) -> bool {
    path.iter().any(|part| {
        part.as_bytes().starts_with(b".") || OF_TOOLS.iter().any(|name| part == OsStr::new(name))
    })
}

/// One line for each file that was changed or removed in the overlay.
pub(super) fn in_overlay(lower: &OwnedFd, upper: &OwnedFd, spec: &SandboxSpec) -> Vec<String> {
    let mut walk = Walk {
        lower,
        spec,
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
                let candidate = self.candidate(path);
                let changed = match candidate {
                    Some(text) => !holds(folder, name, text),
                    None => before.is_some(),
                };
                if changed {
                    self.tell("changed", path);
                }
            }
        }
        Ok(())
    }

    fn tell(&mut self, how: &str, path: &Path) {
        self.found
            .push(format!("{how} `{}` of the project", path.display()));
    }

    fn candidate(&self, path: &Path) -> Option<&[u8]> {
        let whole: PathBuf = self.spec.root.join(path);
        let mut files = self.spec.overlay.iter();
        files
            .find(|(file, _)| *file == whole)
            .map(|(_, text)| text.as_slice())
    }
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
