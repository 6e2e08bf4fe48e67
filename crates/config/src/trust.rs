//! Which project files the user trusts, by their digest.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use testsmith_domain::ContentHash;

/// The list of trusted project files, kept outside of every project.
#[derive(Debug, Clone, Default)]
pub struct TrustStore {
    path: PathBuf,
    files: Vec<TrustedFile>,
}

/// A project file the user trusts, as it was then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrustedFile {
    /// The file.
    pub path: PathBuf,
    /// The digest of its content. Another content is not trusted.
    pub digest: ContentHash,
}

/// The list could not be used.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// It could not be read or written.
    #[error("cannot use the list of trusted files `{path}`")]
    Io {
        /// The list.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is not what we wrote.
    #[error("the list of trusted files `{path}` is damaged; remove it and trust your files anew")]
    Damaged {
        /// The list.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
}

impl TrustStore {
    /// Reads the list at `path`; none is an empty one.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, TrustError> {
        let path = path.into();
        let files = match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).map_err(|source| TrustError::Damaged {
                path: path.clone(),
                source,
            })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(source) => return Err(TrustError::Io { path, source }),
        };
        Ok(Self { path, files })
    }

    /// Where the list is kept for this user: under the XDG state directory.
    pub fn default_path(state_home: &Path) -> PathBuf {
        state_home.join("testsmith").join("trusted.json")
    }

    /// Whether the file is trusted with this content.
    pub fn trusts(&self, file: &Path, content: &str) -> bool {
        let digest = ContentHash::of(content.as_bytes());
        self.files
            .iter()
            .any(|trusted| trusted.path == file && trusted.digest == digest)
    }

    /// Trusts the file with this content, in place of any earlier one.
    pub fn trust(&mut self, file: &Path, content: &str) -> Result<(), TrustError> {
        self.files.retain(|trusted| trusted.path != file);
        self.files.push(TrustedFile {
            path: file.to_owned(),
            digest: ContentHash::of(content.as_bytes()),
        });
        self.save()
    }

    /// Ends the trust in a file. Whether there was any.
    pub fn revoke(&mut self, file: &Path) -> Result<bool, TrustError> {
        let before = self.files.len();
        self.files.retain(|trusted| trusted.path != file);
        self.save()?;
        Ok(self.files.len() < before)
    }

    /// All trusted files.
    pub fn files(&self) -> &[TrustedFile] {
        &self.files
    }

    fn save(&self) -> Result<(), TrustError> {
        let io = |source| TrustError::Io {
            path: self.path.clone(),
            source,
        };
        let dir = self.path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(dir).map_err(io)?;
        let text =
            serde_json::to_vec_pretty(&self.files).map_err(|source| TrustError::Damaged {
                path: self.path.clone(),
                source,
            })?;
        let temporary = self.path.with_extension("json.new");
        fs::write(&temporary, text).map_err(io)?;
        fs::rename(&temporary, &self.path).map_err(io)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trust_is_for_one_content_and_survives() {
        let dir = tempfile::tempdir().unwrap();
        let list = dir.path().join("deep/trusted.json");
        let file = Path::new("/p/testsmith.toml");
        let mut store = TrustStore::open(&list).unwrap();
        assert!(!store.trusts(file, "a"));
        store.trust(file, "a").unwrap();
        let mut store = TrustStore::open(&list).unwrap();
        assert!(store.trusts(file, "a"));
        assert!(!store.trusts(file, "b"), "a changed file ends the trust");
        assert!(!store.trusts(Path::new("/q/testsmith.toml"), "a"));
        assert!(store.revoke(file).unwrap());
        assert!(!TrustStore::open(&list).unwrap().trusts(file, "a"));
        fs::write(&list, "{").unwrap();
        assert!(matches!(
            TrustStore::open(&list),
            Err(TrustError::Damaged { .. })
        ));
    }
}
