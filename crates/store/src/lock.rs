//! One process for each state directory.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::StoreError;

/// The right to use a state directory, shared with no other process. Dropping it gives it back.
///
/// The lock is the kernel's (`flock`), so it ends with the process however that dies; the
/// file's content, the holder's process number and the time it took the lock, is only for the
/// message to others.
#[derive(Debug)]
pub struct StateLock {
    _file: File,
}

impl StateLock {
    /// Takes the lock, creating the directory for this user only if it is missing.
    pub fn acquire(state_dir: &Path) -> Result<Self, StoreError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(state_dir)
            .map_err(|error| StoreError::io("create", state_dir, error))?;
        let path = state_dir.join("lock");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(|error| StoreError::io("open", &path, error))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                return Err(StoreError::Held {
                    dir: state_dir.to_owned(),
                    pid: read_pid(&mut file),
                });
            }
            Err(error) => return Err(StoreError::io("lock", &path, error.into())),
        }
        // On a full disk the note may not fit; the lock holds without it.
        if let Err(error) = write_note(&mut file) {
            tracing::debug!(path = %path.display(), %error, "lock file has no note of its holder");
        }
        Ok(Self { _file: file })
    }
}

fn write_note(file: &mut File) -> std::io::Result<()> {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let note = format!("{}\n{}\n", std::process::id(), now.as_secs());
    file.set_len(0)?;
    file.seek(SeekFrom::Start(0))?;
    file.write_all(note.as_bytes())
}

fn read_pid(file: &mut File) -> Option<u32> {
    let mut note = String::new();
    file.take(64).read_to_string(&mut note).ok()?;
    note.lines().next()?.parse().ok()
}
