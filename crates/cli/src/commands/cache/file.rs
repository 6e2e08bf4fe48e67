//! The file in which answers travel: a header, then one answer a line, as JSON.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _};
use std::path::Path;

use anyhow::{Context as _, bail};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use testsmith_control::ENTRY_BYTES;
use testsmith_domain::CacheEntry;

use crate::output;

/// The version of the format. What an older program cannot read needs a new one.
const VERSION: u32 = 1;

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Header {
    testsmith_cache: u32,
    /// How many answers follow.
    entries: u64,
}

/// What every version's header has.
#[derive(Debug, Deserialize)]
struct AnyHeader {
    testsmith_cache: u32,
}

impl Header {
    pub(super) const fn of(entries: u64) -> Self {
        Self {
            testsmith_cache: VERSION,
            entries,
        }
    }
}

/// A file that is read line by line.
pub(super) struct Reader {
    from: Box<dyn BufRead>,
    name: String,
    line: Vec<u8>,
    /// The line's number, from 1.
    number: u64,
    /// How many answers there should be.
    entries: u64,
}

/// The name of a file, or `None` for the standard stream.
pub(super) fn named(file: Option<&Path>) -> Option<&Path> {
    file.filter(|file| *file != Path::new("-"))
}

impl Reader {
    /// Opens a file, or standard input, and reads its header.
    pub(super) fn open(file: Option<&Path>) -> anyhow::Result<Self> {
        let (from, name): (Box<dyn BufRead>, _) = match file {
            None => (Box::new(io::stdin().lock()), "standard input".to_owned()),
            Some(file) => {
                let name = format!("`{}`", file.display());
                let opened = File::open(file).with_context(|| format!("cannot read {name}"))?;
                (Box::new(BufReader::new(opened)), name)
            }
        };
        Self::begin(from, name)
    }

    fn begin(from: Box<dyn BufRead>, name: String) -> anyhow::Result<Self> {
        let mut reader = Self {
            from,
            name,
            line: Vec::new(),
            number: 0,
            entries: 0,
        };
        if !reader.read_line()? {
            let name = &reader.name;
            bail!("{name} is empty; take a file that `testsmith cache export` wrote");
        }
        let remedy = "take a file that `testsmith cache export` wrote";
        let what = "no header of a file of answers";
        let AnyHeader { testsmith_cache } = reader.parse(what, remedy)?;
        if testsmith_cache != VERSION {
            let place = reader.place();
            bail!(
                "{place}: the file is of version {testsmith_cache}, and this testsmith knows {VERSION}; \
                 use the program that wrote it, or a later one"
            );
        }
        let Header { entries, .. } = reader.parse(what, remedy)?;
        reader.entries = entries;
        Ok(reader)
    }

    /// The next answer, and how long its line is; `None` at the end.
    pub(super) fn next(&mut self) -> anyhow::Result<Option<(CacheEntry, usize)>> {
        if !self.read_line()? {
            let (found, entries) = (self.number - 1, self.entries);
            if found != entries {
                let name = &self.name;
                bail!(
                    "{name} holds {}, and its header says {entries}: it was cut or changed; \
                     have it exported again",
                    output::counted(found, "answer")
                );
            }
            return Ok(None);
        }
        let remedy = "remove the line, or have the file exported again";
        let entry = self.parse("no answer", remedy)?;
        Ok(Some((entry, self.line.len())))
    }

    /// Reads a line, and no more of it than a line may have. Tells whether there was one.
    fn read_line(&mut self) -> anyhow::Result<bool> {
        self.line.clear();
        let most = ENTRY_BYTES as u64 + 1;
        let mut from = (&mut self.from).take(most);
        let read = from.read_until(b'\n', &mut self.line);
        read.with_context(|| format!("cannot read {}", self.name))?;
        if self.line.is_empty() {
            return Ok(false);
        }
        self.number += 1;
        if self.line.last() == Some(&b'\n') {
            self.line.pop();
        } else if self.line.len() > ENTRY_BYTES {
            let place = self.place();
            bail!("{place} is longer than {ENTRY_BYTES} bytes; remove it: no answer is that long");
        }
        Ok(true)
    }

