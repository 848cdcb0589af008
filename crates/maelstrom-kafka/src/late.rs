//! How long requests have waited for this node, and whether it is too late to answer them. Never counts a wait for
//! input, for the reader of the replies, or for a journal to be opened.

use std::time::{Duration, Instant};

use maelstrom_kafka::LATE_NS;

/// A read that takes longer has waited for input: what it brings has just come.
const MOMENT: Duration = Duration::from_millis(50);

/// When the requests came that are answered next.
#[derive(Debug)]
pub(crate) struct Waits {
    /// When the last read returned.
    read_at: Instant,
    /// How long what it brought may have waited before: as long as the node was busy with what came before that.
    before_read: Duration,
    /// When the node was last seen at work.
    seen_at: Instant,
}

impl Waits {
    pub(crate) fn new(now: Instant) -> Self {
        Self { read_at: now, before_read: Duration::ZERO, seen_at: now }
    }

    /// A read has returned.
    pub(crate) fn has_read(&mut self, now: Instant) {
        let has_waited = now.duration_since(self.seen_at) > MOMENT;
        let busy = self.seen_at.duration_since(self.read_at);
        self.before_read = if has_waited { Duration::ZERO } else { busy };
        self.read_at = now;
        self.seen_at = now;
    }

    /// Replies are about to leave. How long their requests may have waited, if they should no longer be answered.
    pub(crate) fn too_late(&mut self, now: Instant) -> Option<Duration> {
        self.seen_at = now;
        let waited = self.before_read + now.duration_since(self.read_at);
        (waited >= Duration::from_nanos(LATE_NS)).then_some(waited)
    }

    /// The node opened its journal, which nobody is to blame for.
    pub(crate) fn has_opened(&mut self, now: Instant) {
        *self = Self::new(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// What a story says about each flush: whether what is answered then comes too late.
    enum Event {
        Read,
        Flush(bool),
        After(Duration),
    }
    use Event::{After, Flush, Read};

    fn tell(story: &[Event]) {
        let mut now = Instant::now();
        let mut waits = Waits::new(now);
        for event in story {
            match event {
                Read => waits.has_read(now),
                Flush(late) => assert_eq!(waits.too_late(now).is_some(), *late),
                After(span) => now += *span,
            }
        }
    }

    #[test]
    fn whatever_takes_long_between_reading_and_answering_makes_it_too_late() {
        tell(&[
            Read,
            After(SECOND),
            Flush(false),
            After(3 * SECOND),
            Flush(false),
            After(SECOND),
            Flush(true),
        ]);
    }

    #[test]
    fn who_came_while_the_ones_before_waited_is_too_late_as_well() {
        tell(&[Read, After(5 * SECOND), Flush(true), Read, Flush(true), Read, Flush(false)]);
        tell(&[Read, After(3 * SECOND), Flush(false), Read, After(3 * SECOND), Flush(true)]);
    }

    #[test]
    fn who_came_when_nobody_waited_is_answered() {
        tell(&[
            Read,
            After(5 * SECOND),
            Flush(true),
            After(SECOND),
            Read,
            After(SECOND),
            Flush(false),
        ]);
    }

    #[test]
    fn a_long_wait_for_input_is_not_counted() {
        tell(&[After(60 * SECOND), Read, Flush(false), After(60 * SECOND), Read, Flush(false)]);
    }

    #[test]
    fn opening_a_journal_is_not_counted() {
        let now = Instant::now();
        let mut waits = Waits::new(now);
        waits.has_read(now);
        waits.has_opened(now + 60 * SECOND);
        assert_eq!(waits.too_late(now + 61 * SECOND), None);
    }
}
