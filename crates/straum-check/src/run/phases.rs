//! The phases of a run and when each is over: the workload, the recovery, the final polls. Never asks a node
//! anything but for the lists at the end, and never reads a reply.

use crate::cluster::Cluster;
use crate::history::KeyId;
use crate::run::FINAL_POLLS;
use crate::run::seats::Role;
use crate::run::stage::Stage;
use crate::time::{Nanos, SECOND};

/// How long nodes may recover before the final polls, if there were faults.
const RECOVERY: Nanos = SECOND;

/// How long after the last time-out a run listens for the answer: one that comes is too late.
const LATE_ANSWERS: Nanos = 2 * SECOND;

/// How many messages all final polls together may return; it bounds how many clients poll.
const MAX_LAST_MESSAGES: u64 = 5_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nodes have not all answered their `init`.
    Starting,
    /// Operations and faults.
    Workload,
    /// Faults are healed; operations end, nodes recover.
    Recovery {
        not_before: Nanos,
    },
    /// Every message is polled once more, from the beginning, by so many workers.
    FinalPolls {
        until: Nanos,
        pollers: usize,
    },
    /// The committed offsets are listed once more, by one node after another.
    FinalList {
        node: usize,
    },
    /// Answers that clients gave up waiting for may still come, and be too late.
    Listening {
        until: Nanos,
    },
    Done,
}

impl Phase {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Workload => "workload",
            Self::Recovery { .. } => "recovery",
            Self::FinalPolls { .. } | Self::FinalList { .. } => "final polls",
            Self::Listening { .. } => "listening",
            Self::Done => "done",
        }
    }

    pub(super) fn has_faults(self) -> bool {
        self == Self::Workload
    }

    pub(super) fn is_last(self) -> bool {
        matches!(self, Self::FinalPolls { .. } | Self::FinalList { .. })
    }
}

impl<C: Cluster> Stage<'_, C> {
    /// Goes on to the next phase when this one is over.
    pub(super) fn advance(&mut self, now: Nanos) {
        self.give_up_silent_nodes(now);
        match self.phase {
            Phase::Starting if self.all_up() => self.begin_workload(now),
            Phase::Workload if now >= self.began + self.settings.time_limit_ns => {
                self.ended = now;
                self.heal_all(now);
                let faults = !self.settings.faults.is_empty();
                let recovery = if faults { RECOVERY } else { 0 };
                self.phase = Phase::Recovery { not_before: now + recovery };
                self.advance(now);
            }
            Phase::Recovery { not_before }
                if now >= not_before && self.all_up() && self.no_worker_waits() =>
            {
                self.begin_final_polls(now);
            }
            Phase::FinalPolls { until, pollers }
                if self.no_worker_waits() && self.polls_are_over(now, until, pollers) =>
            {
                self.list_at(now, 0);
            }
            Phase::FinalList { node }
                if self.no_worker_waits() && node + 1 < self.settings.node_count =>
            {
                self.list_at(now, node + 1);
            }
            Phase::FinalList { .. } if self.no_worker_waits() => {
                self.history.finished = true;
                let until = self.last_expired.map_or(now, |expired| expired + LATE_ANSWERS);
                self.phase = Phase::Listening { until };
                self.advance(now);
            }
            Phase::Listening { until } if now >= until => self.phase = Phase::Done,
            _ => {}
        }
    }

    /// When the phase may change by itself, faults and silent nodes included. What is overdue waits for
    /// an answer.
    pub(super) fn phase_deadline(&self, now: Nanos) -> Option<Nanos> {
        let own = match self.phase {
            Phase::Workload => {
                let fault = self.schedule.next_due().map_or(Nanos::MAX, |due| self.began + due);
                Some(fault.min(self.began + self.settings.time_limit_ns))
            }
            Phase::Recovery { not_before } => Some(not_before),
            Phase::FinalPolls { until, .. } | Phase::Listening { until } => Some(until),
            Phase::Starting | Phase::FinalList { .. } | Phase::Done => None,
        };
        [own, self.init_deadline()].into_iter().flatten().filter(|&at| at > now).min()
    }

    fn begin_workload(&mut self, now: Nanos) {
        self.phase = Phase::Workload;
        self.began = now;
        self.next_operation_at = now;
        for seat in 0..self.seats.len() {
            match self.seats[seat].role {
                Role::Worker => self.idle.push(seat),
                Role::Consumer(_) => self.wake_at(now, seat),
            }
        }
    }

    fn no_worker_waits(&self) -> bool {
        let mut workers = self.seats.iter().filter(|seat| seat.role == Role::Worker);
        workers.all(|seat| seat.waiting.is_none())
    }

    fn begin_final_polls(&mut self, now: Nanos) {
        let pollers = self.pollers();
        self.phase = Phase::FinalPolls { until: now + FINAL_POLLS, pollers };
        self.idle.clear();
        for seat in 0..pollers {
            self.replace_client(now, seat);
            self.wake_at(now, seat);
        }
    }

    /// How many workers take part in the final polls: all, unless there is very much to read, but one
    /// for each node.
    fn pollers(&self) -> usize {
        let known = self.frontier.iter().map(|frontier| u64::try_from(frontier.known + 1));
        let messages = known.map(Result::unwrap_or_default).sum::<u64>().max(1);
        let affordable = usize::try_from(MAX_LAST_MESSAGES / messages).unwrap_or(usize::MAX);
        affordable.max(self.settings.node_count).min(self.settings.concurrency)
    }

    /// Whether a client has read everything that is known to exist among what it reads.
    pub(super) fn caught_up(&self, seat: usize) -> bool {
        let place = &self.seats[seat];
        let mut keys = (0..).zip(&self.frontier).filter(|(key, _)| match place.role {
            Role::Worker => true,
            Role::Consumer(group) => self.generator.group_of(*key) == Some(group),
        });
        place.assigned
            && keys.all(|(key, frontier)| place.client.position(key).unwrap_or(0) > frontier.known)
    }

    fn polls_are_over(&self, now: Nanos, until: Nanos, pollers: usize) -> bool {
        let is_polling =
            |seat: &usize| *seat < pollers || matches!(self.seats[*seat].role, Role::Consumer(_));
        now >= until || (0..self.seats.len()).filter(is_polling).all(|seat| self.caught_up(seat))
    }

    fn list_at(&mut self, now: Nanos, node: usize) {
        self.phase = Phase::FinalList { node };
        self.seats[0].client.node = node;
        self.replace_client(now, 0);
        let keys: Vec<KeyId> = (0..self.generator.key_count()).collect();
        let list = self.seats[0].client.assign(keys);
        self.ask(now, 0, list);
    }
}
