//! One log: what is known of all its records, and those that are in memory, the last ones. It never changes a
//! record, and lets go only of those that it was told are elsewhere or cut off.
//!
//! Some of what is in memory is **frozen**: it is being written elsewhere, and nothing is appended to it.
//! Freezing all logs takes one step, however many there are: the state's epoch goes up, and a log notices when it
//! is appended to next. A log of an older epoch is frozen whole.

use std::sync::Arc;

use super::chunk::{Chunk, Place};
use crate::Offset;
use crate::read::{Allowance, OlderLog, Piece, Records};

/// An open chunk of at least so many bytes is closed when it is frozen; a smaller one goes on, with its frozen
/// records at its beginning.
const CLOSE_WHEN_FROZEN_BYTES: usize = 8 * 1024;

/// Tells a log from all others that there ever were.
pub(crate) type LogId = u64;

/// The records of one key.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) id: LogId,
    /// Invariant: at most `next_offset()`. The records before it are removed.
    start_offset: Offset,
    /// About how many bytes all records before `start_offset` have.
    start_bytes: u64,
    /// Invariant: at most `next_offset()`. What is before it is as durable as the journal promises.
    pub(crate) stable_end: Offset,
    /// Of all records that there ever were.
    max_time_ms: u64,
    /// Invariant: in order, adjacent, none empty, and `open` follows.
    closed: Vec<Arc<Chunk>>,
    open: Chunk,
    frozen: Frozen,
}

/// What of a log is frozen, if its epoch is that of the state.
#[derive(Clone, Copy, Debug, Default)]
struct Frozen {
    epoch: u32,
    /// How many closed chunks.
    closed: u32,
    /// How many bytes of the open chunk's frames: where one of them ends.
    open_bytes: u32,
}

/// What is known of a log whose records are elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LogSummary {
    pub(crate) id: LogId,
    pub(crate) start_offset: Offset,
    pub(crate) start_bytes: u64,
    pub(crate) next_offset: Offset,
    /// The bytes of all records that there ever were.
    pub(crate) end_bytes: u64,
    pub(crate) max_time_ms: u64,
}

impl Log {
    /// A log of which nothing is in memory.
    pub(crate) fn new(summary: LogSummary, epoch: u32) -> Self {
        let LogSummary { id, start_offset, start_bytes, next_offset, end_bytes, max_time_ms } =
            summary;
        debug_assert!(start_offset <= next_offset && start_bytes <= end_bytes);
        Self {
            id,
            start_offset,
            start_bytes,
            stable_end: next_offset,
            max_time_ms,
            closed: Vec::new(),
            open: Chunk::new(next_offset, end_bytes),
            frozen: Frozen { epoch, ..Frozen::default() },
        }
    }

    pub(crate) fn start_offset(&self) -> Offset {
        self.start_offset
    }

    pub(crate) fn start_bytes(&self) -> u64 {
        self.start_bytes
    }

    pub(crate) fn next_offset(&self) -> Offset {
        self.open.next_offset()
    }

    /// The bytes of all records that are left, about.
    pub(crate) fn size_bytes(&self) -> u64 {
        self.open.log_bytes().end.saturating_sub(self.start_bytes)
    }

    pub(crate) fn max_time_ms(&self) -> u64 {
        self.max_time_ms
    }

    /// Appends a record of at most [`crate::MAX_RECORD_BYTES`] and returns its offset. None if there are no
    /// more offsets.
    pub(crate) fn append(
        &mut self,
        record: &[u8],
        count: u32,
        time_ms: u64,
        epoch: u32,
    ) -> Option<Offset> {
        let offset = self.next_offset();
        offset.checked_add(count.into()).filter(|next| *next <= crate::MAX_OFFSET)?;
        if self.frozen.epoch != epoch {
            self.begin_epoch(epoch);
        }
        if !self.open.has_room(record.len(), count) {
            self.close();
        }
        self.open.push(record, count, time_ms);
        self.max_time_ms = self.max_time_ms.max(time_ms);
        Some(offset)
    }

    /// All that is in memory is frozen, and goes on to be.
    #[expect(clippy::cast_possible_truncation, reason = "what is in memory is far less than 4 GiB")]
    fn begin_epoch(&mut self, epoch: u32) {
        if self.open.frames().len() >= CLOSE_WHEN_FROZEN_BYTES {
            self.close();
        }
        let (closed, open_bytes) = (self.closed.len() as u32, self.open.frames().len() as u32);
        self.frozen = Frozen { epoch, closed, open_bytes };
    }

