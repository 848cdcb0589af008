//! How long the store takes to answer, and when to ask it again. Never asks.

use super::round_trip::RoundTrip;
use crate::random::Random;

/// What is known of the store's answers.
#[derive(Debug)]
pub(super) struct StoreLine {
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

impl StoreLine {
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
