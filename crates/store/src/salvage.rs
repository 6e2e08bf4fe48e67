//! Copying what can be read into a fresh database.

use std::fs;
use std::path::Path;

use crate::handle::{Handle, Trouble, guarded};
use crate::ladder;
use crate::store::StoreOptions;

/// How many records are copied between two flushes: bounds the memory that copying takes.
const STRIDE: u64 = 1024;

/// Whether every page can be read.
pub(crate) fn is_whole(handle: &Handle) -> bool {
    guarded(|| {
        for entry in handle.db().iter() {
            entry?;
        }
        Ok(())
    })
    .is_ok()
}

/// Copies all that can be read into a new database at `fresh`, and closes it. Returns the number
/// of records.
///
/// sled's iterator cannot step over a page it cannot read, so after the first such page the rest
/// is read from the other end; with one bad page nothing else is lost.
pub(crate) fn copy_into_fresh(
    from: &Handle,
    fresh: &Path,
    options: StoreOptions,
) -> Result<u64, Trouble> {
    if fresh.exists() {
        fs::remove_dir_all(fresh)?;
    }
    let to = ladder::attempt(fresh, options)?;
    let mut copied = 0;
    let mut last = None;
    let forward = copy(from.db().iter(), &to, &mut copied, &mut last);
    if let Err(Trouble::Handle { damaged: true, .. }) = forward {
        let rest = match last {
            Some(key) => from.db().range(key..),
            None => from.db().iter(),
        };
        let backward = copy(rest.rev(), &to, &mut copied, &mut None);
        if let Err(trouble @ Trouble::Handle { damaged: false, .. }) = backward {
            return Err(trouble);
        }
    } else {
        forward?;
    }
    to.sync()?;
    ladder::drop_quietly(to);
    Ok(copied)
}

fn copy(
    entries: impl Iterator<Item = sled::Result<(sled::IVec, sled::IVec)>>,
    to: &Handle,
    copied: &mut u64,
    last: &mut Option<sled::IVec>,
) -> Result<(), Trouble> {
    guarded(|| {
        for entry in entries {
            let (key, value) = entry?;
            to.db().insert(&key, value)?;
            *copied += 1;
            *last = Some(key);
            if copied.is_multiple_of(STRIDE) {
                to.db().flush()?;
            }
        }
        Ok(())
    })
}
