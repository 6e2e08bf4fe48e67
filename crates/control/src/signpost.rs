//! The way to a daemon that keeps its state elsewhere.
//!
//! A daemon with several roots keeps its state in the directory of the first one. Into the directory
//! that each other root would have it puts a signpost to its own, so that it is found from there as
//! well. One that a killed daemon left behind does no harm: whoever follows it asks whether a daemon
//! is there, and whether it watches that root.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, open};

/// Its name in a state directory.
const NAME: &str = "watched-by";

/// No path is longer.
const LONGEST: u64 = 4096;

/// Write permission of others than the owner.
const OTHERS_WRITE: u32 = 0o022;

/// A signpost that stands.
#[derive(Debug)]
pub struct Signpost {
    dir: PathBuf,
    target: PathBuf,
}

impl Signpost {
    /// Puts one into `dir`, made if it is missing, that points to the state directory `target`.
    pub fn put(dir: &Path, target: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        let new = dir.join(format!("{NAME}.new"));
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW;
        let mut file = File::from(open(
            &new,
            flags | OFlags::CLOEXEC,
            Mode::RUSR | Mode::WUSR,
        )?);
        file.write_all(target.as_os_str().as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, dir.join(NAME))?;
        Ok(Self {
            dir: dir.to_owned(),
            target: target.to_owned(),
        })
    }

    /// Where the one in `dir` points to; `None` if none stands there that can be believed: somebody
    /// else could have put it up, or could have put something in the place that it names.
    pub fn read(dir: &Path) -> Option<PathBuf> {
        let file = look_at(&dir.join(NAME))?;
        let found = file.metadata().ok()?;
        let target = path_in(file).filter(|_| found.is_file() && is_ours(&found))?;
        let there = target.symlink_metadata().ok()?;
        (target.is_absolute() && there.is_dir() && is_ours(&there)).then_some(target)
    }

    /// Takes it away, unless another daemon's is in its place, and the directory with it if there is
    /// nothing else in it.
    pub fn remove(self) {
        let Self { dir, target } = self;
        let path = dir.join(NAME);
        if look_at(&path).and_then(path_in) == Some(target) {
            // One that stays is stale, and counts for nothing.
            let _ = fs::remove_file(path).and_then(|()| fs::remove_dir(dir));
        }
    }
}

/// Opens one for reading; neither follows a link nor waits for the other end of a pipe.
fn look_at(path: &Path) -> Option<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    open(path, flags, Mode::empty()).ok().map(File::from)
}

fn path_in(file: File) -> Option<PathBuf> {
    let mut bytes = Vec::new();
    file.take(LONGEST).read_to_end(&mut bytes).ok()?;
    Some(PathBuf::from(std::ffi::OsString::from_vec(bytes)))
}

/// Whether it is this user's, and nobody else may write to it.
fn is_ours(found: &fs::Metadata) -> bool {
    found.uid() == rustix::process::geteuid().as_raw() && found.mode() & OTHERS_WRITE == 0
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn it_is_believed_only_if_nobody_else_can_have_put_it_up() {
        let world = tempfile::tempdir().unwrap();
        let (dir, target) = (world.path().join("a/dir"), world.path().join("target"));
        fs::create_dir(&target).unwrap();
        assert_eq!(Signpost::read(&dir), None);
        let signpost = Signpost::put(&dir, &target).unwrap();
        assert_eq!(Signpost::read(&dir).as_ref(), Some(&target));
        let path = dir.join(NAME);
        for changed in [&path, &target] {
            let mode = changed.metadata().unwrap().mode();
            set_mode(changed, 0o777);
            assert_eq!(Signpost::read(&dir), None, "{}", changed.display());
            set_mode(changed, mode);
        }
        assert_eq!(Signpost::read(&dir).as_ref(), Some(&target));
        signpost.remove();
        assert!(!dir.exists());
        for wrong in ["", "target", "/no/such/folder"] {
            Signpost::put(&dir, Path::new(wrong)).unwrap();
            assert_eq!(Signpost::read(&dir), None, "{wrong}");
        }
        let real = dir.join("real");
        fs::write(&real, target.as_os_str().as_bytes()).unwrap();
        set_mode(&real, 0o600);
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink(&real, &path).unwrap();
        assert_eq!(Signpost::read(&dir), None, "a link");
    }

    #[test]
    fn another_daemon_s_stays() {
        let world = tempfile::tempdir().unwrap();
        let dir = world.path().join("dir");
        let mine = Signpost::put(&dir, &world.path().join("one")).unwrap();
        let other = world.path().join("other");
        fs::create_dir(&other).unwrap();
        let theirs = Signpost::put(&dir, &other).unwrap();
        mine.remove();
        assert_eq!(Signpost::read(&dir), Some(other));
        fs::write(dir.join("version"), "").unwrap();
        theirs.remove();
        assert!(!dir.join(NAME).exists());
        assert!(dir.join("version").exists());
        let mine = Signpost::put(&dir, world.path()).unwrap();
        fs::rename(dir.join(NAME), dir.join("real")).unwrap();
        std::os::unix::fs::symlink(dir.join("real"), dir.join(NAME)).unwrap();
        mine.remove();
        assert!(dir.join(NAME).exists(), "a link is another's");
    }
}
