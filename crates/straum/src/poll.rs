//! Polling many logs at once within one bound. Never changes anything.

use crate::Offset;
use crate::chunk::{Budget, Chunk, Messages};
use crate::journal::{Journal, ReadError};
use crate::log::Log;

/// What a message costs of a poll's bound beside its own bytes: room for its offset (up to 20 digits)
/// and for the punctuation around it. It keeps the bound honest for tiny messages.
pub const MESSAGE_OVERHEAD_BYTES: u64 = 24;

/// What a poll found in one log: at least one message.
#[derive(Clone, Debug)]
pub struct Polled<'a> {
    /// The log's name.
    pub key: &'a str,
    /// The log's number.
    number: usize,
    /// Read for this poll: the first messages, if they are not in memory.
    ///
    /// Invariant: adjacent, from the wanted offset on.
    older: Vec<Chunk>,
    /// In memory. Follows `older`, or is empty.
    tail: &'a [Chunk],
    /// Where the wanted messages begin in the first chunk.
    index: usize,
    max_bytes: u64,
}

impl<'a> Polled<'a> {
    /// The log from an offset on, of which no more has been read than costs `max_bytes`. None if there is
    /// nothing.
    pub(crate) fn begin(
        journal: &impl Journal,
        (number, key, log): (usize, &'a str, &'a Log),
        offset: Offset,
        max_bytes: u64,
    ) -> Result<Option<Self>, ReadError> {
        let first_in_memory = log.first_in_memory();
        let mut older = Vec::new();
        if offset < first_in_memory {
            older = journal.read(number, offset, Budget::with_first(max_bytes))?;
        }
        let (tail, index) = if older.is_empty() {
            let Some(tail) = log.from(offset.max(first_in_memory)) else { return Ok(None) };
            tail
        } else {
            (log.in_memory(), 0)
        };
        Ok(Some(Self { key, number, older, tail, index, max_bytes }))
    }

    /// What all messages from the first one on cost, in bytes.
    pub(crate) fn cost_of_all(&self, log: &Log) -> u64 {
        self.cost_up_to(log.next_offset(), log.size_bytes())
    }

    /// What the messages from the first one up to an offset cost, before which all messages have
    /// `end_bytes`.
    fn cost_up_to(&self, end_offset: Offset, end_bytes: u64) -> u64 {
        let Some(chunk) = self.older.first().or(self.tail.first()) else { return 0 };
        let messages = end_offset - (chunk.first_offset + self.index as u64);
        end_bytes - chunk.bytes_before(self.index) + messages * MESSAGE_OVERHEAD_BYTES
    }

    /// Reads what is missing of as many messages as cost `max_bytes`.
    pub(crate) fn take(&mut self, journal: &impl Journal, max_bytes: u64) -> Result<(), ReadError> {
        self.max_bytes = max_bytes;
        let Some(last) = self.older.last() else { return Ok(()) };
        let (mut end, first_in_memory) =
            (last.next_offset(), self.tail.first().map(|chunk| chunk.first_offset));
        let left_bytes = max_bytes.saturating_sub(self.cost_up_to(end, last.end_bytes()));
        if left_bytes > 0 && Some(end) != first_in_memory {
            self.older.extend(journal.read(self.number, end, Budget::strict(left_bytes))?);
            end = self.older.last().map_or(end, Chunk::next_offset);
        }
        if Some(end) != first_in_memory {
            self.tail = &[];
        }
        Ok(())
    }

    /// The messages from the wanted offset on, contiguous and in order.
    pub fn messages(&self) -> Messages<'_> {
        Messages::new([&self.older, self.tail], self.index, self.max_bytes)
    }
}

/// Shares `max_bytes` fairly (max-min): no share exceeds its cost, and a log gets less than it could
/// use only if no other log gets more than it. The shares stand in the order of the costs.
pub(crate) fn fair_shares(costs: Vec<u64>, max_bytes: u64) -> Vec<u64> {
    let mut shares = costs;
    if shares.iter().fold(0, |sum: u64, &cost| sum.saturating_add(cost)) <= max_bytes {
        return shares;
    }
    let mut cheapest_first: Vec<&mut u64> = shares.iter_mut().collect();
    cheapest_first.sort_unstable();
    let mut left_bytes = max_bytes;
    let logs = cheapest_first.len() as u64;
    for (logs_left, share) in (1..=logs).rev().zip(cheapest_first) {
        *share = (*share).min(left_bytes / logs_left);
        left_bytes -= *share;
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::fair_shares;

    #[test]
    fn what_fits_is_given_whole() {
        assert_eq!(fair_shares(vec![10, 20, 30], 60), [10, 20, 30]);
    }

    #[test]
    fn what_small_logs_leave_goes_to_the_large_ones() {
        assert_eq!(fair_shares(vec![1_000, 10, 500], 410), [200, 10, 200]);
    }

    #[test]
    fn nothing_to_share_among_none() {
        assert!(fair_shares(vec![], 100).is_empty());
        assert_eq!(fair_shares(vec![5, 5], 0), [0, 0]);
    }
}
