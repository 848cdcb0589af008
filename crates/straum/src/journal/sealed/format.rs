//! The bytes of a sealed segment, as `docs/format.md` draws them. Never reads or writes a file.
//!
//! All numbers are little-endian.
//!
//! ```text
//! sealed segment = header  key row*  name*  chunk row*  chunk*
//! header         = magic (8) version (4) keys (4) first position (8) end position (8) file size (8)
//!                  sealed at (8) names size (8) names crc (4) crc (4)
//! key row        = first offset (8) next offset (8) start bytes (8) end bytes (8) committed + 1 (8)
//!                  chunk rows at (8) chunk rows (4) name length (4) zero (4) crc (4)
//! chunk row      = first offset (8) start bytes (8) chunk at (8) messages (4) bytes (4) crc (4)
//! chunk          = crc (4) end (4)*  message*
//! ```

use crate::chunk::Chunk;
use crate::journal::format::{Damage, u32_at, u64_at};
use crate::{Offset, Position};

const MAGIC: [u8; 8] = *b"STRAUMS\n";

/// The version that is written, and the only one that is read.
pub(crate) const VERSION: u32 = 1;

/// The size of the header, in bytes.
pub(crate) const HEADER_BYTES: usize = 64;

/// The size of a key's row, in bytes.
pub(crate) const KEY_ROW_BYTES: usize = 64;

/// The size of a chunk's row, in bytes.
pub(crate) const CHUNK_ROW_BYTES: usize = 36;

/// Positions, offsets and sizes of logs are below this, so that no sum or cost of them overflows.
const MAX_NUMBER: u64 = 1 << 56;

/// What the header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// How many keys there were when it was sealed: all of them have a row.
    pub(crate) keys: u32,
    /// The position of the first entry that it stands for.
    pub(crate) first_position: Position,
    /// The position after the last one.
    pub(crate) end_position: Position,
    /// Of the whole file.
    pub(crate) size_bytes: u64,
    /// In milliseconds since 1970.
    pub(crate) sealed_at_ms: u64,
    /// Of all names together.
    pub(crate) names_bytes: u64,
    /// Of all names together.
    pub(crate) names_crc: u32,
}

impl Header {
    pub(crate) fn write(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.keys.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.first_position.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.end_position.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.size_bytes.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.sealed_at_ms.to_le_bytes());
        bytes[48..56].copy_from_slice(&self.names_bytes.to_le_bytes());
        bytes[56..60].copy_from_slice(&self.names_crc.to_le_bytes());
        let crc = crc32fast::hash(&bytes[..60]);
        bytes[60..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// # Errors
    /// [`Damage::Header`] or [`Damage::Version`].
    pub(crate) fn read(bytes: &[u8; HEADER_BYTES]) -> Result<Self, Damage> {
        if bytes[..8] != MAGIC || u32_at(bytes, 60) != Some(crc32fast::hash(&bytes[..60])) {
            return Err(Damage::Header);
        }
        let header = || {
            let version = u32_at(bytes, 8)?;
            let header = Self {
                keys: u32_at(bytes, 12)?,
                first_position: u64_at(bytes, 16)?,
                end_position: u64_at(bytes, 24)?,
                size_bytes: u64_at(bytes, 32)?,
                sealed_at_ms: u64_at(bytes, 40)?,
                names_bytes: u64_at(bytes, 48)?,
                names_crc: u32_at(bytes, 56)?,
            };
            Some((version, header))
        };
        match header() {
            Some((VERSION, header)) if header.is_sane() => Ok(header),
            Some((VERSION, _)) | None => Err(Damage::Header),
            Some((version, _)) => Err(Damage::Version(version)),
        }
    }

    fn is_sane(&self) -> bool {
        let names_end = self.names_at().checked_add(self.names_bytes);
        self.first_position < self.end_position
            && self.end_position < MAX_NUMBER
            && names_end.is_some_and(|end| end <= self.size_bytes)
    }

    /// Where the row of a key is, by its number.
    pub(crate) fn key_row_at(number: usize) -> u64 {
        (HEADER_BYTES + number * KEY_ROW_BYTES) as u64
    }

    /// Where the names begin.
    pub(crate) fn names_at(&self) -> u64 {
        Self::key_row_at(self.keys as usize)
    }
}

/// What is known of a key at the end of a sealed segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyRow {
    /// The offsets of the messages in this segment.
    pub(crate) offsets: Range64,
    /// How many bytes the key's messages have, since there are any, before this segment and with it.
    pub(crate) bytes: Range64,
    pub(crate) committed: Option<Offset>,
    /// Where the rows of its chunks are.
    pub(crate) chunk_rows_at: u64,
    pub(crate) chunk_rows: u32,
    pub(crate) name_bytes: u32,
}

