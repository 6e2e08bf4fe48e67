//! One who reads all test files all the time, and is never to see half of one.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::thread::JoinHandle;

/// Reads until it is stopped.
pub struct Reader {
    stop: Arc<AtomicBool>,
    seen: Arc<AtomicU64>,
    wrong: Arc<Mutex<Vec<String>>>,
    thread: Option<JoinHandle<()>>,
}

impl Reader {
    /// Reads below `root`, but not while somebody holds `elsewhere`: a person who saves in place.
    pub fn start(root: &Path, elsewhere: Arc<RwLock<()>>) -> Self {
        let (stop, seen, wrong) =
            <(Arc<AtomicBool>, Arc<AtomicU64>, Arc<Mutex<Vec<String>>>)>::default();
        let folders = [root.to_owned(), root.join("tests/testsmith")];
        let thread = {
            let (stop, seen, wrong) = (stop.clone(), seen.clone(), wrong.clone());
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    for path in folders.iter().flat_map(|folder| test_files(folder)) {
                        let _not_in_place = elsewhere.read().unwrap();
                        // Renamed or removed since it was listed.
                        let Ok(text) = fs::read(&path) else { continue };
                        seen.fetch_add(1, Ordering::Relaxed);
                        if let Err(why) = whole(&text) {
                            let text = String::from_utf8_lossy(&text);
                            let what = format!("{}: {why}:\n{text}", path.display());
                            wrong.lock().unwrap().push(what);
                        }
                    }
                    std::thread::sleep(std::time::Duration::from_millis(1));
                }
            })
        };
        Self {
            stop,
            seen,
            wrong,
            thread: Some(thread),
        }
    }

    /// What was wrong so far.
    pub fn wrong(&self) -> Vec<String> {
        self.wrong.lock().unwrap().clone()
    }

    /// How many files were read.
    pub fn seen(&self) -> u64 {
        self.seen.load(Ordering::Relaxed)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// testsmith's test files in one folder.
pub fn test_files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let is_test = |name: &str| {
        name.ends_with("_testsmith_test.go") || name.starts_with("test_") && name.contains(".py")
    };
    entries
        .map_while(Result::ok)
        .filter(|entry| entry.file_name().to_str().is_some_and(is_test))
        .map(|entry| entry.path())
        .collect()
}

/// Whether a test file is one whole text.
pub fn whole(text: &[u8]) -> Result<(), &'static str> {
    let text = str::from_utf8(text).map_err(|_| "not UTF-8")?;
    if text.is_empty() {
        return Err("empty");
    }
    if !text.ends_with('\n') {
        return Err("cut off");
    }
    let mut open: Option<&str> = None;
    for line in text.lines() {
        let word = |mark: &str| line.split_once(mark)?.1.split_whitespace().next();
        if let Some(member) = word("testsmith:begin ") {
            if open.replace(member).is_some() {
                return Err("a block begins in another");
            }
        } else if let Some(member) = word("testsmith:end ")
            && open.take() != Some(member)
        {
            return Err("a block ends that did not begin");
        }
    }
    let count = |c: char| text.matches(c).count();
    match open {
        Some(_) => Err("a block does not end"),
        None if count('{') != count('}') || count('(') != count(')') => Err("brackets do not pair"),
        None => Ok(()),
    }
}
