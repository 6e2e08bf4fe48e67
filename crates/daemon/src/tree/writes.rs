//! What is being written into the tree, noted before it is begun.
//!
//! A process that dies in the middle of a write leaves a temporary file in the user's tree: the new
//! text, the replaced one, or a save of the user's that came in between and has no other place. The
//! note tells the next start where to look and which of the three it is.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde::{Deserialize, Serialize};
use testsmith_crash::point;
use testsmith_domain::{ContentHash, RelPath};

use super::{Temporary, let_writers_end, part_of, put_back, refuse_links};

/// The log's name in the state directory.
const NAME: &str = "writes.jsonl";

/// The log is emptied from this size on, when no write is open.
const LARGE: u64 = 64 * 1024;

/// The log of writes.
#[derive(Debug)]
pub(crate) struct WriteLog {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    file: Option<File>,
    size: u64,
    open: usize,
}

/// One write: what was there, what is to be there, and the name under which one of them, or a save
/// of the user's, is found in between.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Note {
    /// As the system has it, which need not be UTF-8.
    pub(super) root: OsString,
    pub(super) path: RelPath,
    pub(super) temporary: String,
    pub(super) old: Option<ContentHash>,
    pub(super) new: Option<ContentHash>,
}

/// What the notes of an earlier process have led to.
#[derive(Debug, Default)]
pub(crate) struct Unsettled {
    /// The test files that it took away last. It may have died before the ledger knew, which would
    /// take them for deleted by the user.
    pub(crate) removed: Vec<(PathBuf, RelPath)>,
    /// The notes that stay; `None` if that is all of them.
    left: Option<Vec<u8>>,
}

/// A write that has been noted. It is over when this is dropped.
#[derive(Debug)]
pub(super) struct Noted<'a> {
    log: &'a WriteLog,
    temporary: PathBuf,
}

impl WriteLog {
    /// The log of a state directory. Nothing is touched yet.
    pub(crate) fn new(state_dir: &Path) -> Self {
        Self {
            path: state_dir.join(NAME),
            state: Mutex::default(),
        }
    }

    /// Notes a write; the note is on disk when this returns.
    pub(super) fn begin(&self, note: &Note) -> io::Result<Noted<'_>> {
        let mut line = serde_json::to_vec(note)?;
        line.push(b'\n');
        let mut state = self.state();
        let mut file = match state.file.take() {
            Some(file) => file,
            None => self.open()?,
        };
        // After an error the log is opened anew, with what it holds.
        file.write_all(&line)?;
        file.sync_data()?;
        state.file = Some(file);
        state.size += line.len() as u64;
        state.open += 1;
        point("tree.noted");
        Ok(Noted {
            log: self,
            temporary: note.temporary(),
        })
    }

    /// Brings writes that an earlier process did not end to their end. The caller holds the state's
    /// lock. Notes that cannot be followed now, say because the project's disk is not there, stay.
    ///
    /// Gives what is still to be done: after that, the log is to be [settled](Self::settle).
    pub(crate) fn recover(&self) -> io::Result<Unsettled> {
        let text = match fs::read(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Unsettled::default());
            }
            Err(error) => return Err(error),
        };
        let mut left = Vec::new();
        let mut last: BTreeMap<(PathBuf, RelPath), bool> = BTreeMap::new();
        // A line that was cut off is of a write that was not begun.
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            let Ok(note) = serde_json::from_slice::<Note>(line) else {
                continue;
            };
            if let Err(error) = note.follow() {
                tracing::warn!(
                    %error, path = %note.path, root = %note.root().display(),
                    "a write that was broken off cannot be ended yet"
                );
                left.extend_from_slice(line);
            }
            let is_removed = note.new.is_none() && !note.target().exists();
            last.insert((note.root.into(), note.path), is_removed);
        }
        let removed = last.into_iter().filter(|(_, is_removed)| *is_removed);
        Ok(Unsettled {
            removed: removed.map(|(file, _)| file).collect(),
            left: (left.len() < text.len()).then_some(left),
        })
    }

    /// Forgets the notes that have been followed.
    pub(crate) fn settle(&self, done: Unsettled) -> io::Result<()> {
        let Some(left) = done.left else {
            return Ok(());
        };
        let fresh = self.path.with_extension("new");
        let mut file = private().truncate(true).open(&fresh)?;
        file.write_all(&left)?;
        file.sync_all()?;
        fs::rename(&fresh, &self.path)?;
        self.sync_dir()
    }

    fn open(&self) -> io::Result<File> {
        let file = private().append(true).open(&self.path)?;
        // The name has to last as long as what is written.
        self.sync_dir()?;
        Ok(file)
    }

    fn sync_dir(&self) -> io::Result<()> {
        File::open(self.path.parent().unwrap_or(&self.path))?.sync_all()
    }

    fn end(&self) {
        let mut state = self.state();
        state.open -= 1;
        if state.open == 0 && state.size > LARGE {
            let emptied = state.file.as_ref().map(|file| file.set_len(0));
            // What stays is looked at once more by the next start, which finds nothing.
            if matches!(emptied, Some(Ok(()))) {
                state.size = 0;
            }
        }
    }

    /// Counts are right at any moment another thread may have panicked.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Noted<'_> {
    fn drop(&mut self) {
        // What could not be put away stays noted for the next start.
        if self.temporary.symlink_metadata().is_err() {
            self.log.end();
        }
    }
}

