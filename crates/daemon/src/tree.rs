//! Writing into the user's tree: whole or not at all, and never over what nobody has read.
//!
//! A file is replaced by exchanging it with a finished neighbour in one step and looking at what
//! came out: if that is not what was read before, somebody saved in between, and it is put back.
//! There is no moment at which a reader sees half a file, and none at which a save is lost.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use testsmith_domain::RelPath;

/// How often a displaced save is exchanged for a newer one.
const PUT_BACK_ATTEMPTS: u32 = 8;

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
    let changed = match (expected, new) {
        (None, None) => target.exists(),
        (None, Some(new)) => !create(dir, &target, new).map_err(fail)?,
        (Some(old), Some(new)) => !exchange(dir, &target, old, new).map_err(fail)?,
        (Some(old), None) => !remove(dir, &target, old).map_err(fail)?,
    };
    if changed {
        return Err(WriteError::Changed(path.clone()));
    }
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(fail)
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
fn create(dir: &Path, target: &Path, new: &[u8]) -> io::Result<bool> {
    let temporary = Temporary::write(dir, new, None)?;
    match renameat_with(CWD, &temporary.path, CWD, target, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(true),
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
fn exchange(dir: &Path, target: &Path, old: &[u8], new: &[u8]) -> io::Result<bool> {
    let Some(meta) = holds(target, old)? else {
        return Ok(false);
    };
    let mut temporary = Temporary::write(dir, new, Some(&meta))?;
    match renameat_with(CWD, &temporary.path, CWD, target, RenameFlags::EXCHANGE) {
        Ok(()) => {}
        Err(Errno::NOENT) => return Ok(false),
        Err(Errno::INVAL | Errno::NOSYS) => return replace_aside(dir, target, old, &temporary),
        Err(error) => return Err(error.into()),
    }
    // What is in the temporary now may be somebody's save: from here on it is only deleted once
    // it is known to be `old` or `new`.
    temporary.owned = false;
    if holds(&temporary.path, old)?.is_some() {
        temporary.owned = true;
        return Ok(true);
    }
    put_back(temporary, target, new)?;
    Ok(false)
}

/// Puts a save that was displaced by `new` back into its place. If by now there is a still newer
/// one, that stays, and the older is what an editor would have overwritten too.
fn put_back(mut displaced: Temporary, target: &Path, new: &[u8]) -> io::Result<()> {
    for _ in 0..PUT_BACK_ATTEMPTS {
        match renameat_with(CWD, &displaced.path, CWD, target, RenameFlags::EXCHANGE) {
            Ok(()) if holds(&displaced.path, new)?.is_some() => {
                displaced.owned = true;
                return Ok(());
            }
            // What came out is a save that was made after ours went in: it belongs in there.
            Ok(()) => {}
            // Renamed away meanwhile, as some editors save.
            Err(Errno::NOENT) => {
                if renameat_with(CWD, &displaced.path, CWD, target, RenameFlags::NOREPLACE).is_ok()
                {
                    return Ok(());
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
    displaced.rescue(target)
}

/// Replaces the file on a file system that cannot exchange: the old one is put aside, and a hard
/// link, which does not replace either, puts the new one in. For that moment there is no file.
fn replace_aside(dir: &Path, target: &Path, old: &[u8], new: &Temporary) -> io::Result<bool> {
    let Some(aside) = put_aside(dir, target, old)? else {
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
fn remove(dir: &Path, target: &Path, old: &[u8]) -> io::Result<bool> {
    Ok(put_aside(dir, target, old)?.is_some())
}

/// Renames the file away, and back again if it turns out not to be as expected.
fn put_aside(dir: &Path, target: &Path, old: &[u8]) -> io::Result<Option<Temporary>> {
    if holds(target, old)?.is_none() {
        return Ok(None);
    }
    let mut aside = Temporary {
        path: temporary_name(dir),
        owned: false,
    };
    fs::rename(target, &aside.path)?;
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
    fn write(dir: &Path, bytes: &[u8], like: Option<&fs::Metadata>) -> io::Result<Self> {
        let path = temporary_name(dir);
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path)?;
        let temporary = Self { path, owned: true };
        file.write_all(bytes)?;
        if let Some(meta) = like {
            file.set_permissions(meta.permissions())?;
        }
        file.sync_all()?;
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn setup() -> (tempfile::TempDir, PathBuf, RelPath) {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        fs::write(root.join("t.go"), "package t\n").unwrap();
        (dir, root, RelPath::new("a/b/t_test.go").unwrap())
    }

    #[test]
    fn nothing_is_written_where_a_disk_was_mounted() {
        let (_dir, root, path) = setup();
        fs::remove_file(root.join("t.go")).unwrap();
        let result = replace(&root, &path, None, Some(b"one"));
        assert!(matches!(result, Err(WriteError::Io { .. })));
        assert_eq!(fs::read_dir(&root).unwrap().count(), 0);
    }

    fn only_file(root: &Path, path: &RelPath) -> bool {
        let dir = path.under(root);
        fs::read_dir(dir.parent().unwrap()).unwrap().count() == usize::from(dir.exists())
    }

    #[test]
    fn a_file_is_made_changed_and_removed_and_nothing_else_is_left() {
        let (_dir, root, path) = setup();
        replace(&root, &path, None, Some(b"one")).unwrap();
        assert_eq!(
            read(&root, &path).unwrap().as_deref(),
            Some(b"one".as_slice())
        );
        fs::set_permissions(path.under(&root), fs::Permissions::from_mode(0o640)).unwrap();
        replace(&root, &path, Some(b"one"), Some(b"two")).unwrap();
        let mode = path.under(&root).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640, "the mode is kept");
        assert!(only_file(&root, &path));
        replace(&root, &path, Some(b"two"), None).unwrap();
        assert_eq!(read(&root, &path).unwrap(), None);
        assert!(only_file(&root, &path));
    }

    #[test]
    fn a_file_changed_meanwhile_is_left_alone() {
        let (_dir, root, path) = setup();
        let changed = |result| assert!(matches!(result, Err(WriteError::Changed(_))));
        replace(&root, &path, None, Some(b"mine")).unwrap();
        changed(replace(&root, &path, None, Some(b"new")));
        changed(replace(&root, &path, Some(b"other"), Some(b"new")));
        changed(replace(&root, &path, Some(b"other"), None));
        changed(replace(&root, &path, None, None));
        assert_eq!(
            read(&root, &path).unwrap().as_deref(),
            Some(b"mine".as_slice())
        );
        assert!(only_file(&root, &path));
        let gone = RelPath::new("a/b/gone_test.go").unwrap();
        changed(replace(&root, &gone, Some(b"was"), Some(b"new")));
    }

    #[test]
    fn nothing_is_written_through_links() {
        let (_dir, root, _) = setup();
        let outside = tempfile::tempdir().unwrap();
        symlink(outside.path(), root.join("out")).unwrap();
        let path = RelPath::new("out/t.go").unwrap();
        let result = replace(&root, &path, None, Some(b"x"));
        assert!(matches!(result, Err(WriteError::Outside(_))));
        fs::write(outside.path().join("real"), "keep").unwrap();
        symlink(outside.path().join("real"), root.join("t.go")).unwrap();
        let path = RelPath::new("t.go").unwrap();
        let result = replace(&root, &path, Some(b"keep"), Some(b"x"));
        assert!(matches!(result, Err(WriteError::Outside(_))));
        assert_eq!(fs::read(outside.path().join("real")).unwrap(), b"keep");
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
    }

    #[test]
    fn readers_never_see_half_a_file_and_no_save_is_lost() {
        let (_dir, root, path) = setup();
        let long = |c: u8| vec![c; 200_000];
        replace(&root, &path, None, Some(&long(b'a'))).unwrap();
        let target = path.under(&root);
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                let mut now = long(b'a');
                for round in 0..60_u8 {
                    let next = long(b'a' + round % 20);
                    replace(&root, &path, Some(&now), Some(&next)).unwrap();
                    now = next;
                }
            });
            while !writer.is_finished() {
                let seen = fs::read(&target).unwrap();
                assert_eq!(seen.len(), 200_000);
                assert!(seen.iter().all(|byte| *byte == seen[0]));
            }
        });
    }
}
