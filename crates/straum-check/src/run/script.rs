//! What a seat does next: an operation of the workload, or the next step of a consumer or of the final polls.
//! Never reads a reply, and never ends a phase.

use crate::cluster::Cluster;
use crate::history::{Action, KeyId};
use crate::run::phases::Phase;
use crate::run::seats::{Role, Wakeup};
use crate::run::stage::Stage;
use crate::time::{MILLISECOND, Nanos, SECOND, from_seconds};
use crate::workload::client::Read;
use crate::workload::generator::Plan;
use crate::workload::reply::Rpc;

/// How long a consumer waits between two polls, and a client between two final polls that bring
/// nothing new. Source of the latter: Jepsen's `tests/kafka.clj`.
const POLL_INTERVAL: Nanos = 200 * MILLISECOND;

/// One poll in so many is a consumer's last: it crashes before it commits what it has processed.
const POLLS_PER_CONSUMER_CRASH: u32 = 10;

/// How far operations may lag behind their schedule before it is moved.
const MAX_BACKLOG: Nanos = SECOND;

/// How many keys with unpolled messages an assign takes in at most.
const MAX_CATCH_UP_KEYS: usize = 100;

impl<C: Cluster> Stage<'_, C> {
    pub(super) fn wake_at(&mut self, at: Nanos, seat: usize) {
        self.seats[seat].wakes_at = Some(at);
        self.wakeups.push(Wakeup { at, seat });
    }

    /// Lets every seat go on whose time has come.
    pub(super) fn wake_all(&mut self, now: Nanos) {
        while let Some(&Wakeup { at, seat }) = self.wakeups.peek().filter(|next| next.at <= now) {
            self.wakeups.pop();
            if self.seats[seat].wakes_at == Some(at) {
                self.seats[seat].wakes_at = None;
                self.wake(now, seat);
            }
        }
    }

    /// When the next operation of the workload is due, if a worker is free for it.
    pub(super) fn dispatch_due(&self) -> Option<Nanos> {
        let free = self.phase == Phase::Workload
            && self.idle.iter().any(|&seat| self.is_up(self.seats[seat].client.node));
        free.then_some(self.next_operation_at)
    }

    /// Gives the operations that are due to workers that are free.
    pub(super) fn dispatch(&mut self, now: Nanos) {
        if self.phase != Phase::Workload {
            return;
        }
        self.next_operation_at = self.next_operation_at.max(now.saturating_sub(MAX_BACKLOG));
        while self.next_operation_at <= now {
            let Some(seat) = self.free_worker() else { return };
            let plan = self.generator.next_plan();
            self.carry_out(now, seat, plan);
            let gap = 2.0 * self.pacing.f64() / self.settings.rate.max(1e-9);
            self.next_operation_at = self.next_operation_at.saturating_add(from_seconds(gap));
        }
    }

    /// A free worker whose node is up, at random.
    fn free_worker(&mut self) -> Option<usize> {
        if self.idle.is_empty() {
            return None;
        }
        let from = self.rng.usize(..self.idle.len());
        let up = |index: &usize| self.is_up(self.seats[self.idle[*index]].client.node);
        let index = (from..self.idle.len()).chain(0..from).find(up)?;
        Some(self.idle.swap_remove(index))
    }

    fn carry_out(&mut self, now: Nanos, seat: usize, plan: Plan) {
        let assigned = self.seats[seat].assigned;
        let client = &mut self.seats[seat].client;
        let request = match plan {
            Plan::Send { key, value } => client.send(key, value),
            Plan::Poll if assigned => client.poll(),
            Plan::Poll => {
                let keys = self.generator.some_keys(&mut self.rng);
                client.assign(keys)
            }
            Plan::Assign { mut keys, catch_up } => {
                if catch_up {
                    keys.extend(self.unpolled());
                    keys.sort_unstable();
                    keys.dedup();
                }
                self.seats[seat].client.assign(keys)
            }
            Plan::Crash(begun) => {
                self.carry_out(now, seat, *begun);
                self.crash_client(now, seat);
                self.idle.push(seat);
                return;
            }
        };
        self.ask(now, seat, request);
    }

    /// Keys that have messages nobody has polled, without those of groups.
    fn unpolled(&self) -> impl Iterator<Item = KeyId> {
        let behind =
            (0..).zip(&self.frontier).filter(|(_, frontier)| frontier.known > frontier.polled);
        behind
            .map(|(key, _)| key)
            .filter(|&key| self.generator.group_of(key).is_none())
            .take(MAX_CATCH_UP_KEYS)
    }

    fn crash_client(&mut self, now: Nanos, seat: usize) {
        self.abandon(now, seat, "the client crashed");
        self.write_down(now, seat, Action::Crash);
        self.replace_client(now, seat);
    }

    /// An answer has come: what the seat does now.
    pub(super) fn after(&mut self, now: Nanos, seat: usize, kind: Rpc, read: Read) {
        if kind == Rpc::List {
            self.seats[seat].assigned = true;
        }
        match (self.seats[seat].role, self.phase) {
            (Role::Consumer(_), _) => self.consume(now, seat, kind, read),
            (Role::Worker, Phase::FinalPolls { .. }) => self.poll_on(now, seat, kind, read),
            (Role::Worker, _) if !read.is_empty() => self.commit(now, seat, read),
            (Role::Worker, _) => self.idle.push(seat),
        }
    }

    /// A new client sits there.
    pub(super) fn after_replacement(&mut self, now: Nanos, seat: usize) {
        match (self.seats[seat].role, self.phase) {
            (Role::Worker, Phase::FinalPolls { .. }) => self.wake_at(now, seat),
            _ => self.after_refusal(now, seat),
        }
    }

    /// What was asked was refused: the seat goes on with something else, or tries again later.
    pub(super) fn after_refusal(&mut self, now: Nanos, seat: usize) {
        match (self.seats[seat].role, self.phase) {
            (Role::Worker, Phase::FinalPolls { .. }) | (Role::Consumer(_), _) => {
                self.wake_at(now + self.consumer_interval(), seat);
            }
            (Role::Worker, _) => self.idle.push(seat),
        }
    }

    /// How long a consumer waits between two polls: so long that consumers add no more than a tenth to
    /// the rate that was asked for.
    fn consumer_interval(&self) -> Nanos {
        let consumers = self.seats.iter().filter(|seat| seat.role != Role::Worker).count();
        #[expect(clippy::cast_precision_loss, reason = "there are very few")]
        let sparing = from_seconds(10.0 * consumers as f64 / self.settings.rate.max(1e-9));
        match self.phase {
            Phase::Workload => POLL_INTERVAL.max(sparing),
            _ if self.phase.is_last() => POLL_INTERVAL / 10,
            _ => POLL_INTERVAL,
        }
    }

    fn commit(&mut self, now: Nanos, seat: usize, read: Read) {
        let commit = self.seats[seat].client.commit(read);
        self.ask(now, seat, commit);
    }

    /// What a consumer does when something it asked for has come: it commits what it has processed, or
    /// crashes before that, and goes on a while later.
    fn consume(&mut self, now: Nanos, seat: usize, kind: Rpc, read: Read) {
        if kind == Rpc::Poll && !read.is_empty() {
            let crashes =
                self.phase == Phase::Workload && self.rng.u32(..POLLS_PER_CONSUMER_CRASH) == 0;
            if !crashes {
                self.commit(now, seat, read);
                return;
            }
            self.crash_client(now, seat);
        }
        let pause = if kind == Rpc::List { 0 } else { self.consumer_interval() };
        self.wake_at(now + pause, seat);
    }

    /// A seat that follows a script goes on.
    fn wake(&mut self, now: Nanos, seat: usize) {
        if self.seats[seat].waiting.is_some() {
            return;
        }
        if !self.is_up(self.seats[seat].client.node) {
            self.wake_at(now + POLL_INTERVAL, seat);
            return;
        }
        match (self.seats[seat].role, self.phase) {
            (_, Phase::FinalList { .. } | Phase::Listening { .. } | Phase::Done) => {}
            (Role::Consumer(group), _) => self.assign_or_poll(now, seat, group),
            (Role::Worker, Phase::FinalPolls { until, .. }) if now < until => {
                if !self.seats[seat].assigned {
                    self.assign_all(now, seat);
                }
                let poll = self.seats[seat].client.poll();
                self.ask(now, seat, poll);
            }
            (Role::Worker, _) => {}
        }
    }

    /// A consumer reads all keys of its group; when there is a new one, it asks where to start.
    fn assign_or_poll(&mut self, now: Nanos, seat: usize, group: u32) {
        let keys: Vec<KeyId> = self.generator.group_keys(group).collect();
        let place = &mut self.seats[seat];
        let knows_all = keys.last().is_none_or(|&key| place.client.position(key).is_some());
        let request = if place.assigned && knows_all {
            place.client.poll()
        } else {
            place.client.assign(keys)
        };
        self.ask(now, seat, request);
    }

    fn assign_all(&mut self, now: Nanos, seat: usize) {
        let keys: Vec<KeyId> = (0..self.generator.key_count()).collect();
        let action = self.seats[seat].client.assign_from_beginning(keys);
        self.write_down(now, seat, action);
        self.seats[seat].assigned = true;
    }

    /// After one of the final polls: commit, and poll again, at once if there was something new. Keys
    /// of groups are left to the groups.
    fn poll_on(&mut self, now: Nanos, seat: usize, kind: Rpc, mut read: Read) {
        let nothing_new = kind == Rpc::Poll && read.is_empty();
        read.retain(|(key, _)| self.generator.group_of(*key).is_none());
        if !read.is_empty() {
            self.commit(now, seat, read);
        } else if !self.caught_up(seat) {
            self.wake_at(if nothing_new { now + POLL_INTERVAL } else { now }, seat);
        }
    }
}