/// From the first, up to but without the second.
pub(crate) type Range64 = (u64, u64);

impl KeyRow {
    /// The row of the key of this number in the segment of this first position.
    pub(crate) fn write(&self, first_position: Position, number: usize) -> [u8; KEY_ROW_BYTES] {
        let mut bytes = [0; KEY_ROW_BYTES];
        let committed = self.committed.map_or(0, |committed| committed + 1);
        let numbers = [
            self.offsets.0,
            self.offsets.1,
            self.bytes.0,
            self.bytes.1,
            committed,
            self.chunk_rows_at,
        ];
        for (place, number) in bytes.chunks_exact_mut(8).zip(numbers) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        bytes[48..52].copy_from_slice(&self.chunk_rows.to_le_bytes());
        bytes[52..56].copy_from_slice(&self.name_bytes.to_le_bytes());
        let crc = key_row_crc(&bytes, first_position, number);
        bytes[60..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// None if the bytes are not the row of this key in this segment.
    pub(crate) fn read(
        bytes: &[u8; KEY_ROW_BYTES],
        first_position: Position,
        number: usize,
    ) -> Option<Self> {
        let whole = u32_at(bytes, 60)? == key_row_crc(bytes, first_position, number);
        let row = Self {
            offsets: (u64_at(bytes, 0)?, u64_at(bytes, 8)?),
            bytes: (u64_at(bytes, 16)?, u64_at(bytes, 24)?),
            committed: u64_at(bytes, 32)?.checked_sub(1),
            chunk_rows_at: u64_at(bytes, 40)?,
            chunk_rows: u32_at(bytes, 48)?,
            name_bytes: u32_at(bytes, 52)?,
        };
        let sane = row.offsets.0 <= row.offsets.1
            && row.offsets.1 < MAX_NUMBER
            && row.bytes.0 <= row.bytes.1
            && row.bytes.1 < MAX_NUMBER
            && row.committed.is_none_or(|committed| committed < row.offsets.1)
            && (row.offsets.0 < row.offsets.1) == (row.chunk_rows > 0);
        (whole && sane).then_some(row)
    }
}

fn key_row_crc(bytes: &[u8; KEY_ROW_BYTES], first_position: Position, number: usize) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&bytes[..60]);
    hasher.update(&first_position.to_le_bytes());
    hasher.update(&(number as u64).to_le_bytes());
    hasher.finalize()
}

/// Where a chunk is and what is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChunkRow {
    pub(crate) first_offset: Offset,
    /// How many bytes the key's messages have, since there are any, before this chunk.
    pub(crate) start_bytes: u64,
    /// Where the chunk is in the file.
    pub(crate) at: u64,
    /// At least 1.
    pub(crate) messages: u32,
    /// Of all its messages.
    pub(crate) bytes: u32,
}

impl ChunkRow {
    /// The row of a chunk that goes to this place in the file.
    #[expect(clippy::cast_possible_truncation, reason = "stated and ensured at `Chunk::ends`")]
    pub(crate) fn of(chunk: &Chunk, at: u64) -> Self {
        Self {
            first_offset: chunk.first_offset,
            start_bytes: chunk.start_bytes,
            at,
            messages: chunk.ends.len() as u32,
            bytes: chunk.bytes.len() as u32,
        }
    }

