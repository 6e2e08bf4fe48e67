//! Places a candidate has no business in.

use std::path::{Path, PathBuf};

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
