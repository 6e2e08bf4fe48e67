//! Places a candidate has no business in.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use testsmith_domain::{is_secret_folder, is_secret_name};

/// Below the home directory: keys, tokens, sessions and histories.
const IN_HOME: [&str; 54] = [
    ".ssh",
    ".aws",
    ".azure",
    ".config",
    ".gnupg",
    ".kube",
    ".docker",
    ".netrc",
    "_netrc",
    ".git-credentials",
    ".npmrc",
    ".yarnrc.yml",
    ".pypirc",
    ".pgpass",
    ".my.cnf",
    ".mylogin.cnf",
    ".boto",
    ".s3cfg",
    ".oci",
    ".databrickscfg",
    ".vault-token",
    ".terraform.d",
    ".password-store",
    ".pki",
    ".putty",
    ".claude",
    ".claude.json",
    ".codex",
    ".gemini",
    ".env",
    ".cargo/credentials",
    ".cargo/credentials.toml",
    ".gem/credentials",
    ".m2/settings.xml",
    ".gradle/gradle.properties",
    ".composer/auth.json",
    ".mozilla",
    ".thunderbird",
    ".cache/mozilla",
    ".cache/thunderbird",
    ".cache/google-chrome",
    ".cache/chromium",
    ".local/share/keyrings",
    ".local/share/kwalletd",
    ".local/share/gnome-keyring",
    ".local/share/python_keyring",
    ".huggingface",
    ".cache/huggingface",
    ".var/app",
    "snap",
    ".bash_history",
    ".zsh_history",
    ".python_history",
    ".node_repl_history",
];

/// Of the system. A service that runs as root could read all of these.
const OF_THE_SYSTEM: [&str; 7] = [
    "/etc/shadow",
    "/etc/shadow-",
    "/etc/gshadow",
    "/etc/gshadow-",
    "/etc/ssh",
    "/etc/sudoers",
    "/etc/ssl/private",
];

/// The existing ones among the home directories' secrets, the system's, and `more`, as canonical paths.
pub(super) fn hidden(homes: &[PathBuf], more: &[PathBuf]) -> Vec<PathBuf> {
    let in_homes = homes
        .iter()
        .flat_map(|home| IN_HOME.iter().map(move |name| home.join(name)));
    let of_the_system = OF_THE_SYSTEM.iter().map(PathBuf::from);
    let mut found: Vec<PathBuf> = in_homes
        .chain(of_the_system)
        .chain(more.iter().cloned())
        .filter_map(|path| path.canonicalize().ok())
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// Folders of installed packages and of version control, in which nothing is the user's own secret: the certificates that
/// come with a package are public, and needed.
const OF_OTHERS: [&str; 7] = [
    "node_modules",
    "site-packages",
    "dist-packages",
    "__pycache__",
    ".git",
    ".hg",
    ".jj",
];

/// Files of the project that are named like secrets, and of the folders above it, where tools look for an `.env` as
/// well. Links among them stand for what they lead to. Not those for whose path below `root` `is_shown` says so.
pub(crate) fn named_like_secrets(root: &Path, is_shown: impl Fn(&Path) -> bool) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for above in root.ancestors().skip(1) {
        secrets_in(above, &mut found, |_, _| {});
    }
    let mut open = vec![root.to_owned()];
    while let Some(folder) = open.pop() {
        secrets_in(&folder, &mut found, |path, name| {
            if !OF_OTHERS.iter().any(|other| name == OsStr::new(other)) {
                open.push(path);
            }
        });
    }
    found.retain(|path| !path.strip_prefix(root).is_ok_and(&is_shown));
    found
}

/// Adds what in one folder is named like a secret; hands on its other folders.
fn secrets_in(folder: &Path, found: &mut Vec<PathBuf>, mut other: impl FnMut(PathBuf, &OsStr)) {
    // A folder that this user cannot read is closed to the candidate as well.
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let text = name.to_string_lossy();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && !is_secret_folder(&text) => other(entry.path(), &name),
            Ok(kind) if kind.is_dir() || is_secret_name(&text) => found.push(entry.path()),
            _ => {}
        }
    }
}

/// Where the user is at home: by the environment, and by the user database, should the two differ.
pub(super) fn homes() -> Vec<PathBuf> {
    let by_environment = std::env::var_os("HOME").map(PathBuf::from);
    by_environment
        .into_iter()
        .chain(from_database())
        .filter(|home| home.is_absolute() && home.as_path() != Path::new("/"))
        .collect()
}

#[cfg(target_os = "linux")]
fn from_database() -> Option<PathBuf> {
    let database = std::fs::read_to_string("/etc/passwd").ok()?;
    let uid = rustix::process::getuid().as_raw().to_string();
    home_in(&database, &uid)
}

#[cfg(not(target_os = "linux"))]
fn from_database() -> Option<PathBuf> {
    None
}

/// The home directory of user number `uid` in a `passwd` file.
pub(super) fn home_in(database: &str, uid: &str) -> Option<PathBuf> {
    database.lines().find_map(|line| {
        let mut fields = line.split(':').skip(2);
        (fields.next()? == uid)
            .then(|| fields.nth(2).map(PathBuf::from))
            .flatten()
    })
}
