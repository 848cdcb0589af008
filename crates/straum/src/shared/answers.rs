//! How long answers take, those of the store above all: a running mean and its deviation, and when to ask
//! again. Never reads a clock, and never asks.

use super::{MILLISECOND_NS, SECOND_NS};
use crate::random::Random;

/// The least and the most that is waited for an answer before it is asked again.
const LEAST_TIMEOUT_NS: u64 = 200 * MILLISECOND_NS;
const MOST_TIMEOUT_NS: u64 = SECOND_NS;

/// What an answer is taken to need before any has come.
const FIRST_GUESS_NS: u64 = 20 * MILLISECOND_NS;

/// What is known of the store's answers.
#[derive(Debug)]
pub(super) struct StoreTimes {
    pub(super) trip: RoundTrip,
    pub(super) random: Random,
}

/// A question to the store that is open.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    /// When it was asked first.
    pub(super) first_ns: u64,
    /// When it is asked again, or given up, if no answer has come.
    pub(super) until_ns: u64,
    pub(super) attempts: u32,
}

impl StoreTimes {
    pub(super) fn new(seed: u64) -> Self {
        Self { trip: RoundTrip::new(), random: Random::new(seed) }
    }

    /// A question that is asked now for the first time.
    pub(super) fn ask(&mut self, now_ns: u64) -> Asked {
        let until_ns = now_ns + self.trip.timeout_ns(1, &mut self.random);
        Asked { first_ns: now_ns, until_ns, attempts: 1 }
    }

    /// The same question is asked once more.
    pub(super) fn ask_again(&mut self, asked: &mut Asked, now_ns: u64) {
        asked.attempts += 1;
        asked.until_ns = now_ns + self.trip.timeout_ns(asked.attempts, &mut self.random);
    }

    /// It was answered.
    pub(super) fn answered(&mut self, asked: &Asked, now_ns: u64) {
        if asked.attempts == 1 {
            self.trip.note(now_ns.saturating_sub(asked.first_ns));
        }
    }

    /// The store could not answer: it is left alone for a while.
    pub(super) fn failed(&mut self, asked: &mut Asked, now_ns: u64) {
        asked.until_ns = now_ns + self.trip.timeout_ns(asked.attempts, &mut self.random);
    }
}

/// Measured times from question to answer.
#[derive(Debug)]
pub(super) struct RoundTrip {
    mean_ns: u64,
    deviation_ns: u64,
    measured: bool,
}

impl RoundTrip {
    pub(super) fn new() -> Self {
        Self { mean_ns: FIRST_GUESS_NS, deviation_ns: FIRST_GUESS_NS / 2, measured: false }
    }

    /// Takes in a time that was measured; what is longer than any time-out tells of a node that was halted,
    /// or a store that was, and not of the way. Questions that were asked twice must be left out: nobody knows
    /// which of the two was answered.
    pub(super) fn note(&mut self, sample_ns: u64) {
        let sample_ns = sample_ns.min(MOST_TIMEOUT_NS);
        if self.measured {
            let off_ns = self.mean_ns.abs_diff(sample_ns);
            self.deviation_ns = (3 * self.deviation_ns + off_ns) / 4;
            self.mean_ns = (7 * self.mean_ns + sample_ns) / 8;
        } else {
            *self = Self { mean_ns: sample_ns, deviation_ns: sample_ns / 2, measured: true };
        }
    }

    /// The mean.
    pub(super) fn mean_ns(&self) -> u64 {
        self.mean_ns
    }

    /// What most answers need no longer than.
    pub(super) fn mostly_ns(&self) -> u64 {
        self.mean_ns + self.deviation_ns
    }

    /// What hardly any answer needs longer than.
    pub(super) fn hardly_ever_ns(&self) -> u64 {
        self.mean_ns + 4 * self.deviation_ns
    }

    /// How long to wait for an answer when it is asked for the `attempts`th time, from 1: never less than
    /// two round trips, longer as time goes on, and never exactly as long as others wait.
    pub(super) fn timeout_ns(&self, attempts: u32, random: &mut Random) -> u64 {
        let first_ns = (2 * self.mean_ns).max(self.hardly_ever_ns()).max(LEAST_TIMEOUT_NS);
        let doublings = (attempts.saturating_sub(1) / 2).min(8);
        let timeout_ns = (first_ns << doublings).min(MOST_TIMEOUT_NS);
        timeout_ns + random.below(timeout_ns / 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_always_takes_as_long_is_always_waited_for() {
        for trip_ms in [1, 100, 200, 400] {
            let mut trip = RoundTrip::new();
            (0..100).for_each(|_| trip.note(trip_ms * MILLISECOND_NS));
            let mut random = Random::new(1);
            for attempts in 1..10 {
                let timeout_ns = trip.timeout_ns(attempts, &mut random);
                assert!(timeout_ns >= 2 * trip_ms * MILLISECOND_NS, "{trip_ms} ms: {timeout_ns}");
                assert!(timeout_ns <= 2 * MOST_TIMEOUT_NS);
            }
        }
    }

    #[test]
    fn a_halt_does_not_make_later_waits_long() {
        let mut trip = RoundTrip::new();
        (0..100).for_each(|_| trip.note(MILLISECOND_NS));
        trip.note(60 * SECOND_NS);
        (0..40).for_each(|_| trip.note(MILLISECOND_NS));
        assert!(trip.mostly_ns() < 20 * MILLISECOND_NS, "{trip:?}");
    }
}
