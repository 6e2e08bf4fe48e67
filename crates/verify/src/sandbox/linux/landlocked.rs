//! Landlock: a second wall where there are mounts of the run's own, the first where there are none.

use std::fs;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetError, RulesetStatus, Scope, path_beneath_rules,
};

use super::mounts::KEPT_IN_RUN;
use super::stages::Inner;

/// The rights this was written and tested for. The crate leaves out what the kernel does not know.
const ABI_KNOWN: ABI = ABI::V7;

/// Devices and special files a program may write to, where `/dev` is the host's.
const DEVICES: [&str; 8] = [
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
    "/dev/tty",
    "/dev/ptmx",
    "/dev/pts",
];

/// Restricts this process and all it starts.
pub(super) fn restrict(inner: &Inner) -> Result<(), String> {
    enforce(inner).map_err(|error| error.to_string())
}

fn enforce(inner: &Inner) -> Result<(), Box<dyn std::error::Error>> {
    let read = AccessFs::from_read(ABI_KNOWN);
    let device = AccessFs::WriteFile | AccessFs::ReadFile | AccessFs::IoctlDev;
    let all = AccessFs::from_all(ABI_KNOWN);
    let readable = if inner.namespaces {
        vec![PathBuf::from("/")]
    } else {
        let mut covered = inner.covered.clone();
        // Root's disks, and the sockets of other services.
        covered.extend(["/dev", "/run"].map(PathBuf::from));
        let mut readable = without(Path::new("/"), &covered);
        readable.extend(KEPT_IN_RUN.map(PathBuf::from));
        readable
    };
    let mut writable = inner.writable.clone();
    if inner.namespaces {
        writable.extend(["/tmp", "/dev/shm"].map(PathBuf::from));
    }
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(all)?
        .scope(Scope::from_all(ABI_KNOWN))?;
    if !inner.namespaces {
        ruleset = ruleset.handle_access(AccessNet::from_all(ABI_KNOWN))?;
    }
    let rules = |paths: Vec<PathBuf>, access: BitFlags<AccessFs>| {
        path_beneath_rules(paths, access).collect::<Vec<Result<_, RulesetError>>>()
    };
    let status = ruleset
        .create()?
        .add_rules(rules(readable, read))?
        .add_rules(rules(DEVICES.map(PathBuf::from).to_vec(), device))?
        .add_rules(rules(writable, all))?
        .restrict_self()?;
    if status.ruleset == RulesetStatus::NotEnforced {
        return Err("the kernel does not enforce Landlock".into());
    }
    Ok(())
}

/// Everything below `top` but `covered`: rules can only allow, so what is to be left out is walked around.
pub(super) fn without(top: &Path, covered: &[PathBuf]) -> Vec<PathBuf> {
    if covered.iter().any(|hidden| top.starts_with(hidden)) {
        return Vec::new();
    }
    if !covered.iter().any(|hidden| hidden.starts_with(top)) {
        return vec![top.to_owned()];
    }
    let Ok(entries) = fs::read_dir(top) else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| !kind.is_symlink()))
        .flat_map(|entry| without(&entry.path(), covered))
        .collect()
}
