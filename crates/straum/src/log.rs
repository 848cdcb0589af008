//! The messages of one key, in memory. It never drops, moves or changes a message once appended.
//!
//! A log is a list of chunks. A chunk holds the bytes of consecutive messages end to end, and where
//! each message ends: four bytes a message, and no allocation of its own. A message is found by its
//! offset with a binary search over the chunks and one look-up, so that a poll costs the same
//! wherever in the log it starts.

use crate::Offset;
use crate::poll::MESSAGE_OVERHEAD_BYTES;

/// A chunk is closed before it outgrows this, unless its first message alone is larger.
const CHUNK_BYTES: usize = 64 * 1024;

/// A chunk is closed when it holds this many messages, however small they are.
const CHUNK_MESSAGES: usize = 16 * 1024;

/// One key's messages and how far they have been processed.
#[derive(Debug, Default)]
pub(crate) struct Log {
    /// Invariant: chunks are in order, adjacent and none is empty.
    chunks: Vec<Chunk>,
    /// Invariant: one more than the offset of the last message.
    next_offset: Offset,
    /// Invariant: all messages' bytes together.
    size_bytes: u64,
    /// Invariant: below `next_offset`, and never goes back.
    committed: Option<Offset>,
}

#[derive(Debug)]
struct Chunk {
    first_offset: Offset,
    /// How many bytes the messages before this chunk have.
    start_bytes: u64,
    bytes: Vec<u8>,
    /// Where in `bytes` each message ends. A message fits into 32 bits (`MAX_MESSAGE_BYTES`), and so
    /// does a chunk, which holds either one message or at most `CHUNK_BYTES`.
    ends: Vec<u32>,
}

impl Log {
    /// Appends a message of at most [`crate::MAX_MESSAGE_BYTES`] and returns its offset.
    pub(crate) fn append(&mut self, message: &[u8]) -> Offset {
        let offset = self.next_offset;
        match self.chunks.last_mut() {
            Some(chunk) if chunk.has_room(message.len()) => chunk.push(message),
            last => {
                if let Some(full) = last {
                    full.close();
                }
                let mut chunk = Chunk {
                    first_offset: offset,
                    start_bytes: self.size_bytes,
                    bytes: Vec::new(),
                    ends: Vec::new(),
                };
                chunk.push(message);
                if self.chunks.is_empty() {
                    self.chunks.reserve_exact(1); // Most logs of very many never have a second.
                }
                self.chunks.push(chunk);
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

    /// The messages from `offset` on, as many as cost at most `max_bytes`, but at least one if there
    /// is one.
    pub(crate) fn messages(&self, offset: Offset, max_bytes: u64) -> Messages<'_> {
        let (chunk, index) = self.place(offset).unwrap_or((self.chunks.len(), 0));
        Messages {
            chunks: self.chunks.get(chunk..).unwrap_or(&[]),
            index,
            budget: Budget::new(max_bytes),
        }
    }

    /// What all messages from `offset` on cost in a poll, in bytes; 0 if there is none.
    pub(crate) fn cost_from(&self, offset: Offset) -> u64 {
        let Some((chunk, index)) = self.place(offset) else {
            return 0;
        };
        let chunk = &self.chunks[chunk];
        let before_bytes = chunk.start_bytes + chunk.start_of(index) as u64;
        let messages = self.next_offset - offset;
        self.size_bytes - before_bytes + messages * MESSAGE_OVERHEAD_BYTES
    }

    /// The chunk that holds the message of this offset, and the message's index in it.
    fn place(&self, offset: Offset) -> Option<(usize, usize)> {
        if offset >= self.next_offset {
            return None;
        }
        let last = self.chunks.len() - 1;
        let chunk = if offset >= self.chunks[last].first_offset {
            last // The tail, which most polls want, is found without a search.
        } else {
            self.chunks.partition_point(|chunk| chunk.first_offset <= offset) - 1
        };
        let index = usize::try_from(offset - self.chunks[chunk].first_offset).ok()?;
        Some((chunk, index))
    }
}

impl Chunk {
    fn has_room(&self, size_bytes: usize) -> bool {
        self.bytes.len() + size_bytes <= CHUNK_BYTES && self.ends.len() < CHUNK_MESSAGES
    }

    #[expect(clippy::cast_possible_truncation, reason = "stated and ensured at `ends`")]
    fn push(&mut self, message: &[u8]) {
        self.bytes.extend_from_slice(message);
        self.ends.push(self.bytes.len() as u32);
    }

    /// Gives back what a full chunk has reserved and will not use.
    fn close(&mut self) {
        self.bytes.shrink_to_fit();
        self.ends.shrink_to_fit();
    }

    fn start_of(&self, index: usize) -> usize {
        if index == 0 { 0 } else { self.ends[index - 1] as usize }
    }

    fn message(&self, index: usize) -> Option<&[u8]> {
        let end = *self.ends.get(index)? as usize;
        self.bytes.get(self.start_of(index)..end)
    }
}

/// Consecutive messages of one log, each with its offset.
#[derive(Clone, Debug)]
pub struct Messages<'a> {
    chunks: &'a [Chunk],
    index: usize,
    budget: Budget,
}

impl<'a> Iterator for Messages<'a> {
    type Item = (Offset, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let mut chunk = self.chunks.first()?;
        if self.index == chunk.ends.len() {
            self.chunks = &self.chunks[1..];
            self.index = 0;
            chunk = self.chunks.first()?;
        }
        let message = chunk.message(self.index)?;
        if !self.budget.take(message.len()) {
            self.chunks = &[];
            return None;
        }
        let offset = chunk.first_offset + self.index as u64;
        self.index += 1;
        Some((offset, message))
    }
}

/// How many bytes of messages may still be returned. The first message is always allowed.
#[derive(Clone, Debug)]
struct Budget {
    left_bytes: u64,
    untouched: bool,
}

impl Budget {
    fn new(max_bytes: u64) -> Self {
        Self { left_bytes: max_bytes, untouched: true }
    }

    fn take(&mut self, message_bytes: usize) -> bool {
        let cost = message_bytes as u64 + MESSAGE_OVERHEAD_BYTES;
        let allowed = self.untouched || cost <= self.left_bytes;
        self.untouched = false;
        self.left_bytes = self.left_bytes.saturating_sub(cost);
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log_of(messages: impl IntoIterator<Item = Vec<u8>>) -> Log {
        let mut log = Log::default();
        for message in messages {
            log.append(&message);
        }
        log
    }

    fn read(log: &Log, offset: Offset, max_bytes: u64) -> Vec<(Offset, Vec<u8>)> {
        log.messages(offset, max_bytes)
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
        assert_eq!(log.messages(5, u64::MAX).count(), 2 * CHUNK_MESSAGES - 5);
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
        assert_eq!(log.messages(0, 0).count(), 1);
        assert_eq!(log.messages(0, 3 * cost - 1).count(), 2);
        assert_eq!(log.messages(0, 3 * cost).count(), 3);
        assert_eq!(log.cost_from(7), 3 * cost);
        assert_eq!(log.cost_from(10), 0);
    }

    #[test]
    fn the_cost_of_a_poll_is_what_its_messages_cost() {
        let log = log_of((0..500).map(|n| vec![0; n * 3]));
        for offset in [0, 1, 77, 300, 499] {
            let cost: u64 = log
                .messages(offset, u64::MAX)
                .map(|(_, message)| message.len() as u64 + MESSAGE_OVERHEAD_BYTES)
                .sum();
            assert_eq!(log.cost_from(offset), cost);
        }
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
}
