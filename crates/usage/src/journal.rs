//! The sums on disk: a snapshot, and a line for each request since.
//!
//! `usage.json` names the log that goes on from it. A new snapshot begins with a new log: the log
//! is begun first and the snapshot exchanged for it in one step, so at any moment snapshot plus
//! the logs from its number on are everything.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use testsmith_crash::point;

use crate::book::{Book, Entry, RowKey};
use crate::budget::{Limit, Measure, Window};
use crate::figures::Figures;

/// Version of both files.
const FORMAT: u32 = 1;

const SNAPSHOT: &str = "usage.json";

/// A log of this size is due for a snapshot.
const LARGE_LOG: u64 = 256 * 1024;

/// Times a reader looks again when a snapshot is exchanged under it.
const LOOKS: usize = 8;

/// Why usage cannot be kept or read.
#[derive(Debug, thiserror::Error)]
pub enum UsageError {
    /// The file was written by a newer version.
    #[error(
        "`{}` is of a newer testsmith (format {found}, this one knows {FORMAT}); use that version, \
         or move the file away", path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// The disk is unwilling.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// What opening found that the user should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OpenNote {
    /// Requests were open when the process was killed; each counts as the most it can have cost.
    Unfinished(u64),
    /// The snapshot could not be read and was moved aside: earlier sums are gone.
    Damaged(PathBuf),
    /// Lines of the log could not be read.
    LostLines(u64),
    /// Nothing can be written for now: sums are kept in memory, and written when that works again.
    Unwritable(String),
}

/// One line of the log.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Line {
    /// A request goes out; its figures are the most that it can come to.
    Sent { id: u64, entry: Entry },
    /// It has ended.
    Ended { id: u64, entry: Entry },
    /// The user was warned.
    Warned {
        window: Window,
        measure: Measure,
        limit: u64,
    },
    /// These limits, and no others, are lifted until their windows end.
    OverBudget { limits: BTreeSet<Limit> },
    /// An earlier version's, which lifted all limits of a window: it holds no longer.
    Lifted { window: Window },
}

/// What is known beside the sums.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Marks {
    /// Windows and limits that the user was warned of.
    pub(crate) warned: BTreeSet<(Window, Measure, u64)>,
    /// Limits that the user lifted.
    pub(crate) lifted: BTreeSet<Limit>,
}

