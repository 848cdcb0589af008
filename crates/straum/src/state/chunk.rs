//! A chunk: consecutive records of one log, in one piece, as they lie in memory and in sorted segments. Never
//! knows its log, and never changes a record once it is in.
//!
//! ```text
//! frames = frame+
//! frame  = length*2          varint; the record takes one offset, at the time of the one before
//!          record
//!        | length*2+1        varint
//!          count             varint, at least 1: how many offsets it takes
//!          time              signed varint: milliseconds after the record before
//!          record
//! ```
//!
//! The time before the first frame is the chunk's base time.

use std::ops::Range;

use crate::Offset;
use crate::bytes::{Reader, put_difference, put_varint};
use crate::read::Allowance;

/// A chunk is closed before its frames outgrow this, unless its first record alone is larger, in bytes. Small
/// enough that reading one from a file for a single record is cheap.
pub(crate) const CHUNK_BYTES: usize = 32 * 1024;

/// A record is found by its offset from the nearest mark before it; there is a mark about every so many bytes.
const MARK_BYTES: u32 = 128;

/// What a frame takes beside its record at most, in bytes: three varints.
const FRAME_BYTES: usize = 5 + 5 + 10;

/// Consecutive records of one log; perhaps none.
#[derive(Clone, Debug, Default)]
pub(crate) struct Chunk {
    /// The offset of its first record.
    first_offset: Offset,
    /// How many bytes all records of the log before this chunk have.
    start_bytes: u64,
    base_time_ms: u64,
    /// Invariant: what is known at the end of `frames`, `at` included.
    end: Place,
    frames: Vec<u8>,
    /// Invariant: in order, each the place of a frame.
    marks: Vec<Place>,
}

/// A place between two frames of a chunk, with what is known of the frames before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    /// In the frames, in bytes.
    pub(crate) at: u32,
    /// How many offsets.
    pub(crate) offsets: u32,
    /// How many records.
    pub(crate) records: u32,
    /// How many bytes of records.
    pub(crate) bytes: u32,
    /// The time of the last one.
    pub(crate) time_ms: u64,
}

/// How much is in a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Offsets.
    pub(crate) offsets: u32,
    /// Records.
    pub(crate) records: u32,
    /// Bytes of records.
    pub(crate) bytes: u32,
}

/// A record, as it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// The first offset that it takes.
    pub offset: Offset,
    /// How many offsets it takes, at least 1.
    pub count: u32,
    /// In milliseconds since 1970.
    pub time_ms: u64,
    /// Its bytes, as they were appended.
    pub bytes: &'a [u8],
}

/// A frame, as it lies in a chunk.
struct Frame<'a> {
    count: u32,
    time_ms: u64,
    record: &'a [u8],
}

#[inline]
fn take_frame<'a>(reader: &mut Reader<'a>, time_before_ms: u64) -> Option<Frame<'a>> {
    let head = reader.size()?;
    let (count, time_ms) = if head & 1 == 0 {
        (1, time_before_ms)
    } else {
        (reader.varint32().filter(|count| *count > 0)?, reader.difference(time_before_ms)?)
    };
    Some(Frame { count, time_ms, record: reader.take(head >> 1)? })
}

/// A copy of some frames.
#[derive(Clone, Debug)]
pub(crate) struct Frames {
    pub(crate) first_offset: Offset,
    pub(crate) next_offset: Offset,
    base_time_ms: u64,
    bytes: Vec<u8>,
}

impl Frames {
    pub(crate) fn records(&self) -> ChunkRecords<'_> {
        ChunkRecords {
            frames: Reader(&self.bytes),
            offset: self.first_offset,
            time_ms: self.base_time_ms,
        }
    }

    /// Lets go of all records at or after an offset.
    pub(crate) fn end_before(&mut self, end: Offset) {
        let mut records = self.records();
        let mut kept = (self.first_offset, self.bytes.len());
        while let Some(record) = records.next()
            && record.offset + u64::from(record.count) <= end
        {
            kept = (records.offset, records.frames.0.len());
        }
        let (next_offset, rest_bytes) = kept;
        self.next_offset = next_offset;
        self.bytes.truncate(self.bytes.len() - rest_bytes);
    }
}

/// Consecutive records of one chunk.
#[derive(Clone, Debug, Default)]
pub(crate) struct ChunkRecords<'a> {
    frames: Reader<'a>,
    offset: Offset,
    time_ms: u64,
}

impl<'a> Iterator for ChunkRecords<'a> {
    type Item = Record<'a>;