    pub(crate) fn write(&self) -> [u8; CHUNK_ROW_BYTES] {
        let mut bytes = [0; CHUNK_ROW_BYTES];
        bytes[..8].copy_from_slice(&self.first_offset.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.start_bytes.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.at.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.messages.to_le_bytes());
        bytes[28..32].copy_from_slice(&self.bytes.to_le_bytes());
        let crc = crc32fast::hash(&bytes[..32]);
        bytes[32..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// None if the bytes are no row.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        if u32_at(bytes, 32)? != crc32fast::hash(bytes.get(..32)?) {
            return None;
        }
        Some(Self {
            first_offset: Self::first_offset_of(bytes)?,
            start_bytes: u64_at(bytes, 8)?,
            at: u64_at(bytes, 16)?,
            messages: u32_at(bytes, 24)?,
            bytes: u32_at(bytes, 28)?,
        })
    }

    /// The first offset in a row that is not checked.
    pub(crate) fn first_offset_of(bytes: &[u8]) -> Option<Offset> {
        u64_at(bytes, 0)
    }

    pub(crate) fn next_offset(&self) -> Offset {
        self.first_offset.saturating_add(self.messages.into())
    }

    /// Whether the chunk can be one of a key.
    pub(crate) fn is_of(&self, key: &KeyRow) -> bool {
        let (offsets, bytes) = (key.offsets, key.bytes);
        let end_bytes = self.start_bytes.saturating_add(self.bytes.into());
        self.messages > 0
            && offsets.0 <= self.first_offset
            && self.next_offset() <= offsets.1
            && bytes.0 <= self.start_bytes
            && end_bytes <= bytes.1
    }

    /// Whether the chunk comes right behind another, as it does in the file too.
    pub(crate) fn follows(&self, last: &Self) -> bool {
        self.first_offset == last.next_offset()
            && self.start_bytes == last.start_bytes.saturating_add(last.bytes.into())
            && self.at == last.end()
    }

    /// The size of the chunk in the file, in bytes.
    pub(crate) fn size_bytes(&self) -> usize {
        4 + 4 * self.messages as usize + self.bytes as usize
    }

    /// Where the chunk ends in the file.
    pub(crate) fn end(&self) -> u64 {
        self.at.saturating_add(self.size_bytes() as u64)
    }
}

/// The size of a chunk in the file, in bytes.
pub(crate) fn chunk_bytes(chunk: &Chunk) -> u64 {
    4 + 4 * chunk.ends.len() as u64 + chunk.bytes.len() as u64
}

/// Appends a chunk to what goes to the file.
pub(crate) fn write_chunk(chunk: &Chunk, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    out.extend(chunk.ends.iter().flat_map(|end| end.to_le_bytes()));
    out.extend_from_slice(&chunk.bytes);
    let crc = crc32fast::hash(&out[start + 4..]);
    out[start..start + 4].copy_from_slice(&crc.to_le_bytes());
}

