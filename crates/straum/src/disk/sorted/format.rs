//! The bytes of a sorted segment, as `docs/format.md` draws them. Never reads or writes a file.
//!
//! ```text
//! sorted segment = header  group*  state block*  index entry*  trailer
//! header         = magic (8) version (4) zero (4) identity (16) first position (8) base time (8) zero (12) crc (4)
//! group          = records of 64 slots, in order; then their row block
//! records        = chunk, or at least two chunks and a chunk row for each; nothing if there are none
//! chunk          = crc (4) first offset, offsets, records, bytes, start bytes: varints; base time: signed varint;
//!                  frame+
//! chunk row      = first offset (8) at (4) max time (8) crc (4)
//! row block      = crc (4) row*
//! row            = skipped slots: varint; id: signed varint; key; start offset, offsets left, offsets
//!                  here, start bytes, bytes left: varints; max time: signed varint; records size, chunks: varints
//! state block    = length (4) crc (4) item+
//! index entry    = row block at (8) row block size (4)
//! trailer        = 96 bytes, see `Trailer`
//! ```
//!
//! Numbers of a fixed width are little-endian. Signed varints of times say how much later than the base time.

use crate::bytes::{Reader, put_bytes, put_difference, put_varint};
use crate::disk::wal_format::{HeaderError, SEGMENT_HEADER_BYTES, VERSION, checked_header};
use crate::identity::{IDENTITY_BYTES, Identity};
use crate::state::chunk::{Chunk, Counts};
use crate::state::log::LogSummary;
use crate::{MAX_OFFSET, Offset, Position};

const MAGIC: [u8; 8] = *b"STRAUMS\n";

/// The size of the header, in bytes.
pub(crate) const HEADER_BYTES: usize = SEGMENT_HEADER_BYTES;

/// The size of the trailer, in bytes.
pub(crate) const TRAILER_BYTES: usize = 96;

/// The size of a chunk's row, in bytes.
pub(crate) const CHUNK_ROW_BYTES: usize = 24;

/// The size of an index entry, in bytes.
pub(crate) const INDEX_ENTRY_BYTES: usize = 12;

/// How many slots have their rows in one block.
pub(crate) const BLOCK_SLOTS: u32 = 64;

/// What the header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) identity: Identity,
    /// The position of the first entry that it stands for.
    pub(crate) first_position: Position,
    /// What times are counted from, in milliseconds since 1970.
    pub(crate) base_time_ms: u64,
}

