//! Opening a database, whatever state it is in.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use testsmith_crash::point;

use crate::handle::{Handle, Trouble, guarded};
use crate::report::{OpenReport, Repair};
use crate::store::StoreOptions;
use crate::{StoreError, salvage};

/// How many damaged databases are kept for a look at them.
const QUARANTINES: usize = 2;

/// How often, and after what waits, a taken lock is tried again: sled gives its lock back a moment
/// after a database was closed or could not be opened, when its threads let go of the file.
const LOCK_TRIES: u32 = 50;
const LOCK_WAIT: Duration = Duration::from_millis(10);

/// The file that tells a database that lost everything from a new one.
const CERTIFICATE: &str = "testsmith";

/// Opens the database in `dir`, climbing the ladder as far as needed. With `distrust`, every page
/// is read, and if one cannot be, the others are saved into a fresh database.
pub(crate) fn open(
    dir: &Path,
    options: StoreOptions,
    distrust: bool,
) -> Result<(Handle, OpenReport), StoreError> {
    let failed = |trouble| to_error(dir, trouble);
    prepare(dir).map_err(|error| failed(error.into()))?;
    refuse_if_open(dir)?;
    let mut repairs = Vec::new();
    if remove_leftovers(dir).map_err(|error| failed(error.into()))? {
        repairs.push(Repair::LeftoverRemoved);
    }
    let mut handle = climb(dir, options, &mut repairs).map_err(failed)?;
    let distrust = distrust
        || repairs.contains(&Repair::SnapshotsPutAside)
        || guarded(|| handle.format()).is_err();
    if distrust && !salvage::is_whole(&handle) {
        let fresh = beside(dir, "rebuild");
        let records = salvage::copy_into_fresh(&handle, &fresh, options).map_err(failed)?;
        drop_quietly(handle);
        let quarantine = quarantine(dir).map_err(|error| failed(error.into()))?;
        put_in_place(&fresh, dir).map_err(|error| failed(error.into()))?;
        handle = attempt(dir, options).map_err(failed)?;
        repairs.push(Repair::Salvaged {
            records,
            quarantine,
        });
    }
    if is_emptied(&handle, dir).map_err(failed)? {
        drop_quietly(handle);
        handle = start_anew(dir, options, &mut repairs).map_err(failed)?;
    }
    let format = check_format(&handle, dir, options)?;
    certify(dir).map_err(|error| failed(error.into()))?;
    point("store.opened");
    let report = OpenReport {
        format,
        repairs,
        degraded: None,
    };
    Ok((handle, report))
}

/// The rungs from plain opening to a new start.
///
/// `conf` goes first, since it is checked before all else, and what is written in its place is
/// equal: its content follows from our settings, which never change.
fn climb(dir: &Path, options: StoreOptions, repairs: &mut Vec<Repair>) -> Result<Handle, Trouble> {
    let mut last = attempt(dir, options);
    let rungs = [
        ("conf", Repair::ConfigPutAside),
        ("snap.", Repair::SnapshotsPutAside),
    ];
    for (prefix, repair) in rungs {
        if !is_damage(&last) {
            return last;
        }
        if put_aside(dir, prefix)? {
            repairs.push(repair);
            last = attempt(dir, options);
        }
    }
    if is_damage(&last) {
        return start_anew(dir, options, repairs);
    }
    remove_matching(dir, |name| name.starts_with("aside."))?;
    last
}

/// The last rung.
fn start_anew(
    dir: &Path,
    options: StoreOptions,
    repairs: &mut Vec<Repair>,
) -> Result<Handle, Trouble> {
    repairs.clear();
    repairs.push(Repair::Quarantined {
        quarantine: quarantine(dir)?,
    });
    prepare(dir)?;
    attempt(dir, options)
}

/// Whether a database that had been in use has nothing in it. sled takes damage at the start of
/// its log for the log's end, and opens empty without a word.
fn is_emptied(handle: &Handle, dir: &Path) -> Result<bool, Trouble> {
    Ok(dir.join(CERTIFICATE).exists() && guarded(|| Ok(handle.db().first()?))?.is_none())
}

/// Notes beside a database that it has been in use, and makes its directory's entries durable.
fn certify(dir: &Path) -> io::Result<()> {
    let path = dir.join(CERTIFICATE);
    if !path.exists() {
        let mut file = File::create(path)?;
        file.write_all(b"a database of testsmith; do not edit what is here\n")?;
        file.sync_all()?;
    }
    sync_dir(dir)?;
    sync_dir(dir.parent().unwrap_or(dir))
}

fn is_damage(result: &Result<Handle, Trouble>) -> bool {
    matches!(result, Err(Trouble::Handle { damaged: true, .. }))
}

/// Opens without any repair.
///
pub(crate) fn attempt(dir: &Path, options: StoreOptions) -> Result<Handle, Trouble> {
    for _ in 0..LOCK_TRIES {
        match open_plainly(dir, options) {
            Err(trouble) if is_lock(&trouble) => std::thread::park_timeout(LOCK_WAIT),
            other => return other,
        }
    }
    open_plainly(dir, options)
}

fn open_plainly(dir: &Path, options: StoreOptions) -> Result<Handle, Trouble> {
    guarded(|| {
        let config = sled::Config::new()
            .path(dir)
            .cache_capacity(options.cache_capacity)
            .mode(sled::Mode::LowSpace)
            .flush_every_ms(Some(500));
        let db = config.open()?;
        Handle::new(db, config, dir)
    })
}