    #[inline]
    fn next(&mut self) -> Option<Record<'a>> {
        let Frame { count, time_ms, record } = take_frame(&mut self.frames, self.time_ms)?;
        let offset = self.offset;
        self.offset = offset.checked_add(count.into())?;
        self.time_ms = time_ms;
        Some(Record { offset, count, time_ms, bytes: record })
    }
}

impl Chunk {
    /// An empty chunk whose first record will have this offset, in a log of which all records before it
    /// have `start_bytes`.
    pub(crate) fn new(first_offset: Offset, start_bytes: u64) -> Self {
        Self { first_offset, start_bytes, ..Self::default() }
    }

    /// A chunk of frames that were read, with what was said of them. None if that cannot be; whether it is so, nobody
    /// looks: their checksum was right.
    pub(crate) fn of_frames(
        first_offset: Offset,
        start_bytes: u64,
        base_time_ms: u64,
        counts: Counts,
        frames: &[u8],
    ) -> Option<Self> {
        let Counts { offsets, records, bytes } = counts;
        let at = u32::try_from(frames.len()).ok()?;
        let is_possible = (1..=offsets).contains(&records) && bytes < at;
        let end = Place { at, offsets, records, bytes, time_ms: base_time_ms };
        is_possible.then(|| Self {
            first_offset,
            start_bytes,
            base_time_ms,
            end,
            frames: frames.to_vec(),
            marks: Vec::new(),
        })
    }

    /// What is to be said of the frames when they are written.
    pub(crate) fn counts(&self) -> Counts {
        let Place { offsets, records, bytes, .. } = self.end;
        Counts { offsets, records, bytes }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Whether a record can be added. An empty chunk takes any.
    pub(crate) fn has_room(&self, record_bytes: usize, count: u32) -> bool {
        let fits = self.frames.len() + FRAME_BYTES + record_bytes <= CHUNK_BYTES;
        self.is_empty() || (fits && self.end.offsets.checked_add(count).is_some())
    }

    /// Adds a record for which there is room, of at most [`crate::MAX_RECORD_BYTES`].
    #[expect(clippy::cast_possible_truncation, reason = "a chunk is one record, or `CHUNK_BYTES`")]
    pub(crate) fn push(&mut self, record: &[u8], count: u32, time_ms: u64) {
        debug_assert!(self.has_room(record.len(), count));
        if self.is_empty() {
            self.base_time_ms = time_ms;
            self.end.time_ms = time_ms;
        }
        if self.end.at - self.marks.last().map_or(0, |mark| mark.at) >= MARK_BYTES {
            self.marks.push(self.end);
        }
        let length = (record.len() as u64) << 1;
        if count == 1 && time_ms == self.end.time_ms {
            put_varint(length, &mut self.frames);
        } else {
            put_varint(length | 1, &mut self.frames);
            put_varint(count.into(), &mut self.frames);
            put_difference(self.end.time_ms, time_ms, &mut self.frames);
        }
        self.frames.extend_from_slice(record);
        self.end = Place {
            at: self.frames.len() as u32,
            offsets: self.end.offsets + count,
            records: self.end.records + 1,
            bytes: self.end.bytes + record.len() as u32,
            time_ms,
        };
    }

    /// Gives back what a full chunk has reserved and will not use.
    pub(crate) fn close(&mut self) {
        self.frames.shrink_to_fit();
        self.marks.shrink_to_fit();
    }

    pub(crate) fn first_offset(&self) -> Offset {
        self.first_offset
    }

    /// The offset after its last record.
    pub(crate) fn next_offset(&self) -> Offset {
        self.first_offset + u64::from(self.end.offsets)
    }

    /// How many bytes all records of the log have before this chunk, and with it.
    pub(crate) fn log_bytes(&self) -> Range<u64> {
        self.start_bytes..self.start_bytes + u64::from(self.end.bytes)
    }

    pub(crate) fn base_time_ms(&self) -> u64 {
        self.base_time_ms
    }

    pub(crate) fn frames(&self) -> &[u8] {
        &self.frames
    }

    pub(crate) fn offset_at(&self, place: &Place) -> Offset {
        self.first_offset + u64::from(place.offsets)
    }

    /// A copy of the records between two places.
    pub(crate) fn copy(&self, from: &Place, to: &Place) -> Frames {
        Frames {
            first_offset: self.offset_at(from),
            next_offset: self.offset_at(to),
            base_time_ms: from.time_ms,
            bytes: self.frames[from.at as usize..to.at as usize].to_vec(),
        }
    }

    /// The records between two places.
    pub(crate) fn records(&self, from: &Place, to: &Place) -> ChunkRecords<'_> {
        ChunkRecords {
            frames: Reader(self.frames.get(from.at as usize..to.at as usize).unwrap_or_default()),
            offset: self.first_offset + u64::from(from.offsets),
            time_ms: from.time_ms,
        }
    }