/// Everything that is on disk.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    pub(crate) book: Book,
    pub(crate) marks: Marks,
    pub(crate) notes: Vec<OpenNote>,
    /// The number of the last log there is.
    last: u64,
    /// The number of the snapshot's log.
    first: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Snapshot {
    format: u32,
    log: u64,
    #[serde(default)]
    rows: Vec<Row>,
    #[serde(default)]
    hours: Vec<HourRow>,
    #[serde(default)]
    warned: Vec<(Window, Measure, u64)>,
    #[serde(default)]
    over_budget: Vec<Limit>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Row {
    #[serde(flatten)]
    key: RowKey,
    figures: Figures,
}

#[derive(Debug, Serialize, Deserialize)]
struct HourRow {
    hour: u64,
    project: String,
    file: String,
    figures: Figures,
}

/// The log that is written.
#[derive(Debug)]
pub(crate) struct Journal {
    dir: PathBuf,
    number: u64,
    log: Option<Arc<File>>,
    size: u64,
}

/// A snapshot about to be written.
#[derive(Debug)]
pub(crate) struct Pending {
    dir: PathBuf,
    number: u64,
    book: Book,
    marks: Marks,
}

impl Journal {
    /// Over what is in `dir`, with nothing open for writing yet.
    pub(crate) fn new(dir: &Path, loaded: &Loaded) -> Self {
        Self {
            dir: dir.to_owned(),
            number: loaded.last,
            log: None,
            size: 0,
        }
    }

    /// Hands a line to the kernel.
    pub(crate) fn append(&mut self, line: &Line) -> io::Result<()> {
        let Some(log) = &self.log else {
            return Err(io::Error::other("there is no log to write to"));
        };
        let text = to_line(line)?;
        let written = (&**log).write_all(&text);
        if written.is_err() {
            // Half a line may stand at its end: what comes after would be lost with it.
            self.log = None;
        }
        self.size += text.len() as u64;
        written
    }

    /// Whether lines can be written.
    pub(crate) fn is_open(&self) -> bool {
        self.log.is_some()
    }

    /// Has the log be one that the disk refuses to write to.
    #[cfg(test)]
    pub(crate) fn refuse_writes(&mut self) {
        let path = log_path(&self.dir, self.number);
        self.log = Some(Arc::new(File::open(path).unwrap()));
    }

    /// Whether the log has grown large.
    pub(crate) fn is_large(&self) -> bool {
        self.size > LARGE_LOG
    }

    /// The log, to bring it to the disk.
    pub(crate) fn log(&self) -> Option<Arc<File>> {
        self.log.clone()
    }

    /// Begins a new log with what is still open, and gives the snapshot that it goes on from.
    pub(crate) fn turn<'a>(
        &mut self,
        book: &Book,
        marks: &Marks,
        open: impl Iterator<Item = (u64, &'a Entry)>,
    ) -> io::Result<Pending> {
        fs::create_dir_all(&self.dir)?;
        let number = self.number + 1;
        let mut options = OpenOptions::new();
        options.create(true).write(true).truncate(true);
        private(&mut options);
        let mut log = options.open(log_path(&self.dir, number))?;
        let mut text = Vec::new();
        for (id, entry) in open {
            let entry = entry.clone();
            text.extend(to_line(&Line::Sent { id, entry })?);
        }
        log.write_all(&text)?;
        point("usage.turned");
        self.number = number;
        self.size = text.len() as u64;
        self.log = Some(Arc::new(log));
        Ok(Pending {
            dir: self.dir.clone(),
            number,
            book: book.clone(),
            marks: marks.clone(),
        })
    }
}

impl Pending {
    /// Writes the snapshot, and takes away the logs that it holds.
    pub(crate) fn write(self) -> io::Result<()> {
        let Self {
            dir,
            number,
            book,
            marks,
        } = self;
        let row = |(key, figures): (&RowKey, &Figures)| Row {
            key: key.clone(),
            figures: *figures,
        };
        let hour = |(hour, (project, file), figures): (u64, &(String, String), &Figures)| HourRow {
            hour,
            project: project.clone(),
            file: file.clone(),
            figures: *figures,
        };
        let snapshot = Snapshot {
            format: FORMAT,
            log: number,
            rows: book.rows().map(row).collect(),
            hours: book.hours().map(hour).collect(),
            warned: marks.warned.into_iter().collect(),
            over_budget: marks.lifted.into_iter().collect(),
        };
        let fresh = dir.join(format!("{SNAPSHOT}.new"));
        let mut options = OpenOptions::new();
        options.create(true).write(true).truncate(true);
        private(&mut options);
        let mut file = options.open(&fresh)?;
        file.write_all(&serde_json::to_vec(&snapshot)?)?;
        file.sync_all()?;
        point("usage.snapshot");
        fs::rename(&fresh, dir.join(SNAPSHOT))?;
        point("usage.renamed");
        File::open(&dir)?.sync_all()?;
        for old in logs(&dir)?.into_iter().filter(|old| *old < number) {
            fs::remove_file(log_path(&dir, old))?;
        }
        Ok(())
    }
}

/// Reads everything, for the process that holds the state. What is damaged is moved aside.
pub(crate) fn open(dir: &Path) -> Result<Loaded, UsageError> {
    let path = dir.join(SNAPSHOT);
    let mut note = None;
    let snapshot = match read_snapshot(&path)? {
        Some(Ok(snapshot)) => Some(snapshot),
        None => None,
        Some(Err(error)) => {
            let aside = dir.join(format!("{SNAPSHOT}.damaged"));
            tracing::debug!(%error, "usage cannot be read");
            // If it cannot be moved, it is overwritten.
            let _ = fs::rename(&path, &aside);
            note = Some(OpenNote::Damaged(aside));
            None
        }
    };
    let mut loaded = load(dir, snapshot, true)?;
    loaded.notes.extend(note);
    Ok(loaded)
}

/// Reads everything, beside a process that may be writing.
pub(crate) fn peek(dir: &Path) -> Result<Loaded, UsageError> {
    let path = dir.join(SNAPSHOT);
    let read = || Ok::<_, UsageError>(read_snapshot(&path)?.and_then(Result::ok));
    let mut loaded = load(dir, read()?, false)?;
    for _ in 0..LOOKS {
        let again = read()?;
        if again.as_ref().map_or(0, |snapshot| snapshot.log) == loaded.first {
            break;
        }
        loaded = load(dir, again, false)?;
    }
    Ok(loaded)
}

fn read_snapshot(path: &Path) -> Result<Option<Result<Snapshot, serde_json::Error>>, UsageError> {
    #[derive(Deserialize)]
    struct Head {
        format: u32,
    }
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => {
            return Err(UsageError::Read {
                path: path.to_owned(),
                source,
            });
        }
    };
    match serde_json::from_slice::<Head>(&text) {
        Ok(Head { format }) if format > FORMAT => Err(UsageError::Newer {
            path: path.to_owned(),
            found: format,
        }),
        Ok(_) => Ok(Some(serde_json::from_slice(&text))),
        Err(error) => Ok(Some(Err(error))),
    }
}