impl Header {
    pub(crate) fn write(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[16..32].copy_from_slice(self.identity.bytes());
        bytes[32..40].copy_from_slice(&self.first_position.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.base_time_ms.to_le_bytes());
        let crc = crc32fast::hash(&bytes[..60]);
        bytes[60..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// # Errors
    /// [`HeaderError`].
    pub(crate) fn read(bytes: &[u8; HEADER_BYTES]) -> Result<Self, HeaderError> {
        let mut reader = checked_header(bytes, MAGIC)?;
        let mut header = || {
            reader.u32()?;
            Some(Self {
                identity: Identity::new(reader.array::<IDENTITY_BYTES>()?),
                first_position: reader.u64()?,
                base_time_ms: reader.u64()?,
            })
        };
        header().ok_or(HeaderError::Damaged)
    }
}

/// What stands at the end of the file.
///
/// ```text
/// end position (8) file size (8) newest time (8) state at (8) index at (8) next log id (8) last version (8)
/// records size (8) slots (4) crc of all before the trailer (4) generation (4) zero (16) crc (4)
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Trailer {
    /// The position after the last entry that it stands for.
    pub(crate) end_position: Position,
    /// Of the whole file.
    pub(crate) size_bytes: u64,
    /// When the last of its commands was applied, in milliseconds since 1970.
    pub(crate) newest_time_ms: u64,
    /// Where the state blocks begin.
    pub(crate) state_at: u64,
    /// Where the index begins, and the state blocks end.
    pub(crate) index_at: u64,
    pub(crate) next_log_id: u64,
    pub(crate) last_version: u64,
    /// Of the records of all logs together, with their chunk rows.
    pub(crate) records_bytes: u64,
    /// How many slots there are, free ones included.
    pub(crate) slots: u32,
    /// Of everything before the trailer.
    pub(crate) body_crc: u32,
    /// Of two sorted segments that stand for the same entry, the one with the higher generation counts.
    pub(crate) generation: u32,
}

impl Trailer {
    pub(crate) fn write(&self, header: &Header) -> [u8; TRAILER_BYTES] {
        let mut bytes = [0; TRAILER_BYTES];
        let numbers = [
            self.end_position,
            self.size_bytes,
            self.newest_time_ms,
            self.state_at,
            self.index_at,
            self.next_log_id,
            self.last_version,
            self.records_bytes,
        ];
        for (place, number) in bytes.chunks_exact_mut(8).zip(numbers) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        bytes[64..68].copy_from_slice(&self.slots.to_le_bytes());
        bytes[68..72].copy_from_slice(&self.body_crc.to_le_bytes());
        bytes[72..76].copy_from_slice(&self.generation.to_le_bytes());
        let crc = header.identity.checksum(&[header.first_position], &bytes[..92]);
        bytes[92..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// None if the bytes are not the trailer of this file.
    pub(crate) fn read(bytes: &[u8; TRAILER_BYTES], header: &Header) -> Option<Self> {
        let crc = header.identity.checksum(&[header.first_position], &bytes[..92]);
        let mut reader = Reader(bytes);
        let trailer = Self {
            end_position: reader.u64()?,
            size_bytes: reader.u64()?,
            newest_time_ms: reader.u64()?,
            state_at: reader.u64()?,
            index_at: reader.u64()?,
            next_log_id: reader.u64()?,
            last_version: reader.u64()?,
            records_bytes: reader.u64()?,
            slots: reader.u32()?,
            body_crc: reader.u32()?,
            generation: reader.u32()?,
        };
        let index_bytes = u64::from(trailer.blocks()) * INDEX_ENTRY_BYTES as u64;
        let sane = header.first_position < trailer.end_position
            && trailer.end_position < MAX_OFFSET
            && trailer.state_at >= HEADER_BYTES as u64
            && trailer.state_at <= trailer.index_at
            && trailer.size_bytes < MAX_OFFSET
            && trailer.index_at.checked_add(index_bytes + TRAILER_BYTES as u64)
                == Some(trailer.size_bytes);
        (bytes[92..] == crc.to_le_bytes() && sane).then_some(trailer)
    }

    /// How many row blocks there are.
    pub(crate) fn blocks(&self) -> u32 {
        self.slots.div_ceil(BLOCK_SLOTS)
    }
}

/// What is known of a log at the end of a sorted segment, and which records of it are in there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row<'a> {
    pub(crate) slot: u32,
    pub(crate) key: &'a str,
    pub(crate) summary: LogSummary,
    /// How many of its offsets were appended by the entries of this file, whether they are left or not.
    pub(crate) offsets: u64,
    /// How many bytes its records take in the file, with their chunk rows.
    pub(crate) records_bytes: u64,
    pub(crate) chunks: u32,
}

/// Appends a row to its block; `previous` are the slot and the id of the row before it.
pub(crate) fn put_row(
    row: &Row<'_>,
    previous: Option<(u32, u64)>,
    base_time_ms: u64,
    out: &mut Vec<u8>,
) {
    let (next_slot, previous_id) = match previous {
        Some((slot, id)) => (slot + 1, id),
        None => (row.slot - row.slot % BLOCK_SLOTS, 0),
    };
    let LogSummary { id, start_offset, start_bytes, next_offset, end_bytes, max_time_ms } =
        row.summary;
    put_varint((row.slot - next_slot).into(), out);
    put_difference(previous_id, id, out);
    put_bytes(row.key.as_bytes(), out);
    put_varint(start_offset, out);
    put_varint(next_offset - start_offset, out);
    put_varint(row.offsets, out);
    put_varint(start_bytes, out);
    put_varint(end_bytes - start_bytes, out);
    put_difference(base_time_ms, max_time_ms, out);
    put_varint(row.records_bytes, out);
    put_varint(row.chunks.into(), out);
}

/// The rows of a block, in order. None as the last item if what follows is no row.
#[derive(Debug)]
pub(crate) struct Rows<'a> {
    reader: Reader<'a>,
    next_slot: u64,
    end_slot: u64,
    id: u64,
    base_time_ms: u64,
    is_broken: bool,
}

impl<'a> Rows<'a> {
    pub(crate) fn new(block: u32, rows: &'a [u8], base_time_ms: u64) -> Self {
        let next_slot = u64::from(block) * u64::from(BLOCK_SLOTS);
        let end_slot = next_slot + u64::from(BLOCK_SLOTS);
        Self { reader: Reader(rows), next_slot, end_slot, id: 0, base_time_ms, is_broken: false }
    }

    fn take(&mut self) -> Option<Row<'a>> {
        let reader = &mut self.reader;
        let slot =
            self.next_slot.checked_add(reader.varint()?).filter(|slot| *slot < self.end_slot)?;
        let id = reader.difference(self.id)?;
        let key = reader.text()?;
        let (start_offset, left_offsets) = (reader.varint()?, reader.varint()?);
        let offsets = reader.varint()?;
        let (start_bytes, bytes) = (reader.varint()?, reader.varint()?);
        let max_time_ms = reader.difference(self.base_time_ms)?;
        let (records_bytes, chunks) = (reader.varint()?, reader.varint32()?);
        let limited = |number: u64| (number <= MAX_OFFSET).then_some(number);
        let summary = LogSummary {
            id,
            start_offset,
            start_bytes,
            next_offset: limited(start_offset.checked_add(left_offsets)?)?,
            end_bytes: limited(start_bytes.checked_add(bytes)?)?,
            max_time_ms,
        };
        let index_bytes = if chunks > 1 { u64::from(chunks) * CHUNK_ROW_BYTES as u64 } else { 0 };
        if (records_bytes == 0) != (chunks == 0) || limited(records_bytes)? < index_bytes {
            return None;
        }
        if offsets > summary.next_offset || (chunks > 0 && offsets == 0) {
            return None;
        }
        self.next_slot = slot + 1;
        self.id = id;
        Some(Row { slot: u32::try_from(slot).ok()?, key, summary, offsets, records_bytes, chunks })
    }
}

impl<'a> Iterator for Rows<'a> {
    type Item = Option<Row<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_broken || self.reader.is_empty() {
            return None;
        }
        let row = self.take();
        self.is_broken = row.is_none();
        Some(row)
    }
}

