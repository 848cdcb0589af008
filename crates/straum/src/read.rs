//! Reads that own what they found: pieces of what is in memory, or a plan for what is not. Making one never
//! touches a disk; carrying the plan out needs nothing of the engine.

use std::fmt;
use std::io;
use std::sync::Arc;

use crate::Offset;
use crate::state::chunk::{Chunk, ChunkRecords, Frames, Place};

pub use crate::state::chunk::Record;

/// How much a request may still read, over all its logs.
///
/// A record costs its own bytes and those that its reader adds around it. Only the first record of all may
/// cost more than is left; after it, nothing is.
#[derive(Clone, Debug)]
pub struct Budget {
    left_bytes: u64,
    overhead_bytes: u64,
    /// Whether nothing has been read yet.
    is_untouched: bool,
}

impl Budget {
    /// A budget of `max_bytes`, for a reader that adds `overhead_bytes` to each record.
    pub fn new(max_bytes: u64, overhead_bytes: u64) -> Self {
        Self { left_bytes: max_bytes, overhead_bytes, is_untouched: true }
    }

    /// How much is left, in bytes.
    pub fn left_bytes(&self) -> u64 {
        self.left_bytes
    }

    /// What one log may take of it.
    pub(crate) fn allowance(&self, max_bytes: u64) -> Allowance {
        Allowance {
            left_bytes: self.left_bytes.min(max_bytes),
            spent_bytes: 0,
            overhead_bytes: self.overhead_bytes,
            first: self.is_untouched,
        }
    }

    /// So much was read.
    pub(crate) fn spend(&mut self, bytes: u64) {
        self.left_bytes = self.left_bytes.saturating_sub(bytes);
        self.is_untouched = false;
    }
}

/// What may be read of one log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowance {
    /// 0 once a record was not allowed.
    left_bytes: u64,
    /// What was allowed so far costs so much.
    spent_bytes: u64,
    overhead_bytes: u64,
    /// Whether the next record is allowed whatever it costs.
    first: bool,
}

impl Allowance {
    #[cfg(test)]
    pub(crate) fn with_first(max_bytes: u64, overhead_bytes: u64) -> Self {
        Self { left_bytes: max_bytes, spent_bytes: 0, overhead_bytes, first: true }
    }

    #[cfg(test)]
    pub(crate) fn strict(max_bytes: u64, overhead_bytes: u64) -> Self {
        Self { left_bytes: max_bytes, spent_bytes: 0, overhead_bytes, first: false }
    }

    pub(crate) fn left_bytes(&self) -> u64 {
        self.left_bytes
    }

    pub(crate) fn spent_bytes(&self) -> u64 {
        self.spent_bytes
    }

    /// What is spent at most if there are no more records and bytes than these.
    pub(crate) fn at_most(&self, records: u64, bytes: u64) -> u64 {
        self.left_bytes.min(bytes.saturating_add(records.saturating_mul(self.overhead_bytes)))
    }

    /// Whether no record, however small, is allowed any more.
    pub(crate) fn is_spent(&self) -> bool {
        !self.first && self.left_bytes < self.overhead_bytes.max(1)
    }

    /// Pays for a record if that is allowed. If not, nothing is allowed any more.
    pub(crate) fn take(&mut self, bytes: u64) -> bool {
        let cost = bytes + self.overhead_bytes;
        let allowed = cost <= self.left_bytes || self.first;
        self.first = false;
        self.left_bytes = if allowed { self.left_bytes.saturating_sub(cost) } else { 0 };
        self.spent_bytes += if allowed { cost } else { 0 };
        allowed
    }

    /// Pays for several records if all of them are allowed.
    pub(crate) fn takes_all(&mut self, records: u64, bytes: u64) -> bool {
        let cost = bytes + records * self.overhead_bytes;
        if cost > self.left_bytes || records == 0 {
            return false;
        }
        self.first = false;
        self.left_bytes -= cost;
        self.spent_bytes += cost;
        true
    }
}

/// Why records could not be read. Nothing was changed by it, and other logs can be read.
#[derive(Debug)]
#[non_exhaustive]
pub enum ReadError {
    /// The file system failed; a later try may succeed.
    Io {
        /// The file's name.
        file: String,
        /// What it said.
        error: io::Error,
    },
    /// What is there is not what was written.
    Damaged {
        /// The file's name.
        file: String,
        /// Where the first broken thing begins, in bytes from the beginning of the file.
        byte: u64,
    },
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { file, error } => write!(f, "cannot read {file}: {error}"),
            Self::Damaged { file, byte } => write!(f, "{file} is damaged at byte {byte}"),
        }
    }
}

impl std::error::Error for ReadError {}

/// Where records are that are not in memory.
pub(crate) trait Older: fmt::Debug + Send + Sync {
    /// The records of a log, from the one that holds an offset on, or from the first that is left after it, as
    /// far as is allowed.
    fn read(
        &self,
        log: &OlderLog,
        from: Offset,
        allowance: Allowance,
    ) -> Result<Records, ReadError>;
}