impl Note {
    fn root(&self) -> &Path {
        Path::new(&self.root)
    }

    fn target(&self) -> PathBuf {
        self.path.under(self.root())
    }

    fn temporary(&self) -> PathBuf {
        let target = self.target();
        target.parent().unwrap_or(self.root()).join(&self.temporary)
    }

    /// Ends the write: takes our own away, and gives a save of the user's its place back.
    fn follow(&self) -> io::Result<()> {
        if !self.root().is_dir() {
            return Err(io::Error::other("the project is not there"));
        }
        let (temporary, target) = (self.temporary(), self.target());
        match fs::remove_file(part_of(&temporary)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let is_ours = temporary
            .symlink_metadata()
            .is_ok_and(|meta| meta.is_file())
            && refuse_links(self.root(), &self.path, &target).is_ok();
        if !is_ours {
            return Ok(());
        }
        let_writers_end(&temporary);
        let found = Some(ContentHash::of(&fs::read(&temporary)?));
        let mut left = Temporary::found(temporary);
        let is_replaced = found == self.old && (self.new.is_none() || target.exists());
        if found == self.new || is_replaced {
            left.owned = true;
        } else if renameat_with(CWD, &left.path, CWD, &target, RenameFlags::NOREPLACE).is_ok() {
            // There was none: between putting the old text aside and the new one in.
            tell_back(&target);
        } else if let Some(new) = self.new {
            if put_back(left, &target, |bytes| ContentHash::of(bytes) == new)? {
                tell_back(&target);
            }
        } else {
            left.rescue(&target)?;
        }
        Ok(())
    }
}

fn tell_back(target: &Path) {
    tracing::info!(
        path = %target.display(),
        "a write was broken off; the text that it had displaced is back in its place"
    );
}

/// Which files one works on is nobody else's business.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.create(true).write(true).mode(0o600);
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Place {
        _dir: tempfile::TempDir,
        root: PathBuf,
        log: WriteLog,
    }

    impl Place {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let root = dir.path().canonicalize().unwrap();
            let log = WriteLog::new(&root);
            Self {
                _dir: dir,
                root,
                log,
            }
        }

        /// What a process leaves that notes a write and dies with this in the two files.
        fn dies(&self, old: Option<&str>, new: Option<&str>, target: &str, temporary: &str) {
            let hash = |text: Option<&str>| text.map(|text| ContentHash::of(text.as_bytes()));
            let note = Note {
                root: self.root.clone().into(),
                path: RelPath::new("t_test.go").unwrap(),
                temporary: ".testsmith-1-0.tmp".to_owned(),
                old: hash(old),
                new: hash(new),
            };
            // Each process opens the log anew.
            let log = WriteLog::new(&self.root);
            std::mem::forget(log.begin(&note).unwrap());
            for (path, text) in [(note.target(), target), (note.temporary(), temporary)] {
                let _ = fs::remove_file(&path);
                if !text.is_empty() {
                    fs::write(path, text).unwrap();
                }
            }
        }

        /// A start; gives the test files that were taken away.
        fn start(&self) -> Vec<(PathBuf, RelPath)> {
            let log = WriteLog::new(&self.root);
            let unsettled = log.recover().unwrap();
            let removed = unsettled.removed.clone();
            log.settle(unsettled).unwrap();
            removed
        }