/// The snapshot and the logs from its own on. With `charge`, requests whose end is not on disk
/// count in full; else they are open still.
fn load(dir: &Path, snapshot: Option<Snapshot>, charge: bool) -> Result<Loaded, UsageError> {
    let mut loaded = Loaded::default();
    let first = snapshot.as_ref().map_or(0, |snapshot| snapshot.log);
    loaded.first = first;
    loaded.last = first;
    if let Some(snapshot) = snapshot {
        for Row { key, figures } in snapshot.rows {
            loaded.book.add(key, &figures);
        }
        for row in snapshot.hours {
            loaded
                .book
                .add_hour(row.hour, row.project, row.file, &row.figures);
        }
        loaded.marks.warned.extend(snapshot.warned);
        loaded.marks.lifted.extend(snapshot.over_budget);
    }
    let mut open: BTreeMap<u64, Entry> = BTreeMap::new();
    let mut lost = 0;
    for number in logs(dir).unwrap_or_default() {
        if number < first {
            continue;
        }
        loaded.last = loaded.last.max(number);
        let path = log_path(dir, number);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(source) => return Err(UsageError::Read { path, source }),
        };
        // What comes after the last line feed was being written when the process was killed.
        let whole = text
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |end| end + 1);
        let lines = text[..whole].split(|byte| *byte == b'\n');
        for line in lines.filter(|line| !line.is_empty()) {
            match serde_json::from_slice(line) {
                Ok(line) => loaded.apply(line, &mut open),
                Err(_) => lost += 1,
            }
        }
    }
    if lost > 0 {
        loaded.notes.push(OpenNote::LostLines(lost));
    }
    if charge && !open.is_empty() {
        for entry in open.values_mut() {
            entry.figures.estimated_requests = entry.figures.requests;
            loaded.book.record(entry);
        }
        loaded.notes.push(OpenNote::Unfinished(open.len() as u64));
    }
    Ok(loaded)
}

impl Loaded {
    fn apply(&mut self, line: Line, open: &mut BTreeMap<u64, Entry>) {
        match line {
            Line::Sent { id, entry } => {
                open.insert(id, entry);
            }
            Line::Ended { id, entry } => {
                open.remove(&id);
                self.book.record(&entry);
            }
            Line::Warned {
                window,
                measure,
                limit,
            } => {
                self.marks.warned.insert((window, measure, limit));
            }
            Line::OverBudget { limits } => self.marks.lifted = limits,
            Line::Lifted { .. } => {}
        }
    }
}

fn to_line(line: &Line) -> io::Result<Vec<u8>> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    Ok(text)
}

fn log_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("usage-{number}.log"))
}

/// The numbers of all logs, in order.
fn logs(dir: &Path) -> io::Result<Vec<u64>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| {
            let number = name.strip_prefix("usage-")?.strip_suffix(".log")?;
            number.parse::<u64>().ok()
        });
        found.extend(number);
    }
    found.sort_unstable();
    Ok(found)
}

/// Which files one works on is nobody else's business.
fn private(options: &mut OpenOptions) {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    #[cfg(not(unix))]
    let _ = options;
}
