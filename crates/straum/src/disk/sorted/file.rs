//! Reading one sorted segment where it is: never all of it, and never without checking what was read.

use std::ops::Range;

use super::format::{
    BLOCK_SLOTS, CHUNK_ROW_BYTES, ChunkRow, HEADER_BYTES, Header, INDEX_ENTRY_BYTES, Row, Rows,
    TRAILER_BYTES, Trailer, block_crc, read_chunk, read_index_entry,
};
use super::state_items::restore_items;
use crate::Offset;
use crate::disk::names::sorted_name;
use crate::disk::open_error::OpenError;
use crate::disk::wal_format::HeaderError;
use crate::files::{File, Files};
use crate::read::ReadError;
use crate::state::State;
use crate::state::chunk::Chunk;
use crate::state::log::LogSummary;

/// What is read at once when a whole file is checked, in bytes.
const CHECK_BYTES: u64 = 1024 * 1024;

/// A sorted segment, as its header and its trailer describe it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sorted {
    pub(crate) header: Header,
    pub(crate) trailer: Trailer,
}

impl Sorted {
    pub(crate) fn name(&self) -> String {
        sorted_name(self.header.first_position, self.trailer.generation)
    }

    pub(crate) fn open<F: Files>(&self, files: &F) -> Result<OpenSorted<F::File>, ReadError> {
        let name = self.name();
        match files.open(&name) {
            Ok(file) => Ok(OpenSorted { sorted: *self, name, file }),
            Err(error) => Err(ReadError::Io { file: name, error }),
        }
    }

    /// Reads the header and the trailer of a file, and sees that it has the name and the size that they say.
    pub(crate) fn read(files: &impl Files, name: &str) -> Result<Self, OpenError> {
        let damaged = |byte| OpenError::Damaged { file: name.into(), byte };
        let file = files.open(name).map_err(OpenError::at(name))?;
        let file_bytes = file.size_bytes().map_err(OpenError::at(name))?;
        if file_bytes < (HEADER_BYTES + TRAILER_BYTES) as u64 {
            return Err(damaged(file_bytes));
        }
        let mut bytes = [0; HEADER_BYTES];
        file.read_at(0, &mut bytes).map_err(OpenError::at(name))?;
        let header = match Header::read(&bytes) {
            Ok(header) => header,
            Err(HeaderError::Version(version)) => {
                return Err(OpenError::Version { file: name.into(), version });
            }
            Err(HeaderError::Damaged) => return Err(damaged(0)),
        };
        let trailer_at = file_bytes - TRAILER_BYTES as u64;
        let mut bytes = [0; TRAILER_BYTES];
        file.read_at(trailer_at, &mut bytes).map_err(OpenError::at(name))?;
        let trailer = Trailer::read(&bytes, &header).ok_or_else(|| damaged(trailer_at))?;
        let sorted = Self { header, trailer };
        match sorted.name() {
            own if own != name => Err(damaged(0)),
            _ if trailer.size_bytes != file_bytes => Err(damaged(trailer_at)),
            _ => Ok(sorted),
        }
    }
}

/// What a sorted segment says of a log, and where its records are.
#[derive(Clone, Debug)]
pub(crate) struct Located {
    pub(crate) summary: LogSummary,
    /// The log's next offset before this file.
    pub(crate) first_offset: Offset,
    pub(crate) records: Range<u64>,
    pub(crate) chunks: u32,
}

/// A sorted segment that is open.
#[derive(Debug)]
pub(crate) struct OpenSorted<T> {
    pub(crate) sorted: Sorted,
    name: String,
    file: T,
}

/// The rows of a block, with where the records of the first log begin.
#[derive(Debug)]
pub(crate) struct RowBlock {
    number: u32,
    at: u64,
    bytes: Vec<u8>,
    base_time_ms: u64,
}

impl<T: File> OpenSorted<T> {
    /// The rows of a block; none if there is no such block.
    pub(crate) fn block(&self, number: u32) -> Result<Option<RowBlock>, ReadError> {
        let Sorted { header, trailer } = &self.sorted;
        if number >= trailer.blocks() {
            return Ok(None);
        }
        let entry_at = trailer.index_at + u64::from(number) * INDEX_ENTRY_BYTES as u64;
        let mut entry = [0; INDEX_ENTRY_BYTES];
        self.fill(entry_at, &mut entry)?;
        let (at, size_bytes) = read_index_entry(&entry).ok_or_else(|| self.damaged(entry_at))?;
        if size_bytes < 4 || at.saturating_add(size_bytes.into()) > trailer.state_at {
            return Err(self.damaged(entry_at));
        }
        let mut bytes = self.read(at..at + u64::from(size_bytes))?;
        let rows = bytes.split_off(4);
        if bytes != block_crc(header, number, &rows).to_le_bytes() {
            return Err(self.damaged(at));
        }
        Ok(Some(RowBlock { number, at, bytes: rows, base_time_ms: header.base_time_ms }))
    }

