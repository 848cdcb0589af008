//! When to act: at once after a pause; under load, when a while has passed since the last entry, so that
//! the next one carries more. Never decides what to do.
//!
//! The clients that an entry has answered come back with their next commands soon after it, and where
//! clients wait for their answers, nothing comes after those. So after an entry a node waits for a base
//! time, and then on while commands keep coming, up to a bound. The times are chosen from the
//! measurements in `docs/shared-journal.md`.

use super::{MICROSECOND_NS, MILLISECOND_NS};

/// What is waited after an entry at least, and at most.
const BASE_NS: u64 = 6 * MILLISECOND_NS;
const BOUND_NS: u64 = 14 * MILLISECOND_NS;

/// How long nothing new must have come, within the bound.
const QUIET_NS: u64 = 3 * MILLISECOND_NS;

/// Who combines waits longer than who forwards, so that what is forwarded is in time: a round trip and a
/// little, but at most this. Over longer ways the entry under way is what everybody waits for.
const MOST_LEAD_NS: u64 = 4 * MILLISECOND_NS;
const LITTLE_NS: u64 = 500 * MICROSECOND_NS;

/// How a node acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// It puts an entry.
    Combiner,
    /// It forwards its batch to one who does.
    Forwarder,
}

#[derive(Debug, Default)]
#[expect(
    clippy::struct_field_names,
    reason = "they are times, and a time has its unit in its name"
)]
pub(super) struct Pace {
    /// When the last entry was applied.
    applied_at_ns: Option<u64>,
    /// When the last command or forwarded batch came.
    newest_at_ns: u64,
    /// How much longer to wait after that entry before we put one.
    pause_ns: u64,
}

impl Pace {
    pub(super) fn applied(&mut self, now_ns: u64) {
        self.applied_at_ns = Some(now_ns);
        self.pause_ns = 0;
    }

    pub(super) fn came(&mut self, now_ns: u64) {
        self.newest_at_ns = now_ns;
    }

    /// Leaves room after the last entry for others to put theirs.
    pub(super) fn pause(&mut self, span_ns: u64) {
        self.pause_ns = span_ns;
    }

    /// When to act, where a round trip takes so long.
    pub(super) fn act_at_ns(&self, role: Role, round_trip_ns: u64) -> u64 {
        let Some(applied_at_ns) = self.applied_at_ns else { return 0 };
        let more_ns = match role {
            Role::Combiner => round_trip_ns.min(MOST_LEAD_NS) + LITTLE_NS + self.pause_ns,
            Role::Forwarder => 0,
        };
        let base_ns = applied_at_ns + BASE_NS + more_ns;
        let bound_ns = applied_at_ns + BOUND_NS + more_ns;
        (self.newest_at_ns + QUIET_NS).clamp(base_ns, bound_ns)
    }

    /// The longest that a combiner waits between two entries for more to come.
    pub(super) fn bound_ns() -> u64 {
        BOUND_NS + MOST_LEAD_NS + LITTLE_NS
    }
}
