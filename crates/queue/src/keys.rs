//! Where records are kept.

use testsmith_domain::{ContentHash, JobId, RelPath};

pub(crate) const META: &[u8] = b"m";
pub(crate) const JOBS: &[u8] = b"j";
pub(crate) const ROOTS: &[u8] = b"r";
pub(crate) const LEDGER: &[u8] = b"l";
pub(crate) const PIECES: &[u8] = b"d";

/// Names a file in memory.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct FileKey {
    pub(crate) root: String,
    pub(crate) path: RelPath,
}

impl FileKey {
    pub(crate) fn job(&self) -> Vec<u8> {
        below_root(b'j', &self.root, self.path.as_str())
    }

    pub(crate) fn ledger(&self) -> Vec<u8> {
        below_root(b'l', &self.root, self.path.as_str())
    }

    pub(crate) fn history(&self) -> Vec<u8> {
        below_root(b'h', &self.root, self.path.as_str())
    }

    /// The file's share of the tally while it has this job.
    pub(crate) fn share(&self, id: JobId) -> u64 {
        let mut bytes = self.job();
        bytes.extend_from_slice(&id.0.to_be_bytes());
        let hash = ContentHash::of(&bytes);
        hash.as_bytes()
            .first_chunk()
            .map_or(0, |first| u64::from_be_bytes(*first))
    }
}

pub(crate) fn root(root: &str) -> Vec<u8> {
    below_root(b'r', root, "")
}

/// All of a root's ledger.
pub(crate) fn ledger(root: &str) -> Vec<u8> {
    below_root(b'l', root, "")
}

/// The source file's path, from the key of its ledger entry.
pub(crate) fn parse_ledger(key: &[u8]) -> Option<RelPath> {
    RelPath::new(std::str::from_utf8(key.get(9..)?).ok()?).ok()
}

/// All pieces of a root's snapshot.
pub(crate) fn pieces(root: &str) -> Vec<u8> {
    below_root(b'd', root, "")
}

/// All pieces of one folder. No path holds a zero byte, so no other folder begins like this.
pub(crate) fn folder(root: &str, dir: &str) -> Vec<u8> {
    let mut key = below_root(b'd', root, dir);
    key.push(0);
    key
}

pub(crate) fn piece(root: &str, dir: &str, number: u16) -> Vec<u8> {
    let mut key = folder(root, dir);
    key.extend_from_slice(&number.to_be_bytes());
    key
}

/// The folder and the number of a piece, from its key.
pub(crate) fn parse_piece(key: &[u8]) -> Option<(&str, u16)> {
    let (rest, number) = key.split_last_chunk::<2>()?;
    let dir = rest.get(9..)?.strip_suffix(&[0])?;
    Some((std::str::from_utf8(dir).ok()?, u16::from_be_bytes(*number)))
}

fn below_root(kind: u8, root: &str, rest: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(12 + rest.len());
    key.push(kind);
    key.extend(ContentHash::of(root.as_bytes()).as_bytes().iter().take(8));
    key.extend_from_slice(rest.as_bytes());
    key
}
