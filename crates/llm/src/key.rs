//! Where a provider's key comes from.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};

use crate::BuildError;
use crate::factory::Env;
use crate::settings::StackSettings;

/// A key, and where it was found.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) secret: SecretString,
    /// For the log: the name of a variable or a file.
    pub(crate) from: String,
}

impl Key {
    /// Whether this is one of Anthropic's, which can be told by their beginning.
    pub(crate) fn is_anthropic(&self) -> bool {
        self.secret.expose_secret().starts_with("sk-ant-")
    }
}

/// The key in this environment variable; what is set to nothing is not set.
pub(crate) fn in_variable(name: &str, env: &Env<'_>) -> Option<Key> {
    let secret = trimmed(&env(name)?)?;
    Some(Key {
        secret,
        from: format!("`{name}`"),
    })
}

/// The key that systemd handed over (`LoadCredential=api_key:…`), or the one in the file that the
/// settings name.
pub(crate) fn in_file(settings: &StackSettings, env: &Env<'_>) -> Result<Option<Key>, BuildError> {
    let directory = env("CREDENTIALS_DIRECTORY").filter(|name| !name.is_empty());
    if let Some(directory) = directory.filter(|_| settings.takes_credential) {
        let path = PathBuf::from(directory).join("api_key");
        if path.exists() {
            return read(&path).map(Some);
        }
    }
    let Some(path) = &settings.api_key_file else {
        return Ok(None);
    };
    let unreadable = |source| BuildError::KeyFile {
        path: path.clone(),
        source,
    };
    let mode = fs::metadata(path).map_err(unreadable)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(BuildError::KeyFileOpen {
            path: path.clone(),
            mode,
        });
    }
    read(path).map(Some)
}

fn read(path: &Path) -> Result<Key, BuildError> {
    let text = fs::read_to_string(path).map_err(|source| BuildError::KeyFile {
        path: path.to_owned(),
        source,
    })?;
    let from = format!("`{}`", path.display());
    let secret = trimmed(&text).ok_or_else(|| BuildError::BadKey { from: from.clone() })?;
    Ok(Key { secret, from })
}

/// The key without the line end that editors and `echo` leave.
fn trimmed(text: &str) -> Option<SecretString> {
    let key = text.trim();
    (!key.is_empty()).then(|| SecretString::from(key))
}
