//! When to act: at once after a pause; under load, when a while has passed since the last entry, so that
//! the next one carries more; and nearly at once where too few commands come for that. Never decides what
//! to do.
//!
//! The clients that an entry has answered come back with their next commands soon after it, and where
//! clients wait for their answers, nothing comes after those. So after an entry a node waits for a base
//! time, and then on while its clients' commands keep coming, up to a bound. The times are chosen from the
//! measurements in `docs/trade-off.md`.

use super::{MICROSECOND_NS, MILLISECOND_NS};

/// What clients that were answered need to come back with their next command.
const RETURN_NS: u64 = MILLISECOND_NS;

/// How long commands are counted, to know how many come.
const COUNTED_NS: u64 = 100 * MILLISECOND_NS;

/// How long a member waits after an entry before it acts, for more to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pacing {
    /// At least, in nanoseconds.
    pub base_ns: u64,
    /// At most, in nanoseconds; not less than the least.
    pub bound_ns: u64,
    /// In between, until nothing has come for so long, in nanoseconds.
    pub quiet_ns: u64,
}

impl Default for Pacing {
    fn default() -> Self {
        Self {
            base_ns: 6 * MILLISECOND_NS,
            bound_ns: 14 * MILLISECOND_NS,
            quiet_ns: 6 * MILLISECOND_NS,
        }
    }
}

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

#[derive(Debug)]
pub(super) struct Pace {
    pacing: Pacing,
    /// When the last entry was applied.
    applied_at_ns: Option<u64>,
    /// When the last command of our own clients came.
    newest_at_ns: u64,
    /// How much longer to wait after that entry before we put one.
    pause_ns: u64,
    /// How many commands all members had in entries since then.
    counted: u64,
    counted_since_ns: u64,
    /// Whether so many come that waiting gathers some.
    busy: bool,
}

impl Pace {
    pub(super) fn new(pacing: Pacing) -> Self {
        Self {
            pacing,
            applied_at_ns: None,
            newest_at_ns: 0,
            pause_ns: 0,
            counted: 0,
            counted_since_ns: 0,
            busy: false,
        }
    }

    /// An entry was applied that held so many commands.
    pub(super) fn applied(&mut self, now_ns: u64, commands: u64) {
        self.applied_at_ns = Some(now_ns);
        self.pause_ns = 0;
        let span_ns = now_ns.saturating_sub(self.counted_since_ns);
        if span_ns >= COUNTED_NS {
            // Three commands in two base times.
            self.busy = 2 * self.counted * self.pacing.base_ns >= 3 * span_ns;
            self.counted = 0;
            self.counted_since_ns = now_ns;
        }
        self.counted += commands;
    }

    /// A command came. Those that come at once after an entry are of clients that it has answered: they
    /// are no sign that more will come.
    pub(super) fn came(&mut self, now_ns: u64) {
        let at_once_ns = self.pacing.base_ns / 4;
        if self.applied_at_ns.is_none_or(|at_ns| now_ns >= at_ns + at_once_ns) {
            self.newest_at_ns = now_ns;
        }
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
        let Pacing { base_ns, bound_ns, quiet_ns } = self.pacing;
        if !self.busy {
            return applied_at_ns + more_ns + base_ns.min(RETURN_NS);
        }
        let earliest_ns = applied_at_ns + more_ns + base_ns;
        let latest_ns = earliest_ns + bound_ns.saturating_sub(base_ns);
        (self.newest_at_ns + quiet_ns).clamp(earliest_ns, latest_ns)
    }

    /// The longest that a combiner waits between two entries for more to come.
    pub(super) fn bound_ns(&self) -> u64 {
        self.pacing.bound_ns + MOST_LEAD_NS + LITTLE_NS
    }
}
