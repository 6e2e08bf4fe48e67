//! Log files that are bounded: each in size and age, and all of them together.
//!
//! Files are named by number, `testsmith-000042.jsonl`, and never renamed: the highest number is the
//! one that is written. So a reader that follows it reads on to its end, and goes on with the next.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

const PREFIX: &str = "testsmith-";
const SUFFIX: &str = ".jsonl";

/// How much log is kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// A file is ended before it would be larger, in bytes.
    pub(crate) size: u64,
    /// A file is ended this long after it was begun.
    pub(crate) age: Duration,
    /// The oldest files are removed beyond this, in bytes.
    pub(crate) total: u64,
}

/// Writes lines into the newest of several files.
#[derive(Debug)]
pub(crate) struct Rolling {
    folder: PathBuf,
    limits: Limits,
    current: Current,
}

#[derive(Debug)]
struct Current {
    file: File,
    size: u64,
    begun: SystemTime,
}

impl Rolling {
    /// Goes on with the newest file in `folder`, or begins one.
    pub(crate) fn open(folder: &Path, limits: Limits, now: SystemTime) -> io::Result<Self> {
        make_folder(folder)?;
        let newest = files(folder)?.pop();
        let current = match newest {
            Some((_, path)) => Current::resume(&path, now)?,
            None => Current::create(folder, now)?,
        };
        let rolling = Self {
            folder: folder.to_owned(),
            limits,
            current,
        };
        rolling.remove_old();
        Ok(rolling)
    }

    pub(crate) fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
        self.remove_old();
    }

    /// Writes one or more whole lines. A disk that takes none has the line lost: the log must not
    /// hold up what it tells of.
    pub(crate) fn write(&mut self, lines: &[u8], now: SystemTime) {
        if self.is_over(lines.len() as u64, now)
            && let Ok(next) = self.next(now)
        {
            self.current = next;
            self.remove_old();
        }
        if self.current.file.write_all(lines).is_ok() {
            self.current.size += lines.len() as u64;
        } else {
            // Part of the line may have been written.
            self.current.size = self.current.file.metadata().map_or(0, |data| data.len());
        }
    }

    fn is_over(&self, more: u64, now: SystemTime) -> bool {
        let Current { file, size, begun } = &self.current;
        let too_large = *size > 0 && size + more > self.limits.size;
        // A clock that was set back must not keep a file for ever.
        let age = now.duration_since(*begun).unwrap_or_default();
        let too_old = *size > 0 && age >= self.limits.age;
        too_large || too_old || file.metadata().is_ok_and(|data| data.nlink() == 0)
    }

    fn next(&self, now: SystemTime) -> io::Result<Current> {
        make_folder(&self.folder)?;
        Current::create(&self.folder, now)
    }

    /// Leaves room for the current file to grow to its full size.
    fn remove_old(&self) {
        let Ok(mut files) = files(&self.folder) else {
            return;
        };
        files.pop();
        let mut room = self.limits.total.saturating_sub(self.limits.size);
        for (_, path) in files.into_iter().rev() {
            let size = path.metadata().map_or(0, |data| data.len());
            if size <= room {
                room -= size;
            } else {
                room = 0;
                // It is tried again at the next turn.
                let _ = fs::remove_file(path);
            }
        }
    }
}

impl Current {
    fn create(folder: &Path, now: SystemTime) -> io::Result<Self> {
        let number = files(folder)?.last().map_or(1, |(number, _)| number + 1);
        let path = folder.join(format!("{PREFIX}{number:06}{SUFFIX}"));
        let file = open(&path)?;
        Ok(Self {
            file,
            size: 0,
            begun: now,
        })
    }

    fn resume(path: &Path, now: SystemTime) -> io::Result<Self> {
        let mut file = open(path)?;
        let size = file.metadata()?.len();
        // A line that a kill cut off must not run into the next.
        if size > 0 {
            file.seek(SeekFrom::End(-1))?;
            let mut last = [0];
            file.read_exact(&mut last)?;
            if last != [b'\n'] {
                file.write_all(b"\n")?;
            }
        }
        Ok(Self {
            begun: begun(path).unwrap_or(now),
            size: file.metadata()?.len(),
            file,
        })
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
}

/// When a file was begun: its first line tells.
fn begun(path: &Path) -> Option<SystemTime> {
    let mut line = String::new();
    let file = File::open(path).ok()?;
    BufReader::new(file.take(64 * 1024))
        .read_line(&mut line)
        .ok()?;
    let line: serde_json::Value = serde_json::from_str(&line).ok()?;
    humantime::parse_rfc3339(line.get("timestamp")?.as_str()?).ok()
}

/// Makes the folder, for this user only.
pub(crate) fn make_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// The log files in `folder` with their numbers, the oldest first. None if there is no folder.
pub(crate) fn files(folder: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let number = path
            .file_name()
            .and_then(|name| name.to_str()?.strip_prefix(PREFIX)?.strip_suffix(SUFFIX))
            .and_then(|number| number.parse().ok());
        files.extend(number.map(|number| (number, path)));
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests;
