//! The bytes of a segment of the write-ahead log, as `docs/format.md` draws them. Never reads or writes a file.
//!
//! All numbers are little-endian.
//!
//! ```text
//! segment = header entry* zero*
//! header  = magic (8) version (4) segment size (4) identity (16) first position (8) begun at (8) zero (12) crc (4)
//! entry   = payload length (4) crc (4) position (8) time (8) payload
//! payload = command+
//! ```

use crate::Position;
use crate::bytes::Reader;
use crate::identity::{IDENTITY_BYTES, Identity};

/// What every segment begins with.
const MAGIC: [u8; 8] = *b"STRAUMW\n";

/// The version of both kinds of file that is written, and the only one that is read.
pub(crate) const VERSION: u32 = 2;

/// The size of a segment's header, in bytes.
pub(crate) const SEGMENT_HEADER_BYTES: usize = 64;

/// The size of an entry's header, in bytes.
pub(crate) const ENTRY_HEADER_BYTES: usize = 24;

/// What is wrong with the header of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeaderError {
    /// It does not begin as such a file does, or its checksum does not match.
    Damaged,
    /// It is whole, and of a version that this program does not know.
    Version(u32),
}

/// What a segment's header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) identity: Identity,
    /// The position of its first entry.
    pub(crate) first_position: Position,
    /// Its size, header included: a file that is shorter has lost its end.
    pub(crate) size_bytes: u32,
    /// When it was begun, in milliseconds since 1970: no entry in it is older.
    pub(crate) begun_at_ms: u64,
}

impl SegmentHeader {
    pub(crate) fn write(&self) -> [u8; SEGMENT_HEADER_BYTES] {
        let mut bytes = [0; SEGMENT_HEADER_BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.size_bytes.to_le_bytes());
        bytes[16..32].copy_from_slice(self.identity.bytes());
        bytes[32..40].copy_from_slice(&self.first_position.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.begun_at_ms.to_le_bytes());
        let crc = crc32fast::hash(&bytes[..60]);
        bytes[60..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// # Errors
    /// [`HeaderError`].
    pub(crate) fn read(bytes: &[u8; SEGMENT_HEADER_BYTES]) -> Result<Self, HeaderError> {
        let mut reader = checked_header(bytes, MAGIC)?;
        let mut header = || {
            Some(Self {
                size_bytes: reader.u32()?,
                identity: Identity::new(reader.array::<IDENTITY_BYTES>()?),
                first_position: reader.u64()?,
                begun_at_ms: reader.u64()?,
            })
        };
        header().ok_or(HeaderError::Damaged)
    }
}

/// What follows the version in a header of 64 bytes whose magic, checksum and version are right, both kinds of
/// file have these in the same places.
pub(crate) fn checked_header(
    bytes: &[u8; SEGMENT_HEADER_BYTES],
    magic: [u8; 8],
) -> Result<Reader<'_>, HeaderError> {
    let mut reader = Reader(bytes);
    let crc = crc32fast::hash(&bytes[..60]).to_le_bytes();
    if reader.array() != Some(magic) || bytes[60..] != crc {
        return Err(HeaderError::Damaged);
    }
    match reader.u32() {
        Some(VERSION) => Ok(reader),
        Some(version) => Err(HeaderError::Version(version)),
        None => Err(HeaderError::Damaged),
    }
}

/// An entry, as it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry<'a> {
    pub(crate) position: Position,
    /// When its commands were applied, in milliseconds since 1970.
    pub(crate) time_ms: u64,
    pub(crate) payload: &'a [u8],
}

/// Fills in the header of an entry: its first [`ENTRY_HEADER_BYTES`], before the payload.
#[expect(clippy::cast_possible_truncation, reason = "an entry fits into a segment")]
pub(crate) fn finish_entry(
    entry: &mut [u8],
    identity: &Identity,
    position: Position,
    time_ms: u64,
) {
    let length = (entry.len() - ENTRY_HEADER_BYTES) as u32;
    entry[..4].copy_from_slice(&length.to_le_bytes());
    entry[8..16].copy_from_slice(&position.to_le_bytes());
    entry[16..24].copy_from_slice(&time_ms.to_le_bytes());
    let crc = entry_crc(identity, length, &entry[8..]);
    entry[4..8].copy_from_slice(&crc.to_le_bytes());
}

/// The whole entry with which these bytes begin, whatever its position.
pub(crate) fn read_entry<'a>(bytes: &'a [u8], identity: &Identity) -> Option<Entry<'a>> {
    let mut reader = Reader(bytes);
    let (length, crc) = (reader.u32()?, reader.u32()?);
    let end = ENTRY_HEADER_BYTES.checked_add(usize::try_from(length).ok()?)?;
    let checked = bytes.get(8..end)?;
    let entry = Entry {
        position: reader.u64()?,
        time_ms: reader.u64()?,
        payload: bytes.get(ENTRY_HEADER_BYTES..end)?,
    };
    let is_whole = length > 0 && crc == entry_crc(identity, length, checked);
    is_whole.then_some(entry)
}

/// The checksum of an entry: of the identity, the payload length, and all that follows the checksum.
fn entry_crc(identity: &Identity, length: u32, rest: &[u8]) -> u32 {
    let mut hasher = identity.hasher();
    hasher.update(&length.to_le_bytes());
    hasher.update(rest);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> SegmentHeader {
        let identity = Identity::new(*b"0123456789abcdef");
        SegmentHeader { identity, first_position: 9, size_bytes: 512, begun_at_ms: 1_000 }
    }

    fn entry(position: Position) -> Vec<u8> {
        let mut entry = vec![0; ENTRY_HEADER_BYTES];
        entry.extend_from_slice(b"payload");
        finish_entry(&mut entry, &header().identity, position, 77);
        entry
    }

    #[test]
    fn what_is_written_is_read() {
        let expected = Entry { position: 5, time_ms: 77, payload: b"payload" };
        let mut bytes = entry(5);
        bytes.push(1);
        assert_eq!(read_entry(&bytes, &header().identity), Some(expected));
        assert_eq!(SegmentHeader::read(&header().write()), Ok(header()));
    }

    #[test]
    fn every_flipped_bit_and_every_truncation_of_an_entry_is_noticed() {
        let (good, identity) = (entry(5), header().identity);
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(read_entry(&bad, &identity), None, "bit {bit}");
        }
        for length in 0..good.len() {
            assert_eq!(read_entry(&good[..length], &identity), None, "{length} bytes");
        }
    }

    #[test]
    fn an_entry_of_another_journal_is_none() {
        assert_eq!(read_entry(&entry(5), &Identity::new([0; 16])), None);
    }

    #[test]
    fn every_flipped_bit_of_a_segment_header_is_noticed() {
        let good = header().write();
        for bit in 0..good.len() * 8 {
            let mut bad = good;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(SegmentHeader::read(&bad).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_later_version_is_told_from_damage() {
        let mut bytes = header().write();
        bytes[8] = 3;
        let crc = crc32fast::hash(&bytes[..60]);
        bytes[60..].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(SegmentHeader::read(&bytes), Err(HeaderError::Version(3)));
    }
}
