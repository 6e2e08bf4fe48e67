//! Which Python a project uses.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use testsmith_domain::RunUnavailable;

use crate::runner::{find_program, identity, is_program};

/// A Python to run tests with.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) python: PathBuf,
    /// Tells it, and what is installed for it, from another.
    pub(super) identity: String,
}

/// The environment of the project: `.venv` or `venv` in the subproject or the root (uv's and pdm's
/// place as well), pdm's choice, poetry's or hatch's store; else the `python3` on the search path.
pub(super) fn find(root: &Path, dir: &Path, search_path: &OsStr) -> Result<Found, RunUnavailable> {
    let dirs: Vec<&Path> = if dir == root {
        vec![root]
    } else {
        vec![dir, root]
    };
    let near = dirs
        .iter()
        .flat_map(|dir| [".venv", "venv"].map(|name| dir.join(name).join("bin/python")));
    let elsewhere = dirs
        .iter()
        .flat_map(|dir| [pdm(dir), poetry(dir), hatch(dir)])
        .flatten();
    let python = near
        .chain(elsewhere)
        .find(|python| is_program(python))
        .or_else(|| on_path(&dirs, search_path))
        .ok_or_else(|| RunUnavailable("`python3` is not installed".to_owned()))?;
    let identity = format!("{} {}", identity(&python), packages(&python));
    Ok(Found { python, identity })
}

/// `python3` on the search path. pyenv's stand-ins need its own set-up to work, so what they stand
/// for is taken.
fn on_path(dirs: &[&Path], search_path: &OsStr) -> Option<PathBuf> {
    std::env::split_paths(search_path).find_map(|folder| {
        if folder.file_name() == Some(OsStr::new("shims")) {
            return pyenv(dirs, folder.parent()?);
        }
        find_program(folder.as_os_str(), "python3")
    })
}

/// The version that the project names in `.python-version`, else the one for all.
fn pyenv(dirs: &[&Path], home: &Path) -> Option<PathBuf> {
    let local = dirs.iter().map(|dir| dir.join(".python-version"));
    let text = local
        .chain([home.join("version")])
        .find_map(|path| fs::read_to_string(path).ok())?;
    let version = text.split_whitespace().next()?;
    let python = home.join("versions").join(version).join("bin/python3");
    is_program(&python).then_some(python)
}

/// The folder of an environment's packages changes when one is installed or removed.
fn packages(python: &Path) -> String {
    let lib = python
        .parent()
        .and_then(Path::parent)
        .map(|env| env.join("lib"));
    let dirs = lib
        .and_then(|lib| fs::read_dir(lib).ok())
        .into_iter()
        .flatten();
    dirs.flatten()
        .map(|entry| entry.path().join("site-packages"))
        .find(|path| path.is_dir())
        .map(|path| identity(&path))
        .unwrap_or_default()
}

/// The interpreter that `pdm use` chose.
fn pdm(dir: &Path) -> Option<PathBuf> {
    let text = fs::read_to_string(dir.join(".pdm-python")).ok()?;
    let path = PathBuf::from(text.trim());
    path.is_absolute().then_some(path)
}

/// Poetry's: `~/.cache/pypoetry/virtualenvs/NAME-HASH-pyVERSION`, the hash being that of the
/// project's folder.
fn poetry(dir: &Path) -> Option<PathBuf> {
    let text = fs::read_to_string(dir.join("pyproject.toml")).ok()?;
    if !text.contains("poetry") {
        return None;
    }
    let store = home(".cache")?.join("pypoetry/virtualenvs");
    let infix = format!("-{}-py", folder_hash(dir));
    let mut found: Vec<PathBuf> = fs::read_dir(store)
        .ok()?
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().contains(&infix))
        .map(|entry| entry.path().join("bin/python"))
        .collect();
    found.sort();
    found.pop()
}

/// Hatch's: `~/.local/share/hatch/env/virtual/NAME/HASH/NAME` for the default environment.
fn hatch(dir: &Path) -> Option<PathBuf> {
    let store = home(".local/share")?.join("hatch/env/virtual");
    let hash = folder_hash(dir);
    let projects = fs::read_dir(store).ok()?.flatten();
    projects
        .map(|entry| {
            entry
                .path()
                .join(&hash)
                .join(entry.file_name())
                .join("bin/python")
        })
        .find(|python| is_program(python))
}

fn home(below: &str) -> Option<PathBuf> {
    std::env::var_os("HOME").map(|home| Path::new(&home).join(below))
}

/// The first 8 characters of the folder's SHA-256 in URL-safe base64: both tools tell projects
/// apart by these.
fn folder_hash(dir: &Path) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let real = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    let digest = Sha256::digest(real.as_os_str().as_encoded_bytes());
    let mut out = String::new();
    for three in digest.chunks(3).take(2) {
        let bits = three
            .iter()
            .fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        for shift in [18, 12, 6, 0] {
            let letter = LETTERS.get((bits >> shift & 63) as usize);
            out.push(char::from(letter.copied().unwrap_or(b'A')));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_hash_as_poetry_and_hatch_do() {
        // python3 -c 'import base64, hashlib; print(base64.urlsafe_b64encode(hashlib.sha256(b"/nowhere/at/all").digest())[:8])'
        assert_eq!(folder_hash(Path::new("/nowhere/at/all")), "olpphHLo");
    }

    #[test]
    fn an_environment_in_the_project_comes_first() {
        let dir = tempfile::tempdir().unwrap();
        let bin = dir.path().join("venv/bin");
        fs::create_dir_all(&bin).unwrap();
        std::os::unix::fs::symlink("/bin/sh", bin.join("python")).unwrap();
        let found = find(dir.path(), dir.path(), OsStr::new("")).unwrap();
        assert_eq!(found.python, bin.join("python"));
        fs::remove_dir_all(dir.path().join("venv")).unwrap();
        assert!(find(dir.path(), dir.path(), OsStr::new("")).is_err());
    }
}
