//! How long requests have waited for the disk, and whether it is too late to answer them. Never counts a wait for
//! input, for the reader of the replies, or for a journal to be opened.

use std::mem;
use std::time::{Duration, Instant};

use maelstrom_kafka::LATE_NS;

/// A read that takes longer has waited for input. Syncs that do not are forgotten at the next read, which then need
/// not be timed: looking at a clock is a hundredth of a round trip.
const MOMENT: Duration = Duration::from_millis(50);

/// The syncs that those wait for who are answered next.
#[derive(Debug, Default)]
pub(crate) struct Waits {
    /// How long the syncs between the last two reads took: what was there already at the last one
    /// may have waited for them.
    before_read: Duration,
    /// And those since then.
    since_read: Duration,
}

impl Waits {
    /// Reads.
    pub(crate) fn reading<T>(&mut self, read: impl FnOnce() -> T) -> T {
        let began = (self.since_read > MOMENT).then(Instant::now);
        let read = read();
        self.has_read(began.is_some_and(|began| began.elapsed() <= MOMENT));
        read
    }

    /// Syncs, and says how long requests may have waited if they should no longer be answered.
    pub(crate) fn syncing<T>(&mut self, sync: impl FnOnce() -> T) -> (T, Option<Duration>) {
        let began = Instant::now();
        let synced = sync();
        (synced, self.has_synced(began.elapsed()))
    }

    /// As after syncs that took so long.
    #[cfg(test)]
    pub(crate) fn of(since_read: Duration) -> Self {
        Self { since_read, ..Self::default() }
    }

    fn has_read(&mut self, what_was_there: bool) {
        let since_read = mem::take(&mut self.since_read);
        self.before_read = if what_was_there { since_read } else { Duration::ZERO };
    }

    fn has_synced(&mut self, took: Duration) -> Option<Duration> {
        self.since_read += took;
        let waited = self.before_read + self.since_read;
        (waited >= Duration::from_nanos(LATE_NS)).then_some(waited)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Duration = Duration::ZERO;
    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn who_waits_for_a_long_sync_is_not_answered() {
        let mut waits = Waits::default();
        assert_eq!(waits.has_synced(SECOND), None);
        assert_eq!(waits.has_synced(4 * SECOND), Some(5 * SECOND));
    }

    #[test]
    fn nor_is_who_came_while_the_ones_before_waited() {
        let mut waits = Waits::default();
        assert!(waits.has_synced(5 * SECOND).is_some());
        waits.has_read(true);
        assert!(waits.has_synced(NONE).is_some());
        waits.has_read(true);
        assert_eq!(waits.has_synced(NONE), None);
    }

    #[test]
    fn two_syncs_are_as_long_as_one() {
        let mut waits = Waits::default();
        assert_eq!(waits.has_synced(3 * SECOND), None);
        waits.has_read(true);
        assert_eq!(waits.has_synced(3 * SECOND), Some(6 * SECOND));
    }

    #[test]
    fn who_came_when_nobody_waited_is_answered() {
        let mut waits = Waits::default();
        assert!(waits.has_synced(5 * SECOND).is_some());
        waits.has_read(false);
        assert_eq!(waits.has_synced(SECOND), None);
    }
}
