//! Where the socket is, whatever the length of its path.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, open};

/// The socket's name in the state directory.
pub const SOCKET: &str = "control.sock";

/// The longest path that fits a socket's address, `sun_path` without its final zero.
const LONGEST: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

/// A path to the socket that fits an address, for as long as this lives.
#[derive(Debug)]
pub(crate) struct Address {
    path: PathBuf,
    _dir: Option<OwnedFd>,
}

impl Address {
    /// The socket in `state_dir`. If its path is too long, it is named through a descriptor of the
    /// directory, which only Linux can do.
    pub(crate) fn of(state_dir: &Path) -> io::Result<Self> {
        let path = state_dir.join(SOCKET);
        if path.as_os_str().len() <= LONGEST {
            return Ok(Self { path, _dir: None });
        }
        if !cfg!(target_os = "linux") {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!(
                    "the path of `{}` is longer than {LONGEST} bytes; name a shorter --state-dir",
                    path.display()
                ),
            ));
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = open(state_dir, flags, Mode::empty())?;
        let path = Path::new("/proc/self/fd")
            .join(dir.as_raw_fd().to_string())
            .join(SOCKET);
        Ok(Self {
            path,
            _dir: Some(dir),
        })
    }

    /// The path to bind or connect to.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// Whether a state directory is there at all. Of one that cannot be looked into nobody knows.
pub(crate) fn is_dir(state_dir: &Path) -> io::Result<bool> {
    match File::open(state_dir).and_then(|dir| dir.metadata()) {
        Ok(found) => Ok(found.is_dir()),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}
