//! `testsmith logs`: what the service said, from its log files or systemd's journal.

mod filter;
mod follow;
mod journal;
mod line;

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;

use self::filter::Filter;
use self::follow::Follower;
use self::line::Entry;
use crate::args::{Global, LogsArgs};
use crate::context::Context;
use crate::logging::{FOLDER, JOURNAL_MARK, files};
use crate::{block_on, exit, output};

/// Lines shown of what was, before new ones are followed.
const BEFORE_FOLLOWING: usize = 10;

/// How often the newest file is looked at for more.
const LOOK_EVERY: Duration = Duration::from_millis(200);

pub(crate) fn run(global: &Global, args: &LogsArgs) -> anyhow::Result<u8> {
    let context = Context::to_ask(global, None)?;
    let filter = Filter::of(args, &context.root)?;
    let folder = context.state_dir.join(FOLDER);
    let in_journal = folder.join(JOURNAL_MARK).exists();
    let mut follower = Follower::start(&folder).with_context(|| {
        format!(
            "cannot read the log in `{}`; see that it is yours, or name another --state-dir",
            folder.display()
        )
    })?;
    let mut entries = from_files(&folder, &filter, follower.as_mut())?;
    if in_journal {
        entries.extend(journal::read(&context.state_dir, &filter)?);
        // A service that was at times run by hand has lines in both places.
        entries.sort_by(|a, b| a.timestamp().cmp(b.timestamp()));
    }
    let kept = args
        .lines
        .or_else(|| (args.follow && args.since.is_none()).then_some(BEFORE_FOLLOWING));
    let skipped = kept.map_or(0, |kept| entries.len().saturating_sub(kept));
    for entry in &entries[skipped..] {
        print(entry, args.json)?;
    }
    if args.follow {
        let journal = in_journal.then_some(context.state_dir.as_path());
        block_on(follow(&folder, &filter, args.json, follower, journal))??;
    } else if entries.is_empty() && !folder.exists() {
        output::note(format_args!(
            "no log yet in `{}`; it begins with the next `testsmith watch`",
            folder.display()
        ));
    }
    Ok(exit::OK)
}

fn print(entry: &Entry, json: bool) -> anyhow::Result<()> {
    if json {
        output::line(&entry.raw)
    } else {
        output::line(entry.shown())
    }
}

/// All lines of all files that `filter` lets through, the oldest first. With a follower, only up
/// to where that goes on.
fn from_files(
    folder: &Path,
    filter: &Filter,
    follower: Option<&mut Follower>,
) -> anyhow::Result<Vec<Entry>> {
    let last = follower.as_ref().map(|follower| follower.number());
    let mut entries = Vec::new();
    for (number, path) in files(folder)? {
        if last.is_some_and(|last| number >= last) {
            break;
        }
        // A file that is removed meanwhile was the oldest: it is past its time.
        let Ok(file) = File::open(&path) else {
            continue;
        };
        for line in BufReader::new(file).split(b'\n') {
            let line = line.with_context(|| format!("cannot read `{}`", path.display()))?;
            entries.extend(Entry::parse(&line).filter(|entry| filter.lets_through(entry)));
        }
    }
    if let Some(follower) = follower {
        follower.read(|line| {
            entries.extend(Entry::parse(line).filter(|entry| filter.lets_through(entry)));
            Ok(())
        })?;
    }
    Ok(entries)
}

/// Prints what comes, until the reader is gone or the program is stopped.
async fn follow(
    folder: &Path,
    filter: &Filter,
    json: bool,
    mut follower: Option<Follower>,
    journal: Option<&Path>,
) -> anyhow::Result<()> {
    if let Some(state_dir) = journal {
        return journal::follow(state_dir, filter, |entry| print(entry, json)).await;
    }
    let mut tick = tokio::time::interval(LOOK_EVERY);
    loop {
        tick.tick().await;
        if follower.is_none() {
            follower = Follower::start(folder)?;
        }
        if let Some(follower) = &mut follower {
            follower.read(|line| match Entry::parse(line) {
                Some(entry) if filter.lets_through(&entry) => print(&entry, json),
                _ => Ok(()),
            })?;
        }
        if output::is_closed() {
            return Ok(());
        }
    }
}
