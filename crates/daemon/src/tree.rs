//! Writing into the user's tree: whole or not at all, and never over what nobody has read.
//!
//! A file is replaced by exchanging it with a finished neighbour in one step and looking at what
//! came out: if that is not what was read before, somebody saved in between, and it is put back.
//! There is no moment at which a reader sees half a file, and none at which a save is lost. Should
//! the process die in between, the next start goes on from the note in the [`WriteLog`].

mod writes;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use testsmith_crash::point;
use testsmith_domain::{ContentHash, RelPath};

use writes::Note;
pub(crate) use writes::{Unsettled, WriteLog};

/// How often a displaced save is exchanged for a newer one.
const PUT_BACK_ATTEMPTS: u32 = 8;

/// How long an editor that saves in place may take from cutting the file off to having written it.
const IN_PLACE: Duration = Duration::from_millis(if cfg!(test) { 5 } else { 250 });

/// Why a file of the tree was not written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    /// The file is not as it was when it was read.
    #[error("`{0}` was changed by somebody else in the meantime")]
    Changed(RelPath),
    /// The file, or a folder on the way to it, is a link that leads out of the project.
    #[error("`{0}` leads out of the project through a link; testsmith does not write there")]
    Outside(RelPath),
    /// The file system refused.
    #[error("cannot write `{path}`")]
    Io {
        /// The file.
        path: RelPath,
        /// Why.
        source: io::Error,
    },
}

/// Brings the file from `expected` to `new` (`None`: no file), if it still is as expected.
///
/// Keeps the mode. The write is on disk when this returns. Blocks.
pub(crate) fn replace(
    log: &WriteLog,
    root: &Path,
    path: &RelPath,
    expected: Option<&[u8]>,
    new: Option<&[u8]>,
) -> Result<(), WriteError> {
    let fail = |source| WriteError::Io {
        path: path.clone(),
        source,
    };
    let target = path.under(root);
    refuse_links(root, path, &target)?;
    let dir = target.parent().unwrap_or(root);
    if new.is_some() {
        if expected.is_none() {
            refuse_empty(root).map_err(fail)?;
        }
        fs::create_dir_all(dir).map_err(fail)?;
    }
    if expected.is_none() && new.is_none() {
        return if target.exists() {
            Err(WriteError::Changed(path.clone()))
        } else {
            Ok(())
        };
    }
    let temporary = temporary_name(dir);
    let note = Note {
        root: root.into(),
        path: path.clone(),
        temporary: file_name(&temporary),
        old: expected.map(ContentHash::of),
        new: new.map(ContentHash::of),
    };
    let noted = log.begin(&note).map_err(fail)?;
    let done = match (expected, new) {
        (None, Some(new)) => create(temporary, &target, new),
        (Some(old), Some(new)) => exchange(temporary, &target, old, new),
        (Some(old), None) => remove(temporary, &target, old),
        (None, None) => Ok(true),
    };
    drop(noted);
    if !done.map_err(fail)? {
        return Err(WriteError::Changed(path.clone()));
    }
    File::open(dir)
        .and_then(|dir| dir.sync_all())
        .map_err(fail)?;
    point("tree.done");
    Ok(())
}

/// What the file holds; `None` if there is none.
pub(crate) fn read(root: &Path, path: &RelPath) -> Result<Option<Vec<u8>>, WriteError> {
    let target = path.under(root);
    refuse_links(root, path, &target)?;
    match fs::read(&target) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(WriteError::Io {
            path: path.clone(),
            source,
        }),
    }
}

/// A test's source is in the project: where nothing is, a disk was mounted, and nothing is written
/// below it.
fn refuse_empty(root: &Path) -> io::Result<()> {
    if fs::read_dir(root)?.next().is_none() {
        let message = "the project's folder is empty: is its disk away?";
        return Err(io::Error::new(io::ErrorKind::NotFound, message));
    }
    Ok(())
}