    /// Closes the open chunk; what of it is frozen becomes a chunk of its own.
    fn close(&mut self) {
        let next = Chunk::new(self.next_offset(), self.open.log_bytes().end);
        let mut full = std::mem::replace(&mut self.open, next);
        if self.frozen.open_bytes > 0 {
            let boundary = full.place_at(self.frozen.open_bytes);
            self.closed.push(Arc::new(full.cut_out(full.start(), boundary)));
            full.drop_before(boundary);
            self.frozen.closed += 1;
            self.frozen.open_bytes = 0;
        }
        if !full.is_empty() {
            full.close();
            self.closed.push(Arc::new(full));
        }
    }

    /// How many closed chunks are frozen, and up to where the open one is.
    fn frozen_parts(&self, epoch: u32) -> (usize, u32) {
        if self.frozen.epoch == epoch {
            (self.frozen.closed as usize, self.frozen.open_bytes)
        } else {
            (self.closed.len(), self.open.end().at)
        }
    }

    /// What is frozen, in order.
    pub(crate) fn frozen(&self, epoch: u32) -> Vec<Arc<Chunk>> {
        let (closed, open_bytes) = self.frozen_parts(epoch);
        let mut chunks = self.closed[..closed].to_vec();
        if open_bytes > 0 {
            let boundary = self.open.place_at(open_bytes);
            chunks.push(Arc::new(self.open.cut_out(self.open.start(), boundary)));
        }
        chunks
    }

    /// What is known of the log at the end of what is frozen.
    pub(crate) fn summary(&self, epoch: u32) -> LogSummary {
        let (closed, open_bytes) = self.frozen_parts(epoch);
        let (next_offset, end_bytes) = if open_bytes > 0 {
            let boundary = self.open.place_at(open_bytes);
            let next_offset = self.open.first_offset() + u64::from(boundary.offsets);
            (next_offset, self.open.log_bytes_before(&boundary))
        } else if let Some(next) = self.closed.get(closed) {
            (next.first_offset(), next.log_bytes().start)
        } else {
            (self.open.first_offset(), self.open.log_bytes().start)
        };
        LogSummary {
            id: self.id,
            start_offset: self.start_offset.min(next_offset),
            start_bytes: self.start_bytes.min(end_bytes),
            next_offset,
            end_bytes,
            max_time_ms: self.max_time_ms,
        }
    }

    /// Lets go of what is frozen: it can be read elsewhere.
    pub(crate) fn release_frozen(&mut self, epoch: u32) {
        let (closed, open_bytes) = self.frozen_parts(epoch);
        self.closed.drain(..closed);
        self.closed.shrink_to(2 * self.closed.len());
        self.open.drop_before(self.open.place_at(open_bytes));
        self.frozen = Frozen { epoch, closed: 0, open_bytes: 0 };
    }

    /// Moves the start offset forward, at most to the next offset; never back. What is in memory of the records
    /// before it goes, but for those that share a chunk with one that stays. While what is frozen is being written,
    /// nothing else goes: where it ends must stay known.
    pub(crate) fn cut(&mut self, before: Offset, written: Option<u32>) {
        let start = before.clamp(self.start_offset, self.next_offset());
        self.start_bytes = self.bytes_before(start);
        self.start_offset = start;
        let most = written.map_or(self.closed.len(), |epoch| self.frozen_parts(epoch).0);
        let gone = self.closed[..most].partition_point(|chunk| chunk.next_offset() <= start);
        self.closed.drain(..gone);
        #[expect(clippy::cast_possible_truncation, reason = "it was a number of 32 bits before")]
        {
            self.frozen.closed = (self.frozen.closed as usize).saturating_sub(gone) as u32;
        }
    }

    /// How many bytes all records before an offset have; about, if that is not in memory.
    fn bytes_before(&self, offset: Offset) -> u64 {
        let (first, first_bytes) = match self.closed.first() {
            Some(chunk) => (chunk.first_offset(), chunk.log_bytes().start),
            None => (self.open.first_offset(), self.open.log_bytes().start),
        };
        if offset < first {
            let part = u128::from(first_bytes.saturating_sub(self.start_bytes))
                * u128::from(offset - self.start_offset)
                / u128::from(first - self.start_offset);
            return self.start_bytes + u64::try_from(part).unwrap_or(0);
        }
        match self.chunk_of(offset) {
            Some(index) if index < self.closed.len() => {
                let chunk = &self.closed[index];
                chunk.log_bytes_before(&chunk.find(offset))
            }
            Some(_) => self.open.log_bytes_before(&self.open.find(offset)),
            None => self.open.log_bytes().end,
        }
    }

