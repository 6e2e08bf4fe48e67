//! `testsmith cache import`.

use std::path::Path;

use anyhow::Context as _;
use testsmith_control::Imported;
use testsmith_domain::CacheEntry;

use super::file::{Reader, named};
use super::place::Place;
use crate::context::Context;
use crate::{block_on, output};

/// Answers that are added at once: at most so many and, but for a single one that is longer, so many bytes.
const CHUNK_ENTRIES: usize = 1000;
const CHUNK_BYTES: usize = 512 << 10;

pub(super) fn run(context: &Context, file: Option<&Path>, json: bool) -> anyhow::Result<()> {
    // Nothing is made, not even an empty cache, for a file that is none.
    let mut reader = Reader::open(named(file))?;
    let mut done = Imported::default();
    let result = block_on(async {
        let place = Place::open(context).await?;
        let taken = take(&mut reader, &place, &mut done).await;
        let closed = place.close().await;
        anyhow::Ok(taken.and(closed))
    })??;
    let Imported {
        added,
        present,
        expired,
    } = done;
    let said = format!(
        "{} added, {present} there already, {expired} too old",
        output::counted(added, "answer")
    );
    result.with_context(|| format!("{said}; then it ended"))?;
    if json {
        return output::json(&done);
    }
    output::line(said)
}

/// Adds what is in the file to the cache, and notes what became of it on the way.
async fn take(reader: &mut Reader, place: &Place, done: &mut Imported) -> anyhow::Result<()> {
    let mut chunk = Vec::new();
    let mut bytes = 0;
    loop {
        let read = reader.next();
        let is_full = match &read {
            Ok(Some((_, length))) => chunk.len() >= CHUNK_ENTRIES || bytes + length > CHUNK_BYTES,
            // What came before is kept, whatever is wrong with this line.
            Ok(None) | Err(_) => true,
        };
        if is_full {
            add(std::mem::take(&mut chunk), place, done).await?;
            bytes = 0;
        }
        let Some((entry, length)) = read? else {
            return Ok(());
        };
        chunk.push(entry);
        bytes += length;
    }
}

async fn add(chunk: Vec<CacheEntry>, place: &Place, done: &mut Imported) -> anyhow::Result<()> {
    if chunk.is_empty() {
        return Ok(());
    }
    let Imported {
        added,
        present,
        expired,
    } = place.import(chunk).await?;
    done.added += added;
    done.present += present;
    done.expired += expired;
    Ok(())
}
