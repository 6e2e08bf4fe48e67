//! How a value is wrapped: versioned, compressed, checksummed, and cut into pieces if it is long.

use std::io;
use std::sync::Mutex;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use zstd::bulk::{Compressor, Decompressor};

use crate::StoreError;
use crate::handle::lock;

/// The longest piece of a value. sled moves values from 128 KiB into blob files that it never
/// deletes.
pub(crate) const PIECE: usize = 64 << 10;

/// The longest value.
pub(crate) const MAX_VALUE: usize = 64 << 20;

/// Below this, compressing gains nothing worth its time.
const COMPRESS_FROM: usize = 512;

/// zstd's own default.
const LEVEL: i32 = 3;

const MAGIC: [u8; 2] = *b"TS";
const VERSION: u8 = 1;
const HEADER: usize = 2 + 1 + 1 + 8 + 4 + 2 + 4;
const CRC_AT: usize = HEADER - 4;

/// A value as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// When it was written, to the second.
    pub created: SystemTime,
    /// The value.
    pub data: Vec<u8>,
}

/// A value as it is written.
#[derive(Debug)]
pub(crate) struct Sealed {
    /// The head, with the data unless that is in pieces.
    pub(crate) head: Vec<u8>,
    /// The data, if it is in pieces.
    pub(crate) pieces: Vec<Vec<u8>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Codec {
    Plain = 0,
    Zstd = 1,
}

/// Wraps a value.
pub(crate) fn seal(data: &[u8], created: SystemTime) -> Result<Sealed, StoreError> {
    let length = u32::try_from(data.len())
        .ok()
        .filter(|_| data.len() <= MAX_VALUE)
        .ok_or(StoreError::TooLong {
            length: data.len(),
            limit: MAX_VALUE,
        })?;
    let (codec, body) = compress(data);
    let body = body.as_deref().unwrap_or(data);
    let pieces: Vec<Vec<u8>> = if body.len() <= PIECE {
        Vec::new()
    } else {
        body.chunks(PIECE).map(<[u8]>::to_vec).collect()
    };
    let count = u16::try_from(pieces.len()).map_err(|_| StoreError::TooLong {
        length: data.len(),
        limit: MAX_VALUE,
    })?;
    let seconds = created
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();

    let mut head = Vec::with_capacity(HEADER + body.len().min(PIECE));
    head.extend_from_slice(&MAGIC);
    head.push(VERSION);
    head.push(codec as u8);
    head.extend_from_slice(&seconds.to_be_bytes());
    head.extend_from_slice(&length.to_be_bytes());
    head.extend_from_slice(&count.to_be_bytes());
    let crc = crc32c::crc32c_append(crc32c::crc32c(&head), body);
    head.extend_from_slice(&crc.to_be_bytes());
    if pieces.is_empty() {
        head.extend_from_slice(body);
    }
    Ok(Sealed { head, pieces })
}

/// A zstd context that is used again: to make one takes longer than to use it, since its tables are
/// large. A concurrent caller makes its own.
struct Reused<T>(Mutex<Option<T>>);

static COMPRESSOR: Reused<Compressor<'static>> = Reused(Mutex::new(None));
static DECOMPRESSOR: Reused<Decompressor<'static>> = Reused(Mutex::new(None));

impl<T> Reused<T> {
    fn with<R>(
        &self,
        make: impl FnOnce() -> io::Result<T>,
        work: impl FnOnce(&mut T) -> io::Result<R>,
    ) -> io::Result<R> {
        let unused = lock(&self.0).take();
        let mut context = unused.map_or_else(make, Ok)?;
        let done = work(&mut context);
        *lock(&self.0) = Some(context);
        done
    }
}

/// The compressed form, if it is shorter.
fn compress(data: &[u8]) -> (Codec, Option<Vec<u8>>) {
    if data.len() < COMPRESS_FROM {
        return (Codec::Plain, None);
    }
    let shorter = COMPRESSOR.with(|| Compressor::new(LEVEL), |it| it.compress(data));
    match shorter {
        Ok(shorter) if shorter.len() < data.len() => (Codec::Zstd, Some(shorter)),
        // Not compressible, or no memory for it: as it is.
        Ok(_) | Err(_) => (Codec::Plain, None),
    }
}

/// How many pieces a value has besides its head; none if the head is damaged.
pub(crate) fn pieces_of(head: &[u8]) -> u16 {
    Head::parse(head).map_or(0, |head| head.pieces)
}

/// Unwraps a value; `piece` fetches a piece by its number.
pub(crate) fn open<F, E>(head: &[u8], mut piece: F) -> Result<Record, E>
where
    F: FnMut(u16) -> Result<Option<Vec<u8>>, E>,
    E: From<StoreError>,
{
    let parsed = Head::parse(head)?;
    let inline = head.get(HEADER..).unwrap_or_default();
    let mut gathered = Vec::new();
    for number in 0..parsed.pieces {
        let next = piece(number)?.ok_or(StoreError::Corrupt("a piece of a value is missing"))?;
        gathered.extend_from_slice(&next);
    }
    let body = if parsed.pieces == 0 {
        inline
    } else {
        gathered.as_slice()
    };
    let signed = head.get(..CRC_AT).unwrap_or_default();
    if crc32c::crc32c_append(crc32c::crc32c(signed), body) != parsed.crc {
        return Err(StoreError::Corrupt("the checksum is wrong").into());
    }
    let data = match parsed.codec {
        Codec::Plain => body.to_vec(),
        Codec::Zstd => DECOMPRESSOR
            .with(Decompressor::new, |it| it.decompress(body, parsed.length))
            .map_err(|_| StoreError::Corrupt("the value does not decompress"))?,
    };
    if data.len() != parsed.length {
        return Err(StoreError::Corrupt("the length is wrong").into());
    }
    Ok(Record {
        created: UNIX_EPOCH + Duration::from_secs(parsed.created),
        data,
    })
}

struct Head {
    codec: Codec,
    created: u64,
    length: usize,
    pieces: u16,
    crc: u32,
}

impl Head {
    fn parse(bytes: &[u8]) -> Result<Self, StoreError> {
        let mut rest = bytes;
        if take::<2>(&mut rest)? != MAGIC {
            return Err(StoreError::Corrupt("this is no envelope"));
        }
        let [version, codec] = take::<2>(&mut rest)?;
        if version != VERSION {
            return Err(StoreError::Corrupt("an envelope of unknown version"));
        }
        let codec = match codec {
            0 => Codec::Plain,
            1 => Codec::Zstd,
            _ => return Err(StoreError::Corrupt("an unknown compression")),
        };
        let created = u64::from_be_bytes(take(&mut rest)?);
        let length = u32::from_be_bytes(take(&mut rest)?);
        let pieces = u16::from_be_bytes(take(&mut rest)?);
        let crc = u32::from_be_bytes(take(&mut rest)?);
        let length = usize::try_from(length)
            .ok()
            .filter(|length| *length <= MAX_VALUE)
            .ok_or(StoreError::Corrupt("an impossible length"))?;
        Ok(Self {
            codec,
            created,
            length,
            pieces,
            crc,
        })
    }
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], StoreError> {
    let (first, rest) = bytes
        .split_first_chunk::<N>()
        .ok_or(StoreError::Corrupt("the envelope is cut"))?;
    *bytes = rest;
    Ok(*first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> SystemTime {
        UNIX_EPOCH + Duration::from_hours(500_000)
    }

    fn read(sealed: &Sealed) -> Result<Record, StoreError> {
        open(&sealed.head, |number| {
            Ok(sealed.pieces.get(usize::from(number)).cloned())
        })
    }

    /// Bytes that do not compress.
    fn noise(length: usize) -> Vec<u8> {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        (0..length)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state.to_le_bytes()[3]
            })
            .collect()
    }

