//! Sealed segments: the messages of full segments, sorted by key, with what is known of every key at their
//! end. They are read where they are; never all of one, and never without checking what was read.

pub(crate) mod format;
pub(crate) mod sealing;

use std::io;
use std::ops::Range;

use crate::chunk::{Budget, Chunk};
use crate::files::{File, Files};
use crate::journal::format::Damage;
use crate::journal::recovery::OpenError;
use crate::journal::{ReadError, SEALED_SUFFIX};
use crate::log::Log;
use crate::logs::Logs;
use crate::{Offset, Position};

use self::format::{
    CHUNK_ROW_BYTES, ChunkRow, HEADER_BYTES, Header, KEY_ROW_BYTES, KeyRow, read_chunk,
};

/// The name of the sealed segment whose first entry is at a position: in the order of the positions.
pub(crate) fn sealed_name(first_position: Position) -> String {
    format!("{first_position:020}{SEALED_SUFFIX}")
}

/// All sealed segments that are left.
#[derive(Debug, Default)]
pub(crate) struct SealedSegments {
    /// Invariant: in order, and each begins where the one before ends.
    headers: Vec<Header>,
}

impl SealedSegments {
    pub(crate) fn push(&mut self, header: Header) {
        debug_assert!(self.end_position().is_none_or(|end| end == header.first_position));
        self.headers.push(header);
    }

    /// The position after the last sealed entry; none if there is no sealed segment.
    pub(crate) fn end_position(&self) -> Option<Position> {
        self.headers.last().map(|header| header.end_position)
    }

    /// The oldest one, if it is not the only one: the newest is needed for what it says of every key.
    pub(crate) fn oldest_but_newest(&self) -> Option<&Header> {
        self.headers.first().filter(|_| self.headers.len() > 1)
    }

    /// All sizes together.
    pub(crate) fn size_bytes(&self) -> u64 {
        self.headers.iter().map(|header| header.size_bytes).sum()
    }

    /// Removes the oldest one for good: the next may go only when it is certain that this one is gone.
    pub(crate) fn remove_oldest(&mut self, files: &impl Files) -> io::Result<()> {
        files.remove(&sealed_name(self.headers[0].first_position))?;
        files.sync_names()?;
        self.headers.remove(0);
        Ok(())
    }

    /// The logs as they were at the end of the newest sealed segment, with no message in memory.
    pub(crate) fn restore(&self, files: &impl Files) -> Result<Logs, ReadError> {
        let mut logs = Logs::default();
        if let Some(header) = self.headers.last() {
            Sealed::open(files, header)?.restore(&mut logs)?;
        }
        Ok(logs)
    }

    /// The messages of the log of this number from the first on that is left at or after an offset, as far
    /// as the budget goes.
    pub(crate) fn chunks(
        &self,
        files: &impl Files,
        number: usize,
        from: Offset,
        mut budget: Budget,
    ) -> Result<Vec<Chunk>, ReadError> {
        let mut from = from.max(self.first_left(files, number)?);
        let mut chunks = Vec::new();
        while !budget.is_spent()
            && let Some((sealed, row)) = self.find(files, number, from)?
        {
            let before = chunks.len();
            sealed.read_chunks(&row, from, &mut budget, &mut chunks)?;
            match chunks.last() {
                Some(last) if chunks.len() > before => from = last.next_offset(),
                _ => break,
            }
        }
        Ok(chunks)
    }

    /// The first offset of a log that was not removed.
    fn first_left(&self, files: &impl Files, number: usize) -> Result<Offset, ReadError> {
        let Some(oldest) = self.headers.first() else { return Ok(0) };
        let row = Sealed::open(files, oldest)?.key_row(number)?;
        Ok(row.map_or(0, |row| row.offsets.0))
    }

    /// The first sealed segment that has a message of this log at or after an offset.
    fn find<F: Files>(
        &self,
        files: &F,
        number: usize,
        from: Offset,
    ) -> Result<Found<F::File>, ReadError> {
        let (mut low, mut high) = (0, self.headers.len());
        let mut found = None;
        while low < high {
            let middle = low.midpoint(high);
            let sealed = Sealed::open(files, &self.headers[middle])?;
            match sealed.key_row(number)? {
                Some(row) if row.offsets.1 > from => {
                    found = Some((sealed, row));
                    high = middle;
                }
                _ => low = middle + 1,
            }
        }
        Ok(found)
    }
}

/// Reads the header of a sealed segment, and sees that the file has the size that it says.
pub(crate) fn read_header(files: &impl Files, name: &str) -> Result<Header, OpenError> {
    let damaged = |byte| OpenError::Damaged { file: name.into(), byte };
    let file = files.open(name).map_err(OpenError::at(name))?;
    let file_bytes = file.size_bytes().map_err(OpenError::at(name))?;
    let mut bytes = [0; HEADER_BYTES];
    if file_bytes < bytes.len() as u64 {
        return Err(damaged(0));
    }
    file.read_at(0, &mut bytes).map_err(OpenError::at(name))?;
    match Header::read(&bytes) {
        Ok(header) if sealed_name(header.first_position) != name => Err(damaged(0)),
        Ok(header) if header.size_bytes != file_bytes => {
            Err(damaged(header.size_bytes.min(file_bytes)))
        }
        Ok(header) => Ok(header),
        Err(Damage::Version(version)) => Err(OpenError::Version { file: name.into(), version }),
        Err(_) => Err(damaged(0)),
    }
}

/// A segment that has what is looked for, and the key's row in it; if there is one.
type Found<T> = Option<(Sealed<T>, KeyRow)>;