/// The chunk of this row. None if the bytes are another or damaged.
pub(crate) fn read_chunk(row: &ChunkRow, bytes: &[u8]) -> Option<Chunk> {
    let (crc, content) = bytes.split_first_chunk()?;
    if u32::from_le_bytes(*crc) != crc32fast::hash(content) {
        return None;
    }
    let (ends, bytes) = content.split_at_checked(4 * row.messages as usize)?;
    let ends: Vec<u32> = ends.as_chunks().0.iter().map(|end| u32::from_le_bytes(*end)).collect();
    let sane =
        ends.is_sorted() && ends.last() == Some(&row.bytes) && bytes.len() == row.bytes as usize;
    sane.then(|| Chunk {
        first_offset: row.first_offset,
        start_bytes: row.start_bytes,
        bytes: bytes.to_vec(),
        ends,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: Header = Header {
        keys: 2,
        first_position: 3,
        end_position: 9,
        size_bytes: 1_000,
        sealed_at_ms: 7,
        names_bytes: 5,
        names_crc: 11,
    };
    const KEY_ROW: KeyRow = KeyRow {
        offsets: (10, 12),
        bytes: (100, 103),
        committed: Some(0),
        chunk_rows_at: 500,
        chunk_rows: 1,
        name_bytes: 1,
    };
    const CHUNK_ROW: ChunkRow =
        ChunkRow { first_offset: 10, start_bytes: 100, at: 600, messages: 2, bytes: 3 };

    fn chunk() -> Chunk {
        let mut chunk = Chunk::new(10, 100, b"ab");
        chunk.push(b"c");
        chunk
    }

    /// Bytes of which one bit is another, for each of them.
    fn flipped<const N: usize>(good: [u8; N]) -> impl Iterator<Item = [u8; N]> {
        (0..N * 8).map(move |bit| {
            let mut bad = good;
            bad[bit / 8] ^= 1 << (bit % 8);
            bad
        })
    }

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(Header::read(&HEADER.write()), Ok(HEADER));
        assert_eq!(KeyRow::read(&KEY_ROW.write(3, 1), 3, 1), Some(KEY_ROW));
        assert_eq!(ChunkRow::read(&CHUNK_ROW.write()), Some(CHUNK_ROW));
        assert_eq!(ChunkRow::of(&chunk(), 600), CHUNK_ROW);
        let mut bytes = Vec::new();
        write_chunk(&chunk(), &mut bytes);
        assert_eq!(bytes.len(), CHUNK_ROW.size_bytes());
        assert_eq!(bytes.len() as u64, chunk_bytes(&chunk()));
        assert_eq!(read_chunk(&CHUNK_ROW, &bytes), Some(chunk()));
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        assert!(flipped(HEADER.write()).all(|bytes| Header::read(&bytes).is_err()));
        assert!(flipped(KEY_ROW.write(3, 1)).all(|bytes| KeyRow::read(&bytes, 3, 1).is_none()));
        assert!(flipped(CHUNK_ROW.write()).all(|bytes| ChunkRow::read(&bytes).is_none()));
        let mut bytes = Vec::new();
        write_chunk(&chunk(), &mut bytes);
        let bytes: [u8; 15] = bytes.try_into().unwrap();
        assert!(flipped(bytes).all(|bytes| read_chunk(&CHUNK_ROW, &bytes).is_none()));
    }

    #[test]
    fn the_row_of_another_key_or_of_another_segment_is_not_taken_for_this_one() {
        let bytes = KEY_ROW.write(3, 1);
        assert!(KeyRow::read(&bytes, 4, 1).is_none());
        assert!(KeyRow::read(&bytes, 3, 0).is_none());
    }

    #[test]
    fn what_cannot_be_is_not_believed_whatever_its_checksum_says() {
        let wrong = [
            KeyRow { offsets: (12, 10), ..KEY_ROW },
            KeyRow { offsets: (10, u64::MAX), ..KEY_ROW },
            KeyRow { bytes: (104, 103), ..KEY_ROW },
            KeyRow { committed: Some(12), ..KEY_ROW },
            KeyRow { chunk_rows: 0, ..KEY_ROW },
        ];
        assert!(wrong.iter().all(|row| KeyRow::read(&row.write(3, 1), 3, 1).is_none()));
        let wrong = [
            ChunkRow { messages: 3, ..CHUNK_ROW },
            ChunkRow { messages: 0, ..CHUNK_ROW },
            ChunkRow { first_offset: 9, ..CHUNK_ROW },
            ChunkRow { start_bytes: 101, ..CHUNK_ROW },
        ];
        assert!(CHUNK_ROW.is_of(&KEY_ROW) && !wrong.iter().any(|row| row.is_of(&KEY_ROW)));
        let header = Header { names_bytes: 900, ..HEADER };
        assert_eq!(Header::read(&header.write()), Err(Damage::Header));
    }

    #[test]
    fn a_later_version_is_told_from_damage() {
        let mut bytes = HEADER.write();
        bytes[8] = 2;
        let crc = crc32fast::hash(&bytes[..60]);
        bytes[60..].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(Header::read(&bytes), Err(Damage::Version(2)));
    }
}