    #[test]
    fn no_stored_value_reaches_the_blob_threshold() {
        for data in [vec![b'x'; 1 << 20], noise(300_000), noise(PIECE), noise(1)] {
            let sealed = seal(&data, now()).unwrap();
            assert!(sealed.head.len() <= PIECE + HEADER);
            assert!(sealed.pieces.iter().all(|piece| piece.len() <= PIECE));
            let record = read(&sealed).unwrap();
            assert_eq!(record.data, data);
            assert_eq!(record.created, now());
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let error = seal(&vec![0; MAX_VALUE + 1], now()).unwrap_err();
        assert!(matches!(error, StoreError::TooLong { .. }), "{error:?}");
    }

    #[test]
    fn a_missing_piece_is_told() {
        let mut sealed = seal(&noise(200_000), now()).unwrap();
        sealed.pieces.pop();
        assert!(matches!(read(&sealed), Err(StoreError::Corrupt(_))));
    }

    proptest::proptest! {
        #[test]
        fn values_come_back(data in proptest::collection::vec(0u8.., 0..2000)) {
            let sealed = seal(&data, now()).unwrap();
            proptest::prop_assert_eq!(read(&sealed).unwrap().data, data);
        }

        #[test]
        fn no_flipped_bit_goes_unseen(
            data in proptest::collection::vec(0u8..4, 0..1200),
            at in 0usize..10_000,
            bit in 0u8..8,
        ) {
            let mut sealed = seal(&data, now()).unwrap();
            let at = at % sealed.head.len();
            sealed.head[at] ^= 1 << bit;
            proptest::prop_assert!(matches!(read(&sealed), Err(StoreError::Corrupt(_))));
        }

        #[test]
        fn no_cut_goes_unseen(data in proptest::collection::vec(0u8.., 1..400), keep in 0usize..) {
            let mut sealed = seal(&data, now()).unwrap();
            sealed.head.truncate(keep % sealed.head.len());
            proptest::prop_assert!(matches!(read(&sealed), Err(StoreError::Corrupt(_))));
        }
    }
}
