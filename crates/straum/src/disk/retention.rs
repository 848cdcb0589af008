//! What is removed of the beginnings of all logs, and when. Never touches a file.

use crate::Now;

/// How much is kept. Whole sorted segments are removed, the oldest first, but never the newest, which says
/// what is known of every log. By default, nothing is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// At most so many bytes of files, as far as removing sorted segments helps.
    pub max_bytes: Option<u64>,
    /// A sorted segment is removed so many milliseconds after the newest record in it, and a segment of the
    /// write-ahead log is sorted so long after its first entry even if it is not full.
    pub max_age_ms: Option<u64>,
}

impl Retention {
    /// Whether the oldest sorted segment has to go.
    pub(crate) fn removes(self, all_bytes: u64, newest_time_ms: u64, now_ms: Option<u64>) -> bool {
        self.max_bytes.is_some_and(|max_bytes| all_bytes > max_bytes)
            || self.is_over(newest_time_ms, now_ms)
    }

    /// Whether what happened then is too old. Nothing is, if nobody knows what time it is.
    pub(crate) fn is_over(self, then_ms: u64, now_ms: Option<u64>) -> bool {
        let age_ms = now_ms.map_or(0, |now_ms| now_ms.saturating_sub(then_ms));
        self.max_age_ms.is_some_and(|max_age_ms| age_ms > max_age_ms)
    }
}

/// Two clocks, of which the calendar's is believed as long as the other one bears it out.
#[derive(Debug, Default)]
pub(crate) struct Clocks {
    first: Option<Now>,
    /// Whether they have disagreed.
    pub(crate) disagree: bool,
}

impl Clocks {
    /// What time it is, in milliseconds since 1970. None if the clocks disagree by more than `most_ms` about how
    /// long it is since they were first looked at: then nothing is too old.
    pub(crate) fn look(&mut self, now: Now, most_ms: u64) -> Option<u64> {
        let first = *self.first.get_or_insert(now);
        let elapsed_ms = now.elapsed_ms.saturating_sub(first.elapsed_ms);
        let expected_ms = first.time_ms.saturating_add(elapsed_ms);
        self.disagree = now.time_ms.abs_diff(expected_ms) > most_ms;
        (!self.disagree).then_some(now.time_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_default_nothing_is_removed() {
        assert!(!Retention::default().removes(u64::MAX, 0, Some(u64::MAX)));
    }

    #[test]
    fn too_much_or_too_old_is_removed_and_a_clock_that_was_set_back_removes_nothing() {
        let retention = Retention { max_bytes: Some(100), max_age_ms: Some(10) };
        assert!(retention.removes(101, 50, Some(50)));
        assert!(!retention.removes(100, 50, Some(60)));
        assert!(retention.removes(100, 50, Some(61)));
        assert!(!retention.removes(100, 50, Some(20)));
        assert!(!retention.removes(100, 50, None));
    }

    #[test]
    fn a_clock_that_jumps_is_not_believed_until_it_is_back() {
        let mut clocks = Clocks::default();
        let mut look = |time_ms, elapsed_ms| clocks.look(Now { time_ms, elapsed_ms }, 10);
        assert_eq!(look(1_000, 5), Some(1_000));
        assert_eq!(look(2_000, 1_005), Some(2_000));
        assert_eq!(look(2_021, 1_015), None);
        assert_eq!(look(1_900, 1_025), None);
        assert_eq!(look(2_030, 1_035), Some(2_030));
    }
}