    /// The first offset that is in memory; the next one if none is.
    pub(crate) fn first_in_memory(&self) -> Offset {
        self.closed.first().map_or(self.open.first_offset(), |chunk| chunk.first_offset())
    }

    /// Which of the chunks in memory holds an offset that is in memory; the open one comes after the closed.
    /// None if it is the next offset, or beyond.
    fn chunk_of(&self, offset: Offset) -> Option<usize> {
        if offset >= self.next_offset() {
            return None;
        }
        if offset >= self.open.first_offset() {
            return Some(self.closed.len()); // The tail, which most reads want, is found without a search.
        }
        Some(self.closed.partition_point(|chunk| chunk.next_offset() <= offset))
    }

    /// What its older records are asked for with.
    pub(crate) fn older(&self, slot: u32) -> OlderLog {
        OlderLog { slot, id: self.id, start_offset: self.start_offset }
    }

    /// About how many bytes those records have that are left and not in memory.
    pub(crate) fn older_bytes(&self) -> u64 {
        let chunk = self.closed.first().map_or(&self.open, |chunk| chunk);
        chunk.log_bytes().start.saturating_sub(self.start_bytes)
    }

    /// The stable records from the one that holds an offset on, which must be in memory, as far as is
    /// allowed.
    pub(crate) fn read(&self, from: Offset, allowance: &mut Allowance) -> Records {
        let mut records = Records::default();
        let Some(first) = self.chunk_of(from) else { return records };
        for chunk in &self.closed[first..] {
            let start = chunk.find(from);
            let to = self.stable_part(chunk, start, allowance);
            if to.at > start.at {
                records.push(Piece::Shared { chunk: Arc::clone(chunk), from: start, to });
            }
            if to != chunk.end() || allowance.is_spent() {
                return records;
            }
        }
        if !self.open.is_empty() && !allowance.is_spent() {
            let start = self.open.find(from);
            let to = self.stable_part(&self.open, start, allowance);
            if to.at > start.at {
                records.push(Piece::Copied(self.open.copy(&start, &to)));
            }
        }
        records
    }