        /// The files there after a start: name and text.
        fn after(&self) -> Vec<(String, String)> {
            self.start();
            assert_eq!(fs::read(self.root.join(NAME)).unwrap(), b"", "the log");
            let entries = fs::read_dir(&self.root).unwrap().map(Result::unwrap);
            let mut found: Vec<_> = entries
                .map(|entry| {
                    let name = entry.file_name().into_string().unwrap();
                    (name, fs::read_to_string(entry.path()).unwrap())
                })
                .filter(|(name, _)| name != NAME)
                .collect();
            found.sort();
            found
        }

        /// That only the test file is there after a start, with this text.
        fn ends_as(&self, text: &str) {
            assert_eq!(self.after(), [("t_test.go".to_owned(), text.to_owned())]);
        }
    }

    #[test]
    fn what_is_ours_goes() {
        let place = Place::new();
        place.dies(Some("old"), Some("new"), "old", "new");
        place.ends_as("old");
        place.dies(Some("old"), Some("new"), "new", "old");
        place.ends_as("new");
        place.dies(None, Some("new"), "", "new");
        assert_eq!(place.after(), []);
        place.dies(Some("old"), None, "", "old");
        assert_eq!(place.after(), []);
    }

    #[test]
    fn what_was_taken_away_last_is_told() {
        let place = Place::new();
        place.dies(Some("old"), None, "", "old");
        let file = (place.root.clone(), RelPath::new("t_test.go").unwrap());
        // The start dies before it has done with that.
        let removed = WriteLog::new(&place.root).recover().unwrap().removed;
        assert_eq!(removed, std::slice::from_ref(&file));
        assert_eq!(place.start(), [file]);
        assert_eq!(place.start(), []);
        // Written again since, and taken away by somebody else.
        place.dies(Some("old"), None, "", "old");
        place.dies(None, Some("new"), "", "");
        assert_eq!(place.start(), []);
    }

    #[test]
    fn half_a_text_goes() {
        let place = Place::new();
        place.dies(Some("old"), Some("new"), "old", "");
        fs::write(place.root.join(".testsmith-1-0.tmp.part"), "ne").unwrap();
        place.ends_as("old");
    }

    #[test]
    fn a_save_that_was_displaced_comes_back() {
        let place = Place::new();
        place.dies(Some("old"), Some("new"), "new", "the user's");
        place.ends_as("the user's");
        place.dies(Some("old"), None, "", "the user's");
        place.ends_as("the user's");
    }

    #[test]
    fn the_old_text_comes_back_where_nothing_has_taken_its_place() {
        let place = Place::new();
        place.dies(Some("old"), Some("new"), "", "old");
        place.ends_as("old");
    }

    #[test]
    fn of_two_saves_both_are_kept() {
        let place = Place::new();
        place.dies(Some("old"), Some("new"), "newer", "the user's");
        let found = place.after();
        assert_eq!(found.len(), 2, "{found:?}");
        let texts: Vec<&str> = found.iter().map(|(_, text)| text.as_str()).collect();
        assert!(texts.contains(&"newer") && texts.contains(&"the user's"));
    }

    #[test]
    fn a_note_stays_while_the_project_is_not_there() {
        let place = Place::new();
        let away = place.root.join("away");
        fs::create_dir(&away).unwrap();
        let note = Note {
            root: away.clone().into(),
            path: RelPath::new("t_test.go").unwrap(),
            temporary: ".testsmith-1-0.tmp".to_owned(),
            old: None,
            new: Some(ContentHash::of(b"new")),
        };
        std::mem::forget(place.log.begin(&note).unwrap());
        fs::write(note.temporary(), "new").unwrap();
        let elsewhere = place.root.join("elsewhere");
        fs::rename(&away, &elsewhere).unwrap();
        place.start();
        fs::rename(&elsewhere, &away).unwrap();
        place.start();
        assert!(!note.temporary().exists());
        assert_eq!(fs::read(place.root.join(NAME)).unwrap(), b"");
    }

    #[test]
    fn the_log_does_not_grow_without_end() {
        let place = Place::new();
        let path = RelPath::new("t_test.go").unwrap();
        let mut old: Option<Vec<u8>> = None;
        for round in 0..600_u32 {
            let new = round.to_string().into_bytes();
            super::super::replace(&place.log, &place.root, &path, old.as_deref(), Some(&new))
                .unwrap();
            old = Some(new);
        }
        let size = fs::metadata(place.root.join(NAME)).unwrap().len();
        assert!(size < 2 * LARGE, "{size}");
    }
}
