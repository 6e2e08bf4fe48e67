//! Files that are named like secrets, and are never read.

use crate::RelPath;

/// What ends in one of these is a source: `id_map.py` and `credentials.go` are code. Any language
/// of ours has its extensions here.
const SOURCES: [&str; 10] = [
    "go", "py", "ts", "tsx", "mts", "cts", "js", "jsx", "mjs", "cjs",
];

/// Whole names.
const NAMES: [&str; 16] = [
    ".netrc",
    "_netrc",
    ".npmrc",
    ".yarnrc",
    ".yarnrc.yml",
    ".pypirc",
    ".pgpass",
    ".htpasswd",
    ".git-credentials",
    ".dockercfg",
    ".dockerconfigjson",
    ".vault-token",
    ".boto",
    ".s3cfg",
    ".my.cnf",
    "kubeconfig",
];

/// Extensions of keys and of stores of keys.
const EXTENSIONS: [&str; 12] = [
    "pem", "key", "p12", "pfx", "p8", "jks", "keystore", "kdbx", "ppk", "pkcs12", "tfstate",
    "tfvars",
];

/// Beginnings of names that are secrets unless they end as a source does.
const BEGINNINGS: [&str; 6] = [
    "id_",
    "credential",
    "secret.",
    "secrets.",
    "service-account",
    "service_account",
];

/// Folders of which everything counts.
const FOLDERS: [&str; 5] = [".ssh", ".aws", ".gnupg", ".kube", ".docker"];

/// Whether a file or folder of this name is a secret by its name: `.env*`, `*.pem`, `id_*` and the
/// like, in any case of letters. What ends as a source does is none, except for `.env*`.
pub fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    if name.starts_with(".env") || FOLDERS.contains(&&*name) || NAMES.contains(&&*name) {
        return true;
    }
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    if SOURCES.contains(&extension) {
        return false;
    }
    extension == "env"
        || EXTENSIONS.contains(&extension)
        || name == "secrets"
        || BEGINNINGS.iter().any(|begin| name.starts_with(begin))
}

/// Whether all that is in a folder of this name counts as secret: `.ssh`, `.aws` and the like.
pub fn is_secret_folder(name: &str) -> bool {
    FOLDERS.contains(&&*name.to_ascii_lowercase())
}

impl RelPath {
    /// Whether the file, or a folder that it is in, is named like a secret: it is never to be read.
    /// See [`is_secret_name`].
    pub fn names_secret(&self) -> bool {
        let (dir, name) = (self.dir(), self.file_name());
        is_secret_name(name) || dir.split('/').any(|part| FOLDERS.contains(&part))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_known_by_their_names() {
        for name in [
            ".env",
            ".env.local",
            ".envrc",
            ".env.py",
            "prod.env",
            "server.pem",
            "SERVER.PEM",
            "tls.key",
            "store.p12",
            "store.pfx",
            "id_rsa",
            "id_dsa",
            "id_ecdsa",
            "id_ed25519",
            "id_deploy",
            "id_rsa.bak",
            ".netrc",
            ".npmrc",
            ".pypirc",
            "credentials",
            "credentials.json",
            "service-account-prod.json",
            "secrets.yaml",
            ".ssh/config",
            "deep/.aws/config",
        ] {
            assert!(RelPath::new(name).unwrap().names_secret(), "{name}");
        }
        for name in [
            "id_helper.go",
            "id_map.py",
            "id_rsa.ts",
            "credentials.go",
            "secrets.py",
            "key.go",
            "keys.ts",
            "env.py",
            "environment.py",
            "pem.go",
            "go.mod",
            "package.json",
            "tsconfig.json",
            "pyproject.toml",
            "requirements.txt",
            "src/secrets/vault.go",
            "README.md",
            "idle",
        ] {
            assert!(!RelPath::new(name).unwrap().names_secret(), "{name}");
        }
    }
}
