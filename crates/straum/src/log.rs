//! One key: what is known of all its messages, and those that are in memory, the last ones. It never
//! changes a message, and lets go only of those that it was told are elsewhere.
//!
//! The messages in memory are a list of chunks: four bytes a message, and no allocation of its own. A
//! message is found by its offset with a binary search over the chunks and one look-up, so that a poll
//! costs the same wherever it starts.

use crate::Offset;
use crate::chunk::Chunk;

/// One key's messages and how far they have been processed.
#[derive(Debug, Default)]
pub(crate) struct Log {
    /// Invariant: in order, adjacent, none empty, and the last one ends at `next_offset`.
    chunks: Vec<Chunk>,
    /// How many of the chunks are frozen: nothing is appended to them.
    ///
    /// Invariant: at most `chunks.len()`.
    frozen: usize,
    /// Invariant: one more than the offset of the last message.
    next_offset: Offset,
    /// Invariant: the bytes of all messages that there ever were.
    size_bytes: u64,
    /// Invariant: below `next_offset`, and never goes back.
    committed: Option<Offset>,
}

impl Log {
    /// A log of which nothing is in memory.
    pub(crate) fn restored(
        next_offset: Offset,
        size_bytes: u64,
        committed: Option<Offset>,
    ) -> Self {
        debug_assert!(committed < Some(next_offset) || committed.is_none());
        Self { next_offset, size_bytes, committed, ..Self::default() }
    }

    /// Appends a message of at most [`crate::MAX_MESSAGE_BYTES`] and returns its offset.
    pub(crate) fn append(&mut self, message: &[u8]) -> Offset {
        let offset = self.next_offset;
        match self.chunks[self.frozen..].last_mut() {
            Some(chunk) if chunk.has_room(message.len()) => chunk.push(message),
            last => {
                if let Some(full) = last {
                    full.close();
                }
                if self.chunks.is_empty() {
                    self.chunks.reserve_exact(1); // Most logs of very many never have a second.
                }
                debug_assert!(self.chunks.last().is_none_or(|last| last.next_offset() == offset));
                self.chunks.push(Chunk::new(offset, self.size_bytes, message));
            }
        }
        self.next_offset += 1;
        self.size_bytes += message.len() as u64;
        offset
    }

    /// Moves the committed offset forward to `offset`, at most to the last message; never back.
    pub(crate) fn commit(&mut self, offset: Offset) {
        let last = self.next_offset.checked_sub(1);
        self.committed = self.committed.max(last.map(|last| last.min(offset)));
        debug_assert!(self.committed < Some(self.next_offset));
    }

    pub(crate) fn committed(&self) -> Option<Offset> {
        self.committed
    }

    pub(crate) fn next_offset(&self) -> Offset {
        self.next_offset
    }

    pub(crate) fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// The first offset that is in memory; the next one if none is.
    pub(crate) fn first_in_memory(&self) -> Offset {
        self.chunks.first().map_or(self.next_offset, |chunk| chunk.first_offset)
    }

    /// How many bytes all messages have that are no longer in memory.
    pub(crate) fn bytes_before_memory(&self) -> u64 {
        self.chunks.first().map_or(self.size_bytes, |chunk| chunk.start_bytes)
    }

    pub(crate) fn in_memory(&self) -> &[Chunk] {
        &self.chunks
    }

    /// From now on, messages go to new chunks. Nothing may be frozen already.
    pub(crate) fn freeze(&mut self) {
        debug_assert_eq!(self.frozen, 0, "what was frozen before is still here");
        self.frozen = self.chunks.len();
    }

    pub(crate) fn frozen(&self) -> &[Chunk] {
        &self.chunks[..self.frozen]
    }

    /// Lets go of what is frozen: it can be read elsewhere.
    pub(crate) fn drop_frozen(&mut self) {
        self.chunks.drain(..self.frozen);
        self.frozen = 0;
    }

