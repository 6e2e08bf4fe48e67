//! The project as a copy, where an overlay is not to be had.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use super::tampering::{self, TOLD, is_of_a_tool};
use crate::sandbox::types::{CommandSpec, SandboxSpec};
use crate::sandbox::wire::{Failure, Request, Step};

/// Linked instead of copied: large, and not what is tested.
const LINKED: [&str; 5] = ["node_modules", ".venv", "venv", "vendor", "target"];

/// Not needed to run a test.
const LEFT_OUT: [&str; 3] = [".git", ".hg", ".jj"];

/// Files of a project that is copied for one run, at most.
const MOST_FILES: usize = 50_000;

/// Bytes of a project that is copied, not cloned, for one run, at most.
const MOST_BYTES: u64 = 1 << 30;

/// A copied file as it was right after copying. The time of the last change of the inode is the kernel's alone to set.
#[derive(Debug, PartialEq, Eq)]
struct State {
    inode: u64,
    changed: (i64, i64),
}

impl State {
    fn of(path: &Path) -> io::Result<Self> {
        let metadata = fs::symlink_metadata(path)?;
        Ok(Self {
            inode: metadata.ino(),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }
}

/// The copy.
#[derive(Debug)]
pub(super) struct Shadow {
    path: PathBuf,
    /// Below `path`, and what is there.
    files: Vec<(PathBuf, State)>,
    /// Symbolic links below `path`, made by the copying.
    links: BTreeSet<PathBuf>,
    bytes: u64,
}

/// Copies the project into the scratch folder, with the candidate's files in it.
pub(super) fn copy(request: &Request) -> Result<Shadow, Failure> {
    let spec = &request.spec;
    let name = spec.root.file_name().unwrap_or(OsStr::new("project"));
    let path = spec.scratch.join("shadow").join(name);
    let failed = |error: io::Error| Step::Stage.failed(error);
    if path.exists() {
        fs::remove_dir_all(&path).map_err(failed)?;
    }
    let mut shadow = Shadow {
        path: path.clone(),
        files: Vec::new(),
        links: BTreeSet::new(),
        bytes: 0,
    };
    fs::create_dir_all(&path).map_err(failed)?;
    shadow
        .folder(&spec.root, Path::new(""), request)
        .map_err(failed)?;
    write_candidates(spec, &path)?;
    for (file, _) in &spec.overlay {
        if let Ok(inside) = file.strip_prefix(&spec.root) {
            shadow.files.retain(|(known, _)| known != inside);
            let state = State::of(&path.join(inside)).map_err(failed)?;
            shadow.files.push((inside.to_owned(), state));
        }
    }
    Ok(shadow)
}

/// Writes the candidate's files below `top`, which stands for the project.
pub(super) fn write_candidates(spec: &SandboxSpec, top: &Path) -> Result<(), Failure> {
    for (file, text) in &spec.overlay {
        let inside = file.strip_prefix(&spec.root).unwrap_or(file);
        let target = top.join(inside);
        no_link_on_the_way(top, inside)
            .and_then(|()| write_candidate(spec, inside, &target, text))
            .map_err(|error| {
                Step::Stage.failed(format!("placing `{}`: {error}", inside.display()))
            })?;
    }
    Ok(())
}

/// A link leads out of the copy: a dependency folder into the project, one of the project's own to anywhere.
fn no_link_on_the_way(top: &Path, inside: &Path) -> io::Result<()> {
    let above = inside.ancestors().skip(1);
    if above
        .map(|folder| top.join(folder))
        .any(|folder| folder != top && folder.is_symlink())
    {
        return Err(io::Error::other("a folder on the way is a symbolic link"));
    }
    Ok(())
}

fn write_candidate(
    spec: &SandboxSpec,
    inside: &Path,
    target: &Path,
    text: &[u8],
) -> io::Result<()> {
    if let Some(folder) = target.parent() {
        fs::create_dir_all(folder)?;
    }
    // Never through a link that the project has in this place.
    match fs::remove_file(target) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => fs::write(target, text)?,
    }
    if let Ok(before) = fs::metadata(spec.root.join(inside)) {
        let mode = before.permissions().mode() & 0o777;
        fs::set_permissions(target, fs::Permissions::from_mode(mode | 0o600))?;
    }
    Ok(())
}

impl Shadow {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn into_path(self) -> PathBuf {
        self.path
    }

    /// `command` with every path into the project turned into one of the copy.
    pub(super) fn moved(&self, command: &CommandSpec, root: &Path) -> CommandSpec {
        CommandSpec {
            program: PathBuf::from(self.moved_text(command.program.as_os_str(), root)),
            args: command
                .args
                .iter()
                .map(|argument| self.moved_text(argument, root))
                .collect(),
            cwd: PathBuf::from(self.moved_text(command.cwd.as_os_str(), root)),
            env: command.env.clone(),
        }
    }

