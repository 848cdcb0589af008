//! Sorted segments: the records of the write-ahead log's full segments, sorted by log, with what is known of every
//! log at their end. They are read where they are.

pub(crate) mod file;
pub(crate) mod format;
pub(crate) mod state_items;
pub(crate) mod writer;

use std::sync::Arc;

use self::file::{OpenSorted, Sorted};
use crate::files::Files;
use crate::read::{Allowance, Older, OlderLog, Piece, ReadError, Records};
use crate::state::chunk::Chunk;
use crate::{Offset, Position};

/// A read takes at most about so many bytes from a file at once.
const MOST_READ_BYTES: u64 = 4 * 1024 * 1024;

/// The sorted segments that there are at one time. A read keeps those that it may need: none of them goes from the
/// folder as long as somebody holds it.
#[derive(Debug)]
pub(crate) struct SortedSegments<F> {
    files: Arc<F>,
    /// Invariant: in order, and each begins where the one before ends.
    segments: Vec<Arc<Sorted>>,
}

impl<F> Clone for SortedSegments<F> {
    fn clone(&self) -> Self {
        Self { files: Arc::clone(&self.files), segments: self.segments.clone() }
    }
}

impl<F: Files> SortedSegments<F> {
    pub(crate) fn new(files: Arc<F>) -> Self {
        Self { files, segments: Vec::new() }
    }

    pub(crate) fn all(&self) -> &[Arc<Sorted>] {
        &self.segments
    }

    pub(crate) fn push(&mut self, sorted: Sorted) {
        assert!(
            self.end_position().is_none_or(|end| end == sorted.header.first_position),
            "a sorted segment begins where the one before ends"
        );
        self.segments.push(Arc::new(sorted));
    }

    /// The position after the last sorted entry; none if there is no sorted segment.
    pub(crate) fn end_position(&self) -> Option<Position> {
        self.segments.last().map(|sorted| sorted.trailer.end_position)
    }

    /// The size of all files together.
    pub(crate) fn size_bytes(&self) -> u64 {
        self.segments.iter().map(|sorted| sorted.trailer.size_bytes).sum()
    }

    /// Puts a segment, or nothing, in the place of some, and gives those back.
    pub(crate) fn replace(
        &mut self,
        range: std::ops::Range<usize>,
        by: Option<Sorted>,
    ) -> Vec<Arc<Sorted>> {
        self.segments.splice(range, by.map(Arc::new)).collect()
    }

    fn open(&self, index: usize) -> Result<Option<OpenSorted<F::File>>, ReadError> {
        self.segments.get(index).map(|sorted| sorted.open(&*self.files)).transpose()
    }

    /// The index of the first segment that stands for an offset of the log at or after this one.
    fn search(&self, log: &OlderLog, from: Offset) -> Result<usize, ReadError> {
        let (mut low, mut high) = (0, self.segments.len());
        while low < high {
            let middle = low.midpoint(high);
            let Some(open) = self.open(middle)? else { break };
            match open.find(log.slot, log.id)? {
                Some(located) if located.summary.next_offset > from => high = middle,
                _ => low = middle + 1,
            }
        }
        Ok(low)
    }
}

impl<F: Files> Older for SortedSegments<F> {
    fn read(
        &self,
        log: &OlderLog,
        from: Offset,
        mut allowance: Allowance,
    ) -> Result<Records, ReadError> {
        let mut from = from.max(log.start_offset);
        let mut records = Records::default();
        for index in self.search(log, from)?..self.segments.len() {
            let Some(open) = self.open(index)? else { break };
            let Some(located) = open.find(log.slot, log.id)? else { continue };
            while from < located.summary.next_offset && !allowance.is_spent() {
                let most_bytes = allowance.left_bytes().min(MOST_READ_BYTES);
                let places = open.chunk_places(&located, from, most_bytes)?;
                let before = from;
                for chunk in open.chunks(&located, &places)? {
                    from = push_chunk(chunk, from, &mut allowance, &mut records);
                }
                if from == before {
                    break;
                }
            }
            if allowance.is_spent() {
                break;
            }
        }
        Ok(records)
    }
}

/// Adds what is wanted and allowed of a chunk, if it follows what is there, and says where to go on.
fn push_chunk(
    chunk: Chunk,
    from: Offset,
    allowance: &mut Allowance,
    records: &mut Records,
) -> Offset {
    let follows = records.next_offset().is_none_or(|next| next == chunk.first_offset());
    if chunk.next_offset() <= from || !follows {
        return from;
    }
    let start = chunk.find(from);
    let to = chunk.allowed(start, chunk.end(), allowance);
    if to.at == start.at {
        return from;
    }
    let next = chunk.offset_at(&to);
    records.push(Piece::Shared { chunk: Arc::new(chunk), from: start, to });
    next
}