    /// The latest time of a record; 0 if there is none.
    pub(crate) fn max_time_ms(&self) -> u64 {
        let all = self.records(&self.start(), &self.end);
        all.map(|record| record.time_ms).max().unwrap_or(0)
    }

    pub(crate) fn start(&self) -> Place {
        Place { time_ms: self.base_time_ms, ..Place::default() }
    }

    pub(crate) fn end(&self) -> Place {
        self.end
    }

    /// The place of the record that holds an offset, or of the first one.
    pub(crate) fn find(&self, offset: Offset) -> Place {
        let wanted = offset.saturating_sub(self.first_offset);
        let is_before = |mark: &Place| u64::from(mark.offsets) <= wanted;
        let mut place = match self.marks.last() {
            None => self.start(),
            Some(last) if is_before(last) => *last, // The tail, which most reads want.
            Some(_) => match self.marks.partition_point(is_before) {
                0 => self.start(),
                after => self.marks[after - 1],
            },
        };
        while u64::from(place.offsets) < wanted && self.walk(&mut place, wanted) {}
        place
    }

    /// Moves a place behind its record, unless that holds a wanted offset or is the last. Most records are short, take
    /// one offset and have the time of the one before.
    #[inline]
    fn walk(&self, place: &mut Place, wanted: u64) -> bool {
        match self.frames.get(place.at as usize) {
            Some(head) if head & 0x81 == 0 && place.at < self.end.at => {
                let record_bytes = u32::from(*head >> 1);
                place.at += 1 + record_bytes;
                place.offsets += 1;
                place.records += 1;
                place.bytes += record_bytes;
                true
            }
            _ => {
                let mut next = *place;
                let moves = self.step(&mut next).is_some() && u64::from(next.offsets) <= wanted;
                if moves {
                    *place = next;
                }
                moves
            }
        }
    }

    /// The place at so many bytes in the frames, where one ends.
    pub(crate) fn place_at(&self, at: u32) -> Place {
        let mut place = self.start();
        while place.at < at && self.step(&mut place).is_some() {}
        debug_assert_eq!(place.at, at);
        place
    }

    /// How many bytes all records of the log before a place of this chunk have.
    pub(crate) fn log_bytes_before(&self, place: &Place) -> u64 {
        self.start_bytes + u64::from(place.bytes)
    }

    /// The record at a place, which moves on behind it; none at the end.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "as much as the chunk holds, or less")]
    pub(crate) fn step(&self, place: &mut Place) -> Option<Record<'_>> {
        let mut reader = Reader(self.frames.get(place.at as usize..self.end.at as usize)?);
        let Frame { count, time_ms, record } = take_frame(&mut reader, place.time_ms)?;
        let offset = self.first_offset + u64::from(place.offsets);
        *place = Place {
            at: self.end.at - reader.0.len() as u32,
            offsets: place.offsets.checked_add(count)?,
            records: place.records + 1,
            bytes: place.bytes + record.len() as u32,
            time_ms,
        };
        Some(Record { offset, count, time_ms, bytes: record })
    }

    /// Where the records from a place on end that are allowed, at most at another place.
    pub(crate) fn allowed(&self, from: Place, to: Place, allowance: &mut Allowance) -> Place {
        if from.at >= to.at {
            return from;
        }
        let records = to.records.saturating_sub(from.records);
        let bytes = to.bytes.saturating_sub(from.bytes);
        if allowance.takes_all(records.into(), bytes.into()) {
            return to;
        }
        let (mut end, mut next) = (from, from);
        while end.at < to.at
            && let Some(record) = self.step(&mut next)
            && allowance.take(record.bytes.len() as u64)
        {
            end = next;
        }
        end
    }

    /// The records between two places, as a chunk of their own without marks.
    pub(crate) fn cut_out(&self, from: Place, to: Place) -> Self {
        Self {
            first_offset: self.first_offset + u64::from(from.offsets),
            start_bytes: self.start_bytes + u64::from(from.bytes),
            base_time_ms: from.time_ms,
            end: to.since(&from),
            frames: self.frames[from.at as usize..to.at as usize].to_vec(),
            marks: Vec::new(),
        }
    }

    /// Lets go of all records before a place.
    pub(crate) fn drop_before(&mut self, place: Place) {
        if place.at == 0 {
            return;
        }
        self.marks.retain(|mark| mark.at > place.at);
        self.marks.iter_mut().for_each(|mark| *mark = mark.since(&place));
        self.frames.drain(..place.at as usize);
        self.frames.shrink_to(2 * self.frames.len());
        self.first_offset += u64::from(place.offsets);
        self.start_bytes += u64::from(place.bytes);
        self.base_time_ms = place.time_ms;
        self.end = self.end.since(&place);
    }
}