/// The file itself must be no link, and its nearest existing folder must lie in the project.
fn refuse_links(root: &Path, path: &RelPath, target: &Path) -> Result<(), WriteError> {
    if target
        .symlink_metadata()
        .is_ok_and(|meta| meta.is_symlink())
    {
        return Err(WriteError::Outside(path.clone()));
    }
    let real = target
        .ancestors()
        .skip(1)
        .find_map(|dir| dir.canonicalize().ok());
    match real {
        Some(real) if real.starts_with(root) => Ok(()),
        _ => Err(WriteError::Outside(path.clone())),
    }
}

/// Puts a new file where there is none. `false` if there is one by now.
fn create(temporary: PathBuf, target: &Path, new: &[u8]) -> io::Result<bool> {
    let temporary = Temporary::write(temporary, new, None)?;
    match renameat_with(CWD, &temporary.path, CWD, target, RenameFlags::NOREPLACE) {
        Ok(()) => {
            point("tree.created");
            Ok(true)
        }
        Err(Errno::EXIST) => Ok(false),
        // A file system without this flag: a hard link also refuses to replace.
        Err(Errno::INVAL | Errno::NOSYS) => match fs::hard_link(&temporary.path, target) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
        },
        Err(error) => Err(error.into()),
    }
}

/// Exchanges the file with its new text. `false` if it was not as expected.
fn exchange(path: PathBuf, target: &Path, old: &[u8], new: &[u8]) -> io::Result<bool> {
    let Some(meta) = holds(target, old)? else {
        return Ok(false);
    };
    let mut temporary = Temporary::write(path, new, Some(&meta))?;
    match renameat_with(CWD, &temporary.path, CWD, target, RenameFlags::EXCHANGE) {
        Ok(()) => {}
        Err(Errno::NOENT) => return Ok(false),
        Err(Errno::INVAL | Errno::NOSYS) => return replace_aside(target, old, temporary),
        Err(error) => return Err(error.into()),
    }
    // What is in the temporary now may be somebody's save: from here on it is only deleted once
    // it is known to be `old` or `new`.
    temporary.owned = false;
    point("tree.exchanged");
    let_writers_end(&temporary.path);
    if holds(&temporary.path, old)?.is_some() {
        temporary.owned = true;
        return Ok(true);
    }
    put_back(temporary, target, |bytes| bytes == new)?;
    Ok(false)
}