    /// The rows of a block that was read, each with where its log's records are.
    pub(crate) fn rows(&self, block: &RowBlock) -> Result<Vec<(String, u32, Located)>, ReadError> {
        let broken = || self.damaged(block.at);
        let rows: Vec<Row<'_>> = Rows::new(block.number, &block.bytes, block.base_time_ms)
            .collect::<Option<_>>()
            .ok_or_else(broken)?;
        let all_bytes: u64 = rows.iter().map(|row| row.records_bytes).sum();
        let mut at = block.at.checked_sub(all_bytes).ok_or_else(broken)?;
        let located = |row: Row<'_>| {
            let records = at..at + row.records_bytes;
            at = records.end;
            (row.key.to_owned(), row.slot, Located::of(&row, records))
        };
        Ok(rows.into_iter().map(located).collect())
    }

    /// What is known of a log; nothing if it began to exist later.
    pub(crate) fn find(&self, slot: u32, id: u64) -> Result<Option<Located>, ReadError> {
        let Some(block) = self.block(slot / BLOCK_SLOTS)? else { return Ok(None) };
        let mut found = None;
        let mut behind_bytes = 0;
        for row in Rows::new(block.number, &block.bytes, block.base_time_ms) {
            let row = row.ok_or_else(|| self.damaged(block.at))?;
            behind_bytes += row.records_bytes;
            if row.slot == slot && row.summary.id == id {
                behind_bytes = 0;
                found = Some(row);
            }
        }
        let Some(row) = found else { return Ok(None) };
        let end = block.at.checked_sub(behind_bytes);
        let start = end.and_then(|end| end.checked_sub(row.records_bytes));
        let records = start.zip(end).ok_or_else(|| self.damaged(block.at))?;
        Ok(Some(Located::of(&row, records.0..records.1)))
    }

    /// Where the chunks of a log are, from the one that holds an offset on, or the first after it: as many as
    /// have about so many bytes, and at least one, if there is one.
    pub(crate) fn chunk_places(
        &self,
        log: &Located,
        from: Offset,
        most_bytes: u64,
    ) -> Result<Vec<Range<u64>>, ReadError> {
        let Some(rows_at) = log.chunk_rows_at() else {
            let has_it = log.chunks == 1 && from < log.summary.next_offset;
            return Ok(if has_it { vec![log.records.clone()] } else { Vec::new() });
        };
        let mut number = self.search_chunk(log, rows_at, from)?;
        let mut places = Vec::new();
        let mut start = self.chunk_row(log, rows_at, number)?;
        let most_end = start.at.saturating_add(most_bytes);
        while number < log.chunks {
            let next = match number + 1 {
                next if next == log.chunks => None,
                next => Some(self.chunk_row(log, rows_at, next)?),
            };
            let end = next.as_ref().map_or(rows_at, |next| next.at);
            places.push(start.at..end);
            number += 1;
            match next {
                Some(next) if end < most_end => start = next,
                _ => break,
            }
        }
        Ok(places)
    }
    /// The number of the last chunk that begins at or before an offset; the first one if none does.
    fn search_chunk(&self, log: &Located, rows_at: u64, from: Offset) -> Result<u32, ReadError> {
        let (mut low, mut high) = (0, log.chunks);
        while high - low > 1 {
            let middle = low.midpoint(high);
            if self.chunk_row(log, rows_at, middle)?.first_offset <= from {
                low = middle;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }

    fn chunk_row(&self, log: &Located, rows_at: u64, number: u32) -> Result<ChunkPlace, ReadError> {
        let at = rows_at + u64::from(number) * CHUNK_ROW_BYTES as u64;
        let mut bytes = [0; CHUNK_ROW_BYTES];
        self.fill(at, &mut bytes)?;
        let row = ChunkRow::read(&bytes, &self.sorted.header, log.summary.id);
        let place = row.map(|row| ChunkPlace {
            first_offset: row.first_offset,
            at: log.records.start + u64::from(row.at),
        });
        place.filter(|place| place.at < rows_at).ok_or_else(|| self.damaged(at))
    }

    /// Chunks of a log, adjacent in the file, at these places.
    pub(crate) fn chunks(
        &self,
        log: &Located,
        places: &[Range<u64>],
    ) -> Result<Vec<Chunk>, ReadError> {
        let (Some(first), Some(last)) = (places.first(), places.last()) else {
            return Ok(Vec::new());
        };
        let bytes = self.read(first.start..last.end)?;
        let chunk = |place: &Range<u64>| {
            let of = |at: u64| usize::try_from(at.checked_sub(first.start)?).ok();
            let bytes = bytes.get(of(place.start)?..of(place.end)?)?;
            read_chunk(bytes, &self.sorted.header, log.summary.id)
        };
        let chunk = |place| chunk(place).ok_or_else(|| self.damaged(place.start));
        places.iter().map(chunk).collect()
    }

    /// Puts all that was known at the end of this file into an empty state.
    pub(crate) fn restore(&self, state: &mut State) -> Result<(), ReadError> {
        let Sorted { header, trailer } = &self.sorted;
        for number in 0..trailer.blocks() {
            let Some(block) = self.block(number)? else { break };
            for row in Rows::new(number, &block.bytes, header.base_time_ms) {
                let row = row.filter(|row| {
                    let is_known = row.summary.id < trailer.next_log_id && row.slot < trailer.slots;
                    is_known && state.logs.restore(row.slot, row.key, row.summary)
                });
                row.ok_or_else(|| self.damaged(block.at))?;
            }
        }
        state.logs.restored(trailer.next_log_id);
        state.last_version = trailer.last_version;
        state.set_time(trailer.newest_time_ms);
        self.restore_items(state)
    }

    fn restore_items(&self, state: &mut State) -> Result<(), ReadError> {
        let Sorted { header, trailer } = &self.sorted;
        let mut at = trailer.state_at;
        while at < trailer.index_at {
            let mut head = [0; 8];
            self.fill(at, &mut head)?;
            let (length, crc) = head.split_at(4);
            let length = length.first_chunk().copied().map_or(0, u32::from_le_bytes);
            let end = (at + 8).saturating_add(length.into());
            if end > trailer.index_at {
                return Err(self.damaged(at));
            }
            let items = self.read(at + 8..end)?;
            let is_whole =
                crc == header.identity.checksum(&[header.first_position], &items).to_le_bytes();
            if !is_whole || restore_items(&items, header.base_time_ms, state).is_none() {
                return Err(self.damaged(at));
            }
            at = end;
        }
        Ok(())
    }

    /// Whether the file is as it was written, to the last byte.
    pub(crate) fn is_whole(&self) -> Result<bool, ReadError> {
        let body_end = self.sorted.trailer.size_bytes - TRAILER_BYTES as u64;
        let mut crc = crc32fast::Hasher::new();
        let mut at = 0;
        while at < body_end {
            let end = body_end.min(at + CHECK_BYTES);
            crc.update(&self.read(at..end)?);
            at = end;
        }
        Ok(crc.finalize() == self.sorted.trailer.body_crc)
    }

    /// Bytes of the file, not yet checked. There is never room made for more than there is.
    fn read(&self, place: Range<u64>) -> Result<Vec<u8>, ReadError> {
        let size_bytes =
            place.end.checked_sub(place.start).and_then(|size| usize::try_from(size).ok());
        let within = place.end <= self.sorted.trailer.size_bytes;
        let Some(size_bytes) = size_bytes.filter(|_| within) else {
            return Err(self.damaged(place.start));
        };
        let mut bytes = vec![0; size_bytes];
        self.fill(place.start, &mut bytes)?;
        Ok(bytes)
    }

    fn fill(&self, at: u64, bytes: &mut [u8]) -> Result<(), ReadError> {
        self.file
            .read_at(at, bytes)
            .map_err(|error| ReadError::Io { file: self.name.clone(), error })
    }

    fn damaged(&self, byte: u64) -> ReadError {
        ReadError::Damaged { file: self.name.clone(), byte }
    }
}

/// Where a chunk begins, in the log and in the file.
struct ChunkPlace {
    first_offset: Offset,
    at: u64,
}

impl Located {
    fn of(row: &Row<'_>, records: Range<u64>) -> Self {
        let first_offset = row.summary.next_offset.saturating_sub(row.offsets);
        Self { summary: row.summary, first_offset, records, chunks: row.chunks }
    }

    /// Where the rows of its chunks begin; none if it has no more than one chunk, which needs none.
    fn chunk_rows_at(&self) -> Option<u64> {
        let rows_bytes = u64::from(self.chunks) * CHUNK_ROW_BYTES as u64;
        (self.chunks > 1).then(|| self.records.end.saturating_sub(rows_bytes))
    }

    /// How many bytes of the records are before an offset; about.
    pub(crate) fn bytes_before(&self, offset: Offset) -> u64 {
        let offsets = self.summary.next_offset - self.first_offset;
        let before = offset.clamp(self.first_offset, self.summary.next_offset) - self.first_offset;
        let bytes = u128::from(self.records.end - self.records.start) * u128::from(before);
        u64::try_from(bytes / u128::from(offsets.max(1))).unwrap_or(0)
    }
}
