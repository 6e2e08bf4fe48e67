//! Where projects begin and where their state is kept.

use std::io;
use std::path::{Path, PathBuf};

use testsmith_config::PROJECT_FILE;
use testsmith_domain::ContentHash;

/// What makes a folder a project's root, the surest sign first.
const ROOT_SIGNS: [&[&str]; 2] = [
    &[PROJECT_FILE, ".git"],
    &["go.mod", "pyproject.toml", "package.json", "setup.py"],
];

/// The project that `from` belongs to: the nearest folder upwards with a `testsmith.toml` or a
/// `.git`, else with a manifest, else `from` itself (for a file: its folder).
pub fn find_root(from: &Path) -> io::Result<PathBuf> {
    let from = from.canonicalize()?;
    let start = if from.is_dir() {
        from.as_path()
    } else {
        from.parent().unwrap_or(&from)
    };
    for signs in ROOT_SIGNS {
        let found = start
            .ancestors()
            .find(|dir| signs.iter().any(|sign| dir.join(sign).exists()));
        if let Some(root) = found {
            return Ok(root.to_owned());
        }
    }
    Ok(start.to_owned())
}

/// Whether a folder says of itself that it is a project's root. One that does not is a root for want of
/// a better one.
pub fn is_root(dir: &Path) -> bool {
    let mut signs = ROOT_SIGNS.iter().copied().flatten();
    signs.any(|sign| dir.join(sign).exists())
}

/// The state directory of the project at `root`, under the XDG state directory `state_home`: its
/// folder's name, to be found by people, and a digest of its path, to be unique.
pub fn state_dir(state_home: &Path, root: &Path) -> PathBuf {
    let name = root.file_name().unwrap_or_default().to_string_lossy();
    let name: String = name
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '-' {
                c
            } else {
                '_'
            }
        })
        .collect();
    let digest = ContentHash::of(root.as_os_str().as_encoded_bytes());
    state_home
        .join("testsmith")
        .join(format!("{name}-{}", digest.short()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_sure_sign_wins() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let deep = root.join("repo/module/pkg");
        std::fs::create_dir_all(&deep).unwrap();
        assert_eq!(find_root(&deep).unwrap(), deep);
        std::fs::write(root.join("repo/module/go.mod"), "module m").unwrap();
        assert_eq!(find_root(&deep).unwrap(), root.join("repo/module"));
        std::fs::create_dir(root.join("repo/.git")).unwrap();
        assert_eq!(find_root(&deep).unwrap(), root.join("repo"));
        let file = deep.join("a.go");
        std::fs::write(&file, "").unwrap();
        assert_eq!(find_root(&file).unwrap(), root.join("repo"));
    }

    #[test]
    fn two_projects_of_one_name_keep_apart() {
        let one = state_dir(Path::new("/s"), Path::new("/a/my shop"));
        let two = state_dir(Path::new("/s"), Path::new("/b/my shop"));
        assert_ne!(one, two);
        assert!(one.to_string_lossy().starts_with("/s/testsmith/my_shop-"));
    }
}
