//! What is removed of the logs' beginnings, and when. Never touches a file.

/// How much is kept. Whole sealed segments are removed, the oldest first, but never the newest, which says
/// what is known of every key. By default, nothing is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// At most so many bytes of files, as far as removing sealed segments helps.
    pub max_bytes: Option<u64>,
    /// A sealed segment is removed so many milliseconds after it was sealed, and a segment is sealed so
    /// long after its first entry even if it is not full.
    pub max_age_ms: Option<u64>,
}

impl Retention {
    /// Whether the oldest sealed segment has to go.
    pub(crate) fn removes(self, all_bytes: u64, sealed_at_ms: u64, now_ms: u64) -> bool {
        self.max_bytes.is_some_and(|max_bytes| all_bytes > max_bytes)
            || self.is_over(sealed_at_ms, now_ms)
    }

    /// Whether what happened then is too old.
    pub(crate) fn is_over(self, then_ms: u64, now_ms: u64) -> bool {
        self.max_age_ms.is_some_and(|max_age_ms| now_ms.saturating_sub(then_ms) > max_age_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_default_nothing_is_removed() {
        assert!(!Retention::default().removes(u64::MAX, 0, u64::MAX));
    }

    #[test]
    fn too_much_or_too_old_is_removed_and_a_clock_that_was_set_back_removes_nothing() {
        let retention = Retention { max_bytes: Some(100), max_age_ms: Some(10) };
        assert!(retention.removes(101, 50, 50));
        assert!(!retention.removes(100, 50, 60));
        assert!(retention.removes(100, 50, 61));
        assert!(!retention.removes(100, 50, 20));
    }
}