    /// The chunks in memory from the one that holds the message of this offset on, and the message's index
    /// in it; if it is in memory.
    pub(crate) fn from(&self, offset: Offset) -> Option<(&[Chunk], usize)> {
        if offset >= self.next_offset || offset < self.first_in_memory() {
            return None;
        }
        let last = self.chunks.len() - 1;
        let chunk = if offset >= self.chunks[last].first_offset {
            last // The tail, which most polls want, is found without a search.
        } else {
            self.chunks.partition_point(|chunk| chunk.first_offset <= offset) - 1
        };
        Some((&self.chunks[chunk..], self.chunks[chunk].index_of(offset)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunk::{CHUNK_BYTES, CHUNK_MESSAGES, Messages};
    use crate::poll::MESSAGE_OVERHEAD_BYTES;

    fn log_of(messages: impl IntoIterator<Item = Vec<u8>>) -> Log {
        let mut log = Log::default();
        for message in messages {
            log.append(&message);
        }
        log
    }

    fn messages(log: &Log, offset: Offset, max_bytes: u64) -> Messages<'_> {
        let (chunks, index) = log.from(offset).unwrap_or_default();
        Messages::new([chunks, &[]], index, max_bytes)
    }

    fn read(log: &Log, offset: Offset, max_bytes: u64) -> Vec<(Offset, Vec<u8>)> {
        messages(log, offset, max_bytes)
            .map(|(offset, message)| (offset, message.to_vec()))
            .collect()
    }

    #[test]
    fn every_message_is_found_at_its_offset_across_chunks() {
        let message = |n: u64| vec![n.to_le_bytes()[0]; 1 + (n % 977) as usize];
        let log = log_of((0..1_000).map(message));
        assert!(log.chunks.len() > 3);
        for offset in 0..1_000 {
            assert_eq!(read(&log, offset, 0), [(offset, message(offset))]);
        }
        assert_eq!(read(&log, 0, u64::MAX).len(), 1_000);
        assert_eq!(read(&log, 1_000, u64::MAX), []);
        assert_eq!(read(&log, u64::MAX, u64::MAX), []);
    }

    #[test]
    fn empty_messages_are_messages() {
        let log = log_of((0..2 * CHUNK_MESSAGES).map(|_| Vec::new()));
        assert_eq!(log.chunks.len(), 2);
        assert_eq!(messages(&log, 5, u64::MAX).count(), 2 * CHUNK_MESSAGES - 5);
    }

    #[test]
    fn a_message_larger_than_a_chunk_has_a_chunk_of_its_own() {
        let large = vec![7; 3 * CHUNK_BYTES];
        let log = log_of([vec![1], large.clone(), vec![2]]);
        assert_eq!(log.chunks.len(), 3);
        assert_eq!(read(&log, 0, u64::MAX), [(0, vec![1]), (1, large), (2, vec![2])]);
    }

    #[test]
    fn the_budget_counts_messages_and_their_overhead_and_always_allows_one() {
        let log = log_of((0..10).map(|_| vec![0; 100]));
        let cost = 100 + MESSAGE_OVERHEAD_BYTES;
        assert_eq!(messages(&log, 0, 0).count(), 1);
        assert_eq!(messages(&log, 0, 3 * cost - 1).count(), 2);
        assert_eq!(messages(&log, 0, 3 * cost).count(), 3);
    }

    #[test]
    fn a_committed_offset_never_goes_back_nor_past_the_last_message() {
        let mut log = Log::default();
        log.commit(3);
        assert_eq!(log.committed(), None);
        for _ in 0..5 {
            log.append(b"m");
        }
        log.commit(2);
        log.commit(1);
        assert_eq!(log.committed(), Some(2));
        log.commit(900);
        assert_eq!(log.committed(), Some(4));
    }

    #[test]
    fn small_messages_cost_their_bytes_and_four_more() {
        let log = log_of((0..1_000_000_u32).map(|n| n.to_string().into_bytes()));
        let reserved: usize =
            log.chunks.iter().map(|chunk| chunk.bytes.capacity() + 4 * chunk.ends.capacity()).sum();
        let payload = usize::try_from(log.size_bytes).unwrap();
        assert!(reserved <= payload + 4_000_000 + 4 * CHUNK_BYTES, "{reserved} for {payload}");
    }

    #[test]
    fn what_is_frozen_stays_as_it_is_until_it_is_dropped() {
        let mut log = log_of([vec![1], vec![2]]);
        log.freeze();
        log.append(&[3]);
        log.commit(2);
        assert_eq!(log.frozen(), &[Chunk { ends: vec![1, 2], ..Chunk::new(0, 0, &[1, 2]) }]);
        assert_eq!(read(&log, 1, u64::MAX), [(1, vec![2]), (2, vec![3])]);

        log.drop_frozen();
        assert_eq!((log.first_in_memory(), log.bytes_before_memory()), (2, 2));
        assert_eq!(read(&log, 1, u64::MAX), []);
        assert_eq!(read(&log, 2, u64::MAX), [(2, vec![3])]);
        log.freeze();
        log.drop_frozen();
        assert_eq!((log.first_in_memory(), log.next_offset()), (3, 3));
        assert_eq!(log.append(&[4]), 3);
        assert_eq!(read(&log, 3, u64::MAX), [(3, vec![4])]);
    }
}