    fn parse<T: DeserializeOwned>(&self, what: &str, remedy: &str) -> anyhow::Result<T> {
        serde_json::from_slice(&self.line).map_err(|error| {
            let said = error.to_string();
            // Of its own text the parser knows one line only.
            let said = said.split(" at line ").next().unwrap_or_default();
            let (place, column) = (self.place(), error.column());
            let said = output::escape(said);
            anyhow::anyhow!("{place}: this is {what}: {said} (column {column}); {remedy}")
        })
    }

    fn place(&self) -> String {
        format!("{}, line {}", self.name, self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "{\"testsmith_cache\":1,\"entries\":1}\n";

    fn line(code: &str) -> String {
        let key = "ab".repeat(32);
        format!(
            "{{\"key\":\"{key}\",\"created\":7,\"body\":{{\"code\":\"{code}\",\"model\":\"m\"}}}}\n"
        )
    }

    /// How many answers are read, and how that ends.
    fn read(text: &str) -> (usize, String) {
        let from = Box::new(io::Cursor::new(text.to_owned()));
        let mut reader = match Reader::begin(from, "`x`".to_owned()) {
            Ok(reader) => reader,
            Err(error) => return (0, error.to_string()),
        };
        let mut read = 0;
        loop {
            match reader.next() {
                Ok(Some((entry, _))) => {
                    assert_eq!(entry.created, 7);
                    read += 1;
                }
                Ok(None) => return (read, "well".to_owned()),
                Err(error) => return (read, error.to_string()),
            }
        }
    }

    #[test]
    fn what_was_written_is_read() {
        let whole = format!("{HEADER}{}", line("x"));
        assert_eq!(read(&whole), (1, "well".to_owned()));
        assert_eq!(read(whole.trim_end()), (1, "well".to_owned()));
        let mut header = serde_json::to_string(&Header::of(0)).unwrap();
        header.push('\n');
        assert_eq!(read(&header), (0, "well".to_owned()));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let long = format!("{HEADER}{}", line(&"x".repeat(ENTRY_BYTES)));
        let key = line("x").replace("abab", "ab");
        for (text, answers, wanted) in [
            (String::new(), 0, "`x` is empty; take a file that"),
            (
                "[]\n".to_owned(),
                0,
                "`x`, line 1: this is no header of a file of answers: ",
            ),
            (
                "{\"testsmith_cache\":1}".to_owned(),
                0,
                "line 1: this is no header of a file of answers: missing field `entries`",
            ),
            (
                "{\"testsmith_cache\":2}".to_owned(),
                0,
                "line 1: the file is of version 2, and this testsmith knows 1",
            ),
            (
                HEADER.to_owned(),
                0,
                "`x` holds 0 answers, and its header says 1: it was cut",
            ),
            (
                format!("{HEADER}{0}{0}", line("x")),
                2,
                "`x` holds 2 answers, and its header says 1",
            ),
            (
                format!("{HEADER}{}{{\n", line("x")),
                1,
                "`x`, line 3: this is no answer: EOF while parsing an object (column 1); remove the line",
            ),
            (
                format!("{HEADER}{key}"),
                0,
                "line 2: this is no answer: a digest has 64 hex digits (column ",
            ),
            (
                format!("{HEADER}{{\"key\":\"\u{1b}[2J\"}}"),
                0,
                "line 2: this is no answer: control character",
            ),
            (
                long,
                0,
                "`x`, line 2 is longer than 4194304 bytes; remove it",
            ),
        ] {
            let (read, said) = read(&text);
            assert_eq!(read, answers, "{said}");
            assert!(said.contains(wanted), "{said}\n{wanted}");
        }
    }
}