/// Puts a save that was displaced by what `is_new` knows back into its place. If by now there is a
/// still newer one, that stays, and the older is kept under another name: `false` then.
fn put_back(
    mut displaced: Temporary,
    target: &Path,
    is_new: impl Fn(&[u8]) -> bool,
) -> io::Result<bool> {
    for _ in 0..PUT_BACK_ATTEMPTS {
        match renameat_with(CWD, &displaced.path, CWD, target, RenameFlags::EXCHANGE) {
            Ok(()) if is_new(&fs::read(&displaced.path)?) => {
                displaced.owned = true;
                return Ok(true);
            }
            // What came out is a save that was made after ours went in: it belongs in there.
            Ok(()) => {}
            // Renamed away meanwhile, as some editors save.
            Err(Errno::NOENT) => {
                if renameat_with(CWD, &displaced.path, CWD, target, RenameFlags::NOREPLACE).is_ok()
                {
                    return Ok(true);
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
    displaced.rescue(target)?;
    Ok(false)
}

/// Replaces the file on a file system that cannot exchange: the old one is put aside, and a hard
/// link, which does not replace either, puts the new one in. For that moment there is no file.
///
/// The name of the temporary is that of the old one now, and the new one waits under another: should
/// the process die, the note leads to what must not be lost.
fn replace_aside(target: &Path, old: &[u8], mut new: Temporary) -> io::Result<bool> {
    let name = new.path.clone();
    fs::rename(&name, part_of(&name))?;
    new.path = part_of(&name);
    let Some(aside) = put_aside(name, target, old)? else {
        return Ok(false);
    };
    match fs::hard_link(&new.path, target) {
        Ok(()) => Ok(true),
        Err(error) => {
            // Somebody has saved in this moment, and theirs stays; else the old one comes back.
            let back = fs::hard_link(&aside.path, target);
            if error.kind() == io::ErrorKind::AlreadyExists {
                return Ok(false);
            }
            if back.is_err() {
                aside.rescue(target)?;
            }
            Err(error)
        }
    }
}

/// Removes the file. `false` if it was not as expected.
fn remove(temporary: PathBuf, target: &Path, old: &[u8]) -> io::Result<bool> {
    Ok(put_aside(temporary, target, old)?.is_some())
}

/// Renames the file away, and back again if it turns out not to be as expected.
fn put_aside(path: PathBuf, target: &Path, old: &[u8]) -> io::Result<Option<Temporary>> {
    if holds(target, old)?.is_none() {
        return Ok(None);
    }
    let mut aside = Temporary::found(path);
    fs::rename(target, &aside.path)?;
    point("tree.aside");
    let_writers_end(&aside.path);
    if holds(&aside.path, old)?.is_some() {
        aside.owned = true;
        return Ok(Some(aside));
    }
    // A hard link does not replace: if yet another file has appeared, both are the user's.
    match fs::hard_link(&aside.path, target) {
        Ok(()) => aside.owned = true,
        Err(_) => aside.rescue(target)?,
    }
    Ok(None)
}

/// Waits if a displaced file was saved just now. An editor that saves in place cuts the file off and
/// then writes; if it has done the first only, its text is still to come, and goes into the file that
/// it has open: this one, wherever it was moved.
fn let_writers_end(displaced: &Path) {
    let saved = displaced.metadata().and_then(|meta| meta.modified());
    let ago = saved.map(|saved| SystemTime::now().duration_since(saved).unwrap_or_default());
    let wait = IN_PLACE.saturating_sub(ago.unwrap_or(IN_PLACE));
    if !wait.is_zero() {
        std::thread::park_timeout(wait);
    }
}

/// The file's metadata, if it holds exactly `bytes`.
fn holds(path: &Path, bytes: &[u8]) -> io::Result<Option<fs::Metadata>> {
    match fs::read(path) {
        Ok(found) if found == bytes => path.metadata().map(Some),
        Ok(_) => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// A file beside the target. Deleted when this is dropped, as long as what is in it is ours.
struct Temporary {
    path: PathBuf,
    owned: bool,
}

impl Temporary {
    /// A file that holds what is not known yet.
    fn found(path: PathBuf) -> Self {
        Self { path, owned: false }
    }

    /// Writes it under a name that says that it is not whole, then gives it its own.
    fn write(path: PathBuf, bytes: &[u8], like: Option<&fs::Metadata>) -> io::Result<Self> {
        let part = part_of(&path);
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&part)?;
        let mut temporary = Self {
            path: part,
            owned: true,
        };
        let (begin, rest) = bytes.split_at(bytes.len() / 2);
        file.write_all(begin)?;
        point("tree.part");
        file.write_all(rest)?;
        if let Some(meta) = like {
            file.set_permissions(meta.permissions())?;
        }
        file.sync_all()?;
        fs::rename(&temporary.path, &path)?;
        temporary.path = path;
        point("tree.whole");
        Ok(temporary)
    }

    /// Keeps a save of the user's that has no place any more, under a name that can be found.
    fn rescue(mut self, target: &Path) -> io::Result<()> {
        self.owned = false;
        let mut name = target.as_os_str().to_owned();
        // The temporary's name is unique, so nothing rescued before is replaced.
        name.push(self.path.file_name().unwrap_or_default());
        tracing::warn!(
            kept = %Path::new(&name).display(),
            "two saves came while tests were written; the older one is kept under this name"
        );
        fs::rename(&self.path, &name)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if self.owned {
            // After a rename there is nothing left under this name.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// A name no source file has, so that neither compilers nor the watcher take it up.
fn temporary_name(dir: &Path) -> PathBuf {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    dir.join(format!(".testsmith-{}-{number}.tmp", std::process::id()))
}

/// The temporary's name while it is not whole: whatever is found under it is ours.
fn part_of(temporary: &Path) -> PathBuf {
    let mut name = temporary.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests;