impl Place {
    fn since(&self, start: &Self) -> Self {
        Self {
            at: self.at - start.at,
            offsets: self.offsets - start.offsets,
            records: self.records - start.records,
            bytes: self.bytes - start.bytes,
            time_ms: self.time_ms,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Records of all sizes and counts, at times that go forth and back.
    fn chunk(records: u32) -> Chunk {
        let mut chunk = Chunk::new(100, 7_000);
        for n in 0..records {
            let record = vec![n.to_le_bytes()[0]; (n * 37 % 130) as usize];
            chunk.push(&record, 1 + n % 3, u64::from(1_000 + n * 13 % 50));
        }
        chunk
    }

    fn records(chunk: &Chunk) -> Vec<Record<'_>> {
        let mut place = chunk.start();
        std::iter::from_fn(|| chunk.step(&mut place)).collect()
    }

    #[test]
    fn every_record_is_found_at_each_of_its_offsets() {
        let chunk = chunk(300);
        assert!(chunk.marks.len() > 10);
        let mut next = 100;
        for record in records(&chunk) {
            assert_eq!(record.offset, next);
            next += u64::from(record.count);
            for offset in record.offset..next {
                assert_eq!(chunk.step(&mut chunk.find(offset)), Some(record));
            }
        }
        assert_eq!(next, chunk.next_offset());
        assert_eq!(chunk.find(0), chunk.start());
    }

    #[test]
    fn a_part_is_the_same_records_and_so_is_what_is_left() {
        let whole = chunk(300);
        let all = records(&whole);
        for first in [0, 1, 150, 299] {
            let (from, to) = (whole.find(all[first].offset), whole.end());
            let part = whole.cut_out(from, to);
            assert_eq!(records(&part), all[first..]);
            let mut left = whole.clone();
            left.drop_before(from);
            assert_eq!(records(&left), all[first..]);
            assert_eq!(left.log_bytes(), part.log_bytes());
            for record in &all[first..] {
                assert_eq!(left.step(&mut left.find(record.offset)), Some(*record));
            }
            let (first_offset, counts) = (part.first_offset, part.counts());
            let (start_bytes, base_time_ms) = (part.start_bytes, part.base_time_ms);
            let again =
                Chunk::of_frames(first_offset, start_bytes, base_time_ms, counts, &part.frames);
            let again = again.unwrap();
            assert_eq!((records(&again), again.counts()), (all[first..].to_vec(), counts));
        }
    }

    #[test]
    fn a_small_record_costs_one_byte_more_and_no_mark() {
        let mut chunk = Chunk::new(0, 0);
        for _ in 0..10 {
            chunk.push(b"0123456789", 1, 5);
        }
        assert_eq!((chunk.frames.len(), chunk.marks.capacity()), (110, 0));
    }

    /// Whatever is said of frames, and whatever they are: what is read ends, and lies within them.
    #[test]
    fn frames_that_are_none_end_the_records() {
        let chunk = chunk(9);
        for length in 0..=chunk.frames.len() {
            let mut frames = chunk.frames[..length].to_vec();
            if let Some(last) = frames.last_mut() {
                *last = 0xff;
            }
            let counts = Counts { bytes: 0, ..chunk.counts() };
            let Some(read) = Chunk::of_frames(100, 0, 0, counts, &frames) else { continue };
            assert!(records(&read).len() <= 9);
            let mut allowance = Allowance::strict(50, 24);
            let to = read.allowed(read.find(103), read.end(), &mut allowance);
            assert!(read.records(&read.start(), &to).count() <= 9);
        }
        assert!(Chunk::of_frames(0, 0, 0, Counts { records: 0, ..chunk.counts() }, &[1]).is_none());
    }

    #[test]
    fn what_is_allowed_is_counted_record_by_record_where_not_all_is() {
        let chunk = chunk(20);
        let all = records(&chunk);
        let cost = |record: &Record<'_>| record.bytes.len() as u64 + 24;
        for wanted in 0..=all.len() {
            let cost: u64 = all[..wanted].iter().map(cost).sum();
            let end = chunk.allowed(chunk.start(), chunk.end(), &mut Allowance::strict(cost, 24));
            assert_eq!(end.records as usize, wanted);
        }
        let end = chunk.allowed(chunk.start(), chunk.end(), &mut Allowance::with_first(0, 24));
        assert_eq!(end.records, 1);
    }
}
