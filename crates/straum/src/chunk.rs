//! A run of consecutive messages of one log: their bytes end to end, and where each ends. Never knows its
//! key, and never changes a message once it is in.

use std::iter::FusedIterator;

use crate::Offset;
use crate::poll::MESSAGE_OVERHEAD_BYTES;

/// A chunk is closed before it outgrows this, unless its first message alone is larger. Small enough that
/// reading one from a file for a single message is cheap.
pub(crate) const CHUNK_BYTES: usize = 32 * 1024;

/// A chunk is closed when it holds this many messages, however small they are.
pub(crate) const CHUNK_MESSAGES: usize = 8 * 1024;

/// Consecutive messages of one log: at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    pub(crate) first_offset: Offset,
    /// How many bytes all messages of the log before this chunk have.
    pub(crate) start_bytes: u64,
    pub(crate) bytes: Vec<u8>,
    /// Where in `bytes` each message ends.
    ///
    /// Invariant: in order, the last one the end of `bytes`. A message fits into 32 bits
    /// (`MAX_MESSAGE_BYTES`), and so does a chunk, which holds either one message or at most `CHUNK_BYTES`.
    pub(crate) ends: Vec<u32>,
}

impl Chunk {
    /// A chunk that begins with this message.
    pub(crate) fn new(first_offset: Offset, start_bytes: u64, message: &[u8]) -> Self {
        let mut chunk = Self { first_offset, start_bytes, bytes: Vec::new(), ends: Vec::new() };
        chunk.push(message);
        chunk
    }

    pub(crate) fn has_room(&self, size_bytes: usize) -> bool {
        self.bytes.len() + size_bytes <= CHUNK_BYTES && self.ends.len() < CHUNK_MESSAGES
    }

    #[expect(clippy::cast_possible_truncation, reason = "stated and ensured at `ends`")]
    pub(crate) fn push(&mut self, message: &[u8]) {
        self.bytes.extend_from_slice(message);
        self.ends.push(self.bytes.len() as u32);
    }

    /// Gives back what a full chunk has reserved and will not use.
    pub(crate) fn close(&mut self) {
        self.bytes.shrink_to_fit();
        self.ends.shrink_to_fit();
    }

    /// The offset after its last message.
    pub(crate) fn next_offset(&self) -> Offset {
        self.first_offset + self.ends.len() as u64
    }

    /// The index of the message of an offset; of the nearest, if it is not in here.
    pub(crate) fn index_of(&self, offset: Offset) -> usize {
        let index = usize::try_from(offset.saturating_sub(self.first_offset));
        index.unwrap_or(usize::MAX).min(self.ends.len() - 1)
    }

    /// Its messages from an offset on, as far as the budget goes; none if that is nowhere.
    pub(crate) fn cut(self, from: Offset, budget: &mut Budget) -> Option<Self> {
        let start = self.index_of(from);
        let (messages, bytes) = (self.ends.len() as u64, self.bytes.len() as u64);
        if start == 0 && budget.clone().take(messages, bytes) {
            budget.take(messages, bytes);
            return Some(self);
        }
        let size_of = |index: usize| self.message(index).map_or(0, <[u8]>::len) as u64;
        let end = (start..self.ends.len()).find(|&index| !budget.take(1, size_of(index)));
        let end = end.unwrap_or(self.ends.len());
        let (start_of, end_of) = (self.start_of(start), self.start_of(end));
        (start < end).then(|| Self {
            first_offset: self.first_offset + start as u64,
            start_bytes: self.bytes_before(start),
            bytes: self.bytes[start_of..end_of].to_vec(),
            ends: self.ends[start..end].iter().map(|end| end - self.ends_before(start)).collect(),
        })
    }

    /// Where the message before the one of this index ends.
    fn ends_before(&self, index: usize) -> u32 {
        if index == 0 { 0 } else { self.ends[index - 1] }
    }