    /// Where the records end that are allowed and stable: a record is stable as a whole.
    fn stable_part(&self, chunk: &Chunk, from: Place, allowance: &mut Allowance) -> Place {
        let is_stable = chunk.next_offset() <= self.stable_end;
        let to = if is_stable { chunk.end() } else { chunk.find(self.stable_end) };
        chunk.allowed(from, to, allowance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::{Budget, Read};
    use crate::state::chunk::CHUNK_BYTES;

    const NEW: LogSummary = LogSummary {
        id: 1,
        start_offset: 0,
        start_bytes: 0,
        next_offset: 0,
        end_bytes: 0,
        max_time_ms: 0,
    };

    fn log_of(records: impl IntoIterator<Item = Vec<u8>>) -> Log {
        let mut log = Log::new(NEW, 0);
        for record in records {
            log.append(&record, 1, 5, 0).unwrap();
        }
        log.stable_end = log.next_offset();
        log
    }

    fn read(log: &Log, offset: Offset, max_bytes: u64) -> Vec<(Offset, Vec<u8>)> {
        let pieces = log.read(offset, &mut Budget::new(max_bytes, 24).allowance(u64::MAX));
        let records = Read::memory(pieces).fetch().unwrap();
        records.iter().map(|record| (record.offset, record.bytes.to_vec())).collect()
    }

    #[test]
    fn every_record_is_found_at_its_offset_across_chunks() {
        let record = |n: u64| vec![n.to_le_bytes()[0]; 1 + (n % 977) as usize];
        let log = log_of((0..1_000).map(record));
        assert!(log.closed.len() > 3);
        for offset in 0..1_000 {
            assert_eq!(read(&log, offset, 0), [(offset, record(offset))]);
        }
        assert_eq!(read(&log, 0, u64::MAX).len(), 1_000);
        assert_eq!(read(&log, 1_000, u64::MAX), []);
        assert_eq!(read(&log, u64::MAX, u64::MAX), []);
    }

    #[test]
    fn empty_records_are_records() {
        assert_eq!(read(&log_of((0..100_000).map(|_| Vec::new())), 5, u64::MAX).len(), 99_995);
    }

    #[test]
    fn a_record_larger_than_a_chunk_has_a_chunk_of_its_own() {
        let large = vec![7; 3 * CHUNK_BYTES];
        let log = log_of([vec![1], large.clone(), vec![2]]);
        assert_eq!(log.closed.len(), 2);
        assert_eq!(read(&log, 0, u64::MAX), [(0, vec![1]), (1, large), (2, vec![2])]);
    }

    #[test]
    fn what_is_not_stable_is_not_read() {
        let mut log = log_of((0..1_000).map(|_| vec![0; 100]));
        for stable in [0, 1, 327, 999] {
            log.stable_end = stable;
            assert_eq!(read(&log, 0, u64::MAX).len() as u64, stable);
            assert_eq!(read(&log, stable, u64::MAX), []);
        }
        log.stable_end = 1_000;
        log.append(&[0], 3, 5, 0).unwrap();
        log.stable_end = 1_002;
        assert_eq!(read(&log, 999, u64::MAX).len(), 1, "a record is stable as a whole");
    }

    #[test]
    fn a_read_inside_a_record_returns_the_whole_record() {
        let mut log = Log::new(NEW, 0);
        assert_eq!(log.append(b"three", 3, 5, 0), Some(0));
        assert_eq!(log.append(b"one", 1, 5, 0), Some(3));
        log.stable_end = 4;
        for offset in 0..3 {
            assert_eq!(read(&log, offset, 0), [(0, b"three".to_vec())]);
        }
        assert_eq!(read(&log, 3, 0), [(3, b"one".to_vec())]);
    }

    #[test]
    fn offsets_come_to_an_end() {
        let next_offset = crate::MAX_OFFSET - 1;
        let mut log = Log::new(LogSummary { next_offset, ..NEW }, 0);
        assert_eq!(log.append(b"", 2, 5, 0), None);
        assert_eq!(log.append(b"", 1, 5, 0), Some(next_offset));
        assert_eq!(log.append(b"", 1, 5, 0), None);
    }

    /// Logs whose open chunk goes on, is closed when it is frozen, or grows full behind what is frozen.
    #[test]
    fn what_is_frozen_stays_as_it_is_until_it_is_released() {
        for (before, after) in [(3, 3), (200, 5), (40, 1_000), (3, 0), (0, 3)] {
            let record = |n: u64| vec![n.to_le_bytes()[0]; 100];
            let mut log = log_of((0..before).map(record));
            for n in before..before + after {
                log.append(&record(n), 1, 5, 1).unwrap();
            }
            log.stable_end = log.next_offset();
            let frozen = log.frozen(1);
            let first = frozen.first().map_or(before, |chunk| chunk.first_offset());
            assert_eq!(first, 0);
            assert_eq!(frozen.last().map_or(0, |chunk| chunk.next_offset()), before);
            let summary = log.summary(1);
            assert_eq!((summary.next_offset, summary.end_bytes), (before, 100 * before));
            assert_eq!(read(&log, 0, u64::MAX).len() as u64, before + after);

            log.release_frozen(1);
            assert!(log.frozen(1).is_empty());
            assert_eq!((log.first_in_memory(), log.older_bytes()), (before, 100 * before));
            let left: Vec<_> = (before..before + after).map(|n| (n, record(n))).collect();
            assert_eq!(read(&log, before, u64::MAX), left);
            assert_eq!(log.append(&[4], 1, 5, 1), Some(before + after));
            assert_eq!(log.summary(2).next_offset, before + after + 1);
        }
    }

    #[test]
    fn where_what_is_frozen_ends_stays_known_when_more_than_that_is_cut_off() {
        let mut log = log_of((0..100).map(|_| vec![0; 100]));
        (0..1_000).for_each(|_| _ = log.append(&[1; 100], 1, 5, 1));
        log.cut(900, Some(1));
        let summary = log.summary(1);
        assert_eq!(
            (summary.next_offset, summary.start_offset, summary.end_bytes),
            (100, 100, 10_000)
        );
        log.release_frozen(1);
        log.cut(900, None);
        assert!(log.first_in_memory() > 500);
    }

    #[test]
    fn a_log_is_cut_forward_only_and_knows_what_is_left() {
        let mut log = log_of((0..1_000).map(|_| vec![0; 100]));
        log.cut(500, None);
        log.cut(300, None);
        assert_eq!((log.start_offset(), log.size_bytes()), (500, 50_000));
        assert!(log.first_in_memory() > 0);
        assert_eq!(read(&log, 500, u64::MAX).len(), 500);
        log.cut(u64::MAX, None);
        assert_eq!((log.start_offset(), log.size_bytes()), (1_000, 0));
    }
}
