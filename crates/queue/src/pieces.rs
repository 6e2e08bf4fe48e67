//! The snapshot of a tree, a few hundred stamps to a record.
//!
//! One record for each file would cost as much for its key and envelope as for what it says; one
//! for each folder would be rewritten whole, a megabyte in a large folder, with every save. So a
//! folder's stamps are in pieces of at most [`FILES`], and a file stays in its piece.
//!
//! A piece is a version byte, then for each file: length of the name (2 bytes), name, size,
//! modification time, change time, inode (8 bytes each), hash (32 bytes).

use std::collections::HashMap;

use testsmith_domain::{ContentHash, FileStamp, RelPath};
use testsmith_store::{Batch, Store, StoreError};

use crate::keys;

/// Files in one piece.
const FILES: usize = 256;
const VERSION: u8 = 1;

/// One folder's stamps while they are changed.
#[derive(Debug)]
pub(crate) struct Folder {
    root: String,
    dir: String,
    pieces: Vec<Piece>,
    /// Which piece a name is in.
    places: HashMap<String, usize>,
}

#[derive(Debug)]
struct Piece {
    number: u16,
    files: Vec<(String, FileStamp)>,
    changed: bool,
}

impl Folder {
    pub(crate) fn load(store: &Store, root: &str, dir: &str) -> Result<Self, StoreError> {
        let mut folder = Self {
            root: root.to_owned(),
            dir: dir.to_owned(),
            pieces: Vec::new(),
            places: HashMap::new(),
        };
        store.scan(&keys::folder(root, dir), |key, record| {
            let Some((_, number)) = keys::parse_piece(key) else {
                return;
            };
            // A damaged piece: its files will look new to the next comparison, and get jobs.
            let files = record
                .ok()
                .and_then(|record| decode(&record.data))
                .unwrap_or_else(|| {
                    tracing::warn!(root, dir, number, "a piece of the snapshot is damaged");
                    Vec::new()
                });
            for (name, _) in &files {
                folder.places.insert(name.clone(), folder.pieces.len());
            }
            folder.pieces.push(Piece {
                number,
                changed: files.is_empty(),
                files,
            });
        })?;
        Ok(folder)
    }

    pub(crate) fn get(&self, name: &str) -> Option<FileStamp> {
        let piece = self.pieces.get(*self.places.get(name)?)?;
        let file = piece.files.iter().find(|(known, _)| known == name)?;
        Some(file.1)
    }

    pub(crate) fn put(&mut self, name: &str, stamp: FileStamp) {
        let place = self.places.get(name).copied();
        let place = place.unwrap_or_else(|| self.place_for_one_more());
        let Some(piece) = self.pieces.get_mut(place) else {
            return;
        };
        piece.changed = true;
        if let Some(file) = piece.files.iter_mut().find(|(known, _)| known == name) {
            file.1 = stamp;
        } else {
            piece.files.push((name.to_owned(), stamp));
            self.places.insert(name.to_owned(), place);
        }
    }

    fn place_for_one_more(&mut self) -> usize {
        if let Some(place) = self.pieces.iter().position(|p| p.files.len() < FILES) {
            return place;
        }
        let number = (0..=u16::MAX)
            .find(|number| self.pieces.iter().all(|piece| piece.number != *number))
            .unwrap_or(u16::MAX); // sixteen million files in one folder
        self.pieces.push(Piece {
            number,
            files: Vec::new(),
            changed: true,
        });
        self.pieces.len() - 1
    }

    pub(crate) fn remove(&mut self, name: &str) {
        if let Some(place) = self.places.remove(name)
            && let Some(piece) = self.pieces.get_mut(place)
        {
            piece.files.retain(|(known, _)| known != name);
            piece.changed = true;
        }
    }

    /// Adds what changed to a batch.
    pub(crate) fn write(&self, batch: &mut Batch) {
        for piece in self.pieces.iter().filter(|piece| piece.changed) {
            let key = keys::piece(&self.root, &self.dir, piece.number);
            if piece.files.is_empty() {
                batch.remove(key);
            } else {
                batch.put(key, encode(&piece.files));
            }
        }
    }
}