/// One sealed segment, open.
struct Sealed<T> {
    header: Header,
    name: String,
    file: T,
}

impl<T: File> Sealed<T> {
    fn open(files: &impl Files<File = T>, header: &Header) -> Result<Self, ReadError> {
        let name = sealed_name(header.first_position);
        match files.open(&name) {
            Ok(file) => Ok(Self { header: *header, name, file }),
            Err(error) => Err(ReadError::Io { file: name, error }),
        }
    }

    fn restore(&self, logs: &mut Logs) -> Result<(), ReadError> {
        let names_at = self.header.names_at();
        let rows = self.read(HEADER_BYTES as u64..names_at)?;
        let names = self.read(names_at..names_at + self.header.names_bytes)?;
        if crc32fast::hash(&names) != self.header.names_crc {
            return Err(self.damaged(names_at));
        }
        let mut names = names.as_slice();
        logs.reserve(self.header.keys as usize);
        for (number, bytes) in rows.as_chunks().0.iter().enumerate() {
            let damaged = || self.damaged(Header::key_row_at(number));
            let row = self.row_of(bytes, number).ok_or_else(damaged)?;
            let (name, rest) =
                names.split_at_checked(row.name_bytes as usize).ok_or_else(damaged)?;
            let key = str::from_utf8(name).map_err(|_| damaged())?;
            let log = Log::restored(row.offsets.1, row.bytes.1, row.committed);
            if !logs.restore(key, log) {
                return Err(damaged());
            }
            names = rest;
        }
        Ok(())
    }

    /// What is known of the log of this number; nothing if it began to exist later.
    fn key_row(&self, number: usize) -> Result<Option<KeyRow>, ReadError> {
        if number >= self.header.keys as usize {
            return Ok(None);
        }
        let at = Header::key_row_at(number);
        let mut bytes = [0; KEY_ROW_BYTES];
        self.file.read_at(at, &mut bytes).map_err(|error| self.unreadable(error))?;
        self.row_of(&bytes, number).map(Some).ok_or_else(|| self.damaged(at))
    }

    fn row_of(&self, bytes: &[u8; KEY_ROW_BYTES], number: usize) -> Option<KeyRow> {
        KeyRow::read(bytes, self.header.first_position, number)
    }

    /// Appends the messages from an offset on, as far as the budget goes.
    fn read_chunks(
        &self,
        key: &KeyRow,
        from: Offset,
        budget: &mut Budget,
        chunks: &mut Vec<Chunk>,
    ) -> Result<(), ReadError> {
        let rows = self.chunk_rows(key, from, budget.clone())?;
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return Ok(()) };
        let bytes = self.read(first.at..last.end())?;
        let mut rest = bytes.as_slice();
        for row in &rows {
            let (chunk, behind) = rest.split_at_checked(row.size_bytes()).unwrap_or_default();
            let chunk = read_chunk(row, chunk).ok_or_else(|| self.damaged(row.at))?;
            chunks.extend(chunk.cut(from, budget));
            rest = behind;
        }
        Ok(())
    }

    /// The rows of the chunks that the budget reaches into: adjacent, in order.
    fn chunk_rows(
        &self,
        key: &KeyRow,
        from: Offset,
        mut budget: Budget,
    ) -> Result<Vec<ChunkRow>, ReadError> {
        let rows_bytes = u64::from(key.chunk_rows) * CHUNK_ROW_BYTES as u64;
        let bytes = self.read(key.chunk_rows_at..key.chunk_rows_at.saturating_add(rows_bytes))?;
        let all: &[[u8; CHUNK_ROW_BYTES]] = bytes.as_chunks().0;
        let after = all.partition_point(|row| ChunkRow::first_offset_of(row) <= Some(from));
        let mut rows: Vec<ChunkRow> = Vec::new();
        for (index, bytes) in all.iter().enumerate().skip(after.saturating_sub(1)) {
            let row = ChunkRow::read(bytes).filter(|row| match rows.last() {
                None => row.first_offset <= from && from < row.next_offset(),
                Some(last) => row.follows(last),
            });
            let at = key.chunk_rows_at + (index * CHUNK_ROW_BYTES) as u64;
            let row = row.filter(|row| row.is_of(key)).ok_or_else(|| self.damaged(at))?;
            if !budget.reaches_into(row.messages.into(), row.bytes.into()) {
                break;
            }
            if rows.is_empty() {
                budget.no_longer_first(); // Perhaps only the last message of this chunk is wanted.
            } else {
                budget.take(row.messages.into(), row.bytes.into());
            }
            rows.push(row);
        }
        Ok(rows)
    }

    /// Bytes of the file, not yet checked. There is never room made for more than there is.
    fn read(&self, place: Range<u64>) -> Result<Vec<u8>, ReadError> {
        let size_bytes =
            place.end.checked_sub(place.start).and_then(|size| usize::try_from(size).ok());
        let Some(size_bytes) = size_bytes.filter(|_| place.end <= self.header.size_bytes) else {
            return Err(self.damaged(place.start));
        };
        let mut bytes = vec![0; size_bytes];
        self.file.read_at(place.start, &mut bytes).map_err(|error| self.unreadable(error))?;
        Ok(bytes)
    }

    fn damaged(&self, byte: u64) -> ReadError {
        ReadError::Damaged { file: self.name.clone(), byte }
    }

    fn unreadable(&self, error: io::Error) -> ReadError {
        ReadError::Io { file: self.name.clone(), error }
    }
}