    /// `text` with the project's path, where it ends as a path, replaced by the copy's.
    pub(super) fn moved_text(&self, text: &OsStr, root: &Path) -> OsString {
        moved_text(text, root, &self.path)
    }

    /// One line for each file that is no longer what was copied, and with `made` for each that was not. What is below
    /// `.git` is not copied: all that is there is new.
    pub(super) fn changed(&self, made: bool) -> Vec<String> {
        let files = self.files.iter();
        let changed = files
            .filter(|(inside, _)| !is_of_a_tool(inside))
            .filter(|(inside, before)| {
                State::of(&self.path.join(inside)).ok().as_ref() != Some(before)
            })
            .map(|(inside, _)| tampering::line("changed", inside));
        let mut told: Vec<String> = changed.take(TOLD).collect();
        if made {
            let known: BTreeSet<&Path> = self.files.iter().map(|(inside, _)| &**inside).collect();
            self.made(Path::new(""), &known, &mut told);
        }
        told
    }

    fn made(&self, folder: &Path, known: &BTreeSet<&Path>, told: &mut Vec<String>) {
        // A folder that cannot be read was made so by the run, and goes with the copy.
        for entry in fs::read_dir(self.path.join(folder)).into_iter().flatten() {
            let Ok((name, kind)) =
                entry.and_then(|entry| Ok((entry.file_name(), entry.file_type()?)))
            else {
                continue;
            };
            let inside = folder.join(name);
            if told.len() >= TOLD || is_of_a_tool(&inside) {
                continue;
            }
            if kind.is_dir() {
                self.made(&inside, known, told);
            } else if !known.contains(&*inside) && !self.links.contains(&inside) {
                told.push(tampering::line("made", &inside));
            }
        }
    }

    fn folder(&mut self, from: &Path, inside: &Path, request: &Request) -> io::Result<()> {
        let spec = &request.spec;
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            let name = entry.file_name();
            let (source, inside) = (entry.path(), inside.join(&name));
            let target = self.path.join(&inside);
            let kind = entry.file_type()?;
            let is = |names: &[&str]| names.iter().any(|other| name == OsStr::new(other));
            if is(&LEFT_OUT) || source == spec.scratch {
                continue;
            }
            if kind.is_symlink() {
                symlink(fs::read_link(&source)?, &target)?;
                self.links.insert(inside);
            } else if kind.is_dir() && (is(&LINKED) || spec.writable.contains(&source)) {
                symlink(&source, &target)?;
                self.links.insert(inside);
            } else if kind.is_dir() {
                fs::create_dir(&target)?;
                if !request.covered.contains(&source) {
                    self.folder(&source, &inside, request)?;
                }
            } else if kind.is_file() && request.covered.contains(&source) {
                File::create_new(&target)?;
                let state = State::of(&target)?;
                self.files.push((inside, state));
            } else if kind.is_file() {
                self.file(&source, inside, &target)?;
            }
        }
        Ok(())
    }

    fn file(&mut self, source: &Path, inside: PathBuf, target: &Path) -> io::Result<()> {
        let from = match File::open(source) {
            // Unreadable for the user, unreadable for its tests.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(()),
            opened => opened?,
        };
        let to = File::create_new(target)?;
        if rustix::fs::ioctl_ficlone(&to, &from).is_err() {
            self.bytes += io::copy(&mut &from, &mut &to)?;
        }
        if self.files.len() >= MOST_FILES || self.bytes > MOST_BYTES {
            return Err(io::Error::other(
                "the project is too large to be copied for each run; user namespaces would make copies needless",
            ));
        }
        to.set_permissions(from.metadata()?.permissions())?;
        self.files.push((inside, State::of(target)?));
        Ok(())
    }
}

/// `text` with `root`, where it ends as a path, replaced by `path`.
pub(super) fn moved_text(text: &OsStr, root: &Path, path: &Path) -> OsString {
    let (text, root) = (text.as_bytes(), root.as_os_str().as_bytes());
    let mut moved = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, tail)) = rest.split_first() {
        match rest.strip_prefix(root) {
            Some(after) if !continues_a_name(after) => {
                moved.extend_from_slice(path.as_os_str().as_bytes());
                rest = after;
            }
            _ => {
                moved.push(*first);
                rest = tail;
            }
        }
    }
    OsString::from_vec(moved)
}

/// Whether the byte after a path makes it the path of something else: `/home/a/project2` is not in `/home/a/project`.
fn continues_a_name(after: &[u8]) -> bool {
    after
        .first()
        .is_some_and(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(byte))
}