/// The checksum of a row block.
pub(crate) fn block_crc(header: &Header, block: u32, rows: &[u8]) -> u32 {
    header.identity.checksum(&[header.first_position, block.into()], rows)
}

/// Where a row block is: its place and its size, both in bytes.
pub(crate) fn put_index_entry(at: u64, size_bytes: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(&at.to_le_bytes());
    out.extend_from_slice(&size_bytes.to_le_bytes());
}

pub(crate) fn read_index_entry(bytes: &[u8; INDEX_ENTRY_BYTES]) -> Option<(u64, u32)> {
    let mut reader = Reader(bytes);
    Some((reader.u64()?, reader.u32()?))
}

/// Where a chunk is among the records of its log, and what is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChunkRow {
    pub(crate) first_offset: Offset,
    /// From the beginning of the log's records in this file, in bytes.
    pub(crate) at: u32,
    /// The latest time of a record in this chunk or one before it in this file, in milliseconds since 1970.
    pub(crate) max_time_ms: u64,
}

impl ChunkRow {
    pub(crate) fn put(&self, header: &Header, log_id: u64, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&self.first_offset.to_le_bytes());
        out.extend_from_slice(&self.at.to_le_bytes());
        out.extend_from_slice(&self.max_time_ms.to_le_bytes());
        let crc = header.identity.checksum(&[header.first_position, log_id], &out[start..]);
        out.extend_from_slice(&crc.to_le_bytes());
    }

    /// None if the bytes are no row of this log in this file.
    pub(crate) fn read(
        bytes: &[u8; CHUNK_ROW_BYTES],
        header: &Header,
        log_id: u64,
    ) -> Option<Self> {
        let crc = header.identity.checksum(&[header.first_position, log_id], &bytes[..20]);
        let mut reader = Reader(bytes);
        let row =
            Self { first_offset: reader.u64()?, at: reader.u32()?, max_time_ms: reader.u64()? };
        (bytes[20..] == crc.to_le_bytes()).then_some(row)
    }
}

/// Appends a chunk to what goes to the file.
pub(crate) fn put_chunk(chunk: &Chunk, header: &Header, log_id: u64, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    let Counts { offsets, records, bytes } = chunk.counts();
    put_varint(chunk.first_offset(), out);
    put_varint(offsets.into(), out);
    put_varint(records.into(), out);
    put_varint(bytes.into(), out);
    put_varint(chunk.log_bytes().start, out);
    put_difference(header.base_time_ms, chunk.base_time_ms(), out);
    out.extend_from_slice(chunk.frames());
    let crc = header.identity.checksum(&[log_id], &out[start + 4..]);
    out[start..start + 4].copy_from_slice(&crc.to_le_bytes());
}

/// The chunk of a log that these bytes are. None if they are another's or damaged.
pub(crate) fn read_chunk(bytes: &[u8], header: &Header, log_id: u64) -> Option<Chunk> {
    let (crc, content) = bytes.split_first_chunk()?;
    if u32::from_le_bytes(*crc) != header.identity.checksum(&[log_id], content) {
        return None;
    }
    let mut reader = Reader(content);
    let first_offset = reader.varint().filter(|first| *first < MAX_OFFSET)?;
    let counts = Counts {
        offsets: reader.varint32()?,
        records: reader.varint32()?,
        bytes: reader.varint32()?,
    };
    let start_bytes = reader.varint().filter(|start| *start < MAX_OFFSET)?;
    let base_time_ms = reader.difference(header.base_time_ms)?;
    Chunk::of_frames(first_offset, start_bytes, base_time_ms, counts, reader.0)
}