/// All stamps of a root.
pub(crate) fn load_all(store: &Store, root: &str) -> Result<Vec<(RelPath, FileStamp)>, StoreError> {
    let mut all = Vec::new();
    store.scan(&keys::pieces(root), |key, record| {
        let dir = keys::parse_piece(key).map(|(dir, _)| dir);
        let files = record.ok().and_then(|record| decode(&record.data));
        let (Some(dir), Some(files)) = (dir, files) else {
            tracing::warn!(root, "a piece of the snapshot is damaged");
            return;
        };
        for (name, stamp) in files {
            let path = match dir {
                "" => RelPath::new(name),
                dir => RelPath::new(format!("{dir}/{name}")),
            };
            if let Ok(path) = path {
                all.push((path, stamp));
            }
        }
    })?;
    Ok(all)
}

fn encode(files: &[(String, FileStamp)]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1 + files.len() * 96);
    bytes.push(VERSION);
    for (name, stamp) in files {
        let FileStamp {
            size,
            mtime_ns,
            ctime_ns,
            inode,
            hash,
        } = stamp;
        // Names are at most 255 bytes on every file system that matters.
        let length = u16::try_from(name.len()).unwrap_or(u16::MAX);
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend(name.bytes().take(usize::from(length)));
        bytes.extend_from_slice(&size.to_be_bytes());
        bytes.extend_from_slice(&mtime_ns.to_be_bytes());
        bytes.extend_from_slice(&ctime_ns.to_be_bytes());
        bytes.extend_from_slice(&inode.to_be_bytes());
        bytes.extend_from_slice(hash.as_bytes());
    }
    bytes
}

fn decode(bytes: &[u8]) -> Option<Vec<(String, FileStamp)>> {
    let (version, mut rest) = bytes.split_first()?;
    if *version != VERSION {
        return None;
    }
    let mut files = Vec::new();
    while !rest.is_empty() {
        let length = u16::from_be_bytes(take(&mut rest)?);
        let (name, after) = rest.split_at_checked(usize::from(length))?;
        rest = after;
        let stamp = FileStamp {
            size: u64::from_be_bytes(take(&mut rest)?),
            mtime_ns: i64::from_be_bytes(take(&mut rest)?),
            ctime_ns: i64::from_be_bytes(take(&mut rest)?),
            inode: u64::from_be_bytes(take(&mut rest)?),
            hash: ContentHash::from_bytes(take(&mut rest)?),
        };
        files.push((std::str::from_utf8(name).ok()?.to_owned(), stamp));
    }
    Some(files)
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (first, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(number: u64) -> FileStamp {
        FileStamp {
            size: number,
            mtime_ns: -1,
            ctime_ns: i64::MAX,
            inode: u64::MAX - number,
            hash: ContentHash::of(&number.to_be_bytes()),
        }
    }

    #[test]
    fn pieces_come_back_and_damage_is_seen() {
        let files = vec![("a.go".to_owned(), stamp(1)), ("ä b".to_owned(), stamp(2))];
        let bytes = encode(&files);
        assert_eq!(decode(&bytes), Some(files));
        for keep in 2..bytes.len() {
            let whole_file = keep == 1 + 2 + 4 + 64;
            assert_eq!(
                decode(&bytes[..keep]).is_some(),
                whole_file,
                "cut at {keep}"
            );
        }
        assert_eq!(decode(&[9]), None);
    }

    #[test]
    fn a_key_tells_its_folder() {
        let key = keys::piece("/r", "src/shop", 258);
        assert_eq!(keys::parse_piece(&key), Some(("src/shop", 258)));
        assert_eq!(keys::parse_piece(&keys::piece("/r", "", 0)), Some(("", 0)));
        assert!(!keys::piece("/r", "src/shop", 0).starts_with(&keys::folder("/r", "src")));
    }
}
