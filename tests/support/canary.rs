//! Secrets planted in every test's surroundings, and the search for them.
//!
//! A provider's key, keys of others in the environment and in the home folder: whatever the program prints,
//! logs, keeps or sends is searched for them, without a word in the tests. Values in the state are compressed:
//! each is searched as it was before as well.

use std::fs;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

/// The beginning of each planted secret. No rule of the program's knows its shape.
const SPECIES: &str = "kanarienvogel";
/// The key of the model's server. A world's model refuses whoever comes without it.
pub const PROVIDER_KEY: &str = "kanarienvogel-7f3a-gelb";
/// Keys that are nobody's business.
pub const OTHERS: [(&str, &str); 3] = [
    ("OPENAI_API_KEY", "kanarienvogel-91bd-blau"),
    ("AWS_SECRET_ACCESS_KEY", "kanarienvogel-c06e-rot"),
    ("GITHUB_TOKEN", "kanarienvogel-5a18-weiss"),
];
/// What lies in the home folder.
pub const CREDENTIALS: &str = ".aws/credentials";

/// What a test looks for: the secrets that are always planted, and its own.
#[derive(Debug, Clone, Default)]
pub struct Canaries {
    own: Vec<String>,
}

impl Canaries {
    /// Looks for this one as well.
    pub fn add(&mut self, secret: &str) {
        self.own.push(secret.to_owned());
    }

    /// The test fails if a secret is in this text.
    pub fn none_in(&self, what: &str, text: impl AsRef<[u8]>) {
        let text = text.as_ref();
        let found = self
            .all()
            .find(|secret| position(text, secret.as_bytes()).is_some());
        if let Some(secret) = found {
            // One failure is enough: a second one while the first unwinds would end all tests.
            let told = format!("`{secret}` is in {what}:\n{}", around(text, secret));
            assert!(std::thread::panicking(), "{told}");
            println!("{told}");
        }
    }

    /// The test fails if a secret is in a file below this folder, but for `spared` ones.
    pub fn none_below(&self, folder: &Path, spared: &[PathBuf]) {
        let Ok(entries) = fs::read_dir(folder) else {
            return;
        };
        for path in entries.map_while(Result::ok).map(|entry| entry.path()) {
            let skipped = ["node_modules", ".git"];
            if spared.contains(&path) || skipped.iter().any(|name| path.ends_with(name)) {
                continue;
            }
            // Files come and go beside a daemon, and some cannot be read on purpose.
            match fs::symlink_metadata(&path) {
                Ok(found) if found.is_dir() => self.none_below(&path, spared),
                Ok(found) if found.is_file() => self.none_in_file(&path),
                _ => {}
            }
        }
    }

    fn none_in_file(&self, path: &Path) {
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) => {
                let known = [ErrorKind::NotFound, ErrorKind::PermissionDenied];
                assert!(known.contains(&error.kind()), "{}: {error}", path.display());
                return;
            }
        };
        self.none_in(&path.display().to_string(), &bytes);
        for value in decompressed(&bytes) {
            self.none_in(&format!("a value of {}", path.display()), value);
        }
    }

    fn all(&self) -> impl Iterator<Item = &str> {
        std::iter::once(SPECIES).chain(self.own.iter().map(String::as_str))
    }
}

/// Everything in these bytes that zstd has compressed, as far as it can be read.
fn decompressed(bytes: &[u8]) -> Vec<Vec<u8>> {
    const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
    let mut values = Vec::new();
    let mut rest = bytes;
    while let Some(at) = position(rest, &MAGIC) {
        rest = &rest[at..];
        let mut value = Vec::new();
        if let Ok(decoder) = zstd::Decoder::new(rest) {
            // Of a value in pieces the first is read to its end, which is an error.
            let _ = decoder.single_frame().read_to_end(&mut value);
        }
        values.push(value);
        rest = &rest[MAGIC.len()..];
    }
    values
}

fn position(text: &[u8], wanted: &[u8]) -> Option<usize> {
    let mut from = 0;
    while let Some(at) = text[from..].iter().position(|byte| *byte == wanted[0]) {
        if text[from + at..].starts_with(wanted) {
            return Some(from + at);
        }
        from += at + 1;
    }
    None
}

/// Some text around a secret.
fn around(text: &[u8], secret: &str) -> String {
    let at = position(text, secret.as_bytes()).unwrap_or(0);
    let (from, to) = (at.saturating_sub(200), (at + 200).min(text.len()));
    String::from_utf8_lossy(&text[from..to]).into_owned()
}
