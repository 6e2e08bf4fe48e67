//! Whether the state directory can be used, or made.

use std::fs::Metadata;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rustix::fs::{Access, access};

use super::Check;

const NAME: &str = "state";

/// The folder, and the room that is left where it is.
pub(super) fn state(state_dir: &Path) -> Vec<Check> {
    let mut checks = vec![folder(state_dir)];
    checks.extend(
        testsmith_daemon::free_space(state_dir).map(|(bytes, is_low)| {
            let free = format!("{} MiB free", bytes >> 20);
            if is_low {
                Check::warning("disk", free, "make room: the cache keeps no more answers")
            } else {
                Check::ok("disk", free)
            }
        }),
    );
    checks
}

fn folder(state_dir: &Path) -> Check {
    match state_dir.metadata() {
        Ok(found) => existing(state_dir, &found),
        Err(_) => to_be_made(state_dir),
    }
}

fn existing(state_dir: &Path, found: &Metadata) -> Check {
    let shown = state_dir.display();
    let mode = found.permissions().mode() & 0o777;
    if !found.is_dir() {
        return in_the_way(state_dir, state_dir);
    }
    if access(
        state_dir,
        Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK,
    )
    .is_err()
    {
        return Check::failure(
            NAME,
            format!("{shown} cannot be read and written"),
            format!("chown it to yourself, or name another --state-dir than {shown}"),
        );
    }
    if let Err(error) = testsmith_daemon::check_state_version(state_dir) {
        let remedy = "update testsmith, or name another --state-dir";
        return Check::failure(NAME, error.to_string(), remedy);
    }
    if mode & 0o077 != 0 {
        return Check::warning(
            NAME,
            format!("others can look into {shown} (mode {mode:03o})"),
            format!("chmod 700 {shown}"),
        );
    }
    Check::ok(NAME, shown.to_string())
}

/// The nearest thing upwards that is there has to be a folder in which others can be made.
fn to_be_made(state_dir: &Path) -> Check {
    for above in state_dir.ancestors() {
        match above.metadata() {
            Ok(found) if !found.is_dir() => return in_the_way(state_dir, above),
            Ok(_) => {
                return match access(above, Access::WRITE_OK | Access::EXEC_OK) {
                    Ok(()) => Check::ok(
                        NAME,
                        format!("{}: made at the first start", state_dir.display()),
                    ),
                    Err(error) => cannot_be_made(state_dir, above, &error.into()),
                };
            }
            // A link that leads nowhere is there all the same.
            Err(_) if above.is_symlink() => return in_the_way(state_dir, above),
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
            Err(error) => return cannot_be_made(state_dir, above, &error),
        }
    }
    Check::ok(
        NAME,
        format!("{}: made at the first start", state_dir.display()),
    )
}

fn in_the_way(state_dir: &Path, what: &Path) -> Check {
    Check::failure(
        NAME,
        format!(
            "{} cannot be made: {} is no folder",
            state_dir.display(),
            what.display()
        ),
        format!("move {} away, or name another --state-dir", what.display()),
    )
}

fn cannot_be_made(state_dir: &Path, above: &Path, error: &std::io::Error) -> Check {
    Check::failure(
        NAME,
        format!(
            "{} cannot be made, because of {}: {error}",
            state_dir.display(),
            above.display()
        ),
        format!(
            "see that you may write to {}, or name another --state-dir",
            above.display()
        ),
    )
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::State;
    use super::*;

    #[test]
    fn what_is_not_there_is_ok_only_if_it_can_be_made() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        assert_eq!(folder(&dir.join("a/b/c")).state, State::Ok);
        fs::write(dir.join("file"), "").unwrap();
        std::os::unix::fs::symlink("nowhere", dir.join("link")).unwrap();
        for (path, cause) in [
            ("file", "file"),
            ("file/below/it", "file"),
            ("link", "link"),
            ("link/below", "link"),
        ] {
            let check = folder(&dir.join(path));
            assert_eq!(check.state, State::Failure, "{path}");
            let cause = format!("{} is no folder", dir.join(cause).display());
            assert!(check.message.ends_with(&cause), "{}", check.message);
            assert!(check.remedy.is_some(), "{path}");
        }
        assert!(!dir.join("a").exists(), "a question leaves nothing behind");
    }
}
