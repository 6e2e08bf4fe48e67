//! Reading a log that is being written, across its files.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use crate::logging::files;

/// Reads the newest file on, and the next when there is one.
pub(super) struct Follower {
    folder: PathBuf,
    number: u64,
    reader: BufReader<File>,
    /// A line whose end is not written yet.
    begun: Vec<u8>,
}

impl Follower {
    /// At the beginning of the newest file; `None` while there is none.
    pub(super) fn start(folder: &Path) -> io::Result<Option<Self>> {
        let Some((number, path)) = files(folder)?.pop() else {
            return Ok(None);
        };
        Ok(Some(Self {
            folder: folder.to_owned(),
            number,
            reader: BufReader::new(File::open(path)?),
            begun: Vec::new(),
        }))
    }

    /// The number of the file that is read.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Reads all whole lines there are.
    pub(super) fn read(
        &mut self,
        mut take: impl FnMut(&[u8]) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        loop {
            // Asked before the rest is read: once the next file is there, nothing more comes
            // into this one.
            let next = self.next()?;
            while self.reader.read_until(b'\n', &mut self.begun)? > 0 {
                if self.begun.ends_with(b"\n") {
                    take(&self.begun)?;
                    self.begun.clear();
                }
            }
            let Some((number, path)) = next else {
                return Ok(());
            };
            // Removed already: the one after it comes next.
            if let Ok(file) = File::open(path) {
                self.reader = BufReader::new(file);
                self.begun.clear();
            }
            self.number = number;
        }
    }

    fn next(&self) -> io::Result<Option<(u64, PathBuf)>> {
        let files = files(&self.folder)?;
        let newest = files.last().map(|(number, _)| *number);
        // A folder that was emptied begins to count anew.
        let is_anew = newest.is_some_and(|newest| newest < self.number);
        let is_next = |number: u64| is_anew || number > self.number;
        Ok(files.into_iter().find(|(number, _)| is_next(*number)))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;

    use super::*;

    fn read(follower: &mut Follower) -> String {
        let mut text = Vec::new();
        follower
            .read(|line| {
                text.extend_from_slice(line);
                Ok(())
            })
            .unwrap();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn no_line_is_lost_or_cut_when_files_change() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Follower::start(dir.path()).unwrap().is_none());
        let path = |number: u64| dir.path().join(format!("testsmith-{number:06}.jsonl"));
        let append = |number, text: &str| {
            let mut options = fs::OpenOptions::new();
            let mut file = options
                .append(true)
                .create(true)
                .open(path(number))
                .unwrap();
            file.write_all(text.as_bytes()).unwrap();
        };
        append(1, "a\nb");
        let mut follower = Follower::start(dir.path()).unwrap().unwrap();
        assert_eq!(read(&mut follower), "a\n");
        append(1, "c\n");
        append(2, "d\n");
        append(3, "e\n");
        assert_eq!(read(&mut follower), "bc\nd\ne\n");
        append(3, "f\n");
        fs::remove_file(path(1)).unwrap();
        assert_eq!(read(&mut follower), "f\n");
        for number in [2, 3] {
            fs::remove_file(path(number)).unwrap();
        }
        append(1, "g\n");
        assert_eq!(read(&mut follower), "g\n", "counted anew");
    }
}