/// A log, as those know it who keep its older records.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OlderLog {
    pub(crate) slot: u32,
    pub(crate) id: u64,
    pub(crate) start_offset: Offset,
}

/// Adjacent records of one log, which do not change any more.
#[derive(Clone, Debug)]
pub(crate) enum Piece {
    /// Those between two places of a chunk that others hold, too.
    Shared { chunk: Arc<Chunk>, from: Place, to: Place },
    /// A copy of a few.
    Copied(Frames),
}

impl Piece {
    fn first_offset(&self) -> Offset {
        match self {
            Self::Shared { chunk, from, .. } => chunk.offset_at(from),
            Self::Copied(frames) => frames.first_offset,
        }
    }

    fn next_offset(&self) -> Offset {
        match self {
            Self::Shared { chunk, to, .. } => chunk.offset_at(to),
            Self::Copied(frames) => frames.next_offset,
        }
    }

    fn records(&self) -> ChunkRecords<'_> {
        match self {
            Self::Shared { chunk, from, to } => chunk.records(from, to),
            Self::Copied(frames) => frames.records(),
        }
    }

    fn end_before(&mut self, end: Offset) {
        match self {
            Self::Shared { chunk, to, .. } => *to = chunk.find(end),
            Self::Copied(frames) => frames.end_before(end),
        }
    }
}

/// What a read of one log found: at least one record, or a plan to read at least one.
///
/// It stays valid, whatever becomes of the engine, the log and the files.
#[derive(Debug)]
pub struct Read(Found);

#[derive(Debug)]
enum Found {
    Memory(Records),
    Older { older: Arc<dyn Older>, log: OlderLog, from: Offset, allowance: Allowance },
}

impl Read {
    pub(crate) fn memory(records: Records) -> Self {
        Self(Found::Memory(records))
    }

    pub(crate) fn older(
        older: Arc<dyn Older>,
        log: OlderLog,
        from: Offset,
        allowance: Allowance,
    ) -> Self {
        Self(Found::Older { older, log, from, allowance })
    }

    /// Whether [`fetch`](Self::fetch) has to read from files, which takes time.
    pub fn is_on_disk(&self) -> bool {
        matches!(self.0, Found::Older { .. })
    }

    /// The records, read from files if need be. Any thread can do this, at any time.
    ///
    /// What lies in files and in memory is not returned together: at the boundary there may be fewer
    /// records than were allowed. If all that was planned for was removed before, there is none.
    ///
    /// # Errors
    /// [`ReadError`]; another try may succeed.
    pub fn fetch(self) -> Result<Records, ReadError> {
        match self.0 {
            Found::Memory(records) => Ok(records),
            Found::Older { older, log, from, allowance } => older.read(&log, from, allowance),
        }
    }
}

/// Consecutive records of one log, in the order of their offsets.
#[derive(Clone, Debug, Default)]
pub struct Records {
    /// Most reads find one piece, for which nothing is allocated here.
    first: Option<Piece>,
    /// Invariant: each follows the one before without a gap.
    more: Vec<Piece>,
}

impl Records {
    pub(crate) fn push(&mut self, piece: Piece) {
        match self.first {
            None => self.first = Some(piece),
            Some(_) => self.more.push(piece),
        }
    }

    /// Whether there is no record.
    pub fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// The offset after the last record; none if there is no record.
    pub fn next_offset(&self) -> Option<Offset> {
        self.more.last().or(self.first.as_ref()).map(Piece::next_offset)
    }

    /// Lets go of all records at or after an offset.
    pub fn end_before(&mut self, end: Offset) {
        while self.more.pop_if(|piece| piece.first_offset() >= end).is_some() {}
        self.first.take_if(|piece| piece.first_offset() >= end);
        if let Some(last) = self.more.last_mut().or(self.first.as_mut())
            && last.next_offset() > end
        {
            last.end_before(end);
        }
    }

    /// Adds records of the same log that follow without a gap.
    pub fn append(&mut self, next: Self) {
        next.first.into_iter().chain(next.more).for_each(|piece| self.push(piece));
    }

    /// The records.
    pub fn iter(&self) -> RecordsIter<'_> {
        let piece = self.first.as_ref().map_or_else(ChunkRecords::default, Piece::records);
        RecordsIter { piece, more: self.more.iter() }
    }
}

impl<'a> IntoIterator for &'a Records {
    type Item = Record<'a>;
    type IntoIter = RecordsIter<'a>;

    fn into_iter(self) -> RecordsIter<'a> {
        self.iter()
    }
}

/// Consecutive records of one log.
#[derive(Clone, Debug)]
pub struct RecordsIter<'a> {
    piece: ChunkRecords<'a>,
    more: std::slice::Iter<'a, Piece>,
}

impl<'a> Iterator for RecordsIter<'a> {
    type Item = Record<'a>;

    #[inline]
    fn next(&mut self) -> Option<Record<'a>> {
        loop {
            if let Some(record) = self.piece.next() {
                return Some(record);
            }
            self.piece = self.more.next()?.records();
        }
    }
}
