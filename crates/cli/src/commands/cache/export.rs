//! `testsmith cache export`.

use std::fs::File;
use std::io::{self, BufWriter, Seek as _, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde_json::json;
use testsmith_control::ENTRY_BYTES;
use testsmith_domain::CacheEntry;

use super::file::{Header, named};
use super::place::Place;
use crate::context::Context;
use crate::exit::UsageError;
use crate::output::counted;
use crate::{block_on, output};

pub(super) fn run(context: &Context, file: Option<&Path>, json: bool) -> anyhow::Result<()> {
    let Some(file) = named(file) else {
        return to_standard_output(context, json);
    };
    let cannot = || format!("cannot write `{}`", file.display());
    let target = target(file).with_context(cannot)?;
    let folder = target.parent().unwrap_or(Path::new("/"));
    let spool = Spool::new(tempfile::tempfile_in(folder).with_context(cannot)?);
    let spool = gather(context, spool)?;
    let answers = spool.answers;
    let bytes = spool.write_whole(folder, &target).with_context(cannot)?;
    if json {
        return output::json(&json!({ "exported": answers, "file": file }));
    }
    let file = file.display();
    output::line(format_args!(
        "{} written to {file} ({bytes} bytes)",
        counted(answers, "answer")
    ))
}

fn to_standard_output(context: &Context, json: bool) -> anyhow::Result<()> {
    if json {
        let said =
            "--json tells about a file, and standard output is taken by the answers: name a FILE";
        return Err(UsageError(said.to_owned()).into());
    }
    let spool = Spool::new(tempfile::tempfile()?);
    let spool = gather(context, spool)?;
    let answers = spool.answers;
    match spool.write_to(&mut io::stdout().lock()) {
        Ok(bytes) => output::note(format_args!(
            "{} written to standard output ({bytes} bytes)",
            counted(answers, "answer")
        )),
        // Whoever reads has had enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        Err(error) => return Err(error).context("cannot write to standard output"),
    }
    Ok(())
}

/// The file itself, where it is a link. What is no file is not exchanged for one.
fn target(file: &Path) -> anyhow::Result<PathBuf> {
    match file.canonicalize() {
        Ok(real) if real.is_file() => Ok(real),
        Ok(_) => bail!("it is there, and no file; leave FILE away for standard output"),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(std::path::absolute(file)?),
        Err(error) => Err(error.into()),
    }
}

/// Answers on their way, in a file without a name: only when all are there it is known how many they
/// are, which stands at the beginning, and whether there is anything to write at all.
struct Spool {
    lines: BufWriter<File>,
    answers: u64,
}

fn gather(context: &Context, mut spool: Spool) -> anyhow::Result<Spool> {
    block_on(async {
        let Some(place) = Place::find(context).await? else {
            return Ok(spool);
        };
        let gathered = spool.gather(&place).await;
        gathered.and(place.close().await)?;
        Ok(spool)
    })?
}

impl Spool {
    fn new(file: File) -> Self {
        Self {
            lines: BufWriter::new(file),
            answers: 0,
        }
    }

    async fn gather(&mut self, place: &Place) -> anyhow::Result<()> {
        let mut after = None;
        loop {
            let page = place.page(after).await?;
            let Some(last) = page.last() else {
                return Ok(());
            };
            after = Some(last.key);
            for entry in &page {
                self.add(entry)?;
            }
        }
    }

    fn add(&mut self, entry: &CacheEntry) -> anyhow::Result<()> {
        let mut line = serde_json::to_vec(entry)?;
        if line.len() > ENTRY_BYTES {
            let (key, bytes) = (entry.key, line.len());
            output::note(format_args!(
                "the answer {key} is left out: no import would take its {bytes} bytes"
            ));
            return Ok(());
        }
        line.push(b'\n');
        let written = self.lines.write_all(&line);
        written.context("cannot keep the answers on their way")?;
        self.answers += 1;
        Ok(())
    }

    /// Writes all, and gives how many bytes that is.
    fn write_to(self, to: &mut impl Write) -> io::Result<u64> {
        let mut header = serde_json::to_vec(&Header::of(self.answers))?;
        header.push(b'\n');
        to.write_all(&header)?;
        let mut lines = self
            .lines
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?;
        lines.rewind()?;
        let copied = io::copy(&mut lines, to)?;
        to.flush()?;
        Ok(header.len() as u64 + copied)
    }

    /// Exchanges the file for one with all answers. Until then it is as it was.
    fn write_whole(self, folder: &Path, target: &Path) -> io::Result<u64> {
        // For its owner alone.
        let mut fresh = tempfile::NamedTempFile::new_in(folder)?;
        let bytes = self.write_to(&mut fresh)?;
        fresh.as_file().sync_all()?;
        fresh.persist(target)?;
        Ok(bytes)
    }
}
