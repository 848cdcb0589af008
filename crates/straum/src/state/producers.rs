//! What is known of a producer in a log, so that a retry is recognised. Never knows the log.
//!
//! The rules are those of Kafka: KIP-98, "Idempotent producer guarantees", and the five batches that a
//! producer may have in flight.

use crate::Offset;
use crate::command::{Outcome, Producer};
use crate::command_bytes::SEQUENCES;

/// How many records of a producer are remembered: as many as it may have in flight.
const REMEMBERED: usize = 5;

/// A producer is forgotten when it has appended nothing for so long, in milliseconds (a day, as in Kafka).
pub(crate) const EXPIRES_MS: u64 = 24 * 60 * 60 * 1_000;

/// One producer in one log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct KnownProducer {
    pub(crate) epoch: u16,
    /// When it appended last, in milliseconds since 1970.
    pub(crate) time_ms: u64,
    /// Its last records, the oldest first. Invariant: at least one, at most [`REMEMBERED`].
    last: Vec<Appended>,
}

/// A record that a producer has appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Appended {
    pub(crate) first_sequence: u32,
    pub(crate) count: u32,
    pub(crate) offset: Offset,
}

impl KnownProducer {
    /// As it was stored. None if no producer is like that.
    pub(crate) fn restored(epoch: u16, time_ms: u64, last: Vec<Appended>) -> Option<Self> {
        let sane = (1..=REMEMBERED).contains(&last.len());
        sane.then_some(Self { epoch, time_ms, last })
    }

    pub(crate) fn last(&self) -> &[Appended] {
        &self.last
    }

    pub(crate) fn is_expired(&self, now_ms: u64) -> bool {
        now_ms.saturating_sub(self.time_ms) >= EXPIRES_MS
    }

    /// Why a record of this many offsets is not to be appended, if it is not. A producer that is not known
    /// may begin anywhere.
    pub(crate) fn refuses(&self, producer: Producer, count: u32) -> Option<Outcome> {
        let Producer { epoch, first_sequence, .. } = producer;
        if epoch < self.epoch {
            return Some(Outcome::Fenced);
        }
        if epoch > self.epoch {
            return (first_sequence != 0).then_some(Outcome::OutOfOrder);
        }
        let is_same = |one: &&Appended| (one.first_sequence, one.count) == (first_sequence, count);
        if let Some(before) = self.last.iter().find(is_same) {
            return Some(Outcome::Duplicate(before.offset));
        }
        let expected = self.last.last().map_or(0, |last| after(last.first_sequence, last.count));
        (first_sequence != expected).then_some(Outcome::OutOfOrder)
    }

    /// It has appended a record.
    pub(crate) fn note(&mut self, producer: Producer, count: u32, offset: Offset, time_ms: u64) {
        if producer.epoch != self.epoch {
            self.last.clear();
        }
        if self.last.len() == REMEMBERED {
            self.last.remove(0);
        }
        self.last.push(Appended { first_sequence: producer.first_sequence, count, offset });
        self.epoch = producer.epoch;
        self.time_ms = time_ms;
    }
}

/// The number that follows so many from the first one on.
fn after(first_sequence: u32, count: u32) -> u32 {
    (first_sequence.wrapping_add(count)) % SEQUENCES
}

#[cfg(test)]
mod tests {
    use super::*;

    fn producer(epoch: u16, first_sequence: u32) -> Producer {
        Producer { id: 1, epoch, first_sequence }
    }

    /// A producer that has appended records of two offsets from a number on.
    fn known(first_sequence: u32, records: u32) -> KnownProducer {
        let mut known = KnownProducer { epoch: 3, ..KnownProducer::default() };
        for n in 0..records {
            let first_sequence = after(first_sequence, 2 * n);
            known.note(producer(3, first_sequence), 2, u64::from(100 + n), 5);
        }
        known
    }

    #[test]
    fn a_retry_is_told_where_the_first_try_went_for_as_long_as_it_may_be_in_flight() {
        let known = known(10, 7);
        for n in 2..7 {
            let refused = known.refuses(producer(3, 10 + 2 * n), 2);
            assert_eq!(refused, Some(Outcome::Duplicate(u64::from(100 + n))));
        }
        for (first_sequence, count) in [(10, 2), (12, 2), (22, 1), (22, 3), (23, 1)] {
            let refused = known.refuses(producer(3, first_sequence), count);
            assert_eq!(refused, Some(Outcome::OutOfOrder), "{first_sequence} {count}");
        }
    }

    #[test]
    fn what_follows_is_taken_and_a_gap_is_not() {
        let known = known(10, 7);
        assert_eq!(known.refuses(producer(3, 24), 1), None);
        assert_eq!(known.refuses(producer(3, 25), 1), Some(Outcome::OutOfOrder));
    }

    #[test]
    fn the_numbers_begin_anew_after_the_last_one() {
        let known = known(SEQUENCES - 3, 2);
        assert_eq!(known.refuses(producer(3, 1), 2), None);
        let across = known.refuses(producer(3, SEQUENCES - 1), 2);
        assert_eq!(across, Some(Outcome::Duplicate(101)));
    }

    #[test]
    fn a_later_life_begins_at_0_and_fences_the_earlier_ones() {
        let mut known = known(0, 2);
        assert_eq!(known.refuses(producer(4, 1), 1), Some(Outcome::OutOfOrder));
        assert_eq!(known.refuses(producer(4, 0), 1), None);
        known.note(producer(4, 0), 1, 200, 6);
        assert_eq!(known.refuses(producer(3, 4), 1), Some(Outcome::Fenced));
        assert_eq!(known.refuses(producer(4, 0), 1), Some(Outcome::Duplicate(200)));
        assert_eq!(known.last().len(), 1);
    }
}