    /// How many bytes all messages of the log have up to the end of this chunk.
    pub(crate) fn end_bytes(&self) -> u64 {
        self.start_bytes + self.bytes.len() as u64
    }

    /// How many bytes all messages of the log before the one of this index have.
    pub(crate) fn bytes_before(&self, index: usize) -> u64 {
        self.start_bytes + self.start_of(index) as u64
    }

    fn start_of(&self, index: usize) -> usize {
        self.ends_before(index) as usize
    }

    fn message(&self, index: usize) -> Option<&[u8]> {
        let end = *self.ends.get(index)? as usize;
        self.bytes.get(self.start_of(index)..end)
    }
}

/// Consecutive messages of one log, each with its offset.
#[derive(Clone, Debug)]
pub struct Messages<'a> {
    /// What is read first, and what follows it.
    chunks: [&'a [Chunk]; 2],
    index: usize,
    budget: Budget,
}

impl<'a> Messages<'a> {
    /// From the message of an index in the first chunk on, as many as cost at most `max_bytes`, but at
    /// least one if there is one. The second chunks follow the first without a gap.
    pub(crate) fn new(chunks: [&'a [Chunk]; 2], index: usize, max_bytes: u64) -> Self {
        Self { chunks, index, budget: Budget::with_first(max_bytes) }
    }

    /// The chunk at hand; the next one if that is at its end.
    fn chunk(&mut self) -> Option<&'a Chunk> {
        loop {
            let Some((chunk, rest)) = self.chunks[0].split_first() else {
                self.chunks = [self.chunks[1], &[]];
                if self.chunks[0].is_empty() {
                    return None;
                }
                continue;
            };
            if self.index < chunk.ends.len() {
                return Some(chunk);
            }
            self.chunks[0] = rest;
            self.index = 0;
        }
    }
}

impl<'a> Iterator for Messages<'a> {
    type Item = (Offset, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let chunk = self.chunk()?;
        let message = chunk.message(self.index)?;
        if !self.budget.take(1, message.len() as u64) {
            self.chunks = [&[], &[]];
            return None;
        }
        let offset = chunk.first_offset + self.index as u64;
        self.index += 1;
        Some((offset, message))
    }
}

impl FusedIterator for Messages<'_> {}

/// What messages may still cost in a poll, in bytes.
#[derive(Clone, Debug)]
pub struct Budget {
    left_bytes: u64,
    /// Whether the next message is allowed whatever it costs.
    first: bool,
}

impl Budget {
    /// So much, but the first message at least.
    pub(crate) fn with_first(max_bytes: u64) -> Self {
        Self { left_bytes: max_bytes, first: true }
    }

    /// So much, perhaps no message.
    pub(crate) fn strict(max_bytes: u64) -> Self {
        Self { left_bytes: max_bytes, first: false }
    }

    /// Pays for a message, or for a chunk that holds several, if that is allowed. If not, nothing is allowed
    /// any more.
    pub(crate) fn take(&mut self, messages: u64, bytes: u64) -> bool {
        let cost = bytes + messages * MESSAGE_OVERHEAD_BYTES;
        let allowed = cost <= self.left_bytes || (self.first && messages == 1);
        self.first = false;
        self.left_bytes = if allowed { self.left_bytes.saturating_sub(cost) } else { 0 };
        allowed
    }

    /// Whether no message, however small, is allowed any more.
    pub(crate) fn is_spent(&self) -> bool {
        !self.first && self.left_bytes < MESSAGE_OVERHEAD_BYTES
    }

    /// From now on, what is not within the budget is not allowed.
    pub(crate) fn no_longer_first(&mut self) {
        self.first = false;
    }

    /// Whether a chunk would be allowed as a whole, or one that holds several messages in part.
    pub(crate) fn reaches_into(&self, messages: u64, bytes: u64) -> bool {
        let cost = bytes + messages * MESSAGE_OVERHEAD_BYTES;
        self.first || cost <= self.left_bytes || (messages > 1 && self.left_bytes > 0)
    }
}
