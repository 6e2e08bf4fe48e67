//! The version of a state directory, and the way from older ones.
//!
//! | Version | What it is |
//! |---|---|
//! | 1 | no `version` file; `cache.sled`, `jobs.sled`, `lock` |
//! | 2 | `version`; logs, usage and decisions beside them as they come |
//!
//! A change that an older program would not survive gets a number and a step. What is only added
//! needs none: the databases have formats of their own.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use crate::error::DaemonError;
use crate::service::{CACHE_DIR, JOBS_DIR};

/// The file that holds the number.
const FILE: &str = "version";

/// What stands for a number that cannot be read.
const DAMAGED: u32 = 0;

/// What brings a state from each version to the next, from 1 on. A step that is cut off is done
/// again, and must bear that.
const STEPS: [fn(&Path) -> io::Result<()>; 1] = [
    // The number itself is all that is new.
    |_| Ok(()),
];

/// The last version that programs wrote once. Since then a turned bit is not taken for a later one.
const LAST_WRITTEN_ONCE: u32 = 2;

/// The version that this program writes: one more than there are steps.
const CURRENT: u32 = 2;

/// Refuses a state that a later program has written. Changes nothing.
pub fn check(state_dir: &Path) -> Result<(), DaemonError> {
    match found(state_dir) {
        Ok(found) if found.is_some_and(|version| version > CURRENT) => {
            Err(DaemonError::NewerState {
                path: state_dir.to_owned(),
                found: found.unwrap_or_default(),
                known: CURRENT,
            })
        }
        Ok(_) => Ok(()),
        Err(error) => Err(DaemonError::state(state_dir, error)),
    }
}

/// Brings an older state forward. The caller holds its lock, and [`check`] was content.
pub(crate) fn bring_forward(state_dir: &Path) -> Result<(), DaemonError> {
    let migrate = || {
        let Some(from) = found(state_dir)? else {
            return note(state_dir, CURRENT);
        };
        if from == DAMAGED {
            tracing::warn!(path = %state_dir.display(), "the state's version is damaged");
        }
        let from = from.max(1);
        let done = usize::try_from(from)
            .unwrap_or(usize::MAX)
            .saturating_sub(1);
        for (step, to) in STEPS.iter().skip(done).zip(from + 1..) {
            step(state_dir)?;
            note(state_dir, to)?;
            tracing::info!(from = to - 1, to, "the state is brought forward");
        }
        Ok(())
    };
    match migrate() {
        // As the databases do, it starts on a full disk; the next start notes the number.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::StorageFull
                    | io::ErrorKind::QuotaExceeded
                    | io::ErrorKind::FileTooLarge
            ) =>
        {
            tracing::warn!(%error, "the state's version cannot be noted");
            Ok(())
        }
        done => done.map_err(|error: io::Error| DaemonError::state(state_dir, error)),
    }
}

/// The version there; `None` if there is no state. A damaged number counts as the oldest: the steps
/// bear to be done again, and what a later program has changed in a database is told by that.
fn found(state_dir: &Path) -> io::Result<Option<u32>> {
    match fs::read(state_dir.join(FILE)) {
        Ok(text) => {
            let read = parse(&String::from_utf8_lossy(&text));
            Ok(Some(read.unwrap_or(DAMAGED)))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let is_there = [CACHE_DIR, JOBS_DIR]
                .iter()
                .any(|name| state_dir.join(name).exists());
            Ok(is_there.then_some(1))
        }
        Err(error) => Err(error),
    }
}

/// The number, if it is there twice and the same, or was written by a program that wrote it once.
fn parse(text: &str) -> Option<u32> {
    let numbers: Option<Vec<u32>> = text.lines().map(|line| line.parse().ok()).collect();
    match numbers?[..] {
        [number] if number <= LAST_WRITTEN_ONCE => Some(number),
        [number, again] if number == again => Some(number),
        _ => None,
    }
}

/// Writes the number whole or not at all; twice, so that damage is not taken for a later version.
fn note(state_dir: &Path, version: u32) -> io::Result<()> {
    let new = state_dir.join("version.new");
    let mut file = File::create(&new)?;
    writeln!(file, "{version}\n{version}")?;
    file.sync_all()?;
    fs::rename(&new, state_dir.join(FILE))?;
    File::open(state_dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_step_to_each_version() {
        assert_eq!(STEPS.len() + 1, CURRENT as usize);
    }

    #[test]
    fn a_state_without_a_number_is_the_first_and_a_new_one_is_the_newest() {
        let dir = tempfile::tempdir().unwrap();
        check(dir.path()).unwrap();
        assert_eq!(found(dir.path()).unwrap(), None);
        fs::create_dir(dir.path().join(JOBS_DIR)).unwrap();
        assert_eq!(found(dir.path()).unwrap(), Some(1));
        bring_forward(dir.path()).unwrap();
        assert_eq!(found(dir.path()).unwrap(), Some(CURRENT));
        bring_forward(dir.path()).unwrap();
        let fresh = tempfile::tempdir().unwrap();
        bring_forward(fresh.path()).unwrap();
        assert_eq!(found(fresh.path()).unwrap(), Some(CURRENT));
    }

    #[test]
    fn a_later_one_is_refused_and_damage_is_mended() {
        let dir = tempfile::tempdir().unwrap();
        let later = CURRENT + 1;
        fs::write(dir.path().join(FILE), format!("{later}\n{later}\n")).unwrap();
        let refused = check(dir.path()).unwrap_err().to_string();
        assert!(refused.contains("a later testsmith"), "{refused}");
        let mut damages = vec![b"two".to_vec(), Vec::new(), b"2".to_vec(), b"2\n".to_vec()];
        let whole = format!("{CURRENT}\n{CURRENT}\n");
        for bit in 0..8 * whole.len() {
            let mut damaged = whole.clone().into_bytes();
            damaged[bit / 8] ^= 1 << (bit % 8);
            damages.push(damaged);
        }
        for damaged in damages {
            fs::write(dir.path().join(FILE), &damaged).unwrap();
            check(dir.path()).unwrap();
            bring_forward(dir.path()).unwrap();
            let text = fs::read_to_string(dir.path().join(FILE)).unwrap();
            // One whose number can be read is left as it is.
            assert!(
                text == whole || parse(&text) == Some(CURRENT),
                "{damaged:?}"
            );
        }
    }
}