fn check_format(handle: &Handle, dir: &Path, options: StoreOptions) -> Result<u32, StoreError> {
    let failed = |trouble| to_error(dir, trouble);
    match guarded(|| handle.format()).map_err(failed)? {
        Some(found) if found > options.format => Err(StoreError::NewerFormat {
            dir: dir.to_owned(),
            found,
            supported: options.format,
        }),
        Some(found) => Ok(found),
        None => {
            guarded(|| handle.set_format(options.format)).map_err(failed)?;
            Ok(options.format)
        }
    }
}

/// Makes the directory, and finishes or undoes an interrupted rebuild.
fn prepare(dir: &Path) -> io::Result<()> {
    let worn = beside(dir, "worn");
    if worn.exists() {
        fs::remove_dir_all(worn)?; // a rebuild has taken its place, or is about to
    }
    let fresh = beside(dir, "rebuild");
    if fresh.exists() {
        if dir.exists() {
            fs::remove_dir_all(&fresh)?;
        } else {
            // The old database is taken away only when the new one is complete.
            put_in_place(&fresh, dir)?;
        }
    }
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// Repairs are for a database that nobody else is using.
fn refuse_if_open(dir: &Path) -> Result<(), StoreError> {
    let Ok(file) = File::open(dir.join("db")) else {
        return Ok(()); // not there yet; or unreadable, which opening will tell
    };
    for _ in 0..LOCK_TRIES {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => std::thread::park_timeout(LOCK_WAIT),
            Ok(()) | Err(_) => return Ok(()),
        }
    }
    Err(StoreError::Busy {
        dir: dir.to_owned(),
    })
}

/// Deletes what an interrupted start left: sled would take a half-written snapshot for a whole
/// one (<https://github.com/spacejam/sled/issues/1527>).
fn remove_leftovers(dir: &Path) -> io::Result<bool> {
    let removed = remove_matching(dir, |name| {
        name.starts_with("snap.") && name.ends_with(".generating")
    })?;
    remove_matching(dir, |name| name.starts_with("aside."))?;
    Ok(removed)
}

fn remove_matching(dir: &Path, matches: impl Fn(&str) -> bool) -> io::Result<bool> {
    let mut any = false;
    for (name, path) in entries(dir)? {
        if matches(&name) {
            fs::remove_file(path)?;
            any = true;
        }
    }
    Ok(any)
}

fn put_aside(dir: &Path, prefix: &str) -> io::Result<bool> {
    let mut any = false;
    for (name, path) in entries(dir)? {
        if name.starts_with(prefix) {
            fs::rename(path, dir.join(format!("aside.{name}")))?;
            any = true;
        }
    }
    Ok(any)
}

fn entries(dir: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    fs::read_dir(dir)?
        .map(|entry| {
            let entry = entry?;
            Ok((
                entry.file_name().to_string_lossy().into_owned(),
                entry.path(),
            ))
        })
        .collect()
}

/// Moves the database out of the way, and drops the oldest of those moved before.
pub(crate) fn quarantine(dir: &Path) -> io::Result<PathBuf> {
    let mut time = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let target = loop {
        let target = beside(dir, &format!("corrupt-{time}"));
        if !target.exists() {
            break target;
        }
        time += 1;
    };
    fs::rename(dir, &target)?;

    let parent = dir.parent().unwrap_or(Path::new("."));
    let start = format!("{}.corrupt-", file_name(dir));
    let mut kept: Vec<(u64, PathBuf)> = entries(parent)?
        .into_iter()
        .filter_map(|(name, path)| Some((name.strip_prefix(&start)?.parse().ok()?, path)))
        .collect();
    kept.sort();
    let surplus = kept.len().saturating_sub(QUARANTINES);
    for (_, path) in kept.into_iter().take(surplus) {
        fs::remove_dir_all(path)?;
    }
    Ok(target)
}

/// Gives a complete fresh database its name.
pub(crate) fn put_in_place(fresh: &Path, dir: &Path) -> io::Result<()> {
    sync_dir(fresh)?;
    fs::rename(fresh, dir)?;
    sync_dir(dir.parent().unwrap_or(dir))
}

/// `<dir>.<suffix>`.
pub(crate) fn beside(dir: &Path, suffix: &str) -> PathBuf {
    dir.with_file_name(format!("{}.{suffix}", file_name(dir)))
}

fn file_name(dir: &Path) -> String {
    dir.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Drops a handle, or whatever holds one: sled panics on dropping if its last flush fails.
pub(crate) fn drop_quietly<T>(handle: T) {
    let dropped = guarded(|| {
        drop(handle);
        Ok(())
    });
    if let Err(Trouble::Handle { source, .. }) = dropped {
        tracing::debug!(error = %source, "closing a database failed");
    }
}

/// What the caller is told of a failed opening.
pub(crate) fn to_error(dir: &Path, trouble: Trouble) -> StoreError {
    let dir = dir.to_owned();
    match trouble {
        Trouble::Record(error) => error,
        Trouble::Retired => StoreError::Busy { dir },
        trouble if is_lock(&trouble) => StoreError::Busy { dir },
        Trouble::Handle { source, .. } => StoreError::Failed { dir, source },
    }
}

/// Whether the database is open elsewhere, which sled tells by words only.
fn is_lock(trouble: &Trouble) -> bool {
    matches!(trouble, Trouble::Handle { source, .. }
        if source.to_string().contains("could not acquire lock"))
}
