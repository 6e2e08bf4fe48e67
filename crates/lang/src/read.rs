//! Reading the project's files: nothing that is named like a secret, nor through a link that leads
//! to such a file or, for what a prompt may show, out of the project.

use std::path::Path;

use testsmith_domain::{RelPath, is_secret_name};

/// Files larger than this are not read beside the one at hand: tables, not code.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// The text of a file whose contents a prompt may show.
pub(crate) fn shown(root: &Path, path: &RelPath) -> Option<String> {
    if path.names_secret() {
        return None;
    }
    let real = path.under(root).canonicalize().ok()?;
    let inside = RelPath::below(&root.canonicalize().ok()?, &real).ok()?;
    let fits = real
        .metadata()
        .is_ok_and(|meta| meta.is_file() && meta.len() <= MAX_FILE_BYTES);
    if !fits || inside.names_secret() {
        return None;
    }
    std::fs::read_to_string(real).ok()
}

/// The text of a file of settings.
pub(crate) fn settings(path: &Path) -> Option<String> {
    let real = path.canonicalize().ok()?;
    let is_secret = |path: &Path| {
        let name = path.file_name().unwrap_or_default();
        is_secret_name(&name.to_string_lossy())
    };
    if is_secret(path) || is_secret(&real) {
        return None;
    }
    std::fs::read_to_string(real).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn secrets_and_what_lies_outside_are_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("project");
        std::fs::create_dir(&root).unwrap();
        std::fs::write(dir.path().join("outside.py"), "KEY = 1\n").unwrap();
        std::fs::write(root.join(".env"), "KEY=1\n").unwrap();
        std::fs::write(root.join("id_rsa"), "KEY\n").unwrap();
        std::fs::write(root.join("id_map.py"), "x = 1\n").unwrap();
        symlink(root.join(".env"), root.join("env.py")).unwrap();
        symlink("../outside.py", root.join("out.py")).unwrap();
        symlink("id_map.py", root.join("link.py")).unwrap();
        let shown = |name: &str| shown(&root, &RelPath::new(name).unwrap());
        for name in [".env", "id_rsa", "env.py", "out.py", "none.py"] {
            assert_eq!(shown(name), None, "{name}");
        }
        for name in ["id_map.py", "link.py"] {
            assert_eq!(shown(name).as_deref(), Some("x = 1\n"), "{name}");
        }
        for name in [".env", "id_rsa", "env.py"] {
            assert_eq!(settings(&root.join(name)), None, "{name}");
        }
        assert!(settings(&root.join("id_map.py")).is_some());
    }
}
